"""Numbers made coarse: buckets, rounding, and the ends of the range cut off.

Widths and steps are the decimal numbers that the policy wrote, not their nearest floats. A float within 1e-9
(relative) of a border lies on it, so that 0.3 falls into [0.3, 0.4) although neither number has an exact
float.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal

from airflow_veil.privacy.errors import TransformError
from airflow_veil.privacy.lazy import np, pa, pc
from airflow_veil.privacy.transforms.base import Binding
from airflow_veil.privacy.transforms.family import NUMBERS, Family
from airflow_veil.privacy.transforms.form import Coarsen
from airflow_veil.privacy.transforms.labels import labelled

if TYPE_CHECKING:
    from numpy.typing import NDArray

Label = Literal["interval", "lower", "midpoint"]
Number = int | float

_NEAR = 1e-9
_LARGEST = 2.0**62


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """The ends of the range, cut off.

    Attributes:
        bottom: Smaller values are told as this one.
        top: Larger values are told as this one.
        label: `interval` writes the ends as texts `< 18` and `>= 90`; else values are clamped.
    """

    bottom: Number | None = None
    top: Number | None = None
    label: Label | None = None

    masks = False
    hides_length = False
    covers = None
    takes = NUMBERS

    @property
    def settles(self) -> frozenset[Family]:
        return frozenset() if self.label == "interval" else _settled(self.bottom, self.top)

    def output_type(self, source: pa.DataType) -> pa.DataType:
        return pa.string() if self.label == "interval" else _number_type(source, self.bottom, self.top)

    def prepare(self, binding: Binding) -> Coarsen:
        kind = _number_type(binding.type, self.bottom, self.top)

        def coarsen(column: pa.Array) -> pa.Array:
            values = _numbers(column, kind, binding.where)
            if self.label == "interval":
                return self.told(values, pc.cast(values, pa.string()))
            return self.clamped(values)

        return coarsen

    def clamped(self, values: pa.Array) -> pa.Array:
        """The values with those beyond an end moved to it; type kept, nulls kept."""
        if self.bottom is not None:
            values = pc.max_element_wise(values, pa.scalar(self.bottom, values.type), skip_nulls=False)
        if self.top is not None:
            values = pc.min_element_wise(values, pa.scalar(self.top, values.type), skip_nulls=False)
        return values

    def told(self, values: pa.Array, texts: pa.Array) -> pa.Array:
        """The texts with those of values beyond an end replaced by its label; nulls kept."""
        if self.bottom is not None:
            texts = pc.if_else(pc.less(values, self.bottom), f"< {_plain(self.bottom)}", texts)
        if self.top is not None:
            texts = pc.if_else(pc.greater_equal(values, self.top), f">= {_plain(self.top)}", texts)
        return texts


@dataclass(frozen=True, slots=True, kw_only=True)
class Buckets:
    """Buckets of one width, the border at zero; each holds its lower border and not its upper one.

    Attributes:
        width: The width, more than 0; more than 1 for integers, whose buckets would else hold one value.
        ends: The ends of the range.
        label: What is told of a bucket: `[20, 30)`, 20 or 25.
    """

    width: Number
    ends: Range
    label: Label = "interval"

    masks = True
    hides_length = False
    covers = None

    @property
    def takes(self) -> frozenset[Family]:
        return NUMBERS if self.width > 1 else NUMBERS - {Family.INTEGER}

    @property
    def settles(self) -> frozenset[Family]:
        told: dict[Label, frozenset[Family]] = {
            "interval": frozenset(),
            "lower": _settled(self.width, self.ends.bottom, self.ends.top),
            "midpoint": frozenset({Family.FLOATING}),
        }
        return told[self.label]

    def output_type(self, source: pa.DataType) -> pa.DataType:
        number = _number_type(source, self.width, self.ends.bottom, self.ends.top)
        return {"interval": pa.string(), "lower": number, "midpoint": pa.float64()}[self.label]

    def prepare(self, binding: Binding) -> Coarsen:
        kind = _number_type(binding.type, self.width, self.ends.bottom, self.ends.top)
        tell: dict[Label, Callable[[pa.Array, str], pa.Array]] = {
            "interval": self._intervals,
            "lower": self._lowers,
            "midpoint": self._midpoints,
        }
        return lambda column: tell[self.label](_numbers(column, kind, binding.where), binding.where)

    def _intervals(self, values: pa.Array, _where: str) -> pa.Array:
        return self.ends.told(values, labelled(_steps(values, _exact(self.width), np.floor), self._interval))

    def _interval(self, bucket: int) -> str:
        """The bucket's borders, not beyond the ends of the range."""
        lower, upper = bucket * _decimal(self.width), (bucket + 1) * _decimal(self.width)
        if self.ends.bottom is not None:
            lower = max(lower, _decimal(self.ends.bottom))
        if self.ends.top is not None:
            upper = min(upper, _decimal(self.ends.top))
        return f"[{_plain(lower)}, {_plain(upper)})"

    def _lowers(self, values: pa.Array, where: str) -> pa.Array:
        width, values = _exact(self.width), self.ends.clamped(values)
        return _scaled(_steps(values, width, np.floor), width, values.type, where)

    def _midpoints(self, values: pa.Array, where: str) -> pa.Array:
        half = _exact(self.width) / 2
        buckets = _steps(self.ends.clamped(values), _exact(self.width), np.floor)
        return _scaled(
            pc.add(pc.multiply(pc.cast(buckets, pa.float64(), safe=False), 2.0), 1.0),
            half,
            pa.float64(),
            where,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Rounding:
    """Values rounded to the nearest multiple of a step, halves to the even one.

    Attributes:
        step: The step, more than 0; a whole number, more than 1, for integers.
        ends: The ends of the range, cut off before.
    """

    step: Fraction
    ends: Range

    masks = True
    hides_length = False
    covers = None

    @property
    def takes(self) -> frozenset[Family]:
        whole = self.step.denominator == 1 and self.step > 1
        return NUMBERS if whole else NUMBERS - {Family.INTEGER}

    @property
    def settles(self) -> frozenset[Family]:
        return _settled(self.ends.bottom, self.ends.top)

    def output_type(self, source: pa.DataType) -> pa.DataType:
        return _number_type(source, self.ends.bottom, self.ends.top)

    def prepare(self, binding: Binding) -> Coarsen:
        kind = self.output_type(binding.type)

        def coarsen(column: pa.Array) -> pa.Array:
            values = self.ends.clamped(_numbers(column, kind, binding.where))
            return _scaled(_steps(values, self.step, np.rint), self.step, kind, binding.where)

        return coarsen


@dataclass(frozen=True, slots=True, kw_only=True)
class Edges:
    """Buckets between borders of one's own: `< 18`, `[18, 65)`, `>= 65`.

    Attributes:
        edges: The borders, ascending.
    """

    edges: tuple[Number, ...]

    masks = True
    hides_length = False
    covers = None
    takes = NUMBERS
    settles: frozenset[Family] = frozenset()

    def output_type(self, source: pa.DataType) -> pa.DataType:
        return pa.string()

    def prepare(self, binding: Binding) -> Coarsen:
        kind = _number_type(binding.type, *self.edges)
        borders = np.array(self.edges, kind.to_pandas_dtype())
        told = [_plain(edge) for edge in self.edges]
        between = [f"[{lower}, {upper})" for lower, upper in itertools.pairwise(told)]
        labels = pa.array([f"< {told[0]}", *between, f">= {told[-1]}"])

        def coarsen(column: pa.Array) -> pa.Array:
            values = _numbers(column, kind, binding.where)
            buckets = np.searchsorted(borders, _filled(values), side="right")
            return labels.take(pa.array(buckets, mask=_missing(values)))

        return coarsen


def rounded(column: pa.Array, step: Fraction, where: str) -> pa.Array:
    """Round floats or decimals to the nearest multiple of a step: float64. Nulls and NaN give null."""
    values = _numbers(column, pa.float64(), where)
    return _scaled(_steps(values, step, np.rint), step, pa.float64(), where)


def decimal_step(digits: int) -> Fraction:
    """The step that rounding to `digits` decimal places goes by; negative ones count left of the point."""
    return Fraction(10) ** -digits


def exact_step(number: Number) -> Fraction:
    """A step as the policy wrote it."""
    return _exact(number)


def _number_type(source: pa.DataType, *parameters: Number | None) -> pa.DataType:
    """int64 where the column and all parameters are whole, else float64."""
    whole = all(parameter is None or float(parameter).is_integer() for parameter in parameters)
    return pa.int64() if pa.types.is_integer(source) and whole else pa.float64()


def _settled(*parameters: Number | None) -> frozenset[Family]:
    """What columns keep their kind: of whole numbers, where all parameters are whole; of floats always."""
    whole = all(parameter is None or float(parameter).is_integer() for parameter in parameters)
    return frozenset({Family.FLOATING, Family.INTEGER} if whole else {Family.FLOATING})


def _numbers(column: pa.Array, kind: pa.DataType, where: str) -> pa.Array:
    """The column as int64 or float64; NaN is no number and becomes null.

    Raises:
        TransformError: Unsigned integers do not fit into int64.
    """
    if pa.types.is_uint64(column.type) and pa.types.is_int64(kind):
        large = pc.sum(pc.greater(column, pa.scalar(2**63 - 1, pa.uint64()))).as_py()
        if large:
            msg = f"{large} values are larger than 2^63 - 1"
            raise TransformError(msg, where=where, expected="64-bit integers")
    values = column.cast(kind, safe=False)
    if pa.types.is_int64(kind):
        return values
    return pc.if_else(pc.is_nan(values), pa.scalar(None, kind), values)


def _steps(values: pa.Array, step: Fraction, rounding: Callable[..., Any]) -> pa.Array:
    """How many steps each value is from zero, rounded down or to the nearest: int64.

    Nulls stay null; an infinity, or a float of more than 2^62 steps, is in no bucket and becomes null.
    """
    missing = _missing(values)
    if pa.types.is_int64(values.type) and step.denominator == 1:
        return pa.array(_whole_steps(_filled(values), step.numerator, rounding), mask=missing)
    scaled = _filled(values).astype(np.float64) * step.denominator / step.numerator
    nearest = np.rint(scaled)
    with np.errstate(invalid="ignore"):  # an infinity is no distance from itself
        on_border = np.abs(scaled - nearest) <= _NEAR * np.maximum(np.abs(scaled), 1.0)
    steps = np.where(on_border, nearest, rounding(scaled))
    beyond = ~(np.abs(steps) < _LARGEST)
    steps[beyond] = 0
    return pa.array(steps.astype(np.int64), mask=missing | beyond)


def _whole_steps(values: NDArray[np.int64], step: int, rounding: Callable[..., Any]) -> NDArray[np.int64]:
    """`_steps` for integers, exact over all of int64."""
    steps, rest = np.divmod(values, np.int64(step))
    if rounding is np.floor:
        return steps
    # rest and step - rest both fit; twice the rest may not.
    over = rest - (step - rest)
    rounded: NDArray[np.int64] = steps + ((over > 0) | ((over == 0) & (steps % 2 != 0)))
    return rounded


def _scaled(steps: pa.Array, step: Fraction, kind: pa.DataType, where: str) -> pa.Array:
    """Steps as values again.

    Raises:
        TransformError: A multiple does not fit into 64 bits.
    """
    if pa.types.is_float64(kind):
        exact = pc.cast(steps, pa.float64(), safe=False)
        return pc.divide(pc.multiply(exact, float(step.numerator)), float(step.denominator))
    try:
        return pc.multiply_checked(steps, pa.scalar(step.numerator, pa.int64()))
    except (pa.ArrowInvalid, OverflowError):
        raise TransformError(
            "a multiple of the step next to some value does not fit into 64 bits",
            where=where,
            fix="cut the range with `bottom` and `top`, or take a smaller step",
        ) from None


def _filled(values: pa.Array) -> NDArray[Any]:
    """The values as numpy, zero for null."""
    filled: NDArray[Any] = pc.fill_null(values, pa.scalar(0, values.type)).to_numpy(zero_copy_only=False)
    return filled


def _missing(values: pa.Array) -> NDArray[np.bool_]:
    missing: NDArray[np.bool_] = pc.is_null(values).to_numpy(zero_copy_only=False)
    return missing


def _decimal(number: Number) -> Decimal:
    """The decimal number that the policy wrote: the shortest one that gives this float."""
    return Decimal(str(number))


def _exact(number: Number) -> Fraction:
    return Fraction(_decimal(number))


def _plain(number: Number | Decimal) -> str:
    """A number without an exponent and without zeros at the end."""
    text = format(number if isinstance(number, Decimal) else _decimal(number), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
