"""`veil anonymize`: the recoding that a release would be fitted with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from airflow_veil.cli import console
from airflow_veil.cli.options import OneDataset, Policy

if TYPE_CHECKING:
    from airflow_veil.privacy.anonymize.recoding import Recoding

app = typer.Typer(
    no_args_is_help=True, help="Recodings: how coarse quasi-identifiers have to be for k, l and t."
)


@app.callback()
def _group() -> None:
    """Keep `fit` a command of its own."""


@app.command()
def fit(
    policy: Policy,
    dataset: OneDataset,
    *,
    source: Annotated[
        str | None, typer.Option(metavar="URI", help="Read this instead of the policy's source.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Write the recoding as JSON.")] = False,
) -> None:
    """Find the optimum of `anonymize` for the source as it is now, and show it; nothing is written.

    The source is treated as a release would be, in memory. The figures are internal: they tell an attacker where to
    look.

    [bold]Examples[/bold]

    [green]veil anonymize fit census.yaml -d people[/green]
    The level of each quasi-identifier, what is left out, and the risk before and after.

    [green]veil anonymize fit census.yaml -d people --source today.parquet --json[/green]
    Of another file, for a machine.
    """
    from airflow_veil.cli.workspace import workspace
    from airflow_veil.privacy.release.anonymize import optimum

    with workspace(policy, source=source) as opened:
        found = optimum(opened, dataset)
        name = f"{opened.loaded.policy.name}.{dataset}"
    if json:
        console.as_json(found.as_dict())
        return
    _show(name, found)


def _show(name: str, found: Recoding) -> None:
    console.say(
        f"{name}: the optimum of {found.nodes:,} recodings, {found.evaluated:,} looked at", style="bold"
    )
    levels = [(column, str(level), str(found.heights[column])) for column, level in found.levels.items()]
    console.table("", ("quasi-identifier", "level", "of"), levels, right=("level", "of"))
    cost = ", ".join(f"{part:.6g}" for part in found.cost)
    share = found.suppressed / found.rows
    how = "helped by single cells, or left out" if found.local else "left out"
    console.say(f"{found.quality}: {cost}; {found.suppressed:,} of {found.rows:,} rows ({share:.2%}) {how}")
    rows = [
        (
            when,
            f"{risk.k:,}",
            f"{risk.classes:,}",
            f"{risk.unique:,}",
            f"{risk.average:.4%}",
        )
        for when, risk in (("before", found.before), ("after", found.after))
    ]
    headings = ("", "k", "classes", "alone", "average risk")
    console.table("", headings, rows, right=headings[1:])
