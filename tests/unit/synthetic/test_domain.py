"""Domains: codes that depend on a value and its declaration alone, and values drawn back from them."""

from __future__ import annotations

import math
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from airflow_veil.privacy.errors import SchemaError
from airflow_veil.privacy.policy.synthetic import SyntheticColumn
from airflow_veil.privacy.synthetic.domain import NO_CODE, Domain, digest_of, domain_of, encoded

CANARY = "canary-7f3a"


def domain(kind: pa.DataType, word: dict[str, Any], **more: Any) -> Domain:
    """The domain of a column of the policy."""
    return domain_of("c", SyntheticColumn.model_validate({**word, **more}), kind)


def numbers(kind: pa.DataType, low: float, high: float, **more: Any) -> Domain:
    """The domain of numbers."""
    nulls = more.pop("nulls", False)
    return domain(kind, {"numbers": {"bounds": [low, high], **more}}, nulls=nulls)


class TestNumbers:
    """Bins of numbers."""

    def test_bins_hold_their_left_edge_and_the_last_both(self) -> None:
        """A value at an edge is in the bin to the right of it; beyond the ends it is clamped."""
        four = numbers(pa.float64(), 0, 4, bins=4)
        column = pa.array([-math.inf, -1.0, 0.0, 0.999, 1.0, 3.0, 4.0, 5.0, math.inf])
        assert four.encode(column).tolist() == [0, 0, 0, 0, 1, 3, 3, 3, 3]

    def test_nan_and_null_are_empty(self) -> None:
        """They have the last code where the column can be empty, and none where it cannot."""
        column = pa.array([None, math.nan, 1.0])
        assert numbers(pa.float64(), 0, 4, bins=4, nulls=True).encode(column).tolist() == [4, 4, 1]
        assert numbers(pa.float64(), 0, 4, bins=4).encode(column).tolist() == [NO_CODE, NO_CODE, 1]

    def test_whole_numbers_have_no_bin_without_one(self) -> None:
        """Ten bins over three numbers are three."""
        three = numbers(pa.int64(), 1, 3, bins=10)
        assert three.size == 3
        assert three.encode(pa.array([0, 1, 2, 3, 9])).tolist() == [0, 0, 1, 2, 2]

    def test_whole_numbers_at_the_ends_of_their_type(self) -> None:
        """They are clamped, not wrapped."""
        wide = numbers(pa.uint64(), 0, 1000, bins=4)
        assert wide.encode(pa.array([0, 2**64 - 1], pa.uint64())).tolist() == [0, 3]

    @pytest.mark.parametrize(
        "kind", [pa.int16(), pa.uint8(), pa.float32(), pa.float64(), pa.decimal128(9, 2)], ids=str
    )
    def test_what_is_drawn_is_in_its_bin(self, kind: pa.DataType) -> None:
        """Drawn values have the code that they were drawn for, reach both ends, and are of the type."""
        ten = numbers(kind, 0, 97, bins=7, nulls=True)
        codes = np.repeat(np.arange(ten.size), 4000)
        drawn = ten.decode(codes, np.random.default_rng(1))
        assert drawn.type == kind
        assert (ten.encode(drawn) == codes).all()
        told = [float(value) for value in drawn.to_pylist() if value is not None]
        assert min(told) < 0.1
        assert max(told) > 96.9

    def test_whole_numbers_are_uniform_within_a_bin(self) -> None:
        """Each number of a bin is as frequent as any other, the last of the last one too."""
        one = numbers(pa.int64(), 0, 9, edges=[0, 4, 9])
        drawn = one.decode(np.ones(60_000, np.int64), np.random.default_rng(2)).to_numpy()
        counts = np.bincount(drawn, minlength=10)
        assert (counts[:4] == 0).all()
        assert (np.abs(counts[4:] - 10_000) < 500).all()

    def test_bounds_that_the_type_cannot_hold_are_refused(self) -> None:
        """They would overflow when they are drawn."""
        with pytest.raises(SchemaError, match="no values of the type uint8"):
            numbers(pa.uint8(), 0, 300)

    def test_text_is_refused(self) -> None:
        """Numbers are not parsed."""
        with pytest.raises(SchemaError, match="type string"):
            numbers(pa.string(), 0, 3)


