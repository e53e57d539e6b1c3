"""The second look: another way of counting finds what the run says, and finds out where it is not so."""

from __future__ import annotations

import gzip
import random
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq
import pytest
from tests.unit.retention import test_tables
from tests.unit.retention.conftest import ACTOR, CUT, NOW, Place, days_around, visits
from tests.unit.retention.test_tables import Rows

from airflow_veil.privacy.errors import StorageError, UnverifiedError
from airflow_veil.privacy.keys.ring import KeyRing
from airflow_veil.privacy.ledger.holds import Held
from airflow_veil.privacy.policy.models import CsvFormat
from airflow_veil.privacy.policy.retention import Retention
from airflow_veil.privacy.retention import cutoff, holds, service
from airflow_veil.privacy.retention import recount as module
from airflow_veil.privacy.retention.counts import Counts, Files
from airflow_veil.privacy.retention.cutoff import CutOff
from airflow_veil.privacy.retention.files import FileStore
from airflow_veil.privacy.retention.holds import Keeper
from airflow_veil.privacy.retention.recount import recount
from airflow_veil.privacy.storage.csv import CsvSource
from airflow_veil.privacy.storage.parquet import ParquetSource
from airflow_veil.privacy.storage.sqlite import SqliteSource
from airflow_veil.privacy.storage.table_name import TableName

rows = test_tables.rows
TYPES = [
    pa.date32(),
    pa.date64(),
    *(pa.timestamp(unit) for unit in ("s", "ms", "us", "ns")),
    *(pa.timestamp(unit, "UTC") for unit in ("s", "ms", "us", "ns")),
    pa.timestamp("us", "Asia/Tokyo"),
    pa.dictionary(pa.int32(), pa.date32()),
]
ZONES = ("UTC", "Europe/Vienna", "America/Sao_Paulo", "Pacific/Apia")


def cut_off(zone: str = "UTC") -> CutOff:
    return cutoff.cut_off(Retention.model_validate({"after": "P1Y", "from": "at", "time_zone": zone}), NOW)


def planned_counts(source: ParquetSource | CsvSource, cut: CutOff) -> Counts:
    """What a run would do."""
    nothing = Keeper(Held(everything=False, subjects=()), None, KeyRing)
    return FileStore(source, "at").survey(cut, nothing).counts


def moments(kind: pa.DataType) -> list[Any]:
    """Times around the cut-off of every zone, at whole seconds, with bad ones among them."""
    picked = random.Random(4711)
    start = datetime(2025, 3, 1)
    near = [start + timedelta(seconds=picked.randrange(-200_000, 200_000)) for _ in range(400)]
    near += [start + timedelta(hours=hours) for hours in range(-48, 49)]
    bad = [None, datetime(1970, 1, 1), datetime(1970, 1, 2), datetime(1969, 1, 1), datetime(2099, 1, 1)]
    whole = [*near, *bad]
    if pa.types.is_dictionary(kind) or pa.types.is_date(kind):
        return [each and each.date() for each in whole]
    return [each and each.replace(tzinfo=UTC) for each in whole] if kind.tz else whole


class TestRecount:
    @pytest.mark.parametrize("zone", ZONES)
    @pytest.mark.parametrize("kind", TYPES, ids=str)
    def test_agrees_with_the_run_on_every_type(self, tmp_path: Path, kind: pa.DataType, zone: str) -> None:
        """What the run would delete, counted in another way."""
        plain = kind.value_type if pa.types.is_dictionary(kind) else kind
        at = pa.array(moments(kind), plain)
        stored = at.dictionary_encode() if pa.types.is_dictionary(kind) else at
        pq.write_table(pa.table({"at": stored}), tmp_path / "a.parquet")
        source, cut = ParquetSource(tmp_path / "a.parquet"), cut_off(zone)
        planned = planned_counts(source, cut)

        found = recount(source, "at", cut)

        assert (found.rows, found.over) == (planned.rows, planned.delete)
        assert planned.delete > 50

    @pytest.mark.parametrize("zone", ZONES)
    @pytest.mark.parametrize("name", ["a.csv", "a.csv.gz"])
    @pytest.mark.parametrize("kind", [pa.date32(), pa.timestamp("us"), pa.timestamp("us", "UTC")], ids=str)
    def test_agrees_on_text(self, tmp_path: Path, kind: pa.DataType, name: str, zone: str) -> None:
        """Quotes, line breaks in cells, a mark of the encoding, other spellings of null."""
        times = pa.array(moments(kind), kind)
        note = pa.array(['a "b",\nc'] * len(times))
        plain = tmp_path / "plain.csv"
        pc.write_csv(pa.table({"note": note, "at": times}), plain)
        raw = b"\xef\xbb\xbf" + plain.read_bytes()
        (tmp_path / name).write_bytes(gzip.compress(raw) if name.endswith("gz") else raw)
        source = CsvSource(tmp_path / name, {"at": kind}, CsvFormat())
        cut = cut_off(zone)
        planned = planned_counts(source, cut)

        found = recount(source, "at", cut)

        assert (found.rows, found.over) == (planned.rows, planned.delete)

    @pytest.mark.parametrize(
        ("folders", "over"),
        [
            (("at=2025-02-27", "at=2025-02-28", "at=2025-03-01", "at=1970-01-01"), 2),
            (("at=2025-01", "at=2025-02", "at=2025-03", "at=__HIVE_DEFAULT_PARTITION__"), 2),
            (("at=2023", "at=2024", "at=2025"), 2),
        ],
    )
    def test_of_hive_partitions(self, tmp_path: Path, folders: tuple[str, ...], over: int) -> None:
        """The end of a partition decides; hidden files are none."""
        for folder in folders:
            (tmp_path / folder).mkdir()
            pq.write_table(pa.table({"note": ["a", "b"]}), tmp_path / folder / "a.parquet")
            (tmp_path / folder / "_SUCCESS").touch()
        (tmp_path / ".hidden").mkdir()
        (tmp_path / ".hidden" / "a.parquet").touch()

        found = recount(ParquetSource(tmp_path), "at", cut_off())

        assert (found.rows, found.over) == (2 * len(folders), 2 * over)

    def test_a_time_that_cannot_be_read(self, tmp_path: Path) -> None:
        """It is told by its row, without the value."""
        (tmp_path / "a.csv").write_text("at\n2025-01-01\ncanary\n")

        with pytest.raises(StorageError, match="time of row 2") as error:
            recount(CsvSource(tmp_path / "a.csv", {"at": pa.date32()}), "at", cut_off())
        assert "canary" not in str(error.value)

    def test_a_file_that_cannot_be_read(self, tmp_path: Path) -> None:
        """The kind of failure, in our words."""
        (tmp_path / "a.parquet").write_bytes(b"canary")

        with pytest.raises(StorageError, match="counting rows failed"):
            recount(ParquetSource(tmp_path / "a.parquet"), "at", cut_off())


