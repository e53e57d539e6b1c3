"""`veil risk`: how likely people are found in a release, and what is learned of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from airflow_veil.cli import console
from airflow_veil.cli.options import Dataset, Policy

if TYPE_CHECKING:
    from airflow_veil.privacy.release.workspace import Workspace
    from airflow_veil.privacy.risk.report import Risk

_SETS = 8


def risk(
    policy: Policy,
    dataset: Dataset = None,
    *,
    release: Annotated[
        str | None, typer.Option(metavar="RELEASE", help="This release; the current one where not said.")
    ] = None,
    before: Annotated[
        bool, typer.Option("--before", help="Measure the source instead: the risk before anything is done.")
    ] = False,
    quasi_identifiers: Annotated[
        list[str] | None,
        typer.Option(
            "--knows",
            "-k",
            metavar="COLUMN",
            help="What an attacker knows, in place of what the policy says.",
        ),
    ] = None,
    population: Annotated[
        int | None, typer.Option(min=1, metavar="PEOPLE", help="How many people the table is a sample of.")
    ] = None,
    largest: Annotated[int, typer.Option(min=1, help="The largest sets of columns to look at.")] = 3,
    output: Annotated[
        str | None, typer.Option(metavar="URI", help="Look in this folder instead of the policy's.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Write all figures as JSON.")] = False,
) -> None:
    """Measure the risk of releases: k, the three attackers, diversity, uniques, and which columns identify people.

    Nothing is decided and nothing is written. Where data sets of the same people leave with tokens, they are measured
    together as well: an attacker joins them. Figures count people where a row says whose it is. They are internal:
    they tell an attacker where to look.

    [bold]Examples[/bold]

    [green]veil risk retail.yaml[/green]
    The current releases, each and joined.

    [green]veil risk retail.yaml -d customers --before --knows birth_date --knows city[/green]
    The source, by an attacker who knows two columns.

    [green]veil risk retail.yaml -d customers --population 500000 --json[/green]
    With estimates of the population, for a machine.
    """
    if dataset is None and (release or quasi_identifiers):
        raise typer.BadParameter("--release and --knows are of one data set: name it with --dataset")
    if before and release:
        raise typer.BadParameter("--before looks at the source, which is no release")
    from airflow_veil.cli.workspace import workspace

    with workspace(policy, destination=output) as opened:
        found = _measured(opened, dataset, release, before, quasi_identifiers, population, largest)
        if dataset is None and not before:
            found |= _joined(opened, population, largest)
        name = opened.loaded.policy.name
    if json:
        from airflow_veil.privacy.risk.report import figures

        console.as_json(figures(found))
        return
    for what, each in found.items():
        _show(f"{name}.{what}", each)


def _measured(
    opened: Workspace,
    dataset: str | None,
    release: str | None,
    before: bool,  # noqa: FBT001 - an option's value
    knows: list[str] | None,
    population: int | None,
    largest: int,
) -> dict[str, Risk]:
    """The risk of each data set; without one named, those that have nothing to measure are passed over, aloud."""
    from airflow_veil.cli.workspace import datasets_of
    from airflow_veil.privacy.release.assess import known_of, released, risk_of, risk_of_source

    found = {}
    for name in datasets_of(opened.loaded, dataset):
        if dataset is None and not before and not _is_released(opened, name):
            console.note(f"note: {name} has no release")
            continue
        source = opened.source(name) if before else released(opened, name, release)
        known = known_of(opened, name, source)
        if knows:
            from dataclasses import replace

            known = replace(known, quasi_identifiers=tuple(knows))
        if dataset is None and not known.quasi_identifiers:
            console.note(f"note: {name} has no quasi-identifier that leaves")
            continue
        measure: dict[str, Any] = {"known": known, "population": population, "largest": largest}
        found[name] = (
            risk_of_source(opened, name, **measure) if before else risk_of(opened, name, release, **measure)
        )
    return found


def _is_released(opened: Workspace, dataset: str) -> bool:
    data = opened.loaded.policy.datasets[dataset]
    return data.releases_rows and opened.destination.current(dataset) is not None


def _joined(opened: Workspace, population: int | None, largest: int) -> dict[str, Risk]:
    """The risk of the releases that tokens join."""
    from airflow_veil.privacy.release.assess import linked, risk_of_join

    return {
        " + ".join(names): risk_of_join(opened, names, population=population, largest=largest)
        for names in linked(opened).values()
    }


def _show(title: str, risk: Risk) -> None:
    found = risk.reidentification
    console.say(f"{title}: {risk.rows:,} rows, by {', '.join(risk.quasi_identifiers)}", style="bold")
    console.table("", ("figure", "value", "of it"), _found(risk), right=("value",))
    if risk.diversity:
        headings = (
            "sensitive",
            "values",
            "l",
            "entropy l",
            "recursive c",
            "alpha",
            "beta",
            "delta",
            "t",
            "told",
        )
        console.table(
            "",
            headings,
            [
                (
                    each.column,
                    f"{each.values:,}",
                    f"{each.distinct_l:,}",
                    _number(each.entropy_l),
                    "" if each.recursive_c is None else _number(each.recursive_c),
                    _number(each.alpha),
                    _number(each.basic_beta),
                    _number(each.delta),
                    f"{_number(each.t)} {each.distance}",
                    f"{each.disclosed:,}",
                )
                for each in risk.diversity
            ],
            right=headings[1:],
        )
    sets = [each for each in risk.uniques.sets[:_SETS] if each.unique]
    if sets:
        console.table(
            "",
            ("columns that identify", "alone", "of all", "only together"),
            [
                (
                    ", ".join(each.columns),
                    f"{each.unique:,}",
                    _share(each.unique / found.rows if found.rows else 0.0),
                    f"{each.minimal:,}",
                )
                for each in sets
            ],
            right=("alone", "of all", "only together"),
        )
    console.say("")


def _found(risk: Risk) -> list[tuple[str, str, str]]:
    found = risk.reidentification
    counts = "rows" if risk.counts == "rows" else "combinations of people"
    rows = [
        ("k", f"{found.k:,}", f"the smallest class, in {risk.counts}"),
        (
            "alone in their class",
            f"{found.unique:,}",
            f"{_share(found.uniqueness)} of {found.rows:,} {counts}",
        ),
        ("prosecutor, highest", _share(found.highest), f"for {_share(found.at_highest)}"),
        (
            "average per record",
            _share(found.average_per_record),
            f"{found.classes:,} classes ÷ {found.rows:,}",
        ),
        ("average per class", _share(found.average_per_class), "mean of 1 ÷ size"),
    ]
    if found.journalist:
        rows += [
            ("journalist, highest", _share(found.journalist.highest), f"population by {found.journalist.by}"),
            ("marketer", _share(found.journalist.average), f"population by {found.journalist.by}"),
        ]
    if risk.population:
        rows.append(
            (
                "unique in the population",
                _share(risk.population.uniqueness),
                f"of {risk.population.population:,}, estimated by {risk.population.model or 'none alone here'}",
            )
        )
    if found.excluded:
        rows.append(("in no class", f"{found.excluded:,}", "a quasi-identifier is null"))
    return rows


def _share(share: float) -> str:
    return f"{share:.2%}"


def _number(value: float) -> str:
    return f"{value:.4g}"
