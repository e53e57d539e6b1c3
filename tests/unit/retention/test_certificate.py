"""The certificate of a run: made of what the ledger has, the same whenever it is asked for."""

from __future__ import annotations

import json
from datetime import date

import pytest
from tests.unit.retention.conftest import ACTOR, APPROVED, NOW, RULE, Place, days_around, visits

from airflow_veil.privacy.audit import certificate as certificates
from airflow_veil.privacy.audit.anchor import anchor, checkpoints
from airflow_veil.privacy.audit.facts import Store
from airflow_veil.privacy.audit.note import SigningKey
from airflow_veil.privacy.audit.places import place as place_of
from airflow_veil.privacy.errors import RetentionError, UnverifiedError
from airflow_veil.privacy.retention import certificate, holds
from airflow_veil.privacy.retention.counts import Counts, Files
from airflow_veil.privacy.retention.files import FileStore

KEY = SigningKey.generate("example.com/veil")
VIENNA = (
    "after: P1Y, from: at, grace: P7D, time_zone: Europe/Vienna, backups_expire_after: P35D, at_most: 0.1"
)


class TestOfRun:
    def test_says_what_the_ledger_has(self, place: Place) -> None:
        """What was asked, done and kept, who approved it, what was checked, and when backups are gone."""
        place.write(rule=VIENNA)
        place.file("a.parquet", visits([*days_around(10, 5), None]))
        place.file("b.parquet", visits(days_around(2, 0), first=100))
        holds.place(
            place.workspace(), "visits", reason="case 2026-17", actor=ACTOR, subjects=["customer-00001"]
        )
        done = place.enforce(approval=APPROVED)

        facts = certificate.of_run(place.ledger, done.run_id)

        assert facts.kind == "retention"
        assert facts.asked.what.endswith("whose time, “at”, was before 22 February 2025.")
        assert "1 year" in facts.asked.rule
        assert "7 days more as a margin. Days are those of Europe/Vienna." in facts.asked.rule
        assert (facts.asked.by, facts.asked.at) == (ACTOR, NOW)
        assert facts.asked.policy_digest == place.workspace().loaded.digest
        assert (facts.asked.approved_by, facts.asked.approval) == (APPROVED.by, APPROVED.reason)
        (store,) = facts.done
        assert store == Store(
            store="visits", place=str(place.path / "visits"), rows_deleted=2, files_rewritten=1
        )
        assert [(each.word, each.rows) for each in facts.kept] == [("held", 1), ("null", 1)]
        assert facts.passed
        assert facts.verification[0].looked_at == 16
        assert facts.backups.until is not None
        assert facts.backups.until > date.today()
        assert "35 days" in facts.backups.said
        kinds = [each.kind for each in facts.evidence]
        assert kinds == ["retention.planned", "retention.held", "retention.enforced", "retention.verified"]
        assert [place.ledger.evidence()[each.seq - 1].kind for each in facts.evidence] == kinds

    def test_is_the_same_whenever_it_is_asked_for(self, place: Place) -> None:
        """Also when the policy is another one by then; it is issued once."""
        place.file("a.parquet", visits(days_around(3, 5)))
        run = place.enforce().run_id
        first, path = certificate.file_run(place.ledger, run, place.path / "out", actor=ACTOR)
        text = path.read_text()
        place.write(rule=VIENNA)
        place.enforce()
        again, path = certificate.file_run(place.ledger, run, place.path / "out", actor="somebody else")

        assert (again, path.read_text()) == (first, text)
        assert [entry.kind for entry in place.ledger.evidence()].count("certificate.issued") == 1
        assert "does not say how long" in first.backups.said

    def test_waits_for_releases(self, place: Place) -> None:
        """The rule says so, and what waits is told."""
        place.write(rule=f"{RULE}, after_releases: [visits], at_the_latest: P2Y")
        place.file("a.parquet", visits(days_around(3, 5)))
        facts = certificate.of_run(place.ledger, place.enforce().run_id)

        assert facts.asked.rule.endswith("They wait for releases of visits, for 2 years at most.")
        assert [(each.word, each.rows) for each in facts.kept] == [("waiting", 3)]
        assert facts.done[0].rows_deleted == 0

    def test_of_a_run_that_did_not_do_it(self, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
        """It says so in the same words as the evidence."""
        place.file("a.parquet", visits(days_around(3, 5)))
        lie = (Counts(rows=8, delete=3), Files(rewritten=1))
        monkeypatch.setattr(FileStore, "enforce", lambda *_: lie)
        with pytest.raises(UnverifiedError):
            place.enforce()
        run = place.ledger.retention.last("shop", "visits")
        assert run is not None

        facts = certificate.of_run(place.ledger, run.run_id)

        assert not facts.passed
        assert [check.found for check in facts.verification] == [3, 0]
        assert facts.evidence[-1].kind == "retention.unverified"

    def test_of_no_run(self, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
        """One that is unknown, and one that was killed."""
        with pytest.raises(RetentionError, match="no such run"):
            certificate.of_run(place.ledger, "none")
        place.file("a.parquet", visits(days_around(3, 5)))

        def killed(*_: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(FileStore, "enforce", killed)
        with pytest.raises(KeyboardInterrupt):
            place.enforce()
        run = place.ledger.retention.last("shop", "visits")
        assert run is not None
        with pytest.raises(RetentionError, match="not through"):
            certificate.of_run(place.ledger, run.run_id)

    def test_holds_nothing_of_the_rows(self, place: Place) -> None:
        """Neither the file nor the page."""
        place.file("a.parquet", visits(days_around(3, 5)))
        holds.place(
            place.workspace(), "visits", reason="case 2026-17", actor=ACTOR, subjects=["customer-00001"]
        )
        _, path = certificate.file_run(place.ledger, place.enforce().run_id, place.path / "out", actor=ACTOR)

        told = path.read_text() + path.with_suffix(".html").read_text()
        assert "canary" not in told
        assert "customer-0" not in told

    def test_is_proven_after_the_next_checkpoint(self, place: Place) -> None:
        """And then checked by the key alone."""
        place.file("a.parquet", visits(days_around(3, 5)))
        _, path = certificate.file_run(place.ledger, place.enforce().run_id, place.path / "out", actor=ACTOR)
        kept = place_of(place.path / "checkpoints.txt")
        anchor(place.ledger, KEY, kept, actor=ACTOR)

        assert certificates.prove_all(place.ledger, path.parent, checkpoints(kept, [KEY.verifier])) == (1, 0)
        checked = certificates.check(json.loads(path.read_text()), [KEY.verifier])
        assert checked.certificate.done[0].rows_deleted == 3
