"""Bounds: bad releases do not pass, a differentially private one does, and what was not measured counts as bad."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from tests.unit.evaluation.people import NoisyMarginals, adult, permuted, trio, two_of_adult

from airflow_veil.privacy.evaluation.evaluate import Evaluation, evaluate
from airflow_veil.privacy.evaluation.fairness import Gaps
from airflow_veil.privacy.evaluation.judge import Bounds, judge
from airflow_veil.privacy.evaluation.tables import Trio

SEEDS = (1, 2, 3)
NONE: dict[str, Any] = dict.fromkeys(Bounds.__slots__)
LEAKS = {"singling_out", "linkability", "inference", "membership_tpr", "match_excess"}


def pasted(train: pa.Table, made: pa.Table) -> pa.Table:
    """Synthetic rows with a real column in them."""
    place = made.column_names.index("fnlwgt")
    return made.set_column(place, "fnlwgt", train.column("fnlwgt"))


@lru_cache
def of_adult(folder: Path, kind: str, seed: int, *, shadows: bool = False) -> Evaluation:
    """An evaluation of Adult's people and a synthesizer."""
    private = NoisyMarginals(adult(folder), epsilon=1.0)
    makers = {
        "copy": lambda rows, _: rows,
        "pasted": lambda rows, seed: pasted(rows, private(rows, seed)),
        "permuted": permuted,
        "private": private,
    }
    train, holdout = two_of_adult(folder, seed)
    return evaluate(
        Trio(train, holdout, makers[kind](train, seed + 100)),
        key_columns=["age", "education", "marital", "occupation", "race", "sex", "country"],
        secrets=["income", "marital", "capital_gain"],
        refit=makers[kind] if shadows else None,
        shadows=4,
        seed=seed,
    )


def common(seed: int) -> pa.Table:
    """People of whom four in five have one class, and what tells the fifth."""
    rng = np.random.default_rng(seed)
    rich = rng.random(1_500) < 0.2
    return pa.table({"rich": pa.array(rich), "pay": np.where(rich, 50, 20) + rng.integers(0, 25, 1_500)})


def codes(evaluation: Evaluation, bounds: Bounds | None = None) -> set[str]:
    """Why an evaluation does not pass."""
    return {reason.code for reason in judge(evaluation, bounds)}


@lru_cache
def leaking() -> Evaluation:
    """An evaluation of half a copy, with everything measured."""
    return evaluate(
        trio("half", rows=400),
        secrets=["ill"],
        target="ill",
        protected="vip",
        refit=lambda rows, seed: rows,
        shadows=4,
    )


@pytest.mark.slow
class TestAdult:
    @pytest.mark.parametrize("seed", SEEDS)
    def test_private_rows_pass(self, shared_data: Path, seed: int) -> None:
        """Rows with epsilon 1 pass by the defaults, with all attacks run."""
        evaluation = of_adult(shared_data, "private", seed, shadows=True)

        assert judge(evaluation) == ()
        assert evaluation.membership is not None

    def test_copy(self, shared_data: Path) -> None:
        """A copy fails by everything that is about leaks, and by nothing else."""
        assert codes(of_adult(shared_data, "copy", 1, shadows=True)) == LEAKS

    @pytest.mark.parametrize("seed", SEEDS[1:])
    def test_copy_without_shadows(self, shared_data: Path, seed: int) -> None:
        """It does without shadow models, and that these are missing is a reason as well."""
        missing = {"missing.membership_tpr"}
        assert codes(of_adult(shared_data, "copy", seed)) == LEAKS - {"membership_tpr"} | missing

    @pytest.mark.parametrize("kind", ["pasted", "permuted"])
    @pytest.mark.parametrize("seed", SEEDS)
    def test_what_distances_do_not_see(self, shared_data: Path, kind: str, seed: int) -> None:
        """A real column in other rows, and permuted real rows, fail by matches and by singling out.

        No distance tells: no row is copied, and at most hardly more rows are closer to the training rows.
        """
        evaluation = of_adult(shared_data, kind, seed)

        assert {"match_excess", "singling_out"} <= codes(evaluation)
        assert "fnlwgt" in evaluation.matches.worst.columns
        assert evaluation.matches.worst.low > 0.5
        assert evaluation.nearest.train.copies < 0.01
        if kind == "pasted":
            assert evaluation.nearest.closer < 0.53

    def test_permuted_without_a_telling_column(self, shared_data: Path) -> None:
        """Permuted rows without the column that is nearly a key fail by the columns that stayed together."""
        train, holdout = (part.drop_columns(["fnlwgt"]) for part in two_of_adult(shared_data, 1))

        evaluation = evaluate(Trio(train, holdout, permuted(train, 1)))

        assert len(evaluation.matches.worst.columns) > 2
        assert {"match_excess", "singling_out"} <= codes(evaluation)


