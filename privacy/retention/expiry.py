"""Releases end as their policy says: they are withdrawn from where consumers read, and marked as expired.

What consumers read goes first, and the ledger's row follows; a kill in between is mended by the same call.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow_veil.privacy.ledger.record import ReleaseRecord
from airflow_veil.privacy.retention.clock import wall_clock

if TYPE_CHECKING:
    from airflow_veil.privacy.release.workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class Expired:
    """Which releases ended.

    Attributes:
        releases: Their names.
        current: How many of them were the current one, so that consumers see none.
        elsewhere: Due releases of the policy at other destinations, which are left to whoever works there.
    """

    releases: tuple[str, ...]
    current: int
    elsewhere: int

    def as_dict(self) -> dict[str, Any]:
        """The same for XCom and for machines."""
        return {"releases": list(self.releases), "current": self.current, "elsewhere": self.elsewhere}


def due(workspace: Workspace, now: datetime | None = None) -> tuple[ReleaseRecord, ...]:
    """The releases of a policy that are past their time, and not ended yet."""
    policy = workspace.loaded.policy.name
    return tuple(each for each in workspace.ledger.due(now or wall_clock()) if each.policy == policy)


def expire(workspace: Workspace, *, actor: str, now: datetime | None = None) -> Expired:
    """End the releases of a policy that are past their time, each with evidence.

    Raises:
        ReleaseError: The policy names no destination.
        StorageError: A release cannot be withdrawn; it is ended by the next call.
        LedgerError: The ledger cannot be used.
    """
    found = due(workspace, now)
    mine = [each for each in found if each.destination == workspace.destination_of(each.dataset).name]
    current = 0
    for each in mine:
        current += workspace.destination_of(each.dataset).current(each.dataset) == each.release_id
        end(workspace, each, actor=actor)
    return Expired(
        releases=tuple(each.release_id for each in mine), current=current, elsewhere=len(found) - len(mine)
    )


def end(workspace: Workspace, record: ReleaseRecord, *, actor: str, reason: str | None = None) -> None:
    """Withdraw one release from where consumers read, and mark it as expired; may be repeated.

    Args:
        workspace: The policy and its systems.
        record: The release.
        actor: Who ends it.
        reason: Why, where its time was not over.

    Raises:
        StorageError: It cannot be withdrawn.
        LedgerError: The ledger cannot be used.
    """
    workspace.destination_of(record.dataset).withdraw(record.dataset, record.release_id)
    workspace.ledger.expire(record.release_id, actor=actor, reason=reason)
    _show_current(workspace, record)


def _show_current(workspace: Workspace, ended: ReleaseRecord) -> None:
    """Whoever published just then made its release the current one: it must not be hidden with the old one."""
    now = workspace.ledger.current(ended.policy, ended.dataset, destination=ended.destination)
    destination = workspace.destination_of(ended.dataset)
    if now is not None and destination.current(ended.dataset) is None:
        destination.switch(ended.dataset, now.release_id)
