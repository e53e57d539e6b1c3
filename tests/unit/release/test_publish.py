"""Publication and rollback."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest
from tests.unit.release.conftest import ACTOR, POLICY, Shop, night, people

from airflow_veil.privacy.errors import ReleaseError
from airflow_veil.privacy.ledger.record import ReleaseState
from airflow_veil.privacy.period import after
from airflow_veil.privacy.release import service
from airflow_veil.privacy.release.done import Done

NOT_NULL = {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "id"}}


def _states(shop: Shop) -> dict[str, str]:
    return {release.release_id: str(release.state) for release in shop.ledger.list("shop")}


def _rollback(shop: Shop, release_id: str | None = None) -> Done:
    return service.rollback(
        shop.workspace(), "people", release_id=release_id, reason="ticket 4711", actor=ACTOR
    )


class TestPublish:
    @pytest.mark.parametrize("steps", [False, True], ids=["fused", "stepwise"])
    def test_a_night_is_one_release(self, shop: Shop, steps: bool) -> None:
        """Staged, validated and published rows are what consumers read; folder and ledger agree."""
        reference = shop.release(night(0), steps=steps)

        assert reference.published
        assert _states(shop) == {reference.release_id: "current"}
        assert shop.destination.current("people") == reference.release_id
        assert shop.current().num_rows == 50
        assert not shop.staged()

    def test_the_same_night_again_is_the_same_release(self, shop: Shop) -> None:
        """A second run of an interval gives one release, not two."""
        first = shop.release(night(0))

        assert shop.release(night(0)).release_id == first.release_id
        assert len(_states(shop)) == 1

    def test_changed_input_is_a_new_release(self, shop: Shop) -> None:
        """A correction of the night's input is released beside what was out, and takes its place."""
        first = shop.release(night(0))
        shop.supply(people(51))
        second = shop.release(night(0))

        assert _states(shop) == {first.release_id: "superseded", second.release_id: "current"}
        assert shop.current().num_rows == 51
        assert shop.destination.releases("people") == tuple(sorted([first.release_id, second.release_id]))

    def test_the_manifest_is_the_same_in_folder_and_ledger(self, shop: Shop) -> None:
        """Whoever reads the release's manifest reads what the ledger holds."""
        reference = shop.release(night(0))

        in_folder = json.loads((shop.releases / "people" / "current" / "_manifest.json").read_text())
        assert in_folder == shop.ledger.release(reference.release_id).manifest

    def test_the_manifest_says_everything_but_the_rows(self, shop: Shop) -> None:
        """Policy, plan, source, keys, counts, files, lineage, expiry; no cell."""
        reference = shop.release(night(0))
        manifest: dict[str, Any] = dict(shop.ledger.release(reference.release_id).manifest or {})
        columns = {column["name"]: column for column in manifest["plan"]["columns"]}

        assert manifest["release_id"] == reference.release_id
        assert manifest["policy"]["name"] == "shop"
        assert manifest["interval"]["key"] == night(0).key
        assert manifest["plan_digest"] == reference.plan_digest
        assert set(manifest["dropped_columns"]) == {"name", "secret"}
        assert columns["email"]["key_domain"] == "email"
        assert manifest["keys"]["1"] == shop.workspace().keys.fingerprint(1)
        assert manifest["counts_fused"]["rows_out"] == manifest["output"]["rows"] == 50
        assert manifest["output"]["files"][0]["sha256"]
        assert manifest["lineage"]
        text = json.dumps(manifest)
        assert not any(cell in text for cell in ("Canary", "@example.org", "7946", "secret 1"))

    def test_the_manifest_says_when_a_release_expires(self, shop: Shop) -> None:
        """`expires_after` counts from the publication, by the calendar."""
        release = shop.ledger.release(shop.release(night(0)).release_id)
        manifest: dict[str, Any] = dict(release.manifest or {})

        assert release.expires_at == after(datetime.fromisoformat(manifest["published_at"]), "P1M")
        assert manifest["expires_at"] == release.expires_at.isoformat()

    def test_without_a_period_nothing_expires(self, shop: Shop) -> None:
        """A policy without `expires_after` gives releases that stay."""
        shop.write(POLICY.replace("  expires_after: P1M\n", ""))
        release = shop.ledger.release(shop.release(night(0)).release_id)

        assert release.expires_at is None
        assert (release.manifest or {})["expires_at"] is None

    def test_the_source_schema_holds_no_unnamed_column(self, shop: Shop) -> None:
        """What the policy does not name leaves no type behind to be compared with the next night's."""
        release = shop.ledger.release(shop.release(night(0)).release_id)

        assert "secret" not in (release.manifest or {})["source_schema"]

    def test_what_is_not_validated_is_not_published(self, shop: Shop) -> None:
        """Where the policy names expectations, nothing goes past them: also not by a DAG that forgot the task."""
        shop.suite(NOT_NULL)
        staged = shop.stage(night(0)).reference

        with pytest.raises(ReleaseError, match="were not run"):
            service.publish(shop.workspace(), staged, actor=ACTOR)
        assert shop.destination.current("people") is None

    def test_rows_that_were_staged_again_are_validated_again(self, shop: Shop) -> None:
        """A validation counts for the rows that it saw, not for an attempt that came later."""
        shop.suite(NOT_NULL)
        service.validate(shop.workspace(), shop.stage(night(0)).reference, actor=ACTOR)
        staged_again = shop.stage(night(0)).reference

        with pytest.raises(ReleaseError, match="were not run"):
            service.publish(shop.workspace(), staged_again, actor=ACTOR)

    def test_what_was_not_staged_is_not_published(self, shop: Shop) -> None:
        """A release that was only begun cannot be published."""
        reference = service.begin(shop.workspace(), "people", night(0), actor=ACTOR)

        with pytest.raises(ReleaseError, match="not staged to its end"):
            service.publish(shop.workspace(), reference, actor=ACTOR)

    def test_publishing_twice_is_publishing_once(self, shop: Shop) -> None:
        """A retry of the last task finds its work done."""
        valid = service.validate(shop.workspace(), shop.stage(night(0)).reference, actor=ACTOR).reference
        first = service.publish(shop.workspace(), valid, actor=ACTOR).reference
        manifest = shop.destination.manifest("people", first.release_id)

        assert service.publish(shop.workspace(), valid, actor=ACTOR).reference == first
        assert shop.destination.manifest("people", first.release_id) == manifest
        kinds = [entry.kind for entry in shop.ledger.evidence()]
        assert kinds.count("release.published") == 1

    def test_the_publication_is_evidence(self, shop: Shop) -> None:
        """Who published which manifest is in a chain that can be verified."""
        reference = shop.release(night(0))
        ledger = shop.ledger
        entry = next(entry for entry in ledger.evidence() if entry.kind == "release.published")

        assert entry.actor == ACTOR
        assert entry.subject == f"shop/people/{reference.release_id}"
        assert entry.content["manifest_digest"] == ledger.release(reference.release_id).manifest_digest
        ledger.verify_chain()

    def test_a_late_publication_of_an_old_run_does_not_replace_a_published_one(self, shop: Shop) -> None:
        """A run that was published and superseded stays superseded when its task runs once more."""
        valid = service.validate(shop.workspace(), shop.stage(night(0)).reference, actor=ACTOR).reference
        first = service.publish(shop.workspace(), valid, actor=ACTOR).reference
        second = shop.release(night(1))

        service.publish(shop.workspace(), valid, actor=ACTOR)

        assert _states(shop) == {first.release_id: "superseded", second.release_id: "current"}
        assert shop.destination.current("people") == second.release_id


