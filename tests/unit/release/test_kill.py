"""`kill -9` at every moment of a night: whoever reads sees the release before or the new one, whole."""

from __future__ import annotations

import pyarrow as pa
import pytest
from tests.unit.release import crash
from tests.unit.release.conftest import ACTOR, Shop, night, people

from airflow_veil.privacy.ledger.record import ReleaseState
from airflow_veil.privacy.release import service

MOST = 400
"""More moments than a night has."""


class TestKill:
    @pytest.mark.slow
    @pytest.mark.parametrize(("steps", "stride"), [(False, 1), (True, 3)], ids=["fused", "stepwise"])
    def test_a_night_killed_at_any_moment(self, shop: Shop, steps: bool, stride: int) -> None:
        """Killed anywhere, the release before stays or the new one is there; a second run ends in one good release."""
        shop.release(night(0))
        before = shop.current()

        for moment in range(0, MOST, stride):
            number = moment + 1
            shop.supply(people(50 + number))
            code = crash.run("release", shop.path, number, moment, steps=steps)
            seen = shop.current()
            assert seen.equals(before) or seen.num_rows == 50 + number, f"killed at moment {moment}"

            published = shop.release(night(number), steps=steps)

            _agree(shop, published.release_id, rows=50 + number)
            before = shop.current()
            if code == 0:
                break
            assert code == crash.KILLED
        else:
            pytest.fail("the night never came to its end")
        assert moment > 15, "too few moments: were they counted?"
        shop.ledger.verify_chain()

    def test_a_rollback_killed_at_any_moment(self, shop: Shop) -> None:
        """Killed anywhere, one of the two is current; the same call again ends in the same release."""
        for moment in range(MOST):
            shop.supply(people(50 + 2 * moment))
            good = shop.release(night(2 * moment)).release_id
            shop.supply(people(51 + 2 * moment))
            bad = shop.release(night(2 * moment + 1)).release_id

            code = crash.run(bad, shop.path, 0, moment)
            assert shop.destination.current("people") in (good, bad), f"killed at moment {moment}"
            assert crash.run(bad, shop.path, 0, MOST) == 0

            service.scrub(shop.workspace(), "people", night(0), orphans_after=0, actor=ACTOR)
            _agree(shop, good, rows=50 + 2 * moment)
            assert shop.ledger.release(bad).state is ReleaseState.ROLLED_BACK
            if code == 0:
                break
            assert code == crash.KILLED
        else:
            pytest.fail("the rollback never came to its end")
        assert moment > 2, "too few moments: were they counted?"


def _agree(shop: Shop, release_id: str, *, rows: int) -> pa.Table:
    """Folder and ledger have one current release, the same; nothing else is left of the night."""
    ledger = shop.ledger
    current = ledger.current("shop", "people")
    assert current is not None
    assert current.release_id == release_id == shop.destination.current("people")
    assert current.manifest == shop.destination.manifest("people", release_id)
    assert current.rows_out == rows == shop.current().num_rows
    assert set(shop.destination.releases("people")) == {
        release.release_id for release in ledger.list("shop") if release.published_seq is not None
    }
    assert not shop.staged()
    shop.close()
