"""What becomes of models, of what was drawn from them, and of those that were shared, when somebody is erased.

Nobody can look into a model for a person. So each that learned from a data set in which the person was, or whose source
has changed since, so that nobody can say that they were not in it, is stale: its bytes are destroyed, nothing is drawn
from it any more, and the next run fits another, to rows without the person. What is staged of it is discarded.

What it published is withdrawn, for rows of a method without a guarantee may repeat something of somebody; it stays
where the policy says why (`after_erasure`), or where the method is differentially private.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_veil.privacy.erasure.dossier import Dossier
from airflow_veil.privacy.erasure.releases import LIVE, place_of
from airflow_veil.privacy.erasure.shared_models import BY_ERASURE, may_know, why_it_stays
from airflow_veil.privacy.errors import ReleaseError, VeilError
from airflow_veil.privacy.ledger.models import ModelRecord, ModelState
from airflow_veil.privacy.ledger.record import ReleaseRecord, ReleaseState
from airflow_veil.privacy.retention.expiry import end
from airflow_veil.privacy.synthetic.model_store import ModelStore

if TYPE_CHECKING:
    from airflow_veil.privacy.release.workspace import Workspace

PRIVATE = "its method is differentially private: what it tells of any one person is bounded"
"""Why releases of such methods stay."""


@dataclass(frozen=True, kw_only=True)
class Ended:
    """What became of models and of what was drawn from them.

    Attributes:
        stale: Synthesis to its models that are to be fitted anew.
        withdrawn: Releases that are gone.
        kept: Releases that stay, and why.
        discarded: Releases that were staged.
        problems: What could not be done.
    """

    stale: dict[str, list[str]] = field(default_factory=dict)
    withdrawn: list[str] = field(default_factory=list)
    kept: dict[str, str] = field(default_factory=dict)
    discarded: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """The same for a machine to read: names."""
        return {
            "stale": self.stale,
            "withdrawn": self.withdrawn,
            "kept": self.kept,
            "discarded": self.discarded,
            "problems": self.problems,
        }


def end_models(workspace: Workspace, dossier: Dossier, *, batch_id: str, actor: str) -> Ended:
    """End the models that may have learned of the people of a batch; done again, it goes on from where it was.

    The ledger says first that a model is stale, so that nothing can be drawn from it or published any more.

    Raises:
        StorageError: A file cannot be removed, or a release not withdrawn; the same call goes on from there.
        LedgerError: The ledger cannot be used.
    """
    done, ledger = Ended(), workspace.ledger
    store = ModelStore(workspace.settings.models)
    records = ledger.models.listed(workspace.loaded.policy.name)
    reached = {each.model_id: each for each in records if _reached(workspace, each, dossier)}
    reason = f"{BY_ERASURE}{batch_id}"
    for record in reached.values():
        ended = ledger.models.end(record.model_id, ModelState.STALE, reason, actor=actor)
        # What had ended before may have its file still: a kill may have come between the ledger and that.
        removed = store.remove(record.model_id)
        if record.state is ModelState.FITTED and not removed:
            done.problems.append(f"the file of model {record.model_id} is not in {store.folder}")
        if ended.reason == reason:
            done.stale.setdefault(record.synthesis, []).append(record.model_id)
    for release in ledger.list(workspace.loaded.policy.name):
        model = reached.get(model_of(release) or "")
        if model is not None:
            why = PRIVATE if model.private else _exempt(workspace, model.synthesis)
        elif may_know(workspace, release, dossier):
            why = why_it_stays(workspace, release)
        else:
            continue
        _end_release(workspace, release, why, done, batch_id=batch_id, actor=actor)
    return done


def model_of(release: ReleaseRecord) -> str | None:
    """The model that a release was drawn from; None of one that is not synthetic."""
    told = (release.manifest or {}).get("synthetic")
    return str(told["model"]["id"]) if told else None


def _reached(workspace: Workspace, record: ModelRecord, dossier: Dossier) -> bool:
    """Whether a model may have learned of somebody of the batch."""
    if not record.learned_from:
        return False
    found = (dossier.counts.get(name, {}) for name in record.learned_from)
    if any(any(counts) for kinds in found for counts in kinds.values()):
        return True
    return _changed(workspace, record)


def _changed(workspace: Workspace, record: ModelRecord) -> bool:
    """Whether the rows that it learned from are no longer there to be looked at."""
    from airflow_veil.privacy.release.synthetic_sources import version_of

    try:
        sources = {name: workspace.source(name) for name in record.learned_from}
        return version_of(sources) != record.data_version
    except VeilError:
        return True


def _end_release(
    workspace: Workspace,
    release: ReleaseRecord,
    why: str | None,
    done: Ended,
    *,
    batch_id: str,
    actor: str,
) -> None:
    """Discard, withdraw or, where something says why, keep what was made of a model."""
    at, name = place_of(workspace, release), release.release_id
    if release.state is ReleaseState.STAGED:
        try:
            workspace.ledger.discard(name, reason=f"{BY_ERASURE}{batch_id}", actor=actor)
            done.discarded.append(name)
        except ReleaseError:
            # It was published just now.
            release = workspace.ledger.release(name)
    if release.state in (ReleaseState.STAGED, ReleaseState.DISCARDED) and at is not None:
        at.destination.discard(release.dataset, name)
    if release.state not in LIVE:
        return
    if why is not None:
        done.kept[name] = why
    elif at is None:
        done.problems.append(f"release {name} is at {release.destination}, which is not reached from here")
    else:
        end(at, release, actor=actor, reason=f"{BY_ERASURE}{batch_id}")
        done.withdrawn.append(name)


def _exempt(workspace: Workspace, synthesis: str) -> str | None:
    """Why releases of a synthesis stay, as the policy says; None where they go."""
    synthetic = workspace.loaded.policy.synthetic
    said = synthetic.releases.get(synthesis) if synthetic else None
    return said.after_erasure.exempt if said is not None and said.after_erasure is not None else None


def told(done: Mapping[str, Any]) -> str:
    """What was done, in a sentence for the certificate."""
    stale = {name: len(models) for name, models in done["stale"].items()}
    parts = [
        "destroyed, to be fitted anew without the people of this batch: "
        + ", ".join(f"{count} of {name}" for name, count in stale.items())
        if stale
        else "",
        f"{len(done['withdrawn'])} releases withdrawn" if done["withdrawn"] else "",
        f"{len(done['kept'])} releases stay" if done["kept"] else "",
    ]
    return f"{'; '.join(filter(None, parts)) or 'no model may have learned of them'}."
