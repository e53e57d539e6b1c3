"""The life of a synthetic release, as tasks and commands call it.

    fit ──► sample ──► evaluate ──► publish                    scrub

Each function is one task's work; it can be killed anywhere and called again, by a retry or by two workers at once.
Between tasks travel a `SyntheticReference`, the ledger's drafts of the manifests, the sealed model and the staged rows:
never a row or a score by XCom.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from airflow_veil.privacy.errors import ReleaseError, VeilError
from airflow_veil.privacy.gate.decide import Outcome
from airflow_veil.privacy.ledger.record import ReleaseState
from airflow_veil.privacy.release.gate import gate
from airflow_veil.privacy.release.interval import Interval
from airflow_veil.privacy.release.scrub import Scrubbed
from airflow_veil.privacy.release.scrub import scrub as scrub_one
from airflow_veil.privacy.release.synthetic_evaluate import evaluate
from airflow_veil.privacy.release.synthetic_fit import fit, planned_fit
from airflow_veil.privacy.release.synthetic_names import names_of
from airflow_veil.privacy.release.synthetic_publish import publish
from airflow_veil.privacy.release.synthetic_reference import Made, SyntheticReference
from airflow_veil.privacy.release.synthetic_sample import Given, sample
from airflow_veil.privacy.release.workspace import Workspace

__all__ = [
    "Given",
    "Made",
    "SyntheticReference",
    "evaluate",
    "fit",
    "planned_fit",
    "publish",
    "run",
    "sample",
    "scrub",
]


def run(
    workspace: Workspace,
    name: str,
    interval: Interval,
    *,
    actor: str,
    progress: Callable[[str], None],
    rows: int | None = None,
    given: Given | None = None,
    suffix: str = "",
    seed: int | None = None,
    charts: Path | None = None,
) -> tuple[Made, ...]:
    """Fit, draw, evaluate and publish, in one go; what was drawn and does not get through is discarded.

    Args:
        workspace: The policy and its systems.
        name: The synthesis.
        interval: What the release stands for.
        actor: Who runs it.
        progress: Told how far it is: names and counts.
        rows: See `sample`.
        given: See `sample`.
        suffix: See `sample`.
        seed: See `sample`.
        charts: See `evaluate`.

    Returns:
        What each of the four steps did.

    Raises:
        VeilError: See the steps.
    """
    # What cannot be published is not begun: a model may cost money.
    names_of(workspace.loaded, name, suffix)
    if bool(given) != bool(suffix):
        raise ReleaseError("values and a suffix go together", where=name, fix="give both, or neither")
    fitted = fit(workspace, name, interval, actor=actor, progress=progress)
    drawn = sample(
        workspace,
        fitted.reference,
        interval,
        actor=actor,
        progress=progress,
        rows=rows,
        given=given,
        suffix=suffix,
        seed=seed,
    )
    try:
        judged = evaluate(workspace, drawn.reference, actor=actor, progress=progress, charts=charts)
        _through_gate(workspace, judged.reference, actor=actor)
        published = publish(workspace, judged.reference, actor=actor)
    except VeilError as error:
        if not error.retryable:
            _give_up(workspace, drawn.reference, error, actor=actor)
        raise
    return fitted, drawn, judged, published


def _through_gate(workspace: Workspace, reference: SyntheticReference, *, actor: str) -> None:
    """Decide where the policy has a gate. In one go a release goes out only if it is allowed as it is.

    Raises:
        ReleaseError: It is denied, or somebody would have to approve it.
    """
    release = workspace.loaded.policy.release
    if release is None or release.gate is None or reference.published:
        return
    for each in reference.of_tables():
        decision = gate(workspace, each, actor=actor).decision
        if decision.outcome is not Outcome.ALLOW:
            held = decision.outcome is Outcome.APPROVAL
            raise ReleaseError(
                f"the gate {'asks for approval of' if held else 'denies'} the release: {', '.join(decision.reasons)}",
                where=each.dataset,
                fix="let the DAG `synthetic_refresh_dag` ask somebody in Airflow"
                if held
                else "spend less, or change the gate of the policy",
            )


def scrub(
    workspace: Workspace,
    name: str,
    interval: Interval,
    *,
    actor: str,
    suffix: str = "",
    orphans_after: float | None = None,
) -> Scrubbed:
    """Remove what the runs of an interval staged and did not publish, and what killed runs left behind.

    Args:
        workspace: The policy and its systems.
        name: The synthesis.
        interval: The run's interval.
        actor: Who scrubs.
        suffix: What tells the release from the one of the whole.
        orphans_after: Seconds after which staging that nobody holds is an orphan; as the policy says where None.

    Raises:
        StorageError: Something cannot be removed.
        LedgerError: The ledger cannot be used.
    """
    done = [
        scrub_one(workspace, each, interval, actor=actor, orphans_after=orphans_after)
        for each in names_of(workspace.loaded, name, suffix).values()
    ]
    return Scrubbed(own=sum(each.own for each in done), orphans=sum(each.orphans for each in done))


def _give_up(workspace: Workspace, reference: SyntheticReference, error: VeilError, *, actor: str) -> None:
    """Discard what is staged; the error that led here is the one to be told."""
    for release_id in reference.releases.values():
        with suppress(VeilError):
            release = workspace.ledger.release(release_id)
            if release.state is ReleaseState.STAGED:
                workspace.ledger.discard(release_id, reason=type(error).__name__, actor=actor)
                workspace.destination.discard(release.dataset, release_id)
