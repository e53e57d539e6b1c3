"""Releases that are past their time: withdrawn, also the current one, and marked, each with evidence."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from tests.unit.release import conftest as releases
from tests.unit.release.conftest import ACTOR, Shop, night, people

from airflow_veil.privacy.errors import ReleaseError, StorageError
from airflow_veil.privacy.ledger.record import ReleaseState
from airflow_veil.privacy.retention import expiry
from airflow_veil.privacy.storage.folder import FolderDestination
from airflow_veil.privacy.storage.sql import SqlDestination

make_shop = releases.make_shop
shop = releases.shop

LATER = datetime.now(UTC) + timedelta(days=40)


class TestExpire:
    def test_nothing_is_due_before_its_time(self, shop: Shop) -> None:
        """A month is not over on the first day."""
        shop.release(night(0))

        assert expiry.expire(shop.workspace(), actor=ACTOR).releases == ()
        assert shop.current().num_rows == 50

    def test_a_place_that_is_not_there(self, shop: Shop) -> None:
        """Nothing is said to be expired that may lie on a disk which is not mounted here."""
        release = shop.release(night(0)).release_id
        shop.destination.root.rename(shop.path / "unmounted")

        with pytest.raises(StorageError, match="not there"):
            expiry.expire(shop.workspace(), actor=ACTOR, now=LATER)
        assert shop.ledger.release(release).state is ReleaseState.CURRENT

        (shop.path / "unmounted").rename(shop.destination.root)
        assert expiry.expire(shop.workspace(), actor=ACTOR, now=LATER).releases == (release,)

    def test_the_current_release_ends_too(self, shop: Shop) -> None:
        """Consumers see none until the next; each ending is evidence."""
        first = shop.release(night(0)).release_id
        shop.supply(people(60))
        second = shop.release(night(1)).release_id

        ended = expiry.expire(shop.workspace(), actor=ACTOR, now=LATER)

        assert set(ended.releases) == {first, second}
        assert (ended.current, ended.elsewhere) == (1, 0)
        assert shop.destination.current("people") is None
        assert shop.destination.releases("people") == ()
        assert {each.state for each in shop.ledger.list("shop")} == {ReleaseState.EXPIRED}
        assert [entry.kind for entry in shop.ledger.evidence()].count("release.expired") == 2
        assert expiry.expire(shop.workspace(), actor=ACTOR, now=LATER).releases == ()

        shop.supply(people(70))
        shop.release(night(2))
        assert shop.current().num_rows == 70

    @pytest.mark.parametrize("broken", ["withdraw", "expire"])
    def test_a_kill_in_between_is_mended(
        self, shop: Shop, broken: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Whether the data went or not: the same call again ends the release."""
        release_id = shop.release(night(0)).release_id

        def killed(*_: object, **__: object) -> None:
            raise KeyboardInterrupt

        target = FolderDestination if broken == "withdraw" else type(shop.ledger)
        monkeypatch.setattr(target, broken, killed)
        with pytest.raises(KeyboardInterrupt):
            expiry.expire(shop.workspace(), actor=ACTOR, now=LATER)
        monkeypatch.undo()

        assert expiry.expire(shop.workspace(), actor=ACTOR, now=LATER).releases == (release_id,)
        assert shop.destination.releases("people") == ()

    def test_other_destinations_are_left_alone(self, shop: Shop) -> None:
        """They are told in a count."""
        shop.release(night(0))
        elsewhere = shop.workspace(destination_uri="elsewhere")

        assert expiry.expire(elsewhere, actor=ACTOR, now=LATER).elsewhere == 1
        assert shop.current().num_rows == 50

    def test_a_release_that_came_just_then_is_shown(
        self, shop: Shop, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Its link went with the old one's, and comes back."""
        shop.release(night(0))
        expire = type(shop.ledger).expire

        def late(*arguments: object, **named: object) -> object:
            monkeypatch.undo()
            shop.supply(people(60))
            shop.release(night(1))
            (shop.releases / "people" / "current").unlink()
            return expire(*arguments, **named)  # type: ignore[arg-type]

        monkeypatch.setattr(type(shop.ledger), "expire", late)
        expiry.expire(shop.workspace(), actor=ACTOR, now=LATER - timedelta(days=1))

        assert shop.current().num_rows == 60


class TestWithdraw:
    @pytest.mark.parametrize("kind", ["sqlite", "postgres"])
    def test_tables(self, kind: str, request: pytest.FixtureRequest, make_shop: Callable[..., Shop]) -> None:
        """View and table go together; a release that is gone is gone."""
        shop = make_shop()
        url = f"sqlite:///{shop.path}/out.db" if kind == "sqlite" else request.getfixturevalue("postgres")
        destination = SqlDestination(url)
        for number in (1, 2):
            with destination.writer("people", f"r{number}", people(number).schema) as writer:
                for batch in people(number).to_batches():
                    writer.write(batch)
            destination.commit("people", f"r{number}", manifest={})
        with pytest.raises(ReleaseError, match="cannot be dropped"):
            destination.drop("people", "r2")

        destination.withdraw("people", "r1")
        assert destination.current("people") == "r2"
        destination.withdraw("people", "r2")
        destination.withdraw("people", "r2")

        assert destination.current("people") is None
        assert destination.releases("people") == ()
        with destination.writer("people", "r3", people(3).schema) as writer:
            writer.write(people(3).to_batches()[0])
        destination.commit("people", "r3", manifest={})
        assert destination.current("people") == "r3"
