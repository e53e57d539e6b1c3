from __future__ import annotations

import datetime as dt
import math
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.transforms.unkeyed_support import refused, treated

from airflow_veil.privacy.errors import TransformError
from airflow_veil.privacy.transforms.generalize import Generalize

LARGEST = 2**63 - 1
SENTINEL = "Zaphod-4711-Canary"


def coarse(
    values: Any, kind: pa.DataType | None = None, *, root: Path = Path(), **parameters: Any
) -> list[Any]:
    result: list[Any] = treated(Generalize.model_validate(parameters), values, kind, root=root).to_pylist()
    return result


def accepts(kind: pa.DataType, **parameters: Any) -> bool:
    return Generalize.model_validate(parameters).accepts(kind)


class TestBuckets:
    @pytest.mark.parametrize(
        ("value", "bucket"),
        [
            (0, "[0, 10)"),
            (9, "[0, 10)"),
            (10, "[10, 20)"),
            (-1, "[-10, 0)"),
            (-10, "[-10, 0)"),
            (LARGEST, "[9223372036854775800, 9223372036854775810)"),
            (None, None),
        ],
        ids=str,
    )
    def test_hold_their_lower_border(self, value: int | None, bucket: str | None) -> None:
        """Each bucket begins at a multiple of the width, below zero too."""
        assert coarse([value], pa.int64(), width=10) == [bucket]

    @pytest.mark.parametrize(
        ("value", "bucket"),
        [
            (0.3, "[0.3, 0.4)"),
            (0.7, "[0.7, 0.8)"),
            (0.29, "[0.2, 0.3)"),
            (1.1, "[1.1, 1.2)"),
            (-0.05, "[-0.1, 0)"),
        ],
        ids=str,
    )
    def test_go_by_decimal_numbers(self, value: float, bucket: str) -> None:
        """A border is the decimal number of the policy, not the float next to it."""
        assert coarse([value], pa.float64(), width=0.1) == [bucket]

    @pytest.mark.parametrize(
        ("label", "results"),
        [("interval", ["[20, 30)", "[-10, 0)"]), ("lower", [20, -10]), ("midpoint", [25.0, -5.0])],
    )
    def test_are_told_as_asked(self, label: str, results: list[Any]) -> None:
        """By both borders, the lower one, or the middle."""
        assert coarse([29, -1], pa.int16(), width=10, label=label) == results

    def test_stop_at_the_ends_of_the_range(self) -> None:
        """Beyond `bottom` and `top` there is one group each, and the buckets next to them are cut."""
        ages = [3, 18, 21, 84, 85, 112, None]

        assert coarse(ages, pa.int64(), width=10, bottom=18, top=85) == [
            "< 18", "[18, 20)", "[20, 30)", "[80, 85)", ">= 85", ">= 85", None,
        ]  # fmt: skip
        assert coarse(ages, pa.int64(), width=10, bottom=20, top=80, label="lower") == [
            20,
            20,
            20,
            80,
            80,
            80,
            None,
        ]

    @pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e300], ids=str)
    def test_hold_no_number_that_has_no_bucket(self, value: float) -> None:
        """NaN, infinities and floats too large to count become null."""
        assert coarse([value], pa.float64(), width=10) == [None]

    def test_take_infinities_at_an_end(self) -> None:
        """With `bottom` and `top`, infinities are beyond them."""
        assert coarse([math.inf, -math.inf], pa.float64(), width=10, bottom=0, top=90) == [">= 90", "< 0"]

    @given(values=st.lists(st.integers(-(2**63), LARGEST)), width=st.integers(2, 10**18))
    def test_are_exact_over_all_integers(self, values: list[int], width: int) -> None:
        """Every int64 falls into the bucket of exact arithmetic."""
        expected = [f"[{value // width * width}, {value // width * width + width})" for value in values]

        assert coarse(values, pa.int64(), width=width) == expected

    @given(values=st.lists(st.floats(-1e9, 1e9)), width=st.sampled_from([0.1, 0.25, 2.5, 3, 10]))
    def test_hold_their_values(self, values: list[float], width: float) -> None:
        """A float lies in its bucket, but for the tolerance at borders."""
        for value, lower in zip(
            values, coarse(values, pa.float64(), width=width, label="lower"), strict=True
        ):
            slack = 2e-9 * max(abs(value), width)
            assert lower - slack <= value <= lower + width + slack

    def test_refuse_a_border_beyond_64_bits(self) -> None:
        """A lower border that int64 cannot hold is an error that tells no value."""
        with pytest.raises(TransformError, match=r"people\.it: .*does not fit into 64 bits") as caught:
            coarse([-(2**63)], pa.int64(), width=1000, label="lower")
        assert "9223372036854775808" not in f"{caught.value!r} {caught.value.__cause__!r}"

    def test_refuse_unsigned_numbers_beyond_63_bits(self) -> None:
        """What int64 cannot hold is counted, not told."""
        with pytest.raises(TransformError, match="1 values are larger"):
            coarse([1, 2**64 - 1], pa.uint64(), width=10)

    @pytest.mark.parametrize(
        "kind",
        [pa.int8(), pa.uint64(), pa.float32(), pa.decimal128(9, 2), pa.dictionary(pa.int8(), pa.int64())],
        ids=str,
    )
    def test_take_every_kind_of_number(self, kind: pa.DataType) -> None:
        """Integers, floats and decimals of any width."""
        plain = kind.value_type if pa.types.is_dictionary(kind) else kind
        values = pa.array([Decimal(37) if pa.types.is_decimal(kind) else 37, None], plain)

        assert coarse(values.dictionary_encode() if plain != kind else values, width=10) == ["[30, 40)", None]

    def test_of_one_integer_are_refused(self) -> None:
        """A width of 1 over integers would leave each value as it is."""
        assert not accepts(pa.int64(), width=1)
        assert accepts(pa.float64(), width=1)


