from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from pydantic import ValidationError
from tests.unit.transforms.keyed_support import refusal, ring, slices

from airflow_veil.privacy.errors import TransformError
from airflow_veil.privacy.keys.ring import KeyRing
from airflow_veil.privacy.transforms.base import Binding
from airflow_veil.privacy.transforms.sample import Sample

# How far from n * fraction the number of kept subjects may be: a binomial number is 5 standard deviations off
# once in 1.7 million keys.
DEVIATIONS = 5
SUBJECTS = 100_000
PEOPLE = pa.array([str(number) for number in range(SUBJECTS)])


def kept(
    sample: Sample,
    who: pa.Array,
    *,
    root: str = "customers.id",
    dataset: str = "orders",
    keys: KeyRing | None = None,
) -> pa.BooleanArray:
    binding = Binding(
        dataset=dataset, column="who", type=who.type, subject="who", domain=root, keys=keys or ring()
    )
    return sample.prepare(binding, {"who": who.type})({"who": who})


def is_share(count: int, fraction: float, subjects: int = SUBJECTS) -> bool:
    return abs(count - subjects * fraction) <= DEVIATIONS * (subjects * fraction * (1 - fraction)) ** 0.5


class TestSample:
    @pytest.mark.parametrize("fraction", [0.001, 0.01, 0.1, 0.5, 0.9])
    def test_keeps_the_fraction(self, fraction: float) -> None:
        """The share of subjects is the fraction, within chance; 30 % more or less is told apart."""
        count = kept(Sample(fraction=fraction), PEOPLE).true_count
        assert is_share(count, fraction)
        if fraction >= 0.01:
            assert not is_share(count, min(1.0, fraction * 1.3))
            assert not is_share(count, fraction * 0.7)

    def test_a_smaller_sample_is_part_of_a_larger(self) -> None:
        """Going from a tenth to a fifth adds people and takes none out."""
        tenth, fifth = (kept(Sample(fraction=f), PEOPLE).to_numpy(zero_copy_only=False) for f in (0.1, 0.2))
        assert not (tenth & ~fifth).any()

    def test_everybody_but_nobody_at_fraction_one(self) -> None:
        """At fraction 1 every subject is kept, and rows without one are still dropped."""
        assert kept(Sample(fraction=1), pa.array(["a", None, ""])).to_pylist() == [True, False, True]

    def test_next_to_nobody_at_the_least_fraction(self) -> None:
        """A fraction next to nothing keeps next to nobody, rather than fail."""
        assert kept(Sample(fraction=5e-324), PEOPLE).true_count == 0

    @pytest.mark.parametrize("kind", [pa.int64(), pa.float64(), pa.large_string()], ids=str)
    def test_keeps_the_same_people_in_every_table(self, kind: pa.DataType) -> None:
        """Sampled tables still join, whatever the type of their reference."""
        other = pa.array(range(2000), pa.int64()).cast(kind)
        assert kept(Sample(fraction=0.3), other, dataset="customers").equals(
            kept(Sample(fraction=0.3), PEOPLE[:2000])
        )

    @pytest.mark.parametrize(
        "other", [{"root": "staff.id"}, {"keys": ring(2)}], ids=["population", "key-version"]
    )
    def test_another_population_or_key_is_sampled_anew(self, other: dict[str, Any]) -> None:
        """Being in one sample says nothing about being in another."""
        one = kept(Sample(fraction=0.5), PEOPLE).to_numpy(zero_copy_only=False)
        two = kept(Sample(fraction=0.5), PEOPLE, **other).to_numpy(zero_copy_only=False)
        assert is_share(int((one & two).sum()), 0.25)

    def test_storage_does_not_matter(self) -> None:
        """Slices and dictionaries give the same, and the answer is never null."""
        who = pa.array(["ada", None, "grace", "alan", "ada", "barbara"])
        expected = kept(Sample(fraction=0.5), who)
        assert expected.null_count == 0
        assert pa.concat_arrays([kept(Sample(fraction=0.5), part) for part in slices(who)]).equals(expected)
        assert kept(Sample(fraction=0.5), who.dictionary_encode()).equals(expected)
        assert len(kept(Sample(fraction=0.5), who[:0])) == 0

    @pytest.mark.parametrize("fraction", [0, -0.1, 1.1, float("nan")])
    def test_a_fraction_is_above_zero_and_at_most_one(self, fraction: float) -> None:
        """Anything else is a mistake in the policy."""
        with pytest.raises(ValidationError):
            Sample(fraction=fraction)

    def test_needs_a_subject(self) -> None:
        """Rows that are nobody's cannot be sampled by person."""
        nobody = Binding(dataset="orders", column="", type=pa.null(), keys=ring())
        assert Sample(fraction=0.5).inputs(None) == ()
        assert "subject" in refusal(lambda: Sample(fraction=0.5).prepare(nobody, {}), TransformError)

    def test_a_subject_without_one_spelling_is_refused(self) -> None:
        """A list names nobody."""
        refusal(lambda: kept(Sample(fraction=0.5), pa.array([["a"]])), TransformError)
