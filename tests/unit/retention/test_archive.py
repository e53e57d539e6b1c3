"""`action: {archive: …}`: rows whose time is over are in the archive before they leave, and there once."""

from __future__ import annotations

import shutil
import stat
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.unit.retention import crash
from tests.unit.retention.conftest import ACTOR, CUT, NOW, RULE, Place, days_around, visits
from tests.unit.retention.test_anonymize import put, states
from tests.unit.retention.test_kill import MOST
from tests.unit.retention.test_tables import Rows, rows

from airflow_veil.privacy.errors import PolicyError, RetentionError, StorageError, UnverifiedError
from airflow_veil.privacy.retention import certificate, holds
from airflow_veil.privacy.retention.archive import Archive, files, origin

__all__ = ["rows"]


def write(place: Place, source: str = "visits", to: str = "archive", more: str = "") -> None:
    place.write(source, f"{RULE}, action: {{archive: {{to: {to}{more}}}}}")


def folder(place: Place) -> Path:
    return place.path / "archive" / "shop" / "visits"


def archived(place: Place) -> list[str]:
    """The notes in the archive, in order."""
    return sorted(note for path in files(folder(place)) for note in pq.read_table(path)["note"].to_pylist())


def notes(*numbers: int) -> list[str]:
    return [f"canary-{number:05d}-note" for number in numbers]


class Killed(BaseException):
    """Stands for the end of the process."""