class TestEdges:
    def test_have_open_ends(self) -> None:
        """Values below the first and above the last border have groups of their own."""
        assert coarse([-1, 0, 17, 18, 65, None], pa.int64(), edges=[0, 18, 65]) == [
            "< 0", "[0, 18)", "[0, 18)", "[18, 65)", ">= 65", None,
        ]  # fmt: skip

    def test_take_fractions(self) -> None:
        """Borders may lie between integers; NaN is in no group."""
        assert coarse([1, 2], pa.int64(), edges=[1.5]) == ["< 1.5", ">= 1.5"]
        assert coarse([math.nan, math.inf], pa.float64(), edges=[1.5]) == [None, ">= 1.5"]


class TestRounding:
    @pytest.mark.parametrize(
        ("values", "kind", "parameters", "results"),
        [
            ([149, 150, 250, -151, None], pa.int32(), {"round_to": 100}, [100, 200, 200, -200, None]),
            ([1.005, 2.675, -0.04], pa.float64(), {"digits": 1}, [1.0, 2.7, 0.0]),
            ([1234.0], pa.float64(), {"digits": -3}, [1000.0]),
            ([1499, 1501], pa.int64(), {"digits": -3}, [1000, 2000]),
            ([0.3, 0.38], pa.float64(), {"round_to": 0.25}, [0.25, 0.5]),
            ([250_000], pa.int64(), {"round_to": 1000, "top": 150_000}, [150_000]),
            ([Decimal("19.99")], pa.decimal128(6, 2), {"digits": 0}, [20.0]),
        ],
        ids=str,
    )
    def test_goes_to_the_nearest_multiple(
        self, values: list[Any], kind: pa.DataType, parameters: dict[str, Any], results: list[Any]
    ) -> None:
        """Halves go to the even multiple; the range is cut before."""
        assert coarse(values, kind, **parameters) == results

    @given(values=st.lists(st.integers(-(2**62), 2**62)), step=st.integers(2, 10**9))
    def test_is_exact_over_integers(self, values: list[int], step: int) -> None:
        """Every integer goes where exact arithmetic, halves to even, sends it."""
        assert coarse(values, pa.int64(), round_to=step) == [
            round(Fraction(value, step)) * step for value in values
        ]

    @pytest.mark.parametrize(
        "parameters", [{"round_to": 1}, {"round_to": 2.5}, {"digits": 0}, {"digits": 2}], ids=str
    )
    def test_that_changes_no_integer_is_refused(self, parameters: dict[str, Any]) -> None:
        """Over integers the step is a whole number above 1."""
        assert not accepts(pa.int64(), **parameters)
        assert accepts(pa.float64(), **parameters)


class TestRange:
    def test_is_cut_off(self) -> None:
        """Bottom and top coding moves what is beyond an end to it; the rest stays, so it does not mask."""
        assert coarse([3, 50, 120, None], pa.int64(), bottom=18, top=90) == [18, 50, 90, None]
        assert not Generalize(bottom=18, top=90).properties.masks

    def test_is_told(self) -> None:
        """With `label: interval` the ends are texts."""
        assert coarse([3, 50, 90], pa.int64(), bottom=18, top=90, label="interval") == ["< 18", "50", ">= 90"]


