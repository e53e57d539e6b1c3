"""`veil model test`: attacks on a trained model before it is shared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from airflow_veil.cli import console
from airflow_veil.cli.options import Policy

if TYPE_CHECKING:
    from airflow_veil.privacy.model_test.report import Attacked
    from airflow_veil.privacy.release.model_release import ModelDone

app = typer.Typer(no_args_is_help=True, help="Trained models, attacked before they are shared.")


@app.callback()
def _group() -> None:
    """Keep `test` a command of its own."""


@app.command("test")
def run_test(
    policy: Policy,
    name: Annotated[str, typer.Argument(help="The model of the policy.", metavar="NAME", show_default=False)],
    *,
    artefact: Annotated[
        str | None, typer.Option(metavar="URI", help="The file of the model; the policy's where not said.")
    ] = None,
    publish: Annotated[
        bool, typer.Option("--publish", help="Share it, with its card, if it passes.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Write what was found as JSON.")] = False,
) -> None:
    """Attack a trained model: who is in it, what sensitive values are told, which rows lie in its file.

    The exit code is 1 if it is denied: an attack reaches more than the policy's bounds, or could not be tried. The
    outcome and what attacks reached are left as evidence. Nothing is shared but with --publish.

    [bold]Examples[/bold]

    [green]veil model test income.yaml income[/green]
    What attacks on the model reach.

    [green]veil model test income.yaml income --publish[/green]
    The same, and its file and its card go to where the policy says, if it passes.
    """
    from airflow_veil.cli.workspace import actor, workspace
    from airflow_veil.privacy.release.model_release import release_model

    with workspace(policy, source=artefact) as opened:
        done = release_model(opened, name, actor=actor(), publish=publish)
    if json:
        console.as_json(_as_dict(done))
    else:
        _show(done)
    raise typer.Exit(1 if done.reasons else 0)


def _as_dict(done: ModelDone) -> dict[str, Any]:
    told = done.as_xcom()
    if done.figures is not None and done.verdict is not None:
        told |= {"attacks": done.figures.as_dict(), "figures": done.verdict.figures}
    return told


def _show(done: ModelDone) -> None:
    if done.figures is not None and done.verdict is not None:
        told = done.figures
        people = f"{told.people_inside:,} people in it, {told.people_outside:,} outside"
        console.say(f"{done.model}: {told.told.type}, asked by `{told.told.outputs}`; {people}", style="bold")
        if not told.refitted:
            console.say("It cannot be fitted anew, so the likelihood ratio was not tried.", style="yellow")
        console.table(
            "", ("attack", "figure", "found", "low", "high"), _found(told), right=("found", "low", "high")
        )
    console.say(f"{done.summary}.", style="red" if done.reasons else "green")


def _found(told: Attacked) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for each in told.membership:
        for what, interval in (
            ("told at 1 %", each.tpr),
            ("told at 0.1 %", each.tpr_strict),
            ("area under the curve", each.auc),
        ):
            if interval is None:
                rows.append((each.name, what, "not measured", "", ""))
            else:
                rows.append((each.name, what, *map(_share, (interval.estimate, interval.low, interval.high))))
        gain = each.advantage
        rows.append((each.name, "advantage", *map(_share, (gain.advantage, gain.low, gain.high))))
    for guess in told.inference:
        for what, gain in (("more than of others", guess.members), ("more than by guessing", guess.guessing)):
            rows.append(
                (f"inference of {guess.column}", what, *map(_share, (gain.advantage, gain.low, gain.high)))
            )
    rows.append(("search of the file", "training rows in it", _share(told.stored_rows), "", ""))
    return rows


def _share(value: float) -> str:
    return f"{value:.2%}"
