"""`veil retention`: rows and releases whose time is over."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from airflow_veil.cli import console
from airflow_veil.cli.audit import checkpoints_of
from airflow_veil.cli.options import Dataset, Policy

if TYPE_CHECKING:
    from airflow_veil.privacy.ledger.ledger import Ledger
    from airflow_veil.privacy.ledger.retention import RetentionRun
    from airflow_veil.privacy.release.workspace import Workspace
    from airflow_veil.privacy.retention.service import RetentionPlan

app = typer.Typer(no_args_is_help=True, help="Rows and releases whose time is over.")

_DONE = ("delete", "anonymize", "archive")

Json = Annotated[bool, typer.Option("--json", help="Write JSON.")]


@app.command()
def plan(policy: Policy, dataset: Dataset = None, *, json: Json = False) -> None:
    """Tell what is over, in counts; nothing is changed.

    Rows without a time, from before 1970 or from the future are never deleted: they are counted, for somebody to look
    at. So are rows that a hold keeps, and rows that wait for a release.

    [bold]Examples[/bold]

    [green]veil retention plan shop.yaml[/green]
    Of all data sets with a retention.

    [green]veil retention plan shop.yaml --dataset orders --json[/green]
    Of one, for a machine.
    """
    from airflow_veil.cli.workspace import workspace
    from airflow_veil.privacy.retention import service

    with workspace(policy) as opened:
        plans = [service.plan(opened, name) for name in _with_retention(opened, dataset)]
    if json:
        console.as_json([each.as_dict() for each in plans])
        return
    headings = (
        "data set",
        "rows before",
        "rows",
        "over",
        "held",
        "waiting",
        "no time",
        "before 1970",
        "future",
    )
    console.table("", headings, [_line(each) for each in plans], right=headings[2:])
    for each in plans:
        _tell(each)


@app.command()
def runs(dataset: Dataset = None, *, json: Json = False) -> None:
    """List what runs did, the last first.

    [bold]Examples[/bold]

    [green]veil retention runs --dataset orders[/green]
    When and what, and what each run is called.
    """
    with _ledger() as ledger:
        found = ledger.retention.listed(dataset=dataset)
    if json:
        told = ("run_id", "policy", "dataset", "planned", "done", "actor", "approved_by", "approval")
        console.as_json(
            [{"at": run.at.isoformat(), **{name: getattr(run, name) for name in told}} for run in found]
        )
        return
    headings = ("run", "at", "policy", "data set", "deleted", "anonymized", "archived")
    console.table("", headings, [_run_line(run) for run in found], right=headings[-3:])


@app.command()
def certificate(
    run: Annotated[
        str | None, typer.Argument(metavar="RUN", help="The run, by its name.", show_default=False)
    ] = None,
    dataset: Dataset = None,
    *,
    last: Annotated[
        bool, typer.Option("--last", help="The last run of the data set that is through.")
    ] = False,
    to: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Where to file it; VEIL_CERTIFICATES where not said."),
    ] = None,
    anchors: Annotated[
        str | None,
        typer.Option(metavar="PLACE", help="Where checkpoints are, for the proof.", show_default=False),
    ] = None,
    key: Annotated[
        list[str] | None,
        typer.Option("--key", metavar="VKEY", help="A verifier key, or a file of it.", show_default=False),
    ] = None,
    json: Json = False,
) -> None:
    """File the certificate of a run, for machines and for people: what was deleted, what stays, what was checked.

    The same run has one certificate, however often it is asked for. It is proven once a checkpoint covers it: name the
    place of the checkpoints, after the next one. `veil audit check` checks it without a ledger.

    [bold]Examples[/bold]

    [green]veil retention certificate --last --dataset orders --to certificates/[/green]
    Of the last run.

    [green]veil retention certificate 0123abcd… --to out/ --anchors checkpoints/ --key veil.vkey[/green]
    With its proof.
    """
    from airflow_veil.cli.workspace import actor
    from airflow_veil.privacy.audit.certificate import proven, write
    from airflow_veil.privacy.retention.certificate import file_run
    from airflow_veil.privacy.settings import Settings

    if last == (run is not None) or last != (dataset is not None):
        raise typer.BadParameter("name either a RUN, or --last with a --dataset")
    if (anchors is None) != (not key):
        raise typer.BadParameter("a proof needs both --anchors and --key")
    folder = to or Settings.from_env().certificates
    with _ledger() as ledger:
        named = run or _last_run(ledger, dataset or "")
        issued, path = file_run(ledger, named, folder, actor=actor())
        if anchors is not None:
            issued = proven(ledger, issued, checkpoints_of(anchors, key or ()))
            path = write(issued, folder)
    if json:
        console.as_json({"file": str(path), "digest": issued.digest, "anchored": issued.anchored})
        return
    console.say(f"Filed {path} and the page beside it.", style="green")
    console.say(issued.log_said, style="" if issued.anchored else "yellow")


@app.command()
def enforce(
    policy: Policy,
    dataset: Dataset = None,
    *,
    releases: Annotated[
        bool, typer.Option("--releases", help="End releases that are past their time, instead of rows.")
    ] = False,
    approve: Annotated[
        str | None,
        typer.Option(
            metavar="REASON",
            help="Why more may go than one run may delete; kept as evidence. No personal data.",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Delete the rows of a data set whose time is over, from its source, for good; or anonymize or archive them.

    Only files that hold such rows are touched, each in one step; killed anywhere, the same command does the rest.
    Where more would go than the policy lets one run delete, or the clock cannot be believed, nothing is done until
    somebody has looked at the plan and gives a reason.

    [bold]Examples[/bold]

    [green]veil retention enforce shop.yaml --dataset orders[/green]
    What the DAG does for this data set: delete, look again, file a certificate.

    [green]veil retention enforce shop.yaml -d orders --approve "ticket 4711: first run, two years are over"[/green]
    More than one run may delete.

    [green]veil retention enforce shop.yaml --releases[/green]
    Releases past `expires_after`: also the current one, of which consumers then see none.
    """
    if releases == (dataset is not None):
        raise typer.BadParameter("name either a --dataset or --releases")
    if dataset is None:
        _end_releases(policy, json=json)
        return
    _delete_rows(policy, dataset, approve, json=json)


