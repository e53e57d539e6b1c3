"""`veil erase run`, `replay`, `readmit`, `certificate`: requests are carried out, again after a restore, certified."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from airflow_veil.cli import console
from airflow_veil.cli.erase import LEFT, Json, OneRequest, Reason, app
from airflow_veil.cli.options import Policy

__all__ = ["app"]

if TYPE_CHECKING:
    from airflow_veil.privacy.erasure.batch import Concluded
    from airflow_veil.privacy.release.workspace import Workspace

Certificates = Annotated[
    Path | None,
    typer.Option(
        "--certificates", help="Folder of the certificates; that of the installation where not said."
    ),
]


@app.command()
def run(
    policy: Policy,
    *,
    request: Annotated[
        str | None, typer.Option(help="One request alone; all that wait where not said.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Tell what would be erased, in counts; nothing is changed.")
    ] = False,
    certificates: Certificates = None,
    json: Json = False,
) -> None:
    """Erase who asked for it: find all that is known of them, erase it, look again, and certify it.

    All requests that wait are one batch; one that is open is gone on with. Ends with 8 where something is left, and
    names it.

    [bold]Examples[/bold]

    [green]veil erase run shop.yaml --dry-run[/green]
    What would be erased.

    [green]veil erase run shop.yaml[/green]
    All requests that wait.
    """
    from airflow_veil.cli.workspace import actor, workspace
    from airflow_veil.privacy.erasure import service

    with workspace(policy) as opened:
        if dry_run:
            _forecast(service.forecast(opened, only=request), json=json)
            return
        done = service.run(opened, actor=actor(), only=request)
        _end(opened, done, certificates, json=json)


@app.command()
def replay(policy: Policy, *, certificates: Certificates = None, json: Json = False) -> None:
    """Erase once more whoever was erased and is in the sources again: the first step after a restore.

    [bold]Example[/bold]

    [green]veil erase replay shop.yaml[/green]
    """
    from airflow_veil.cli.workspace import actor, workspace
    from airflow_veil.privacy.erasure import service

    with workspace(policy) as opened:
        _end(opened, service.replay(opened, actor=actor()), certificates, json=json)


@app.command()
def readmit(policy: Policy, request: OneRequest, reason: Reason, *, json: Json = False) -> None:
    """Take what a request has suppressed off the list: the person comes back, and is to be let in.

    [bold]Example[/bold]

    [green]veil erase readmit shop.yaml erasure-0123456789abcdef --reason "a customer again since May"[/green]
    """
    from airflow_veil.cli.workspace import actor, workspace

    with workspace(policy) as opened:
        name = opened.loaded.policy.name
        gone = opened.ledger.suppression.remove(name, request, reason=reason, actor=actor())
    if json:
        console.as_json({"request": request, "entries": gone})
    else:
        console.say(f"{gone} entries of {request} are off the suppression list.", style="green")


@app.command()
def certificate(
    policy: Policy,
    request: OneRequest,
    *,
    to: Annotated[
        Path | None, typer.Option(help="Folder to write it to; that of the installation where not said.")
    ] = None,
) -> None:
    """Write the certificate of a request, as JSON and as a page.

    [bold]Example[/bold]

    [green]veil erase certificate shop.yaml erasure-0123456789abcdef --to certificates/[/green]
    """
    from airflow_veil.cli.workspace import actor, workspace
    from airflow_veil.privacy.erasure import certificate as certificates

    with workspace(policy) as opened:
        folder = to or opened.settings.certificates
        _, path = certificates.file_request(opened, request, folder, actor=actor())
    console.say(str(path), style="green")


def _end(opened: Workspace, done: Concluded | None, folder: Path | None, *, json: bool) -> None:
    """Certify a batch, and tell how it ended."""
    from airflow_veil.cli.workspace import actor
    from airflow_veil.privacy.erasure import certificate as certificates

    if done is None:
        if json:
            console.as_json({"requests": {}})
        else:
            console.say("Nobody is to be erased.", style="green")
        return
    written = certificates.file_batch(
        opened, done.batch_id, folder or opened.settings.certificates, actor=actor()
    )
    if json:
        console.as_json({**done.as_dict(), "certificates": [str(path) for path in written]})
    else:
        for name, state in done.states.items():
            console.say(f"{name} is {state}", style="green" if done.complete else "yellow")
        for problem in done.problems:
            console.note(problem, style="red")
    if not done.complete:
        raise typer.Exit(LEFT)


def _forecast(told: dict[str, Any], *, json: bool) -> None:
    if json:
        console.as_json(told)
        return
    headings = ("data set", "rows", "delete", "mask", "held", "files", "untouched")
    rows = [
        (name, *(f"{counts[word]:,}" for word in headings[1:])) for name, counts in told["datasets"].items()
    ]
    console.table(f"{told['requests']} requests", headings, rows, right=headings[1:])
    for name, counts in told["exempt"].items():
        console.say(f"{name}: {counts['rows']:,} rows stay: {'; '.join(counts['why'])}")
    for name, how in told["recompute"].items():
        console.say(f"{name} has to be made anew: {how['how']}", style="yellow")
    if told["refused"]:
        console.say(f"{told['refused']} requests name several people, and would be refused.", style="yellow")