class TestBounds:
    def test_no_bounds(self) -> None:
        """Where nothing is asked everything passes."""
        assert judge(leaking(), Bounds(**NONE)) == ()

    def test_not_measured(self) -> None:
        """A bound on what was not measured is a reason, for each."""
        bare = evaluate(trio("independent", rows=400))
        bounds = Bounds(usefulness_loss_max=1, usefulness_min=0, fairness_max=1, fairness_gap_max=1)

        reasons = {reason.code: reason for reason in judge(bare, bounds)}

        missing = {
            f"missing.{name}"
            for name in (
                *("inference", "membership_tpr", "usefulness_loss", "usefulness"),
                *("fairness", "fairness_gap"),
            )
        }
        assert missing <= set(reasons)
        assert reasons["missing.membership_tpr"].figure is None

    def test_no_figure(self) -> None:
        """A figure that there is not, or that is no number, does not pass."""
        found = leaking()
        none = replace(found, fidelity=replace(found.fidelity, quality=None))
        no_number = replace(found, fidelity=replace(found.fidelity, quality=float("nan")))
        only_quality = Bounds(**{**NONE, "quality_min": 0.0})

        assert codes(none, only_quality) == {"missing.quality"}
        assert codes(no_number, only_quality) == {"quality"}
        assert codes(found, only_quality) == set()

    def test_upper_end(self) -> None:
        """What counts is the upper end of the interval, not the figure: few attempts do not pass."""
        found = leaking()
        bounds = Bounds(**{**NONE, "linkability_max": 0.1})
        assert found.linkability is not None
        unsure = replace(found, linkability=replace(found.linkability, risk=0.0, low=-0.2, high=0.2))

        (reason,) = judge(unsure, bounds)

        assert (reason.code, reason.figure, reason.bound) == ("linkability", 0.2, 0.1)
        sure = replace(found, linkability=replace(found.linkability, risk=0.0, low=-0.1, high=0.1))
        assert judge(sure, bounds) == ()

    def test_use_is_what_goes_beyond_a_constant(self) -> None:
        """Rows that teach nothing are worth nothing, however often a constant is right; a copy is worth all of it."""
        train, holdout = common(1), common(2)
        order = np.random.default_rng(3).permutation(train.num_rows)
        nothing = train.set_column(0, "rich", train["rich"].take(order))
        only_use = Bounds(**{**NONE, "usefulness_min": 0.3})

        useless, copied = (evaluate(Trio(train, holdout, made), target="rich") for made in (nothing, train))

        assert useless.usefulness is not None
        assert useless.usefulness.synthetic > 0.75 * useless.usefulness.real, (
            "a ratio of scores tells nothing"
        )
        assert codes(useless, only_use) == {"usefulness"}
        assert codes(copied, only_use) == set()

    def test_nothing_to_be_useful_for(self) -> None:
        """Where real rows teach nothing beyond a constant there is no share of it, and the bound denies."""
        found = leaking()
        assert found.usefulness is not None
        none = replace(found.usefulness, real=found.usefulness.constant)

        assert codes(replace(found, usefulness=none), Bounds(**{**NONE, "usefulness_min": 0.0})) == {
            "missing.usefulness"
        }

    def test_a_gap_is_of_the_synthesizer(self) -> None:
        """What is unfair in real rows as well is not held against synthetic ones; a group too small to tell denies."""
        found = leaking()
        assert found.fairness is not None
        unfair = Gaps(demographic_parity=0.5, equalized_odds=0.4)
        fair = Gaps(demographic_parity=0.1, equalized_odds=0.4)
        bounds = Bounds(**{**NONE, "fairness_gap_max": 0.05})

        def of(synthetic: Gaps, real: Gaps) -> set[str]:
            fairness = replace(found.fairness, synthetic=synthetic, real=real)
            return codes(replace(found, fairness=fairness), bounds)

        assert of(unfair, unfair) == set()
        assert of(fair, unfair) == set()
        assert of(unfair, fair) == {"fairness_gap"}
        assert of(unfair, replace(fair, demographic_parity=None)) == {"missing.fairness_gap"}

    @pytest.mark.parametrize("word", Bounds.__slots__)
    def test_each_bound(self, word: str) -> None:
        """Each bound lets through what keeps to it, and nothing that does not."""
        found = leaking()
        strict, loose = (1.01, -0.01) if word.endswith("_min") else (-1.01, 1.01)

        assert codes(found, Bounds(**{**NONE, word: strict})) == {word.rsplit("_", 1)[0]}
        assert codes(found, Bounds(**{**NONE, word: loose})) == set()
