from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError
from tests.unit.transforms.keyed_support import assert_storage_does_not_matter, bound, refusal, ring, treat

from airflow_veil.privacy.errors import TransformError
from airflow_veil.privacy.transforms.date_shift import DateShift, offsets

# A sum of n squares of standard normal numbers is, for large n, normal with mean n and variance 2n. A uniform
# sample exceeds the mean by 5 deviations once in 3.5 million keys.
DEVIATIONS = 5
SUBJECTS = 60_000
MAX_DAYS = 30

SHIFT = DateShift()
WHO = pa.array(["ada", "grace", "ada", "alan", None, "ada"])
DATES = pa.array([date(2026, 1, 31), date(1999, 12, 31), None, date(2000, 2, 29), None, date(2025, 1, 31)])
KINDS = [pa.date32(), pa.date64(), *(pa.timestamp(unit) for unit in ("s", "ms", "us", "ns"))]
KINDS += [pa.timestamp("us", "UTC"), pa.timestamp("ns", "Europe/Berlin")]


def days_of(values: pa.Array) -> NDArray[np.int64]:
    return pc.cast(values, pa.int32()).to_numpy(zero_copy_only=False)


def drawn(names: pa.Array, max_days: int = MAX_DAYS) -> NDArray[np.int64]:
    return offsets(names, key=ring().subkey("date_shift", "customers.id"), max_days=max_days)


def is_uniform(days: NDArray[np.int64], max_days: int) -> bool:
    """Pearson's chi-squared test over the 2M offsets that may occur; what may not occur fails at once."""
    allowed = np.array([day for day in range(-max_days, max_days + 1) if day])
    if not np.isin(days, allowed).all():
        return False
    seen = np.array([np.count_nonzero(days == day) for day in allowed])
    expected, freedom = len(days) / len(allowed), len(allowed) - 1
    squared = float(((seen - expected) ** 2 / expected).sum())
    return abs(squared - freedom) < DEVIATIONS * (2 * freedom) ** 0.5


