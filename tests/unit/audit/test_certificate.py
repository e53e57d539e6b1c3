"""Certificates: their facts, their place in the log, their proof, their page."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.unit.audit.conftest import KEY, Log, fill
from tests.unit.audit.test_verify import own

from airflow_veil.privacy.audit import certificate
from airflow_veil.privacy.audit.certificate import Certificate
from airflow_veil.privacy.audit.facts import Asked, Backups, Check, Evidence, Kept, Store
from airflow_veil.privacy.audit.note import SigningKey
from airflow_veil.privacy.errors import AuditError, StorageError

MARKUP = "<script>alert('1')</script>"
FACTS = Certificate(
    kind="erasure",
    title="Everything about one person",
    name="request-2026-17",
    asked=Asked(
        what=f"To delete what there is of the person of the request {MARKUP}.",
        by="desk",
        at=datetime(2026, 3, 1, 3, 0, tzinfo=UTC),
        policy="shop",
        policy_digest="a" * 64,
        approved_by="officer",
        approval="ticket 4711",
    ),
    done=(
        Store(store="orders", place="/data/orders", rows_deleted=3, files_rewritten=1),
        Store(store="letters", rows_masked=1),
    ),
    kept=(Kept(store="invoices", rows=2, word="exempt", why="The law has them kept for ten years."),),
    verification=(Check(what="No row of the person is left", looked_at=1200, found=0, passed=True),),
    backups=Backups(said="Backups are kept for 35 days.", until=date(2026, 4, 5)),
    evidence=(Evidence(seq=3, kind="erasure.done"),),
)


def issued(log: Log, facts: Certificate = FACTS) -> Certificate:
    return certificate.issue(log.ledger, facts, actor="tester")


def anchored(log: Log, facts: Certificate = FACTS) -> Certificate:
    """One with its proof, among other entries."""
    fill(log.ledger, 1, 3)
    made = issued(log, facts)
    fill(log.ledger, 4, 9)
    log.anchor()
    return certificate.proven(log.ledger, made, log.checkpoints())


def leaves(document: Any) -> Iterator[tuple[dict[str, Any] | list[Any], Any]]:
    """Every place in a document that holds a value."""
    for key, value in list(document.items() if isinstance(document, dict) else enumerate(document)):
        if isinstance(value, dict | list) and value:
            yield from leaves(value)
        else:
            yield document, key


class TestIssue:
    def test_its_digest_is_evidence(self, log: Log) -> None:
        """Of all its facts, under its name; the proof comes later."""
        made = issued(log)
        (entry,) = log.ledger.evidence()

        assert (entry.kind, entry.subject) == ("certificate.issued", "certificate/request-2026-17")
        assert entry.content == {
            "kind": "erasure",
            "name": "request-2026-17",
            "facts_digest": FACTS.digest,
        }
        assert not made.anchored
        assert "Not anchored yet" in made.log_said
        assert certificate.proven(log.ledger, made, ()) == made

    def test_once(self, log: Log) -> None:
        """The same facts have one entry, and other facts under the same name another one: an auditor sees both."""
        assert issued(log) == issued(log)
        issued(log, replace(FACTS, kept=()))

        assert len(log.ledger.evidence_of("certificate/request-2026-17")) == 2

    def test_what_was_not_issued(self, log: Log) -> None:
        """It is no document, and has no proof."""
        for attempt in (FACTS.document, lambda: certificate.proven(log.ledger, FACTS, ())):
            with pytest.raises(AuditError, match="was not issued"):
                attempt()

    def test_of_another_ledger(self, log: Log, made: Log) -> None:
        """An entry of the same number is not the certificate's."""
        fill(log.ledger, 1, 3)
        with pytest.raises(AuditError, match="not the certificate's"):
            certificate.proven(made.ledger, issued(log), made.checkpoints())


