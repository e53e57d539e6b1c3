"""The optima that ARX publishes in its tests, or finds when it is run, on its Adult with its hierarchies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.unit.anonymize.tables import adult, adult_levels

from airflow_veil.privacy.anonymize.criteria import Close, Criteria, Diverse
from airflow_veil.privacy.anonymize.fit import fit
from airflow_veil.privacy.anonymize.recoding import Recoding

CLOSE = {"occupation": Close(at_most=0.2)}
DIVERSE = {"occupation": Diverse(at_least=5, by="entropy")}
DISTINCT = {"occupation": Diverse(at_least=3)}


def fitted(shared_data: Path, criteria: Criteria, quality: Any, limit: float) -> Recoding:
    """The optimum; a sensitive column is no quasi-identifier."""
    levels = {
        name: each for name, each in adult_levels(shared_data).items() if name not in criteria.sensitive
    }
    return fit(adult(shared_data), levels, criteria, suppress_at_most=limit, quality=quality)


OPTIMA = [
    # criteria, quality, limit, levels, cost, suppressed, classes
    (Criteria(k=5), "entropy", 0.04, (1, 0, 1, 1, 3, 2, 2, 0, 1), 255559.85455731067, 906, 1046),
    (Criteria(k=100), "entropy", 0.04, (1, 1, 1, 1, 3, 2, 2, 1, 1), 379417.3460570988, None, None),
    (Criteria(k=5), "entropy", 0.0, (1, 2, 1, 1, 3, 2, 2, 1, 1), 407289.5388925293, 0, 48),
    (Criteria(k=100), "entropy", 0.0, (0, 4, 1, 1, 3, 2, 2, 1, 1), 453196.8932458743, 0, 12),
    (Criteria(k=5), "loss", 0.04, (0, 3, 0, 1, 1, 1, 1, 2, 0), 0.26611081915757495, 1178, 370),
    (Criteria(k=5), "loss", 0.02, (0, 3, 0, 2, 2, 1, 1, 2, 0), 0.3137130352819242, 506, None),
    (Criteria(k=5), "loss", 0.0, (0, 4, 1, 1, 3, 2, 2, 1, 0), 0.5731509655590044, 0, None),
    (Criteria(k=2), "loss", 0.0, None, 0.5296955144342308, 0, None),
    (Criteria(k=10), "loss", 0.5, None, 0.261394038912103, 3983, None),
    (Criteria(k=5), "discernibility", 0.04, (0, 0, 1, 2, 3, 2, 2, 1, 1), 7220555, 105, None),
    (
        Criteria(k=5, t=CLOSE),
        "discernibility_monotone",
        0.04,
        (1, 4, 1, 0, 3, 2, 2, 1),
        311880088,
        848,
        None,
    ),
    (Criteria(k=5, t=CLOSE), "discernibility_monotone", 0.0, (1, 4, 1, 1, 3, 2, 2, 1), 456853172, 0, 2),
    (
        Criteria(k=1, l=DIVERSE),
        "entropy_suppressed",
        0.04,
        (1, 0, 1, 1, 2, 2, 2, 1),
        228878.2039109517,
        753,
        None,
    ),
    (
        Criteria(k=1, l=DIVERSE),
        "entropy_suppressed",
        0.0,
        (1, 1, 1, 1, 3, 2, 2, 1),
        324620.5269918695,
        0,
        None,
    ),
    (Criteria(k=5, l=DISTINCT), "discernibility", 0.04, (0, 0, 1, 2, 3, 2, 2, 0), 9268952, None, None),
]


class TestOptima:
    @pytest.mark.parametrize(
        ("criteria", "quality", "limit", "levels", "cost", "suppressed", "classes"),
        OPTIMA,
        ids=[
            f"{quality}-k{c.k}-{'-'.join([*c.l, *c.t]) or 'alone'}-{limit}"
            for c, quality, limit, *_ in OPTIMA
        ],
    )
    def test_is_arx_s(
        self,
        shared_data: Path,
        criteria: Criteria,
        quality: Any,
        limit: float,
        levels: tuple[int, ...] | None,
        cost: float,
        suppressed: int | None,
        classes: int | None,
    ) -> None:
        """Levels, cost to 14 digits, suppressed rows and classes are ARX's, as far as it tells them."""
        found = fitted(shared_data, criteria, quality, limit)

        assert found.cost == (pytest.approx(cost, rel=1e-14),)
        assert levels in (None, found.node)
        assert suppressed in (None, found.suppressed)
        assert classes in (None, found.after.classes)

    def test_by_ranks(self, shared_data: Path) -> None:
        """Of the 2-anonymous Adult whose greatest losses are least, levels and average risk are ARX's."""
        found = fitted(shared_data, Criteria(k=2), "loss_rank", 0.0)

        assert found.node == (0, 4, 1, 2, 1, 2, 2, 1, 0)
        assert (found.after.classes, found.after.average) == (58, 0.001922949406538028)
        assert found.before.average == 0.6465751607983555
        assert found.before.unique == 15512

    def test_average_class_size(self, shared_data: Path) -> None:
        """Rows by classes are ARX's average class size; the smallest class is as large as it tells."""
        five = fitted(shared_data, Criteria(k=5), "entropy", 0.0).after
        hundred = fitted(shared_data, Criteria(k=100), "entropy", 0.0).after

        assert five.rows / five.classes == 628.375
        assert hundred.k == 397

    def test_more_of_the_same_rows(self, shared_data: Path) -> None:
        """Every row three times and k three times as large: the same levels and cost, three times as many rows go."""
        import pyarrow as pa

        table, levels = adult(shared_data), adult_levels(shared_data)
        found = fit(pa.concat_tables([table] * 3), levels, Criteria(k=15), suppress_at_most=0.04)

        assert found.node == (0, 3, 0, 1, 1, 1, 1, 2, 0)
        assert found.cost == (pytest.approx(0.26611081915757495, rel=1e-13),)
        assert found.suppressed == 3 * 1178

    def test_the_farthest_class(self, shared_data: Path) -> None:
        """The recoding within t 0.2 has the greatest distance that ARX's has, by the measures of risk."""
        from airflow_veil.privacy.risk.report import assess

        table, levels = adult(shared_data), adult_levels(shared_data)
        eight = {name: each for name, each in levels.items() if name != "occupation"}
        found = fitted(shared_data, Criteria(k=5, t=CLOSE), "discernibility_monotone", 0.0)

        risk = assess(found.apply(table, eight), list(eight), ["occupation"], largest=1)

        assert risk.diversity[0].t == pytest.approx(0.13154375525458936, rel=1e-14)
