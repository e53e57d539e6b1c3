"""`veil holds`: rows that must stay although their time is over."""

from __future__ import annotations

import sys
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from airflow_veil.cli import console
from airflow_veil.cli.options import OneDataset, Policy

if TYPE_CHECKING:
    from airflow_veil.privacy.ledger.holds import Hold, Holds

app = typer.Typer(no_args_is_help=True, help="Rows that must stay although their time is over.")

Reason = Annotated[
    str,
    typer.Option(
        help="Why; kept as evidence, at least ten characters. No personal data.", show_default=False
    ),
]

_SHOWN = ("hold_id", "policy", "dataset", "subjects", "placed_at", "placed_by", "reason", "lifted_at")


@app.command()
def place(
    policy: Policy,
    dataset: OneDataset,
    reason: Reason,
    *,
    all_rows: Annotated[bool, typer.Option("--all-rows", help="Hold every row, whoever's it is.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Write the hold as JSON.")] = False,
) -> None:
    """Keep the rows of some subjects, or all rows of a data set, from being deleted by retention.

    The subjects are read from standard input, one a line, as the source spells them: an argument would stand in the
    shell's history. The ledger gets keyed hashes of them. A run that is under way looks again before each file.

    [bold]Examples[/bold]

    [green]veil holds place shop.yaml -d orders --reason "case 2026-17" < subjects.txt[/green]
    Some customers' orders.

    [green]veil holds place shop.yaml -d orders --reason "case 2026-17" --all-rows[/green]
    All of them.
    """
    from airflow_veil.cli.workspace import actor, workspace
    from airflow_veil.privacy.retention import holds

    subjects = None if all_rows else [line.rstrip("\r\n") for line in sys.stdin if line.strip()]
    with workspace(policy) as opened:
        hold = holds.place(opened, dataset, reason=reason, actor=actor(), subjects=subjects)
    if json:
        console.as_json(_public(hold))
        return
    console.say(f"Placed {hold.hold_id} on {_told(hold)} of {dataset}.", style="green")


@app.command()
def lift(
    hold: Annotated[str, typer.Argument(metavar="HOLD", help="The hold.", show_default=False)],
    reason: Reason,
) -> None:
    """Let rows go again; what it kept is deleted by the next run of retention.

    [bold]Examples[/bold]

    [green]veil holds lift hold-0123456789abcdef --reason "case 2026-17 is closed"[/green]
    The evidence of placing it stays.
    """
    from airflow_veil.cli.workspace import actor

    with _ledger() as opened:
        lifted = opened.holds.lift(hold, reason=reason, actor=actor())
    console.say(f"Lifted {lifted.hold_id} of {lifted.dataset}.", style="green")


@app.command("list")
def list_(
    *,
    everything: Annotated[bool, typer.Option("--all", help="Lifted ones, too.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Write JSON.")] = False,
) -> None:
    """List holds, the newest first, from the ledger.

    [bold]Examples[/bold]

    [green]veil holds list[/green]
    Those that hold.

    [green]veil holds list --all --json[/green]
    Lifted ones, too, for a machine.
    """
    with _ledger() as opened:
        found = _listed(opened.holds, everything=everything)
    if json:
        console.as_json(found)
        return
    rows = [tuple("" if each[word] is None else str(each[word]) for word in _SHOWN) for each in found]
    console.table("", _SHOWN, rows, right=("subjects",))


def _listed(holds: Holds, *, everything: bool) -> list[dict[str, Any]]:
    return [_public(hold) for hold in holds.listed() if everything or hold.lifted_at is None]


def _public(hold: Hold) -> dict[str, Any]:
    return {word: _plain(value) for word, value in asdict(hold).items()}


def _plain(value: Any) -> Any:
    return value.isoformat(timespec="seconds") if isinstance(value, datetime) else value


def _told(hold: Hold) -> str:
    return "all rows" if hold.domain is None else f"the rows of {hold.subjects} subjects"


def _ledger() -> Any:
    from airflow_veil.privacy.release.workspace import own_ledger
    from airflow_veil.privacy.settings import Settings

    return own_ledger(Settings.from_env())
