"""Row filters as edges: which columns decide over the rows, and whether who sees the rows learns of their values."""

from __future__ import annotations

from collections.abc import Iterator

from airflow_veil.privacy.lineage.model import Edge, Kind, Subtype
from airflow_veil.privacy.transforms import expression
from airflow_veil.privacy.transforms.base import RowFilter
from airflow_veil.privacy.transforms.sample import Sample
from airflow_veil.privacy.transforms.where import Where


def filter_edges(row: RowFilter, subject: str | None) -> Iterator[Edge]:
    """The edges of one row filter, one a column that it reads; names only, never what they are compared with.

    Args:
        row: The filter.
        subject: The data set's subject column.
    """
    for source in row.inputs(subject):
        words, masking = _told(row, source)
        yield Edge(
            source=source,
            target=None,
            kind=Kind.INDIRECT,
            subtype=Subtype.FILTER,
            masking=masking,
            description=words,
        )


def _told(row: RowFilter, column: str) -> tuple[str, bool]:
    """In words, and whether the column's value stays hidden.

    A sample is drawn by a key. That a value is there, `is null` may ask of any column: treated columns show their
    nulls as well. A filter that is not known here hides nothing.
    """
    if isinstance(row, Sample):
        return "keyed sample of subjects", True
    if isinstance(row, Where) and column not in _compared(expression.parse(row.expression)):
        return "rows chosen by whether there is a value", True
    return f"rows chosen by `{row.word}`", False


def _compared(node: expression.Node | expression.Literal) -> frozenset[str]:
    """The columns of an expression of which more is asked than whether they are null."""
    match node:
        case expression.IsNull() | expression.Literal():
            return frozenset()
        case expression.Not(part):
            return _compared(part)
        case expression.All(parts) | expression.Any(parts):
            return frozenset().union(*map(_compared, parts))
        case _:
            return frozenset(expression.columns(node))
