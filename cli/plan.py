"""`veil plan`: what becomes of each column, from the policy and the source's schema alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from airflow_veil.cli import console
from airflow_veil.cli.options import Dataset, Policy
from airflow_veil.privacy.plan.treatment_text import treatment_text

if TYPE_CHECKING:
    from airflow_veil.privacy.plan.plan import Plan, PlannedColumn
    from airflow_veil.privacy.release.workspace import Workspace


def plan(
    policy: Policy,
    dataset: Dataset = None,
    *,
    json: Annotated[bool, typer.Option("--json", help="Write the plans as JSON.")] = False,
) -> None:
    """Show what becomes of each column: class, treatment, key domain and version, and what still shows of it.

    Reads the schema of the source, no row of it. The properties say what the treatment promises:
    `deterministic` values can be joined and counted, so their frequencies show; `reversible` ones can be read
    by who has the key.

    [bold]Examples[/bold]

    [green]veil plan retail.yaml[/green]
    All data sets.

    [green]veil plan retail.yaml --dataset customers --json[/green]
    One, for a machine.
    """
    from airflow_veil.cli.workspace import datasets_of, workspace

    opened = workspace(policy)
    plans = [
        _bound(opened, name)
        for name in datasets_of(opened.loaded, dataset)
        if dataset or _leaves(opened, name)
    ]
    if json:
        console.as_json([{**plan.as_dict(), "digest": plan.digest} for plan in plans])
        return
    for item in plans:
        _show(item)


def _leaves(opened: Workspace, dataset: str) -> bool:
    """Whether rows of a data set are released; one that queries alone ask has no plan."""
    policy = opened.loaded.policy
    only_asked = policy.differential_privacy is not None and not policy.datasets[dataset].releases_rows
    if only_asked:
        console.note(f"note: no row of {dataset} is released; `veil dp plan` shows what is asked of it")
    return not only_asked


def _bound(opened: Workspace, dataset: str) -> Plan:
    """The plan, with the key version where the ring is at hand; nobody needs keys to look at a plan."""
    from airflow_veil.cli.workspace import bound
    from airflow_veil.privacy.errors import KeyRingError

    plan = bound(opened, dataset)
    if not plan.needs_keys:
        return plan
    try:
        return bound(opened, dataset, key_version=opened.keys.current)
    except KeyRingError as error:
        console.note(f"note: the plan of {dataset} shows no key versions: {error.what}", style="yellow")
        return plan


def _show(plan: Plan) -> None:
    whose = f"whose rows: {plan.subject} ({plan.subject_root})" if plan.subject else "nobody's rows"
    console.say(f"{plan.policy}.{plan.dataset}: {whose}", style="bold")
    for row in plan.row_filters:
        console.say(f"rows: {treatment_text({row.word: row.model_dump(mode='json', exclude_defaults=True)})}")
    headings = ("column", "class", "treatment", "type", "key", "properties")
    console.table("", headings, [_row(column) for column in plan.released])
    named = [column for column in plan.dropped if column not in plan.unnamed]
    console.say(f"dropped by the policy: {', '.join(named) or 'none'}")
    console.say(f"dropped because the policy does not name them: {', '.join(plan.unnamed) or 'none'}")
    console.say("")


def _row(column: PlannedColumn) -> tuple[str, ...]:
    before, after = str(column.source_type), str(column.output_type)
    version = "" if column.key_version is None else f" v{column.key_version}"
    return (
        column.name,
        column.column_class,
        treatment_text(column.treatment),
        after if before == after else f"{before} → {after}",
        "" if column.key_domain is None else f"{column.key_domain}{version}",
        properties_text(column),
    )


def properties_text(column: PlannedColumn) -> str:
    """What a treatment promises, in words."""
    properties = column.properties
    words = {
        "deterministic": properties.deterministic,
        "reversible": properties.reversible,
        "unique": properties.unique,
        "hides length": properties.hides_length,
        "masks": properties.masks,
    }
    return ", ".join([*(word for word, holds in words.items() if holds), f"nulls {properties.nulls}"])
