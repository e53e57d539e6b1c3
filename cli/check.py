"""`veil check`: every mistake in a policy, before a row moves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from airflow_veil.cli import console

if TYPE_CHECKING:
    import pyarrow as pa

    from airflow_veil.privacy.policy.finding import Finding
    from airflow_veil.privacy.policy.load import LoadedPolicy


def check(
    policies: Annotated[list[Path], typer.Argument(help="The policy files.", metavar="POLICY…")],
    *,
    against_source: Annotated[
        bool, typer.Option("--against-source", help="Also read the schema of each source, but no row.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Write the findings as JSON.")] = False,
) -> None:
    """Find every mistake in policies: what is wrong, at which line, and how to mend it.

    Unknown words, wrong types, two treatments for one column, a treatment that cannot take the column's type,
    a key domain joined in two ways, identifiers that would leave in clear, tokens that frequencies would give
    away, data sets that do not say whose their rows are, queries whose budget, keys or bounds do not fit.

    [bold]Examples[/bold]

    [green]veil check configs/*.yaml[/green]
    Needs no data.

    [green]veil check retail.yaml --against-source[/green]
    Also finds columns that are missing, are new or changed their type.

    [green]veil check retail.yaml --json[/green]
    For a CI job; the exit code is 1 if anything is wrong.
    """
    findings = [
        finding for policy in policies for finding in _findings(policy, against_source=against_source)
    ]
    if json:
        console.as_json({"policies": len(policies), "findings": [finding.as_dict() for finding in findings]})
    else:
        _show(findings, len(policies))
    raise typer.Exit(1 if findings else 0)


def _findings(path: Path, *, against_source: bool) -> tuple[Finding, ...]:
    """The mistakes of one policy: those of form hide those of meaning, for there is nothing to mean yet."""
    from airflow_veil.privacy.errors import PolicyError
    from airflow_veil.privacy.policy.check import check as check_meaning
    from airflow_veil.privacy.policy.load import load

    try:
        loaded = load(path)
    except PolicyError as error:
        return error.findings
    return check_meaning(loaded, dict(_schemas(loaded)) if against_source else None)


def _schemas(loaded: LoadedPolicy) -> Iterator[tuple[str, pa.Schema]]:
    from airflow_veil.cli.workspace import of_loaded

    opened = of_loaded(loaded)
    for dataset in loaded.policy.datasets:
        yield dataset, opened.source(dataset).schema()


def _show(findings: list[Finding], policies: int) -> None:
    out = console.out()
    for finding in findings:
        place = f"{finding.file}:{finding.line}:{finding.column}"
        words = (place, "bold"), ": ", (finding.message, "red"), f" [{finding.path or finding.rule}]"
        out.print(Text.assemble(*words), soft_wrap=True)
        out.print(Text.assemble("    fix: ", (finding.fix, "green")), soft_wrap=True)
    wrong = len({finding.file for finding in findings})
    if findings:
        console.say(
            f"{_count(len(findings), 'mistake')} in {wrong} of {_count(policies, 'policy')}", style="bold red"
        )
    else:
        console.say(f"{_count(policies, 'policy')} checked, no mistakes", style="bold green")


def _count(number: int, noun: str) -> str:
    plural = noun[:-1] + "ies" if noun.endswith("y") else noun + "s"
    return f"{number} {noun if number == 1 else plural}"
