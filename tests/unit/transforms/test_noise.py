from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError
from tests.unit.transforms.keyed_support import assert_storage_does_not_matter, bound, refusal, ring, treat

from airflow_veil.privacy.errors import TransformError
from airflow_veil.privacy.transforms.noise import Noise

# Kolmogorov and Smirnov: sqrt(n) times the largest distance between the distribution of n draws and the
# true one exceeds 2.6 once in 370 000 keys (2 exp(-2 * 2.6^2)). A scale off by 30 % is five times as far.
DRAWS = 40_000
LIMIT = 2.6

SCALE = 4.0
LAPLACE = Noise(scale=SCALE)
GAUSSIAN = Noise(scale=SCALE, distribution="gaussian")
SHAPES = pytest.mark.parametrize("noise", [LAPLACE, GAUSSIAN], ids=["laplace", "gaussian"])

WHO = pa.array(["ada", "grace", "ada", None, "alan", "ada"])
VALUES = pa.array([10.0, 10.0, 10.0, 10.0, None, 12.5])


def laplace_below(x: NDArray[np.float64], scale: float) -> NDArray[np.float64]:
    return np.where(x < 0, np.exp(x / scale) / 2, 1 - np.exp(-np.abs(x) / scale) / 2)


def gaussian_below(x: NDArray[np.float64], scale: float) -> NDArray[np.float64]:
    return np.array([(1 + math.erf(value / scale / math.sqrt(2))) / 2 for value in x])


def fits(
    draws: NDArray[np.float64],
    below: Callable[[NDArray[np.float64], float], NDArray[np.float64]],
    scale: float,
) -> bool:
    ordered, steps = np.sort(draws), np.arange(len(draws) + 1) / len(draws)
    true = below(ordered, scale)
    distance = max(np.abs(steps[1:] - true).max(), np.abs(steps[:-1] - true).max())
    return float(distance) * math.sqrt(len(draws)) < LIMIT


def drawn(noise: Noise) -> NDArray[np.float64]:
    """The noise of many persons with the same value."""
    who = pa.array([str(number) for number in range(DRAWS)])
    return treat(noise, pa.array(np.full(DRAWS, 100.0)), who).to_numpy() - 100.0


