"""What every treatment promises, tried on every example of the registry: the reference's parameters, columns here."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from tests.unit.transforms.keyed_support import ring

from airflow_veil.privacy.keys.ring import KeyRing
from airflow_veil.privacy.transforms.base import Binding, Properties, RowFilter, Transform
from airflow_veil.privacy.transforms.family import family_of
from airflow_veil.privacy.transforms.reference import EXAMPLES, written
from airflow_veil.privacy.transforms.registry import ROW_FILTERS, TRANSFORMS

# Divisible by 3, so that columns can be cut into parts of different subjects; more rows than a subject has.
ROWS = 60
SUBJECT = "who"

TEXT = [None if row == 7 else f"{'ab' * (row % 5)}Zaphod {row}" for row in range(ROWS)]
EMAILS = [None if row == 7 else f"{'x' * (row % 5)}anna{row}@example{row % 3}.com" for row in range(ROWS)]
NUMBERS = [None if row == 7 else row * 7 - 100 for row in range(ROWS)]
FLOATS = [None if row == 7 else row * 2.75 - 77.5 for row in range(ROWS)]
DATES = [None if row == 7 else date(1960, 1, 1) + timedelta(days=401 * row) for row in range(ROWS)]
TIMES = [
    None if row == 7 else datetime(1960, 1, 1, 13, tzinfo=UTC) + timedelta(hours=4001 * row)
    for row in range(ROWS)
]
CARDS = [
    None if row == 7 else "4111 1111 1111 1111" if row % 2 else "3782 822463 10005" for row in range(ROWS)
]
LOOKALIKES = [None if row == 7 else f"411111{row:06d}{1111 + row % 2}" for row in range(ROWS)]
ADDRESSES = [
    None if row == 7 else f"10.1.{row}.{row}" if row % 2 else f"2001:db8:{row:x}::{row:x}"
    for row in range(ROWS)
]
DIAGNOSES = [None if row == 7 else ("flu", "asthma", "gastric ulcer")[row % 3] for row in range(ROWS)]
NAMES = ["Zaphod" if row % 2 else None for row in range(ROWS)]

text, numbers, floats = pa.array(TEXT), pa.array(NUMBERS, pa.int32()), pa.array(FLOATS)

COLUMNS: Mapping[str, tuple[pa.Array, ...]] = {
    "keep": (text,),
    "drop": (text,),
    "null": (numbers,),
    "constant": (text, numbers),
    "mask": (text, text, pa.array(LOOKALIKES), numbers, pa.array(EMAILS), text),
    "token": (text, pa.array(EMAILS)),
    "fpe": (pa.array(CARDS), pa.array([None if row == 7 else f"Ab-{row:06d}" for row in range(ROWS)])),
    "generalize": (
        numbers,
        numbers,
        floats,
        numbers,
        floats,
        numbers,
        pa.array(DATES),
        pa.array(TIMES, pa.timestamp("us", "UTC")),
        pa.array(DATES),
        text,
        pa.array(ADDRESSES),
        floats,
        pa.array(DIAGNOSES),
    ),
    "date_shift": (pa.array(DATES), pa.array(TIMES, pa.timestamp("ms", "UTC"))),
    "noise": (floats, numbers),
    "fake": (text, pa.array(EMAILS)),
    "redact": (pa.array(EMAILS), text),
}
"""A column for each example, in their order; nulls, values of several lengths and, where it can be, all distinct."""

NEED_MORE_ROWS = {"generalize", "date_shift", "noise", "redact"}
NO_TYPE = pa.list_(pa.struct([("x", pa.int8())]))


@dataclass(frozen=True)
class Case:
    """One example on one column."""

    transform: Transform
    column: pa.Array
    folder: Path
    keys: KeyRing

    @property
    def promises(self) -> Properties:
        return self.transform.properties

    def inputs(self, start: int = 0, rows: int = ROWS) -> dict[str, pa.Array]:
        who = pa.array([f"person {row % 9}" for row in range(ROWS)])
        columns = {SUBJECT: who, "first_name": pa.array(NAMES), "last_name": pa.nulls(ROWS, pa.string())}
        return {name: columns[name].slice(start, rows) for name in self.transform.inputs(SUBJECT)}

    def binding(self, kind: pa.DataType) -> Binding:
        domain = self.transform.key_domain(column="people.it", subject=f"people.{SUBJECT}")
        return Binding(
            dataset="people",
            column="it",
            type=kind,
            subject=SUBJECT,
            domain=domain,
            key_version=1,
            keys=self.keys,
            root=self.folder,
        )

    def kernel(
        self, kind: pa.DataType | None = None
    ) -> Callable[[pa.Array, Mapping[str, pa.Array]], pa.Array]:
        return self.transform.prepare(self.binding(kind or self.column.type))

    def result(self) -> pa.Array:
        return self.kernel()(self.column, self.inputs())


def those(
    condition: Callable[[Transform, pa.Array], bool] = lambda _transform, _column: True,
) -> pytest.MarkDecorator:
    """Every example that meets a condition, of every transform that has a kernel."""
    pairs = (
        (
            TRANSFORMS[word].model_validate(parameters),
            column,
            written(word, parameters).removeprefix("treat: "),
        )
        for word in TRANSFORMS
        for parameters, column in zip(EXAMPLES.get(word, ()), COLUMNS.get(word, ()), strict=False)
    )
    chosen = [
        pytest.param((transform, column), id=name)
        for transform, column, name in pairs
        if transform.output_type(column.type) is not None and condition(transform, column)
    ]
    return pytest.mark.parametrize("case", chosen, indirect=True)


def gives_text(transform: Transform, column: pa.Array) -> bool:
    kind = transform.output_type(column.type)
    return kind is not None and bool(pa.types.is_string(kind))


@pytest.fixture
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Case:
    (tmp_path / "diagnoses.csv").write_text("flu;lung\nasthma;lung\ngastric ulcer;gut\n", encoding="utf-8")
    return Case(*request.param, tmp_path, ring())


class TestExamples:
    @pytest.mark.parametrize("word", TRANSFORMS)
    def test_cover_every_word(self, word: str) -> None:
        """A registered treatment without an example and a column is not tested, which fails here."""
        assert len(COLUMNS.get(word, ())) == len(EXAMPLES.get(word, ())) > 0

    def test_cover_no_other_word(self) -> None:
        """A column of a treatment that is gone goes, too."""
        assert set(COLUMNS) == set(TRANSFORMS)

    def test_have_values_that_can_fail(self) -> None:
        """Every column has a null and values of which most are distinct or of several lengths."""
        for column in (column for columns in COLUMNS.values() for column in columns):
            assert (len(column), column.null_count) == (ROWS, 1)
            assert len(column.unique()) > 2


class TestTypes:
    @those()
    def test_are_those_declared(self, case: Case) -> None:
        """The plan can name the output's type before a row is read."""
        result = case.result()
        result.validate(full=True)

        assert case.transform.accepts(case.column.type)
        assert result.type == case.transform.output_type(case.column.type)
        assert len(result) == ROWS

    @those()
    def test_that_make_no_sense_are_not_accepted_or_treated(self, case: Case) -> None:
        """What `accepts` refuses never reaches a kernel; what it accepts comes out."""
        if case.transform.accepts(NO_TYPE):
            kind = case.transform.output_type(NO_TYPE)
            assert case.kernel(NO_TYPE)(pa.nulls(2, NO_TYPE), case.inputs(0, 2)).type == kind

    @those(lambda _transform, column: bool(pa.types.is_string(column.type)))
    def test_do_not_depend_on_storage(self, case: Case) -> None:
        """Dictionary-encoded text and text with 64-bit offsets give what plain text gives."""
        expected = case.result().to_pylist()
        for column in (case.column.dictionary_encode(), case.column.cast(pa.large_string())):
            assert case.transform.accepts(column.type)
            result = case.kernel(column.type)(column, case.inputs())
            assert result.type == case.transform.output_type(column.type)
            assert result.to_pylist() == expected


