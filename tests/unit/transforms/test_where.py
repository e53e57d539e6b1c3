from __future__ import annotations

import contextlib
import datetime as dt
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from airflow_veil.privacy.errors import TransformError
from airflow_veil.privacy.transforms.base import Binding
from airflow_veil.privacy.transforms.where import Where

BINDING = Binding(dataset="people", column="", type=pa.null())
BERLIN = pa.timestamp("ms", "Europe/Berlin")
COLUMNS = {
    "country": pa.array(["UK", "DE", None]).dictionary_encode(),
    "wide": pa.array(["a'b", 'a"b', None], pa.large_string()),
    "my col": pa.array(["p", "q", None]),
    "age": pa.array([18, 17, None], pa.int32()),
    "big": pa.array([2**64 - 1, 2**53 + 1, None], pa.uint64()),
    "share": pa.array([1.5, float("nan"), None]),
    "active": pa.array([True, False, None]),
    "born": pa.array([dt.date(2024, 1, 1), dt.date(2023, 12, 31), None]),
    "seen": pa.array([0, 10**18, None], pa.timestamp("ns")),
    "local": pa.array([0, 10**12, None], BERLIN),
    "other": pa.array([18, 20, 5], pa.int64()),
}
TYPES = {name: column.type for name, column in COLUMNS.items()}


def kept(expression: str) -> list[bool]:
    rows: list[bool] = Where.model_validate(expression).prepare(BINDING, TYPES)(COLUMNS).to_pylist()
    return rows


def mistake(expression: str) -> str:
    with pytest.raises(ValidationError) as caught:
        Where.model_validate(expression)
    return str(caught.value.errors()[0]["msg"])


