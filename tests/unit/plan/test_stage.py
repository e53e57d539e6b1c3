"""The stage: what one pass reads, treats, carries and lets go of."""

from __future__ import annotations

from typing import Any, ClassVar

import pyarrow as pa
import pytest

from airflow_veil.privacy.plan.plan import Plan, PlannedColumn
from airflow_veil.privacy.plan.stage import Stage, fused, stage
from airflow_veil.privacy.transforms.base import Properties, RowFilter, Step, Transform
from airflow_veil.privacy.transforms.drop import Drop
from airflow_veil.privacy.transforms.family import ANY, Family
from airflow_veil.privacy.transforms.keep import Keep


class _Treat(Transform):
    """A treatment to text that says what it reads; the stage asks a transform for no more than this."""

    word: ClassVar[str] = "treat"
    step: ClassVar[Step] = Step.TOKENIZE
    reads: tuple[str, ...] = ()

    @property
    def properties(self) -> Properties:
        return Properties(deterministic=True, reversible=False, unique=False, hides_length=True, masks=True)

    @property
    def takes(self) -> frozenset[Family]:
        return ANY

    def output_type(self, source: pa.DataType) -> pa.DataType:
        return pa.string()

    def inputs(self, subject: str | None) -> tuple[str, ...]:
        return self.reads

    def prepare(self, binding: Any) -> Any:
        raise NotImplementedError


class _Mask(_Treat):
    step: ClassVar[Step] = Step.MASK


class _Generalize(_Treat):
    step: ClassVar[Step] = Step.GENERALIZE


class _Minimize(_Treat):
    step: ClassVar[Step] = Step.MINIMIZE


class _Filter(RowFilter):
    word: ClassVar[str] = "filter"
    reads: tuple[str, ...] = ()

    def inputs(self, subject: str | None) -> tuple[str, ...]:
        return self.reads

    def prepare(self, binding: Any, types: Any) -> Any:
        raise NotImplementedError


def _plan(
    treatments: dict[str, Transform], *, unnamed: tuple[str, ...] = (), filters: tuple[RowFilter, ...] = ()
) -> Plan:
    """A plan over integer columns, in the order given."""
    columns = tuple(
        PlannedColumn(
            name=name,
            column_class="none",
            category=None,
            transform=transform,
            source_type=pa.int64(),
            output_type=transform.output_type(pa.int64()),
            inputs=transform.inputs(None),
        )
        for name, transform in treatments.items()
    )
    return Plan(
        policy="shop",
        policy_digest="",
        dataset="people",
        subject=None,
        subject_root="",
        columns=columns,
        unnamed=unnamed,
        row_filters=filters,
    )


def _steps(plan: Plan) -> list[Stage]:
    return [stage(plan, step) for step in Step]


NOTES = _plan(
    {
        "id": Keep(),
        "email": _Treat(),
        "name": Drop(),
        "notes": _Mask(reads=("name", "email")),
        "age": _Generalize(),
    },
    unnamed=("shoe_size",),
)


class TestFused:
    def test_output_is_the_release(self) -> None:
        """One pass puts out what the plan releases, in its order and types."""
        assert fused(NOTES).output_schema == NOTES.output_schema

    def test_reads_what_the_release_is_made_of(self) -> None:
        """A dropped column is read if a treatment needs it, an unnamed one never."""
        assert fused(NOTES).reads == ("id", "email", "name", "notes", "age")

    def test_does_not_read_a_dropped_column(self) -> None:
        """What nothing is made of is not even read."""
        plan = _plan({"id": Keep(), "name": Drop()})

        assert fused(plan).reads == ("id",)

    def test_reads_for_a_row_filter(self) -> None:
        """A filter's column is read though it does not leave."""
        plan = _plan({"id": Keep(), "country": Drop()}, filters=(_Filter(reads=("country",)),))

        assert fused(plan).reads == ("id", "country")
        assert fused(plan).row_filters == plan.row_filters

    def test_drops_all_that_does_not_leave(self) -> None:
        """Named and unnamed columns that do not leave are reported."""
        assert fused(NOTES).dropped == ("name", "shoe_size")

    def test_treats_every_column(self) -> None:
        """Every column of the release is treated in the one pass."""
        assert all(column.planned is not None for column in fused(NOTES).columns)

    def test_sources_are_the_raw_columns(self) -> None:
        """Lineage can be read off: own column first, under the source's names."""
        notes = fused(NOTES).columns[2]

        assert list(notes.sources.items()) == [("notes", "notes"), ("name", "name"), ("email", "email")]
        assert notes.source == "notes"

    def test_carries_nothing(self) -> None:
        """Nothing personal is staged under a carried name."""
        assert not any(name.startswith("__veil_") for name in fused(NOTES).output_schema.names)


