"""`redact`: personal data in free text is written over, as far as it can be recognized."""

from __future__ import annotations

from functools import partial, reduce
from typing import Annotated, ClassVar

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from airflow_veil.privacy.errors import TransformError
from airflow_veil.privacy.lazy import pa
from airflow_veil.privacy.transforms.base import Binding, Kernel, Properties, Step, Transform
from airflow_veil.privacy.transforms.family import TEXT, Family
from airflow_veil.privacy.transforms.patterns import KINDS, PATTERNS, Kind, Pattern
from airflow_veil.privacy.transforms.text import as_text, decoded, is_text, on_text, text_type


class Redact(Transform):
    """Write a label such as `[EMAIL]` over what is recognized in free text as personal data.

    Card numbers count with 12 to 19 digits and a valid check digit (Luhn), IBANs with their country's length and
    check digits, US social security numbers in areas that are given out, IP addresses with valid parts. Names are
    those that other columns of the same row hold, dropped ones included, word by word.

    Input: text. Output: text. Nulls: kept. Guarantee: best effort. What has another form, or a name that no column
    of the row holds, stays: where that is too much, `drop` the column.
    """

    word: ClassVar[str] = "redact"
    step: ClassVar[Step] = Step.MASK

    kinds: tuple[Kind, ...] = KINDS
    """What to look for."""
    names_from: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field()] = ()
    """Columns of the same row with names to look for; words of one letter do not count."""

    @model_validator(mode="after")
    def _something(self) -> Redact:
        if not self.kinds and not self.names_from:
            raise PydanticCustomError("redact_nothing", "`redact` needs `kinds` or `names_from` to look for")
        return self

    @property
    def properties(self) -> Properties:
        return Properties(
            # With names, the same text is another one in a row of other people.
            deterministic=not self.names_from,
            reversible=False,
            unique=False,
            hides_length=False,
            masks=True,
        )

    @property
    def takes(self) -> frozenset[Family]:
        return TEXT

    def output_type(self, source: pa.DataType) -> pa.DataType:
        return text_type(source)

    def inputs(self, subject: str | None) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self.names_from))

    def prepare(self, binding: Binding) -> Kernel:
        patterns = [pattern for pattern in PATTERNS if pattern.kind in self.kinds]
        names_from = self.inputs(binding.subject)
        if not names_from:
            return lambda column, _inputs: on_text(partial(_without, patterns), column)
        from airflow_veil.privacy.transforms.names import without_names

        return lambda column, inputs: without_names(
            on_text(partial(_without, patterns), column),
            [_names(inputs[name], name, binding.where) for name in names_from],
        )


def _without(patterns: list[Pattern], texts: pa.Array) -> pa.Array:
    """The texts with every pattern written over, one after the other."""
    return reduce(lambda rest, pattern: pattern.replaced(rest), patterns, texts)


def _names(column: pa.Array, name: str, where: str) -> pa.Array:
    """A column of names as text."""
    if not is_text(column.type):
        msg = f"`names_from` names the column {name} of type {column.type}"
        raise TransformError(
            msg,
            where=where,
            expected="columns of text",
        )
    return as_text(decoded(column))
