"""Parquet sources and writers."""

from __future__ import annotations

import hashlib
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_veil.privacy.errors import SchemaError, StorageError
from airflow_veil.privacy.storage import parquet
from airflow_veil.privacy.storage.base import Source, Writer
from airflow_veil.privacy.storage.parquet import ParquetSource, ParquetWriter

CANARY = "canary-7f3a"


def people(rows: int = 5) -> pa.Table:
    return pa.table({"id": pa.array(range(rows), pa.int64()), "name": [f"name {n}" for n in range(rows)]})


def read(source: ParquetSource, *columns: str, batch_rows: int = 1000) -> list[dict]:
    names = list(columns) or source.schema().names
    return [row for batch in source.batches(names, batch_rows=batch_rows) for row in batch.to_pylist()]


@pytest.fixture
def hive(tmp_path: Path) -> Path:
    for day in ("2024-01-01", "2024-01-02", "__HIVE_DEFAULT_PARTITION__"):
        folder = tmp_path / "hive" / f"day={day}" / "shop=7"
        folder.mkdir(parents=True)
        pq.write_table(people(2), folder / "part-0.parquet")
    return tmp_path / "hive"


class TestParquetSource:
    def test_is_a_source(self, tmp_path: Path) -> None:
        """The class keeps the protocol."""
        assert isinstance(ParquetSource(tmp_path), Source)

    @pytest.mark.parametrize("batch_rows", [1, 3, 5, 100])
    def test_gives_the_projection_in_the_order_asked(self, tmp_path: Path, batch_rows: int) -> None:
        """Columns come as asked, batches no larger than asked."""
        pq.write_table(people(), tmp_path / "p.parquet", row_group_size=2)

        batches = list(ParquetSource(tmp_path / "p.parquet").batches(["name", "id"], batch_rows=batch_rows))

        assert pa.Table.from_batches(batches).equals(people().select(["name", "id"]))
        assert max(batch.num_rows for batch in batches) <= batch_rows

    def test_counts_rows_where_no_column_is_asked(self, tmp_path: Path) -> None:
        """A projection to nothing still has rows."""
        pq.write_table(people(), tmp_path / "p.parquet")

        batches = ParquetSource(tmp_path / "p.parquet").batches([], batch_rows=2)

        assert [(batch.num_rows, batch.num_columns) for batch in batches] == [(2, 0), (2, 0), (1, 0)]

    def test_takes_a_column_by_its_whole_name(self, tmp_path: Path) -> None:
        """A dot in a name is no path into a struct."""
        pq.write_table(pa.table({"a": [1], "a.b": [2]}), tmp_path / "p.parquet")

        assert read(ParquetSource(tmp_path / "p.parquet"), "a") == [{"a": 1}]
        assert read(ParquetSource(tmp_path / "p.parquet"), "a.b") == [{"a.b": 2}]

    def test_delivers_plain_types_without_metadata(self, tmp_path: Path) -> None:
        """Dictionary encoding, wide offsets and pandas' notes stay in the storage."""
        table = pa.table(
            {"d": pa.array(["x", "x"]).dictionary_encode(), "l": pa.array(["y", None], pa.large_string())}
        )
        pq.write_table(table.replace_schema_metadata({"pandas": CANARY}), tmp_path / "p.parquet")
        source = ParquetSource(tmp_path / "p.parquet")

        assert source.schema() == pa.schema([("d", pa.string()), ("l", pa.string())])
        assert source.schema().metadata is None
        assert next(source.batches(["d", "l"], batch_rows=9)).schema == source.schema()

    def test_reads_a_folder_in_the_order_of_names(self, tmp_path: Path) -> None:
        """Rows come in a stable order; columns may lie in another order in each file."""
        pq.write_table(people(2).select(["name", "id"]), tmp_path / "b.parquet")
        pq.write_table(people(1), tmp_path / "a.parquet")

        assert [row["id"] for row in read(ParquetSource(tmp_path))] == [0, 0, 1]

    @pytest.mark.parametrize("name", [".hidden.parquet", "_SUCCESS", "._x", "_manifest.json"])
    def test_ignores_what_is_hidden(self, tmp_path: Path, name: str) -> None:
        """Markers and our own manifest hold no rows."""
        pq.write_table(people(1), tmp_path / "a.parquet")
        (tmp_path / name).write_text("no parquet")

        assert len(read(ParquetSource(tmp_path))) == 1

    def test_refuses_a_file_of_another_kind(self, tmp_path: Path) -> None:
        """Rows that nobody reads would be missed by nobody."""
        pq.write_table(people(1), tmp_path / "a.parquet")
        (tmp_path / "b.dat").write_text("?")

        with pytest.raises(StorageError, match=r"b\.dat.*another kind"):
            ParquetSource(tmp_path).schema()

    def test_refuses_a_linked_folder(self, tmp_path: Path) -> None:
        """The folder above releases holds `current`, a second way to the same rows."""
        (tmp_path / "data" / "r1").mkdir(parents=True)
        pq.write_table(people(1), tmp_path / "data" / "r1" / "a.parquet")
        (tmp_path / "data" / "current").symlink_to("r1")

        with pytest.raises(StorageError, match="symbolic link"):
            ParquetSource(tmp_path / "data").schema()

    def test_partitions_are_columns(self, hive: Path) -> None:
        """Whole numbers are int64, a declared type is that type, Hive's null is null."""
        source = ParquetSource(hive, {"day": pa.date32()})

        assert source.schema().field("day").type == pa.date32()
        assert source.schema().field("shop").type == pa.int64()
        days = [row["day"] for row in read(source, "day")]
        assert days == [date(2024, 1, 1)] * 2 + [date(2024, 1, 2)] * 2 + [None] * 2

    def test_partition_values_stay_out_of_names(self, tmp_path: Path) -> None:
        """A folder `email=…` is a value of the data: neither errors nor fingerprints show it."""
        for number, table in enumerate([people(1), people(1).rename_columns(["id", "other"])]):
            (tmp_path / f"email={CANARY}{number}").mkdir()
            pq.write_table(table, tmp_path / f"email={CANARY}{number}" / "p.parquet")
        source = ParquetSource(tmp_path)

        with pytest.raises(SchemaError) as raised:
            source.schema()

        assert "email=*/p.parquet" in str(raised.value)
        assert CANARY not in str(raised.value)
        assert CANARY not in str(source.fingerprint())

    def test_refuses_a_partition_value_of_another_type(self, hive: Path) -> None:
        """A declared type is a promise for all folders."""
        with pytest.raises(SchemaError, match="partition column day") as raised:
            read(ParquetSource(hive, {"day": pa.int32()}))

        assert "2024" not in str(raised.value)

    def test_refuses_files_outside_the_partitions(self, hive: Path) -> None:
        """A null nobody wrote would be made up."""
        pq.write_table(people(1), hive / "stray.parquet")

        with pytest.raises(SchemaError, match=r"stray\.parquet|part-0\.parquet"):
            ParquetSource(hive).schema()

    @pytest.mark.parametrize(
        ("other", "says"),
        [
            (pa.table({"id": [1]}), "column name is missing"),
            (pa.table({"id": [1], "name": ["x"], "extra": [1]}), "column extra is not in the first file"),
            (
                pa.table({"id": pa.array([1], pa.int32()), "name": ["x"]}),
                "column id is int32, in the first file int64",
            ),
        ],
        ids=["missing", "extra", "type"],
    )
    def test_differing_files_are_an_error(self, tmp_path: Path, other: pa.Table, says: str) -> None:
        """Nothing is filled with nulls or cast in silence: the error names the file and the column."""
        pq.write_table(people(1), tmp_path / "a.parquet")
        pq.write_table(other, tmp_path / "b.parquet")

        with pytest.raises(SchemaError, match=says) as raised:
            ParquetSource(tmp_path).schema()

        assert "b.parquet" in str(raised.value)

    def test_unknown_column_is_an_error(self, tmp_path: Path) -> None:
        """The error names it."""
        pq.write_table(people(1), tmp_path / "a.parquet")

        with pytest.raises(SchemaError, match="no column nope"):
            list(ParquetSource(tmp_path).batches(["nope"], batch_rows=1))

    @pytest.mark.parametrize("content", [b"", b"PAR1", CANARY.encode() * 9], ids=["empty", "cut", "text"])
    def test_damaged_file_is_an_error(self, tmp_path: Path, content: bytes) -> None:
        """The error names the file, not its content."""
        (tmp_path / "a.parquet").write_bytes(content)

        with pytest.raises(StorageError, match=r"a\.parquet") as raised:
            ParquetSource(tmp_path).schema()

        assert CANARY not in str(raised.value)
        assert raised.value.__cause__ is None

    @pytest.mark.parametrize("missing", ["nothing", "empty"])
    def test_nothing_to_read_is_an_error(self, tmp_path: Path, missing: str) -> None:
        """An empty release by mistake would be worse."""
        (tmp_path / "empty").mkdir()

        with pytest.raises(StorageError):
            ParquetSource(tmp_path / missing).schema()

    def test_fingerprint_tells_versions_apart(self, tmp_path: Path) -> None:
        """The same files give the same fingerprint, others another; numbers fit JSON."""
        pq.write_table(people(1), tmp_path / "a.parquet")
        before = ParquetSource(tmp_path).fingerprint()

        assert ParquetSource(tmp_path).fingerprint() == before
        pq.write_table(people(2), tmp_path / "a.parquet")
        assert ParquetSource(tmp_path).fingerprint()["sha256"] != before["sha256"]
        assert set(before["files"][0]) == {"name", "bytes", "mtime_ns", "sha256"}
        assert isinstance(before["files"][0]["mtime_ns"], str)

    def test_reads_real_retail_rows(self, shared_data: Path) -> None:
        """UCI Online Retail: 541,909 rows, 135,080 of them without a customer."""
        source = ParquetSource(shared_data / "online_retail" / "online_retail.parquet")

        batches = list(source.batches(["CustomerID"], batch_rows=65_536))

        assert sum(batch.num_rows for batch in batches) == 541_909
        assert sum(batch.column(0).null_count for batch in batches) == 135_080


