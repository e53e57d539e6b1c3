"""What someone learns from real releases of successive nights, who kept the one before."""

from __future__ import annotations

import pyarrow as pa
from tests.unit.release.conftest import Shop, night, people

from airflow_veil.privacy.risk.attacks.differencing import differencing
from airflow_veil.privacy.risk.attacks.linkage import linkage


def rows(shop: Shop) -> pa.Table:
    return shop.current()


class TestSuccessiveNights:
    def test_stable_tokens_tell_who_left(self, shop: Shop) -> None:
        """Five people were erased between two nights and ten joined: by their tokens, all of them are seen."""
        shop.supply(people(50))
        shop.release(night(1))
        yesterday = rows(shop)
        shop.supply(people(55, first=6))
        shop.release(night(2))
        today = rows(shop)

        found = differencing(yesterday, today, ["id"], was=pa.array(range(1, 51)), now=pa.array(range(6, 61)))

        assert found.left is not None
        assert found.joined is not None
        assert found.linked is not None
        assert (found.left.tried, found.joined.tried, found.linked.tried) == (5, 10, 45)
        assert found.left.rate == found.joined.rate == found.linked.rate == 1.0

    def test_generalizing_hinders_linkage(self, shop: Shop) -> None:
        """Who knows birthdays finds people in the source; the release has years, and the same person is one of more."""
        source = people(50)
        shop.supply(source)
        shop.release(night(1))
        known = source.set_column(4, "born", rows(shop)["born"])

        raw = linkage(source, source, {"born": "born", "country": "country"})
        released = linkage(known, rows(shop), {"born": "born", "country": "country"})

        assert raw.rate >= released.rate > released.baseline