class TestFiles:
    @pytest.mark.parametrize("kind", ["parquet", "csv"])
    def test_rows_move(self, place: Place, kind: str) -> None:
        """Each once, whole, in files that only their owner reads; other files keep bytes and times."""
        write(place)
        table = visits([*days_around(3, 3), None, date(1970, 1, 1), date(2090, 1, 1)])
        put(place, "mixed", table, kind)
        put(place, "old", visits(days_around(2, 0), first=20), kind)
        new = put(place, "new", visits(days_around(0, 3), first=30), kind)
        before = states(new.parent)

        planned = place.plan()
        done = place.enforce()

        assert planned.counts == done.counts
        assert (done.counts.rows, done.counts.archive, done.counts.delete) == (14, 5, 0)
        assert (done.files.dropped, done.files.rewritten, done.files.untouched, done.files.unread) == (
            1,
            1,
            1,
            0,
        )
        assert states(new.parent)[new.name] == before[new.name]
        assert archived(place) == notes(1, 2, 3, 20, 21)
        assert sorted(place.left()) == notes(4, 5, 6, 7, 8, 9, 30, 31, 32)
        assert done.archived is not None
        assert (done.archived.files, done.archived.rows, done.archived.before) == (2, 5, 0)
        whole = pa.concat_tables(pq.read_table(path) for path in files(folder(place))).sort_by("note")
        expected = pa.concat_tables([table.slice(0, 3), visits(days_around(2, 0), first=20)])
        assert whole.replace_schema_metadata(None).equals(expected)
        for path in files(folder(place)):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            assert origin(path) == {
                "run": done.run_id,
                "part": f"{'mixed' if len(pq.read_table(path)) == 3 else 'old'}.{kind}",
                "day": "2026-03-01",
            }
        left = states(folder(place))
        assert place.enforce().counts.changed == 0
        assert states(folder(place)) == left

    def test_the_folders_names_are_columns(self, place: Place) -> None:
        """An archived row has all that the source told of it."""
        table = visits([CUT]).drop_columns(["at"])
        for day in (CUT - timedelta(days=1), CUT):
            partition = place.path / "visits" / f"at={day}"
            partition.mkdir(parents=True)
            pq.write_table(table, partition / "a.parquet")
        write(place)
        place.policy.write_text(place.policy.read_text().replace("type: timestamp", "type: date"))

        assert place.enforce().counts.archive == 1

        (path,) = files(folder(place))
        assert pq.read_table(path)["at"].to_pylist() == [CUT - timedelta(days=1)]

    def test_held_rows_stay_in_the_source(self, place: Place) -> None:
        """And go into the archive when the hold is lifted."""
        write(place)
        put(place, "a", visits(days_around(4, 2)))
        with place.workspace() as workspace:
            hold = holds.place(
                workspace, "visits", reason="case 2026-17", actor=ACTOR, subjects=["customer-00002"]
            )

        done = place.enforce()
        assert (done.counts.archive, done.counts.held) == (3, 1)
        assert archived(place) == notes(1, 3, 4)

        place.ledger.holds.lift(hold.hold_id, reason="the case is closed", actor=ACTOR)
        assert place.enforce().counts.archive == 1
        assert archived(place) == notes(1, 2, 3, 4)

    def test_a_row_that_was_archived_by_a_run_that_was_killed(
        self, place: Place, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Is not archived twice, also where more is over when the next run comes."""
        write(place)
        put(place, "a", visits(days_around(4, 4)))
        with monkeypatch.context() as patched:
            patched.setattr("airflow_veil.privacy.rewriting.data_files.step", _die)
            with pytest.raises(Killed):
                place.enforce()
        assert archived(place) == notes(1, 2, 3, 4)
        assert len(place.left()) == 8

        done = place.enforce(NOW + timedelta(days=2))

        assert done.counts.archive == 6
        assert done.archived is not None
        assert (done.archived.before, done.archived.rows) == (4, 2)
        assert archived(place) == notes(1, 2, 3, 4, 5, 6)
        assert place.left() == notes(7, 8)

    def test_it_ends(self, place: Place) -> None:
        """Files of an archive go when their own time is over, but not what a hold keeps."""
        write(place, more=", expires_after: P1M")
        for name, first in (("a", 1), ("b", 10)):
            put(place, name, visits(days_around(2, 2), first=first))
        place.enforce()
        with place.workspace() as workspace:
            hold = holds.place(
                workspace, "visits", reason="case 2026-17", actor=ACTOR, subjects=["customer-00001"]
            )

        early = place.enforce(NOW + timedelta(days=30))
        assert early.archived is not None
        assert early.archived.expired == 0
        late = place.enforce(NOW + timedelta(days=31))
        assert late.archived is not None
        assert (late.archived.expired, late.archived.held) == (1, 1)
        assert "canary-00001-note" in archived(place)
        assert "canary-00010-note" not in archived(place)

        place.ledger.holds.lift(hold.hold_id, reason="the case is closed", actor=ACTOR)
        last = place.enforce(NOW + timedelta(days=32))
        assert last.archived is not None
        assert last.archived.expired == 1

    def test_what_is_not_read_back_stays(self, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
        """Nothing leaves the source, and nothing comes into the archive."""
        write(place)
        path = put(place, "a", visits(days_around(4, 2)))
        before = states(path.parent)
        monkeypatch.setattr(
            "airflow_veil.privacy.retention.archive._read",
            lambda _path, schema: iter([visits(days_around(4, 0)[::-1]).cast(schema).to_batches()[0]]),
        )

        with pytest.raises(StorageError, match="not read back"):
            place.enforce()

        assert states(path.parent) == before
        assert not [each for each in folder(place).iterdir() if each.name != ".lock"]

    def test_an_archive_that_lost_rows_is_found_out(
        self, place: Place, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The second look counts the archive, too."""
        write(place)
        put(place, "a", visits(days_around(4, 2)))
        expire = Archive.expire

        def losing(self: Archive, keeper: Any) -> None:
            expire(self, keeper)
            for path in files(self.folder):
                path.unlink()

        monkeypatch.setattr(Archive, "expire", losing)
        with pytest.raises(UnverifiedError, match="is in the archive"):
            place.enforce()

    @pytest.mark.parametrize("to", ["visits/old", "visits", "."])
    def test_it_lies_apart(self, place: Place, to: str) -> None:
        """What is archived is not read as the source."""
        write(place, to="elsewhere")
        place.policy.write_text(place.policy.read_text().replace("elsewhere", to))
        put(place, "a", visits(days_around(4, 2)))
        if to == ".":
            place.policy.write_text(place.policy.read_text().replace("source: visits", "source: shop"))
            (place.path / "visits").rename(place.path / "shop")

        with pytest.raises(Exception, match="archive") as raised:
            place.enforce()

        assert raised.type in (RetentionError, PolicyError)

    def test_what_is_told(self, place: Place) -> None:
        """Counts, evidence and the certificate, and no value."""
        write(place, more=", expires_after: P10Y")
        put(place, "a", visits(days_around(4, 2)))

        done = place.enforce()

        assert done.told == "Archived 4 rows of visits; 2 stay."
        facts = certificate.of_run(place.ledger, done.run_id)
        assert (facts.done[0].rows_deleted, facts.done[0].rows_masked) == (4, 0)
        assert facts.asked.what.startswith("To archive all rows")
        assert facts.done[0].said.endswith("which keeps them for 10 years.")
        assert [check.passed for check in facts.verification] == [True, True, True]
        told = f"{facts}{done.as_dict()}{done.lineage}{[each.payload for each in place.ledger.evidence()]}"
        assert "canary" not in told
        assert "customer-" not in told


def _die(*_arguments: object) -> None:
    raise Killed


class TestTables:
    def test_rows_move(self, rows: Rows) -> None:
        """Copied before the transaction that deletes them ends."""
        write(rows.place, "{connection: crm, table: visits}")
        rows.fill([*days_around(3, 3), None])

        planned = rows.place.plan(**rows.options)
        done = rows.place.enforce(**rows.options)

        assert planned.counts == done.counts
        assert (done.counts.archive, done.counts.delete, done.counts.null) == (3, 0, 1)
        assert archived(rows.place) == notes(1, 2, 3)
        assert rows.notes() == notes(4, 5, 6, 7)
        (path,) = files(folder(rows.place))
        times = pq.read_table(path)["at"].to_pylist()
        assert times == [datetime(2025, 2, 26 + day, 12) for day in range(3)]
        assert rows.place.enforce(**rows.options).counts.changed == 0

    def test_a_run_that_was_killed_before_its_commit(self, rows: Rows) -> None:
        """Rows that are in both are deleted, and not archived once more."""
        write(rows.place, "{connection: crm, table: visits}")
        rows.fill(days_around(3, 3))
        copied = Archive.copied

        def dying(self: Archive, *arguments: Any) -> Any:
            import contextlib

            @contextlib.contextmanager
            def block() -> Any:
                with copied(self, *arguments) as step:

                    def then_die() -> None:
                        step()
                        raise Killed

                    yield then_die

            return block()

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(Archive, "copied", dying)
            with pytest.raises(Killed):
                rows.place.enforce(**rows.options)
        assert len(rows.notes()) == 6
        assert archived(rows.place) == notes(1, 2, 3)

        done = rows.place.enforce(NOW + timedelta(days=1), **rows.options)

        assert done.archived is not None
        assert (done.counts.archive, done.archived.before, done.archived.rows) == (4, 3, 1)
        assert archived(rows.place) == notes(1, 2, 3, 4)
        assert rows.notes() == notes(5, 6)

    def test_what_the_server_has_types_for(self, place: Place, postgres: str) -> None:
        """Values are archived as they are, or as the text that the server shows for them."""
        table = Rows(place, postgres)
        write(place, "{connection: crm, table: visits}")
        text = place.policy.read_text()
        place.policy.write_text(text.replace("type: timestamp", "type: timestamp_utc"))
        table.run(
            "CREATE TABLE visits (customer UUID, at TIMESTAMPTZ, note TEXT, price NUMERIC(8, 2), ok BOOL,"
            " raw BYTEA, hour TIME, share FLOAT8)",
            "INSERT INTO visits VALUES ('00000000-0000-0000-0000-000000000001', '2001-02-03T04:05:06+02', 'n',"
            " 12.50, true, '\\x00ff', '12:30', 0.1), (NULL, '2001-02-03T04:05:06.789+02', NULL, NULL, NULL, NULL,"
            " NULL, 'NaN')",
        )

        assert place.enforce(**table.options).counts.archive == 2

        (path,) = files(folder(place))
        first, second = pq.read_table(path).to_pylist()
        assert first["at"] == datetime(2001, 2, 3, 2, 5, 6, tzinfo=UTC)
        assert (str(first["price"]), first["ok"], first["raw"]) == ("12.50", True, "\\x00ff")
        assert (first["hour"], first["share"], second["note"]) == ("12:30:00", 0.1, None)


class TestKilled:
    @pytest.mark.slow
    @pytest.mark.parametrize("kind", ["parquet", "csv"])
    def test_at_any_moment(self, make_place: Callable[..., Place], kind: str) -> None:
        """Each row is in the source or in the archive or in both; in the end it is in one, once."""
        for moment in range(MOST):
            place = make_place(f"shop{moment}")
            write(place)
            put(place, "a", visits(days_around(5, 0)), kind)
            put(place, "b", visits(days_around(3, 3), first=6), kind)
            code = crash.run(place.path, moment)
            assert {*place.left(), *archived(place)} == set(notes(*range(1, 12))), (
                f"killed at moment {moment}"
            )
            assert len(archived(place)) == len(set(archived(place)))

            place.enforce(NOW + timedelta(days=1))

            assert archived(place) == notes(*range(1, 10)), f"killed at moment {moment}"
            assert sorted(place.left()) == notes(10, 11)
            assert [path for path in folder(place).iterdir() if path.name.startswith(".")] == [
                folder(place) / ".lock"
            ]
            place.close()
            shutil.rmtree(place.path)
            if code == 0:
                break
            assert code == crash.KILLED
        else:
            pytest.fail("the run never came to its end")
        assert moment > 10, "too few moments: were they counted?"