MOMENTS = [
    dt.datetime(1987, 4, 30, 23, 30),
    dt.datetime(2021, 1, 1, 0, 30),
    None,
    dt.datetime(1969, 12, 31, 23, 59),
]


class TestDates:
    @pytest.mark.parametrize(
        ("unit", "results"),
        [
            ("decade", [1980, 2020, None, 1960]),
            ("year", [1987, 2021, None, 1969]),
            ("quarter", ["1987-Q2", "2021-Q1", None, "1969-Q4"]),
            ("month", ["1987-04", "2021-01", None, "1969-12"]),
            ("week", ["1987-W18", "2020-W53", None, "1970-W01"]),
            ("day", [dt.date(1987, 4, 30), dt.date(2021, 1, 1), None, dt.date(1969, 12, 31)]),
            (
                "hour",
                [dt.datetime(1987, 4, 30, 23), dt.datetime(2021, 1, 1), None, dt.datetime(1969, 12, 31, 23)],
            ),
        ],
    )
    @pytest.mark.parametrize(
        "kind", [pa.timestamp("s"), pa.timestamp("ns"), pa.date32(), pa.date64()], ids=str
    )
    def test_are_cut_to_the_unit(self, unit: str, results: list[Any], kind: pa.DataType) -> None:
        """Before 1970, too; ISO weeks belong to their own year."""
        if pa.types.is_date(kind) and unit in ("day", "hour"):
            assert not accepts(kind, to=unit)
        else:
            assert coarse(pa.array(MOMENTS, pa.timestamp("us")).cast(kind), to=unit) == results

    @pytest.mark.parametrize(
        ("unit", "first"),
        [
            ("decade", [dt.date(1980, 1, 1), dt.date(2020, 1, 1), None, dt.date(1960, 1, 1)]),
            ("year", [dt.date(1987, 1, 1), dt.date(2021, 1, 1), None, dt.date(1969, 1, 1)]),
            ("quarter", [dt.date(1987, 4, 1), dt.date(2021, 1, 1), None, dt.date(1969, 10, 1)]),
            ("month", [dt.date(1987, 4, 1), dt.date(2021, 1, 1), None, dt.date(1969, 12, 1)]),
            ("week", [dt.date(1987, 4, 27), dt.date(2020, 12, 28), None, dt.date(1969, 12, 29)]),
        ],
    )
    @pytest.mark.parametrize(
        "kind", [pa.timestamp("s"), pa.timestamp("ns"), pa.date32(), pa.date64()], ids=str
    )
    def test_are_told_by_the_start_of_the_unit(self, unit: str, first: list[Any], kind: pa.DataType) -> None:
        """With `label: lower`, in the type of the column; told once more, they are the same."""
        cut = coarse(pa.array(MOMENTS, pa.timestamp("us")).cast(kind), to=unit, label="lower")
        midnights = pa.array(first, pa.date32()).cast(kind).to_pylist()

        assert cut == midnights
        assert coarse(pa.array(cut, kind), to=unit, label="lower") == midnights

    def test_go_by_the_columns_time_zone(self) -> None:
        """An instant has the date that its column's clocks show."""
        midnight = pa.array(
            [dt.datetime(2020, 12, 31, 23, 30, tzinfo=dt.UTC)], pa.timestamp("us", "Europe/Berlin")
        )

        assert coarse(midnight, to="year") == [2021]
        assert coarse(midnight, to="day") == [dt.date(2021, 1, 1)]

    @given(days=st.lists(st.dates()))
    def test_agree_with_the_calendar(self, days: list[dt.date]) -> None:
        """Every date of the Gregorian calendar has the parts that Python gives it."""
        assert coarse(days, pa.date32(), to="decade") == [day.year // 10 * 10 for day in days]
        assert coarse(days, pa.date32(), to="month") == [day.isoformat()[:7] for day in days]
        assert coarse(days, pa.date32(), to="week") == [
            "{:04}-W{:02}".format(*day.isocalendar()) for day in days
        ]


class TestPrefix:
    @pytest.mark.parametrize(
        ("value", "cut", "padded"),
        [
            ("94107", "941", "941**"),
            ("9410", "941", "941*"),
            ("941", "94", "94*"),
            ("9", "", "*"),
            ("", "", ""),
            ("日本語テ", "日本語", "日本語*"),
            (None, None, None),
        ],
        ids=str,
    )
    def test_leaves_at_least_one_character_out(
        self, value: str | None, cut: str | None, padded: str | None
    ) -> None:
        """A value as short as the prefix loses its last character."""
        assert coarse([value], prefix=3) == [cut]
        assert coarse([value], prefix=3, pad_with="*") == [padded]


class TestNetwork:
    @pytest.mark.parametrize(
        ("address", "network"),
        [
            ("203.0.113.77", "203.0.113.0/24"),
            ("255.255.255.255", "255.255.255.0/24"),
            ("2001:db8:1:2::1", "2001:db8:1::/48"),
            ("2001:0DB8:0001:0002:0:0:0:1", "2001:db8:1::/48"),
            ("::ffff:1.2.3.4", "::/48"),
            (None, None),
        ],
        ids=str,
    )
    def test_holds_the_address(self, address: str | None, network: str | None) -> None:
        """Both kinds of address in one column, whatever their spelling."""
        assert coarse([address], network={}) == [network]

    def test_has_the_size_asked_for(self) -> None:
        """Sizes need not end at a dot or colon."""
        assert coarse(["10.1.130.7", "2001:db8:ffff::"], network={"v4": 17, "v6": 33}) == [
            "10.1.128.0/17",
            "2001:db8:8000::/33",
        ]

    @pytest.mark.parametrize(
        "text", ["256.1.1.1", "1.2.3", "01.2.3.4", " 1.2.3.4", "1.2.3.4/24", ":", "", SENTINEL]
    )
    def test_of_no_address_is_refused_or_null(self, text: str) -> None:
        """What is no address fails the run with a count, or becomes null if asked for; it is never released."""
        with pytest.raises(TransformError, match=r"people\.it: .* 1 values") as caught:
            coarse(["1.2.3.4", text, None], network={})
        assert SENTINEL not in f"{caught.value!r} {caught.value.__cause__!r}"
        assert coarse(["1.2.3.4", text, None], network={}, invalid="null") == ["1.2.3.0/24", None, None]


class TestGeo:
    def test_rounds_degrees(self) -> None:
        """To the nearest crossing of the grid."""
        assert coarse([51.50735, -0.12776, None, math.nan], pa.float64(), geo=2, invalid="null") == [
            51.51,
            -0.13,
            None,
            None,
        ]

    @pytest.mark.parametrize("degrees", [180.1, -1e6, math.inf], ids=str)
    def test_refuses_what_are_no_degrees(self, degrees: float) -> None:
        """A column that is no coordinate is found out."""
        with pytest.raises(TransformError, match="degrees from -180 to 180"):
            coarse([degrees], pa.float64(), geo=2)


class TestHierarchy:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        (tmp_path / "h.csv").write_text("flu;lung;any\nasthma;lung;any\n'ulcer;gut;any\n", encoding="utf-8")
        return tmp_path

    @pytest.mark.parametrize(("level", "results"), [(1, ["lung", None, "gut"]), (2, ["any", None, "any"])])
    def test_tells_the_level(self, folder: Path, level: int, results: list[Any]) -> None:
        """Level 1 is the column next to the value."""
        hierarchy = {"file": "h.csv", "level": level}

        assert coarse(["flu", None, "'ulcer"], root=folder, hierarchy=hierarchy) == results

    def test_takes_integers(self, tmp_path: Path) -> None:
        """The file's spelling of an integer is its decimal digits."""
        (tmp_path / "h.csv").write_text("\ufeff29,20s\n\n31,30s\n", encoding="utf-8")

        hierarchy = {"file": "h.csv", "level": 1, "delimiter": ","}
        assert coarse([31, 29, None], pa.int8(), root=tmp_path, hierarchy=hierarchy) == ["30s", "20s", None]

    def test_looks_at_rows_not_at_dictionaries(self, folder: Path) -> None:
        """A value that a dictionary has but no row holds is no mistake."""
        column = pa.DictionaryArray.from_arrays(
            pa.array([0, 0, 0, None]), pa.array(["flu", SENTINEL, "asthma"])
        )

        assert coarse(column, root=folder, hierarchy={"file": "h.csv", "level": 1}) == [
            "lung",
            "lung",
            "lung",
            None,
        ]

    def test_refuses_what_it_does_not_cover(self, folder: Path) -> None:
        """Values without a line fail the run with their count, or become null if asked for."""
        hierarchy = {"file": "h.csv", "level": 1}
        with pytest.raises(TransformError, match=r"people\.it: .* 2 values") as caught:
            coarse(["flu", SENTINEL, SENTINEL], root=folder, hierarchy=hierarchy)
        assert SENTINEL not in f"{caught.value!r} {caught.value.__cause__!r}"
        assert coarse(["flu", SENTINEL], root=folder, hierarchy=hierarchy, invalid="null") == ["lung", None]

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "has no rows"),
            (f"{SENTINEL};x\n{SENTINEL};y\n", "line 2 of h.csv has a value that stands further up"),
            ("a;x;y\nb;x\n", "line 2 of h.csv has 2 columns, the first line 3"),
            ("a\nb\n", "line 1 of h.csv has 0 levels"),
            ("a,x\n", "line 1 of h.csv has 0 levels"),
            (None, "cannot be read"),
        ],
        ids=["empty", "contradiction", "ragged", "no-level", "delimiter", "missing"],
    )
    def test_refuses_a_file_that_is_none(self, tmp_path: Path, text: str | None, message: str) -> None:
        """A file that contradicts itself or lacks the level fails before a row is read."""
        if text is not None:
            (tmp_path / "h.csv").write_text(text, encoding="utf-8")
        with pytest.raises(TransformError, match=message) as caught:
            coarse(["a"], root=tmp_path, hierarchy={"file": "h.csv", "level": 1})
        assert SENTINEL not in f"{caught.value} {caught.value.__cause__!r}"

    def test_takes_the_same_line_twice(self, tmp_path: Path) -> None:
        """A repeated line says nothing new."""
        (tmp_path / "h.csv").write_text("a;x\na;x\n", encoding="utf-8")

        assert coarse(["a"], root=tmp_path, hierarchy={"file": "h.csv", "level": 1}) == ["x"]

    @pytest.mark.parametrize(
        ("column", "level", "distinct"),
        [("age", 2, 10), ("education", 1, 8), ("native-country", 1, 5), ("sex", 1, 1)],
    )
    def test_covers_adult_with_the_files_of_arx(
        self, shared_data: Path, column: str, level: int, distinct: int
    ) -> None:
        """The hierarchies that ARX ships fit the table that it ships."""
        from pyarrow import csv

        folder = shared_data / "arx"
        adult = csv.read_csv(folder / "adult.csv", parse_options=csv.ParseOptions(delimiter=";"))
        values = adult[column].combine_chunks()
        hierarchy = {"file": f"adult_hierarchy_{column}.csv", "level": level}
        result = treated(Generalize.model_validate({"hierarchy": hierarchy}), values, root=folder)

        assert result.null_count == values.null_count
        assert len(result.unique()) <= distinct


