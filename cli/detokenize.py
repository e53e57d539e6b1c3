"""`veil detokenize`: gives tokens back their values, for a reason that is kept."""

from __future__ import annotations

from typing import Annotated

import typer

from airflow_veil.cli import console
from airflow_veil.cli.options import OneDataset, Policy


def detokenize(
    policy: Policy,
    dataset: OneDataset,
    *,
    column: Annotated[
        list[str],
        typer.Option("--column", "-c", help="A column to turn back; may be repeated.", show_default=False),
    ],
    source: Annotated[
        str,
        typer.Option(
            "--input", metavar="URI", help="Parquet with the tokens: a release.", show_default=False
        ),
    ],
    output: Annotated[
        str,
        typer.Option(metavar="URI", help="The folder to write; it must not be there.", show_default=False),
    ],
    reason: Annotated[
        str,
        typer.Option(
            help="Why; kept as evidence, at least ten characters. No personal data.", show_default=False
        ),
    ],
    json: Annotated[bool, typer.Option("--json", help="Write the counts as JSON.")] = False,
) -> None:
    """Turn reversible columns of a release back into the values that they stand for.

    The values go from file to file; the new file is readable by its owner alone. The reason, who gave it and
    the counts are written to the ledger's evidence before the first value is read. One-way tokens stay what
    they are, and so does whatever a destroyed key version made.

    [bold]Examples[/bold]

    [green]veil detokenize retail.yaml -d customers -c email --reason "ticket 4711: recall"
    --input found.parquet --output told[/green]
    Whom to tell of a recall.
    """
    from airflow_veil.cli.workspace import actor, workspace
    from airflow_veil.privacy.release.detokenize import detokenize as turn_back

    counts = turn_back(
        workspace(policy),
        dataset,
        input=source,
        output=output,
        columns=tuple(column),
        reason=reason,
        actor=actor(),
    )
    if json:
        console.as_json({"rows": counts.rows, "values": counts.values, "withheld": counts.withheld})
        return
    console.say(
        f"Turned {counts.values:,} values of {counts.rows:,} rows back, into {output}.", style="green"
    )
    if counts.withheld:
        console.say(f"Withheld: {counts.withheld:,} values of erased people.")
    console.say("It holds personal data: delete it when the reason is gone.")