class TestNoise:
    @pytest.mark.parametrize(
        ("noise", "below"),
        [(LAPLACE, laplace_below), (GAUSSIAN, gaussian_below)],
        ids=["laplace", "gaussian"],
    )
    def test_has_its_distribution_and_scale(self, noise: Noise, below: Any) -> None:
        """The noise follows the named distribution; 30 % more or less is told apart."""
        draws = drawn(noise)
        assert fits(draws, below, SCALE)
        assert not fits(draws, below, SCALE * 1.3)
        assert not fits(draws, below, SCALE * 0.7)

    def test_the_test_tells_the_distributions_apart(self) -> None:
        """Laplace noise is not taken for Gaussian noise of the same variance."""
        assert not fits(drawn(LAPLACE), gaussian_below, SCALE * math.sqrt(2))

    def test_relative_scale_is_a_share_of_the_value(self) -> None:
        """Of 100, a scale of 0.04 is 4."""
        assert fits(drawn(Noise(scale=SCALE / 100, relative=True)), laplace_below, SCALE)

    @SHAPES
    def test_is_the_same_every_night(self, noise: Noise) -> None:
        """Averaging over releases learns nothing: the same value of a person has the same noise in each."""
        first = treat(noise, VALUES, WHO)
        assert first.equals(treat(noise, VALUES, WHO))
        assert first[0].equals(first[2])
        assert first.is_null().to_pylist() == VALUES.is_null().to_pylist()

    @SHAPES
    def test_depends_on_person_value_column_and_key(self, noise: Noise) -> None:
        """Change any of them, and the noise is another."""
        base = treat(noise, VALUES, WHO)
        assert base[0] != base[1]
        assert base[0].as_py() - 10.0 != base[5].as_py() - 12.5
        assert base[0] != treat(noise, VALUES, WHO, column="orders.tax")[0]
        assert base[0] != treat(noise, VALUES, WHO, keys=ring(2))[0]

    def test_by_value_equal_values_stay_equal(self) -> None:
        """By value no subject is read, and the column can still be grouped; the properties say so."""
        noise = Noise(scale=SCALE, by="value")
        treated = treat(noise, VALUES, subject=None)
        assert len(set(treated.to_pylist()[:4])) == 1
        assert noise.inputs("who") == ()
        assert (noise.properties.deterministic, LAPLACE.properties.deterministic) == (True, False)

    def test_a_row_of_nobody_is_treated_by_its_value(self) -> None:
        """A null subject is no person; its rows still get noise."""
        treated = treat(LAPLACE, VALUES, WHO)
        assert treated[3].as_py() not in (10.0, treated[0].as_py())

    def test_needs_a_subject_by_default(self) -> None:
        """Noise that fell back to the value alone would show frequencies that were not expected."""
        assert LAPLACE.needs_subject
        assert not Noise(scale=1, by="value").needs_subject
        assert "subject" in refusal(lambda: LAPLACE.prepare(bound(LAPLACE, subject=None)), TransformError)

    @pytest.mark.parametrize(
        "kind",
        [pa.int8(), pa.int32(), pa.int64(), pa.uint64(), pa.float16(), pa.float32(), pa.float64()],
        ids=str,
    )
    def test_the_type_stays(self, kind: pa.DataType) -> None:
        """Integers stay integers, floats stay floats, and the noise does not depend on which."""
        values = pa.array([60, 60, None, 50, 70, 60], pa.int64()).cast(kind)
        treated = treat(LAPLACE, values, WHO)
        exact = treat(LAPLACE, values.cast(pa.float64()), WHO)
        assert treated.type == kind
        close = np.abs(
            treated.cast(pa.float64()).to_numpy(zero_copy_only=False) - exact.to_numpy(zero_copy_only=False)
        )
        assert np.nanmax(close) <= 0.5

    def test_integers_stop_at_the_ends_of_their_type(self) -> None:
        """Noise does not wrap around: below zero an unsigned integer is zero."""
        who = pa.array([str(number) for number in range(200)])
        low = treat(Noise(scale=50), pa.array([0] * 200, pa.uint8()), who).to_numpy()
        high = treat(Noise(scale=50), pa.array([255] * 200, pa.uint8()), who).to_numpy()
        assert 60 < np.count_nonzero(low == 0) < 140
        assert 60 < np.count_nonzero(high == 255) < 140

    def test_bounds_and_rounding(self) -> None:
        """Results are multiples of `round_to` within `bounds`."""
        treated = treat(Noise(scale=3, bounds=(8, 12), round_to=0.5), pa.array([10.0] * 6), WHO).to_numpy()
        assert treated.min() >= 8
        assert treated.max() <= 12
        assert np.array_equal(treated * 2, np.rint(treated * 2))

    @pytest.mark.parametrize(("step", "digits"), [(0.01, 2), (0.1, 1), (1, 0), (10, -1)])
    def test_rounded_results_are_written_short(self, step: float, digits: int) -> None:
        """Prices rounded to cents read 3.53, not 3.5300000000000002."""
        who = pa.array([str(number) for number in range(500)])
        treated = treat(Noise(scale=10, round_to=step), pa.array([3.14159] * 500), who).to_pylist()
        assert treated == [round(value, digits) for value in treated]
        assert len(set(treated)) > 5

    def test_relative_noise_leaves_zero_and_says_so(self) -> None:
        """A share of zero is zero, so relative noise is not declared to mask."""
        noise = Noise(scale=0.1, relative=True)
        assert treat(noise, pa.array([0.0]), pa.array(["ada"])).to_pylist() == [0.0]
        assert (noise.properties.masks, LAPLACE.properties.masks) == (False, True)

    def test_not_a_number_is_kept(self) -> None:
        """NaN holds no value, and stays."""
        assert np.isnan(treat(LAPLACE, pa.array([float("nan")]), pa.array(["ada"]))[0].as_py())

    @pytest.mark.parametrize(
        "values",
        [
            pa.array([float("inf"), 1.0]),
            pa.array([-float("inf"), 1.0]),
            pa.array([2**53 + 1, 1]),
            pa.array([2**64 - 1, 1], pa.uint64()),
        ],
        ids=["infinite", "minus-infinite", "large", "largest"],
    )
    def test_what_cannot_be_blurred_is_refused_with_a_count(self, values: pa.Array) -> None:
        """Infinity plus noise is infinity, and a huge integer plus noise is not exact."""
        text = refusal(lambda: treat(LAPLACE, values, pa.array(["ada", "grace"])), TransformError)
        assert "1 of 2" in text
        assert "9007199254740993" not in text

    def test_noise_that_rounding_takes_away_is_refused(self) -> None:
        """Integers with noise of a tenth would leave as they are."""
        small = Noise(scale=0.1)
        assert "rounded away" in refusal(lambda: small.prepare(bound(small, pa.int64())), TransformError)
        small.prepare(bound(small, pa.float64()))
        with pytest.raises(ValidationError, match="round_to"):
            Noise(scale=1, round_to=5)

    @SHAPES
    def test_storage_does_not_matter(self, noise: Noise) -> None:
        """Slices and dictionaries give the same."""
        assert_storage_does_not_matter(noise, VALUES, WHO)
        assert_storage_does_not_matter(noise, pa.array([1, None, 3, 4, 5, 6], pa.int32()), WHO)

    @pytest.mark.parametrize(
        "parameters",
        [
            {"scale": 0},
            {"scale": math.inf},
            {"scale": 1, "bounds": (2, 1)},
            {"scale": 1, "bounds": (math.nan, 1)},
        ],
        ids=["no-scale", "infinite", "bounds", "nan"],
    )
    def test_parameters_that_cannot_be_right_are_refused(self, parameters: dict[str, Any]) -> None:
        """A mistake in the policy is found with the policy."""
        with pytest.raises(ValidationError):
            Noise(**parameters)

    def test_accepts_numbers_only(self) -> None:
        """Text and dates have no noise of this kind."""
        assert not any(
            LAPLACE.accepts(kind) for kind in (pa.string(), pa.date32(), pa.bool_(), pa.decimal128(9, 2))
        )

    def test_says_aloud_that_it_is_no_differential_privacy(self) -> None:
        """Documentation and lineage take the first line of the docstring."""
        assert "NOT differential privacy" in (Noise.__doc__ or "").partition("\n")[0]
