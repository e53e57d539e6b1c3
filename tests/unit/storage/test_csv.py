"""CSV sources and writers."""

from __future__ import annotations

import csv as stdlib
import gzip
from datetime import date, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_veil.privacy.errors import SchemaError, StorageError
from airflow_veil.privacy.policy.models import CsvFormat
from airflow_veil.privacy.storage.base import Source, Writer
from airflow_veil.privacy.storage.csv import CsvSource
from airflow_veil.privacy.storage.csv_writer import CsvWriter

CANARY = "canary-7f3a"


@pytest.fixture
def source(tmp_path: Path):
    """Make a source of some text."""

    def make(text: str | bytes, types: dict | None = None, name: str = "in.csv", **options) -> CsvSource:
        (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        return CsvSource(tmp_path / name, types or {}, CsvFormat(**options))

    return make


def read(source: CsvSource, *columns: str, batch_rows: int = 1000) -> list[dict]:
    names = list(columns) or source.schema().names
    return [row for batch in source.batches(names, batch_rows=batch_rows) for row in batch.to_pylist()]


class TestCsvSource:
    def test_is_a_source(self, source) -> None:
        """The class keeps the protocol."""
        assert isinstance(source("a\n"), Source)

    def test_everything_is_text_unless_declared(self, source) -> None:
        """A postcode keeps its zero; nothing is guessed."""
        rows = read(source("plz,n\n01234,7\n", {"n": pa.int64()}))

        assert rows == [{"plz": "01234", "n": 7}]

    def test_reads_declared_types(self, source) -> None:
        """ISO 8601 dates and times, numbers, booleans."""
        types = {
            "d": pa.date32(),
            "t": pa.timestamp("us"),
            "u": pa.timestamp("us", "UTC"),
            "f": pa.float64(),
            "b": pa.bool_(),
        }

        (row,) = read(
            source("d,t,u,f,b\n2024-02-29,2024-02-29T12:00:00.5,2024-02-29 12:00:00Z,1.5,true\n", types)
        )

        assert row["d"] == date(2024, 2, 29)
        assert row["t"] == datetime(2024, 2, 29, 12, 0, 0, 500_000)
        assert row["u"].timestamp() == 1709208000
        assert (row["f"], row["b"]) == (1.5, True)

    @pytest.mark.parametrize(
        ("arrow", "bad"),
        [
            (pa.int64(), f"{CANARY}"),
            (pa.int8(), "300"),
            (pa.float64(), "1,5x"),
            (pa.date32(), "12/01/2010"),
            (pa.date32(), "2024-02-30"),
            (pa.timestamp("us"), "12/1/2010 8:26"),
            (pa.timestamp("us", "UTC"), "2024-01-01 00:00:00"),
            (pa.bool_(), "perhaps"),
        ],
        ids=str,
    )
    def test_value_of_another_type_is_an_error(self, source, arrow: pa.DataType, bad: str) -> None:
        """Column and row are named, the value is not; trying again is no use."""
        good = {pa.bool_(): "true", pa.date32(): "2024-01-01"}.get(arrow, "")

        with pytest.raises(StorageError, match=r"value of column b is no .* \(row 3") as raised:
            read(source(f'a,b\n1,"{good}"\n2,"{bad}"\n', {"b": arrow}))

        assert bad not in str(raised.value)
        assert raised.value.__cause__ is None
        assert not raised.value.retryable

    @pytest.mark.parametrize(("row", "cells"), [("1", 1), ("1,2,3", 3)])
    def test_ragged_row_is_an_error(self, source, row: str, cells: int) -> None:
        """A row with too few or too many cells is never padded or cut."""
        with pytest.raises(StorageError, match=rf"a row has {cells} cells \(row 3.*2 cells"):
            read(source(f"a,b\n1,2\n{row}\n"))

    def test_error_finds_the_row_in_a_long_file(self, source) -> None:
        """The row is counted over all blocks of the file, quoted line breaks or not."""
        text = "a,b\n" + '"x\ny",1\n' * 400_000 + f"z,{CANARY}\n"

        with pytest.raises(StorageError, match="row 400002") as raised:
            read(source(text, {"b": pa.int64()}))

        assert CANARY not in str(raised.value)

    def test_null_is_what_the_format_says(self, source) -> None:
        """Spellings of null hold for text and numbers, in quotes too; others are values."""
        text = 'a,n\n?,1\nx,?\n"?",NA\n'

        with pytest.raises(StorageError, match="column n"):
            read(source(text, {"n": pa.int64()}, null_values=("?",)))
        rows = read(source(text, {"n": pa.int64()}, null_values=("?", "NA")))
        assert rows == [{"a": None, "n": 1}, {"a": "x", "n": None}, {"a": None, "n": None}]

    def test_empty_text_may_be_told_from_null(self, tmp_path: Path) -> None:
        """In files of ours `""` is the empty text."""
        (tmp_path / "x.csv").write_text('a,b\n"",\n')

        assert read(CsvSource(tmp_path / "x.csv", quoted_nulls=False)) == [{"a": "", "b": None}]
        assert read(CsvSource(tmp_path / "x.csv")) == [{"a": None, "b": None}]

    def test_reads_quotes_and_line_breaks(self, source) -> None:
        """RFC 4180, also with CRLF."""
        assert read(source('a,b\r\n"x\r\ny","say ""hi"", ok"\r\n')) == [{"a": "x\r\ny", "b": 'say "hi", ok'}]

    @pytest.mark.parametrize(
        ("content", "encoding"),
        [("näme;x\nÄ;1\n".encode("latin-1"), "latin-1"), ("\ufeffnäme;x\nÄ;1\n".encode(), "utf8")],
        ids=["latin-1", "utf8 with BOM"],
    )
    def test_reads_other_delimiters_and_encodings(self, source, content: bytes, encoding: str) -> None:
        """As the policy says; a byte order mark is no part of a name."""
        assert read(source(content, delimiter=";", encoding=encoding)) == [{"näme": "Ä", "x": "1"}]

    @pytest.mark.parametrize("encoding", ["utf8", "ascii"])
    def test_undecodable_text_is_an_error(self, source, encoding: str) -> None:
        """A broken character is not replaced in silence."""
        with pytest.raises(StorageError) as raised:
            read(source(b"a\n" + CANARY.encode() + b"\xe9\n", encoding=encoding))

        assert CANARY not in str(raised.value)

    def test_unknown_encoding_is_an_error(self, source) -> None:
        """Before anything is read."""
        with pytest.raises(StorageError, match="no encoding nonsense"):
            source("a\n", encoding="nonsense")

    def test_reads_files_without_a_header(self, source) -> None:
        """The policy names the columns; an empty file then has no rows."""
        assert read(source("1,x\n", header=("n", "t"))) == [{"n": "1", "t": "x"}]
        assert read(source("", header=("n", "t"))) == []

    def test_missing_header_is_an_error(self, source) -> None:
        """An empty file tells no columns."""
        with pytest.raises(StorageError, match="no header"):
            source("").schema()

    def test_header_alone_is_no_rows(self, source) -> None:
        """The schema is there, rows are not."""
        assert source("a,b\n").schema().names == ["a", "b"]
        assert read(source("a,b\n")) == []

    def test_reads_gzip_by_suffix(self, source) -> None:
        """And an archive that was cut off is an error."""
        packed = gzip.compress(b"a\n" + b"\n".join(str(n).encode() for n in range(10_000)) + b"\n")

        assert len(read(source(packed, name="x.csv.gz"))) == 10_000
        with pytest.raises(StorageError):
            read(source(packed[:-20], name="cut.csv.gz"))

    def test_reads_a_folder_with_equal_headers(self, tmp_path: Path) -> None:
        """In the order of names; columns may be in another order."""
        (tmp_path / "1.csv").write_text("a,b\n1,2\n")
        (tmp_path / "2.csv").write_text("b,a\n4,3\n")

        assert read(CsvSource(tmp_path)) == [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}]

    @pytest.mark.parametrize("header", ["a", "a,c", "a,b,c"])
    def test_differing_headers_are_an_error(self, tmp_path: Path, header: str) -> None:
        """The file is named."""
        (tmp_path / "1.csv").write_text("a,b\n1,2\n")
        (tmp_path / "2.csv").write_text(f"{header}\n")

        with pytest.raises(SchemaError, match=r"2\.csv"):
            CsvSource(tmp_path).schema()

    def test_partitions_are_columns(self, tmp_path: Path) -> None:
        """As for Parquet."""
        (tmp_path / "day=2024-01-01").mkdir()
        (tmp_path / "day=2024-01-01" / "x.csv").write_text("a\n1\n")

        assert read(CsvSource(tmp_path, {"day": pa.date32()})) == [{"a": "1", "day": date(2024, 1, 1)}]

    @pytest.mark.parametrize("columns", [[], ["b"], ["c", "a"]], ids=str)
    def test_gives_the_projection(self, source, columns: list[str]) -> None:
        """Columns in the order asked; rows also where none is asked."""
        batches = list(source("a,b,c\n1,2,3\n4,5,6\n7,8,9\n").batches(columns, batch_rows=2))

        assert [batch.num_rows for batch in batches] == [2, 1]
        assert all(batch.schema.names == columns for batch in batches)

    def test_never_ending_quote_is_an_error(self, source) -> None:
        """The rest of the file would be one cell."""
        with pytest.raises(StorageError) as raised:
            read(source(f'a,b\n"{CANARY},2\n' + "3,4\n" * 2_000_000))

        assert CANARY not in str(raised.value)

    def test_fingerprint_tells_versions_apart(self, source) -> None:
        """By the content."""
        first = source("a\n1\n").fingerprint()

        assert source("a\n2\n").fingerprint()["files"][0]["sha256"] != first["files"][0]["sha256"]

    def test_reads_real_patients(self, shared_data: Path) -> None:
        """Synthea: 107 patients, with birth dates and quoted addresses."""
        source = CsvSource(shared_data / "synthea_ma108" / "patients.csv", {"BIRTHDATE": pa.date32()})

        rows = read(source, "Id", "BIRTHDATE")

        assert len(rows) == 107
        assert all(isinstance(row["BIRTHDATE"], date) for row in rows)

    def test_reads_real_files_without_a_header(self, shared_data: Path) -> None:
        """UCI Adult: 32,561 rows, `?` is null, a blank after each comma."""
        names = tuple(f"c{n}" for n in range(15))
        source = CsvSource(
            shared_data / "adult" / "adult.data", {}, CsvFormat(header=names, null_values=(" ?",))
        )

        rows = read(source, "c1")

        assert len(rows) == 32_561
        assert sum(row["c1"] is None for row in rows) == 1836


