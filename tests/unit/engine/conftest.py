"""What the engine's tests share: small real treatments, and tables in memory that stream as files do."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Self

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from airflow_veil.privacy.plan.plan import Plan, PlannedColumn
from airflow_veil.privacy.transforms.base import (
    Binding,
    Kernel,
    Properties,
    RowFilter,
    RowKernel,
    Step,
    Transform,
)
from airflow_veil.privacy.transforms.family import ANY, Family


class Mix(Transform):
    """Spell a column and its inputs one after the other: the output shows what the kernel was given."""

    word: ClassVar[str] = "mix"
    step: ClassVar[Step] = Step.TOKENIZE
    reads: tuple[str, ...] = ()

    @property
    def properties(self) -> Properties:
        return Properties(deterministic=True, reversible=False, unique=False, hides_length=False, masks=False)

    @property
    def takes(self) -> frozenset[Family]:
        return ANY

    def output_type(self, source: pa.DataType) -> pa.DataType:
        return pa.string()

    def inputs(self, subject: str | None) -> tuple[str, ...]:
        return self.reads

    def prepare(self, binding: Binding) -> Kernel:
        def kernel(column: pa.Array, inputs: Mapping[str, pa.Array]) -> pa.Array:
            others = [pc.cast(inputs[name], pa.string()).fill_null("-") for name in self.reads]
            return pc.binary_join_element_wise(
                pc.cast(column, pa.string()), *others, self.step.value, "|", null_handling="emit_null"
            )

        return kernel


def _mix(step: Step) -> type[Mix]:
    return type(f"Mix{step.name.title()}", (Mix,), {"step": step, "__module__": __name__})


MIXES = {step: _mix(step) for step in Step}


class Apply(Transform):
    """Run a function as the kernel, for treatments that misbehave."""

    word: ClassVar[str] = "apply"
    step: ClassVar[Step] = Step.MASK
    function: Callable[..., Any]

    @property
    def properties(self) -> Properties:
        return Properties(deterministic=True, reversible=False, unique=False, hides_length=False, masks=False)

    @property
    def takes(self) -> frozenset[Family]:
        return ANY

    def output_type(self, source: pa.DataType) -> pa.DataType:
        return source

    def prepare(self, binding: Binding) -> Kernel:
        return self.function


class KeepRows(RowFilter):
    """Keep the rows whose column a function says yes to."""

    word: ClassVar[str] = "keep_rows"
    column: str
    function: Callable[[pa.Array], Any]

    def inputs(self, subject: str | None) -> tuple[str, ...]:
        return (self.column,)

    def prepare(self, binding: Binding, types: Mapping[str, pa.DataType]) -> RowKernel:
        assert set(types) == {self.column}
        return lambda inputs: self.function(inputs[self.column])


class KeepMoreRows(KeepRows):
    """The same under a second word."""

    word: ClassVar[str] = "keep_more_rows"


class Table:
    """A table in memory as a source; it notes what was asked of it and whether it was closed."""

    def __init__(self, table: pa.Table) -> None:
        self.table = table
        self.delivered = 0
        self.closed = False

    def schema(self) -> pa.Schema:
        return self.table.schema

    def batches(self, columns: Sequence[str], *, batch_rows: int) -> Iterator[pa.RecordBatch]:
        try:
            for batch in (
                self.table.select(list(columns)).combine_chunks().to_batches(max_chunksize=batch_rows)
            ):
                self.delivered += 1
                yield batch
        finally:
            self.closed = True

    def fingerprint(self) -> dict[str, Any]:
        return {"rows": self.table.num_rows}

    @property
    def identity(self) -> Any:
        return None


class Sink:
    """A writer that keeps what it was given; like those of files, it knows its schema."""

    def __init__(self, schema: pa.Schema | None = None) -> None:
        self.schema = schema
        self.batches: list[pa.RecordBatch] = []
        self.aborted = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_rest: object) -> None:
        self.aborted = kind is not None

    def write(self, batch: pa.RecordBatch) -> None:
        self.batches.append(batch)

    def close(self) -> Any:
        return None

    @property
    def table(self) -> pa.Table:
        return pa.Table.from_batches(self.batches, self.schema)


def _plan(table: pa.Table, treatments: Mapping[str, Transform], *filters: RowFilter) -> Plan:
    """A plan over a table's columns; those without a treatment are unnamed."""
    columns = tuple(
        PlannedColumn(
            name=field.name,
            column_class="none",
            category=None,
            transform=treatments[field.name],
            source_type=field.type,
            output_type=treatments[field.name].output_type(field.type),
            inputs=treatments[field.name].inputs(None),
        )
        for field in table.schema
        if field.name in treatments
    )
    return Plan(
        policy="shop",
        policy_digest="",
        dataset="people",
        subject=None,
        subject_root="",
        columns=columns,
        unnamed=tuple(name for name in table.schema.names if name not in treatments),
        row_filters=filters,
    )


class Kit:
    """The vocabulary of the engine's tests."""

    mixes = MIXES
    Apply = Apply
    KeepRows = KeepRows
    KeepMoreRows = KeepMoreRows
    Table = Table
    Sink = Sink
    plan = staticmethod(_plan)


@pytest.fixture(scope="session")
def kit() -> type[Kit]:
    """The vocabulary of the engine's tests."""
    return Kit


@pytest.fixture
def people() -> pa.Table:
    """Seven rows of three types, with nulls."""
    return pa.table(
        {
            "id": pa.array([1, 2, 3, 4, 5, 6, 7], pa.int64()),
            "name": pa.array(["Ada", None, "Bo", "Cy", None, "Di", "Ed"]),
            "age": pa.array([31, 44, None, 18, 27, 61, 50], pa.int16()),
        }
    )


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    """Whatever a test does, the engine's threads are gone after it."""
    yield
    left = [thread.name for thread in threading.enumerate() if thread.name.startswith("veil-treat")]
    assert left == []
