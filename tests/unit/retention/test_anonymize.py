"""`action: {anonymize: …}`: rows whose time is over stay, and are nobody's; what is done is not done again."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from tests.unit.retention import crash
from tests.unit.retention.conftest import ACTOR, APPROVED, CUT, RULE, Place, days_around
from tests.unit.retention.test_kill import MOST
from tests.unit.retention.test_tables import Rows, rows

from airflow_veil.privacy.errors import ApprovalNeededError, SchemaError, TransformError, UnverifiedError
from airflow_veil.privacy.retention import certificate, holds, verify
from airflow_veil.privacy.retention.recount import Left

__all__ = ["rows"]

TREATED = (
    "customer: null, note: {constant: {value: gone}}, born: {generalize: {to: year, label: lower}},"
    " spent: {generalize: {round_to: 100}}"
)
COLUMNS = """\
      born: {class: quasi_identifier, type: date, treat: keep}
      spent: {class: quasi_identifier, type: int64, treat: keep}
      kept: {class: none, type: string, treat: keep}
"""
OLD = ("customer-", "canary-", "1987-04-30", "4711")
"""What is left of no row that is over."""


def visits(days: list[date | None], *, first: int = 1) -> pa.Table:
    times = [None if day is None else datetime(day.year, day.month, day.day, 12) for day in days]
    numbers = range(first, first + len(days))
    return pa.table(
        {
            "customer": pa.array([f"customer-{n:05d}" for n in numbers]).dictionary_encode(),
            "at": pa.array(times, pa.timestamp("us")),
            "note": pa.array([f"canary-{n:05d}-note" for n in numbers]).dictionary_encode(),
            "born": pa.array([date(1987, 4, 30)] * len(days)),
            "spent": pa.array([4711] * len(days), pa.int64()),
            "kept": pa.array([f"kept-{n}" for n in numbers]),
        }
    )


def write(place: Place, source: str = "visits", rule: str = RULE, treated: str = TREATED) -> None:
    place.write(source, f"{rule}, action: {{anonymize: {{columns: {{{treated}}}}}}}")
    text = place.policy.read_text()
    place.policy.write_text(text.replace("release:", f"{COLUMNS}release:"))


def put(place: Place, name: str, table: pa.Table, kind: str = "parquet") -> Path:
    path = place.path / "visits" / f"{name}.{kind}"
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "parquet":
        pq.write_table(table, path, row_group_size=4)
    else:
        plain = [
            column.cast(pa.string()) if pa.types.is_dictionary(column.type) else column for column in table
        ]
        pa.csv.write_csv(pa.table(plain, table.column_names), path)
    return path


def read(place: Place, **options: Any) -> list[dict[str, Any]]:
    source = place.workspace(**options).source("visits")
    found: list[dict[str, Any]] = []
    for batch in source.batches(source.schema().names, batch_rows=1000):
        found += batch.to_pylist()
    return sorted(found, key=lambda row: row["kept"])


def states(folder: Path) -> dict[str, tuple[bytes, int, int]]:
    """Bytes, times and places of files."""
    return {
        path.name: (path.read_bytes(), path.stat().st_mtime_ns, path.stat().st_ino)
        for path in folder.iterdir()
        if not path.name.startswith(".")
    }


def is_done(row: dict[str, Any]) -> bool:
    return (row["customer"], row["note"], row["born"], row["spent"]) == (None, "gone", date(1987, 1, 1), 4700)


class TestFiles:
    @pytest.mark.parametrize("kind", ["parquet", "csv"])
    def test_rows_stay_and_are_nobodys(self, place: Place, kind: str) -> None:
        """Rows that are not over keep every cell, files without any that is their bytes; a second run changes none."""
        write(place)
        table = visits([*days_around(3, 3), None, date(1970, 1, 1), date(2090, 1, 1)])
        mixed = put(place, "mixed", table, kind)
        new = put(place, "new", visits(days_around(0, 3), first=10), kind)
        before, rows_before = states(new.parent), read(place)

        planned = place.plan()
        done = place.enforce()

        after = read(place)
        assert planned.counts == done.counts
        assert (done.counts.rows, done.counts.anonymize, done.counts.delete) == (12, 3, 0)
        assert done.counts.as_dict()["quarantined"] == {"null": 1, "before_1970": 1, "future": 1}
        assert (done.files.rewritten, done.files.untouched, done.files.dropped) == (1, 1, 0)
        assert [is_done(row) for row in after] == [row["at"] in _over(rows_before) for row in rows_before]
        assert [(row["at"], row["kept"]) for row in after] == [
            (row["at"], row["kept"]) for row in rows_before
        ]
        assert [row for row in after if not is_done(row)] == [
            row for row in rows_before if row["at"] not in _over(rows_before)
        ]
        assert states(new.parent)[new.name] == before[new.name]
        for number in (1, 2, 3):
            assert f"{number:05d}".encode() not in mixed.read_bytes()

        left = states(new.parent)
        again = place.enforce()
        assert (again.counts.anonymize, again.counts.anonymized, again.files.rewritten) == (0, 3, 0)
        assert states(new.parent) == left

    def test_the_schema_stays(self, place: Place) -> None:
        """Dictionaries, order, metadata and row groups."""
        write(place)
        path = put(place, "a", visits(days_around(6, 3)).replace_schema_metadata({"who": "wrote it"}))
        before = pq.ParquetFile(path)

        place.enforce()

        after = pq.ParquetFile(path)
        assert after.schema_arrow.equals(before.schema_arrow, check_metadata=True)
        assert after.metadata.num_row_groups == before.metadata.num_row_groups
        assert path.stat().st_mode == path.stat().st_mode

    def test_held_rows_keep_their_cells(self, place: Place) -> None:
        """Until the hold is lifted."""
        write(place)
        put(place, "a", visits(days_around(4, 2)))
        with place.workspace() as workspace:
            hold = holds.place(
                workspace, "visits", reason="case 2026-17", actor=ACTOR, subjects=["customer-00002"]
            )

        done = place.enforce()

        assert (done.counts.anonymize, done.counts.held) == (3, 1)
        assert [is_done(row) for row in read(place)] == [True, False, True, True, False, False]

        place.ledger.holds.lift(hold.hold_id, reason="the case is closed", actor=ACTOR)
        again = place.enforce()
        assert (again.counts.anonymize, again.counts.anonymized) == (1, 3)

    def test_too_many_need_approval(self, place: Place) -> None:
        """Rows that stay count, too."""
        write(place, rule="after: P1Y, from: at")
        path = put(place, "a", visits(days_around(4, 2)))
        before = states(path.parent)

        with pytest.raises(ApprovalNeededError, match="4 of 6 rows would lose cells"):
            place.enforce()

        assert states(path.parent) == before
        assert place.enforce(approval=APPROVED).counts.anonymize == 4

    def test_in_a_hive_partition(self, place: Place) -> None:
        """The time may be the folder's; the folder's own values cannot be treated."""
        table = visits([CUT]).drop_columns(["at"])
        for day in (CUT - timedelta(days=1), CUT):
            folder = place.path / "visits" / f"at={day}"
            folder.mkdir(parents=True)
            pq.write_table(table, folder / "a.parquet")
        write(place)
        place.policy.write_text(place.policy.read_text().replace("type: timestamp", "type: date"))

        done = place.enforce()

        assert (done.counts.anonymize, done.files.untouched) == (1, 1)
        assert place.enforce().counts.anonymize == 0
        assert sorted(map(is_done, read(place))) == [False, True]

    @pytest.mark.parametrize(
        ("treated", "message"),
        [
            ("customer: null, missing: null", "missing"),
            ("customer: null, spent: {generalize: {width: 10}}", "keep the type"),
        ],
    )
    def test_what_cannot_be(self, place: Place, treated: str, message: str) -> None:
        """Is refused before anything is changed, at the latest when the source is met."""
        write(place, treated=treated)
        put(place, "a", visits(days_around(4, 2)))

        with pytest.raises(Exception, match=message):
            place.enforce()

    def test_a_column_that_takes_no_null(self, place: Place) -> None:
        """Is named."""
        write(place)
        table = visits(days_around(4, 2))
        fields = [field.with_nullable(field.name != "customer") for field in table.schema]
        path = put(place, "a", table.cast(pa.schema(fields)))
        before = states(path.parent)

        with pytest.raises(SchemaError, match="takes no null"):
            place.enforce()

        assert states(path.parent) == before

    def test_a_result_that_does_not_fit(self, place: Place) -> None:
        """Changes nothing, and is told without the value."""
        write(place, treated=f"{TREATED.rpartition(', spent')[0]}, spent: {{constant: {{value: 400}}}}")
        place.policy.write_text(place.policy.read_text().replace("type: int64", "type: int8"))
        table = visits(days_around(4, 2))
        small = pa.array([7] * 6, pa.int8())
        path = put(place, "a", table.set_column(4, "spent", small))
        before = states(path.parent)

        with pytest.raises(TransformError, match="do not fit into int8") as raised:
            place.enforce()

        assert "400" not in str(raised.value)
        assert states(path.parent) == before

    def test_a_run_that_did_not_do_it_is_found_out(
        self, place: Place, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The second look reads cells itself."""
        write(place)
        path = put(place, "a", visits(days_around(4, 2)))
        before = path.read_bytes()
        look = verify.recount

        def sabotaged(*arguments: Any) -> Left:
            path.write_bytes(before)
            return look(*arguments)

        monkeypatch.setattr(verify, "recount", sabotaged)
        with pytest.raises(UnverifiedError, match="cells that it is to lose"):
            place.enforce()

    def test_what_is_told(self, place: Place) -> None:
        """Counts, lineage, evidence and the certificate, and no value."""
        write(place)
        put(place, "a", visits(days_around(4, 2)))

        done = place.enforce()

        assert done.told == "Anonymized 4 rows of visits; 6 stay."
        facts = certificate.of_run(place.ledger, done.run_id)
        assert (facts.done[0].rows_deleted, facts.done[0].rows_masked) == (0, 4)
        assert facts.asked.what.startswith("To anonymize all rows of data set visits")
        assert facts.done[0].said.startswith("Cells of born, customer, note, spent were treated")
        assert all(check.passed for check in facts.verification)
        masked = {edge.source for edge in done.lineage.edges if edge.masking}
        assert masked == {"customer", "note", "born", "spent"}
        assert done.lineage.output is not None
        assert (done.lineage.stage, done.lineage.output.rows) == ("retention", 6)
        told = f"{facts}{done.as_dict()}{done.lineage}{[e.payload for e in place.ledger.evidence()]}"
        assert not [word for word in OLD if word in told]


