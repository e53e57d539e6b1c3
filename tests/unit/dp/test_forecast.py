"""Forecasts: what is foretold holds for the noise that is drawn, and tuning is its inverse."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from tests.unit.policy.dp_policy import GOOD

from airflow_veil.privacy.dp.forecast import forecast, tune
from airflow_veil.privacy.dp.measurement import measurements
from airflow_veil.privacy.dp.noise import Cells, draw
from airflow_veil.privacy.dp.query import Query, compile_query
from airflow_veil.privacy.dp.ranks import Aim
from airflow_veil.privacy.dp.statistic import Ranks, Statistic, Total, Units
from airflow_veil.privacy.errors import BudgetError
from airflow_veil.privacy.policy.load import load

GROUPS = 4_000
BEYOND = 1 - 1e-9
"""A bound on a test's own wrong alarms: about one in a billion runs."""
MEASURES = GOOD[GOOD.index("        orders: count\n") : GOOD.index("    by_country:")]
MEAN = "        m: {mean: {column: paid, bounds: [0, 500]}}\n"


def compiled(tmp_path: Path, measures: str = MEASURES, spend: str = "{epsilon: 0.5}") -> Query:
    path = tmp_path / "shop.yaml"
    path.write_text(GOOD.replace(MEASURES, measures).replace("{epsilon: 0.5}", spend))
    return compile_query(load(path), "by_month")


def drawn(query: Query) -> Mapping[tuple[Statistic, Aim | None], Cells]:
    """Noise on groups that are all empty."""
    zeros = {statistic: np.zeros((GROUPS, statistic.width), np.int64) for statistic in query.statistics}
    return draw(query, measurements(query), zeros).noisy


def most_beyond(cells: int, share: float) -> int:
    """How many of so many cells are beyond an interval with a probability of one in a billion, if each is with `share`.

    The normal approximation of the binomial distribution, which is good for thousands of cells.
    """
    from statistics import NormalDist

    return round(cells * share + NormalDist().inv_cdf(BEYOND) * (cells * share * (1 - share)) ** 0.5)


