"""`classify` before a release: what stops it, what it keeps, and what it never shows."""

from __future__ import annotations

import json
import logging

import pyarrow as pa
import pytest
from tests.unit.release.conftest import ACTOR, POLICY, Shop, night, people

from airflow_veil.privacy.classify.compare import Record
from airflow_veil.privacy.errors import PersonalDataFoundError
from airflow_veil.privacy.release import service
from airflow_veil.privacy.release.classify import KEY, OnFinding
from airflow_veil.privacy.release.done import Done

NOTES = POLICY.replace("      country:", "      note: {class: none, treat: keep}\n      country:")


def with_notes(*notes: str, rows: int = 50) -> pa.Table:
    return people(rows).append_column(
        "note", [[notes[n % len(notes)].replace("#", str(n)) for n in range(rows)]]
    )


def classify(shop: Shop, number: int = 0, *, on_finding: OnFinding = "fail") -> Done:
    workspace = shop.workspace()
    reference = service.begin(workspace, "people", night(number), actor=ACTOR)
    return service.classify(workspace, reference, actor=ACTOR, on_finding=on_finding)


def kept(shop: Shop) -> Record:
    (release,) = [each for each in shop.ledger.list("shop", "people") if KEY in (each.manifest or {})][:1]
    columns: Record = (release.manifest or {})[KEY]["columns"]
    return columns


class TestClassify:
    def test_a_policy_that_says_what_is_there(self, shop: Shop) -> None:
        """The release goes on; kinds and whole percents stand in its draft, of the columns the policy names."""
        done = classify(shop)

        assert done.reference.step == "classify"
        assert "all as the policy declares" in done.summary
        assert kept(shop)["email"] == {"kind": "email", "percent": 99}
        assert "secret" not in kept(shop)

    def test_personal_data_declared_none_stops_it(self, shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
        """The column is named in the error and the evidence; no value is, anywhere."""
        shop.write(NOTES)
        shop.supply(with_notes("canary#@example.org"))

        with (
            caplog.at_level(logging.DEBUG),
            pytest.raises(PersonalDataFoundError, match="note looks like email") as caught,
        ):
            classify(shop)

        entries = [entry for entry in shop.ledger.evidence() if entry.kind == "release.classified"]
        manifests = [release.manifest for release in shop.ledger.list()]
        told = (
            str(caught.value)
            + caplog.text
            + json.dumps([entry.content for entry in entries])
            + json.dumps(manifests)
        )
        assert len(entries) == 1
        assert "canary" not in told
        assert shop.staged() == []

    def test_warned_only(self, shop: Shop) -> None:
        """Told and recorded, and the release goes on."""
        shop.write(NOTES)
        shop.supply(with_notes("canary#@example.org"))

        done = classify(shop, on_finding="warn")

        assert "note looks like email" in done.summary
        assert done.warns
        assert [entry.kind for entry in shop.ledger.evidence()].count("release.classified") == 1

    def test_again_is_the_same(self, shop: Shop) -> None:
        """A retry finds the same release and writes the same draft."""
        assert classify(shop).reference == classify(shop).reference

    def test_what_is_out_is_not_looked_at_again(self, shop: Shop) -> None:
        """A cleared task of a published release does nothing."""
        shop.release(night(0))

        assert classify(shop).reference.published


class TestDrift:
    DECLARED = NOTES.replace("note: {class: none", "note: {class: quasi_identifier")

    def _first_night(self, shop: Shop) -> None:
        shop.write(self.DECLARED)
        shop.supply(with_notes("male", "female", "other"))
        classify(shop, 0)
        shop.release(night(0))

    def test_a_column_that_became_something_else(self, shop: Shop) -> None:
        """Its class is right, its kind is not what it was at the last release."""
        self._first_night(shop)
        shop.supply(with_notes("France", "Germany", "Spain", rows=51))

        with pytest.raises(
            PersonalDataFoundError, match=r"note looks like country .* was gender at the last release"
        ):
            classify(shop, 1)

    def test_a_changed_policy_begins_anew(self, shop: Shop) -> None:
        """Who changed the policy has looked; the same values as before drift neither."""
        self._first_night(shop)
        classify(shop, 1)
        shop.write(self.DECLARED + "# looked at again\n")
        shop.supply(with_notes("France", "Germany", "Spain", rows=51))

        assert classify(shop, 2).reference.step == "classify"
