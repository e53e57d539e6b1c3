"""`veil trial`: a release is tried before it is made: attacked, and its utility measured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from airflow_veil.cli import console
from airflow_veil.cli.options import OneDataset, Policy

if TYPE_CHECKING:
    from airflow_veil.privacy.risk.attacks.attack import Attack
    from airflow_veil.privacy.risk.utility import Utility


def trial(
    policy: Policy,
    dataset: OneDataset,
    *,
    knows: Annotated[
        list[str] | None,
        typer.Option(
            "--knows",
            "-k",
            metavar="COLUMN",
            help="What an attacker knows; the quasi-identifiers if not said.",
        ),
    ] = None,
    target: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="What a model is to tell by the other columns.")
    ] = None,
    rows: Annotated[int | None, typer.Option(min=2, help="Only the first so many rows.")] = None,
    since: Annotated[
        str | None,
        typer.Option(
            metavar="RELEASE", help="Also compare the current release with this one, as who kept it can."
        ),
    ] = None,
    source: Annotated[
        str | None, typer.Option(metavar="URI", help="Read this instead of the policy's source.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Write all figures as JSON.")] = False,
) -> None:
    """Try a release before it is made: attacks on it, and what it is still good for.

    The source is treated in memory and nothing is written. An attack has a success rate, what guessing reaches, and an
    interval of the difference: where 0 is in it, the attack is no better than guessing. Figures only, no value.

    [bold]Examples[/bold]

    [green]veil trial retail.yaml -d customers[/green]
    By an attacker who knows the quasi-identifiers.

    [green]veil trial retail.yaml -d customers --knows birth_date --target segment --rows 100000[/green]
    One column known, and a model that tells the segment.
    """
    from airflow_veil.cli.workspace import workspace
    from airflow_veil.privacy.release.trial import attacks, nights, utility_of
    from airflow_veil.privacy.release.trial import trial as tried

    with workspace(policy, source=source) as opened:
        made = tried(opened, dataset, rows=rows)
        found = attacks(made, knows)
        lost = utility_of(made, target)
        if since:
            found |= _claims(nights(opened, dataset, since).as_dict())
        name = f"{opened.loaded.policy.name}.{dataset}"
    if json:
        told = {what: each.as_dict() for what, each in found.items()}
        console.as_json({"rows": lost.rows, "attacks": told, "utility": lost.as_dict()})
        return
    console.say(f"{name}: {lost.rows:,} rows that leave", style="bold")
    _show_attacks(found)
    _show_utility(lost)


def _claims(nights: dict[str, Any]) -> dict[str, Attack]:
    """What two nights tell without tokens, among the other attacks."""
    from airflow_veil.privacy.risk.attacks.attack import Attack

    return {f"differencing, {what}, by rows": Attack(**each) for what, each in nights.items() if each}


def _show_attacks(found: dict[str, Attack]) -> None:
    headings = ("attack", "tried", "right", "by guessing", "advantage", "interval")
    console.table(
        "",
        headings,
        [
            (
                what,
                f"{each.tried:,}",
                f"{each.rate:.2%}",
                f"{each.baseline:.2%}",
                f"{each.advantage:+.2%}",
                f"{each.low:+.2%} to {each.high:+.2%}",
            )
            for what, each in found.items()
        ],
        right=headings[1:],
    )


def _show_utility(lost: Utility) -> None:
    console.table(
        "",
        ("column", "distance", "by", "loss", "lost bits"),
        [
            (each.column, _number(each.distance), each.by, _number(each.loss), _number(each.lost_bits))
            for each in lost.columns
        ],
        right=("distance", "loss", "lost bits"),
    )
    if lost.pairs:
        console.table(
            "",
            ("pair", "by", "before", "after", "distance"),
            [
                (" and ".join(each.columns), each.by, *map(_number, (each.before, each.after, each.distance)))
                for each in lost.pairs
            ],
            right=("before", "after", "distance"),
        )
    if lost.score:
        console.say(
            f"a model that tells {lost.score.target} is right in {lost.score.released:.2%} by the release,"
            f" {lost.score.original:.2%} by the source, {lost.score.majority:.2%} by guessing"
        )


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