class TestCsvWriter:
    def test_is_a_writer(self, tmp_path: Path) -> None:
        """The class keeps the protocol."""
        assert isinstance(CsvWriter(tmp_path, pa.schema([("a", pa.string())])), Writer)

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50, deadline=None)
    @given(
        rows=st.lists(
            st.tuples(
                st.none() | st.text(st.characters(exclude_categories=("Cs",)), max_size=9),
                st.none() | st.integers(-(2**63), 2**63 - 1),
                st.none() | st.dates(),
                st.none() | st.floats(allow_nan=False),
            ),
            max_size=8,
        )
    )
    def test_comes_back_as_it_was(self, tmp_path_factory: pytest.TempPathFactory, rows: list[tuple]) -> None:
        """Nulls, empty texts, quotes, line breaks, numbers: all of it, formulas left alone."""
        folder = tmp_path_factory.mktemp("csv")
        types = {"t": pa.string(), "n": pa.int64(), "d": pa.date32(), "f": pa.float64()}
        columns = list(zip(*rows, strict=True)) or [(), (), (), ()]
        batch = pa.record_batch(
            [pa.array(c, a) for c, a in zip(columns, types.values(), strict=True)], names=list(types)
        )

        with CsvWriter(folder, batch.schema, formula_guard="none") as writer:
            writer.write(batch)

        assert writer.close().rows == len(rows)
        assert read(CsvSource(folder, types, quoted_nulls=False)) == batch.to_pylist()

    def test_no_cell_begins_a_formula(self, tmp_path: Path) -> None:
        """Each such cell gets a prefix, and they are counted; numbers are no formulas."""
        texts = ["=1+1", "+1", "-1", "@x", "\tx", "\rx", "\nx", "\uff1d1", "a=1", "", None, "'x"]
        batch = pa.record_batch({"t": texts, "n": pa.array([-1] * len(texts))})

        with CsvWriter(tmp_path, batch.schema) as writer:
            writer.write(batch)

        with (tmp_path / "data-00000.csv").open(newline="") as file:
            cells = [row[0] for row in stdlib.reader(file)][1:]
        assert cells == [f"'{text}" for text in texts[:8]] + ["a=1", "", "", "'x"]
        assert writer.close().guarded == 8

    @pytest.mark.parametrize(
        ("schema", "says"),
        [
            (pa.schema([("b", pa.binary())]), "b cannot be written as text"),
            (pa.schema([("l", pa.list_(pa.int8()))]), "l cannot be written as text"),
            (pa.schema([("=cmd()", pa.string())]), "column's name begins like"),
        ],
        ids=["bytes", "list", "name"],
    )
    def test_refuses_what_is_no_text(self, tmp_path: Path, schema: pa.Schema, says: str) -> None:
        """Before a row is written."""
        with pytest.raises(SchemaError, match=says):
            CsvWriter(tmp_path, schema)

    def test_writes_dictionaries_and_views_as_text(self, tmp_path: Path) -> None:
        """Encodings are no matter of the file."""
        batch = pa.record_batch(
            {"d": pa.array(["x", "=y"]).dictionary_encode(), "v": pa.array(["a", "b"], pa.string_view())}
        )

        with CsvWriter(tmp_path, batch.schema) as writer:
            writer.write(batch)

        assert (tmp_path / "data-00000.csv").read_text() == '"d","v"\n"x","a"\n"\'=y","b"\n'

    def test_removes_what_it_wrote_on_an_error(self, tmp_path: Path) -> None:
        """Nothing half written stays."""
        schema = pa.schema([("a", pa.int64())])

        with pytest.raises(StorageError), CsvWriter(tmp_path, schema) as writer:
            list(
                map(
                    writer.write,
                    [pa.record_batch([pa.array([1])], schema=schema), pa.record_batch({"b": [1]})],
                )
            )

        assert list(tmp_path.iterdir()) == []