class TestParquetWriter:
    def test_is_a_writer(self, tmp_path: Path) -> None:
        """The class keeps the protocol."""
        assert isinstance(ParquetWriter(tmp_path, people().schema), Writer)

    def test_writes_what_it_is_given(self, tmp_path: Path) -> None:
        """Rows, order, types and nulls come back; the digest is that of the file."""
        table = pa.table({"n": pa.array([1, None, 3], pa.timestamp("ms")), "t": ["x", None, "z"]})

        with ParquetWriter(tmp_path / "out", table.schema) as writer:
            for batch in table.to_batches(max_chunksize=2):
                writer.write(batch)
        written = writer.close()

        assert pq.read_table(tmp_path / "out" / "data-00000.parquet").equals(table)
        (file,) = written.files
        content = (tmp_path / "out" / "data-00000.parquet").read_bytes()
        assert (file.bytes, file.sha256) == (len(content), hashlib.sha256(content).hexdigest())
        assert (written.rows, written.bytes) == (3, len(content))

    def test_writes_a_schema_where_there_are_no_rows(self, tmp_path: Path) -> None:
        """An empty release can be read like any other."""
        with ParquetWriter(tmp_path, people().schema) as writer:
            pass

        assert writer.close().rows == 0
        assert ParquetSource(tmp_path).schema() == people().schema
        assert read(ParquetSource(tmp_path)) == []

    def test_rolls_files(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A new part begins after so many rows, and the parts make the whole."""
        monkeypatch.setattr(parquet, "ROW_GROUP_ROWS", 2)

        with ParquetWriter(tmp_path, people().schema, rows_per_file=2) as writer:
            for batch in people(5).to_batches(max_chunksize=1):
                writer.write(batch)

        assert [file.name for file in writer.close().files] == [f"data-0000{n}.parquet" for n in range(3)]
        assert read(ParquetSource(tmp_path)) == people(5).to_pylist()

    def test_makes_row_groups_of_many_batches(self, tmp_path: Path) -> None:
        """Small batches do not make small row groups."""
        with ParquetWriter(tmp_path, people().schema) as writer:
            for batch in people(500).to_batches(max_chunksize=10):
                writer.write(batch)

        assert pq.ParquetFile(tmp_path / "data-00000.parquet").num_row_groups == 1

    def test_dictionaries_are_for_what_repeats(self, tmp_path: Path) -> None:
        """Tokens get none: a dictionary of all values is written twice."""
        table = pa.table(
            {"token": [f"t{n}" for n in range(1000)], "land": ["DE", "FR"] * 500, "known": ["x"] * 1000}
        )

        with ParquetWriter(tmp_path, table.schema, no_dictionary={"known"}) as writer:
            writer.write(table.to_batches()[0])

        group = pq.ParquetFile(tmp_path / "data-00000.parquet").metadata.row_group(0)
        encodings = {
            group.column(n).path_in_schema: "RLE_DICTIONARY" in group.column(n).encodings for n in range(3)
        }
        assert encodings == {"token": False, "land": True, "known": False}

    def test_writes_no_metadata(self, tmp_path: Path) -> None:
        """Notes that pandas or a caller hung on a schema do not leave."""
        schema = people().schema.with_metadata({"pandas": CANARY})

        with ParquetWriter(tmp_path, schema) as writer:
            writer.write(people().to_batches()[0])

        assert CANARY.encode() not in (tmp_path / "data-00000.parquet").read_bytes()

    def test_removes_what_it_wrote_on_an_error(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Finished parts and the open one are gone."""
        monkeypatch.setattr(parquet, "ROW_GROUP_ROWS", 1)

        batches = [*people(5).to_batches(max_chunksize=1), pa.record_batch({"other": [1]})]

        with pytest.raises(StorageError), ParquetWriter(tmp_path, people().schema, rows_per_file=2) as writer:
            list(map(writer.write, batches))

        assert list(tmp_path.iterdir()) == []

    def test_refuses_another_schema(self, tmp_path: Path) -> None:
        """A batch that does not fit is an error, not a cast."""
        with (
            pytest.raises(StorageError, match="another schema"),
            ParquetWriter(tmp_path, people().schema) as writer,
        ):
            writer.write(pa.record_batch({"id": [1]}))

    def test_never_writes_over_a_file(self, tmp_path: Path) -> None:
        """What is there stays as it is."""
        (tmp_path / "data-00000.parquet").write_text("mine")

        with pytest.raises(StorageError, match="EEXIST"), ParquetWriter(tmp_path, people().schema) as writer:
            writer.write(people().to_batches()[0])

        assert (tmp_path / "data-00000.parquet").read_text() == "mine"
