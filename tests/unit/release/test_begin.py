"""Beginning a release."""

from __future__ import annotations

import os

import pyarrow as pa
import pytest
from tests.unit.release.conftest import ACTOR, POLICY, Shop, night, people

from airflow_veil.privacy.errors import ReleaseError, SchemaError, StorageError
from airflow_veil.privacy.ledger.record import ReleaseState
from airflow_veil.privacy.release import service
from airflow_veil.privacy.release.interval import Interval
from airflow_veil.privacy.release.reference import Reference

FIRST = night(0)


def _begin(shop: Shop, interval: Interval = FIRST) -> Reference:
    return service.begin(shop.workspace(), "people", interval, actor=ACTOR)


class TestBegin:
    def test_whoever_asks_again_gets_the_same_release(self, shop: Shop) -> None:
        """The same interval, plan and input are one release, however often it is begun."""
        first = _begin(shop)

        assert _begin(shop) == first
        assert [release.state for release in shop.ledger.list("shop")] == [ReleaseState.STAGED]
        assert not first.published

    def test_another_night_is_another_release(self, shop: Shop) -> None:
        """The interval is part of a release's identity."""
        assert _begin(shop, night(0)).release_id != _begin(shop, night(1)).release_id

    def test_another_input_is_another_release(self, shop: Shop) -> None:
        """A source that was changed since makes another release of the same interval."""
        first = _begin(shop)
        shop.supply(people(51))

        assert _begin(shop).release_id != first.release_id

    def test_another_plan_is_another_release(self, shop: Shop) -> None:
        """So does a policy that treats a column otherwise."""
        first = _begin(shop)
        shop.write(POLICY.replace("{generalize: {to: year}}", "{generalize: {to: month}}"))

        assert _begin(shop).release_id != first.release_id

    def test_the_release_is_named_after_its_interval(self, shop: Shop) -> None:
        """A person who looks into the folder sees which night it is; the rest tells plans and inputs apart."""
        reference = _begin(shop)

        assert reference.release_id.startswith("20260301T000000Z_20260302T000000Z-")
        assert reference.interval == night(0).key

    def test_a_published_release_is_told(self, shop: Shop) -> None:
        """Who begins what is out already learns so, with its row count, and leaves its manifest alone."""
        published = shop.release(night(0))
        manifest = shop.ledger.release(published.release_id).manifest

        again = _begin(shop)

        assert again.published
        assert again.release_id == published.release_id
        assert again.rows_out == 50
        assert shop.ledger.release(published.release_id).manifest == manifest

    def test_beginning_again_keeps_the_draft(self, shop: Shop) -> None:
        """A retry of the first task does not forget what was staged meanwhile."""
        staged = shop.stage(night(0)).reference
        _begin(shop)

        draft = shop.ledger.release(staged.release_id).manifest
        assert draft is not None
        assert draft["output"]["rows"] == 50

    def test_the_draft_says_what_is_known(self, shop: Shop) -> None:
        """Policy, plan, source, keys and dropped columns are known when a release begins."""
        reference = _begin(shop)
        draft = shop.ledger.release(reference.release_id).manifest

        assert draft is not None
        assert draft["plan_digest"] == reference.plan_digest
        assert draft["source"]["fingerprint"]["files"][0]["bytes"] == shop.people.stat().st_size
        assert set(draft["dropped_columns"]) == {"name", "secret"}
        assert set(draft["keys"]) == {"1"}

    def test_a_missing_source_is_an_error(self, shop: Shop) -> None:
        """Nothing begins without a source, and nothing is noted."""
        shop.people.unlink()

        with pytest.raises(StorageError, match="people"):
            _begin(shop)
        assert not shop.ledger.list("shop")

    def test_a_missing_column_is_an_error(self, shop: Shop) -> None:
        """A column that the policy names and the source lacks stops the run."""
        shop.supply(people().drop_columns(["email"]))

        with pytest.raises(SchemaError, match="email"):
            _begin(shop)

    def test_a_type_that_changed_since_the_last_release_is_an_error(self, shop: Shop) -> None:
        """A column that was text and is a number now is looked at before it is released."""
        shop.release(night(0))
        table = people()
        shop.supply(table.set_column(table.column_names.index("country"), "country", pa.array(range(50))))

        with pytest.raises(SchemaError, match="country"):
            _begin(shop, night(1))

    def test_another_destination_is_another_release(self, shop: Shop) -> None:
        """The same night may go to two places, such as a test environment: two releases, each with its own current."""
        first = shop.release(night(0))
        elsewhere = shop.workspace(destination_uri=str(shop.path / "elsewhere"))
        second = service.begin(elsewhere, "people", night(0), actor=ACTOR)

        assert second.release_id != first.release_id
        assert not second.published
        assert shop.destination.current("people") == first.release_id

    def test_an_unknown_data_set_is_an_error(self, shop: Shop) -> None:
        """A data set that the policy does not have is told by name."""
        with pytest.raises(SchemaError, match="strangers"):
            service.begin(shop.workspace(), "strangers", night(0), actor=ACTOR)

    def test_a_touched_source_is_another_version(self, shop: Shop) -> None:
        """Parquet is told from another version by its footer and time: no file is read twice over to begin."""
        first = _begin(shop)
        os.utime(shop.people, ns=(1, 1))

        assert _begin(shop).release_id != first.release_id


class TestReference:
    def test_survives_xcom(self, shop: Shop) -> None:
        """What a task hands on is what the next one takes up."""
        reference = _begin(shop)

        assert Reference.from_xcom(reference.as_xcom(), dataset="people") == reference

    @pytest.mark.parametrize("value", [None, "a text", {}, {"rows": 1}, []], ids=repr)
    def test_anything_else_is_refused(self, value: object) -> None:
        """What a foreign task hands on is an error that says what to pass."""
        with pytest.raises(ReleaseError, match="handed on no release"):
            Reference.from_xcom(value, dataset="people")

    def test_another_data_sets_is_refused(self, shop: Shop) -> None:
        """Tasks of one data set are chained."""
        with pytest.raises(ReleaseError, match="release of people"):
            Reference.from_xcom(_begin(shop).as_xcom(), dataset="orders")

    def test_holds_names_counts_and_digests_only(self, shop: Shop) -> None:
        """Nothing that stands in a cell goes through XCom."""
        handed_on = shop.stage(night(0)).reference.as_xcom()

        assert set(handed_on) == {
            *("policy", "dataset", "release_id", "interval", "plan_digest"),
            *("step", "published", "rows_in", "rows_out"),
        }
        assert not any("Canary" in str(value) or "@" in str(value) for value in handed_on.values())
