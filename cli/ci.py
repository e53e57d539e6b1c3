"""`veil ci`: every policy of a repository is checked, compared with its committed plan, and tried on a sample."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from airflow_veil.cli import console
from airflow_veil.cli.ci_report import COULD_NOT_RUN, Item, Level, Report, relative, repository

if TYPE_CHECKING:
    from airflow_veil.cli.ci_find import Samples

_STYLES = {Level.ERROR: "red", Level.WARNING: "yellow", Level.NOTE: "dim"}


def ci(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Policy files, and folders to look for policies in; the working folder if none is named.",
            metavar="POLICY|FOLDER…",
            show_default=False,
        ),
    ] = None,
    *,
    update: Annotated[
        bool, typer.Option("--update", help="Write the plan files anew; what changed is told as notes.")
    ] = False,
    plan: Annotated[bool, typer.Option("--plan/--no-plan", help="Compare plans with plan files.")] = True,
    against_source: Annotated[
        bool, typer.Option("--against-source", help="Also read the schema of each source.")
    ] = False,
    rows: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="With --against-source: measure the risk of so many rows from all over it.",
            show_default=False,
        ),
    ] = None,
    sample: Annotated[
        list[str] | None,
        typer.Option("--sample", metavar="DATASET=URI", help="Measure risk on this sample of a data set."),
    ] = None,
    samples: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Samples: FOLDER/POLICY/DATASET.parquet, or FOLDER/DATASET.parquet; also CSV.",
        ),
    ] = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option(metavar="PATTERN", help="Names, or paths below a folder, that are no policies."),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings count, too.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Write the report as JSON.")] = False,
    github: Annotated[bool, typer.Option("--github", help="Write annotations for GitHub Actions.")] = False,
    junit: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write the report as JUnit XML.")
    ] = None,
    sarif: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write the report as SARIF 2.1.0.")
    ] = None,
) -> None:
    """Check all policies of a repository: their mistakes, what changed since their plans were committed, and risk.

    Beside `shop.yaml` stands `shop.plan.json`: what leaves, and how. It is committed; a change of the policy that
    changes the plan is told column by column, and whether it shows more of people than before, until the file is
    written anew by `--update`, where a reviewer sees it. On a sample, risk is measured as `veil trial` does and held
    against the policy's gate: what it denies is an error, what it would ask people about a warning. No value is
    shown, and neither keys nor the ledger are needed.

    The exit code is 0 if nothing was found, 1 if something was, and 2 if something could not be looked at. Reports
    are written in each case.

    [bold]Examples[/bold]

    [green]veil ci[/green]
    All policies below this folder.

    [green]veil ci policies/ --update[/green]
    Write their plan files, to be committed.

    [green]veil ci --samples tests/samples --junit veil.xml --sarif veil.sarif --strict[/green]
    In a CI job: with risk, and reports for GitLab and GitHub.
    """
    from airflow_veil.cli.ci_find import Samples

    if json and github:
        raise typer.BadParameter("write either --json or --github to standard output")
    if rows is not None and not against_source:
        raise typer.BadParameter("rows are those of the sources: say --against-source", param_hint="--rows")
    if update and not plan:
        raise typer.BadParameter("--update writes the plans that --no-plan leaves out")
    report = _run(
        paths or [Path()],
        exclude or (),
        Samples.of(sample or (), samples),
        plan=plan,
        update=update,
        against_source=against_source,
        rows=rows,
        strict=strict,
    )
    if json:
        console.as_json(report.as_dict())
    else:
        for item in report.items:
            _annotate(report, item) if github else _show(item)
        _summarize(report)
    raise typer.Exit(report.exit_code if _written(report, junit, sarif) else COULD_NOT_RUN)


def _run(
    paths: Sequence[Path],
    exclude: Sequence[str],
    samples: Samples,
    *,
    plan: bool,
    update: bool,
    against_source: bool,
    rows: int | None,
    strict: bool,
) -> Report:
    from airflow_veil.cli.ci_find import find
    from airflow_veil.cli.ci_plan import orphan
    from airflow_veil.cli.ci_run import Wanted, load_policy, run

    start = time.perf_counter()
    found = find(paths, exclude)
    if not found.policies and not found.orphans:
        raise typer.BadParameter(
            f"there is no policy below {', '.join(map(str, paths))}", param_hint="POLICY|FOLDER…"
        )
    loaded = {path: load_policy(path) for path in found.policies}
    samples.check([each for each in loaded.values() if not isinstance(each, tuple)])
    wanted = Wanted(plan=plan, update=update, against_source=against_source, rows=rows, samples=samples)
    cases = [case for path, each in loaded.items() for case in run(path, each, wanted)]
    cases += [orphan(file) for file in found.orphans] if plan else []
    return Report(
        root=repository(Path()),
        policies=found.policies,
        cases=tuple(cases),
        strict=strict,
        seconds=time.perf_counter() - start,
    )


def _show(item: Item) -> None:
    out = console.out()
    place = f"{relative(item.file, Path())}:{item.line}:{item.column}"
    words = item.rule + (f", {item.strength}" if item.strength else "")
    style = _STYLES[item.level]
    out.print(
        Text.assemble((place, "bold"), ": ", (f"{item.level}: {item.message}", style), f" [{words}]"),
        soft_wrap=True,
    )
    if item.fix:
        out.print(Text.assemble("    fix: ", (item.fix, "green")), soft_wrap=True)


def _annotate(report: Report, item: Item) -> None:
    """An annotation as GitHub Actions reads it off standard output."""
    kind = {Level.ERROR: "error", Level.WARNING: "warning", Level.NOTE: "notice"}[item.level]
    parts = {
        "file": report.place_of(item.file),
        "line": str(item.line),
        "col": str(item.column),
        "title": item.rule + (f" ({item.strength})" if item.strength else ""),
    }
    where = ",".join(f"{word}={_escaped(text, more=':,')}" for word, text in parts.items())
    fix = f" Fix: {item.fix}" if item.fix else ""
    typer.echo(f"::{kind} {where}::{_escaped(item.message + fix)}")


def _escaped(text: str, *, more: str = "") -> str:
    """Text that cannot end an annotation, nor begin another one."""
    text = text.replace("%", "%25")
    for sign in ("\r", "\n", *more):
        text = text.replace(sign, f"%{ord(sign):02X}")
    return text


def _summarize(report: Report) -> None:
    parts = [
        _count(report.count(Level.ERROR), "error"),
        _count(report.count(Level.WARNING), "warning"),
        _count(report.count(Level.NOTE), "note"),
    ]
    if report.weaker:
        parts.append(f"{report.weaker} of them show more of people than before")
    if report.broken:
        parts.append(f"{report.broken} could not be looked at")
    skipped = sum(bool(case.skipped) for case in report.cases)
    if skipped:
        parts.append(f"{skipped} left out")
    style = "bold red" if report.exit_code else "bold green"
    policies = f"{len(report.policies)} {'policy' if len(report.policies) == 1 else 'policies'}"
    console.say(f"{policies}: {', '.join(parts)}", style=style)


def _count(number: int, noun: str) -> str:
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"


def _written(report: Report, junit: Path | None, sarif: Path | None) -> bool:
    """Write the reports, each whole or not at all; whether that worked."""
    from importlib.metadata import version

    from airflow_veil.cli.ci_junit import junit as as_junit
    from airflow_veil.cli.ci_sarif import sarif as as_sarif

    good = True
    if junit is not None:
        good &= _write(junit, as_junit(report, datetime.now(UTC)))
    if sarif is not None:
        good &= _write(sarif, as_sarif(report, version=version("airflow-veil")))
    return good


def _write(file: Path, content: bytes) -> bool:
    from airflow_veil.privacy.storage.durable import write_whole

    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, content, drafts=file.parent)
    except OSError as error:
        console.note(f"error: {file} cannot be written ({error.strerror})", style="red")
        return False
    return True
