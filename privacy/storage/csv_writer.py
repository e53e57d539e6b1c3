"""CSV output that a spreadsheet opens without running it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from airflow_veil.privacy.errors import SchemaError
from airflow_veil.privacy.storage.base import Writer, Written
from airflow_veil.privacy.storage.batches import plain, plain_array
from airflow_veil.privacy.storage.durable import HashingFile, sync_folder
from airflow_veil.privacy.storage.failure import storing, unfit

FORMULA = "^[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]"
"""What makes a spreadsheet take a cell for a formula: OWASP's list, with the full-width signs."""


class CsvWriter(Writer):
    """Writes `data-00000.csv` into a folder; see `Writer`. Memory: one batch.

    RFC 4180 with a header; text is always quoted, so that `""` is the empty text and nothing at all is null.

    A text cell that begins with `= + - @`, a tab or a line break would be run as a formula by a spreadsheet
    (CSV injection). With `formula_guard="prefix"` it gets a `'` in front, which changes the text; how many were
    is in `Written.guarded`. With `"none"` text leaves as it is, for consumers that are no spreadsheets.

    Args:
        folder: A folder, made if it is not there; a file of the same name in it is an error.
        schema: The schema of the batches.
        formula_guard: See above.

    Raises:
        SchemaError: A column's type has no text form (bytes, lists, structs), or a column's name begins like a
            formula.
    """

    def __init__(
        self, folder: Path, schema: pa.Schema, *, formula_guard: Literal["prefix", "none"] = "prefix"
    ) -> None:
        self._folder = folder
        self._schema = schema.remove_metadata()
        self._guard = formula_guard == "prefix"
        _check(self._schema, str(folder), guard=self._guard)
        self._rows = self._guarded = 0
        self._written: Written | None = None
        self._plain = pa.schema([pa.field(field.name, plain(field.type)) for field in self._schema])
        with storing("writing", str(folder)):
            folder.mkdir(parents=True, exist_ok=True)
            self._sink = HashingFile(folder / "data-00000.csv")
            self._writer = csv.CSVWriter(self._sink, self._plain)

    def write(self, batch: pa.RecordBatch) -> None:
        """See `Writer.write`."""
        if not batch.schema.equals(self._schema):
            raise unfit("a batch has another schema than the file", where=str(self._folder))
        columns = [self._safe(plain_array(column)) for column in batch.columns]
        with storing("writing", str(self._folder)):
            self._writer.write_batch(pa.record_batch(columns, schema=self._plain))
        self._rows += batch.num_rows

    def close(self) -> Written:
        """See `Writer.close`."""
        if self._written is None:
            with storing("writing", str(self._folder)):
                self._writer.close()
                file = self._sink.finish()
                sync_folder(self._folder)
            self._written = Written(rows=self._rows, bytes=file.bytes, files=(file,), guarded=self._guarded)
        return self._written

    def abort(self) -> None:
        """See `Writer.abort`."""
        self._sink.drop()
        self._writer.close()

    def _safe(self, column: pa.Array) -> pa.Array:
        """The column with a prefix on cells that begin like a formula."""
        if not self._guard or not pa.types.is_string(column.type):
            return column
        formulas = pc.match_substring_regex(column, FORMULA)
        count = pc.sum(formulas).as_py() or 0
        if not count:
            return column
        self._guarded += count
        return pc.if_else(formulas, pc.binary_join_element_wise("'", column, ""), column)


def _check(schema: pa.Schema, where: str, *, guard: bool) -> None:
    textless = [
        field.name
        for field in schema
        if pa.types.is_nested(field.type) or pa.types.is_binary(plain(field.type))
    ]
    if textless:
        raise SchemaError(
            f"{', '.join(textless)} cannot be written as text",
            where=where,
            fix="drop the column, or release Parquet",
        )
    names = (
        pc.match_substring_regex(pa.array(schema.names, pa.string()), FORMULA).to_pylist() if guard else []
    )
    if any(names):
        raise SchemaError(
            "a column's name begins like a spreadsheet formula", where=where, fix="rename the column"
        )
