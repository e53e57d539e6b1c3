"""`date_shift`: all dates of a person move by the same secret number of days."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from airflow_veil.privacy.errors import TransformError
from airflow_veil.privacy.lazy import np, pa, pc
from airflow_veil.privacy.transforms.base import Binding, Kernel, Properties, Step, Transform
from airflow_veil.privacy.transforms.family import Family
from airflow_veil.privacy.transforms.keyed import subject_of, subjects, subkey
from airflow_veil.privacy.transforms.text import decoded, plain_type

if TYPE_CHECKING:
    from numpy.typing import NDArray

_EPOCH = date(1970, 1, 1).toordinal()
# The years that every database, file format and Python can hold: 1 to 9999.
_FIRST_DAY, _LAST_DAY = 1 - _EPOCH, date.max.toordinal() - _EPOCH
_PER_DAY = {"s": 86_400, "ms": 86_400_000, "us": 86_400_000_000, "ns": 86_400_000_000_000}

NullSubject = Annotated[
    Literal["fail", "null"],
    BeforeValidator(lambda word: "null" if word is None else word),  # YAML reads a bare `null` as nothing
    WithJsonSchema({"enum": ["fail", "null", None]}),
]


class DateShift(Transform):
    """Move a date by whole days: one keyed offset a subject, the same in all its columns and tables.

    Input: date or timestamp; a text column is declared as a date first. Output: the same type. Nulls: kept;
    see `null_subject` for dates that are nobody's. Units: days of 24 hours, so a wall clock may show
    another hour across a change of daylight saving time. Guarantee: intervals between the dates of one
    subject are exact; the offset is uniform over -max_days to max_days without 0 and cannot be computed
    without the key. It is no protection for who can be found by an interval, a season or one known date: a
    known date of a person gives away the person's offset. The column alone cannot be reversed; who has the
    key and knows the subject can.
    """

    word: ClassVar[str] = "date_shift"
    step: ClassVar[Step] = Step.TOKENIZE
    needs_subject: ClassVar[bool] = True

    max_days: Annotated[int, Field(ge=1, le=3650)] = 365
    """The largest offset in days, 1 to 3650. Columns to be compared with each other need the same."""
    null_subject: NullSubject = "fail"
    """What becomes of a date whose subject is null: the release fails, or the date becomes null."""

    @property
    def properties(self) -> Properties:
        return Properties(deterministic=False, reversible=False, unique=False, hides_length=True, masks=True)

    @property
    def takes(self) -> frozenset[Family]:
        return frozenset({Family.DATE, Family.TIMESTAMP})

    def output_type(self, source: pa.DataType) -> pa.DataType:
        return plain_type(source)

    def inputs(self, subject: str | None) -> tuple[str, ...]:
        return () if subject is None else (subject,)

    def key_domain(self, *, column: str, subject: str) -> str | None:
        return subject or None

    def prepare(self, binding: Binding) -> Kernel:
        subject = subject_of(binding, self.word)
        key = subkey(binding, "date_shift")

        def kernel(column: pa.Array, inputs: Mapping[str, pa.Array]) -> pa.Array:
            names = subjects(binding, subject, inputs)
            days = offsets(names, key=key, max_days=self.max_days)
            return _shifted(self._owned(decoded(column), names, binding), days, binding.where)

        return kernel

    def _owned(self, column: pa.Array, names: pa.StringArray, binding: Binding) -> pa.Array:
        """The dates that have a subject; the others become null, or an error."""
        orphans = pc.and_(names.is_null(), column.is_valid())
        count = pc.sum(orphans).as_py() or 0
        if not count:
            return column
        if self.null_subject == "fail":
            msg = f"{count} of {len(column)} dates have a null subject, so no offset keeps their intervals"
            raise TransformError(
                msg,
                where=binding.where,
                expected=f"a subject ({binding.subject}) on every row that has a date",
                fix="set `null_subject: null` to release them as null, or leave the rows out by `where`",
            )
        return pc.if_else(orphans, pa.scalar(None, column.type), column)


def offsets(names: pa.StringArray, *, key: bytes, max_days: int) -> NDArray[np.int64]:
    """The offset of each subject in days.

    Args:
        names: n subjects.
        key: 32 bytes.
        max_days: The largest offset, M.

    Returns:
        Shape (n,): uniform over -M..M without 0 (the bias of the remainder is below 2M / 2^64). Null subjects
        get one too, which means nothing.
    """
    from airflow_veil.privacy.crypto import prf

    steps = (prf.uint64(names, key=key) % np.uint64(2 * max_days)).astype(np.int64) - max_days
    return steps + (steps >= 0)


def _shifted(column: pa.Array, days: NDArray[np.int64], where: str) -> pa.Array:
    storage = pa.int32() if pa.types.is_date32(column.type) else pa.int64()
    ticks = pc.fill_null(column.view(storage), 0).to_numpy(zero_copy_only=False).astype(np.int64)
    first, last, per_day = _range(column.type)
    shifts = days * per_day
    # Leaves room for the sum itself, which must not wrap around in 64 bits.
    inside = (ticks >= first) & (ticks <= last)
    moved = np.where(inside, ticks, 0) + shifts
    inside &= (moved >= first) & (moved <= last)
    valid = column.is_valid().to_numpy(zero_copy_only=False)
    outside = int(np.count_nonzero(~inside & valid))
    if outside:
        msg = f"{outside} of {len(column)} dates leave the range of {column.type} when shifted"
        raise TransformError(
            msg,
            where=where,
            expected="dates ten years inside the type's range (years 1 to 9999; 1677 to 2262 in nanoseconds)",
            fix="turn marks for `never`, such as the year 9999, into nulls upstream",
        )
    return pa.array(moved.astype(storage.to_pandas_dtype()), mask=~valid).view(column.type)


def _range(source: pa.DataType) -> tuple[int, int, int]:
    """The first and last value of a type that may come out, and its values a day."""
    if pa.types.is_date32(source):
        return _FIRST_DAY, _LAST_DAY, 1
    per_day = _PER_DAY["ms" if pa.types.is_date64(source) else source.unit]
    # 3650 days of nanoseconds fit many times between this and the end of 64 bits.
    limit = (1 << 63) - 1 - 3650 * per_day if per_day == _PER_DAY["ns"] else 1 << 62
    return max(_FIRST_DAY * per_day, -limit), min((_LAST_DAY + 1) * per_day - 1, limit), per_day