class TestStage:
    @pytest.mark.parametrize(
        ("step", "expected"),
        [
            pytest.param(Step.MINIMIZE, ["id", "email", "notes", "age", "__veil_raw_name"], id="minimize"),
            pytest.param(
                Step.TOKENIZE,
                ["id", "email", "notes", "age", "__veil_raw_email", "__veil_raw_name"],
                id="tokenize",
            ),
            pytest.param(Step.MASK, ["id", "email", "notes", "age"], id="mask"),
            pytest.param(Step.GENERALIZE, ["id", "email", "notes", "age"], id="generalize"),
        ],
    )
    def test_carries_raw_columns_to_their_last_reader(self, step: Step, expected: list[str]) -> None:
        """A raw column travels under a name of its own from when it is hidden until it is no longer read."""
        assert stage(NOTES, step).output_schema.names == expected

    def test_reads_raw_columns_where_they_are(self) -> None:
        """A treatment gets raw inputs, under whatever name they travel."""
        notes = next(column for column in stage(NOTES, Step.MASK).columns if column.name == "notes")

        assert notes.sources == {"notes": "notes", "name": "__veil_raw_name", "email": "__veil_raw_email"}

    def test_each_reads_the_one_before(self) -> None:
        """What a stage reads is in the output of the stage before, with the same type."""
        for before, after in zip(_steps(NOTES), _steps(NOTES)[1:], strict=False):
            assert all(before.output_schema.field(field.name) == field for field in after.input_schema)

    def test_types_change_at_their_step(self) -> None:
        """A column has its source's type before its step, the released type from it on."""
        types = [step.output_schema.field("notes").type for step in _steps(NOTES)]

        assert types == [pa.int64(), pa.int64(), pa.string(), pa.string()]

    def test_treats_its_own_step_only(self) -> None:
        """Each column is treated in exactly one stage."""
        treated = [[c.name for c in step.columns if c.planned is not None] for step in _steps(NOTES)]

        assert treated == [["id"], ["email"], ["notes"], ["age"]]

    def test_last_output_is_the_release(self) -> None:
        """After the last step nothing but the release is left."""
        assert stage(NOTES, Step.GENERALIZE).output_schema == NOTES.output_schema

    def test_unnamed_columns_do_not_pass_minimization(self) -> None:
        """What the policy does not name is gone after the first step."""
        assert stage(NOTES, Step.MINIMIZE).dropped == ("shoe_size",)
        assert "shoe_size" not in stage(NOTES, Step.MINIMIZE).reads

    def test_a_carried_column_is_dropped_at_its_last_reader(self) -> None:
        """A dropped column leaves the flow where it is last read; a released one is not dropped."""
        assert [step.dropped for step in _steps(NOTES)] == [("shoe_size",), (), ("name",), ()]

    def test_row_filters_run_in_minimization_only(self) -> None:
        """Rows are held back once, before anything else."""
        plan = _plan({"id": Keep(), "country": Drop()}, filters=(_Filter(reads=("country",)),))

        assert [step.row_filters for step in _steps(plan)] == [plan.row_filters, (), (), ()]
        assert stage(plan, Step.MINIMIZE).reads == ("id", "country")
        assert stage(plan, Step.TOKENIZE).reads == ("id",)

    def test_a_raw_column_not_yet_treated_is_not_carried(self) -> None:
        """A raw column that still stands under its name needs no second copy."""
        plan = _plan({"day": _Generalize(), "notes": _Mask(reads=("day",))})

        assert [step.output_schema.names for step in _steps(plan)] == [["day", "notes"]] * 4

    def test_a_treatment_may_read_a_column_treated_in_the_same_step(self) -> None:
        """Within a step all treatments see the raw columns, so nothing is carried for it."""
        plan = _plan({"email": _Treat(reads=("phone",)), "phone": _Treat(reads=("email",))})

        assert stage(plan, Step.TOKENIZE).columns[0].sources == {"email": "email", "phone": "phone"}
        assert stage(plan, Step.TOKENIZE).output_schema.names == ["email", "phone"]

    def test_a_column_minimized_and_read_later_is_carried(self) -> None:
        """A column treated in the first step travels raw for a later reader."""
        plan = _plan({"name": _Minimize(), "notes": _Generalize(reads=("name",))})

        assert [step.output_schema.names for step in _steps(plan)] == [
            ["name", "notes", "__veil_raw_name"],
            ["name", "notes", "__veil_raw_name"],
            ["name", "notes", "__veil_raw_name"],
            ["name", "notes"],
        ]
        assert [step.dropped for step in _steps(plan)] == [(), (), (), ()]

    def test_reading_only_own_column_again_carries_nothing(self) -> None:
        """A treatment that names its own column among its inputs reads it once."""
        plan = _plan({"name": _Mask(reads=("name",))})

        assert stage(plan, Step.MASK).columns[0].sources == {"name": "name"}
        assert stage(plan, Step.MASK).output_schema.names == ["name"]
