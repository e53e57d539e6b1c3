"""Evidence."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, text

from airflow_veil.privacy.errors import LedgerError
from airflow_veil.privacy.ledger.database import writing
from airflow_veil.privacy.ledger.evidence import LARGEST_PAYLOAD, LONGEST_TEXT, Head
from airflow_veil.privacy.ledger.ledger import Ledger

TRIGGERS = {
    "sqlite": {
        "evidence": ["next", "no_update", "no_delete", "whole"],
        "evidence_nodes": ["next", "no_update", "no_delete"],
    },
    "postgresql": {
        "evidence": ["next", "no_change", "no_update", "whole"],
        "evidence_nodes": ["next", "no_change"],
    },
}

INSERT = """
INSERT INTO evidence
SELECT {}, recorded_at, kind, actor, subject, payload, salt, payload_digest, prev_digest, digest
FROM evidence WHERE seq = 5
"""


@pytest.fixture
def filled(ledger: Ledger) -> Ledger:
    """A ledger with five entries."""
    for number in range(1, 6):
        ledger.append_evidence("test.made", f"thing/{number}", {"rows": number}, actor="tester")
    return ledger


def tamper(engine: Engine, *statements: str) -> None:
    """Do what somebody who owns the database can do: take the triggers away, and change evidence."""
    with writing(engine) as connection:
        for table, triggers in TRIGGERS[engine.dialect.name].items():
            on = f" ON {table}" if engine.dialect.name == "postgresql" else ""
            for trigger in triggers:
                connection.execute(text(f"DROP TRIGGER {table}_{trigger}{on}"))
        for statement in statements:
            connection.execute(text(statement))


class TestAppend:
    """`Ledger.append_evidence`."""

    def test_returns_what_is_stored(self, ledger: Ledger) -> None:
        """The entry that comes back is the one that is read later."""
        entry = ledger.append_evidence("keys.rotated", "keys", {"version": 2, "from": 1}, actor="alice")

        assert ledger.evidence() == (entry,)
        assert entry.payload == '{"from":1,"version":2}'
        assert entry.content == {"from": 1, "version": 2}
        assert abs(datetime.now(UTC) - entry.recorded_at) < timedelta(minutes=5)

    def test_numbers_from_one(self, filled: Ledger) -> None:
        """Entries are numbered without gaps."""
        assert [entry.seq for entry in filled.evidence()] == [1, 2, 3, 4, 5]

    def test_digests_are_what_the_docs_say(self, filled: Ledger) -> None:
        """The chain can be checked with nothing but SHA-256 and JSON."""
        before = "0" * 64
        for entry in filled.evidence():
            payload_digest = hashlib.sha256((entry.salt + entry.payload).encode()).hexdigest()
            covered = {
                "actor": "tester",
                "kind": "test.made",
                "payload_digest": payload_digest,
                "prev_digest": before,
                "recorded_at": entry.recorded_at.strftime("%Y-%m-%dT%H:%M:%S.%f+00:00"),
                "seq": entry.seq,
                "subject": f"thing/{entry.seq}",
            }
            text = json.dumps(covered, sort_keys=True, separators=(",", ":"))
            before = hashlib.sha256(text.encode()).hexdigest()

            assert (entry.payload_digest, entry.digest) == (payload_digest, before)

    def test_once(self, ledger: Ledger) -> None:
        """What the last entry of its kind and subject says already is not said again."""

        def say(rows: int, subject: str = "thing/1") -> int:
            entry = ledger.append_evidence("test.made", subject, {"rows": rows}, actor="tester", once=True)
            return entry.seq

        assert [say(1), say(1), say(2), say(2), say(1), say(1, "thing/2")] == [1, 1, 2, 2, 3, 4]

    def test_of_a_subject(self, filled: Ledger) -> None:
        """In order, of some kinds or of all."""
        filled.append_evidence("test.sold", "thing/2", {}, actor="tester")

        assert [entry.seq for entry in filled.evidence_of("thing/2")] == [2, 6]
        assert [entry.seq for entry in filled.evidence_of("thing/2", "test.sold", "test.lost")] == [6]
        assert filled.evidence_of("thing/9") == ()

    def test_equal_payloads_have_different_digests(self, ledger: Ledger) -> None:
        """The salt keeps a payload from being guessed from its digest."""
        entries = [ledger.append_evidence("test.made", "a", {"rows": 1}, actor="a") for _ in range(2)]

        assert entries[0].payload_digest != entries[1].payload_digest

    def test_reads_a_page(self, filled: Ledger) -> None:
        """Entries can be read on from where a reader stopped."""
        assert [entry.seq for entry in filled.evidence(2)] == [3, 4, 5]
        assert [entry.seq for entry in filled.evidence(2, limit=2)] == [3, 4]
        assert filled.evidence(5) == ()

    @pytest.mark.parametrize(
        "changed",
        [
            {"kind": ""},
            {"kind": "Release.Published"},
            {"kind": "release published"},
            {"kind": "a" * 65},
            {"subject": ""},
            {"subject": "x" * 513},
            {"subject": "two\nlines"},
            {"actor": ""},
            {"payload": ["list"]},
            {"payload": None},
            {"payload": {"when": datetime(2026, 1, 1, tzinfo=UTC)}},
            {"payload": {"text": "x" * (LONGEST_TEXT + 1)}},
            {"payload": {"nested": [{"x" * (LONGEST_TEXT + 1): 1}]}},
            {"payload": {"many": ["x" * LONGEST_TEXT] * (LARGEST_PAYLOAD // LONGEST_TEXT)}},
        ],
        ids=lambda changed: f"{next(iter(changed))} {str(next(iter(changed.values())))[:20]!r}",
    )
    def test_refuses_what_is_no_evidence(self, ledger: Ledger, changed: dict[str, Any]) -> None:
        """What could never be deleted again is checked before it is written."""
        entry = {"kind": "test.made", "subject": "here", "payload": {}, "actor": "test"}

        with pytest.raises(LedgerError) as caught:
            ledger.append_evidence(**entry | changed)

        assert not caught.value.retryable
        assert "xxxx" not in str(caught.value)
        assert ledger.evidence() == ()


class TestAppendOnly:
    """The tables themselves refuse to change evidence."""

    @pytest.mark.parametrize(
        "statement",
        [
            "UPDATE evidence SET actor = 'nobody' WHERE seq = 3",
            "DELETE FROM evidence WHERE seq = 5",
            "DELETE FROM evidence",
            INSERT.format(7),
            INSERT.format(0),
        ],
        ids=["update", "delete the last", "delete all", "leave a gap", "before the first"],
    )
    def test_on_every_database(self, filled: Ledger, statement: str) -> None:
        """Neither a change, a deletion nor a gap gets through."""
        before = filled.evidence()

        with pytest.raises(LedgerError, match="a rule of the ledger"), writing(filled._engine) as connection:
            connection.execute(text(statement))
        assert before == filled.evidence()

    def test_by_what_else_a_database_offers(self, filled: Ledger) -> None:
        """Replacing rows on insertion, and emptying a table at once, do not get through either."""
        before = filled.evidence()
        statement = {
            "sqlite": "REPLACE INTO evidence SELECT * FROM evidence WHERE seq = 3",
            "postgresql": "TRUNCATE evidence CASCADE",
        }[filled._engine.dialect.name]

        with pytest.raises(LedgerError, match="a rule of the ledger"), writing(filled._engine) as connection:
            connection.execute(text(statement))
        assert before == filled.evidence()


class TestVerifyChain:
    """`Ledger.verify_chain`."""

    def test_gives_the_end_of_the_chain(self, filled: Ledger) -> None:
        """A chain as it was written checks, with and without an anchor."""
        head = filled.verify_chain()

        assert head == filled.evidence()[-1].head
        assert head == filled.verify_chain(head)
        assert head == filled.verify_chain(filled.evidence()[2].head)

    def test_of_an_empty_chain(self, ledger: Ledger) -> None:
        """An empty chain checks, and its end is the beginning."""
        assert ledger.verify_chain() == Head(0, "0" * 64)

    @pytest.mark.parametrize(
        ("statement", "broken"),
        [
            ("UPDATE evidence SET actor = 'nobody' WHERE seq = 3", 3),
            ("UPDATE evidence SET kind = 'test.other' WHERE seq = 3", 3),
            ("UPDATE evidence SET subject = 'other' WHERE seq = 3", 3),
            ("UPDATE evidence SET payload = '{}' WHERE seq = 3", 3),
            ("UPDATE evidence SET salt = 'x' WHERE seq = 3", 3),
            ("UPDATE evidence SET recorded_at = '2026-01-01 00:00:00.000000' WHERE seq = 3", 3),
            ("UPDATE evidence SET payload_digest = digest WHERE seq = 3", 3),
            ("UPDATE evidence SET prev_digest = digest WHERE seq = 3", 3),
            ("UPDATE evidence SET digest = prev_digest WHERE seq = 3", 3),
            ("UPDATE evidence SET digest = prev_digest WHERE seq = 5", 5),
            ("DELETE FROM evidence WHERE seq = 1", 1),
            ("DELETE FROM evidence WHERE seq = 3", 3),
            ("UPDATE evidence SET seq = seq + 100 WHERE seq > 2", 3),
        ],
        ids=lambda value: str(value).removeprefix("UPDATE evidence SET "),
    )
    def test_finds_what_was_tampered_with(self, filled: Ledger, statement: str, broken: int) -> None:
        """Any change is found, and the first entry that is wrong is named."""
        tamper(filled._engine, statement)

        with pytest.raises(LedgerError, match=f"entry {broken} of the evidence") as caught:
            filled.verify_chain()
        assert not caught.value.retryable

    def test_finds_swapped_entries(self, filled: Ledger) -> None:
        """Entries cannot change places."""
        moves = [(2, 9), (3, 2), (9, 3)]
        tamper(filled._engine, *(f"UPDATE evidence SET seq = {to} WHERE seq = {seq}" for seq, to in moves))

        with pytest.raises(LedgerError, match="entry 2 of the evidence"):
            filled.verify_chain()

    def test_finds_a_cut_with_an_anchor(self, filled: Ledger) -> None:
        """What is missing at the end is told by a head kept elsewhere."""
        head = filled.verify_chain()
        tamper(filled._engine, "DELETE FROM evidence WHERE seq > 3")

        assert filled.verify_chain().seq == 3
        with pytest.raises(LedgerError, match="ends at entry 3, and once had 5"):
            filled.verify_chain(head)

    def test_finds_a_rewritten_chain_with_an_anchor(self, filled: Ledger) -> None:
        """A chain written anew, in itself without fault, is not the one that was noted down."""
        head = filled.verify_chain()
        cut = [f"DELETE FROM {table} WHERE seq > 3" for table in ("evidence", "evidence_nodes")]
        tamper(filled._engine, *cut)
        for _ in range(3):
            filled.append_evidence("test.forged", "other", {}, actor="tester")

        assert filled.verify_chain().seq == 6
        with pytest.raises(LedgerError, match="entry 5 of the evidence is not the one"):
            filled.verify_chain(head)

    def test_reads_page_by_page(self, filled: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
        """A long chain is not held in memory, and breaks between pages are found."""
        from airflow_veil.privacy.ledger import ledger

        monkeypatch.setattr(ledger, "_PAGE", 2)
        assert filled.verify_chain().seq == 5
        tamper(filled._engine, "DELETE FROM evidence WHERE seq = 3")
        with pytest.raises(LedgerError, match="entry 3"):
            filled.verify_chain()