class TestBatches:
    @those()
    def test_of_no_rows_have_the_type(self, case: Case) -> None:
        """An empty batch comes out empty, and typed."""
        result = case.kernel()(case.column.slice(0, 0), case.inputs(0, 0))

        assert (len(result), result.type) == (0, case.transform.output_type(case.column.type))

    @those()
    def test_of_nulls_follow_the_null_rule(self, case: Case) -> None:
        """All null in: all null out, or all filled."""
        result = case.kernel()(pa.nulls(3, case.column.type), case.inputs(0, 3))

        assert result.null_count == (0 if case.promises.nulls == "filled" else 3)

    @those()
    def test_make_no_difference(self, case: Case) -> None:
        """Parts of the column, which begin anywhere in its buffers, give the parts of the result."""
        kernel = case.kernel()
        parts = [(0, 1), (1, 6), (7, 1), (8, 30), (38, 0), (38, 22)]
        results = [kernel(case.column.slice(*part), case.inputs(*part)) for part in parts]

        assert pa.concat_arrays(results).equals(case.result())

    @those()
    def test_leave_their_input_alone(self, case: Case) -> None:
        """A kernel does not write into the columns it is given."""
        inputs = case.inputs()
        columns = {"": case.column, **inputs}
        before = {
            name: [buffer and buffer.to_pybytes() for buffer in column.buffers()]
            for name, column in columns.items()
        }
        case.kernel()(case.column, inputs)

        assert {
            name: [buffer and buffer.to_pybytes() for buffer in column.buffers()]
            for name, column in columns.items()
        } == before


