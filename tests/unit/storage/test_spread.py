"""Rows from all over a source: by place alone, bounded, and the same ones each time."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_veil.privacy.errors import SchemaError, StorageError
from airflow_veil.privacy.storage import csv as csv_module
from airflow_veil.privacy.storage import parquet as parquet_module
from airflow_veil.privacy.storage.base import Source
from airflow_veil.privacy.storage.csv import CsvSource
from airflow_veil.privacy.storage.parquet import ParquetSource
from airflow_veil.privacy.storage.spread import STRETCHES, spread, stretches, thinned
from airflow_veil.privacy.storage.sql import SqlSource


def numbers(source: Source, rows: int, column: str = "n") -> list[int]:
    """The numbers of the rows that are taken."""
    return [
        int(value) for batch in spread(source, [column], rows=rows) for value in batch[column].to_pylist()
    ]


def parquet(folder: Path, *files: range, group: int = 1000) -> ParquetSource:
    folder.mkdir(exist_ok=True)
    for place, each in enumerate(files):
        table = pa.table({"n": pa.array(each, pa.int64()), "text": [f"row {n}" for n in each]})
        pq.write_table(table, folder / f"part-{place:03d}.parquet", row_group_size=group)
    return ParquetSource(folder, {})


class TestStretches:
    @given(st.integers(0, 10**9), st.integers(0, 10**6))
    def test_are_bounded_and_even(self, total: int, rows: int) -> None:
        """As many rows as are wanted, in places that do not overlap, from the first row to the last."""
        found = stretches(total, rows)

        assert sum(map(len, found)) == min(total, rows)
        assert len(found) <= STRETCHES
        assert all(one.stop <= other.start for one, other in pairwise(found))
        if rows >= 2:
            assert found[0].start == 0
            assert found[-1].stop == total
            gaps = [other.start - one.stop for one, other in pairwise(found)]
            assert not gaps or max(gaps) - min(gaps) <= 1


class TestParquet:
    def test_over_row_groups_and_files(self, tmp_path: Path) -> None:
        """Rows come from every file and nearly every group, the first and the last row among them, in order."""
        source = parquet(tmp_path / "data", range(10_000), range(10_000, 30_000), range(30_000, 32_000))
        found = numbers(source, 3_200)

        assert len(found) == 3_200
        assert found == sorted(set(found))
        assert (found[0], found[-1]) == (0, 31_999)
        assert len({n // 1000 for n in found}) == 32
        assert found == numbers(source, 3_200)

    @pytest.mark.parametrize("rows", [1, 2, 99, 1_000, 2_999, 3_000, 9_000])
    def test_as_many_as_there_are(self, tmp_path: Path, rows: int) -> None:
        """No more than there are, and no more than are wanted."""
        source = parquet(tmp_path / "data", range(1_000), range(1_000, 3_000))

        assert len(numbers(source, rows)) == min(rows, 3_000)

    def test_only_what_is_needed_is_read(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Of a hundred row groups those with a stretch are opened, and of a large one no row behind the last."""
        opened: list[int] = []
        read = ParquetSource._read_file

        def counting(
            self: ParquetSource,
            file: object,
            columns: list[str],
            batch_rows: int,
            *,
            group: int | None = None,
        ) -> Iterator[pa.RecordBatch]:
            opened.append(group or 0)
            yield from read(self, file, columns, batch_rows, group=group)  # type: ignore[arg-type]

        monkeypatch.setattr(parquet_module.ParquetSource, "_read_file", counting)
        numbers(parquet(tmp_path / "data", range(100_000)), 3_200)

        assert len(opened) <= 2 * STRETCHES
        assert (opened[0], opened[-1]) == (0, 99)

    def test_partitions_and_order_of_columns(self, tmp_path: Path) -> None:
        """Columns come in the order that is asked for, those of folders too."""
        for day in (1, 2):
            (tmp_path / f"day={day}").mkdir()
            table = pa.table({"a": [f"{day}-{n}" for n in range(500)], "n": range(500)})
            pq.write_table(table, tmp_path / f"day={day}" / "x.parquet")
        batches = list(spread(ParquetSource(tmp_path, {}), ["day", "a"], rows=300))

        assert {tuple(batch.schema.names) for batch in batches} == {("day", "a")}
        assert {day for batch in batches for day in batch["day"].to_pylist()} == {1, 2}

    def test_nothing_to_read(self, tmp_path: Path) -> None:
        """A file without rows gives none; a column that is not there is named."""
        source = parquet(tmp_path / "data", range(0))

        assert numbers(source, 100) == []
        with pytest.raises(SchemaError, match="nothing"):
            source.spread(["nothing"], rows=3)


