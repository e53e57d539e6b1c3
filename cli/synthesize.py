"""`veil synthesize`: a synthetic release, without Airflow."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from airflow_veil.cli import console
from airflow_veil.cli.options import Policy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_veil.privacy.release.interval import Interval
    from airflow_veil.privacy.release.workspace import Workspace

Value = str | int | float | bool


def synthesize(
    policy: Policy,
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="What is made up, by its name.", show_default=False)
    ],
    *,
    rows: Annotated[
        int | None,
        typer.Option(
            min=1, help="How many rows, of the table that refers to no other; the policy's if not said."
        ),
    ] = None,
    given: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN=VALUE",
            help="A value that a column has in every row; may be said several times. Needs --suffix.",
        ),
    ] = None,
    suffix: Annotated[
        str, typer.Option(help="The name of a release of given values, beside the release of the whole.")
    ] = "",
    seed: Annotated[
        int | None, typer.Option(min=0, help="What rows are drawn by; the policy's if not said.")
    ] = None,
    interval: Annotated[
        str | None,
        typer.Option(
            metavar="KEY",
            help="What the release stands for; asked again with the same one, the model that is there is used and"
            " nothing is paid. This moment where not said.",
        ),
    ] = None,
    source: Annotated[
        str | None, typer.Option(metavar="URI", help="Learn from this instead of the policy's source.")
    ] = None,
    output: Annotated[
        str | None, typer.Option(metavar="URI", help="Release to this folder instead of the policy's.")
    ] = None,
    charts: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Draw distributions, associations and attacks into it, as SVG and PNG. They are of private rows: for"
            " who answers for the release.",
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Write what was published as JSON.")] = False,
) -> None:
    """Fit a model, draw rows from it, evaluate them and publish them.

    It is what the DAG does for this synthesis, without Airflow. Where the method is differentially private, the
    model is paid for before a row is read, and its noise drawn once. Rows that do not keep to `evaluate.bounds` are
    not published.

    [bold]Examples[/bold]

    [green]veil synthesize shop_synthetic.yaml shoppers[/green]
    As the policy says.

    [green]veil synthesize shop_synthetic.yaml shoppers --rows 500 --given country=FR --suffix french[/green]
    500 rows of one country, released as shoppers_french.
    """
    from airflow_veil.cli.workspace import actor, workspace
    from airflow_veil.privacy.release import synthesize as service

    if bool(given) != bool(suffix):
        raise typer.BadParameter("--given and --suffix go together")
    with workspace(policy, source=source, destination=output) as opened:
        *before, published = service.run(
            opened,
            name,
            _interval(interval),
            actor=actor(),
            progress=lambda told: console.note(f"{told}."),
            rows=rows,
            given=_given(opened, name, given or []),
            suffix=suffix,
            seed=seed,
            charts=charts,
        )
        destination = opened.destination.name
    if json:
        console.as_json({**published.reference.as_xcom(), "destination": destination})
        return
    for step in before:
        console.note(f"{step.summary}.")
    console.say(f"{published.summary}.", style="green")
    console.say(f"It is the current one in {destination}.")


def _interval(key: str | None) -> Interval:
    from airflow_veil.cli.dp import interval_of

    return interval_of(key)


def _given(opened: Workspace, name: str, given: list[str]) -> Mapping[str, Value] | None:
    """Values by column, of the types that the columns have."""
    from airflow_veil.privacy.synthetic.specification import compiled

    specification = compiled(opened.loaded.policy, name)
    types = {
        column.name: column.type_name for table in specification.tables.values() for column in table.columns
    }
    found: dict[str, Value] = {}
    for each in given:
        column, equals, text = each.partition("=")
        if not equals or column not in types:
            raise typer.BadParameter(
                f"--given takes COLUMN=VALUE, with one of the columns {', '.join(types)}"
            )
        found[column] = _typed(column, text, types[column])
    return found or None


def _typed(column: str, text: str, type_name: str) -> Value:
    try:
        if type_name.startswith(("int", "uint")):
            return int(text)
        if type_name.startswith(("float", "double", "decimal")):
            return float(text)
    except ValueError:
        raise typer.BadParameter(f"the value of {column} is no {type_name}") from None
    if type_name.startswith("bool"):
        return text.lower() in ("true", "yes", "1")
    return text
