"""`veil run`: the release of one data set, without Airflow."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from airflow_veil.cli import console
from airflow_veil.cli.options import OneDataset, Policy

if TYPE_CHECKING:
    from airflow_veil.privacy.release.interval import Interval
    from airflow_veil.privacy.release.reference import Reference
    from airflow_veil.privacy.release.workspace import Workspace


def run(
    policy: Policy,
    dataset: OneDataset,
    *,
    source: Annotated[
        str | None, typer.Option(metavar="URI", help="Read this instead of the policy's source.")
    ] = None,
    output: Annotated[
        str | None, typer.Option(metavar="URI", help="Release to this folder instead of the policy's.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Write what was published as JSON.")] = False,
) -> None:
    """Make the release of one data set and publish it: treated in one pass, validated, committed.

    It is what the nightly DAG does for this data set, without Airflow. Nothing but the treated rows is ever
    written; where the policy says `anonymize`, they lie in the private staging area until they are. A run that
    fails or is killed leaves the release before it in place.

    [bold]Examples[/bold]

    [green]veil run retail.yaml --dataset customers[/green]
    From the policy's source to its destination.

    [green]veil run retail.yaml -d customers --source today.parquet --output /tmp/try[/green]
    Another file, to another folder.
    """
    from airflow_veil.cli.workspace import workspace
    from airflow_veil.privacy.release.interval import Interval

    opened = workspace(policy, source=source, destination=output)
    done = _release(opened, dataset, Interval.by_hand())
    if json:
        console.as_json({**asdict(done), "destination": opened.destination.name})
        return
    counts = f"{done.rows_in:,} rows in, {done.rows_out:,} out"
    console.say(f"Published release {done.release_id} of {done.dataset}: {counts}.", style="green")
    _tell_left_out(opened, done)
    console.say(f"It is the current one in {opened.destination.name}.")


def _tell_left_out(opened: Workspace, done: Reference) -> None:
    """Say how many rows of erased people upstream sent again."""
    manifest = opened.ledger.release(done.release_id).manifest or {}
    if manifest.get("suppressed_rows"):
        console.say(
            f"Left out: {manifest['suppressed_rows']:,} rows of erased people that upstream sent again."
        )


def _release(opened: Workspace, dataset: str, interval: Interval) -> Reference:
    """Begin, treat, validate and publish; what was begun and fails is given up."""
    from airflow_veil.cli.workspace import actor
    from airflow_veil.privacy.release import service

    begun = service.begin(opened, dataset, interval, actor=actor())
    try:
        with console.progress(f"Treating {dataset}") as progress:
            staged = service.sanitize(opened, begun, actor=actor(), progress=progress)
        if opened.loaded.policy.datasets[dataset].anonymize is not None:
            staged = service.anonymize(opened, staged.reference, actor=actor())
            console.note(staged.summary)
        checked = service.validate(opened, staged.reference, actor=actor())
        allowed = _through_gate(opened, checked.reference)
        published = service.publish(opened, allowed, actor=actor()).reference
    except BaseException as error:
        # An interrupt, too: a run by hand has an interval of its own, so nobody would take this one up again.
        _give_up(opened, begun, interval, error)
        raise
    opened.scratch.scrub(dataset, begun.release_id)
    return published


def _through_gate(opened: Workspace, reference: Reference) -> Reference:
    """Measure, and decide where the policy has a gate. By hand a release goes out only if it is allowed as it is."""
    from airflow_veil.cli.workspace import actor
    from airflow_veil.privacy.errors import ReleaseError
    from airflow_veil.privacy.gate.decide import Outcome
    from airflow_veil.privacy.release import service

    policy = opened.loaded.policy
    if not policy.measured(reference.dataset):
        return reference
    measured = service.assess_staged(opened, reference, actor=actor())
    if policy.release is None or policy.release.gate is None:
        return measured.reference
    gated = service.gate(opened, measured.reference, actor=actor())
    if gated.decision.outcome is not Outcome.ALLOW:
        held = gated.decision.outcome is Outcome.APPROVAL
        raise ReleaseError(
            f"the gate {'asks for approval of' if held else 'denies'} the release:"
            f" {', '.join(gated.decision.reasons)}",
            where=reference.dataset,
            fix="let the nightly DAG ask somebody in Airflow"
            if held
            else "treat quasi-identifiers more strictly",
        )
    return gated.done.reference


def _give_up(opened: Workspace, begun: Reference, interval: Interval, error: BaseException) -> None:
    """Remove what was staged and say so in the ledger; the error that led here is the one to be told."""
    from airflow_veil.cli.workspace import actor
    from airflow_veil.privacy.errors import VeilError
    from airflow_veil.privacy.release import service

    with suppress(VeilError):
        service.scrub(opened, begun.dataset, interval, actor=actor())
        opened.ledger.discard(begun.release_id, reason=type(error).__name__, actor=actor())