class TestCheck:
    def test_proves_the_facts(self, log: Log) -> None:
        """By the key alone, after a journey as JSON."""
        made = anchored(log)
        checked = certificate.check(json.loads(json.dumps(made.document())), [KEY.verifier])

        assert checked.certificate == made
        assert checked.certificate.facts == FACTS.facts
        assert checked.proven.record.seq == 4

    def test_every_change_is_found(self, log: Log) -> None:
        """Whatever of it is another, or is missing, or is more: it proves nothing."""
        good = anchored(log).document()
        text = json.dumps(good)
        for number in range(len(list(leaves(json.loads(text))))):
            for other in ("x", 7, None, [], True):
                changed = json.loads(text)
                place, key = list(leaves(changed))[number]
                # What is said of the log is for people: the proof is what counts.
                if place[key] == other or (key == "said" and place is changed["log"]):
                    continue
                place[key] = other
                with pytest.raises(AuditError):
                    certificate.check(changed, [KEY.verifier])
        more = json.loads(text)
        more["facts"]["asked"]["promised"] = "everything"
        for bad in (more, None, [], {}, {**good, "format": "x"}, {**good, "log": {}}, {**good, "facts": 7}):
            with pytest.raises(AuditError):
                certificate.check(bad, [KEY.verifier])

    def test_a_swapped_proof(self, log: Log) -> None:
        """A good proof of another certificate, or of another entry, does not prove this one."""
        one = anchored(log)
        other = certificate.proven(log.ledger, issued(log, replace(FACTS, name="another")), log.checkpoints())
        log.anchor()
        other = certificate.proven(log.ledger, other, log.checkpoints())
        with pytest.raises(AuditError, match="of another certificate"):
            certificate.check({**one.document(), "log": other.document()["log"]}, [KEY.verifier])

    def test_without_a_proof(self, log: Log) -> None:
        """It is said plainly, and is no proof; nor is one by a key that is not trusted."""
        with pytest.raises(AuditError, match="not anchored yet"):
            certificate.check(issued(log).document(), [KEY.verifier])
        made = anchored(log)
        with pytest.raises(AuditError, match="none of the given keys"):
            certificate.check(made.document(), [SigningKey.generate(KEY.name).verifier])

    def test_of_an_entry_that_was_erased(self, log: Log) -> None:
        """Without its payload nobody can tell what it was of."""
        made = issued(log)
        log.ledger.erase_payload(1, "ticket 4711", "officer")
        log.anchor()

        with pytest.raises(AuditError, match="not the certificate's"):
            certificate.proven(log.ledger, made, log.checkpoints())

    def test_an_entry_that_was_changed(self, log: Log) -> None:
        """No proof is handed out of it."""
        made = issued(log)
        log.anchor()
        own(log, "UPDATE evidence SET actor = 'x' WHERE seq = 1")

        with pytest.raises(AuditError, match="not as it was recorded"):
            certificate.proven(log.ledger, made, log.checkpoints())


class TestWrite:
    def test_for_machines_and_for_people(self, log: Log, tmp_path: Path) -> None:
        """Two files of its owner alone; the JSON is what is checked."""
        path = certificate.write(anchored(log), tmp_path / "new" / "certificates")

        assert path.name == "request-2026-17.json"
        assert sorted(each.name for each in path.parent.iterdir()) == [
            "request-2026-17.html",
            "request-2026-17.json",
        ]
        assert {each.stat().st_mode & 0o777 for each in path.parent.iterdir()} == {0o600}
        assert certificate.check(json.loads(path.read_text()), [KEY.verifier])

    def test_a_name_that_leads_elsewhere(self, log: Log, tmp_path: Path) -> None:
        """It is no name of a file."""
        with pytest.raises(StorageError):
            certificate.write(issued(log, replace(FACTS, name="../up")), tmp_path)

    def test_proves_those_of_a_folder(self, log: Log, tmp_path: Path) -> None:
        """After the next checkpoint, each once; one that is younger waits."""
        certificate.write(issued(log), tmp_path)
        assert certificate.prove_all(log.ledger, tmp_path, ()) == (0, 1)
        log.anchor()
        certificate.write(issued(log, replace(FACTS, name="younger")), tmp_path)

        assert certificate.prove_all(log.ledger, tmp_path, log.checkpoints()) == (1, 1)
        assert certificate.prove_all(log.ledger, tmp_path, log.checkpoints()) == (0, 1)
        assert "Anchored" in (tmp_path / "request-2026-17.html").read_text()
        assert certificate.prove_all(log.ledger, tmp_path / "none", log.checkpoints()) == (0, 0)

        (tmp_path / "younger.json").write_text("{}")
        with pytest.raises(AuditError, match="no certificate"):
            certificate.prove_all(log.ledger, tmp_path, log.checkpoints())


class TestPage:
    def page(self, log: Log, tmp_path: Path, **changed: Any) -> str:
        facts = replace(FACTS, **changed)
        return certificate.write(issued(log, facts), tmp_path).with_suffix(".html").read_text()

    def test_says_every_fact(self, log: Log, tmp_path: Path) -> None:
        """Who, what, where, how many, why, until when, and how it is proven."""
        page = self.page(log, tmp_path)

        for told in ("3 rows were deleted", "1 row was masked", "in 2 places", "ten years", "5 April 2026"):
            assert told in page
        for told in ("officer", "ticket 4711", "1,200", "Not anchored yet", FACTS.digest, "Verified."):
            assert told in page

    def test_loads_nothing_and_runs_nothing(self, log: Log, tmp_path: Path) -> None:
        """It is one file: no address, no script, and no text of somebody's becomes markup."""
        page = self.page(log, tmp_path)

        assert not re.search(r"https?:|\bsrc=|\bhref=|url\(|@import|<script", page)
        assert "&lt;script&gt;" in page
        assert "default-src 'none'" in page

    def test_says_what_does_not_hold(self, log: Log, tmp_path: Path) -> None:
        """What failed is not told as done, nor what nobody has looked at."""
        failed = replace(FACTS.verification[0], found=1, passed=False)
        assert "Not as it should be." in self.page(log, tmp_path, verification=(failed,))
        assert "Not verified." in self.page(log, tmp_path, verification=())
        assert not replace(FACTS, verification=()).passed

    def test_of_nothing(self, log: Log, tmp_path: Path) -> None:
        """That nothing had to be deleted is a fact, too."""
        page = self.page(log, tmp_path, done=(Store(store="orders"),), kept=())

        assert "Nothing had to be deleted." in page
        assert "Nothing of what was asked for stays." in page
