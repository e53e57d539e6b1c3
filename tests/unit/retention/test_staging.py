"""What killed runs have staged is removed when the policy lets it lie no longer; what is fresh stays."""

from __future__ import annotations

import os
import time

import pytest
from tests.unit.release import conftest as releases
from tests.unit.release.conftest import ACTOR, POLICY, Shop, night

from airflow_veil.privacy.release import service
from airflow_veil.privacy.retention import staging
from airflow_veil.privacy.transforms.base import Step

make_shop = releases.make_shop
shop = releases.shop

DAY = 86_400


def leave(shop: Shop) -> None:
    """A run that was killed between two steps, and one that was killed before its publication."""
    workspace = shop.workspace()
    reference = service.begin(workspace, "people", night(0), actor=ACTOR)
    service.run_step(workspace, reference, Step.MINIMIZE, actor=ACTOR)
    shop.stage(night(1))


def age(shop: Shop, seconds: float) -> None:
    """Let all that is staged be as old as that."""
    then = time.time() - seconds
    for root in (shop.settings.staging, shop.releases):
        for path in root.rglob("*"):
            if not path.is_symlink():
                os.utime(path, (then, then))


class TestSweep:
    @pytest.mark.parametrize(
        ("word", "days", "swept"),
        [("", 0.9, 0), ("", 1.1, 1), ("P2D", 1.9, 0), ("P2D", 2.1, 1), ("P1W", 3, 0)],
    )
    def test_as_the_policy_says(self, shop: Shop, word: str, days: float, swept: int) -> None:
        """A day where it says nothing; how many went is evidence, also where none did."""
        if word:
            shop.write(f"{POLICY}  staging_expires_after: {word}\n")
        leave(shop)
        age(shop, days * DAY)

        found = staging.sweep(shop.workspace(), actor=ACTOR)

        assert (found.runs, found.attempts) == (swept, {"people": 1} if swept else {})
        entry = shop.ledger.evidence()[-1]
        assert (entry.kind, entry.subject, entry.actor) == ("staging.swept", "shop", ACTOR)
        assert entry.content == {
            "after": word or "P1D",
            "runs": swept,
            "attempts": {"people": 1} if swept else {},
            "models": 0,
        }
        assert bool(shop.staged()) != bool(swept)

    def test_published_releases_stay(self, shop: Shop) -> None:
        """However old they are."""
        shop.release(night(0))
        age(shop, 400 * DAY)

        assert staging.sweep(shop.workspace(), actor=ACTOR).attempts == {}
        assert shop.current().num_rows == 50

    def test_scrubbing_goes_by_the_same_word(self, shop: Shop) -> None:
        """At the end of each run, what others left is removed by the policy's word."""
        shop.write(f"{POLICY}  staging_expires_after: P2D\n")
        leave(shop)
        age(shop, 1.5 * DAY)
        assert service.scrub(shop.workspace(), "people", night(5), actor=ACTOR).orphans == 0
        age(shop, 2.5 * DAY)
        assert service.scrub(shop.workspace(), "people", night(5), actor=ACTOR).orphans == 2
