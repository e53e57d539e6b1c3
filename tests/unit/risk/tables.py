"""Tables that the tests of risk share: published ones, and small ones by hand."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import csv

from airflow_veil.privacy.risk.classes import Classes, classes
from airflow_veil.privacy.risk.codes import Codes, codes_of

ADULT_KEYS = ("age", "education", "occupation", "relationship", "sex", "native-country")
"""The quasi-identifiers of pyCANON's example on Adult."""
STUDENT_KEYS = ("Teacher", "Gender", "Ethnic", "Freeredu", "wesson")
"""The quasi-identifiers of its tests on the scores of students."""

GUIDELINE = {
    "residence": ["u", "u", "u", "u", "r", "u", "u", "u", "u", "u"],
    "gender": ["f", "f", "f", "m", "f", "m", "f", "m", "f", "f"],
    "education": ["si", "si", "pi", "sc", "sc", "sc", "pc", "ps", "si", "si"],
    "labor": ["emp", "emp", "no", "emp", "un", "emp", "no", "un", "no", "no"],
}
"""The ten rows of the guideline that sdcMicro tests SUDA with."""


def read(path: Path, delimiter: str = ",") -> pa.Table:
    """A table of CSV, compressed or not."""
    if path.suffix == ".gz":
        return csv.read_csv(
            pa.BufferReader(gzip.decompress(path.read_bytes())),
            parse_options=csv.ParseOptions(delimiter=delimiter),
        )
    return csv.read_csv(path, parse_options=csv.ParseOptions(delimiter=delimiter))


def adult(shared_data: Path) -> pa.Table:
    """Adult as ARX has it: 30,162 rows of nine columns."""
    return read(shared_data / "arx" / "adult.csv", ";")


def coded(table: pa.Table | dict[str, Any], *, ordered: tuple[str, ...] = ()) -> dict[str, Codes]:
    """All columns of a table as codes."""
    table = pa.table(table) if isinstance(table, dict) else table
    return codes_of(table, table.column_names, ordered=ordered)


def grouped(table: pa.Table | dict[str, Any], keys: tuple[str, ...]) -> Classes:
    """The classes of a table."""
    columns = coded(table)
    return classes([columns[key] for key in keys])


def of_sizes(*sizes: int) -> Classes:
    """Classes of these sizes."""
    return Classes(of=np.repeat(np.arange(len(sizes)), sizes), sizes=np.array(sizes))
