"""`veil classify`: which columns hold what kind of personal data, and whether a policy says so."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from airflow_veil.cli import console
from airflow_veil.cli.options import Dataset

if TYPE_CHECKING:
    from airflow_veil.privacy.classify.compare import Discrepancy
    from airflow_veil.privacy.classify.suggestion import Suggestion
    from airflow_veil.privacy.storage.base import Source

_POLICIES = (".yaml", ".yml")

Rows = Annotated[
    int | None,
    typer.Option(
        "--rows",
        min=1,
        help="How many rows of a source are looked at, spread over it.",
        show_default="100,000",
    ),
]
AllRows = Annotated[bool, typer.Option("--all-rows", help="Look at every row.")]


def classify(
    source: Annotated[
        str,
        typer.Argument(
            help="A file or folder of data, or a policy file.", metavar="SOURCE|POLICY", show_default=False
        ),
    ],
    dataset: Dataset = None,
    *,
    rows: Rows = None,
    all_rows: AllRows = False,
    json: Annotated[bool, typer.Option("--json", help="Write what was found as JSON.")] = False,
) -> None:
    """Tell which columns hold what kind of personal data, how sure that is, and why; no value is shown.

    Of a policy, every data set is looked at, and compared with what the policy says of it: the exit code is 1 if
    personal data leaves in a column that is declared `none`, or a direct identifier in one that is declared less.
    Columns that the policy does not name are looked at, too; they do not leave.

    [bold]Examples[/bold]

    [green]veil classify customers.parquet[/green]
    100,000 rows from all over a file.

    [green]veil classify shop.yaml --dataset customers --all-rows[/green]
    All rows of a data set, against its policy.
    """
    looked = list(_look(source, dataset, sample_rows(rows, all_rows=all_rows)))
    if json:
        console.as_json([_as_dict(*item) for item in looked])
    else:
        for name, suggestions, found in looked:
            _show(name, suggestions, found)
    raise typer.Exit(1 if any(found for _, _, found in looked) else 0)


def sample_rows(rows: int | None, *, all_rows: bool) -> int | None:
    """How many rows to look at; None for all of them."""
    from airflow_veil.privacy.classify.service import SAMPLE_ROWS

    if rows is not None and all_rows:
        raise typer.BadParameter("say either how many rows, or --all-rows")
    return None if all_rows else rows or SAMPLE_ROWS


def open_data(uri: str) -> Source:
    """The file or folder that a command names; relative paths start where the command runs."""
    from airflow_veil.privacy.policy.models import FileSource
    from airflow_veil.privacy.storage.open import open_source

    return open_source(FileSource(uri=uri), root=Path())


_Looked = tuple[str, "tuple[Suggestion, ...]", "tuple[Discrepancy, ...]"]


def _look(source: str, dataset: str | None, rows: int | None) -> Iterator[_Looked]:
    """What was found, data set by data set; of a bare source there is nothing to compare with."""
    from airflow_veil.cli.workspace import datasets_of, workspace
    from airflow_veil.privacy.classify.compare import compare
    from airflow_veil.privacy.classify.service import classify as classify_source

    if not source.endswith(_POLICIES):
        yield source, classify_source(open_data(source), sample_rows=rows), ()
        return
    opened = workspace(Path(source))
    for name in datasets_of(opened.loaded, dataset):
        suggestions = classify_source(opened.source(name), sample_rows=rows)
        yield name, suggestions, compare(name, opened.loaded.policy.datasets[name], suggestions)


def _as_dict(name: str, suggestions: Sequence[Suggestion], found: Sequence[Discrepancy]) -> dict[str, object]:
    return {
        "source": name,
        "columns": [item.as_dict() for item in suggestions],
        "discrepancies": [item.as_dict() for item in found],
    }


def _show(name: str, suggestions: Sequence[Suggestion], found: Sequence[Discrepancy]) -> None:
    rows = [_row(item) for item in suggestions]
    console.table(name, ("column", "kind", "class", "category", "sure", "evidence"), rows, right=("sure",))
    for item in found:
        console.say(f"{item.dataset}: {item}", style="red")
    console.say("")


def _row(item: Suggestion) -> tuple[str, ...]:
    evidence = "; ".join(map(str, item.evidence)) if item.is_personal else ""
    return (
        item.column,
        item.kind.replace("_", " "),
        item.column_class.value,
        item.category or "",
        f"{item.confidence:.0%}",
        evidence if item.values else f"{evidence or 'nothing'}; no values",
    )