def _delete_rows(policy: Policy, dataset: str, approve: str | None, *, json: bool) -> None:
    from airflow_veil.cli.workspace import actor, workspace
    from airflow_veil.privacy.retention import service
    from airflow_veil.privacy.retention.certificate import file_run

    approval = None if approve is None else service.Approval(by=actor(), reason=approve)
    with workspace(policy) as opened:
        done = service.enforce(opened, dataset, actor=actor(), approval=approval)
        issued, path = file_run(opened.ledger, done.run_id, opened.settings.certificates, actor=actor())
    if json:
        console.as_json(done.as_dict() | {"certificate": {"file": str(path), "digest": issued.digest}})
        return
    console.note(f"The certificate is {path}")
    console.say(done.told, style="green")


def _end_releases(policy: Policy, *, json: bool) -> None:
    from airflow_veil.cli.workspace import actor, workspace
    from airflow_veil.privacy.retention import expiry, models

    with workspace(policy) as opened:
        gone = models.expire_models(opened, actor=actor())
        ended = expiry.expire(opened, actor=actor())
    if json:
        console.as_json(ended.as_dict() | {"models": list(gone)})
        return
    console.say(f"Ended {len(ended.releases)} releases, {ended.current} of them current.", style="green")
    if gone:
        console.say(f"Destroyed {len(gone)} models of synthetic data whose time is over.", style="green")
    if ended.elsewhere:
        console.say(f"{ended.elsewhere} more are due at other destinations.", style="yellow")


def _last_run(ledger: Ledger, dataset: str) -> str:
    """The name of the last run of a data set that is through."""
    from airflow_veil.privacy.errors import RetentionError

    found = [run for run in ledger.retention.listed(dataset=dataset) if run.done is not None]
    if not found:
        raise RetentionError("no run is through", where=dataset, fix="run `veil retention enforce`")
    return found[0].run_id


def _ledger() -> Ledger:
    from airflow_veil.privacy.release.workspace import own_ledger
    from airflow_veil.privacy.settings import Settings

    return own_ledger(Settings.from_env())


def _run_line(run: RetentionRun) -> Sequence[str]:
    # Runs of older versions only deleted.
    counts = ("not through",) * 3 if run.done is None else [f"{run.done.get(word, 0):,}" for word in _DONE]
    return (run.run_id, f"{run.at:%Y-%m-%d %H:%M}", run.policy, run.dataset, *counts)


def _with_retention(opened: Workspace, dataset: str | None) -> Sequence[str]:
    """The data set that was asked for, or all that have a retention."""
    from airflow_veil.privacy.errors import RetentionError

    datasets = opened.loaded.policy.datasets
    if dataset is not None:
        return (dataset,)
    found = [name for name, data in datasets.items() if data.retention is not None]
    if not found:
        raise RetentionError(
            "no data set of the policy has a retention",
            where=opened.loaded.path.name,
            fix="add `retention: {after: …, from: …}` to one",
        )
    return found


def _line(planned: RetentionPlan) -> Sequence[str]:
    counts = planned.counts
    told = (counts.rows, counts.changed, counts.held, counts.waiting)
    quarantined = (counts.null, counts.before_1970, counts.future)
    return (planned.dataset, planned.cut.until.isoformat(), *(f"{each:,}" for each in (*told, *quarantined)))


def _tell(planned: RetentionPlan) -> None:
    files = planned.files
    if files.dropped or files.rewritten or files.untouched:
        unread = f"{files.dropped} files go whole, {files.unread} of them unread"
        console.say(
            f"{planned.dataset}: {unread}; {files.rewritten} are rewritten, {files.untouched} stay as they are"
        )
    if planned.waits_for:
        console.say(f"{planned.dataset} waits for releases of {', '.join(planned.waits_for)}", style="yellow")
    for objection in planned.objections:
        console.say(f"{planned.dataset} needs approval: {objection}", style="yellow")
