"""Parquet: only files that hold somebody are touched, and nothing of whom is erased is left in them."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.erasure.looking import edge, erase, find, keeper, known, matcher, names, state

from airflow_veil.privacy.erasure.files import FileStore
from airflow_veil.privacy.erasure.store import Store
from airflow_veil.privacy.erasure.stores import store_of
from airflow_veil.privacy.errors import SchemaError, StorageError
from airflow_veil.privacy.rewriting import parquet_file, swap
from airflow_veil.privacy.storage.parquet import ParquetSource


def person(number: int) -> str:
    return f"person-{number:05d}"


def people(first: int, count: int) -> pa.Table:
    """Rows of as many people, one each."""
    numbers = range(first, first + count)
    return pa.table(
        {
            "id": [person(n) for n in numbers],
            "order": pa.array([1000 + n for n in numbers]),
            "note": [f"canary-{n:05d}-note" for n in numbers],
        }
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "people"


@pytest.fixture
def write(folder: Path) -> Callable[..., Path]:
    def one(name: str, table: pa.Table, **options: Any) -> Path:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, path, **options)
        return path

    return one


def store(path: Path) -> Store:
    return store_of(ParquetSource(path))


def left(path: Path, column: str = "id") -> list[Any]:
    """What can still be read, in order of the files."""
    found = []
    for batch in ParquetSource(path).batches([column], batch_rows=1000):
        found += batch.column(column).to_pylist()
    return found


Write = Callable[..., Path]


class TestFind:
    def test_who_is_where(self, folder: Path, write: Write) -> None:
        """Rows by request, the keys that lead on, and files; nothing is changed."""
        first = write("a.parquet", people(0, 10), row_group_size=4)
        write("b.parquet", people(10, 10))
        before = state(first)

        found = find(
            store(folder), matcher({person(3): 1, person(9): 0, person(99): 0}), "order", "id", requests=3
        )

        assert (found.rows, found.files, found.untouched) == (20, 1, 1)
        assert found.tally.deleted.tolist() == [1, 1, 0]
        assert found.keys["order"].texts.to_pylist() == ["1003", "1009"]
        assert found.keys["order"].owners.tolist() == [1, 0]
        assert found.keys["id"].texts.to_pylist() == [person(3), person(9)]
        assert state(first) == before
        assert names(folder) == ["a.parquet", "b.parquet"]

    def test_row_groups_are_passed_over_by_their_statistics(
        self, folder: Path, write: Write, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """And keys are read only where somebody is found."""
        write("a.parquet", people(0, 100), row_group_size=10)
        read: list[tuple[list[int], list[str]]] = []
        groups = pq.ParquetFile.read_row_groups

        def counting(self: Any, which: list[int], columns: list[str], **options: Any) -> pa.Table:
            read.append((list(which), columns))
            return groups(self, which, columns=columns, **options)

        monkeypatch.setattr(pq.ParquetFile, "read_row_groups", counting)
        found = find(store(folder), matcher([person(15), person(77), "q", "a"]), "order")

        assert read == [([1], ["id"]), ([1], ["order"]), ([7], ["id"]), ([7], ["order"])]
        assert found.keys["order"].texts.to_pylist() == ["1015", "1077"]

    @pytest.mark.parametrize("statistics", [True, False])
    @pytest.mark.parametrize(
        "kind",
        [
            pa.int64(),
            pa.int8(),
            pa.uint32(),
            pa.float64(),
            pa.decimal128(9, 2),
            pa.string(),
            pa.large_string(),
            pa.string_view(),
            pa.dictionary(pa.int8(), pa.string()),
            pa.dictionary(pa.int32(), pa.int64()),
        ],
    )
    def test_numbers_and_texts_of_every_type(
        self, folder: Path, write: Write, kind: pa.DataType, statistics: bool
    ) -> None:
        """7 is 7 in all of them, and -7 and 70 are not."""
        ids = pa.array([7, None, 70, 7, 0], pa.int64())
        value = kind.value_type if pa.types.is_dictionary(kind) else kind
        typed = ids.cast(pa.string()).cast(value)
        typed = typed.dictionary_encode().cast(kind) if pa.types.is_dictionary(kind) else typed
        write("a.parquet", pa.table({"id": typed}), write_statistics=statistics, row_group_size=2)

        looked = matcher(["7", "007", "-7", "1.5", "x", "7.0", " 7", "99999999999999999999", ""])
        assert find(store(folder), looked).tally.deleted.tolist() == [2]
        assert erase(store(folder), looked).tally.deleted.tolist() == [2]
        assert [str(each) for each in ParquetSource(folder).schema().names] == ["id"]
        assert find(store(folder), looked).tally.deleted.tolist() == [0]

    def test_texts_keep_their_zeros(self, folder: Path, write: Write) -> None:
        """The text 007 is somebody else than 7."""
        write("a.parquet", pa.table({"id": ["7", "007", "07"]}))

        erase(store(folder), matcher(["007"]))

        assert left(folder) == ["7", "07"]

    def test_dates_and_times(self, folder: Path, write: Write) -> None:
        """Are spelled by ISO 8601."""
        days = pa.array([0, 1, 2], pa.int32()).cast(pa.date32())
        write("a.parquet", pa.table({"day": days, "at": days.cast(pa.timestamp("us", "UTC"))}))

        assert find(store(folder), matcher(["1970-01-02"], edge("day"))).tally.deleted.tolist() == [1]
        assert find(store(folder), matcher(["1970-01-03T00:00:00Z"], edge("at"))).tally.deleted.tolist() == [
            1
        ]

    def test_nobody_is_looked_for(self, folder: Path, write: Write) -> None:
        """Rows are still counted."""
        write("a.parquet", people(0, 10))

        found = find(store(folder), matcher([]), "order")

        assert (found.rows, found.files, len(found.keys["order"])) == (10, 0, 0)
        assert erase(store(folder), matcher([])).rows == 10

    @pytest.mark.parametrize("columns", [["id", "missing"], ["id"]])
    def test_what_cannot_be_looked_through(self, folder: Path, write: Write, columns: list[str]) -> None:
        """A missing column, or one that cannot name anybody."""
        write("a.parquet", pa.table({"id": [True, False]}))

        with pytest.raises(SchemaError, match="no column missing" if len(columns) > 1 else "cannot name"):
            find(store(folder), matcher(["x"]), *columns)

    @settings(max_examples=25, deadline=None)
    @given(
        ids=st.lists(st.one_of(st.none(), st.integers(-50, 50)), max_size=60),
        looked=st.sets(st.integers(-60, 60), max_size=8),
        group=st.integers(1, 9),
        texts=st.booleans(),
    )
    def test_exactly_those_who_are_looked_for(
        self,
        tmp_path_factory: pytest.TempPathFactory,
        ids: list[int | None],
        looked: set[int],
        group: int,
        texts: bool,
    ) -> None:
        """Go; all others stay, in order: whatever the row groups and their statistics are."""
        folder = tmp_path_factory.mktemp("people")
        column = pa.array(ids, pa.int64())
        table = pa.table({"id": column.cast(pa.string()) if texts else column, "n": list(range(len(ids)))})
        pq.write_table(table, folder / "a.parquet", row_group_size=group)
        looking_for = matcher([str(each) for each in looked])
        stays = [n for n, each in enumerate(ids) if each not in looked]

        found = find(store(folder), looking_for)
        changed = erase(store(folder), looking_for)

        assert found.tally.deleted.tolist() == changed.tally.deleted.tolist() == [len(ids) - len(stays)]
        assert pq.read_table(folder / "a.parquet").column("n").to_pylist() == stays


class TestErase:
    def test_only_files_that_hold_somebody_are_touched(self, folder: Path, write: Write) -> None:
        """One goes whole, one loses rows, one keeps its bytes, time and inode."""
        write("a.parquet", people(0, 3))
        some = write("b.parquet", people(3, 5))
        none = write("c.parquet", people(8, 5))
        before = state(none)
        some.chmod(0o640)

        changed = erase(store(folder), matcher([person(n) for n in (0, 1, 2, 4)]))

        assert (changed.rows, changed.rewritten, changed.dropped, changed.untouched) == (13, 1, 1, 1)
        assert changed.tally.deleted.tolist() == [4]
        assert state(none) == before
        assert some.stat().st_mode & 0o7777 == 0o640
        assert names(folder) == ["b.parquet", "c.parquet"]
        assert left(folder) == [person(n) for n in (3, 5, 6, 7, *range(8, 13))]

    def test_again_is_success_and_changes_nothing(self, folder: Path, write: Write) -> None:
        """With counts of zero."""
        path = write("a.parquet", people(0, 5))
        looked = matcher([person(2)])
        erase(store(folder), looked)
        before = state(path)

        changed = erase(store(folder), looked)

        assert (changed.tally.deleted.tolist(), changed.rewritten, changed.untouched) == ([0], 0, 1)
        assert state(path) == before

    def test_all_other_rows_are_the_same(self, folder: Path, write: Write) -> None:
        """After decoding, of all types, with schema, metadata, codecs and row groups as they were."""
        table = people(0, 100)
        table = table.append_column("kind", table.column("note").dictionary_encode())
        table = table.append_column("tags", pa.array([[f"tag-{n}", None] for n in range(100)]))
        table = table.append_column("cell", pa.array([{"x": f"cell-{n}", "y": n} for n in range(100)]))
        table = table.append_column("raw", pa.array([bytes([n]) * n for n in range(100)]))
        table = table.append_column("some", pa.array([None if n % 3 else n / 7 for n in range(100)]))
        table = table.append_column("at", pa.array(range(100), pa.timestamp("ns", "Europe/Vienna")))
        table = table.replace_schema_metadata({"made_by": "the shop"})
        path = write("a.parquet", table, row_group_size=30, compression="zstd")
        old = pq.ParquetFile(path)
        gone = [0, 1, 29, 30, 31, 98, *range(60, 90)]

        erase(store(folder), matcher([person(n) for n in gone]))

        new = pq.ParquetFile(path)
        stays = [n for n in range(100) if n not in gone]
        assert new.schema_arrow.equals(old.schema_arrow, check_metadata=True)
        assert new.read().to_pylist() == table.take(stays).to_pylist()
        assert [new.metadata.row_group(i).num_rows for i in range(new.num_row_groups)] == [27, 28, 9]
        assert new.metadata.row_group(0).column(0).compression == "ZSTD"

    @pytest.mark.parametrize("compression", ["none"])
    def test_nothing_of_them_is_left_in_the_bytes(self, folder: Path, write: Write, compression: str) -> None:
        """Not in dictionaries, statistics, page indexes, bloom filters, pages or metadata."""
        table = people(0, 100)
        frame = table.to_pandas()
        frame["kind"] = pd.Categorical([f"canary-{n:05d}-kind" for n in range(100)])
        frame.attrs = {"made for": person(7), "by": "the shop"}
        table = pa.Table.from_pandas(frame)
        noted = {"owner": person(7), "json": f'{{"who": "{person(0)}"}}', "team": "person-0", "by": "us"}
        fields = [
            field.with_metadata({"seen": f"first by {person(99)}", "unit": "none"}) for field in table.schema
        ]
        table = table.cast(pa.schema(fields, metadata={**(table.schema.metadata or {}), **noted}))
        path = write(
            "a.parquet",
            table,
            compression=compression,
            row_group_size=40,
            write_page_index=True,
            bloom_filter_options={"id": True},
        )
        gone = {0, 7, 39, 40, 99}

        erase(store(folder), matcher([person(n) for n in gone]))

        raw = path.read_bytes()
        file = pq.ParquetFile(path)
        inner = parquet_schema(file)
        for n in range(100):
            marks = [person(n).encode(), f"canary-{n:05d}".encode()]
            assert all((mark in raw) == (n not in gone) for mark in marks)
            assert n not in gone or not any(mark in inner for mark in marks)
        assert file.metadata.row_group(0).column(0).has_column_index
        assert file.metadata.row_group(0).column(0).bloom_filter_offset
        metadata = file.schema_arrow.metadata
        assert (metadata[b"team"], metadata[b"by"]) == (b"person-0", b"us")
        assert b"owner" not in metadata
        assert b"json" not in metadata
        assert file.schema_arrow.field("id").metadata[b"unit"] == b"none"
        again = pd.read_parquet(path)
        assert again.dtypes["kind"] == "category"
        assert set(again["kind"].cat.categories) == {
            f"canary-{n:05d}-kind" for n in range(100) if n not in gone
        }
        assert again["order"].tolist() == [1000 + n for n in range(100) if n not in gone]

    def test_sidecars_go(self, folder: Path, write: Write) -> None:
        """Footers that others keep of files that changed, and Hadoop's check sums of them."""
        write("x=1/a.parquet", people(0, 5))
        write("x=2/b.parquet", people(5, 5))
        for name in (
            "_metadata",
            "x=1/_metadata",
            "x=2/_metadata",
            "x=1/.a.parquet.crc",
            "x=2/.b.parquet.crc",
        ):
            (folder / name).write_bytes(b"PAR1")

        erase(store(folder), matcher([person(1)]))

        assert names(folder) == ["x=1/a.parquet", "x=2/.b.parquet.crc", "x=2/_metadata", "x=2/b.parquet"]

    @pytest.mark.parametrize("single", [True, False])
    def test_the_last_file_stays_without_rows(self, folder: Path, write: Write, single: bool) -> None:
        """A source without files could not be read."""
        path = write("a.parquet", people(0, 3))
        place = path if single else folder

        changed = erase(store(place), matcher([person(n) for n in range(3)]))

        assert (changed.rewritten, changed.dropped) == (1, 0)
        assert pq.read_table(path).num_rows == 0
        assert find(store(place), matcher([person(0)])).rows == 0


