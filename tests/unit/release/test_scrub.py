"""Scrubbing."""

from __future__ import annotations

from tests.unit.release.conftest import ACTOR, Shop, night

from airflow_veil.privacy.release import service
from airflow_veil.privacy.transforms.base import Step


def _stop_after(shop: Shop, interval: int, *steps: Step) -> None:
    workspace = shop.workspace()
    reference = service.begin(workspace, "people", night(interval), actor=ACTOR)
    for step in steps:
        reference = service.run_step(workspace, reference, step, actor=ACTOR).reference


class TestScrub:
    def test_removes_what_the_run_staged(self, shop: Shop) -> None:
        """A run that failed after two steps leaves nothing between the tasks."""
        _stop_after(shop, 0, Step.MINIMIZE, Step.TOKENIZE)

        scrubbed = service.scrub(shop.workspace(), "people", night(0), orphans_after=86_400, actor=ACTOR)

        assert scrubbed.own == 1
        assert not shop.staged()

    def test_removes_a_staged_release(self, shop: Shop) -> None:
        """So does one that was staged to its end and not published."""
        shop.stage(night(0))

        assert service.scrub(shop.workspace(), "people", night(0), orphans_after=86_400, actor=ACTOR).own == 1
        assert not shop.staged()

    def test_leaves_other_runs_alone(self, shop: Shop) -> None:
        """Another night that is at work keeps what it staged, until it is old."""
        _stop_after(shop, 1, Step.MINIMIZE)
        before = shop.staged()

        scrubbed = service.scrub(shop.workspace(), "people", night(0), orphans_after=86_400, actor=ACTOR)

        assert (scrubbed.own, scrubbed.orphans) == (0, 0)
        assert shop.staged() == before

    def test_leaves_the_same_night_for_another_destination_alone(self, shop: Shop) -> None:
        """Another DAG that releases the same interval somewhere else keeps what it staged."""
        elsewhere = shop.workspace(destination_uri=str(shop.path / "elsewhere"))
        reference = service.begin(elsewhere, "people", night(0), actor=ACTOR)
        minimized = service.run_step(elsewhere, reference, Step.MINIMIZE, actor=ACTOR).reference
        shop.stage(night(0))

        assert service.scrub(shop.workspace(), "people", night(0), orphans_after=86_400, actor=ACTOR).own == 1
        assert service.run_step(elsewhere, minimized, Step.TOKENIZE, actor=ACTOR).reference.rows_out == 50

    def test_sweeps_orphans(self, shop: Shop) -> None:
        """What killed runs left is removed once it is old enough."""
        _stop_after(shop, 1, Step.MINIMIZE)
        shop.stage(night(2))

        assert service.scrub(shop.workspace(), "people", night(0), orphans_after=0, actor=ACTOR).orphans == 2
        assert not shop.staged()

    def test_published_releases_stay(self, shop: Shop) -> None:
        """Scrubbing is for staging: what was published stays, and stays current."""
        first, second = shop.release(night(0)), shop.release(night(1))
        service.scrub(shop.workspace(), "people", night(0), orphans_after=0, actor=ACTOR)

        assert shop.destination.releases("people") == tuple(sorted([first.release_id, second.release_id]))
        assert shop.current().num_rows == 50

    def test_again_is_nothing(self, shop: Shop) -> None:
        """A second scrub finds nothing; before the first night there is nothing either."""
        assert service.scrub(shop.workspace(), "people", night(0), orphans_after=0, actor=ACTOR).own == 0
        shop.stage(night(0))
        service.scrub(shop.workspace(), "people", night(0), orphans_after=0, actor=ACTOR)

        assert service.scrub(shop.workspace(), "people", night(0), orphans_after=0, actor=ACTOR).own == 0
