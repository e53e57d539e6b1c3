"""The stage: what one pass over the rows does, read off a plan; pure data.

A plan runs as one stage (`fused`) or as a stage a step (`stage`), each over the table of the step before;
both release the same table. After step s the table holds, for each column that leaves: its treated form if
its step is s or earlier, else its raw form, both under its name. A raw column that a later step still reads,
but that is treated or dropped by then, travels under `__veil_raw_<name>` until its last reader is through.

    plan            e-mail: token    name: drop    notes: redact, knowing `name`
    after minimize  e-mail (raw)     notes (raw)   __veil_raw_name
    after tokenize  e-mail (token)   notes (raw)   __veil_raw_name
    after mask      e-mail (token)   notes (redacted)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from airflow_veil.privacy.lazy import pa
from airflow_veil.privacy.plan.plan import Plan, PlannedColumn
from airflow_veil.privacy.transforms.base import RowFilter, Step

FUSED = "fused"
"""The name of the stage that runs all steps."""

RESERVED = "__veil_"
"""What names of source columns must not begin with."""

CARRIED = f"{RESERVED}raw_"
"""What the name of a carried raw column begins with."""

_ORDER = tuple(Step)


@dataclass(frozen=True, slots=True, kw_only=True)
class StageColumn:
    """One column of a stage's output.

    Attributes:
        name: Its name in the output.
        type: Its type in the output.
        planned: What becomes of it here; None where the stage passes it through.
        sources: What it is made of, its own column first: the column's name in the source, and the name it
            bears in this stage's input.
    """

    name: str
    type: pa.DataType
    planned: PlannedColumn | None
    sources: Mapping[str, str]

    @property
    def source(self) -> str:
        """The input column that it is the successor of."""
        return next(iter(self.sources.values()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One pass over the rows.

    Attributes:
        name: `fused`, or the step's word.
        plan: The plan it is a part of.
        input_schema: The columns to read, in the input's order: those that something here is made of.
        columns: The output's columns, in order.
        row_filters: What decides which rows go on; they run before the columns are treated.
        dropped: Source columns that leave the flow here, by the names that the source gives them.
    """

    name: str
    plan: Plan
    input_schema: pa.Schema
    columns: tuple[StageColumn, ...]
    row_filters: tuple[RowFilter, ...]
    dropped: tuple[str, ...]

    @property
    def reads(self) -> tuple[str, ...]:
        """The names of the input columns to read."""
        return tuple(self.input_schema.names)

    @property
    def output_schema(self) -> pa.Schema:
        """The schema of what comes out."""
        return pa.schema([pa.field(column.name, column.type) for column in self.columns])


def fused(plan: Plan) -> Stage:
    """All steps in one pass: from the source to the release, with nothing staged between."""
    return _stage(plan, FUSED, begin=0, end=len(_ORDER))


def stage(plan: Plan, step: Step) -> Stage:
    """One step, over the output of the step before; the first one reads the source."""
    end = _ORDER.index(step) + 1
    return _stage(plan, step.value, begin=end - 1, end=end)


def _stage(plan: Plan, name: str, *, begin: int, end: int) -> Stage:
    """The pass from the table after `begin` steps to the table after `end` steps."""
    flow = _Flow(plan)
    columns = flow.columns(begin, end)
    filters = plan.row_filters if begin == 0 else ()
    needed = {source for column in columns for source in column.sources.values()}
    needed.update(source for row in filters for source in row.inputs(plan.subject))
    return Stage(
        name=name,
        plan=plan,
        input_schema=pa.schema([field for field in flow.table(begin) if field.name in needed]),
        columns=columns,
        row_filters=filters,
        dropped=tuple(raw for raw in plan.dropped if begin < flow.leaves_at(raw) <= end),
    )


class _Flow:
    """Where each column of a plan is, and under which name, after so many steps (0 is the source)."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._treated_at = {column.name: _number(column) for column in plan.released}

    @cached_property
    def _last_reader(self) -> dict[str, int]:
        """The last step that reads a raw column, by its name."""
        last: dict[str, int] = {}
        for column in self._plan.released:
            for raw in column.reads:
                last[raw] = max(last.get(raw, 0), _number(column))
        return last

    def leaves_at(self, raw: str) -> int:
        """The step after which nothing reads a dropped column any more; minimization if nothing ever does."""
        return self._last_reader.get(raw, 1)

    def columns(self, begin: int, end: int) -> tuple[StageColumn, ...]:
        """What the pass from `begin` to `end` puts out: what leaves, then what is carried."""
        released = [self._released(column, begin, end) for column in self._plan.released]
        carried = [
            StageColumn(
                name=CARRIED + column.name,
                type=column.source_type,
                planned=None,
                sources={column.name: self._raw_name(column.name, begin)},
            )
            for column in self._plan.columns
            if self._is_carried(column.name, end)
        ]
        return (*released, *carried)

    def table(self, after: int) -> pa.Schema:
        """The table after so many steps; of the source, the part that the policy names."""
        if after == 0:
            return self._plan.source_schema
        return pa.schema([pa.field(column.name, column.type) for column in self.columns(after - 1, after)])

    def _released(self, column: PlannedColumn, begin: int, end: int) -> StageColumn:
        """A column that leaves: treated here if its step is one of this pass, else passed through."""
        here = begin < _number(column) <= end
        treated = {raw: self._raw_name(raw, begin) for raw in column.reads}
        return StageColumn(
            name=column.name,
            type=column.output_type if _number(column) <= end else column.source_type,
            planned=column if here else None,
            sources=treated if here else {column.name: column.name},
        )

    def _raw_name(self, raw: str, after: int) -> str:
        return CARRIED + raw if self._is_carried(raw, after) else raw

    def _is_carried(self, raw: str, after: int) -> bool:
        """Whether a raw column is still to be read, when its own name no longer stands for it."""
        return 0 < after < self._last_reader.get(raw, 0) and self._treated_at.get(raw, 0) <= after


def _number(column: PlannedColumn) -> int:
    """The number of a column's step, from 1."""
    return _ORDER.index(column.transform.step) + 1
