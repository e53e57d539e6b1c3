"""The Merkle tree that the ledger keeps over the evidence, and payloads that are erased."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text
from tests.unit.ledger.test_evidence import tamper

from airflow_veil.privacy.audit.merkle import Tree, leaf_hash, verify_consistency, verify_inclusion
from airflow_veil.privacy.errors import AuditError, LedgerError
from airflow_veil.privacy.ledger import tree
from airflow_veil.privacy.ledger.database import writing
from airflow_veil.privacy.ledger.ledger import Ledger

ENTRIES = 21
SECRET = "canary-5b1f"


@pytest.fixture
def filled(ledger: Ledger) -> Ledger:
    """A ledger with some entries."""
    for number in range(1, ENTRIES + 1):
        ledger.append_evidence("test.made", f"thing/{number}", {"rows": number}, actor="tester")
    return ledger


def in_memory(ledger: Ledger) -> Tree:
    """The tree over a ledger's entries, made anew."""
    return Tree(leaf_hash(entry.leaf) for entry in ledger.evidence())


class TestTree:
    """`Ledger.tree`."""

    def test_has_the_roots_of_all_sizes(self, filled: Ledger) -> None:
        """What it keeps is the tree over the entries, at every size that it has had."""
        made = in_memory(filled)

        assert filled.tree.size() == ENTRIES
        assert all(filled.tree.root(size) == made.root(size) for size in range(ENTRIES + 1))
        assert all(filled.tree.frontier(size).root == made.root(size) for size in range(ENTRIES + 1))

    def test_gives_proofs(self, filled: Ledger) -> None:
        """Of each entry, and from each size to the last."""
        root = filled.tree.root(ENTRIES)
        for number, entry in enumerate(filled.evidence()):
            proof = filled.tree.inclusion_proof(number, ENTRIES)
            verify_inclusion(number, ENTRIES, leaf_hash(entry.leaf), proof, root)
        for size in range(1, ENTRIES + 1):
            proof = filled.tree.consistency_proof(size, ENTRIES)
            verify_consistency(size, ENTRIES, filled.tree.root(size), root, proof)

    def test_of_an_empty_ledger(self, ledger: Ledger) -> None:
        """It has no entries, a root all the same, and no proofs."""
        assert ledger.tree.size() == 0
        assert ledger.tree.root(0) == Tree().root()
        with pytest.raises(AuditError):
            ledger.tree.inclusion_proof(0, 0)

    def test_is_written_with_the_entry_or_not_at_all(
        self, filled: Ledger, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """An entry whose node cannot be written is not there either."""

        def fail(*_: object) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            patched.setattr(tree, "append", fail)
            with pytest.raises(KeyboardInterrupt):
                filled.append_evidence("test.made", "lost", {}, actor="tester")
        filled.append_evidence("test.made", "kept", {}, actor="tester")

        assert [entry.subject for entry in filled.evidence(ENTRIES)] == ["kept"]
        assert filled.tree.root(ENTRIES + 1) == in_memory(filled).root()

    def test_tells_of_a_missing_node(self, filled: Ledger) -> None:
        """An entry is not added to a tree that has a hole."""
        tamper(filled._engine, "DELETE FROM evidence_nodes WHERE seq = 20")
        for number in (22, 23):
            filled.append_evidence("test.made", f"thing/{number}", {}, actor="tester")

        with pytest.raises(LedgerError, match="no node of level 2 at entry 20") as caught:
            filled.append_evidence("test.made", "thing/24", {}, actor="tester")
        assert not caught.value.retryable

    @pytest.mark.parametrize(
        "statement",
        [
            "UPDATE evidence_nodes SET hashes = hashes WHERE seq = 3",
            "DELETE FROM evidence_nodes WHERE seq = 21",
            "INSERT INTO evidence_nodes SELECT 22, hashes FROM evidence_nodes WHERE seq = 3",
            "INSERT INTO evidence_nodes SELECT 0, hashes FROM evidence_nodes WHERE seq = 3",
        ],
    )
    def test_is_only_added_to(self, filled: Ledger, statement: str) -> None:
        """Neither a change, a deletion nor a node without an entry gets through."""
        with pytest.raises(LedgerError, match="a rule of the ledger"), writing(filled._engine) as connection:
            connection.execute(text(statement))


class TestErasePayload:
    """`Ledger.erase_payload`."""

    def test_takes_payload_and_salt_and_says_so(self, filled: Ledger) -> None:
        """The entry stays, with all its digests; a new one tells that it was erased, by whom and why."""
        before, root = filled.evidence()[4], filled.tree.root(ENTRIES)

        said = filled.erase_payload(5, "ticket 4711", "officer")

        after = filled.evidence()[4]
        assert (after.payload, after.salt) == (None, None)
        assert after.leaf == before.leaf
        assert (said.seq, said.kind, said.subject) == (ENTRIES + 1, "evidence.erased", "evidence/5")
        assert said.actor == "officer"
        assert said.content == {"reason": "ticket 4711", "payload_digest": before.payload_digest}
        assert filled.tree.root(ENTRIES) == root
        assert filled.verify_chain() == said.head
        with pytest.raises(LedgerError, match=r"payload of entry 5 .* was erased"):
            _ = after.content

    def test_may_be_repeated(self, filled: Ledger) -> None:
        """A second call changes nothing and gives what the first gave."""
        said = filled.erase_payload(5, "ticket 4711", "officer")

        assert filled.erase_payload(5, "once more", "somebody") == said
        assert len(filled.evidence()) == ENTRIES + 1

    def test_of_an_erasure(self, filled: Ledger) -> None:
        """A reason that should not have been written can be erased, too; that there was an erasure stays."""
        said = filled.erase_payload(5, "ticket 4711", "officer")
        filled.erase_payload(said.seq, "the reason named a person", "officer")

        assert filled.verify_chain().seq == ENTRIES + 2

    @pytest.mark.parametrize("seq", [0, ENTRIES + 1])
    def test_of_what_is_not_there(self, filled: Ledger, seq: int) -> None:
        """There is nothing to erase, and nothing is said."""
        with pytest.raises(LedgerError, match=f"no entry {seq}"):
            filled.erase_payload(seq, "ticket 4711", "officer")
        assert len(filled.evidence()) == ENTRIES

    def test_leaves_nothing_in_the_file(self, tmp_path: Path) -> None:
        """SQLite overwrites what was erased."""
        path = tmp_path / "ledger.db"
        with Ledger.open(path) as ledger:
            ledger.append_evidence("test.made", "thing", {"note": SECRET}, actor="tester")
            assert SECRET.encode() in path.read_bytes()
            ledger.erase_payload(1, "ticket 4711", "officer")

        assert SECRET.encode() not in path.read_bytes()

    @pytest.mark.parametrize(
        "change",
        [
            "payload = NULL, salt = NULL",
            "payload = NULL",
            "salt = NULL",
        ],
    )
    def test_is_the_only_way(self, filled: Ledger, change: str) -> None:
        """Without an entry that says so, no payload is erased."""
        with pytest.raises(LedgerError, match="a rule of the ledger"), writing(filled._engine) as connection:
            connection.execute(text(f"UPDATE evidence SET {change} WHERE seq = 5"))

    @pytest.mark.parametrize(
        "change",
        [
            "payload = NULL",
            "payload = 'other', salt = 'other'",
            "payload = NULL, salt = NULL, actor = 'nobody'",
            "payload = NULL, salt = NULL, digest = prev_digest",
        ],
    )
    def test_lets_nothing_else_through(self, filled: Ledger, change: str) -> None:
        """An entry that announces an erasure allows that, and nothing beside it."""
        filled.append_evidence("evidence.erased", "evidence/5", {}, actor="tester")

        with pytest.raises(LedgerError, match="a rule of the ledger"), writing(filled._engine) as connection:
            connection.execute(text(f"UPDATE evidence SET {change} WHERE seq = 5"))

    def test_is_told_from_a_loss(self, filled: Ledger) -> None:
        """A payload that is missing, and that no entry tells of, is a fault."""
        tamper(filled._engine, "UPDATE evidence SET payload = NULL, salt = NULL WHERE seq = 5")

        with pytest.raises(LedgerError, match=r"entry 5 .* has no payload, and no entry says"):
            filled.verify_chain()
