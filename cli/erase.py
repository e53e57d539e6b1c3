"""`veil erase`: people who ask to be erased, and until when that has to be done."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from airflow_veil.cli import console
from airflow_veil.cli.options import Policy

if TYPE_CHECKING:
    from airflow_veil.privacy.ledger.erasures import Request
    from airflow_veil.privacy.release.workspace import Workspace

NEAR = LEFT = 8
"""The exit code where requests are due, or something is left of them: somebody has to do something."""

app = typer.Typer(no_args_is_help=True, help="People who ask to be erased.")

OneRequest = Annotated[str, typer.Argument(metavar="REQUEST", help="The request.", show_default=False)]
Reason = Annotated[
    str,
    typer.Option(
        help="Why; kept as evidence, at least ten characters. No personal data.", show_default=False
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Write JSON.")]

_SHOWN = ("request_id", "policy", "state", "due_at", "paused_at", "requested_at", "requested_by")
_SECRET = ("sealed", "subject")
"""What is shown nowhere: no use to anybody who reads it."""


@app.command()
def request(
    policy: Policy,
    *,
    name: Annotated[
        list[str] | None,
        typer.Option(
            "--id",
            metavar="NAME[=VALUE]",
            help="By what the person is named: an identifier of the policy. Without a value it is read from standard"
            " input, one line for each such name; with none at all, lines NAME=VALUE are.",
        ),
    ] = None,
    batch: Annotated[
        Path | None,
        typer.Option(help="A CSV file with a column for each identifier and a row for each person."),
    ] = None,
    received: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%d"], help="The day it came, in the policy's time zone; today where not said."
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Take down that somebody asks to be erased. Make sure first that it is the person who asks.

    Give values on standard input: an argument stands in the shell's history and in the list of processes. They are
    sealed at once, and shown nowhere. A person who is named the same way twice has one request.

    [bold]Examples[/bold]

    [green]veil erase request shop.yaml --id email < address.txt[/green]
    Somebody by an address.

    [green]veil erase request shop.yaml < person.txt[/green]
    By several, on lines such as email=old@example.com; a name may stand on several lines.

    [green]veil erase request shop.yaml --batch people.csv --received 2026-01-31[/green]
    Many people, whose letters came some days ago.
    """
    from airflow_veil.cli import erase_input
    from airflow_veil.cli.workspace import workspace

    if batch is not None and name:
        raise typer.BadParameter("give either --id or --batch")
    people = erase_input.of_file(batch) if batch else [erase_input.of_person(name or [], sys.stdin)]
    with workspace(policy) as opened:
        placed = _placed(opened, people, received)
    if json:
        console.as_json([_public(each) for each in placed])
        return
    for each in placed:
        console.say(f"{each.request_id} is due by {_day(each)}", style="green")


@app.command("list")
def list_(
    *,
    policy: Annotated[str | None, typer.Option(help="The name of a policy; all where not said.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Those that are through, too.")] = False,
    due_within: Annotated[
        str | None,
        typer.Option(
            metavar="PERIOD", help="Those that are due within, such as P7D, or overdue; ends with 8 if any."
        ),
    ] = None,
    json: Json = False,
) -> None:
    """List requests, what is due first comes first, from the ledger.

    [bold]Examples[/bold]

    [green]veil erase list[/green]
    Those that are open.

    [green]veil erase list --due-within P7D || page somebody[/green]
    What has to be done in a week. What a hold keeps and what is paused has no such day.
    """
    from airflow_veil.privacy.erasure import deadline
    from airflow_veil.privacy.ledger.erasures import ENDED

    with _ledger() as opened:
        found = opened.erasures.listed(policy)
    if not everything:
        found = tuple(each for each in found if each.state not in ENDED)
    if due_within is not None:
        now = datetime.now(UTC)
        found = deadline.overdue(found, now) + deadline.near(found, now, due_within)
    _tell(found, json=json)
    if due_within is not None and found:
        raise typer.Exit(NEAR)


@app.command()
def show(one: OneRequest, *, json: Json = False) -> None:
    """Show one request: where it is, until when it has to be done, how it ended, in counts.

    [bold]Examples[/bold]

    [green]veil erase show erasure-0123456789abcdef --json[/green]
    For a machine. Whom it names is not shown.
    """
    with _ledger() as opened:
        found = _public(opened.erasures.find(one))
    if json:
        console.as_json(found)
        return
    rows = [(word, _text(value)) for word, value in found.items() if value is not None]
    console.table("", ("", ""), rows)


