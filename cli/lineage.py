"""`veil lineage`: what the lineage events prove."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from airflow_veil.cli import console

if TYPE_CHECKING:
    from airflow_veil.privacy.lineage.prove import Proof

app = typer.Typer(no_args_is_help=True, help="What the lineage events prove.")


@app.callback()
def _group() -> None:
    """Keep `prove` a command of the group, though it is the only one."""


@app.command()
def prove(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[FILE…]", help="OpenLineage events, JSON lines; VEIL_LINEAGE where not said."
        ),
    ] = None,
    *,
    json: Annotated[bool, typer.Option("--json", help="Write the proof as JSON.")] = False,
) -> None:
    """Prove from events that every way from a direct identifier to a published column is masked.

    It reads the events alone, of all tasks together, and does not trust what they leave out: an output column
    that nothing explains counts as a way in clear. The exit code is 1 if the proof fails.

    [bold]Examples[/bold]

    [green]veil lineage prove[/green]
    The events of this installation.

    [green]veil lineage prove monday.jsonl tuesday.jsonl --json[/green]
    For a CI job.
    """
    from airflow_veil.privacy.lineage.prove import prove_files
    from airflow_veil.privacy.settings import Settings

    proof = prove_files(files or [Settings.from_env().lineage])
    if json:
        console.as_json(proof.as_dict())
    else:
        _show(proof)
    raise typer.Exit(0 if proof.holds else 1)


def _show(proof: Proof) -> None:
    for example in proof.counterexamples:
        console.say(f"in clear: {example}", style="red")
    for gap in proof.gaps:
        console.say(f"not told: {gap}", style="yellow")
    counts = (
        f"{len(proof.published)} published data sets, {proof.identifiers} identifying columns, "
        f"{proof.paths_checked} ways checked"
    )
    if proof.holds:
        console.say(
            f"Proved: no identifier reaches a published column in clear ({counts}).", style="bold green"
        )
    else:
        console.say(f"Not proved ({counts}).", style="bold red")
