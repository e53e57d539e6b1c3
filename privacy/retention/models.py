"""Models of synthetic data end when their time is over, or that of rows that they learned from.

The ledger says so first, so that nothing is drawn any more; the bytes go next, and a second look finds none.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from airflow_veil.privacy.errors import UnverifiedError
from airflow_veil.privacy.ledger.models import LIVE, ModelRecord, ModelState
from airflow_veil.privacy.retention.clock import wall_clock
from airflow_veil.privacy.synthetic.files_left import files_left
from airflow_veil.privacy.synthetic.model_store import ModelStore

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_veil.privacy.release.workspace import Workspace


def expire_models(workspace: Workspace, *, actor: str, now: datetime | None = None) -> tuple[str, ...]:
    """End the models of a policy that are past their time, each with evidence.

    Returns:
        Their names.

    Raises:
        UnverifiedError: A file of a model that has ended is there still.
        StorageError: A file cannot be removed; it is by the next call.
        LedgerError: The ledger cannot be used.
    """
    due = workspace.ledger.models.due(workspace.loaded.policy.name, now or wall_clock())
    return _end(workspace, due, "its time is over", actor=actor)


def expire_models_of_rows(workspace: Workspace, dataset: str, *, actor: str) -> tuple[str, ...]:
    """End the models that learned from rows of a data set, before such rows go; those with a guarantee stay.

    Raises:
        UnverifiedError, StorageError, LedgerError: As `expire_models`.
    """
    records = workspace.ledger.models.listed(workspace.loaded.policy.name)
    found = [
        each for each in records if each.state in LIVE and dataset in each.learned_from and not each.private
    ]
    why = f"rows of {dataset} are over, and it may have learned from them"
    return _end(workspace, found, why, actor=actor)


def sweep_models(workspace: Workspace, older_than_seconds: float) -> int:
    """Remove files that killed fits left, or kills between the ledger and the file; returns how many."""
    known = {each.model_id for each in workspace.ledger.models.listed() if each.state in LIVE}
    return ModelStore(workspace.settings.models).sweep(known, older_than_seconds)


def destroy(workspace: Workspace, model_id: str, *, reason: str, actor: str) -> ModelRecord:
    """Destroy a model by hand; one that has ended loses its file, should that be there.

    Raises:
        SyntheticError: There is no such model.
        UnverifiedError, StorageError, LedgerError: As `expire_models`.
    """
    ended = workspace.ledger.models.end(model_id, ModelState.DESTROYED, reason, actor=actor)
    _remove(workspace, (ended,))
    return ended


def _end(workspace: Workspace, records: Iterable[ModelRecord], reason: str, *, actor: str) -> tuple[str, ...]:
    ended = tuple(
        workspace.ledger.models.end(each.model_id, ModelState.EXPIRED, reason, actor=actor)
        for each in records
    )
    _remove(workspace, ended)
    return tuple(each.model_id for each in ended)


def _remove(workspace: Workspace, ended: tuple[ModelRecord, ...]) -> None:
    store = ModelStore(workspace.settings.models)
    for each in ended:
        store.remove(each.model_id)
    left = files_left(store.folder, [each.model_id for each in ended])
    if left:
        raise UnverifiedError(
            f"{len(left)} files of models that have ended are there still",
            where=str(store.folder),
            fix="look who writes there, and run again",
        )