class TestDateShift:
    @pytest.mark.parametrize("kind", KINDS, ids=str)
    def test_shifts_by_whole_days_in_every_type(self, kind: pa.DataType) -> None:
        """A person moves by the same days in dates and times of any unit; the time of day stays."""
        moments = pa.array([datetime(2026, 1, 31, 11, 30), datetime(1960, 2, 29, 23, 59, 59), None])
        # Dates are days only, and some units have no fractions: what is dropped is dropped before.
        column = moments.cast(pa.date32()).cast(kind) if pa.types.is_date(kind) else moments.cast(kind)
        who = pa.array(["ada", "grace", "ada"])
        treated = treat(SHIFT, column, who)
        assert treated.type == kind
        days = drawn(who, 365)
        expected = [
            None if moment is None else moment + timedelta(days=int(day))
            for moment, day in zip(column.to_pylist(), days, strict=True)
        ]
        assert treated.to_pylist() == expected

    @given(
        dates=st.lists(st.dates(date(1900, 1, 1), date(2100, 1, 1)), min_size=2, max_size=20),
        max_days=st.integers(1, 3650),
    )
    def test_intervals_of_a_person_are_kept(self, dates: list[date], max_days: int) -> None:
        """All dates of one person move together, and never by nothing."""
        column = pa.array(dates, pa.date32())
        treated = treat(DateShift(max_days=max_days), column, pa.array(["ada"] * len(dates)))
        moved = days_of(treated) - days_of(column)
        assert len(set(moved)) == 1
        assert 0 < abs(int(moved[0])) <= max_days

    def test_the_offset_is_the_same_in_all_columns_and_tables(self) -> None:
        """The key domain is the population, whatever the table, the column and the subject's type."""
        here = treat(SHIFT, DATES[:2], pa.array([7, 8]), column="orders.placed")
        there = treat(SHIFT, DATES[:2], pa.array(["7", "8"]), column="customers.born")
        assert here.equals(there)

    @pytest.mark.parametrize(
        "other",
        [{"root": "staff.id"}, {"keys": ring(2)}, {"keys": ring(label=b"else")}],
        ids=["root", "version", "ring"],
    )
    def test_another_population_or_key_has_other_offsets(self, other: dict[str, Any]) -> None:
        """Offsets in one population, or after a rotation, tell nothing of others."""
        who = pa.array([str(number) for number in range(100)])
        column = pa.array([date(2026, 1, 1)] * 100)
        equal = pc.sum(pc.equal(treat(SHIFT, column, who), treat(SHIFT, column, who, **other))).as_py()
        assert equal < 10

    def test_storage_does_not_matter(self) -> None:
        """Slices and dictionaries give the same."""
        assert_storage_does_not_matter(SHIFT, DATES, WHO)
        assert treat(SHIFT, DATES, WHO.dictionary_encode()).equals(treat(SHIFT, DATES, WHO))

    def test_a_date_without_a_subject_fails(self) -> None:
        """No offset keeps the intervals of nobody, so the release fails; a null date is nobody's problem."""
        text = refusal(
            lambda: treat(SHIFT, DATES, pa.array(["a", None, None, "b", None, None])), TransformError
        )
        assert "2 of 6" in text

    @pytest.mark.parametrize("word", ["null", None], ids=["word", "yaml-null"])
    def test_a_date_without_a_subject_becomes_null_if_asked(self, word: str | None) -> None:
        """`null_subject: null`, which YAML reads as no value, releases such dates as null."""
        shift = DateShift.model_validate({"null_subject": word})
        treated = treat(shift, DATES, pa.array(["ada", None, "ada", "alan", None, "ada"]))
        assert treated.is_null().to_pylist() == [False, True, True, False, True, False]
        assert treated[0].equals(treat(SHIFT, DATES, WHO)[0])

    @pytest.mark.parametrize(
        ("column", "outwards"),
        [
            (pa.array([date.max, date(2026, 1, 1)]), 1),
            (pa.array([date.min, date(2026, 1, 1)]), -1),
            (pa.array([datetime.max, datetime(2026, 1, 1)], pa.timestamp("us")), 1),
            (pa.array([2**63 - 1, 0]).view(pa.timestamp("ns")), 1),
            (pa.array([-(2**63), 0]).view(pa.timestamp("ns")), -1),
            (pa.array([2**63 - 1, 0]).view(pa.timestamp("us")), 1),
            (pa.array([-(2**63), 0]).view(pa.timestamp("s")), -1),
            (pa.array([2**31 - 1, 0], pa.int32()).view(pa.date32()), 1),
        ],
        ids=["last-day", "first-day", "last-time", "last-ns", "first-ns", "far-us", "far-s", "far-date32"],
    )
    def test_leaving_the_range_is_an_error(self, column: pa.Array, outwards: int) -> None:
        """A mark such as 9999-12-31 would give the offset away, or wrap around: it is counted and refused."""
        people = pa.array([str(number) for number in range(20)])
        who = people.filter(pa.array(np.sign(drawn(people, 365)) == outwards))[0].as_py()
        text = refusal(lambda: treat(SHIFT, column, pa.array([who, who])), TransformError)
        assert "1 of 2" in text
        assert "9999-12" not in text

    def test_needs_a_subject(self) -> None:
        """Without a subject there is nobody whose dates could move together; the checker knows, too."""
        assert SHIFT.needs_subject
        assert SHIFT.key_domain(column="a.b", subject="") is None
        assert "subject" in refusal(lambda: SHIFT.prepare(bound(SHIFT, subject=None)), TransformError)

    @pytest.mark.parametrize("max_days", [0, -1, 3651])
    def test_limits_of_max_days(self, max_days: int) -> None:
        """An offset is between a day and ten years."""
        with pytest.raises(ValidationError):
            DateShift(max_days=max_days)

    @pytest.mark.parametrize("kind", [pa.string(), pa.int64(), pa.time32("s"), pa.duration("s")], ids=str)
    def test_accepts_dates_only(self, kind: pa.DataType) -> None:
        """Text that holds dates is declared as a date first."""
        assert not SHIFT.accepts(kind)


class TestOffsets:
    def test_are_uniform_without_zero(self) -> None:
        """Each of the 2M offsets is equally likely over the subjects."""
        assert is_uniform(drawn(pa.array([str(number) for number in range(SUBJECTS)])), MAX_DAYS)

    @pytest.mark.parametrize(
        "bias",
        [
            lambda days: np.where(days == MAX_DAYS, 1, days),
            lambda days: np.where(np.arange(len(days)) % 10 == 0, -np.abs(days), days),
            lambda days: np.where(days == 1, 0, days),
            lambda days: np.rint(days * 0.9).astype(np.int64),
        ],
        ids=["one-missing", "more-backwards", "zero", "narrower"],
    )
    def test_the_test_of_uniformity_rejects_a_bias(self, bias: Any) -> None:
        """A test that accepts everything shows nothing."""
        assert not is_uniform(bias(drawn(pa.array([str(number) for number in range(SUBJECTS)]))), MAX_DAYS)
