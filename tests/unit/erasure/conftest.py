"""Shops for tests of erasure, each in a folder of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.unit.erasure.music import Music
from tests.unit.erasure.music import make as make_music
from tests.unit.erasure.shop import Shop


@pytest.fixture
def make_shop(tmp_path: Path, empty_ledger: Path) -> Iterator[Callable[..., Shop]]:
    """Makes shops."""
    made: list[Shop] = []

    def make(name: str = "shop", **options: int) -> Shop:
        shop = Shop(tmp_path / name, **options)
        shop.path.mkdir()
        made.append(shop.make(empty_ledger))
        return shop

    yield make
    for shop in made:
        shop.close()


@pytest.fixture
def shop(make_shop: Callable[..., Shop]) -> Shop:
    """One shop."""
    return make_shop()


@pytest.fixture
def music(tmp_path: Path, empty_ledger: Path) -> Iterator[Music]:
    """A music shop before anybody was erased."""
    made = make_music(tmp_path / "music", empty_ledger)
    yield made
    made.close()