class TestCsv:
    @pytest.mark.parametrize("packed", [False, True])
    def test_over_a_file(self, tmp_path: Path, packed: bool) -> None:
        """The first and the last row are there, and no long part of the file is without one."""
        text = "n,text\n" + "".join(f'{n},"a, ""b""\nline"\n' for n in range(60_000))
        path = tmp_path / ("rows.csv.gz" if packed else "rows.csv")
        path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
        found = numbers(CsvSource(path), 3_200)

        assert 3_000 <= len(found) <= 3_200
        assert found == sorted(set(found))
        assert (found[0], found[-1]) == (0, 59_999)
        assert max(other - one for one, other in pairwise(found)) < 60_000 / 16

    @pytest.mark.parametrize("rows", [1, 5, 64, 999, 1_000, 4_000])
    def test_as_many_as_there_are(self, tmp_path: Path, rows: int) -> None:
        """All rows where there are no more than are wanted."""
        (tmp_path / "rows.csv").write_text("n\n" + "".join(f"{n}\n" for n in range(1_000)))
        found = numbers(CsvSource(tmp_path / "rows.csv"), rows)

        assert found == sorted(set(found))
        assert len(found) <= rows
        assert len(found) == 1_000 or rows < 1_000

    def test_over_files(self, tmp_path: Path) -> None:
        """Of many files those at even distances are read, the first and the last among them."""
        for file in range(100):
            rows = "".join(f"{n}\n" for n in range(file * 10, file * 10 + 10))
            (tmp_path / f"{file:03d}.csv").write_text("n\n" + rows)
        found = numbers(CsvSource(tmp_path), 3_200)
        files = sorted({n // 10 for n in found})

        assert len(files) == STRETCHES
        assert (files[0], files[-1]) == (0, 99)
        assert max(other - one for one, other in pairwise(files)) <= 4

    def test_is_bounded(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A file that is larger than what is read at most is read so far, and no mistake behind that is met."""
        monkeypatch.setattr(csv_module, "CSV_BYTES", 1 << 20)
        monkeypatch.setattr(csv_module, "BLOCK", 1 << 18)
        text = "n\n" + "".join(f"{n:09d}\n" for n in range(1_000_000)) + "one,two,three\n"
        (tmp_path / "rows.csv").write_text(text)
        found = numbers(CsvSource(tmp_path / "rows.csv"), 1_000)

        assert found[0] == 0
        assert 50_000 < found[-1] < 500_000
        with pytest.raises(StorageError):
            list(CsvSource(tmp_path / "rows.csv").batches(["n"], batch_rows=1 << 20))


class TestThinned:
    @given(st.integers(0, 5_000), st.integers(1, 700), st.integers(1, 900))
    def test_any_stream(self, total: int, rows: int, size: int) -> None:
        """However it is cut: in order, bounded, from the first row to the last, and all of a short one."""
        table = pa.table({"n": pa.array(range(total), pa.int64())})
        batches = table.to_batches(max_chunksize=size)
        found = [n for batch in thinned(batches, rows) for n in batch["n"].to_pylist()]

        assert found == sorted(set(found))
        assert len(found) == total if total <= rows else len(found) <= rows
        if total and rows >= 2 * STRETCHES + 2:
            assert (found[0], found[-1]) == (0, total - 1)
            assert len(found) >= min(total, rows) * 0.9


class TestDatabases:
    def test_first_rows(self, tmp_path: Path) -> None:
        """A table gives its first rows: its order is the database's, and no more is read."""
        import sqlite3

        file = tmp_path / "data.db"
        with sqlite3.connect(file) as connection:
            connection.execute("create table t (n integer)")
            connection.executemany("insert into t values (?)", [(n,) for n in range(1_000)])
        connection.close()

        assert numbers(SqlSource(f"sqlite:///{file}", "t"), 100) == list(range(100))
