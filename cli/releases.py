"""`veil releases`: what was published, and the way back."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from airflow_veil.cli import console
from airflow_veil.cli.options import OneDataset, Policy

if TYPE_CHECKING:
    from airflow_veil.privacy.ledger.record import ReleaseRecord

app = typer.Typer(no_args_is_help=True, help="What was published, and the way back.")

_SHOWN = ("release_id", "policy", "dataset", "state", "rows_out", "published_at", "expires_at", "destination")


@app.command("list")
def list_(
    policy: Annotated[
        Path | None,
        typer.Argument(metavar="[POLICY]", help="Releases of this policy only.", show_default=False),
    ] = None,
    *,
    dataset: Annotated[
        str | None, typer.Option("--dataset", "-d", help="Releases of this data set only.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="The newest so many.")] = 20,
    json: Annotated[bool, typer.Option("--json", help="Write the releases as JSON.")] = False,
) -> None:
    """List releases, the newest first, from the ledger.

    [bold]Examples[/bold]

    [green]veil releases list[/green]
    Of all policies that this ledger knows.

    [green]veil releases list retail.yaml --dataset customers --json[/green]
    Of one data set, for a machine.
    """
    from airflow_veil.privacy.policy.load import load
    from airflow_veil.privacy.release.workspace import own_ledger
    from airflow_veil.privacy.settings import Settings

    name = load(policy).policy.name if policy else None
    with own_ledger(Settings.from_env()) as opened:
        releases = [_public(record) for record in opened.list(name, dataset)[:limit]]
    if json:
        console.as_json(releases)
        return
    rows = [tuple(_text(release[word]) for word in _SHOWN) for release in releases]
    console.table("", _SHOWN, rows, right=("rows_out",))


@app.command()
def rollback(
    policy: Policy,
    dataset: OneDataset,
    reason: Annotated[str, typer.Option(help="Why; kept as evidence. No personal data.", show_default=False)],
    *,
    to: Annotated[
        str | None, typer.Option(metavar="RELEASE", help="Which release; the last good one where not said.")
    ] = None,
) -> None:
    """Make an earlier release current again; the one that was current is marked as rolled back.

    [bold]Examples[/bold]

    [green]veil releases rollback retail.yaml -d customers --reason "ticket 4711: wrong postcode
    prefix"[/green] To the one before.
    """
    from airflow_veil.cli.workspace import actor, workspace
    from airflow_veil.privacy.release import service

    done = service.rollback(workspace(policy), dataset, release_id=to, reason=reason, actor=actor())
    console.say(f"{done.summary}.", style="green")


@app.command()
def card(
    release: Annotated[str, typer.Argument(metavar="RELEASE", help="Its name.", show_default=False)],
    *,
    html: Annotated[bool, typer.Option("--html", help="Write a page instead of Markdown.")] = False,
) -> None:
    """Write the card of a published release: what it is, for people who are no engineers.

    Sources, what was done to each column, risk, utility, budget, who let it out, expiry and limits, from its manifest.

    [bold]Examples[/bold]

    [green]veil releases card 20260301T000000Z-5898205bb939 --html > card.html[/green]
    As a page.
    """
    from airflow_veil.privacy.errors import ReleaseError
    from airflow_veil.privacy.release import card as cards
    from airflow_veil.privacy.release.workspace import own_ledger
    from airflow_veil.privacy.settings import Settings

    with own_ledger(Settings.from_env()) as opened:
        found = opened.release(release)
    if found.published_at is None or found.manifest is None:
        raise ReleaseError(
            f"the release is {found.state}, and was not published", where=found.where, fix="name one that was"
        )
    if "model" in found.manifest:
        # A model has the card of the Hub, which lies beside its file as well.
        from airflow_veil.privacy.release import model_card

        typer.echo(model_card.markdown(found.manifest), nl=False)
        return
    told = cards.card(found.manifest)
    typer.echo(cards.html(told) if html else cards.markdown(told), nl=html)


def _public(record: ReleaseRecord) -> dict[str, Any]:
    """What a list shows of a release; its manifest lies beside its rows."""
    found = asdict(record)
    return {word: _plain(found[word]) for word in _SHOWN}


def _plain(value: Any) -> Any:
    return value.isoformat(timespec="seconds") if isinstance(value, datetime) else value


def _text(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:,}" if isinstance(value, int) else str(value)