def parquet_schema(file: pq.ParquetFile) -> bytes:
    """What Arrow keeps of the schema in the footer, unpacked."""
    import base64

    return base64.b64decode(file.metadata.metadata[b"ARROW:schema"])


class TestMasks:
    def test_cells_become_null_and_the_row_stays(self, folder: Path, write: Write) -> None:
        """Of any type; a row that goes anyhow is not masked."""
        table = people(0, 20)
        table = table.append_column("by", pa.array([person(n % 5) for n in range(20)]).dictionary_encode())
        table = table.append_column("tags", pa.array([[f"tag-{n}"] for n in range(20)]))
        table = table.append_column("cell", pa.array([{"x": f"cell-{n}"} for n in range(20)]))
        path = write("a.parquet", table, row_group_size=7, compression="none")
        emptied = ["by", "note", "tags", "cell"]
        looked = matcher({person(3): 1}, edge("id"), edge("by", emptied))

        found = find(store(folder), looked, "order", requests=2)
        changed = erase(store(folder), looked, requests=2)

        assert found.tally.deleted.tolist() == changed.tally.deleted.tolist() == [0, 1]
        assert found.tally.masked.tolist() == changed.tally.masked.tolist() == [0, 3]
        # Rows that are also somebody else's do not lead on.
        assert found.keys["order"].texts.to_pylist() == ["1003"]
        expected = [
            {**row, **dict.fromkeys(emptied)} if row["by"] == person(3) else row
            for row in table.to_pylist()
            if row["id"] != person(3)
        ]
        assert pq.read_table(path).to_pylist() == expected
        raw = path.read_bytes()
        assert not any(f"{kind}-{n}".encode() in raw for kind in ("tag", "cell") for n in (8, 13, 18))
        assert not any(f"canary-{n:05d}".encode() in raw for n in (3, 8, 13, 18))
        assert erase(store(folder), looked, requests=2).tally.masked.tolist() == [0, 0]

    def test_a_row_whose_cells_are_null_is_clean(self, folder: Path, write: Write) -> None:
        """Also where the column that names somebody stays."""
        path = write("a.parquet", people(0, 5))
        looked = matcher([person(3)], edge("id", ["note"]))

        assert erase(store(folder), looked).tally.masked.tolist() == [1]
        before = state(path)
        assert find(store(folder), looked).files == 0
        assert erase(store(folder), looked).tally.masked.tolist() == [0]
        assert state(path) == before

    def test_columns_that_take_no_null(self, folder: Path, write: Write) -> None:
        """Are named before anything is changed; so is one in the folders' names."""
        table = people(0, 5)
        fields = [field.with_nullable(field.name != "note") for field in table.schema]
        write("x=1/a.parquet", table.cast(pa.schema(fields)))

        with pytest.raises(SchemaError, match="column note cannot be masked"):
            find(store(folder), matcher([person(3)], edge("id", ["note"])))
        with pytest.raises(SchemaError, match=r"column x cannot be masked.*folders"):
            find(store(folder), matcher([person(3)], edge("id", ["x"])))


