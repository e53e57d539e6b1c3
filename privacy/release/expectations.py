"""Runs a Great Expectations suite over a staged release: results are counts, and memory stays bounded.

Expectations about single rows are evaluated batch by batch and their counts added up. Those about a whole column (it is
unique, its mean lies between) need that column at once; only the columns that such expectations name are loaded.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from airflow_veil.privacy.errors import ReleaseError
from airflow_veil.privacy.storage.base import Source

if TYPE_CHECKING:
    import pandas as pd

BATCH_ROWS = 1 << 18
"""Rows that are evaluated at once."""

_WHOLE_COLUMN = frozenset(
    {
        "expect_column_values_to_be_unique",
        "expect_compound_columns_to_be_unique",
        "expect_column_values_to_be_increasing",
        "expect_column_values_to_be_decreasing",
    }
)
"""Row expectations that nevertheless compare rows with each other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectationResult:
    """How one expectation went.

    Attributes:
        type: Name of the expectation.
        column: The column it is about; None for the table.
        success: Whether it holds.
        looked_at: Rows it was evaluated on.
        unexpected: Rows that do not fit; None where it is not about rows.
        evaluated: False where it could not be evaluated, which counts as not met.
    """

    type: str
    column: str | None
    success: bool
    looked_at: int
    unexpected: int | None
    evaluated: bool = True

    def as_dict(self) -> dict[str, Any]:
        """The result as plain data."""
        return asdict(self)

    def __str__(self) -> str:
        place = self.column or "the table"
        if not self.evaluated:
            return f"{self.type} on {place}: could not be evaluated"
        counted = (
            "" if self.unexpected is None else f", {self.unexpected} of {self.looked_at} rows do not fit"
        )
        return f"{self.type} on {place}: {'holds' if self.success else 'does not hold'}{counted}"


def load_suite(path: Path) -> list[dict[str, Any]]:
    """Read a suite as Great Expectations writes it: `{"name": …, "expectations": [{"type": …, "kwargs": …}]}`.

    Raises:
        ReleaseError: It is missing, is not JSON of that form, or holds no expectation.
    """
    fix = "name a suite that is in the folder `expectations` beside the policy"
    try:
        expectations = json.loads(path.read_text(encoding="utf-8"))["expectations"]
        suite = [{"type": str(item["type"]), "kwargs": dict(item.get("kwargs", {}))} for item in expectations]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ReleaseError(
            f"The expectation suite cannot be read ({type(error).__name__})", where=str(path), fix=fix
        ) from None
    if not suite:
        raise ReleaseError("The expectation suite is empty", where=str(path), fix="add expectations to it")
    return suite


def evaluate(suite: Sequence[dict[str, Any]], source: Source) -> tuple[ExpectationResult, ...]:
    """Evaluate a suite over all rows of a source.

    Args:
        suite: What `load_suite` gives.
        source: The staged release.

    Returns:
        One result an expectation, in the suite's order. A row expectation holds if the share of non-null rows that
        fit reaches its `mostly` (1 unless said).

    Raises:
        ReleaseError: An expectation names a column that the release does not have, or a type that does not exist.
    """
    _quiet()
    _columns_exist(suite, source)
    by_row = [_is_by_row(item["type"]) for item in suite]
    rows = iter(_by_row([item for item, row in zip(suite, by_row, strict=True) if row], source))
    whole = iter(_whole([item for item, row in zip(suite, by_row, strict=True) if not row], source))
    return tuple(next(rows) if row else next(whole) for row in by_row)