class TestRollback:
    def test_the_release_before_is_current_again(self, shop: Shop) -> None:
        """Without a name, the last good release comes back: for readers and in the ledger."""
        first, second = shop.release(night(0)), shop.release(night(1))

        done = _rollback(shop)

        assert done.reference.release_id == first.release_id
        assert shop.destination.current("people") == first.release_id
        assert _states(shop) == {first.release_id: "current", second.release_id: "rolled_back"}

    def test_the_reason_is_evidence(self, shop: Shop) -> None:
        """Why and by whom is in the chain."""
        shop.release(night(0))
        shop.release(night(1))
        _rollback(shop)
        entry = shop.ledger.evidence()[-1]

        assert (entry.kind, entry.actor) == ("release.rolled_back", ACTOR)
        assert entry.content["reason"] == "ticket 4711"

    def test_forward_again(self, shop: Shop) -> None:
        """A release that was rolled back by mistake is named, and current again."""
        first, second = shop.release(night(0)), shop.release(night(1))
        _rollback(shop)

        _rollback(shop, second.release_id)

        assert shop.destination.current("people") == second.release_id
        assert _states(shop) == {first.release_id: "rolled_back", second.release_id: "current"}

    def test_a_rolled_back_night_can_run_again(self, shop: Shop) -> None:
        """The same interval, run once more after a rollback, is published once more; folder and ledger agree."""
        shop.release(night(0))
        second = shop.release(night(1))
        _rollback(shop)

        again = shop.release(night(1))

        assert again.release_id == second.release_id
        assert shop.destination.current("people") == again.release_id
        release = shop.ledger.release(again.release_id)
        assert release.state is ReleaseState.CURRENT
        assert release.manifest == shop.destination.manifest("people", again.release_id)

    def test_before_the_first_there_is_nothing(self, shop: Shop) -> None:
        """A single release has none before it; it stays current."""
        first = shop.release(night(0))

        with pytest.raises(ReleaseError, match="no good release before"):
            _rollback(shop)
        assert shop.destination.current("people") == first.release_id

    def test_an_unknown_release_is_an_error(self, shop: Shop) -> None:
        """A release that is not there changes nothing."""
        first = shop.release(night(0))

        with pytest.raises(ReleaseError, match="no such release"):
            _rollback(shop, "20990101T000000Z-000000000000")
        assert shop.destination.current("people") == first.release_id

    def test_a_staged_release_is_not_rolled_forward_to(self, shop: Shop) -> None:
        """What was never published cannot become current by a rollback."""
        first = shop.release(night(0))
        staged = shop.stage(night(1)).reference

        with pytest.raises(ReleaseError, match="staged"):
            _rollback(shop, staged.release_id)
        assert shop.destination.current("people") == first.release_id

    def test_rows_that_are_gone_do_not_come_back(self, shop: Shop) -> None:
        """A release whose folder was removed cannot be current; nothing changes."""
        first, second = shop.release(night(0)), shop.release(night(1))
        shop.destination.drop("people", first.release_id)

        with pytest.raises(ReleaseError, match=first.release_id):
            _rollback(shop)
        assert shop.destination.current("people") == second.release_id
        assert _states(shop)[second.release_id] == "current"

    def test_a_late_publication_does_not_bring_a_bad_release_back(self, shop: Shop) -> None:
        """A publish task that is cleared after a rollback is refused before readers see anything."""
        first = shop.release(night(0))
        valid = service.validate(shop.workspace(), shop.stage(night(1)).reference, actor=ACTOR).reference
        service.publish(shop.workspace(), valid, actor=ACTOR)
        _rollback(shop)

        with pytest.raises(ReleaseError, match="rolled_back"):
            service.publish(shop.workspace(), valid, actor=ACTOR)
        assert shop.destination.current("people") == first.release_id