class TestPartitions:
    def test_a_folder_goes_with_its_last_row(self, folder: Path, write: Write) -> None:
        """Its name says who somebody is; numbers are numbers there, too."""
        for number in (7, 8, 70):
            for day in (1, 2):
                write(f"id={number}/day={day}/a.parquet", people(number, 3).drop_columns(["id"]))
        (folder / "id=7" / "_SUCCESS").touch()

        found = find(store(folder), matcher(["7", "99"]), "order")
        changed = erase(store(folder), matcher(["7", "99"]))

        assert found.tally.deleted.tolist() == changed.tally.deleted.tolist() == [6]
        assert (changed.dropped, changed.untouched) == (2, 4)
        assert sorted(path.name for path in folder.iterdir() if path.is_dir()) == ["id=70", "id=8"]

    def test_the_last_file_moves_to_nobodys_folder(self, folder: Path, write: Write) -> None:
        """It stays without rows, and no name is left."""
        write("id=7/day=1/a.parquet", people(7, 3).drop_columns(["id"]))

        changed = erase(store(folder), matcher(["7"]))

        assert (changed.rewritten, changed.tally.deleted.tolist()) == (1, [3])
        assert names(folder) == ["id=__HIVE_DEFAULT_PARTITION__/day=1/a.parquet"]
        assert not (folder / "id=7").exists()
        assert find(store(folder), matcher(["7"])).rows == 0

    @pytest.mark.parametrize("others", [True, False])
    def test_a_file_that_had_no_rows_before(self, folder: Path, write: Write, others: bool) -> None:
        """Is not left under somebody's name, either."""
        write("id=7/a.parquet", people(7, 3).slice(0, 0).drop_columns(["id"]))
        if others:
            write("id=8/a.parquet", people(7, 3).drop_columns(["id"]))

        changed = erase(store(folder), matcher(["7"]))

        assert changed.tally.deleted.tolist() == [0]
        assert names(folder) == [f"id={8 if others else '__HIVE_DEFAULT_PARTITION__'}/a.parquet"]

    def test_folders_that_a_killed_run_left(self, folder: Path, write: Write) -> None:
        """Go as well; those of others stay, and encoded names are understood."""
        write("id=a%20b/a.parquet", people(7, 3).drop_columns(["id"]))
        write("id=c/a.parquet", people(7, 3).drop_columns(["id"]))
        (folder / "id=7" / "day=1").mkdir(parents=True)
        (folder / "id=8" / "day=1").mkdir(parents=True)

        erase(store(folder), matcher(["7", "a b"]))

        assert sorted(path.name for path in folder.iterdir() if path.is_dir()) == ["id=8", "id=c"]

    def test_other_files_in_a_folder_are_not_removed(self, folder: Path, write: Write) -> None:
        """Nobody knows what they are; the error does not say whose folder it is."""
        write("id=7/a.parquet", people(7, 3).drop_columns(["id"]))
        write("id=8/a.parquet", people(8, 3).drop_columns(["id"]))
        (folder / "id=7" / "_notes.txt").touch()

        with pytest.raises(StorageError, match=r"holds other files: _notes.txt") as error:
            erase(store(folder), matcher(["7"]))
        assert "id=7" not in str(error.value)
        with pytest.raises(StorageError, match="holds other files"):
            erase(store(folder), matcher(["7"]))

    def test_masks_by_a_partition(self, folder: Path, write: Write) -> None:
        """All rows of the folder lose the cell; the folder's name stays."""
        path = write("id=7/a.parquet", people(7, 3).drop_columns(["id"]))

        changed = erase(store(folder), matcher(["7"], edge("id", ["note"])))

        assert changed.tally.masked.tolist() == [3]
        assert pq.read_table(path, partitioning=None).column("note").null_count == 3