class TestPromises:
    @those()
    def test_of_repetition(self, case: Case) -> None:
        """A run again gives the same release, whether or not a treatment is deterministic in the value alone."""
        assert case.result().equals(case.result())

    @those()
    def test_of_determinism(self, case: Case) -> None:
        """Equal values in other rows give equal results, and where they need not, they do not."""
        turned = pc.array_take(case.column, pa.array(range(ROWS))[::-1])
        there, back = case.result().to_pylist(), case.kernel()(turned, case.inputs()).to_pylist()[::-1]

        assert (there == back) is case.promises.deterministic

    @those()
    def test_of_nulls(self, case: Case) -> None:
        """`kept`: exactly the nulls stay null; `filled`: none does; `all`: everything is."""
        nulls = case.result().is_null().to_pylist()
        expected = {"kept": case.column.is_null().to_pylist(), "filled": [False] * ROWS, "all": [True] * ROWS}

        assert nulls == expected[case.promises.nulls]

    @those(lambda transform, _column: transform.properties.unique)
    def test_of_uniqueness(self, case: Case) -> None:
        """Where it is declared, distinct values stay distinct."""
        assert len(case.result().unique()) == len(case.column.unique())

    # Sixty numbers, dates or texts need not fall together under these; their own tests show that values do.
    @those(lambda transform, _: not transform.properties.unique and transform.word not in NEED_MORE_ROWS)
    def test_of_no_uniqueness(self, case: Case) -> None:
        """Where it is not declared, values do fall together."""
        assert len(case.result().unique()) < len(case.column.unique())

    @those(lambda transform, column: transform.properties.hides_length and gives_text(transform, column))
    def test_of_length(self, case: Case) -> None:
        """Where it is declared, texts do not come out longer because they went in longer."""
        lengths = pc.utf8_length(case.result().drop_null())
        if not case.transform.accepts(pa.string()):
            assert len(lengths.unique()) == 1
            return
        longer = pc.binary_join_element_wise(case.column.cast(pa.string()), "x" * 100, "")
        others = pc.utf8_length(case.kernel(pa.string())(longer, case.inputs()).drop_null())

        assert pc.max(others).as_py() - pc.max(lengths).as_py() < 50

    @those(lambda transform, column: family_of(column.type) in transform.settles)
    def test_of_settling(self, case: Case) -> None:
        """Where it is declared, the kind of column stays, and what is treated once more stays as it is."""
        once = case.result()
        fitting = once.cast(case.column.type) if pa.types.is_integer(case.column.type) else once

        assert fitting.type == case.column.type
        assert case.kernel()(fitting, {}).cast(fitting.type).equals(fitting)
        assert not case.transform.inputs(SUBJECT)
        assert case.transform.key_domain(column="people.it", subject=f"people.{SUBJECT}") is None

    # A number may be its own group, and a text may hold nothing that is recognized.
    @those(lambda transform, _: transform.properties.masks and transform.word not in {"generalize", "redact"})
    def test_of_masking(self, case: Case) -> None:
        """Where it is declared, no value is released as it was."""
        pairs = zip(
            case.column.cast(pa.string()).to_pylist(),
            case.result().cast(pa.string()).to_pylist(),
            strict=True,
        )

        assert not any(before == after for before, after in pairs if before is not None)

    @those(lambda transform, _column: transform.properties.reversible and transform.word != "keep")
    def test_of_reversibility(self, case: Case) -> None:
        """Where it is declared, who has the key gets every value back."""
        assert case.transform.reverse(case.result(), case.binding(case.column.type)).equals(case.column)


