"""Whatever is done to a log is found, by who has its public key and its last checkpoint."""

from __future__ import annotations

import json
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.audit.conftest import ANCHORED, ENTRIES, KEY, Log, copied, fill

from airflow_veil.privacy.audit import record
from airflow_veil.privacy.audit.checkpoint import sign
from airflow_veil.privacy.audit.merkle import Tree, leaf_hash
from airflow_veil.privacy.audit.record import of_export, of_ledger
from airflow_veil.privacy.audit.verify import verify
from airflow_veil.privacy.errors import AuditError, LedgerError
from airflow_veil.privacy.ledger.ledger import Ledger

COLUMNS = (
    "recorded_at",
    "kind",
    "actor",
    "subject",
    "payload",
    "salt",
    "payload_digest",
    "prev_digest",
    "digest",
)


def own(log: Log, *statements: str, values: tuple[object, ...] = ()) -> None:
    """Do what somebody who owns the database file can do: drop all triggers, and change what lies there."""
    database = log.ledger._engine.url.database
    assert database is not None
    with closing(sqlite3.connect(database)) as connection:
        triggers = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for (name,) in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            connection.execute(statement, values)
        connection.commit()


def turned(value: object, bit: int) -> object:
    """A value of the database with one bit of it turned."""
    if value is None:
        return "x"
    raw = bytearray(value.encode() if isinstance(value, str) else bytes(value))  # type: ignore[call-overload]
    raw[bit // 8 % len(raw)] ^= 1 << bit % 8
    return bytes(raw) if isinstance(value, bytes) else bytes(raw).decode("latin-1")


class TestVerify:
    """`verify.verify` of a log in which nothing is wrong."""

    def test_tells_what_is_anchored(self, made: Log) -> None:
        """What the last checkpoint covers is told apart from what came after it."""
        report = made.verify()

        assert (report.size, report.anchored, report.checkpoints) == (ENTRIES, ANCHORED, 2)
        assert report.root == made.ledger.tree.root(ENTRIES)
        assert report.erased == (2,)

    def test_of_an_export(self, made: Log, tmp_path: Path) -> None:
        """An export is checked as the ledger is, without it."""
        path = exported(made, tmp_path)

        assert verify(of_export(path), made.checkpoints()) == made.verify()

    def test_needs_a_checkpoint(self, made: Log) -> None:
        """Without one, a log that was written anew would look as good."""
        with pytest.raises(AuditError, match="no checkpoint to check against"):
            verify(of_ledger(made.ledger), ())

    def test_reads_page_by_page(self, made: Log, monkeypatch: pytest.MonkeyPatch) -> None:
        """However long the log is."""
        monkeypatch.setattr(record, "_PAGE", 3)

        assert made.verify().size == ENTRIES

    def test_on_postgresql(self, postgres: str, tmp_path: Path) -> None:
        """Entries there are the same bytes, whatever the session's time zone."""
        with Ledger.open(f"{postgres}?options=-ctimezone%3DAsia/Tokyo") as ledger:
            log = Log(ledger, tmp_path / "checkpoints.txt")
            fill(ledger, 1, 5)
            log.anchor()
            ledger.erase_payload(2, "ticket 4711", "officer")

            assert (log.verify().size, log.verify().anchored, log.verify().erased) == (6, 5, (2,))


class TestEveryChange:
    """Each field of each entry, whatever is put into it."""

    @pytest.mark.parametrize("column", COLUMNS)
    @pytest.mark.parametrize("seq", range(1, ENTRIES + 1))
    def test_of_a_field(self, copy: Log, column: str, seq: int) -> None:
        """Another entry's value, nothing, another text: all are found, in anchored and unanchored entries."""
        other = seq % ENTRIES + 1
        own(copy, f"UPDATE evidence SET {column} = (SELECT {column} FROM evidence WHERE seq = {other})"
            f" WHERE seq = {seq}")  # fmt: skip
        if same(copy, column, seq):
            own(copy, f"UPDATE evidence SET {column} = 'other' WHERE seq = {seq}")

        with pytest.raises(AuditError, match=f"entry {seq}"):
            copy.verify()

    @settings(max_examples=150, deadline=None)
    @given(st.sampled_from([*COLUMNS, "hashes"]), st.integers(1, ENTRIES), st.integers(0, 4000))
    def test_of_a_bit(self, made: Log, column: str, seq: int, bit: int) -> None:
        """Every bit of entries and of the tree's nodes counts."""
        table = "evidence_nodes" if column == "hashes" else "evidence"
        with tempfile.TemporaryDirectory() as folder:
            log = copied(made, Path(folder))
            with closing(sqlite3.connect(Path(folder) / "ledger.db")) as connection:
                (value,) = connection.execute(f"SELECT {column} FROM {table} WHERE seq = {seq}").fetchone()
            own(log, f"UPDATE {table} SET {column} = ? WHERE seq = {seq}", values=(turned(value, bit),))

            with pytest.raises(AuditError, match=f"entry {seq}"):
                log.verify()

    @settings(max_examples=100, deadline=None)
    @given(st.integers(0, 10**6))
    def test_of_a_bit_of_an_export(self, made: Log, bit: int) -> None:
        """Every bit of an export counts, even those that mean nothing to JSON."""
        with tempfile.TemporaryDirectory() as folder:
            path = exported(made, Path(folder))
            raw = bytearray(path.read_bytes())
            raw[bit // 8 % len(raw)] ^= 1 << bit % 8
            path.write_bytes(bytes(raw))

            with pytest.raises(AuditError):
                verify(of_export(path), made.checkpoints())

    @settings(max_examples=100, deadline=None)
    @given(st.integers(0, 10**5))
    def test_of_a_bit_of_the_checkpoints(self, made: Log, bit: int) -> None:
        """A checkpoint that was changed is refused, or is the signature of nobody that is known."""
        with tempfile.TemporaryDirectory() as folder:
            log = copied(made, Path(folder))
            raw = bytearray(log.anchors.read_bytes())
            raw[bit // 8 % len(raw)] ^= 1 << bit % 8
            log.anchors.write_bytes(bytes(raw))

            with pytest.raises(AuditError):
                log.verify()


class TestEveryMove:
    """Entries that are cut, put in, moved or exchanged, with all that hangs on them made anew."""

    @pytest.mark.parametrize("seq", range(1, ENTRIES))
    def test_a_missing_entry(self, copy: Log, seq: int) -> None:
        """One that is left out is missed."""
        own(copy, f"DELETE FROM evidence WHERE seq = {seq}")

        with pytest.raises(AuditError, match=f"entry {seq} "):
            copy.verify()

    @pytest.mark.parametrize("last", range(ANCHORED))
    def test_a_cut_tail(self, copy: Log, last: int) -> None:
        """A log that is shorter than its last checkpoint was cut."""
        cut(copy, last)

        with pytest.raises(AuditError, match=f"ends at entry {last}, and {ANCHORED} were anchored"):
            copy.verify()

    @pytest.mark.parametrize("last", range(ANCHORED))
    def test_a_log_written_anew(self, copy: Log, last: int) -> None:
        """A fork, as long as the log and in itself without fault, is not the log that was anchored."""
        forked(copy, last)

        assert copy.ledger.verify_chain().seq == ENTRIES
        with pytest.raises(AuditError, match=r"first \d entries .* are not the ones that were anchored"):
            copy.verify()

    @pytest.mark.parametrize("one", range(1, ENTRIES))
    def test_swapped_entries(self, copy: Log, one: int) -> None:
        """Two that changed places are found."""
        own(
            copy,
            f"UPDATE evidence SET seq = 99 WHERE seq = {one}",
            f"UPDATE evidence SET seq = {one} WHERE seq = {one + 1}",
            f"UPDATE evidence SET seq = {one + 1} WHERE seq = 99",
        )

        with pytest.raises(AuditError, match=f"entry {one}"):
            copy.verify()

    @pytest.mark.parametrize("seq", ["0", "-1", "99", "'x'", "x'00'"])
    def test_an_entry_beside_the_others(self, copy: Log, seq: str) -> None:
        """Before the first or after the last, with whatever for a number."""
        columns = ", ".join(COLUMNS)
        own(
            copy,
            "PRAGMA ignore_check_constraints = ON",
            f"INSERT INTO evidence (seq, {columns}) SELECT {seq}, {columns} FROM evidence WHERE seq = 3",
        )

        with pytest.raises(AuditError, match="entry"):
            copy.verify()

    @pytest.mark.parametrize("statement", [
        "DELETE FROM evidence_nodes WHERE seq = 3",
        "UPDATE evidence_nodes SET hashes = 7 WHERE seq = 3",
    ])  # fmt: skip
    def test_a_missing_node(self, copy: Log, statement: str) -> None:
        """The ledger's own tree is compared, too: its proofs would not hold."""
        own(copy, statement)

        with pytest.raises(AuditError, match=r"entry 3 .* has other nodes"):
            copy.verify()

    def test_a_lost_payload(self, copy: Log) -> None:
        """A payload is erased only if a later entry says so."""
        own(copy, "UPDATE evidence SET payload = NULL, salt = NULL WHERE seq = 4")

        with pytest.raises(AuditError, match=r"entry 4 .* has no payload, and no later entry says"):
            copy.verify()

    def test_what_cannot_be_found(self, copy: Log) -> None:
        """Entries after the last checkpoint can be written anew; the report does not call them anchored."""
        forked(copy, ANCHORED)

        assert copy.verify().anchored == ANCHORED

    def test_two_checkpoints_of_one_size(self, made: Log) -> None:
        """Whoever has the key may fork the log; two checkpoints then prove it."""
        fork = sign(KEY, ANCHORED, bytes(32))

        with pytest.raises(AuditError, match="two signed checkpoints of 8 entries have different roots"):
            verify(of_ledger(made.ledger), (*made.checkpoints(), fork))

    def test_an_export_with_something_else_in_it(self, made: Log, tmp_path: Path) -> None:
        """A line that is no entry is told by its number; nothing of it is shown."""
        path = exported(made, tmp_path)
        for line in ("canary", "[1]", json.dumps({"seq": 1}), "\ud800".encode("utf-8", "surrogatepass")):
            raw = line if isinstance(line, bytes) else line.encode()
            path.write_bytes(raw + b"\n")
            with pytest.raises(AuditError, match="line 1") as caught:
                verify(of_export(path), made.checkpoints())
            assert "canary" not in str(caught.value)


class TestByOtherTools:
    """What docs/audit.md tells an auditor who does not want our code."""

    def test_a_few_lines_of_sha256(self, made: Log, tmp_path: Path) -> None:
        """The script of the page computes the root of a checkpoint from an export."""
        page = (Path(__file__).resolve().parents[3] / "docs" / "audit.md").read_text()
        script = page.partition("```python\n")[2].partition("```")[0]
        names: dict[str, Callable[[Path, int], str]] = {}
        exec(compile(script, "docs/audit.md", "exec"), names)

        for checkpoint in made.checkpoints():
            told = checkpoint.checkpoint.text.splitlines()[2]
            assert names["root"](exported(made, tmp_path), checkpoint.size) == told


def exported(log: Log, folder: Path) -> Path:
    """The log as `veil audit export` writes it."""
    path = folder / "evidence.jsonl"
    path.write_text("".join(f"{entry.line}\n" for entry, _ in of_ledger(log.ledger)))
    return path


def same(log: Log, column: str, seq: int) -> bool:
    """Whether a change has changed nothing, so that the log still checks."""
    try:
        log.verify()
    except (AuditError, LedgerError):
        return False
    return True


def cut(log: Log, last: int) -> None:
    """Take all entries after one away, with all that tells of them in the database."""
    own(log, *(f"DELETE FROM {table} WHERE seq > {last}" for table in ("evidence", "evidence_nodes")))


def forked(log: Log, last: int) -> None:
    """Write the log anew after an entry, as our own code would."""
    cut(log, last)
    with_erasures = 1 if last >= 2 and last < 6 else 0
    if with_erasures:
        log.ledger.append_evidence("evidence.erased", "evidence/2", {}, actor="tester")
    fill(log.ledger, last + 1 + with_erasures, ENTRIES, what="forged")
    leaves = [leaf_hash(entry.leaf) for entry in log.ledger.evidence()]
    assert Tree(leaves).root() == log.ledger.tree.root(ENTRIES)