class TestHolds:
    def test_held_rows_stay_and_lead_on(self, folder: Path, write: Write) -> None:
        """They are counted by request, and their keys are found."""
        write("a.parquet", people(0, 5))
        looked = matcher({person(1): 0, person(2): 1}, held=keeper(person(2)))

        found = find(store(folder), looked, "order", requests=2)
        changed = erase(store(folder), looked, requests=2)

        assert found.tally.held.tolist() == changed.tally.held.tolist() == [0, 1]
        assert changed.tally.deleted.tolist() == [1, 0]
        assert found.keys["order"].texts.to_pylist() == ["1001", "1002"]
        assert left(folder) == [person(n) for n in (0, 2, 3, 4)]

    def test_a_held_row_that_is_somebody_elses_does_not_lead_on(self, folder: Path, write: Write) -> None:
        """It was only to be masked."""
        table = people(0, 5).append_column("by", pa.array([person(n % 2) for n in range(5)]))
        write("a.parquet", table)
        looked = matcher([person(1)], edge("id"), edge("by", ["by"]), held=keeper(everything=True))

        found = find(store(folder), looked, "order")

        assert found.keys["order"].texts.to_pylist() == ["1001"]
        assert found.tally.held.tolist() == [2]

    def test_a_hold_that_is_placed_meanwhile(self, folder: Path, write: Write) -> None:
        """Is seen right before the step; what was prepared is thrown away."""
        write("a.parquet", people(0, 5))
        looked = matcher([person(1), person(2)])

        changed = erase(store(folder), looked, keeper(), keeper(person(2)), keeper(person(1), person(2)))

        assert changed.tally.deleted.tolist() == [0]
        assert changed.tally.held.tolist() == [2]
        assert left(folder) == [person(n) for n in range(5)]
        assert names(folder) == ["a.parquet"]

    def test_a_file_of_which_less_goes_than_before(self, folder: Path, write: Write) -> None:
        """It was to go whole, and keeps who is held."""
        write("a.parquet", people(0, 2))
        write("b.parquet", people(2, 2))

        changed = erase(store(folder), matcher([person(0), person(1)]), keeper(), keeper(person(1)))

        assert (changed.rewritten, changed.dropped) == (1, 0)
        assert left(folder) == [person(1), person(2), person(3)]