class TestErrors:
    @pytest.mark.parametrize("spend", ["{epsilon: 0.5}", "{rho: 0.01}"])
    def test_hold_for_the_noise(self, tmp_path: Path, spend: str) -> None:
        """No more cells than foretold are farther off; were the interval 30 % narrower, far more would be.

        So the error is neither a lie nor an exaggeration.
        """
        query = compiled(
            tmp_path, "        orders: count\n        paid: {sum: {column: paid, bounds: [0, 500]}}\n", spend
        )
        foretold = {one.measure: one.error[100] for one in forecast(query, (100,)).expected}
        noisy = drawn(query)

        for statistic, measure in zip(query.statistics, foretold, strict=True):
            step = float(statistic.step) if isinstance(statistic, Total) else 1.0
            off = np.abs(noisy[statistic, None].ravel()) * step
            at_most = most_beyond(GROUPS, 1 - query.confidence)
            assert np.count_nonzero(off > foretold[measure]) <= at_most
            assert np.count_nonzero(off > 0.7 * foretold[measure]) > at_most

    def test_of_other_confidences(self, tmp_path: Path) -> None:
        """A higher confidence is a wider interval, and holds as well."""
        query = replace(compiled(tmp_path, "        orders: count\n"), confidence=0.99)
        (one,) = forecast(query, (100,)).expected
        off = np.abs(drawn(query)[query.statistics[0], None].ravel())

        assert np.count_nonzero(off > one.error[100]) <= most_beyond(GROUPS, 0.01)
        assert one.error[100] > forecast(replace(query, confidence=0.95), (100,)).expected[0].error[100]

    def test_of_a_mean(self, tmp_path: Path) -> None:
        """A noisy sum over a noisy count is as near as foretold, in groups of the size that it is foretold for."""
        query, size, value = compiled(tmp_path, MEAN, "{epsilon: 2}"), 5_000, 400
        (one,) = forecast(query, (size,)).expected
        rows, total = query.statistics
        assert isinstance(total, Total)
        exact = round((value - total.middle) / total.step) * size
        cells = {rows: np.full((GROUPS, 1), size), total: np.full((GROUPS, 1), exact)}
        noisy = draw(query, measurements(query), cells).noisy
        sums = noisy[total, None].ravel() * float(total.step)
        means = float(total.middle) + sums / noisy[rows, None].ravel()

        assert np.count_nonzero(np.abs(means - value) > one.error[size]) <= most_beyond(GROUPS, 0.05)

    def test_of_a_quantile(self, tmp_path: Path) -> None:
        """The chosen candidate's rank is as near to the best one's as foretold."""
        measure = "{quantiles: {column: paid, quantiles: [0.5], candidates: {first: 0, last: 20, step: 1}}}"
        query = compiled(tmp_path, f"        q: {measure}\n", "{epsilon: 2}")
        (one,) = forecast(query, (100,)).expected
        (ranks,) = query.statistics
        assert isinstance(ranks, Ranks)
        # A hundred rows between each two candidates: a candidate's distance from the median is told in rows.
        cells = np.zeros((500, ranks.width), np.int64)
        cells[:, 2:-1:2] = 100
        chosen = draw(query, measurements(query), {ranks: cells}).noisy[ranks, Aim(Fraction(1, 2))].ravel()
        off = np.abs(100 * chosen - 1_000)

        assert np.count_nonzero(off > one.error[100]) <= most_beyond(500, 0.05)

    def test_grow_and_shrink_as_they_should(self, tmp_path: Path) -> None:
        """Counts do not depend on the size, means do; half of the loss is twice the noise."""
        query = compiled(tmp_path, MEAN + "        n: {count: {column: paid}}\n", "{epsilon: 4}")
        half = forecast(replace(query, spend=query.spend / 2), (1_000, 100_000))
        mean, count = forecast(query, (1_000, 100_000)).expected

        assert count.error[1_000] == count.error[100_000]
        assert mean.error[100_000] < mean.error[1_000] / 50
        assert half.expected[1].error[1_000] == pytest.approx(2 * count.error[1_000], rel=0.1)

    def test_cost_no_more_than_is_spent(self, tmp_path: Path) -> None:
        """All measurements together: Laplace in epsilon, Gaussian in rho."""
        laplace = sum(m.loss.epsilon or 0 for m in forecast(compiled(tmp_path)).planned)
        gaussian = sum(m.loss.rho for m in forecast(compiled(tmp_path, spend="{rho: 0.5}")).planned)

        assert 0.999 * 5e11 <= laplace <= 5e11
        assert 0.999 * 5e11 <= gaussian <= 5e11

    def test_unknown_keys_have_a_threshold(self, tmp_path: Path) -> None:
        """One unit alone passes it hardly ever: by the delta that is charged, which is the query's or less."""
        compiled(tmp_path)
        query = compile_query(load(tmp_path / "shop.yaml"), "by_country")
        (first, *_) = forecast(query).planned

        assert isinstance(first.statistic, Units)
        assert first.threshold is not None
        assert first.threshold > first.scale
        assert 0 < Decimal(first.loss.delta).scaleb(-18) <= query.delta


class TestTune:
    @pytest.mark.parametrize(
        ("measure", "within", "size"),
        [
            pytest.param("orders", 40, 1_000, id="a count"),
            pytest.param("paid", 2_000, 1_000, id="a sum"),
            pytest.param("median", 50, 1_000, id="a quantile"),
        ],
    )
    @pytest.mark.parametrize("spend", ["{epsilon: 0.5}", "{rho: 0.01}"])
    def test_inverts_the_forecast(
        self, tmp_path: Path, measure: str, within: float, size: int, spend: str
    ) -> None:
        """What it finds is enough, and a hundredth less is not."""
        query = compiled(tmp_path, spend=spend)
        found = tune(query, measure, within=within, size=size)

        def off(spent: Decimal) -> float:
            told = forecast(replace(query, spend=spent), (size,)).expected
            return max(one.error[size] for one in told if one.measure == measure)

        assert off(found) <= within
        assert off(found * Decimal("0.98")) > 0.97 * within
        assert off(found / 2) > within

    def test_what_is_spent_now_does_not_matter(self, tmp_path: Path) -> None:
        """It starts from the query's words alone."""
        query = compiled(tmp_path)

        assert tune(query, "orders", within=40, size=100) == tune(
            replace(query, spend=Decimal(7)), "orders", within=40, size=100
        )

    def test_out_of_reach(self, tmp_path: Path) -> None:
        """Who asks for the impossible is told so."""
        with pytest.raises(BudgetError, match="no loss"):
            tune(compiled(tmp_path, MEAN), "m", within=1e-9, size=2)

    def test_no_such_measure(self, tmp_path: Path) -> None:
        """The known ones are named."""
        with pytest.raises(BudgetError, match="orders, customers, paid, median"):
            tune(compiled(tmp_path), "order", within=1, size=100)
