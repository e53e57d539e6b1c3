"""All that a batch has to know of its people until they are erased; it is kept sealed, and destroyed after.

Beside the values that they are known by it has the counts by request, which would be evidence of how much somebody did
if they stood in the open.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from airflow_veil.privacy.erasure.store import Tally
from airflow_veil.privacy.erasure.subjects import Subjects

_LENGTH = 8


@dataclass(frozen=True)
class Dossier:
    """What is known of the people of a batch.

    Attributes:
        subjects: The values that they are known by.
        counts: Data set to what was found, for each request: `deleted`, `masked`, `held`, `exempt`.
        problems: Request number to why it cannot be carried out.
        together: Request number to that of an earlier request for the same person.
    """

    subjects: Subjects = field(repr=False)
    counts: Mapping[str, Mapping[str, list[int]]] = field(default_factory=dict, repr=False)
    problems: Mapping[int, str] = field(default_factory=dict)
    together: Mapping[int, int] = field(default_factory=dict)

    def of_request(self, number: int) -> dict[str, dict[str, int]]:
        """Data set to the counts of one request."""
        return {
            dataset: {kind: rows[number] for kind, rows in kinds.items() if rows[number]}
            for dataset, kinds in self.counts.items()
        }

    def to_bytes(self) -> bytes:
        """The whole, to be sealed."""
        head = {
            "counts": self.counts,
            "problems": {str(number): text for number, text in self.problems.items()},
            "together": {str(number): other for number, other in self.together.items()},
        }
        told = json.dumps(head).encode()
        return len(told).to_bytes(_LENGTH, "big") + told + self.subjects.to_bytes()

    @classmethod
    def from_bytes(cls, content: bytes) -> Dossier:
        """What `to_bytes` gave."""
        end = _LENGTH + int.from_bytes(content[:_LENGTH], "big")
        head = json.loads(content[_LENGTH:end])
        return cls(
            Subjects.from_bytes(content[end:]),
            head["counts"],
            {int(number): text for number, text in head["problems"].items()},
            {int(number): other for number, other in head["together"].items()},
        )


def tally_lists(tally: Tally) -> dict[str, list[int]]:
    """Counts by request, as JSON has them."""
    return {
        "deleted": tally.deleted.tolist(),
        "masked": tally.masked.tolist(),
        "held": tally.held.tolist(),
    }