class TestRefusals:
    @pytest.mark.parametrize("drops", [True, False])
    def test_another_writer_is_seen_before_the_swap(
        self, folder: Path, write: Write, monkeypatch: pytest.MonkeyPatch, drops: bool
    ) -> None:
        """What it wrote is not lost, and the next run does it."""
        path = write("a.parquet", people(0, 2 if drops else 3))
        write("b.parquet", people(5, 3))
        check = swap.check_unchanged

        def late(*arguments: Any) -> None:
            if pq.read_metadata(path).num_rows < 9:
                pq.write_table(people(0, 9), path)
            check(*arguments)

        from airflow_veil.privacy.rewriting import data_files

        monkeypatch.setattr(data_files, "check_unchanged", late)
        looked = matcher([person(0), person(1)])
        with pytest.raises(StorageError, match="changed while") as error:
            erase(store(folder), looked)
        assert error.value.retryable
        assert pq.read_metadata(path).num_rows == 9
        assert names(folder) == ["a.parquet", "b.parquet"]

        monkeypatch.undo()
        assert erase(store(folder), looked).tally.deleted.tolist() == [2]

    def test_what_was_written_is_looked_at(
        self, folder: Path, write: Write, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A file that is not right never takes the place of the old one."""
        path = write("a.parquet", people(0, 9))
        before = state(path)
        rewrite = parquet_file.rewrite

        def wrong(old: Path, sink: Any, loss: Any, **options: Any) -> None:
            loss.gone[:] = np.roll(loss.gone, 1)
            rewrite(old, sink, loss, **options)

        monkeypatch.setattr(parquet_file, "rewrite", wrong)
        with pytest.raises(StorageError, match="not what it should be"):
            erase(store(folder), matcher([person(4)]))
        assert state(path) == before
        assert names(folder) == ["a.parquet"]

    @pytest.mark.parametrize(("link", "told"), [(os.link, "another name"), (os.symlink, "symbolic link")])
    def test_files_with_two_names(self, folder: Path, write: Write, link: Any, told: str) -> None:
        """Rows would stay under the other one; only files that hold somebody are refused."""
        path = write("a.parquet", people(0, 5))
        other = folder.parent / "other.parquet"
        path.rename(other)
        link(other, path)

        with pytest.raises(StorageError, match=told):
            find(store(folder), matcher([person(1)]))
        with pytest.raises(StorageError, match=told):
            erase(store(folder), matcher([person(1)]))
        assert find(store(folder), matcher([person(99)])).files == 0

    @pytest.mark.parametrize(
        ("name", "told"), [("_manifest.json", "a release"), ("_delta_log", "Delta"), (".hoodie", "Hudi")]
    )
    def test_what_keeps_rows_elsewhere(self, folder: Path, write: Write, name: str, told: str) -> None:
        """Releases, and tables with logs."""
        write("a.parquet", people(0, 5))
        (folder / name).mkdir()

        with pytest.raises(StorageError, match=told):
            find(store(folder), matcher([person(1)]))

    def test_nested_dictionaries_are_refused(self, folder: Path, write: Write) -> None:
        """Before anything is changed."""
        ids = pa.array([person(n) for n in range(4)])
        nested = pa.ListArray.from_arrays(pa.array([0, 1, 2, 3, 4], pa.int32()), ids.dictionary_encode())
        write("a.parquet", pa.table({"id": ids, "tags": nested}))

        with pytest.raises(StorageError, match="dictionaries inside"):
            find(store(folder), matcher([person(1)]))
        assert find(store(folder), matcher([person(9)])).rows == 4

    def test_no_value_is_in_errors_and_reprs(self, folder: Path, write: Write) -> None:
        """Of whom is looked for, and of rows."""
        write("a.parquet", people(0, 5))
        looked = matcher([person(1)])

        told = [repr(looked.edges[0][1]), repr(find(store(folder), looked, "id")), repr(known([person(1)]))]

        assert not any(person(1) in each for each in told)


def _erase(folder: Path, count: int, done: Any) -> None:
    changed = erase(store(folder), matcher([person(n) for n in range(0, count, 2)]))
    done.put(int(changed.tally.deleted.sum()))


class TestWorkers:
    def test_two_at_once_end_in_the_same_state(self, folder: Path, write: Write) -> None:
        """One waits for the other, and finds it done."""
        for number in range(6):
            write(f"{number}.parquet", people(10 * number, 10))
        context = multiprocessing.get_context("forkserver")
        done = context.Queue()
        workers = [context.Process(target=_erase, args=(folder, 60, done)) for _ in range(2)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()

        assert [worker.exitcode for worker in workers] == [0, 0]
        assert sorted(done.get() for _ in workers) == [0, 30]
        assert left(folder) == [person(n) for n in range(60) if n % 2]

    def test_a_store_that_was_made_before(self, folder: Path, write: Write) -> None:
        """Which files there are is asked when it is alone."""
        write("a.parquet", people(0, 5))
        write("b.parquet", people(5, 5))
        late, looked = store(folder), matcher([person(n) for n in range(5)])
        find(late, looked)
        erase(store(folder), looked)

        assert erase(late, looked).untouched == 1

    def test_the_lock_is_shared_with_retention(
        self, folder: Path, write: Write, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Both change files, one at a time."""
        from airflow_veil.privacy.retention.files import FileStore as Retention

        write("a.parquet", people(0, 5))
        monkeypatch.setattr(swap, "PATIENCE", 0.0)

        with (
            Retention(ParquetSource(folder), "order").alone(),
            pytest.raises(StorageError, match="another run"),
        ):
            erase(store(folder), matcher([person(1)]))


def test_the_store_of_files_is_one(folder: Path) -> None:
    """And shows no rows."""
    assert isinstance(store_of(ParquetSource(folder)), FileStore)
    assert "Keeper" in repr(keeper(person(1)))
    assert person(1) not in repr(keeper(person(1)))
