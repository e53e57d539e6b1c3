"""The ledger: the database of record, apart from Airflow's own."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from sqlalchemy import Engine

from airflow_veil.privacy.errors import ReleaseError
from airflow_veil.privacy.ledger import evidence, releases
from airflow_veil.privacy.ledger.budgets import Budgets
from airflow_veil.privacy.ledger.database import connect, name_of, reading, writing
from airflow_veil.privacy.ledger.erasures import Erasures
from airflow_veil.privacy.ledger.evidence import Entry, ErasedPayloads, Head, Note
from airflow_veil.privacy.ledger.fault import permanent
from airflow_veil.privacy.ledger.holds import Holds
from airflow_veil.privacy.ledger.models import Models
from airflow_veil.privacy.ledger.record import ReleaseRecord, utc_now
from airflow_veil.privacy.ledger.retention import RetentionRuns
from airflow_veil.privacy.ledger.schema import check, upgrade
from airflow_veil.privacy.ledger.suppression import SuppressionList
from airflow_veil.privacy.ledger.tree import EvidenceTree

_PAGE = 5_000


class Ledger:
    """Releases, privacy budgets and evidence, in SQLite or PostgreSQL; use `Ledger.open`.

    Each method is one transaction: done with its evidence, or not done. Methods that change something may be
    called again, by a retry or by two processes at once, with the same result. All raise `LedgerError` where
    the database refuses; its `retryable` says whether trying again may help.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @classmethod
    def open(cls, target: str | Path) -> Ledger:
        """Open a ledger, and make or upgrade its tables.

        Args:
            target: A file, `sqlite:///<file>` or `postgresql://<user>:<password>@<host>/<database>`.

        Raises:
            LedgerError: It cannot be opened, or a newer airflow-veil has upgraded it.
        """
        engine = connect(target)
        upgrade(engine)
        return cls(engine)

    @classmethod
    def look(cls, target: str | Path) -> Ledger:
        """Open a ledger to read it: nothing is made and nothing upgraded.

        Args:
            target: As for `open`.

        Raises:
            LedgerError: There is none, it is of another version, or it cannot be opened.
        """
        engine = connect(target, make=False)
        check(engine)
        return cls(engine)

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Ledger({name_of(self._engine)})"

    @property
    def budgets(self) -> Budgets:
        """The privacy budgets: how much may be learned of people over all releases."""
        return Budgets(self._engine)

    @property
    def retention(self) -> RetentionRuns:
        """The runs that deleted rows whose time was over."""
        return RetentionRuns(self._engine)

    @property
    def holds(self) -> Holds:
        """What keeps rows although their time is over."""
        return Holds(self._engine)

    @property
    def erasures(self) -> Erasures:
        """Who asked to be erased, and how far that is."""
        return Erasures(self._engine)

    @property
    def models(self) -> Models:
        """The models that synthetic tables are drawn from."""
        return Models(self._engine)

    @property
    def suppression(self) -> SuppressionList:
        """Who was erased and must stay so."""
        return SuppressionList(self._engine)

    @property
    def tree(self) -> EvidenceTree:
        """The Merkle tree over the evidence: what checkpoints and proofs are made of."""
        return EvidenceTree(self._engine)

    def begin_release(self, record: ReleaseRecord, *, actor: str) -> ReleaseRecord:
        """Begin the release of a run; one exists for each policy, data set and run key.

        Args:
            record: The release to begin if the run has none yet.
            actor: Who begins it.

        Returns:
            The run's release; go on with its `release_id`, which a run that began before may have given. If
            it is `current` or `superseded`, it was published and stays as it is: there is nothing to do.
            If it is staged already, by the same policy and plan, it is returned with its draft. Otherwise it
            is staged anew as `record` says, even if it was discarded, rolled back or expired before.

        Raises:
            ReleaseError: The run was begun for another destination, or the release's id is another run's.
        """
        with writing(self._engine) as connection:
            return releases.begin(connection, record, actor=actor)

    def draft(self, release_id: str, facts: Mapping[str, Any], note: Note | None = None) -> None:
        """Add facts to the draft of a staged release's manifest: what its tasks tell each other.

        Args:
            release_id: The release.
            facts: JSON of names, types, counts and digests, by name; one that is there already is replaced.
            note: What is told of it in the evidence: what the task did that found the facts out.

        Raises:
            ReleaseError: The release is unknown or not staged.
        """
        with writing(self._engine) as connection:
            releases.draft(connection, release_id, facts, note)

    def publish(
        self,
        release_id: str,
        manifest: Mapping[str, Any],
        *,
        rows_out: int,
        actor: str,
        expires_at: datetime | None = None,
    ) -> ReleaseRecord:
        """Make a staged release the current one of its data set and destination, in place of the one before.

        Args:
            release_id: The release.
            manifest: What is published: JSON of names, types, counts and digests; `source_schema` maps the
                source's columns to their types.
            rows_out: How many rows it has.
            actor: Who publishes it.
            expires_at: When it may no longer be used, aware; None for never.

        Returns:
            The release. One that was published before, and perhaps superseded since, is returned as it is,
            with the manifest that it was published with.

        Raises:
            ReleaseError: It is unknown, discarded, rolled back or expired.
        """
        with writing(self._engine) as connection:
            return releases.publish(
                connection, release_id, manifest, rows_out=rows_out, expires_at=expires_at, actor=actor
            )

    def rollback(
        self,
        policy: str,
        dataset: str,
        to: str | None = None,
        *,
        reason: str,
        actor: str,
        replacing: str | None = None,
        destination: str | None = None,
    ) -> ReleaseRecord:
        """Make an earlier release current again; the one that was current is then rolled back.

        Args:
            policy: Name of the policy.
            dataset: Name of the data set.
            to: The release to go back to; left out, the last good one that was published before the current
                one.
            reason: Why, for the evidence; it must not hold personal data.
            actor: Who rolls back.
            replacing: The release that is bad. Give it where the call may be repeated: if it was rolled back
                before, nothing is done, where a repeated call without `to` would go back a step further.
            destination: Which destination, for a data set with several.

        Returns:
            The release that is current now.

        Raises:
            ReleaseError: There is nothing to go back to, the target is unknown, expired, discarded or staged,
                or `replacing` is neither current nor rolled back.
        """
        with writing(self._engine) as connection:
            return releases.roll_back(
                connection,
                policy,
                dataset,
                to=to,
                replacing=replacing,
                destination=destination,
                reason=reason,
                actor=actor,
            )

    def rollback_target(
        self, policy: str, dataset: str, to: str | None = None, *, destination: str | None = None
    ) -> ReleaseRecord:
        """The release that `rollback` would make current; nothing is changed.

        Raises:
            ReleaseError: As `rollback`.
        """
        with reading(self._engine) as connection:
            return releases.rollback_target(connection, policy, dataset, to=to, destination=destination)

    def discard(self, release_id: str, *, reason: str, actor: str) -> ReleaseRecord:
        """Give up a staged release.

        Raises:
            ReleaseError: It is unknown or was published.
        """
        with writing(self._engine) as connection:
            return releases.discard(connection, release_id, reason=reason, actor=actor)

    def expire(self, release_id: str, *, actor: str, reason: str | None = None) -> ReleaseRecord:
        """Mark a published release as expired: it can no longer be current. Delete its data first.

        Args:
            release_id: The release.
            actor: Who ends it.
            reason: Why, where its time was not over; no personal data.

        Raises:
            ReleaseError: It is unknown or was never published.
        """
        with writing(self._engine) as connection:
            return releases.expire(connection, release_id, actor=actor, reason=reason)

    def release(self, release_id: str) -> ReleaseRecord:
        """The release of that id.

        Raises:
            ReleaseError: There is none.
        """
        with reading(self._engine) as connection:
            return releases.find(connection, release_id)

    def current(self, policy: str, dataset: str, *, destination: str | None = None) -> ReleaseRecord | None:
        """The current release of a data set, or None.

        Raises:
            ReleaseError: The data set has one at each of several destinations, and none is named.
        """
        with reading(self._engine) as connection:
            return releases.current(connection, policy, dataset, destination=destination)

    def list(self, policy: str | None = None, dataset: str | None = None) -> tuple[ReleaseRecord, ...]:
        """Releases of a policy, of a data set or of all, the newest first."""
        with reading(self._engine) as connection:
            return releases.listed(connection, policy, dataset)

    def latest(self) -> tuple[ReleaseRecord, ...]:
        """The current release of each data set and destination; where there is none, the last that was published."""
        with reading(self._engine) as connection:
            return releases.latest(connection)

    def staged(self) -> tuple[ReleaseRecord, ...]:
        """Releases that were begun and not published yet, the newest first."""
        with reading(self._engine) as connection:
            return releases.staged(connection)

    def due(self, now: datetime | None = None) -> tuple[ReleaseRecord, ...]:
        """Published releases past their expiry, now or at an aware time, that `expire` has not marked."""
        with reading(self._engine) as connection:
            return releases.due(connection, now or utc_now())

    def last_manifest(self, policy: str, dataset: str) -> Mapping[str, Any] | None:
        """The manifest of the last good release of a data set; None where there is none."""
        with reading(self._engine) as connection:
            return releases.last_manifest(connection, policy, dataset)

    def last_schema(self, policy: str, dataset: str) -> dict[str, str] | None:
        """Column to type of the source at the last good release, from its manifest; None where there is none.

        Raises:
            ReleaseError: The manifest has no such schema.
        """
        manifest = self.last_manifest(policy, dataset)
        if manifest is None:
            return None
        schema = manifest.get("source_schema")
        if not isinstance(schema, dict) or not all(isinstance(name, str) for name in schema.values()):
            raise ReleaseError(
                "the last release's manifest has no source schema",
                where=f"{policy}.{dataset}",
                expected="`source_schema`: column names to type names",
            )
        return schema

    def append_evidence(
        self, kind: str, subject: str, payload: Mapping[str, Any], *, actor: str, once: bool = False
    ) -> Entry:
        """Add an entry to the evidence. It is never changed or deleted, so it must hold no personal data.

        Args:
            kind: What was done, such as `keys.rotated`: lower-case letters, `_` and `.`.
            subject: What it was done to: names.
            payload: A JSON object of names, types, counts and digests; at most 64 KiB, texts of at most 1024
                characters.
            actor: Who did it.
            once: Whether the last entry of this kind and subject, if it says the same, is returned instead.

        Raises:
            LedgerError: The entry is not what evidence may hold.
        """
        add = evidence.append_once if once else evidence.append
        with writing(self._engine) as connection:
            return add(connection, kind=kind, subject=subject, payload=payload, actor=actor)

    def evidence_of(self, subject: str, *kinds: str) -> tuple[Entry, ...]:
        """The entries of a subject, in order: of some kinds, or of all where none is named."""
        with reading(self._engine) as connection:
            return evidence.of(connection, subject, *kinds)

    def erase_payload(self, seq: int, reason: str, actor: str) -> Entry:
        """Erase the payload of an entry of the evidence, and its salt; its digests and all proofs stay valid.

        What SQLite held is overwritten in its file; PostgreSQL keeps it until the table is vacuumed. Backups and
        exports are beyond reach.

        Args:
            seq: The entry's number.
            reason: Why, for the evidence; it must not hold personal data.
            actor: Who erases it.

        Returns:
            The new entry that says so. A payload that was erased before stays so, and its entry is returned.

        Raises:
            LedgerError: There is no such entry, or the reason is not what evidence may hold.
        """
        with writing(self._engine) as connection:
            return evidence.erase(connection, seq, reason=reason, actor=actor)

    def evidence(self, after: int = 0, *, limit: int | None = None) -> tuple[Entry, ...]:
        """The entries after number `after`, in order, at most `limit` of them."""
        with reading(self._engine) as connection:
            return evidence.read(connection, after=after, limit=limit)

    def verify_chain(self, anchor: Head | None = None) -> Head:
        """Check the chain of digests of the evidence; `privacy.audit` checks it against signed checkpoints.

        Args:
            anchor: The head that an earlier call returned, kept elsewhere. Without it, entries that were cut
                off at the end, or a chain that was rewritten from the start, cannot be told.

        Returns:
            The end of the chain, to be kept elsewhere.

        Raises:
            LedgerError: An entry was changed, left out, put in, moved or cut off.
        """
        head, erasures = Head(), ErasedPayloads()
        while page := self.evidence(head.seq, limit=_PAGE):
            head = evidence.follow(page, head, anchor)
            erasures.note(page)
        erasures.check()
        if anchor and anchor.seq > head.seq:
            raise permanent(
                f"the evidence ends at entry {head.seq}, and once had {anchor.seq}",
                expected="every entry up to the one that was noted down",
                fix="compare with a backup",
            )
        return head
