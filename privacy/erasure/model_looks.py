"""Looks once more for models that may have learned of a batch's people, by code other than what ended them."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from airflow_veil.privacy.erasure.verify import Check
from airflow_veil.privacy.ledger.models import LIVE, ModelRecord
from airflow_veil.privacy.ledger.record import ReleaseRecord, ReleaseState
from airflow_veil.privacy.storage.base import DatasetIdentity
from airflow_veil.privacy.synthetic.files_left import files_left

if TYPE_CHECKING:
    from airflow_veil.privacy.release.workspace import Workspace

_OUT = (ReleaseState.CURRENT, ReleaseState.SUPERSEDED, ReleaseState.ROLLED_BACK)


def verify(
    workspace: Workspace, changed: Collection[str], sources: Collection[DatasetIdentity], *, since: datetime
) -> Iterator[Check]:
    """Look at the ledger, the folder of models and the releases.

    Args:
        workspace: The policy and its systems.
        changed: The data sets that people were erased from.
        sources: Their names in lineage, by which other policies' models are known.
        since: When they were clean.
    """
    mine = workspace.loaded.policy.name
    records = workspace.ledger.models.listed()
    own = [each for each in records if each.policy == mine]
    before = [each for each in own if each.begun_at < since and set(each.learned_from) & set(changed)]
    if own:
        usable = [each for each in before if each.state in LIVE]
        yield Check(
            store="models of synthetic data",
            what="models that learned from the data sets before they were clean",
            looked_at=len(own),
            found=len(usable),
        )
        yield _files(workspace, [each for each in own if each.state not in LIVE])
    yield from _releases(workspace, before)
    yield from _shared(workspace, changed, since)
    for each in records:
        same = {DatasetIdentity(**told) for told in each.learned_from.values()} & set(sources)
        if each.policy != mine and each.state in LIVE and each.begun_at < since and same:
            yield Check(
                store=each.where,
                what="model that learned from the same source before that was clean",
                looked_at=1,
                found=1,
                told=f"request the erasure with policy {each.policy}, too",
            )


def _shared(workspace: Workspace, changed: Collection[str], since: datetime) -> Iterator[Check]:
    """Models that were shared, and that people may have been in: of the data sets, or of rows that nobody knows."""
    policy = workspace.loaded.policy
    looked = found = allowed = 0
    for release in workspace.ledger.list(policy.name):
        told = (release.manifest or {}).get("model")
        known = told and told["trained_on"] in policy.datasets
        if told and (told["trained_on"] in changed or not known):
            looked += 1
            said = policy.models.get(release.dataset)
            out = _is_out(release, since)
            found += out
            allowed += out and said is not None and said.after_erasure is not None
    if looked:
        yield Check(
            store="models that were shared",
            what="models that were trained before their data sets were clean, and that others can read",
            looked_at=looked,
            found=found,
            allowed=allowed,
        )


def _is_out(release: ReleaseRecord, since: datetime) -> bool:
    return release.state in _OUT and release.published_at is not None and release.published_at < since


def _files(workspace: Workspace, ended: list[ModelRecord]) -> Check:
    what, folder = "files of models that have ended", workspace.settings.models
    try:
        left = files_left(folder, [each.model_id for each in ended])
    except OSError as error:
        return Check(store=str(folder), what=what, error=type(error).__name__)
    return Check(store=str(folder), what=what, looked_at=len(ended), found=len(left))


def _releases(workspace: Workspace, before: list[ModelRecord]) -> Iterator[Check]:
    """Releases that were drawn from them and that consumers can still read, but for those that may stay."""
    policy = workspace.loaded.policy
    said = policy.synthetic.releases if policy.synthetic else {}
    free = [each for each in before if each.charge_id is None]
    looked = found = allowed = 0
    for release in workspace.ledger.list(policy.name):
        synthetic = (release.manifest or {}).get("synthetic")
        model = next((each for each in free if synthetic and each.model_id == synthetic["model"]["id"]), None)
        if model is None:
            continue
        looked += 1
        if release.state in _OUT:
            found += 1
            rule = said.get(model.synthesis)
            allowed += rule is not None and rule.after_erasure is not None
    if looked:
        yield Check(
            store="releases of synthetic data",
            what="releases that were drawn from such models, without a guarantee",
            looked_at=looked,
            found=found,
            allowed=allowed,
        )