def _over(found: list[dict[str, Any]]) -> set[datetime]:
    limit = datetime(CUT.year, CUT.month, CUT.day)
    return {row["at"] for row in found if row["at"] and datetime(1970, 1, 2) <= row["at"] < limit}


class TestTables:
    def fill(self, rows: Rows, days: list[date | None]) -> None:
        rows.run(
            "CREATE TABLE visits (customer TEXT, at TIMESTAMP, note VARCHAR(40), born DATE, spent INTEGER, kept TEXT)"
        )
        for number, day in enumerate(days, 1):
            at = "NULL" if day is None else f"'{day}T12:00:00'"
            rows.run(
                f"INSERT INTO visits VALUES ('customer-{number:05d}', {at}, 'canary-{number:05d}-note',"
                f" '1987-04-30', 4711, 'kept-{number}')"
            )

    def test_rows_stay_and_are_nobodys(self, rows: Rows, tmp_path: Path) -> None:
        """In one transaction; a second run finds it done."""
        write(rows.place, "{connection: crm, table: visits}")
        text = rows.place.policy.read_text()
        rows.place.policy.write_text(
            text.replace("type: int64", "type: int32") if "postgres" in rows.url else text
        )
        self.fill(rows, [*days_around(3, 3), None, date(1970, 1, 1), date(2090, 1, 1)])
        before = read(rows.place, **rows.options)

        planned = rows.place.plan(**rows.options)
        done = rows.place.enforce(**rows.options)

        after = read(rows.place, **rows.options)
        assert planned.counts == done.counts
        assert (done.counts.rows, done.counts.anonymize, done.counts.null) == (9, 3, 1)
        assert [is_done(row) for row in after] == [True] * 3 + [False] * 6
        assert after[3:] == before[3:]
        if "sqlite" in rows.url:
            assert b"canary-00001" not in (tmp_path / "data.db").read_bytes()
        again = rows.place.enforce(**rows.options)
        assert (again.counts.anonymize, again.counts.anonymized) == (0, 3)

    def test_cells_that_only_become_null(self, rows: Rows) -> None:
        """And what a hold keeps."""
        write(rows.place, "{connection: crm, table: visits}", treated="customer: null, note: null")
        if "postgres" in rows.url:
            text = rows.place.policy.read_text()
            rows.place.policy.write_text(text.replace("type: int64", "type: int32"))
        self.fill(rows, days_around(4, 2))
        workspace = rows.place.workspace(**rows.options)
        holds.place(workspace, "visits", reason="case 2026-17", actor="a", subjects=["customer-00001"])

        done = rows.place.enforce(**rows.options)

        assert (done.counts.anonymize, done.counts.held) == (3, 1)
        notes = rows.run("SELECT note FROM visits ORDER BY kept")
        assert [note is None for (note,) in notes] == [False, True, True, True, False, False]
        assert rows.place.enforce(**rows.options).counts.as_dict()["anonymized"] == 3

    def test_a_column_that_takes_no_null(self, rows: Rows) -> None:
        """Is named, and nothing is changed."""
        write(rows.place, "{connection: crm, table: visits}", treated="customer: null, note: null")
        rows.run("CREATE TABLE visits (customer TEXT NOT NULL, at TIMESTAMP, note TEXT)")
        rows.run("INSERT INTO visits VALUES ('c', '2001-01-01T12:00:00', 'n')")

        with pytest.raises(SchemaError, match="takes no null"):
            rows.place.enforce(**rows.options)

        assert rows.run("SELECT customer FROM visits") == [("c",)]


class TestKilled:
    @pytest.mark.slow
    @pytest.mark.parametrize("kind", ["parquet", "csv"])
    def test_at_any_moment(self, make_place: Callable[..., Place], kind: str) -> None:
        """Each file is as it was or done, no row is lost, and the next run does the rest."""
        for moment in range(MOST):
            place = make_place(f"shop{moment}")
            write(place)
            for index, name in enumerate("abc"):
                put(place, name, visits(days_around(3, 3), first=1 + 6 * index), kind)
            code = crash.run(place.path, moment)
            done = [is_done(row) for row in read(place)]
            assert (len(done), sum(done) % 3) == (18, 0), f"killed at moment {moment}"

            place.enforce()

            assert sum(is_done(row) for row in read(place)) == 9
            assert len([p for p in (place.path / "visits").iterdir() if p.name != ".veil.lock"]) == 3
            assert place.enforce().counts.anonymized == 9
            place.close()
            shutil.rmtree(place.path)
            if code == 0:
                break
            assert code == crash.KILLED
        else:
            pytest.fail("the run never came to its end")
        assert moment > 10, "too few moments: were they counted?"
