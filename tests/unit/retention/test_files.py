"""Files: only those with rows that are over are touched, and nothing of these rows is left."""

from __future__ import annotations

import gzip
import hashlib
import multiprocessing
import os
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from tests.unit.retention.conftest import CUT, RULE, Place, days_around, visits

from airflow_veil.privacy.errors import SchemaError, StorageError
from airflow_veil.privacy.retention import files as files_module
from airflow_veil.privacy.retention.counts import Files
from airflow_veil.privacy.rewriting import parquet_file, swap


def state(path: Path) -> tuple[str, int, int]:
    """What an untouched file keeps."""
    return hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns, path.stat().st_ino


def names(folder: Path) -> list[str]:
    """All files below a folder but the lock."""
    found = [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()]
    return sorted(name for name in found if not name.endswith(".veil.lock"))


class TestParquet:
    def test_only_files_with_rows_that_are_over_are_touched(self, place: Place) -> None:
        """One goes whole, unread; one loses its old rows; one keeps its bytes and times."""
        place.file("a.parquet", visits(days_around(20, 0)))
        mixed = place.file("b.parquet", visits(days_around(3, 4), first=100))
        new = place.file("c.parquet", visits([CUT, CUT + timedelta(days=1)], first=200))
        before = state(new)
        mixed.chmod(0o640)

        planned = place.plan()
        done = place.enforce()

        assert planned.files == done.files == Files(dropped=1, unread=1, rewritten=1, untouched=1)
        assert planned.counts == done.counts
        assert (done.counts.rows, done.counts.delete) == (29, 23)
        assert state(new) == before
        assert mixed.stat().st_mode & 0o7777 == 0o640
        assert names(place.path / "visits") == ["b.parquet", "c.parquet"]
        assert place.left() == [f"canary-{n:05d}-note" for n in (103, 104, 105, 106, 200, 201)]

    def test_a_second_run_finds_it_clean(self, place: Place) -> None:
        """Which is success, and touches nothing."""
        path = place.file("a.parquet", visits(days_around(3, 4)))
        place.enforce()
        before = state(path)

        again = place.enforce()

        assert again.counts.delete == 0
        assert state(path) == before

    def test_whole_files_are_dropped_without_a_row_being_read(
        self, place: Place, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The footer tells; also that nothing of a file is over."""
        place.file("a.parquet", visits(days_around(20, 0)))
        place.file("b.parquet", visits([CUT]))

        def forbidden(*_: Any) -> Any:
            raise AssertionError

        monkeypatch.setattr(parquet_file, "read", forbidden)

        assert place.enforce().counts.delete == 20

    @pytest.mark.parametrize("nested", [True, False])
    def test_a_hive_partition_goes_by_its_end(self, place: Place, nested: bool) -> None:
        """The month of the cut-off stays; folders that are empty go."""
        place.write(rule=RULE.replace("from: at", "from: month"))
        text = place.policy.read_text()
        place.policy.write_text(text.replace("at: {class: none, type: timestamp", "month: {class: none"))
        inner = "country=AT/" if nested else ""
        for month in ("2024-12", "2025-02", "2025-03"):
            place.file(f"month={month}/{inner}a.parquet", visits([CUT] * 3).drop_columns(["at"]))
        place.file(f"month=__HIVE_DEFAULT_PARTITION__/{inner}a.parquet", visits([CUT]).drop_columns(["at"]))

        done = place.enforce()

        assert (done.counts.delete, done.counts.null, done.files.unread) == (6, 1, 2)
        assert sorted(path.name for path in (place.path / "visits").iterdir() if path.is_dir()) == [
            "month=2025-03",
            "month=__HIVE_DEFAULT_PARTITION__",
        ]

    def test_a_hive_partition_that_is_no_time(self, place: Place) -> None:
        """It is an error without the value, which is one of the data."""
        place.write(rule=RULE.replace("from: at", "from: month"))
        text = place.policy.read_text()
        place.policy.write_text(text.replace("at: {class: none, type: timestamp", "month: {class: none"))
        place.file("month=canary/a.parquet", visits([CUT]).drop_columns(["at"]))

        with pytest.raises(SchemaError, match="no day, month or year") as error:
            place.plan()
        assert "canary" not in str(error.value)

    def test_bad_times_are_counted_and_kept(self, place: Place) -> None:
        """Without a time, from before 1970, on its first day, or from the future: for somebody to look at."""
        days = [None, date(1969, 5, 1), date(1970, 1, 1), date(2090, 1, 1), date(1980, 1, 1), CUT]
        place.file("a.parquet", visits(days))

        done = place.enforce()

        assert done.counts.as_dict()["quarantined"] == {"null": 1, "before_1970": 2, "future": 1}
        assert done.counts.delete == 1
        assert len(place.left()) == 5

    def test_nothing_of_deleted_rows_is_left(self, place: Place) -> None:
        """Not in dictionaries, statistics or pages, of categories, plain and nested columns; the rest is the same."""
        table = visits(days_around(50, 50))
        table = table.append_column("kind", table.column("note").dictionary_encode())
        table = table.append_column("tags", pa.array([[f"canary-{n:05d}-tag"] for n in range(1, 101)]))
        table = table.append_column("cell", pa.array([{"x": f"canary-{n:05d}-cell"} for n in range(1, 101)]))
        table = table.replace_schema_metadata({"made_by": "the shop"})
        path = place.file("a.parquet", table, compression="none", row_group_size=30)
        old = pq.ParquetFile(path)

        place.enforce()

        new = pq.ParquetFile(path)
        raw = path.read_bytes()
        assert [n for n in range(1, 51) if f"canary-{n:05d}".encode() in raw] == []
        assert all(f"canary-{n:05d}-note".encode() in raw for n in range(51, 101))
        assert new.schema_arrow.equals(old.schema_arrow, check_metadata=True)
        assert new.read().to_pylist() == table.slice(50).to_pylist()
        for column in new.read().column("kind").chunks:
            assert set(column.dictionary.to_pylist()) <= set(table.column("note").to_pylist()[50:])
        assert [new.metadata.row_group(i).num_rows for i in range(new.num_row_groups)] == [10, 30, 10]

    @pytest.mark.parametrize("compression", ["snappy", "zstd", "gzip", "none"])
    def test_how_a_file_is_written_is_kept(self, place: Place, compression: str) -> None:
        """Codecs, encodings and statistics are those that were."""
        path = place.file(
            "a.parquet",
            visits(days_around(5, 5)),
            compression=compression,
            use_dictionary=["note"],
            write_statistics=["at"],
        )

        def told(path: Path) -> list[tuple[object, ...]]:
            group = pq.read_metadata(path).row_group(0)
            chunks = [group.column(index) for index in range(3)]
            return [(c.compression, c.has_dictionary_page, c.is_stats_set, c.physical_type) for c in chunks]

        before = told(path)
        place.enforce()

        assert told(path) == before

    @pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
    @pytest.mark.parametrize("zone", [None, "UTC", "Europe/Vienna"])
    def test_times_of_every_kind(self, place: Place, unit: str, zone: str | None) -> None:
        """Unit and zone of the column stay, and footers are read in the unit that they count in."""
        place.policy.write_text(place.policy.read_text().replace("type: timestamp, ", ""))
        table = visits(days_around(5, 5))
        at = table.column("at").cast(pa.timestamp(unit))
        at = pc.assume_timezone(at, zone) if zone else at
        path = place.file("a.parquet", table.set_column(1, "at", at))
        place.file("b.parquet", table.set_column(1, "at", at).slice(0, 5))

        before = pq.read_schema(path)

        done = place.enforce()

        assert (done.counts.delete, done.files.unread) == (10, 1)
        assert pq.read_schema(path).equals(before)

    def test_spark_timestamps(self, place: Place) -> None:
        """INT96 has no statistics: rows are read, and written as they were."""
        path = place.file(
            "a.parquet", visits(days_around(5, 5)), use_deprecated_int96_timestamps=True, store_schema=False
        )
        place.policy.write_text(place.policy.read_text().replace("type: timestamp, ", ""))

        done = place.enforce()

        assert done.counts.delete == 5
        assert pq.read_metadata(path).row_group(0).column(1).physical_type == "INT96"

    def test_files_without_statistics_are_read(self, place: Place) -> None:
        """And go whole where all of it is over."""
        place.file("a.parquet", visits(days_around(5, 0)), write_statistics=False)
        place.file("b.parquet", visits(days_around(0, 5)), write_statistics=False)

        assert place.enforce().files == Files(dropped=1, untouched=1)

    @pytest.mark.parametrize("single", [True, False])
    def test_the_last_file_stays_without_rows(self, place: Place, single: bool) -> None:
        """A source without files could not be read, neither by releases nor by the next run."""
        if single:
            place.write("visits/a.parquet")
        path = place.file("a.parquet", visits(days_around(5, 0)))

        done = place.enforce()

        assert done.counts.delete == 5
        assert done.files == Files(rewritten=1)
        assert pq.read_table(path).num_rows == 0
        assert pq.read_schema(path).names == ["customer", "at", "note"]
        assert place.enforce().counts.rows == 0

    def test_sidecars_with_statistics_go(self, place: Place) -> None:
        """`_metadata` holds the footers of files that changed."""
        place.file("a.parquet", visits(days_around(5, 5)))
        sidecar = place.file("_metadata", visits(days_around(5, 5)))

        place.enforce()

        assert not sidecar.exists()

    def test_nested_dictionaries_are_refused(self, place: Place) -> None:
        """Nothing is done by halves: the file stays as it was."""
        table = visits(days_around(2, 2))
        nested = pa.ListArray.from_arrays(
            pa.array([0, 1, 2, 3, 4], pa.int32()), table.column("note").combine_chunks().dictionary_encode()
        )
        path = place.file("a.parquet", table.append_column("tags", nested))
        before = state(path)

        with pytest.raises(StorageError, match="dictionaries inside"):
            place.enforce()
        assert state(path) == before
        assert names(place.path / "visits") == ["a.parquet"]


class TestRefusals:
    def test_a_file_that_changed_meanwhile(self, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
        """Another writer wins; what it wrote is not lost."""
        path = place.file("a.parquet", visits(days_around(3, 4)))
        rewrite = parquet_file.rewrite

        def slow(*arguments: Any, **named: Any) -> None:
            rewrite(*arguments, **named)
            pq.write_table(visits(days_around(3, 9)), path)

        monkeypatch.setattr(parquet_file, "rewrite", slow)
        with pytest.raises(StorageError, match="changed while") as error:
            place.enforce()
        monkeypatch.undo()

        assert error.value.retryable
        assert pq.read_table(path).num_rows == 12
        assert names(place.path / "visits") == ["a.parquet"]
        assert place.enforce().counts.delete == 3

    @pytest.mark.parametrize(("link", "told"), [(os.link, "another name"), (os.symlink, "symbolic link")])
    def test_files_with_two_names(self, place: Place, link: Any, told: str) -> None:
        """Their rows would stay under the other one."""
        path = place.file("a.parquet", visits(days_around(3, 4)))
        other = place.path / "other.parquet"
        path.rename(other)
        link(other, path)

        with pytest.raises(StorageError, match=told):
            place.plan()

    def test_a_single_file_behind_a_link_is_changed_where_it_lies(self, place: Place) -> None:
        """The link stays one."""
        place.write("link.parquet")
        path = place.file("a.parquet", visits(days_around(3, 4)))
        (place.path / "link.parquet").symlink_to(path)

        place.enforce()

        assert (place.path / "link.parquet").is_symlink()
        assert pq.read_table(path).num_rows == 4

    def test_a_release_is_not_changed(self, place: Place) -> None:
        """It has a manifest that tells what is in it."""
        place.file("a.parquet", visits(days_around(3, 4)))
        (place.path / "visits" / "_manifest.json").write_text("{}")

        with pytest.raises(StorageError, match="a release"):
            place.plan()

    def test_a_column_that_is_no_time(self, place: Place) -> None:
        """The source decides where the policy declares no type."""
        place.write(rule=RULE.replace("from: at", "from: note"))
        place.file("a.parquet", visits(days_around(3, 4)))

        with pytest.raises(SchemaError, match="tells no time"):
            place.plan()

    def test_a_column_that_is_missing(self, place: Place) -> None:
        """It is named."""
        place.file("a.parquet", visits(days_around(3, 4)).drop_columns(["at"]))

        with pytest.raises(SchemaError, match="no column at"):
            place.plan()


TRICKY = [
    'c1,2025-02-27T12:00:00,"two\nlines, one record"',
    'c2,2025-02-28T23:59:59,"a ""quoted"" word"',
    'c3,2025-03-01T00:00:00,"stays\r\nwith ""both"""',
    "c4,,no time",
    "",
    'c5,2025-03-02T00:00:00,half"quoted',
    "c6,1970-01-01T00:00:00,never set",
    "c7,2020-01-01T00:00:00,café",
]
"""Records, of which three are over."""

