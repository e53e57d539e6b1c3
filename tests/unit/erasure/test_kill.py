"""`kill -9` at every moment of an erasure, and several at once: the next run ends in the same state."""

from __future__ import annotations

import multiprocessing
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.unit.erasure import crash
from tests.unit.erasure.shop import DATASETS, Shop
from tests.unit.erasure.test_service import GONE, texts, without

from airflow_veil.privacy.ledger.erasures import RequestState

MOST = 400
"""More moments than an erasure has."""
STRIDE = 3
"""Every third moment in one test; the others in two more, side by side."""


def _state(shop: Shop) -> tuple[dict[str, Any], dict[str, Any]]:
    return (
        {dataset: shop.rows(dataset) for dataset in DATASETS},
        {dataset: shop.released(dataset) for dataset in DATASETS},
    )


@pytest.fixture(scope="module")
def again(tmp_path_factory: pytest.TempPathFactory, empty_ledger: Path) -> Callable[[], Shop]:
    """Makes a small shop with a release, and somebody who asks: each time the same, at the same place."""
    shop = Shop(tmp_path_factory.mktemp("kill") / "shop", customers=6, files=2)
    shop.path.mkdir()
    shop.make(empty_ledger)
    shop.release()
    shop.ask(GONE)
    shop.close()
    kept = shop.path.with_name("kept")
    # The ledger knows releases by their place, so a copy elsewhere would be another one's.
    shutil.copytree(shop.path, kept, symlinks=True)

    def make() -> Shop:
        shutil.rmtree(shop.path)
        shutil.copytree(kept, shop.path, symlinks=True)
        return Shop(shop.path, customers=6, files=2)

    return make


class TestKill:
    @pytest.mark.slow
    @pytest.mark.parametrize("first", range(STRIDE))
    def test_killed_at_any_moment(self, again: Callable[[], Shop], first: int) -> None:
        """Nobody else is ever touched; the same call again ends clean, with the request complete."""
        shop = again()
        wanted = without(_state(shop)[0], GONE)
        shop.close()
        reached = 0
        for moment in range(first, MOST, STRIDE):
            shop = again()
            code = crash.run(shop.path, moment)
            now, _ = _state(shop)
            for dataset in DATASETS:
                assert [row for row in now[dataset] if row in wanted[dataset]] == wanted[dataset], moment

            done = shop.run()

            if done is not None:
                assert set(done.states.values()) == {RequestState.COMPLETE}, (moment, done.problems)
            now, released = _state(shop)
            assert now == wanted, moment
            assert len(released["orders"]) == len(wanted["orders"]), moment
            assert shop.holding(*texts(GONE)) == [], moment
            ledger = shop.workspace().ledger
            assert {each.state for each in ledger.erasures.listed()} == {RequestState.COMPLETE}
            ledger.verify_chain()
            shop.close()
            if code == 0:
                reached = moment
                break
            assert code == crash.KILLED
        assert reached > 40, "too few moments, or it never came to its end"


def _erase(folder: Path) -> None:
    shop = Shop(folder, customers=6, files=2)
    for _ in range(20):
        try:
            shop.run()
        except Exception as error:
            if not getattr(error, "retryable", False):
                raise
        else:
            return
    raise AssertionError


class TestAtOnce:
    @pytest.mark.parametrize("workers", [3])
    def test_several_workers(self, again: Callable[[], Shop], workers: int) -> None:
        """One batch is done once, whoever does which part of it."""
        shop = again()
        rows, _ = _state(shop)
        shop.close()
        context = multiprocessing.get_context("forkserver")
        processes = [context.Process(target=_erase, args=(shop.path,)) for _ in range(workers)]
        for process in processes:
            process.start()
        for process in processes:
            process.join()

        shop.run()

        assert [process.exitcode for process in processes].count(0) >= 1
        now, released = _state(shop)
        assert now == without(rows, GONE)
        assert len(released["orders"]) == len(now["orders"])
        assert shop.holding(*texts(GONE)) == []
        ledger = shop.workspace().ledger
        assert {each.state for each in ledger.erasures.listed()} == {RequestState.COMPLETE}
        ledger.verify_chain()
        shop.close()
