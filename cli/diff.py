"""`veil diff`: what a release would change, in counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from airflow_veil.cli import console
from airflow_veil.cli.options import OneDataset, Policy
from airflow_veil.privacy.plan.treatment_text import treatment_text

if TYPE_CHECKING:
    import pyarrow as pa

    from airflow_veil.cli.comparison import ColumnDifference, Difference
    from airflow_veil.cli.distinct import Distinct
    from airflow_veil.privacy.plan.plan import Plan
    from airflow_veil.privacy.storage.base import Source
    from airflow_veil.privacy.transforms.base import Keys

_SHOWN_ROWS = 5


def diff(
    policy: Policy,
    dataset: OneDataset,
    *,
    rows: Annotated[int | None, typer.Option(min=1, help="Look at the first so many rows only.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Write the counts as JSON.")] = False,
    unsafe_show_values: Annotated[
        bool,
        typer.Option(
            "--unsafe-show-values", help="Also show a few rows before and after: personal data, on screen."
        ),
    ] = False,
) -> None:
    """Show what a release would change: rows changed, nulls and distinct values of each column.

    Nothing is written and no value is shown. Distinct values are exact up to 65,535, and estimated (±0.4 %,
    marked ≈) beyond, so that a table of any size needs no more memory than a small one.

    [bold]Examples[/bold]

    [green]veil diff retail.yaml --dataset customers[/green]
    The whole table.

    [green]veil diff retail.yaml --dataset customers --rows 10000 --json[/green]
    Its first rows, for a machine.

    [green]veil diff test.yaml --dataset customers --rows 100 --unsafe-show-values[/green]
    With values: for invented data.
    """
    if json and unsafe_show_values:
        raise typer.BadParameter(
            "JSON holds counts only; leave out --json", param_hint="--unsafe-show-values"
        )
    from airflow_veil.cli.comparison import compare
    from airflow_veil.cli.workspace import bound, without_erased, workspace
    from airflow_veil.privacy.erasure.suppressing import left_out

    opened = workspace(policy)
    plan = bound(opened, dataset)
    source = without_erased(opened, dataset, opened.source(dataset))
    keys = opened.keys if plan.needs_keys else None
    if keys is not None:
        plan = bound(opened, dataset, key_version=keys.current)
    with console.progress(f"Comparing {dataset}") as progress:
        difference = compare(plan, source, keys, rows=rows, progress=progress)
    if json:
        gone = left_out(source).rows
        console.as_json(
            {"policy": plan.policy, "dataset": dataset, **difference.as_dict(), "suppressed_rows": gone}
        )
        return
    _show(plan, difference, source)
    if unsafe_show_values:
        _show_values(plan, source, keys)


def _show(plan: Plan, difference: Difference, source: Source) -> None:
    from airflow_veil.privacy.erasure.suppressing import left_out

    held_back = difference.rows_in - difference.rows_out
    console.say(
        f"{plan.policy}.{plan.dataset}: {difference.rows_in:,} rows read, {held_back:,} held back",
        style="bold",
    )
    if gone := left_out(source):
        console.note(f"note: {gone}")
    headings = ("column", "treatment", "changed", "nulls", "nulls after", "distinct", "distinct after")
    console.table("", headings, [_row(column) for column in difference.columns], right=headings[2:])
    if plan.unnamed:
        console.say(f"dropped because the policy does not name them: {', '.join(plan.unnamed)}")


def _row(column: ColumnDifference) -> tuple[str, ...]:
    start = (column.planned.name, treatment_text(column.planned.treatment))
    if column.planned.output_type is None:
        return (*start, "dropped", f"{column.nulls_before:,}", "", _count(column.before), "")
    after = f"{column.nulls_after or 0:,}"
    return (
        *start,
        f"{column.changed:,}",
        f"{column.nulls_before:,}",
        after,
        _count(column.before),
        _count(column.after),
    )


def _count(distinct: Distinct) -> str:
    return f"{'≈' if distinct.is_full else ''}{distinct.count:,}"


def _show_values(plan: Plan, source: Source, keys: Keys | None) -> None:
    """The first rows that leave, before and after."""
    from airflow_veil.privacy.engine.beside import beside

    console.note(
        "warning: personal data follows; do not copy it into tickets, logs or chats", style="bold yellow"
    )
    batches = beside(plan, source, keys)
    before, after = next(((b, a) for _, b, a in batches if b.num_rows), (None, None))
    if before is None or after is None:
        return
    rows = [
        (column.name, _value(before, column.name, row), _value(after, column.name, row))
        for row in range(min(_SHOWN_ROWS, before.num_rows))
        for column in plan.columns
    ]
    console.table("", ("column", "before", "after"), rows)


def _value(batch: pa.RecordBatch, name: str, row: int) -> str:
    if name not in batch.schema.names:
        return "(dropped)"
    value = batch.column(name)[row].as_py()
    return "(null)" if value is None else str(value)