KEPT = (2, 3, 4, 5, 6)


class TestCsv:
    @pytest.mark.parametrize("zipped", [False, True])
    @pytest.mark.parametrize("end", ["\n", "\r\n"])
    @pytest.mark.parametrize("encoding", ["utf8", "latin-1"])
    def test_records_that_stay_keep_their_bytes(
        self, place: Place, zipped: bool, end: str, encoding: str
    ) -> None:
        """Quotes, line breaks in quotes, empty lines: all as they were."""
        name = "visits/a.csv.gz" if zipped else "visits/a.csv"
        place.write(f"{{uri: visits, csv: {{encoding: {encoding}}}}}")
        path = place.path / name
        path.parent.mkdir()
        whole = end.join(["customer,at,note", *TRICKY, ""]).encode(encoding)
        kept = end.join(["customer,at,note", *(TRICKY[n] for n in KEPT), ""]).encode(encoding)
        path.write_bytes(gzip.compress(whole) if zipped else whole)

        done = place.enforce()

        raw = path.read_bytes()
        assert (gzip.decompress(raw) if zipped else raw) == kept
        assert (done.counts.rows, done.counts.delete, done.counts.null, done.counts.before_1970) == (
            7,
            3,
            1,
            1,
        )
        assert place.enforce().counts.delete == 0

    def test_a_file_without_a_header(self, place: Place) -> None:
        """Its first record is a row."""
        place.write("{uri: a.csv, csv: {header: [customer, at, note]}}")
        path = place.path / "a.csv"
        path.write_text("c1,2025-02-27T12:00:00,old\nc2,2025-03-02T00:00:00,new\n")

        place.enforce()

        assert path.read_text() == "c2,2025-03-02T00:00:00,new\n"

    def test_a_file_that_is_over_as_a_whole(self, place: Place) -> None:
        """A single one keeps its header; one of several goes."""
        folder = place.path / "visits"
        folder.mkdir()
        for name in "ab":
            (folder / f"{name}.csv").write_text("customer,at,note\nc1,2025-02-27T12:00:00,old\n")

        place.enforce()

        assert names(folder) == ["b.csv"]
        assert (folder / "b.csv").read_text() == "customer,at,note\n"

    def test_two_readers_must_agree(self, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where records cannot be told apart for sure, the file stays as it was."""
        from airflow_veil.privacy.rewriting import csv_file

        folder = place.path / "visits"
        folder.mkdir()
        text = "customer,at,note\nc1,2025-02-27T12:00:00,old\nc2,2025-03-02T00:00:00,new\n"
        (folder / "a.csv").write_text(text)
        records = csv_file._records
        monkeypatch.setattr(csv_file, "_records", lambda *a, **k: iter(list(records(*a, **k))[:-1]))

        with pytest.raises(StorageError, match="different numbers of rows"):
            place.enforce()
        assert (folder / "a.csv").read_text() == text
        assert names(folder) == ["a.csv"]


def _enforce(path: Path) -> None:
    place = Place(path)
    place.enforce()
    place.close()


class TestWorkers:
    def test_two_at_once_end_in_the_same_state(self, place: Place) -> None:
        """One waits for the other, and finds it done."""
        for number in range(8):
            place.file(f"{number}.parquet", visits(days_around(5, 5), first=100 * number))
        context = multiprocessing.get_context("forkserver")
        workers = [context.Process(target=_enforce, args=(place.path,)) for _ in range(3)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()

        assert [worker.exitcode for worker in workers] == [0, 0, 0]
        assert len(place.left()) == 40
        runs = place.ledger.retention.listed("shop", "visits")
        assert sorted((run.done or {})["delete"] for run in runs) == [0, 0, 40]

    def test_the_lock_is_waited_for(self, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
        """And given up where it does not come free."""
        place.file("a.parquet", visits(days_around(5, 5)))
        store = files_module.FileStore(place.workspace().source("visits"), "at")
        monkeypatch.setattr(swap, "PATIENCE", 0.0)

        with store.alone(), pytest.raises(StorageError, match="another run") as error:
            place.enforce()
        assert error.value.retryable

    def test_leavings_are_swept(self, place: Place) -> None:
        """Drafts of killed runs hold rows; of other files beside a single one they are left alone."""
        place.write("visits/a.parquet")
        path = place.file("a.parquet", visits(days_around(0, 5)))
        mine = path.with_name(f".veil-{'0' * 16}-a.parquet")
        others = path.with_name(f".veil-{'0' * 16}-b-a.parquet")
        mine.touch()
        others.touch()

        place.enforce()

        assert not mine.exists()
        assert others.exists()