class TestRows:
    @pytest.mark.parametrize(
        ("expression", "rows"),
        [
            ("country == 'UK' and age >= 18", [True, False, False]),
            ("country != 'UK'", [False, True, False]),
            ("age in [17, 19]", [False, True, False]),
            ("age not in [17]", [True, False, False]),
            ("country in ['UK', 'DE']", [True, True, False]),
            ("age is null", [False, False, True]),
            ("age is not null", [True, True, False]),
            ("18 <= age", [True, False, False]),
            ("age > 17.5", [True, False, False]),
            ("age < other", [False, True, False]),
            ("big in [9007199254740993]", [False, True, False]),
            ("big > -1", [True, True, False]),
            ("big == other", [False, False, False]),
            ("share > 1", [True, False, False]),
            ("active", [True, False, False]),
            ("not active", [False, True, False]),
            ("active == false", [False, True, False]),
            ("born >= '2024-01-01'", [True, False, False]),
            ("seen < '9999-12-31'", [True, True, False]),
            ("seen == '1970-01-01T00:00:00'", [True, False, False]),
            ("local >= '1970-01-01T02:00:00'", [False, True, False]),
            ("local >= '1970-01-01T01:00:00'", [True, True, False]),
            ("local == '1970-01-01T00:00:00Z'", [True, False, False]),
            ("wide == 'a''b'", [True, False, False]),
            ('wide == "a""b"', [False, True, False]),
            ("`my col` == 'q'", [False, True, False]),
            ("(age == 18 or age == 17) and not (country == 'DE')", [True, False, False]),
            ("age == 17 or age == 18 and country == 'DE'", [False, True, False]),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_are_kept_where_it_is_true(self, expression: str, rows: list[bool]) -> None:
        """`and` binds stronger than `or`; a null result does not keep the row."""
        assert kept(expression) == rows

    @pytest.mark.parametrize(
        "expression", ["country == 'UK'", "age > 17", "age in [17]", "share > 1", "active", "age == other"]
    )
    def test_with_null_are_lost_either_way(self, expression: str) -> None:
        """Neither a condition on null nor its negation is true."""
        assert (kept(expression)[2], kept(f"not ({expression})")[2]) == (False, False)

    def test_nan_is_null(self) -> None:
        """NaN is not above, not below, and `is null`."""
        assert [kept(e)[1] for e in ("share > 1", "share <= 1", "not (share > 1)", "share is null")] == [
            False
        ] * 3 + [True]

    @pytest.mark.parametrize(
        ("expression", "row"),
        [
            ("age == 1 or active is null", True),
            ("age == 1 and active is null", False),
            ("not (age == 1 and other == 6)", True),
        ],
    )
    def test_null_does_not_spoil_what_is_decided(self, expression: str, row: bool) -> None:
        """True or null is true, false and null is false (Kleene)."""
        assert kept(expression)[2] is row

    def test_of_no_batch_are_none(self) -> None:
        """An empty batch gives an empty decision."""
        kernel = Where(expression="age > 1 and country in ['UK']").prepare(BINDING, TYPES)

        assert kernel({name: column.slice(0, 0) for name, column in COLUMNS.items()}).to_pylist() == []

    @given(values=st.lists(st.none() | st.integers(-5, 5)), bound=st.integers(-5, 5))
    def test_agree_with_python(self, values: list[int | None], bound: int) -> None:
        """Every operator means what it means in Python."""
        columns = {"a": pa.array(values, pa.int8())}
        for operator in ("==", "!=", "<", "<=", ">", ">="):
            kernel = Where(expression=f"a {operator} {bound}").prepare(BINDING, {"a": pa.int8()})
            expected = [value is not None and eval(f"{value} {operator} {bound}") for value in values]
            assert kernel(columns).to_pylist() == expected


class TestTypes:
    @pytest.mark.parametrize(
        ("expression", "message"),
        [
            ("age == 'x'", "a column of numbers is compared with text"),
            ("country > 3", "a column of text is compared with a number"),
            ("country == true", "a column of text is compared with a boolean"),
            ("active == 1", "a column of booleans is compared with a number"),
            ("active > true", "`>` on booleans"),
            ("age in [1, 'x']", "compared with text"),
            ("born > 'soon'", "a text that is none"),
            ("born > 5", "a column of dates is compared with a number"),
            ("seen > '2024-01-01T00:00:00Z'", "without a time zone"),
            ("seen == local", "is compared with"),
            ("born == seen", "a column of dates is compared with a column of times"),
            ("age == country", "is compared with"),
            ("age", "stands alone"),
            ("nobody == 1", "there is no column nobody"),
        ],
    )
    def test_that_do_not_fit_are_refused(self, expression: str, message: str) -> None:
        """Before a row moves, with the data set and what was expected, and without the constants."""
        with pytest.raises(TransformError, match=r"people, `where`: ") as caught:
            Where(expression=expression).prepare(BINDING, TYPES)
        assert message in str(caught.value)
        assert "Expected" in str(caught.value)
        assert "soon" not in f"{caught.value!r} {caught.value.__cause__!r}"

    def test_can_be_checked_alone(self) -> None:
        """`check_types` needs no binding."""
        where = Where(expression="age > 3")
        where.check_types(TYPES)

        with pytest.raises(TransformError, match="no column age"):
            where.check_types({}, where="policy.yaml")

    @pytest.mark.parametrize(
        "kind", [pa.binary(), pa.list_(pa.int8()), pa.time64("us"), pa.duration("s")], ids=str
    )
    def test_of_other_kinds_are_refused(self, kind: pa.DataType) -> None:
        """Text, numbers, booleans, dates and times only."""
        with pytest.raises(TransformError, match="has the type"):
            Where(expression="it is null").check_types({"it": kind})

    @pytest.mark.parametrize(
        "kind",
        [pa.int8(), pa.uint64(), pa.float16(), pa.float32(), pa.decimal128(9, 2), pa.decimal256(40, 2)],
        ids=str,
    )
    def test_of_numbers_are_all_compared(self, kind: pa.DataType) -> None:
        """Every width of number, with whole numbers and fractions."""
        kernel = Where(expression="it >= 2 and it < 2.5").prepare(BINDING, {"it": kind})

        assert kernel({"it": pa.array([1, 2, 3], pa.int8()).cast(pa.float32()).cast(kind)}).to_pylist() == [
            False,
            True,
            False,
        ]


class TestMistakes:
    @pytest.mark.parametrize(
        ("expression", "message"),
        [
            ("age < ", "expected a column or a constant, found the end at character 6"),
            ("age = 3", "write `==`, at character 5"),
            ("age > 3 && active", "write `and`, at character 9"),
            ("(age > 3", "expected `)`, found the end at character 9"),
            ("age > 3)", "expected `and`, `or` or the end, found `)` at character 8"),
            ("age == null", "write `is null` or `is not null` at character 8"),
            ("age > 3 4", "found `4` at character 9"),
            ("'a' == 'b'", "neither side of the comparison is a column at character 1"),
            ("3", "expected a comparison"),
            ("age in []", "expected a constant, found `]`"),
            ("age in [other]", "expected a constant, found `other`"),
            ("age == 99999999999999999999", "does not fit into 64 bits"),
            ("country == 'UK", "a quote that does not close"),
            ("age is 3", "expected `null`, found `3`"),
            ("not " * 60 + "active", "more than 50 levels"),
            ("(" * 60 + "active" + ")" * 60, "more than 50 levels"),
            ("__import__('os')", "expected `and`, `or` or the end, found `(`"),
            ("age.real == 1", "cannot read `.`"),
            ("age==18or age==17", "cannot read `1`"),
            ("age > 3 # really", "cannot read `#`"),
            ("age == {x}", "cannot read `(`"),
        ],
        ids=lambda value: value[:30],
    )
    def test_are_told_with_their_place(self, expression: str, message: str) -> None:
        """What was expected, what stands there, and where."""
        assert message in mistake(expression)

    @pytest.mark.parametrize(
        "value",
        ["", 3, None, [], {"expression": "age > 1", "more": 1}, "a == 1 or " * 2000 + "a == 1"],
        ids=repr,
    )
    def test_of_other_forms_are_refused(self, value: Any) -> None:
        """A filter is one text of reasonable length."""
        with pytest.raises(ValidationError):
            Where.model_validate(value)

    @given(text=st.text(st.sampled_from("ab'\"`()[],.=<>!& 1not inulr"), max_size=40))
    def test_never_break_the_parser(self, text: str) -> None:
        """Any text is an expression or a mistake in one."""
        with contextlib.suppress(ValidationError):
            assert Where.model_validate(text).expression == text


class TestInputs:
    def test_are_the_columns_in_it(self) -> None:
        """Each once, in the order of the expression."""
        assert Where(expression="b == 1 and `a c` > b and (d or e is null)").inputs("subject") == (
            "b",
            "a c",
            "d",
            "e",
        )

    def test_bare_text_is_short_for_the_mapping(self) -> None:
        """`where: text` and `where: {expression: text}` are the same."""
        assert Where.model_validate("a == 1") == Where(expression="a == 1")
