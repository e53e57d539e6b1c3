"""Shadow models find members where there is something to find, and one in a hundred where there is not."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats
from tests.unit.evaluation.people import crowd

from airflow_veil.privacy.errors import SchemaError
from airflow_veil.privacy.evaluation.membership import (
    FPRS,
    Membership,
    Refit,
    membership,
    true_positives,
)
from airflow_veil.privacy.evaluation.tables import Trio
from airflow_veil.privacy.risk.attacks.attack import clopper_pearson

ROWS = 600


def copied(train: pa.Table, seed: int) -> pa.Table:
    """Training rows, drawn with replacement."""
    return train.take(np.random.default_rng(seed).integers(0, train.num_rows, train.num_rows))


def independent(train: pa.Table, seed: int) -> pa.Table:
    """Other people, whoever is in the training rows."""
    return crowd(train.num_rows, 5_000 + seed % 100_000)


def tenth_copied(train: pa.Table, seed: int) -> pa.Table:
    """Other people and, of the training rows, always the tenth who are young."""
    young = train.filter(pa.compute.less(train["age"], 25))
    return pa.concat_tables([young, independent(train, seed).slice(young.num_rows)])


def attacked(refit: Refit, seed: int = 1, shadows: int = 8) -> Membership:
    """What shadow models tell of a synthesizer."""
    train, holdout = crowd(ROWS, seed), crowd(ROWS, seed + 1_000)
    return membership(
        Trio(train, holdout, refit(train, seed)), refit, shadows=shadows, attempts=ROWS, seed=seed
    )


class TestMembership:
    def test_copied(self) -> None:
        """Who is drawn is found, and nobody else: of a draw with replacement 63 in 100."""
        for attack in attacked(copied).attacks:
            assert attack.at[0].tpr is not None
            assert attack.at[0].tpr > 0.6
            assert attack.auc > 0.8

    def test_independent(self) -> None:
        """Where training rows do not matter, members are found as often as others."""
        for seed in (1, 2):
            for attack in attacked(independent, seed).attacks:
                assert attack.at[0].high is not None
                assert attack.at[0].high < 0.06
                assert 0.45 < attack.auc < 0.55

    def test_some_people_are_found(self) -> None:
        """A leak of a tenth is seen where few are accused, though on average guessing is hardly worse."""
        online = attacked(tenth_copied).attacks[0]

        assert online.name == "online"
        assert online.at[0].low is not None
        assert online.at[0].low > 0.05
        assert online.auc < 0.65

    def test_each_is_in_half_of_the_shadows(self) -> None:
        """Halves and their rests: every shadow learns from half of the people, each person is in half of them."""
        seen: list[set[int]] = []

        def refit(train: pa.Table, seed: int) -> pa.Table:
            seen.append(set(train["weight"].to_pylist()))
            return independent(train, seed)

        found = attacked(refit, shadows=6)

        halves = seen[1:]
        assert len(halves) == found.shadows == 6
        assert found.shadow_rows == ROWS
        for one, other in zip(halves[::2], halves[1::2], strict=True):
            assert len(one & other) < 5
            assert len(one | other) > 2 * ROWS - 5

    def test_same_seed(self) -> None:
        """The same seed has the same figures."""
        assert attacked(copied, shadows=4) == attacked(copied, shadows=4)

    def test_too_few_people(self) -> None:
        """A rate of 0.1 % takes 1,000 people of the hold-out; with 600 there is no figure, and it says how many."""
        rare = attacked(independent, shadows=4).attacks[0].at[1]

        assert rare.fpr == FPRS[1]
        assert rare.needed == 1_000
        assert rare.tpr is rare.low is rare.high is None

    @pytest.mark.parametrize("shadows", [0, 2, 5])
    def test_too_few_shadows(self, shadows: int) -> None:
        """Shadows come in pairs, two of them or more."""
        with pytest.raises(SchemaError, match="shadow"):
            attacked(independent, shadows=shadows)

    def test_other_columns(self) -> None:
        """A synthesizer that makes other columns is refused."""
        train = crowd(100, 1)
        with pytest.raises(SchemaError, match="other columns"):
            membership(
                Trio(train, crowd(100, 2), train),
                lambda rows, seed: rows.drop_columns(["age"]),
                shadows=4,
                attempts=50,
                seed=1,
            )


class TestTruePositives:
    def test_threshold(self) -> None:
        """Of 200 others two may be accused: members above the third highest of them count, and equal ones do not."""
        others = np.arange(200.0)

        found = true_positives(np.array([196.0, 197, 197.5, 198, 500]), others, 0.01)

        assert found.allowed == 2
        assert found.needed == 100
        assert found.tpr == 3 / 5

    def test_ties(self) -> None:
        """Where all have one score nobody is accused."""
        assert true_positives(np.zeros(50), np.zeros(500), 0.01).tpr == 0

    def test_guessing(self) -> None:
        """Who guesses finds as many as are accused wrongly, on average."""
        rng = np.random.default_rng(1)
        found = [true_positives(rng.random(500), rng.random(1_000), 0.01).tpr for _ in range(300)]

        assert np.mean([each for each in found if each is not None]) == pytest.approx(0.01, abs=0.0015)

    @pytest.mark.parametrize(("hits", "tries"), [(0, 10), (3, 10), (10, 10), (20, 2_000)])
    def test_clopper_pearson(self, hits: int, tries: int) -> None:
        """The interval is SciPy's exact one, and not Wilson's."""
        exact, wilson = (
            stats.binomtest(hits, tries).proportion_ci(method=method) for method in ("exact", "wilson")
        )

        assert clopper_pearson(hits, tries) == pytest.approx((exact.low, exact.high))
        assert clopper_pearson(hits, tries) != pytest.approx((wilson.low, wilson.high))
