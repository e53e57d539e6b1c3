"""Models that learn from synthetic rows, tried on real ones: what they are worth, and whether they are fair."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from airflow_veil.privacy.errors import SchemaError
from airflow_veil.privacy.evaluation.fairness import SMALLEST, Fairness, fairness, gaps
from airflow_veil.privacy.evaluation.tables import Trio
from airflow_veil.privacy.evaluation.usefulness import Told, Usefulness, told, usefulness


def applicants(rows: int, seed: int, *, bias: float = 0.0, torn: bool = False) -> pa.Table:
    """People of groups of 60, 37 and 3 %; pay is by points and hours, a loan by points, and by group if biased."""
    rng = np.random.default_rng(seed)
    group = rng.choice(3, rows, p=[0.6, 0.37, 0.03])
    points = rng.normal(0, 1, rows)
    loan = points - bias * (group == 1) + rng.normal(0, 0.3, rows) > 0
    hours = rng.integers(1, 60, rows)
    pay = 100 * hours + 1_000 * points
    order = rng.permutation(rows) if torn else np.arange(rows)
    return pa.table(
        {
            "group": pa.array([f"g{i}" for i in group]),
            "points": points,
            "hours": hours,
            "loan": pa.array(["yes" if each else "no" for each in loan[order]], mask=rng.random(rows) < 0.02),
            "pay": pay[order],
        }
    )


def models(target: str, *, bias: float = 0.0, torn: bool = False, rows: int = 800) -> tuple[Trio, Told]:
    """What two models tell; the synthetic rows' targets are torn off if wanted."""
    tables = Trio(
        applicants(rows, 1, bias=bias),
        applicants(rows, 2, bias=bias),
        applicants(rows, 3, bias=bias, torn=torn),
    )
    return tables, told(tables.encoded(), target, seed=1, rng=np.random.default_rng(1))


def useful(target: str, *, torn: bool = False) -> Usefulness:
    """What a model is worth."""
    return usefulness(models(target, torn=torn)[1], target)


class TestUsefulness:
    def test_classes(self) -> None:
        """A model of good rows is worth as much as one of real rows, and one of torn rows no more than a constant."""
        good, bad = useful("loan"), useful("loan", torn=True)

        assert good.kind == "classes"
        assert good.real > 0.85
        assert abs(good.loss) < 0.05
        assert bad.loss > 0.25
        assert bad.synthetic < 0.7
        assert bad.balanced_synthetic is not None
        assert bad.balanced_synthetic < 0.7

    def test_numbers(self) -> None:
        """The same of a number, by the share of its variance."""
        good, bad = useful("pay"), useful("pay", torn=True)

        assert (good.kind, good.measure) == ("number", "r2")
        assert good.real > 0.95
        assert good.loss < 0.03
        assert bad.synthetic < 0.1
        assert good.constant == pytest.approx(0, abs=0.01)

    def test_null_targets_are_left_out(self) -> None:
        """Rows of the hold-out without a target are not told."""
        tables, found = models("loan")

        assert len(found.truth) == tables.holdout.num_rows - tables.holdout["loan"].null_count

    def test_one_target(self) -> None:
        """Synthetic rows with one target make a constant."""
        tables, _ = models("loan")
        place = tables.columns.index("loan")
        made = tables.synthetic.set_column(place, "loan", pa.array(["no"] * 800))

        found = told(
            Trio(tables.train, tables.holdout, made).encoded(), "loan", seed=1, rng=np.random.default_rng(1)
        )

        assert len(set(found.synthetic.tolist())) == 1
        assert usefulness(found, "loan").balanced_synthetic == 0.5

    def test_no_other_column(self) -> None:
        """A target alone cannot be told."""
        table = pa.table({"loan": ["yes", "no"] * 20})
        with pytest.raises(SchemaError, match="nothing to tell"):
            told(Trio(table, table, table).encoded(), "loan", seed=1, rng=np.random.default_rng(1))

    def test_too_few_targets(self) -> None:
        """Where hardly anybody has a target there is no model."""
        table = pa.table({"loan": pa.array(["yes"] * 10 + [None] * 20), "n": range(30)})
        with pytest.raises(SchemaError, match="too few"):
            told(Trio(table, table, table).encoded(), "loan", seed=1, rng=np.random.default_rng(1))


class TestGaps:
    def test_by_hand(self) -> None:
        """Two groups of a hundred: shares that are told, among all, those who have the class and those who do not."""
        group = np.repeat([0, 1], 100)
        truth = np.tile(np.repeat([1, 0], 50), 2)
        one = np.repeat([1, 0, 1, 0], [40, 10, 20, 30])
        other = np.repeat([1, 0, 1, 0], [30, 20, 5, 45])

        found = gaps(truth, np.concatenate([one, other]), group)

        assert found.demographic_parity == pytest.approx(0.60 - 0.35)
        assert found.equalized_odds == pytest.approx(max(0.8 - 0.6, 0.4 - 0.1))

    def test_small_groups_are_left_out(self) -> None:
        """A group with fewer people than 30 makes no difference, and one group has none."""
        group = np.repeat([0, 1], [100, SMALLEST - 1])
        said = np.repeat([0, 1], [100, SMALLEST - 1])

        assert gaps(said, said, group).demographic_parity is None
        assert gaps(said, said, np.repeat([0, 1], [64, 65])).demographic_parity == pytest.approx(29 / 65)


class TestFairness:
    def found(self, bias: float) -> Fairness:
        """How fair models are."""
        tables, models_told = models("loan", bias=bias, rows=2_500)
        return fairness(tables.encoded(), models_told, "loan", "group")

    def test_bias(self) -> None:
        """A loan that one group seldom gets makes unfair models, a fair one hardly."""
        fair, unfair = self.found(0.0), self.found(1.5)

        assert fair.synthetic.demographic_parity is not None
        assert unfair.synthetic.demographic_parity is not None
        assert fair.synthetic.demographic_parity < 0.15 < 0.3 < unfair.synthetic.demographic_parity
        assert unfair.real.demographic_parity == pytest.approx(unfair.synthetic.demographic_parity, abs=0.1)

    def test_groups(self) -> None:
        """Groups are counted, from the largest, and have no names."""
        found = self.found(0.0)

        assert sum(found.groups) == len(models("loan", rows=2_500)[1].truth)
        assert list(found.groups) == sorted(found.groups, reverse=True)
        assert found.small == 0

    def test_a_number(self) -> None:
        """A number has no classes that groups are told."""
        tables, models_told = models("pay")
        with pytest.raises(SchemaError, match="is a number"):
            fairness(tables.encoded(), models_told, "pay", "group")
