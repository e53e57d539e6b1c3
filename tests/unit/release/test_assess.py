"""The risk of releases: measured where staged, kept in the ledger and the manifest, handed on to nobody."""

from __future__ import annotations

import json

import pytest
from tests.unit.release.conftest import ACTOR, Shop, night, people

from airflow_veil.privacy.errors import ReleaseError, SchemaError
from airflow_veil.privacy.release import service
from airflow_veil.privacy.release.assess import linked, risk_of, risk_of_join, risk_of_source


class TestAssessStaged:
    def test_figures_go_to_the_manifest(self, shop: Shop) -> None:
        """The draft has the figures with their digest, and what is published has them, too."""
        staged = shop.stage(night(1)).reference

        done = service.assess_staged(shop.workspace(), staged, actor=ACTOR)

        draft = shop.ledger.release(staged.release_id).manifest or {}
        assert draft["risk"]["quasi_identifiers"] == ["born", "country"]
        assert draft["risk"]["counts"] == "people"
        assert draft["risk"]["reidentification"]["k"] == 1
        valid = service.validate(shop.workspace(), done.reference, actor=ACTOR).reference
        published = service.publish(shop.workspace(), valid, actor=ACTOR).reference
        assert shop.destination.manifest("people", published.release_id)["risk"] == draft["risk"]

    def test_no_score_is_handed_on(self, shop: Shop) -> None:
        """What goes by XCom is the release and its counts: the same as before."""
        staged = shop.stage(night(1)).reference

        done = service.assess_staged(shop.workspace(), staged, actor=ACTOR)

        assert {**staged.as_xcom(), "step": "assess"} == done.reference.as_xcom()
        assert "Canary" not in json.dumps((shop.ledger.release(staged.release_id).manifest or {})["risk"])
        assert "2 quasi-identifiers, 0 sensitive columns" in done.summary

    def test_twice(self, shop: Shop) -> None:
        """A retry finds the same."""
        staged = shop.stage(night(1)).reference

        first = service.assess_staged(shop.workspace(), staged, actor=ACTOR)

        assert service.assess_staged(shop.workspace(), staged, actor=ACTOR).summary == first.summary

    def test_published_before(self, shop: Shop) -> None:
        """Of a release that is out there is nothing to do."""
        published = shop.release(night(1))

        assert (
            "there is nothing to do"
            in service.assess_staged(shop.workspace(), published, actor=ACTOR).summary
        )


class TestRiskOf:
    def test_current(self, shop: Shop) -> None:
        """The current release, or one by its name."""
        published = shop.release(night(1))

        current = risk_of(shop.workspace(), "people")

        assert current.rows == 50
        assert current == risk_of(shop.workspace(), "people", published.release_id)

    def test_treating_lowers_it(self, shop: Shop) -> None:
        """Birthdays are unique, years are not."""
        shop.supply(people(400))
        shop.release(night(1))

        before, after = risk_of_source(shop.workspace(), "people"), risk_of(shop.workspace(), "people")

        assert after.reidentification.average_per_record < before.reidentification.average_per_record

    def test_no_release(self, shop: Shop) -> None:
        """Before the first release there is nothing to measure."""
        with pytest.raises(ReleaseError, match="no release yet"):
            risk_of(shop.workspace(), "people")

    def test_no_dataset(self, shop: Shop) -> None:
        """A data set that is not there is named."""
        with pytest.raises(SchemaError, match="no data set strangers"):
            risk_of(shop.workspace(), "strangers")


class TestJoin:
    def test_one_table_joins_nothing(self, shop: Shop) -> None:
        """Two data sets of the same people are needed."""
        shop.release(night(1))

        assert linked(shop.workspace()) == {}
        with pytest.raises(SchemaError, match="nothing to join"):
            risk_of_join(shop.workspace(), ("people",))
