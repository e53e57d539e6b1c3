"""`noise`: numbers are blurred by keyed noise. This is not differential privacy."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from airflow_veil.privacy.errors import TransformError
from airflow_veil.privacy.lazy import np, pa, pc
from airflow_veil.privacy.transforms.base import Binding, Kernel, Properties, Step, Transform
from airflow_veil.privacy.transforms.family import NUMBERS, Family
from airflow_veil.privacy.transforms.keyed import subject_of, subjects, subkey
from airflow_veil.privacy.transforms.text import decoded, plain_type

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

# From here on a float64 cannot hold every whole number.
_EXACT = float(1 << 53)

# Half a unit of Laplace noise leaves one whole number in three unchanged.
_LEAST_INTEGER_SCALE = 0.5


def _ordered(bounds: tuple[float, float] | None) -> tuple[float, float] | None:
    if bounds is not None and not bounds[0] < bounds[1]:  # so that NaN is none either
        raise PydanticCustomError("bounds", "the first of `bounds` must be below the second")
    return bounds


class Noise(Transform):
    """Add noise to a number. NOT differential privacy: no budget bounds what is learned from the release.

    Input: integers and floats. Output: the same type; integers are rounded, and stop at the ends of their
    type. Nulls: kept; NaN is kept as it is, infinity is an error. Units: those of the column, or shares of
    the value with `relative` (then a zero stays zero). Guarantee: the noise is a keyed function of subject,
    value and column (of value and column alone where the subject is null), so that releasing the same value
    every night gives the same noise and averaging over releases learns nothing; a value that changes a
    little every night gets fresh noise each time. Equal values of one subject stay equal. Source: AES-CMAC
    (RFC 4493) as a pseudo-random function; inverse of the Laplace distribution function; Box and Muller's
    method (1958) for the Gaussian.
    """

    word: ClassVar[str] = "noise"
    step: ClassVar[Step] = Step.TOKENIZE

    scale: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    """The standard deviation of Gaussian noise; the scale b of Laplace noise (standard deviation 1.41 b)."""
    distribution: Literal["laplace", "gaussian"] = "laplace"
    """The shape of the noise."""
    relative: bool = False
    """Whether the scale is a share of each value's magnitude instead of a number in the column's unit."""
    by: Literal["subject", "value"] = "subject"
    """What the noise depends on besides the column: subject and value, or the value alone, which then has one
    result wherever it occurs."""
    bounds: Annotated[tuple[float, float] | None, AfterValidator(_ordered)] = None
    """The smallest and the largest number that may come out; what lies outside becomes the nearer of them."""
    round_to: Annotated[float | None, Field(gt=0, allow_inf_nan=False)] = None
    """Round the result to a multiple of this; integers are rounded to whole numbers after it."""

    @model_validator(mode="after")
    def _not_rounded_away(self) -> Noise:
        if self.round_to is not None and not self.relative and self.round_to > 2 * self.scale:
            raise PydanticCustomError(
                "round_to",
                "rounding to {round_to} takes most of a noise of scale {scale} away; use a larger scale, or "
                "`generalize` if rounding is all that is wanted",
                {"round_to": self.round_to, "scale": self.scale},
            )
        return self

    @property
    def needs_subject(self) -> bool:  # type: ignore[override]
        """Whether the data set must say whose rows they are."""
        return self.by == "subject"

    @property
    def properties(self) -> Properties:
        return Properties(
            deterministic=self.by == "value",
            reversible=False,
            unique=False,
            hides_length=True,
            # Relative noise leaves a zero as it is.
            masks=not self.relative,
        )

    @property
    def takes(self) -> frozenset[Family]:
        return NUMBERS - {Family.DECIMAL}

    def output_type(self, source: pa.DataType) -> pa.DataType:
        return plain_type(source)

    def inputs(self, subject: str | None) -> tuple[str, ...]:
        return (subject,) if subject is not None and self.by == "subject" else ()

    def key_domain(self, *, column: str, subject: str) -> str:
        return column

    def prepare(self, binding: Binding) -> Kernel:
        self._require_visible(binding)
        subject = subject_of(binding, self.word) if self.by == "subject" else None
        key = subkey(binding, "noise", length=64)

        def kernel(column: pa.Array, inputs: Mapping[str, pa.Array]) -> pa.Array:
            column = decoded(column)
            exact = _exact(column, binding.where)
            names = None if subject is None else subjects(binding, subject, inputs)
            noise = self.scale * self._draw(_messages(exact, names), key)
            noisy = exact + (noise * np.abs(exact) if self.relative else noise)
            return _like(column, self._tidy(noisy))

        return kernel

    def _require_visible(self, binding: Binding) -> None:
        """Noise that rounding to whole numbers takes away would release the values as they are."""
        if (
            pa.types.is_integer(plain_type(binding.type))
            and not self.relative
            and self.scale < _LEAST_INTEGER_SCALE
        ):
            msg = f"noise of scale {self.scale} on whole numbers is mostly rounded away"
            raise TransformError(
                msg,
                where=binding.where,
                expected=f"a scale of at least {_LEAST_INTEGER_SCALE} for {binding.type}",
                fix="use a larger `scale`",
            )

    def _draw(self, messages: pa.BinaryArray, key: bytes) -> Floats:
        """Standard noise for each message, shape (n,)."""
        first = _uniform(messages, key[:32])
        if self.distribution == "laplace":
            return laplace(first)
        return gaussian(first, _uniform(messages, key[32:]))

    def _tidy(self, noisy: Floats) -> Floats:
        if self.round_to is not None:
            noisy = _rounded(noisy, self.round_to)
        return noisy if self.bounds is None else np.clip(noisy, *self.bounds)


def _rounded(noisy: Floats, step: float) -> Floats:
    """The nearest multiples of a step; those of 0.01 are written 3.53, not 3.5300000000000002."""
    per_unit = round(1 / step)
    if per_unit and math.isclose(per_unit * step, 1, rel_tol=1e-12):
        return np.rint(noisy * per_unit) / per_unit
    return np.rint(noisy / step) * step


def laplace(uniform: Floats) -> Floats:
    """Laplace noise of scale 1 from numbers in (0, 1): the inverse of its distribution function."""
    centred = uniform - 0.5
    noise: Floats = -np.sign(centred) * np.log1p(-2 * np.abs(centred))
    return noise


def gaussian(first: Floats, second: Floats) -> Floats:
    """Gaussian noise of standard deviation 1 from two independent numbers in (0, 1) (Box, Muller 1958)."""
    noise: Floats = np.sqrt(-2 * np.log(first)) * np.cos(2 * np.pi * second)
    return noise


def _uniform(messages: pa.BinaryArray, key: bytes) -> Floats:
    """A number in (0, 1) for each message, of 52 random bits; the ends have no logarithm and do not occur."""
    from airflow_veil.privacy.crypto import prf

    steps = (prf.uint64(messages, key=key) >> np.uint64(12)).astype(np.float64)
    return (steps + 0.5) * 2.0**-52


def _messages(exact: Floats, names: pa.StringArray | None) -> pa.BinaryArray:
    """What the noise depends on: 8 bytes of the value, then the subject. Equal numbers have equal bytes.

    A row without a subject is treated by its value alone.
    """
    data = np.ascontiguousarray(exact + 0.0, ">f8")  # -0.0 becomes 0.0
    ends = np.arange(len(exact) + 1, dtype=np.int32) * 8
    values = pa.Array.from_buffers(pa.binary(), len(exact), [None, pa.py_buffer(ends), pa.py_buffer(data)])
    if names is None:
        return values
    return pc.binary_join_element_wise(values, pc.cast(pc.fill_null(names, ""), pa.binary()), b"")


def _exact(column: pa.Array, where: str) -> Floats:
    """The numbers as float64, NaN where null."""
    exact: Floats = pc.cast(column, pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    limit = _EXACT if pa.types.is_integer(column.type) else np.inf
    wrong = int(np.count_nonzero(np.abs(exact) >= limit))
    if wrong:
        msg = f"{wrong} of {len(column)} values are infinite, or integers of 2^53 and more"
        raise TransformError(
            msg,
            where=where,
            expected="finite numbers",
            fix="leave the rows out by `where`, or mend the column upstream",
        )
    return exact


def _like(column: pa.Array, noisy: Floats) -> pa.Array:
    """The numbers in the type of the column, with its nulls."""
    null = column.is_null().to_numpy(zero_copy_only=False)
    kind = column.type.to_pandas_dtype()
    if pa.types.is_floating(column.type):
        largest = float(np.finfo(kind).max)
        return pa.array(np.clip(noisy, -largest, largest).astype(kind), column.type, mask=null)
    ends = np.iinfo(kind)
    whole = np.rint(np.where(null, 0, noisy))
    fitted = np.clip(whole, max(float(ends.min), -_EXACT), min(float(ends.max), _EXACT))
    return pa.array(fitted.astype(kind), column.type, mask=null)
