"""Who is held: subjects are compared by a keyed hash, so that the ledger need not know them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from airflow_veil.privacy.crypto.prf import hmac_sha256
from airflow_veil.privacy.errors import RetentionError
from airflow_veil.privacy.ledger.holds import Held, Hold
from airflow_veil.privacy.plan.bind import subject_root
from airflow_veil.privacy.rewriting.loss import Mask
from airflow_veil.privacy.storage.batches import plain
from airflow_veil.privacy.transforms.canonical import canonical
from airflow_veil.privacy.transforms.spelled import spelled

if TYPE_CHECKING:
    from airflow_veil.privacy.keys.ring import KeyRing
    from airflow_veil.privacy.release.workspace import Workspace

PURPOSE = "hold"
"""What the subkey is for."""


@dataclass(frozen=True)
class Keeper:
    """Tells which rows are held.

    Attributes:
        held: What the ledger says.
        column: The column that names the subject, or None where rows are nobody's.
        ring: Opens the key ring; not called where no subject is held.
    """

    held: Held
    column: str | None
    ring: Callable[[], KeyRing]

    @property
    def looks(self) -> bool:
        """Whether it has to see the subjects of rows."""
        return bool(self.held.subjects) and not self.held.everything

    def __post_init__(self) -> None:
        if self.looks and self.column is None:
            raise RetentionError(
                "subjects are held, and the policy no longer says whose rows they are",
                fix="name the `subject` of the data set again, or lift the hold",
            )

    def mask(self, subjects: pa.Array | None, rows: int) -> Mask:
        """Which of some rows are held.

        Args:
            subjects: The rows' subjects; may be None where it does not look.
            rows: How many rows there are.
        """
        if self.held.everything or not self.looks or subjects is None:
            return np.full(rows, self.held.everything)
        encoded = subjects.cast(plain(subjects.type)).dictionary_encode()
        among = self._among(encoded.dictionary)
        found = pc.fill_null(pc.take(among, encoded.indices), fill_value=False)
        mask: Mask = found.to_numpy(zero_copy_only=False)
        return mask

    def _among(self, values: pa.Array) -> pa.Array:
        """Which of some values are held."""
        texts = canonical(values, where=f"column {self.column}")
        found = pa.array(np.zeros(len(values), bool))
        for (domain, version), hashes in self._hashes.items():
            found = pc.or_(found, pc.is_in(hashes_of(texts, self.ring(), domain, version), value_set=hashes))
        return found

    @cached_property
    def _hashes(self) -> dict[tuple[str, int], pa.Array]:
        grouped: dict[tuple[str, int], list[bytes]] = defaultdict(list)
        for domain, version, subject in self.held.subjects:
            grouped[domain, version].append(bytes.fromhex(subject))
        return {key: pa.array(hashes, pa.binary(32)) for key, hashes in grouped.items()}


def keeper_of(workspace: Workspace, dataset: str, held: Held | None = None) -> Keeper:
    """What tells which rows of a data set are held.

    Args:
        workspace: The policy and its systems.
        dataset: The data set.
        held: What is held; looked up if None.
    """
    policy = workspace.loaded.policy
    subject = policy.datasets[dataset].subject
    known = workspace.ledger.holds.held(policy.name, dataset) if held is None else held

    def ring() -> KeyRing:
        return workspace.keys

    return Keeper(known, subject.column if subject else None, ring)


def hashes_of(texts: pa.Array, ring: KeyRing, domain: str, version: int) -> pa.Array:
    """The keyed hashes of subjects, spelled canonically; nulls stay null."""
    return hmac_sha256(texts, key=ring.subkey(PURPOSE, domain, version=version))


def place(
    workspace: Workspace, dataset: str, *, reason: str, actor: str, subjects: Iterable[str] | None = None
) -> Hold:
    """Place a hold.

    Args:
        workspace: The policy and its systems.
        dataset: The data set.
        reason: Why; kept as evidence, no personal data.
        actor: Who places it.
        subjects: The subjects' values, as the source spells them; None for all rows of the data set.

    Raises:
        RetentionError: The data set is nobody's, a value is none of its subject column, or the reason is no reason.
        KeyRingError: The key ring cannot be opened.
        LedgerError: The ledger cannot be used.
    """
    policy = workspace.loaded.policy
    schema_holder = workspace.source(dataset)
    if subjects is None:
        return workspace.ledger.holds.place(policy.name, dataset, reason=reason, actor=actor)
    data = policy.datasets[dataset]
    column = data.subject.column if data.subject else None
    if column is None:
        raise RetentionError(
            "the rows are nobody's, so no subject can be held",
            where=dataset,
            fix="hold all rows: name no subject",
        )
    kind = plain(schema_holder.schema().field(column).type)
    texts = spelled(list(subjects), kind, column=column, failure=RetentionError)
    ring, domain = workspace.keys, subject_root(policy, dataset)
    version = ring.current
    return workspace.ledger.holds.place(
        policy.name,
        dataset,
        reason=reason,
        actor=actor,
        hashes=[value.hex() for value in hashes_of(texts, ring, domain, version).to_pylist()],
        domain=domain,
        key_version=version,
    )
