"""`veil dp`: statistics with differential privacy: what they cost, how good they get, and their answers."""

from __future__ import annotations

import re
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from airflow_veil.cli import console
from airflow_veil.cli.options import Policy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_veil.cli.dp_account import Standing
    from airflow_veil.privacy.dp.forecast import Expected, Forecast
    from airflow_veil.privacy.dp.measurement import Measurement
    from airflow_veil.privacy.dp.query import Query
    from airflow_veil.privacy.release.interval import Interval
    from airflow_veil.privacy.release.workspace import Workspace

app = typer.Typer(
    no_args_is_help=True,
    help="Statistics with differential privacy: their price, their errors, their answers.",
)

OneQuery = Annotated[str, typer.Option("--query", "-q", help="The query of the policy.", show_default=False)]

_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:+-]{0,63}")
_SIZES = (100, 1_000, 10_000)


@app.command()
def plan(
    policy: Policy,
    query: Annotated[str | None, typer.Option("--query", "-q", help="One query; all where not said.")] = None,
    *,
    size: Annotated[
        list[int] | None,
        typer.Option(
            min=1, help="Rows a group to tell errors for; may be said several times.", metavar="ROWS"
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Write the plans as JSON.")] = False,
) -> None:
    """Show what an answer costs, how much noise it has and how far off it is going to be, before any data is read.

    The errors hold with the query's confidence (95 % where it says nothing), for groups of 100, 1,000 and 10,000
    rows. They are of the noise alone: what bounding and clamping leave out depends on the table, and is not
    looked at. What is left of the budget is read from the ledger.

    [bold]Examples[/bold]

    [green]veil dp plan retail_statistics.yaml[/green]
    All queries.

    [green]veil dp plan retail_statistics.yaml -q orders_by_month --size 50 --size 5000[/green]
    One, for small and for large groups.
    """
    from airflow_veil.cli.dp_account import standing
    from airflow_veil.cli.workspace import workspace
    from airflow_veil.privacy.dp.forecast import forecast
    from airflow_veil.privacy.dp.query import compile_query

    with workspace(policy) as opened:
        forecasts = [
            forecast(compile_query(opened.loaded, name), tuple(dict.fromkeys(size or _SIZES)))
            for name in _queries(opened, query)
        ]
        told = [(made, standing(opened, made.query, made.planned)) for made in forecasts]
    if json:
        console.as_json([_as_dict(opened, made, stands) for made, stands in told])
        return
    for made, stands in told:
        _show(made, stands)


@app.command()
def tune(
    policy: Policy,
    query: OneQuery,
    measure: Annotated[str, typer.Option("--measure", "-m", help="The measure.", show_default=False)],
    within: Annotated[
        float,
        typer.Option(
            help="How far off it may be, in the measure's units; for a quantile, in rows of its rank.",
            show_default=False,
        ),
    ],
    *,
    size: Annotated[int, typer.Option(min=1, help="Rows a group.", metavar="ROWS")] = 1_000,
    json: Annotated[bool, typer.Option("--json", help="Write what was found as JSON.")] = False,
) -> None:
    """Find the least that a query has to spend for a measure to be as near to the truth as you need.

    It answers "how much epsilon?" the other way round: you say which error is of no matter, with the query's
    confidence. What else the query measures shares in what it spends. No data is read.

    [bold]Examples[/bold]

    [green]veil dp tune retail_statistics.yaml -q orders_by_month -m orders --within 50[/green]
    The number of orders, right to 50 in 95 of 100 cells.

    [green]veil dp tune retail_statistics.yaml -q orders_by_month -m pieces --within 0.2 --size 5000[/green]
    A mean, in groups of 5,000 rows.
    """
    from dataclasses import replace

    from airflow_veil.cli.dp_account import standing
    from airflow_veil.cli.workspace import workspace
    from airflow_veil.privacy.dp.forecast import forecast
    from airflow_veil.privacy.dp.forecast import tune as least
    from airflow_veil.privacy.dp.query import compile_query

    with workspace(policy) as opened:
        compiled = compile_query(opened.loaded, query)
        spend = least(compiled, measure, within=within, size=size)
        made = forecast(replace(compiled, spend=spend), (size,))
        stands = standing(opened, compiled, made.planned)
    reaches = {one.part: one.reach for one in made.expected if one.measure == measure and one.part}
    word = "epsilon" if compiled.noise == "laplace" else "rho"
    line = f"spend: {{{word}: {spend:f}{f', delta: {compiled.delta}'.lower() if compiled.delta else ''}}}"
    if json:
        console.as_json(
            {
                "query": query,
                "measure": measure,
                word: f"{spend:f}",
                "line": line,
                "reach": reaches,
                **stands.as_dict(),
            }
        )
        return
    console.say(line, style="bold")
    console.say(
        f"{measure} is then off by {_number(within)} at most in groups of {size:,} rows: {_confidence(compiled)}."
    )
    for part, reach in reaches.items():
        console.say(f"The interval of {part} then reaches {_number(reach or 0)} in rank at most, either way.")
    for sentence in stands.sentences:
        console.say(sentence)


@app.command()
def run(
    policy: Policy,
    query: OneQuery,
    *,
    interval: Annotated[
        str | None,
        typer.Option(
            metavar="KEY",
            help="What the answer stands for; asked again with the same one, the stored answer is given and"
            " nothing is paid. This moment where not said.",
        ),
    ] = None,
    source: Annotated[
        str | None, typer.Option(metavar="URI", help="Read this instead of the policy's source.")
    ] = None,
    output: Annotated[
        str | None, typer.Option(metavar="URI", help="Release to this folder instead of the policy's.")
    ] = None,
    again: Annotated[
        str, typer.Option(metavar="LABEL", help="Ask anew, on purpose, under a name; it is paid for anew.")
    ] = "",
    reason: Annotated[
        str, typer.Option(help="Why it is asked anew; kept as evidence. No personal data.")
    ] = "",
    json: Annotated[bool, typer.Option("--json", help="Write what was published as JSON.")] = False,
) -> None:
    """Answer a query and publish the answer: paid for first, drawn once.

    It is what the DAG does for this query, without Airflow. The price is set aside before any data is read. Killed
    at any moment, it leaves money spent or nothing drawn, and the answer before in place.

    [bold]Examples[/bold]

    [green]veil dp run retail_statistics.yaml -q orders_by_month --interval 2026-01-31[/green]
    Said a second time, it gives the same answer and costs nothing.

    [green]veil dp run retail_statistics.yaml -q orders_by_month --interval 2026-01-31 --again fixed
    --reason "ticket 4711: orders were missing"[/green] New noise, paid for anew.
    """
    from airflow_veil.cli.workspace import actor, workspace
    from airflow_veil.privacy.release import dp_release

    if bool(again) != bool(reason):
        raise typer.BadParameter("--again and --reason go together")
    stands_for = interval_of(interval)
    with workspace(policy, source=source, destination=output) as opened:
        _one_source(opened, query, source)
        done = dp_release.release(opened, query, stands_for, actor=actor(), again=again, reason=reason)
        destination = opened.destination.name
    if json:
        console.as_json({**asdict(done.reference), "destination": destination})
        return
    console.say(f"{done.summary}.", style="green")
    console.say(f"It stands for {stands_for.key}, in {destination}; `veil dp show` shows it.")


@app.command()
def show(
    policy: Policy,
    query: OneQuery,
    *,
    output: Annotated[
        str | None, typer.Option(metavar="URI", help="Look in this folder instead of the policy's.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Write the answer as JSON.")] = False,
) -> None:
    """Show the current answer of a query, with the interval of each value: it is public.

    `low` and `high` hold the value without noise with the query's confidence; of what bounding and clamping left
    out they know nothing. Counts can be negative: they are as they were drawn.

    [bold]Examples[/bold]

    [green]veil dp show retail_statistics.yaml -q orders_by_month[/green]
    As a table.

    [green]veil dp show retail_statistics.yaml -q orders_by_month --json[/green]
    For a machine.
    """
    from airflow_veil.cli.workspace import workspace
    from airflow_veil.privacy.errors import ReleaseError

    with workspace(policy, destination=output) as opened:
        (name,) = _queries(opened, query)
        current = opened.destination.current(name)
        if current is None:
            raise ReleaseError(
                "there is no answer yet", where=name, fix=f"run `veil dp run … --query {name}`"
            )
        source = opened.destination.source(name, current)
        columns = source.schema().names
        rows = [row for batch in source.batches(columns, batch_rows=1 << 16) for row in batch.to_pylist()]
    if json:
        console.as_json({"release_id": current, "answer": rows})
        return
    console.say(f"{opened.loaded.policy.name}.{name}, release {current}", style="bold")
    console.table(
        "",
        columns,
        [tuple(_cell(row[column]) for column in columns) for row in rows],
        right=("value", "low", "high", "noise_scale", "value_in_bounds"),
    )


def _queries(opened: Workspace, wanted: str | None) -> tuple[str, ...]:
    """The query that was asked for, or all of them.

    Raises:
        SchemaError: There is none.
    """
    from airflow_veil.privacy.errors import SchemaError

    dp = opened.loaded.policy.differential_privacy
    names = tuple(dp.queries) if dp else ()
    if not names or (wanted is not None and wanted not in names):
        raise SchemaError(
            f"there is no query {wanted}" if wanted else "the policy asks no queries",
            where=opened.loaded.path.name,
            expected=f"one of {', '.join(names)}" if names else "a section `differential_privacy`",
        )
    return names if wanted is None else (wanted,)


def interval_of(key: str | None) -> Interval:
    """The interval of a key; this moment where none is said."""
    from airflow_veil.privacy.release.interval import Interval

    if key is None:
        return Interval.by_hand()
    if not _KEY.fullmatch(key):
        raise typer.BadParameter("an interval's key is up to 64 letters, digits and any of . _ : + -")
    return Interval(key=key)


def _one_source(opened: Workspace, query: str, source: str | None) -> None:
    """Another source stands for one table; where a query follows references through others, which one is not said.

    Raises:
        SchemaError: It does.
    """
    from airflow_veil.privacy.dp.query import compile_query
    from airflow_veil.privacy.errors import SchemaError

    if source is not None and compile_query(opened.loaded, query).joins:
        raise SchemaError(
            "the query reads several data sets, and another source can stand for one only",
            where=query,
            fix="put the other tables under another VEIL_DATA_ROOT",
        )


def _show(made: Forecast, stands: Standing) -> None:
    query = made.query
    console.say(f"{query.policy}.{query.name}: {query.dataset}, per {query.unit}", style="bold")
    for sentence in (_groups(query), _bounds(query)):
        console.say(sentence)
    measured = ("measured", "mechanism", "sensitivity", "scale", "threshold", "loss")
    console.table("", measured, [_measured(one) for one in made.planned], right=measured[2:5])
    sizes = list(made.expected[0].error)
    headings = ("measure", "part", *(f"{size:,} rows" for size in sizes))
    rows = [row for one in made.expected for row in _errors(one, sizes)]
    console.say(f"off by at most, {_confidence(query)}:")
    console.table("", headings, rows, right=headings[2:])
    for sentence in stands.sentences:
        console.say(sentence)
    console.say("")


def _groups(query: Query) -> str:
    if not query.axes:
        return "one group of all rows"
    axes = " and ".join(axis.name for axis in query.axes)
    if query.groups is None:
        return f"groups: {axes}, those that pass the threshold"
    return f"groups: {axes}, {query.groups:,} of them, each in the answer"


def _bounds(query: Query) -> str:
    if query.by_row:
        return "a unit is a row: nothing is bounded"
    rows = f"{query.rows_per_group:,} row{'' if query.rows_per_group == 1 else 's'}"
    if not query.axes:
        return f"a unit counts for {rows} at most"
    return f"a unit counts in {query.reach:,} of them at most, for {rows} in each"


def _errors(one: Expected, sizes: list[int]) -> Iterator[tuple[str, ...]]:
    """A measure's errors; below those of a quantile, how far its interval reaches."""
    yield one.measure, one.part or "", *(_off(one, size) for size in sizes)
    if one.reach is not None:
        yield one.measure, f"{one.part}, interval", *(f"±{_number(one.reach)} in rank" for _ in sizes)


def _off(one: Expected, size: int) -> str:
    """How far off, in the measure's units; a quantile is off in its rank."""
    return f"±{_number(one.error[size])}" + ("" if one.part is None else " in rank")


def _measured(one: Measurement) -> tuple[str, ...]:
    """A measurement on one line; sensitivity and scale in units of the value, not in steps."""
    step = float(getattr(one.statistic, "step", 1))
    return (
        one.name,
        one.mechanism.value.replace("_", " ") + (f", {one.times} times" if one.times > 1 else ""),
        _number(one.sensitivity * step),
        _number(one.scale * step),
        "" if one.threshold is None else f"{one.threshold:,}",
        str(one.loss),
    )


def _confidence(query: Query) -> str:
    return f"in {query.confidence * 100:g} of 100 cells"


def _as_dict(opened: Workspace, made: Forecast, stands: Standing) -> dict[str, Any]:
    """A plan for a machine: the record that the answer is going to have, and what it says of the future."""
    from airflow_veil.privacy.dp.record import record

    query = made.query
    return {
        **record(opened.loaded, query, made.planned),
        "dataset": query.dataset,
        "unit": query.unit,
        "groups": query.groups,
        "contribution": {"groups_per_unit": query.reach, "rows_per_group": query.rows_per_group},
        "expected": [
            {
                "measure": one.measure,
                "part": one.part,
                "error": {str(size): off for size, off in one.error.items()},
                "reach": one.reach,
            }
            for one in made.expected
        ],
        **stands.as_dict(),
    }


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return _number(value)
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _number(value: float) -> str:
    """A number to look at: six digits, whole where it is whole or great."""
    near = float(f"{value:.6g}")
    return f"{near:,.0f}" if near.is_integer() or abs(near) >= 10_000 else f"{near:,.6g}"
