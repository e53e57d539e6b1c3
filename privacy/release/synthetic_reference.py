"""What tasks of a synthetic release hand to each other: which model, which releases, and counts. No score, no value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from airflow_veil.privacy.lineage.model import LineageRecord
from airflow_veil.privacy.release.reference import Reference, taken_up


@dataclass(frozen=True, slots=True, kw_only=True)
class SyntheticReference:
    """A synthetic release on its way.

    Attributes:
        policy: Name of the policy.
        dataset: Name of the synthesis.
        interval: Key of the interval that it stands for.
        specification: SHA-256 of what it is made of and how, in hex: all tasks of a run must work by one.
        model_id: The model.
        suffix: What tells it from the release of the whole, where values are given; empty for the whole.
        step: The last step that was done.
        published: Whether these very releases are out already, so that there is nothing left to do.
        releases: Table to its release.
        rows: Table to how many rows were drawn.
    """

    policy: str
    dataset: str
    interval: str
    specification: str
    model_id: str
    suffix: str = ""
    step: str
    published: bool = False
    releases: Mapping[str, str] = field(default_factory=dict)
    rows: Mapping[str, int] = field(default_factory=dict)

    def of_tables(self) -> tuple[Reference, ...]:
        """The release of each table, as the gate takes it."""
        whole = "_".join(filter(None, (self.dataset, self.suffix)))
        return tuple(
            Reference(
                policy=self.policy,
                dataset=whole if len(self.releases) == 1 else f"{whole}_{table}",
                release_id=release_id,
                interval=self.interval,
                plan_digest=self.specification,
                step=self.step,
                published=self.published,
                rows_out=self.rows.get(table, 0),
            )
            for table, release_id in self.releases.items()
        )

    def as_xcom(self) -> dict[str, Any]:
        """The reference as plain data: names, counts and digests."""
        return {**asdict(self), "releases": dict(self.releases), "rows": dict(self.rows)}

    @classmethod
    def from_xcom(cls, value: Any, *, dataset: str) -> Self:
        """Take up what the task before handed on.

        Raises:
            ReleaseError: It is not a reference, or one to another synthesis.
        """
        return taken_up(cls, value, dataset, release="synthetic release", of="synthesis")


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What a task of a synthetic release did.

    Attributes:
        reference: What is handed on.
        lineage: What it did to which columns, a record a table; none where it did nothing.
        summary: The same in a sentence, for the log: names and counts.
        warns: Whether somebody should look at it, although it was done.
    """

    reference: SyntheticReference
    lineage: tuple[LineageRecord, ...] = ()
    summary: str
    warns: bool = False
