"""`kill -9` at any moment of a synthetic release, and two at once: one release, whole, of one model."""

from __future__ import annotations

import pytest
from tests.unit.release import crash, synthetic_crash
from tests.unit.release.conftest import ACTOR, Shop, night
from tests.unit.release.synthesis import models, run, sealed, stock

from airflow_veil.privacy.ledger.models import ModelState
from airflow_veil.privacy.release import synthesize

MOST = 400
"""More moments than a release has."""


@pytest.fixture
def made(shop: Shop) -> Shop:
    """A shop that makes up rows."""
    return stock(shop)


def agree(shop: Shop, name: str, tables: dict[str, str], number: int) -> None:
    """Folder and ledger have one current release of each table, of one fitted model; nothing else is left."""
    synthesize.scrub(shop.workspace(), name, night(number), actor=ACTOR, orphans_after=0)
    ledger, destination = shop.ledger, shop.destination
    of = set()
    for table, released in tables.items():
        current = ledger.current("shop", released)
        assert current is not None
        assert current.release_id == destination.current(released)
        assert current.manifest == destination.manifest(released, current.release_id)
        assert current.manifest["synthetic"]["table"] == table
        of.add(current.manifest["synthetic"]["model"]["id"])
        assert set(destination.releases(released)) == {
            each.release_id for each in ledger.list("shop", released) if each.published_seq is not None
        }
    (model_id,) = of
    assert ledger.models.find(model_id).state is ModelState.FITTED
    # What a killed fit has sealed is no model's that the ledger has as fitted; it is swept with staging.
    kept = {each.model_id for each in models(shop) if each.state is ModelState.FITTED}
    assert kept <= {path.name.removesuffix(".sealed") for path in sealed(shop)}
    assert not shop.staged()
    shop.close()


class TestKill:
    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("name", "tables", "stride"),
        [
            ("nobody", {"people": "nobody_people", "orders": "nobody_orders"}, 5),
            ("someone", {"people": "someone"}, 19),
        ],
    )
    def test_killed_at_any_moment(self, made: Shop, name: str, tables: dict[str, str], stride: int) -> None:
        """Killed anywhere, each table's release before stays or the new one is there, whole; a second run mends it."""
        run(made, name)
        for moment in range(0, MOST, stride):
            number = moment + 1
            before = {released: made.destination.current(released) for released in tables.values()}
            code = synthetic_crash.run_killed(made.path, name, number, moment)
            for released, release in before.items():
                now = made.destination.current(released)
                assert now is not None, f"killed at moment {moment}"
                manifest = made.destination.manifest(released, now)
                assert now == release or manifest["interval"]["key"] == night(number).key

            run(made, name, number)
            agree(made, name, tables, number)
            if code == 0:
                break
            assert code == crash.KILLED
        else:
            pytest.fail("the release never came to its end")
        assert moment > 20, "too few moments: were they counted?"
        made.ledger.verify_chain()


class TestTogether:
    def test_two_at_once_publish_the_same(self, made: Shop) -> None:
        """Of two models the first to be kept is the one that both draw from."""
        one, two = synthetic_crash.run_together(made.path, "nobody", 2)

        assert one == two
        states = [record.state for record in models(made)]
        assert states.count(ModelState.FITTED) == 1
        assert len(sealed(made)) == 1
        agree(made, "nobody", {"people": "nobody_people", "orders": "nobody_orders"}, 0)