def _quiet() -> None:
    """Nothing phones home, said before the library is first imported; and its log, which may quote data, is silent."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    logging.getLogger("great_expectations").setLevel(logging.CRITICAL)


def _columns(item: dict[str, Any]) -> list[str]:
    """The columns that an expectation is about."""
    kwargs = item["kwargs"]
    named = [
        kwargs.get("column"),
        kwargs.get("column_A"),
        kwargs.get("column_B"),
        *kwargs.get("column_list", ()),
    ]
    return [name for name in named if name]


def _columns_exist(suite: Sequence[dict[str, Any]], source: Source) -> None:
    known = set(source.schema().names)
    missing = sorted({name for item in suite for name in _columns(item)} - known)
    if missing:
        raise ReleaseError(
            f"The expectation suite is about columns that the release does not have: {', '.join(missing)}",
            fix="bring the suite in line with the policy",
        )


def _is_by_row(kind: str) -> bool:
    from great_expectations.expectations.expectation import (
        ColumnMapExpectation,
        ColumnPairMapExpectation,
        MulticolumnMapExpectation,
    )
    from great_expectations.expectations.registry import get_expectation_impl

    try:
        implementation = get_expectation_impl(kind)
    except Exception:  # noqa: BLE001 - the library raises what it likes for an unknown name
        implementation = None
    if implementation is None:
        raise ReleaseError(
            f"There is no expectation {kind}", fix="use a type of Great Expectations' gallery, in snake case"
        )
    map_types = (ColumnMapExpectation, ColumnPairMapExpectation, MulticolumnMapExpectation)
    return issubclass(implementation, map_types) and kind not in _WHOLE_COLUMN


def _by_row(suite: list[dict[str, Any]], source: Source) -> list[ExpectationResult]:
    """Add up the counts of all batches."""
    if not suite:
        return []
    tallies = [_Tally() for _ in suite]
    names = sorted({name for item in suite for name in _columns(item)})
    for batch in source.batches(names, batch_rows=BATCH_ROWS):
        for tally, result in zip(tallies, _validate(suite, _frame(batch)), strict=True):
            tally.add(result)
    return [tally.result(item) for tally, item in zip(tallies, suite, strict=True)]


def _whole(suite: list[dict[str, Any]], source: Source) -> list[ExpectationResult]:
    """Evaluate what needs whole columns, loading those columns only."""
    if not suite:
        return []
    names = sorted({name for item in suite for name in _columns(item)}) or source.schema().names[:1]
    if any(not _columns(item) for item in suite):
        # Expectations about the table look at its set of columns as well as at its length.
        names = source.schema().names
    schema = pa.schema([source.schema().field(name) for name in names])
    table = pa.Table.from_batches(source.batches(names, batch_rows=BATCH_ROWS), schema=schema)
    return [
        _single(item, result, table.num_rows)
        for item, result in zip(suite, _validate(suite, _frame(table)), strict=True)
    ]


def _frame(rows: pa.RecordBatch | pa.Table) -> pd.DataFrame:
    """The rows for the library; nullable types, so that an integer with nulls stays an integer."""
    import pandas as pd

    types = {
        pa.int8(): pd.Int8Dtype(),
        pa.int16(): pd.Int16Dtype(),
        pa.int32(): pd.Int32Dtype(),
        pa.int64(): pd.Int64Dtype(),
    }
    frame: pd.DataFrame = rows.to_pandas(types_mapper=types.get)
    return frame


@cache
def _batches() -> Any:
    """Where frames become what the library validates; made once, since each context leaves a folder behind."""
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False, metric_calculations=False)
    asset = context.data_sources.add_pandas("staged").add_dataframe_asset("release")
    return asset.add_batch_definition_whole_dataframe("all")


def _validate(suite: list[dict[str, Any]], frame: pd.DataFrame) -> list[Any]:
    """Results of the library, in the suite's order; it may hand them back in another."""
    from great_expectations.core.expectation_suite import ExpectationSuite

    counted = {"result_format": "BASIC", "partial_unexpected_count": 0, "include_unexpected_rows": False}
    items = [{**item, "meta": {"index": index}} for index, item in enumerate(suite)]
    batch = _batches().get_batch({"dataframe": frame})
    results = batch.validate(ExpectationSuite(name="suite", expectations=items), result_format=counted)
    return sorted(results.results, key=lambda result: result.expectation_config.meta["index"])


def _raised(result: Any) -> bool:
    """Whether the library could not evaluate it; the text of its exception may quote data and is not kept."""
    info = result.exception_info or {}
    return bool(
        info.get("raised_exception")
        or any(isinstance(v, dict) and v.get("raised_exception") for v in info.values())
    )


class _Tally:
    """Counts of one row expectation over all batches."""

    def __init__(self) -> None:
        self.rows = self.missing = self.unexpected = 0
        self.evaluated = True

    def add(self, result: Any) -> None:
        """Add the counts of one batch."""
        if _raised(result):
            self.evaluated = False
            return
        self.rows += result.result.get("element_count", 0)
        self.missing += result.result.get("missing_count", 0) or 0
        self.unexpected += result.result.get("unexpected_count", 0)

    def result(self, item: dict[str, Any]) -> ExpectationResult:
        """The whole, judged by the share of rows that fit."""
        present = self.rows - self.missing
        mostly = float(item["kwargs"].get("mostly", 1.0))
        fits = present == 0 or (present - self.unexpected) / present >= mostly
        return ExpectationResult(
            type=item["type"],
            column=", ".join(_columns(item)) or None,
            success=self.evaluated and fits,
            looked_at=self.rows,
            unexpected=self.unexpected if self.evaluated else None,
            evaluated=self.evaluated,
        )


def _single(item: dict[str, Any], result: Any, rows: int) -> ExpectationResult:
    raised = _raised(result)
    return ExpectationResult(
        type=item["type"],
        column=", ".join(_columns(item)) or None,
        success=bool(result.success) and not raised,
        looked_at=rows,
        unexpected=None if raised else result.result.get("unexpected_count"),
        evaluated=not raised,
    )