@app.command()
def extend(
    one: OneRequest,
    reason: Reason,
    by: Annotated[str, typer.Option(metavar="PERIOD", help="By how long, such as P2M.", show_default=False)],
    *,
    json: Json = False,
) -> None:
    """Move the deadline of a request, counted from the day that it was due on without extensions.

    [bold]Examples[/bold]

    [green]veil erase extend erasure-0123456789abcdef --by P2M --reason "many requests at once"[/green]
    Tell the person, too, within the first month.
    """
    from airflow_veil.cli.workspace import actor
    from airflow_veil.privacy.erasure import deadline

    with _ledger() as opened:
        found = opened.erasures.find(one)
        due_at = deadline.extended(found.first_due_at, by, found.time_zone)
        changed = opened.erasures.extend(one, due_at=due_at, reason=reason, actor=actor())
    _say(changed, f"is due by {_day(changed)}", json=json)


@app.command()
def pause(one: OneRequest, reason: Reason, *, json: Json = False) -> None:
    """Stop the clock of a request and leave it out of batches, such as while it is in doubt who asks.

    [bold]Examples[/bold]

    [green]veil erase pause erasure-0123456789abcdef --reason "identity in doubt, asked back"[/green]
    It waits until `veil erase resume`.
    """
    from airflow_veil.cli.workspace import actor

    with _ledger() as opened:
        changed = opened.erasures.pause(one, reason=reason, actor=actor())
    _say(changed, "is paused", json=json)


@app.command()
def resume(one: OneRequest, reason: Reason, *, json: Json = False) -> None:
    """Let the clock of a request run again; it is due as much later as the clock stood.

    [bold]Examples[/bold]

    [green]veil erase resume erasure-0123456789abcdef --reason "identity is confirmed"[/green]
    The next batch takes it.
    """
    from airflow_veil.cli.workspace import actor

    with _ledger() as opened:
        changed = opened.erasures.resume(one, reason=reason, actor=actor())
    _say(changed, f"is due by {_day(changed)}", json=json)


@app.command()
def cancel(one: OneRequest, reason: Reason, *, json: Json = False) -> None:
    """Take a request back before anything is erased; what it names is destroyed.

    [bold]Examples[/bold]

    [green]veil erase cancel erasure-0123456789abcdef --reason "taken back by the person"[/green]
    Once its batch is frozen it can no longer be taken back.
    """
    from airflow_veil.cli.workspace import actor

    with _ledger() as opened:
        changed = opened.erasures.cancel(one, reason=reason, actor=actor())
    _say(changed, "is cancelled", json=json)


def _placed(
    opened: Workspace, people: Sequence[dict[str, list[str]]], received: datetime | None
) -> list[Request]:
    from zoneinfo import ZoneInfo

    from airflow_veil.cli.workspace import actor
    from airflow_veil.privacy.erasure import requests

    rule = opened.loaded.policy.erasure
    zone = ZoneInfo(rule.time_zone) if rule else UTC
    at = None if received is None else received.replace(tzinfo=zone)
    return list(requests.place_all(opened, people, actor=actor(), received_at=at))


def _tell(found: Sequence[Request], *, json: bool) -> None:
    shown = [_public(each) for each in found]
    if json:
        console.as_json(shown)
        return
    rows = [tuple("" if each[word] is None else _text(each[word]) for word in _SHOWN) for each in shown]
    console.table("", _SHOWN, rows)


def _say(changed: Request, what: str, *, json: bool) -> None:
    if json:
        console.as_json(_public(changed))
        return
    console.say(f"{changed.request_id} {what}", style="green")


def _public(found: Request) -> dict[str, Any]:
    """A request for everybody's eyes: names, times and counts."""
    return {word: _plain(value) for word, value in asdict(found).items() if word not in _SECRET}


def _plain(value: Any) -> Any:
    return value.isoformat(timespec="seconds") if isinstance(value, datetime) else value


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _day(found: Request) -> str:
    """The deadline by the clocks of whoever set it."""
    from zoneinfo import ZoneInfo

    return found.due_at.astimezone(ZoneInfo(found.time_zone)).isoformat(timespec="seconds")


def _ledger() -> Any:
    from airflow_veil.privacy.release.workspace import own_ledger
    from airflow_veil.privacy.settings import Settings

    return own_ledger(Settings.from_env())