class TestCategories:
    """Listed values."""

    def test_codes_are_in_the_declared_order(self) -> None:
        """The order of the policy, not of the data."""
        two = domain(pa.string(), {"categories": {"values": ["b", "a"]}})
        assert two.encode(pa.array(["a", "b", "c", None])).tolist() == [1, 0, NO_CODE, NO_CODE]
        assert two.encode(pa.array(["a", "b"]).dictionary_encode()).tolist() == [1, 0]

    def test_other_takes_what_is_not_listed(self) -> None:
        """But not nulls."""
        three = domain(pa.string(), {"categories": {"values": ["b", "a"], "other": "z"}}, nulls=True)
        assert three.encode(pa.array(["a", "c", None])).tolist() == [1, 2, 3]
        assert three.decode(np.array([2, 3]), np.random.default_rng(0)).to_pylist() == ["z", None]

    def test_whole_numbers_and_booleans(self) -> None:
        """They are values too, and come back in their type."""
        whole = domain(pa.int8(), {"categories": {"values": [5, 3]}})
        assert whole.decode(
            whole.encode(pa.array([3, 5], pa.int8())), np.random.default_rng(0)
        ).to_pylist() == [3, 5]
        truth = domain(pa.bool_(), {"categories": {"values": [True, False]}})
        assert truth.encode(pa.array([False, True])).tolist() == [1, 0]

    def test_the_data_set_may_list_them(self) -> None:
        """Where the word does not."""
        bare = SyntheticColumn.model_validate("categories")
        assert domain_of("c", bare, pa.string(), values=["x"]).values == ("x",)
        with pytest.raises(SchemaError, match="not listed"):
            domain_of("c", bare, pa.string())

    def test_errors_hold_no_value(self) -> None:
        """Not of the policy, not of the data."""
        whole = domain(pa.int64(), {"categories": {"values": [5]}})
        with pytest.raises(SchemaError) as caught:
            whole.code_of(CANARY)
        assert CANARY not in str(caught.value)
        with pytest.raises(SchemaError) as caught:
            domain(pa.int64(), {"categories": {"values": [CANARY]}})
        assert CANARY not in str(caught.value)


class TestDates:
    """Days in parts."""

    @pytest.mark.parametrize(
        "kind",
        [pa.date32(), pa.date64(), pa.timestamp("us"), pa.timestamp("ms", tz="UTC")],
        ids=str,
    )
    def test_days_come_back(self, kind: pa.DataType) -> None:
        """From the first day to the last, both of them."""
        month = domain(kind, {"dates": {"bounds": ["2024-01-01", "2024-01-31"], "bins": 4}})
        codes = np.repeat(np.arange(4), 2000)
        drawn = month.decode(codes, np.random.default_rng(3))
        assert drawn.type == kind
        assert (month.encode(drawn) == codes).all()
        days = pc.unique(drawn.cast(pa.date32())).to_pylist()
        assert (min(days), max(days)) == (date(2024, 1, 1), date(2024, 1, 31))

    def test_days_outside_are_clamped(self) -> None:
        """Into the first and the last part."""
        month = domain(pa.date32(), {"dates": {"bounds": ["2024-01-01", "2024-01-31"], "bins": 4}})
        assert month.encode(pa.array([date(1900, 1, 1), date(2100, 1, 1)])).tolist() == [0, 3]


class TestRows:
    """Codes of whole rows."""

    def test_a_row_without_a_code_does_not_count(self) -> None:
        """Its column alone decides, not the rows around it."""
        a = domain_of("a", SyntheticColumn.model_validate({"categories": {"values": ["x"]}}), pa.string())
        b = domain_of("b", SyntheticColumn.model_validate({"numbers": {"bounds": [0, 1]}}), pa.float64())
        codes, there = encoded([a, b], {"a": pa.array(["x", "y", "x"]), "b": pa.array([0.0, 0.0, None])})
        assert [one.tolist() for one in codes] == [[0], [0]]
        assert there.tolist() == [True, False, False]

    def test_another_type_is_refused(self) -> None:
        """Codes are of the type that the domain was made for."""
        with pytest.raises(SchemaError, match="type string"):
            numbers(pa.int64(), 0, 1).encode(pa.array(["1"]))

    def test_the_digest_tells_domains_apart(self) -> None:
        """By all that they are."""
        made = [
            numbers(pa.int64(), 0, 9), numbers(pa.int64(), 0, 10), numbers(pa.float64(), 0, 9),
            numbers(pa.int64(), 0, 9, nulls=True), domain(pa.string(), {"categories": {"values": ["a"]}}),
            numbers(pa.decimal128(5, 2), 0, 9),
        ]  # fmt: skip
        assert len({digest_of([one]) for one in made}) == len(made)