class TestParameters:
    @pytest.mark.parametrize(
        ("word", "example"),
        [(word, example) for word, examples in EXAMPLES.items() for example in examples],
        ids=str,
    )
    def test_survive_json(self, word: str, example: Mapping[str, Any]) -> None:
        """The plan and the manifest can write a treatment down and read it again."""
        cls: type[Transform | RowFilter] = {**TRANSFORMS, **ROW_FILTERS}[word]
        one = cls.model_validate(example)

        assert cls.model_validate(json.loads(json.dumps(one.model_dump(mode="json", by_alias=True)))) == one
        assert cls.model_validate(one.model_dump(mode="json", by_alias=True, exclude_defaults=True)) == one

    @those()
    def test_are_frozen(self, case: Case) -> None:
        """A treatment is a value: hashable, and not to be changed."""
        assert hash(case.transform) == hash(case.transform.model_copy(deep=True))
        for name in type(case.transform).model_fields:
            with pytest.raises(ValueError, match="frozen"):
                setattr(case.transform, name, None)

    @those()
    def test_show_no_key(self, case: Case) -> None:
        """Neither the binding nor the treatment nor its kernel shows a secret in its repr."""
        binding = case.binding(case.column.type)
        shown = f"{binding!r} {binding} {case.transform!r} {case.kernel()!r}"
        secret = case.keys.subkey("anything", "people.it")

        assert "keys=" not in shown
        assert secret.hex() not in shown
        assert "test\\x01" not in shown

    @those()
    def test_promise_something_of_everything(self, case: Case) -> None:
        """Properties are complete, and booleans are booleans."""
        values = [getattr(case.promises, field.name) for field in fields(Properties) if field.name != "nulls"]

        assert all(isinstance(value, bool) for value in values)


ROW_COLUMNS = {
    "country": pa.array(["UK", "DE", None] * 20),
    "age": pa.array(list(range(ROWS)), pa.int16()),
    "status": pa.array(["live", "test", None, "live"] * 15),
    SUBJECT: pa.array([f"person {row % 30}" for row in range(ROWS)]),
}


class TestRowFilters:
    @pytest.fixture(params=[(word, example) for word in ROW_FILTERS for example in EXAMPLES[word]], ids=str)
    def decide(self, request: pytest.FixtureRequest) -> Callable[[int, int], pa.BooleanArray]:
        """The decision about a part of the rows."""
        word, example = request.param
        row_filter = ROW_FILTERS[word].model_validate(example)
        columns = {name: ROW_COLUMNS[name] for name in row_filter.inputs(SUBJECT)}
        binding = Binding(
            dataset="people",
            column=SUBJECT,
            type=pa.string(),
            subject=SUBJECT,
            domain="people.who",
            key_version=1,
            keys=ring(),
        )
        kernel = row_filter.prepare(binding, {name: column.type for name, column in columns.items()})
        return lambda start, rows: kernel(
            {name: column.slice(start, rows) for name, column in columns.items()}
        )

    def test_decide_every_row(self, decide: Callable[[int, int], pa.BooleanArray]) -> None:
        """One boolean a row, never null, and the example keeps some rows and drops others."""
        rows = decide(0, ROWS)

        assert (rows.type, len(rows), rows.null_count) == (pa.bool_(), ROWS, 0)
        assert 0 < pc.sum(rows).as_py() < ROWS

    def test_decide_batches_as_the_whole(self, decide: Callable[[int, int], pa.BooleanArray]) -> None:
        """How rows are cut into batches makes no difference."""
        parts = [decide(start, rows) for start, rows in ((0, 1), (1, 36), (37, 0), (37, 23))]

        assert pa.concat_arrays(parts).equals(decide(0, ROWS))
