"""`veil init`: a first policy for a source."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from airflow_veil.cli.classify import AllRows, Rows, open_data, sample_rows


def init(
    source: Annotated[
        str, typer.Argument(help="A file or folder of data.", metavar="SOURCE", show_default=False)
    ],
    *,
    name: Annotated[
        str | None, typer.Option("--name", help="The name of the policy; that of the file where not said.")
    ] = None,
    rows: Rows = None,
    all_rows: AllRows = False,
) -> None:
    """Write a first policy for a source: every column with what it looks like, and a treatment that goes with that.

    It passes `veil check`, and is meant to be read: comments say why. What nothing is known of is dropped. Values of
    the source are neither shown nor written.

    [bold]Examples[/bold]

    [green]veil init customers.parquet > customers.yaml[/green]
    Then `veil check customers.yaml --against-source`, and `veil plan customers.yaml`.
    """
    from airflow_veil.privacy.classify.service import classify
    from airflow_veil.privacy.classify.stub import policy_stub

    opened = open_data(source)
    suggestions = classify(opened, sample_rows=sample_rows(rows, all_rows=all_rows))
    uri = source if "://" in source else str(Path(source).absolute())
    typer.echo(policy_stub(suggestions, opened.schema(), uri=uri, name=name or named_after(source)), nl=False)


def named_after(source: str) -> str:
    """A name that a policy can bear: the letters, digits and underscores of the file's name."""
    stem = Path(source.rstrip("/")).name.partition(".")[0]
    name = re.sub(r"[^A-Za-z0-9]+", "_", stem).strip("_").lower()[:64]
    return name if name[:1].isalpha() else f"data_{name}"[:64].rstrip("_")
