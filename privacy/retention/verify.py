"""Looks, after a run, whether it did what it says; what it finds is evidence, and part of the certificate."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from airflow_veil.privacy.audit.facts import Check
from airflow_veil.privacy.errors import UnverifiedError
from airflow_veil.privacy.retention.anonymize import Cells
from airflow_veil.privacy.retention.archive import Archive
from airflow_veil.privacy.retention.recount import Left, archived, recount

if TYPE_CHECKING:
    from airflow_veil.privacy.release.workspace import Workspace
    from airflow_veil.privacy.retention.service import Enforced

VERIFIED, UNVERIFIED = "retention.verified", "retention.unverified"


def verify(
    workspace: Workspace,
    done: Enforced,
    column: str,
    cells: Cells | None = None,
    archive: Archive | None = None,
    *,
    actor: str,
) -> tuple[Check, ...]:
    """Check that no row whose time was over is left as it was but those that are held, and that all others are there.

    What is found is evidence.

    Args:
        workspace: The policy and its systems.
        done: What the run did.
        column: The column with the time of the rows.
        cells: What rows lose that are over; None where they go.
        archive: Where they were copied before they went; None where they were not.
        actor: Who ran it.

    Raises:
        UnverifiedError: It is not so.
        StorageError: The source cannot be read.
        LedgerError: The ledger cannot be used.
    """
    dataset = done.plan.dataset
    # Opened anew: what a source knows of its files is from before.
    found = recount(workspace.source(dataset), column, done.plan.cut, cells)
    over = _gone(found, held=done.counts.held) if cells is None else _lost(found, held=done.counts.held)
    checks = [over, _there(found, expected=done.counts.rows - done.counts.gone)]
    if archive is not None:
        checks.append(_archived(archive, done.counts.archive))
    failed = [check for check in checks if not check.passed]
    workspace.ledger.append_evidence(
        UNVERIFIED if failed else VERIFIED,
        f"{done.plan.policy}/{dataset}",
        {"run": done.run_id, "checks": [asdict(check) for check in checks]},
        actor=actor,
    )
    if failed:
        raise UnverifiedError(
            "; ".join(f"it does not hold that {check.what[0].lower()}{check.what[1:]}" for check in failed),
            where=f"{done.plan.policy}.{dataset}",
            expected="a source that nobody else changes meanwhile",
            fix="run again; if it stays so, report it as a bug",
        )
    return tuple(checks)


def _gone(found: Left, *, held: int) -> Check:
    return Check(
        what="No row whose time is over is left, but those that a hold keeps",
        looked_at=found.rows,
        found=abs(found.over - held),
        passed=found.over == held,
        how=found.how,
    )


def _lost(found: Left, *, held: int) -> Check:
    return Check(
        what="No row whose time is over has cells that it is to lose, but those that a hold keeps",
        looked_at=found.rows,
        found=max(0, found.over - held),
        # What a hold keeps may have lost its cells before it was placed.
        passed=found.over <= held,
        how=found.how,
    )


def _archived(archive: Archive, expected: int) -> Check:
    found = archived(archive.folder, archive.run)
    missing = expected - archive.done.before - found
    return Check(
        what="Every row that went is in the archive",
        looked_at=expected,
        found=abs(missing),
        passed=missing == 0,
        how="The files of the archive were counted once more, by Arrow's data set scanner",
    )


def _there(found: Left, *, expected: int) -> Check:
    return Check(
        what="Every row that was to stay is there",
        looked_at=expected,
        found=max(0, expected - found.rows),
        # Whoever writes the source may have added some meanwhile.
        passed=found.rows >= expected,
        how=found.how,
    )