class TestParameters:
    @pytest.mark.parametrize(
        ("parameters", "message"),
        [
            ({}, "this one names none"),
            ({"width": 10, "to": "year"}, "this one names width, to"),
            ({"width": 10, "round_to": 5}, "choose one"),
            ({"edges": [2, 1]}, "must ascend"),
            ({"edges": [1, 1]}, "must ascend"),
            ({"edges": [1], "top": 5}, "open ends already"),
            ({"bottom": 5, "top": 5}, "must be below"),
            ({"label": "lower", "top": 5}, "goes with `width` only"),
            ({"label": "interval", "round_to": 5, "top": 9}, "leave `label` out"),
            ({"label": "interval", "to": "year"}, "goes with"),
            ({"pad_with": "*", "width": 5}, "goes with `prefix` only"),
            ({"invalid": "null", "width": 5}, "goes with"),
            ({"width": 0}, "greater than 0"),
            ({"width": 1e19}, "at most"),
            ({"width": "10"}, "valid"),
            ({"top": float("inf")}, "finite"),
            ({"prefix": 3, "pad_with": "="}, "formula"),
            ({"network": {"v4": 32}}, "less than or equal to 31"),
            ({"hierarchy": {"file": "h.csv", "level": 0}}, "greater than or equal to 1"),
        ],
        ids=lambda value: str(value)[:40],
    )
    def test_of_exactly_one_form_are_taken(self, parameters: dict[str, Any], message: str) -> None:
        """No form, two forms, and companions of another form are mistakes with a message each."""
        assert message in refused(Generalize, parameters)

    @pytest.mark.parametrize(
        ("parameters", "kind"),
        [
            ({"width": 10}, pa.string()),
            ({"width": 10}, pa.bool_()),
            ({"to": "year"}, pa.string()),
            ({"prefix": 3}, pa.int64()),
            ({"network": {}}, pa.int64()),
            ({"geo": 2}, pa.int64()),
            ({"hierarchy": {"file": "h", "level": 1}}, pa.float64()),
        ],
        ids=str,
    )
    def test_do_not_take_other_types(self, parameters: dict[str, Any], kind: pa.DataType) -> None:
        """Each form takes the types it is made for."""
        assert not accepts(kind, **parameters)