class TestVerify:
    def test_holds_after_a_run(self, place: Place) -> None:
        """With what is held, without a time, and to come."""
        place.file("a.parquet", visits([*days_around(3, 5), None, date(2099, 1, 1)]))
        holds.place(
            place.workspace(), "visits", reason="case 2026-17", actor=ACTOR, subjects=["customer-00001"]
        )

        done = place.enforce()
        entry = place.ledger.evidence()[-1]

        assert entry.kind == "retention.verified"
        assert entry.content["run"] == done.run_id
        over, stays = entry.content["checks"]
        assert (over["looked_at"], over["found"], over["passed"]) == (8, 0, True)
        assert (stays["looked_at"], stays["found"], stays["passed"]) == (8, 0, True)

    def test_finds_rows_that_are_left(self, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
        """A run that says it deleted and did not fails, after evidence of it; a retry mends it."""
        place.file("a.parquet", visits(days_around(3, 5)))
        with monkeypatch.context() as patched:
            lie = (Counts(rows=8, delete=3), Files(rewritten=1))
            patched.setattr(FileStore, "enforce", lambda *_: lie)
            with pytest.raises(UnverifiedError, match="no row whose time is over is left") as error:
                place.enforce()

        entry = place.ledger.evidence()[-1]
        assert error.value.retryable
        assert entry.kind == "retention.unverified"
        assert [check["found"] for check in entry.content["checks"]] == [3, 0]
        assert place.enforce().counts.delete == 3
        assert place.ledger.evidence()[-1].kind == "retention.verified"

    def test_finds_rows_that_are_gone(self, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
        """Too much is as wrong as too little: also a held row that went."""
        path = place.file("a.parquet", visits(days_around(3, 5)))
        enforce = FileStore.enforce

        def too_much(self: FileStore, *arguments: Any) -> Any:
            done = enforce(self, *arguments)
            pq.write_table(pq.read_table(path).slice(2), path)
            return done

        monkeypatch.setattr(FileStore, "enforce", too_much)
        with pytest.raises(UnverifiedError, match="every row that was to stay is there"):
            place.enforce()
        assert [check["found"] for check in place.ledger.evidence()[-1].content["checks"]] == [0, 2]

    def test_rows_that_come_meanwhile(self, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
        """New ones are no fault; old ones that come late are told, and go with the next try."""
        place.file("a.parquet", visits(days_around(3, 5)))
        enforce = FileStore.enforce
        days = [days_around(0, 2), days_around(1, 0)]

        def late(self: FileStore, *arguments: Any) -> Any:
            done = enforce(self, *arguments)
            place.file(f"late-{len(days)}.parquet", visits(days.pop(0), first=100))
            return done

        monkeypatch.setattr(FileStore, "enforce", late)
        place.enforce()
        place.file("b.parquet", visits(days_around(1, 0), first=200))
        with pytest.raises(UnverifiedError, match="no row whose time is over"):
            place.enforce()
        monkeypatch.setattr(FileStore, "enforce", enforce)
        assert place.enforce().counts.delete == 1

    @pytest.mark.parametrize("kind", ["TIMESTAMP", "DATE"])
    def test_of_tables(self, rows: Rows, place: Place, kind: str) -> None:
        """SQLite's rows by Python's dates, PostgreSQL's by the server."""
        rows.fill([*days_around(3, 5), None], kind)
        workspace = place.workspace(**rows.options)
        before = recount(workspace.source("visits"), "at", place.plan(**rows.options).cut)

        done = place.enforce(**rows.options)

        assert (before.rows, before.over) == (9, 3)
        assert done.counts.delete == 3
        assert place.ledger.evidence()[-1].kind == "retention.verified"

    def test_of_a_table_that_is_gone(self, rows: Rows, place: Place) -> None:
        """The database's refusal, in our words."""
        rows.fill(days_around(1, 1))
        source = place.workspace(**rows.options).source("visits")
        source.schema()
        table = source.table_source
        missing = replace(table, table=TableName("missing", table.table.schema))
        count = module._sqlite if isinstance(table, SqliteSource) else module._postgres
        with pytest.raises(StorageError, match="counting rows failed"):
            count(missing, "at", source.schema(), cut_off())


def test_the_cut_is_the_same_day() -> None:
    """What these tests count by is what the others do."""
    assert cut_off().until == CUT
    assert service.wall_clock().tzinfo is UTC
