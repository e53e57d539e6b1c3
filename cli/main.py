"""`veil`: the command line of airflow-veil."""

from __future__ import annotations

from typing import Annotated

import typer

from airflow_veil.cli import (
    anonymize,
    audit,
    budget,
    check,
    ci,
    classify,
    demo,
    detokenize,
    diff,
    dp,
    erase_run,
    holds,
    init,
    keys,
    lineage,
    model,
    plan,
    releases,
    retention,
    risk,
    run,
    schema,
    synthesize,
    synthesizers,
    trial,
)
from airflow_veil.cli.errors import MEANINGS, VeilGroup
from airflow_veil.cli.helptext import reflow

_EXIT_CODES = "\n".join(f"{code:>4}  {meaning}" for code, meaning in MEANINGS.items())

app = typer.Typer(
    name="veil",
    cls=VeilGroup,
    no_args_is_help=True,
    rich_markup_mode="rich",
    # Frames hold data: a traceback must never show what is in them.
    pretty_exceptions_enable=False,
    pretty_exceptions_show_locals=False,
    help="""Privacy pipelines as code: one policy file, a safe release of your tables.

[bold]Begin with[/bold]

[green]veil demo data --out demo/retail[/green]  invented customers to try things on
[green]veil init SOURCE > POLICY[/green]         a first policy, of what columns look like
[green]veil check POLICY[/green]                 every mistake, before a row moves
[green]veil plan POLICY[/green]                  what becomes of each column
[green]veil run POLICY -d DATASET[/green]        make the release
""",
    epilog=f"[bold]Exit codes[/bold]\n{_EXIT_CODES}\n\n`VEIL_DEBUG=1` adds a traceback, without variables.",
)

_COMMANDS = (
    classify.classify,
    init.init,
    check.check,
    plan.plan,
    diff.diff,
    run.run,
    synthesize.synthesize,
    risk.risk,
    trial.trial,
    ci.ci,
    detokenize.detokenize,
    schema.schema,
)
for _command in _COMMANDS:
    app.command()(_command)
for _name, _group in {
    "keys": keys.app,
    "anonymize": anonymize.app,
    "releases": releases.app,
    "dp": dp.app,
    "budget": budget.app,
    "synthesizers": synthesizers.app,
    "retention": retention.app,
    "holds": holds.app,
    "erase": erase_run.app,
    "audit": audit.app,
    "model": model.app,
    "lineage": lineage.app,
    "demo": demo.app,
}.items():
    app.add_typer(_group, name=_name)
reflow(app)


def _version(wanted: bool) -> None:  # noqa: FBT001 - typer calls it with the option's value
    if wanted:
        from importlib.metadata import version

        typer.echo(version("airflow-veil"))
        raise typer.Exit


@app.callback()
def _main(
    *,
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Keep the options of the root in one place."""


if __name__ == "__main__":
    app()
