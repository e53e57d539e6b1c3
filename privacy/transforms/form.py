"""What the forms of `generalize` share: the questions each answers, and what they do with a value they cannot take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal, Protocol, TypeAlias

from pydantic import BeforeValidator, WithJsonSchema

from airflow_veil.privacy.errors import TransformError
from airflow_veil.privacy.lazy import pa
from airflow_veil.privacy.transforms.base import Binding
from airflow_veil.privacy.transforms.family import Family

Invalid = Annotated[
    Literal["fail", "null"],
    BeforeValidator(lambda word: "null" if word is None else word),  # YAML reads a bare `null` as nothing
    WithJsonSchema({"enum": ["fail", "null", None]}),
]
"""What becomes of a value that a form cannot take: the run fails with a count, or the value becomes null."""

Coarsen: TypeAlias = "Callable[[pa.Array], pa.Array]"


class Form(Protocol):
    """One way to make values coarse."""

    @property
    def masks(self) -> bool:
        """Whether no value leaves as it was."""

    @property
    def hides_length(self) -> bool:
        """Whether all texts that come out have one length."""

    @property
    def covers(self) -> str | None:
        """The values it can take, all others becoming null; None if it can take every value of its types."""

    @property
    def takes(self) -> frozenset[Family]:
        """What columns can be made coarse."""

    @property
    def settles(self) -> frozenset[Family]:
        """What columns keep their kind and, made coarse once more, stay as they are; see `Transform.settles`."""

    def output_type(self, source: pa.DataType) -> pa.DataType:
        """The type that comes out."""

    def prepare(self, binding: Binding) -> Coarsen:
        """Read what the form needs once, and return what makes a column of n rows coarse.

        Nulls stay null. A value that the form does not cover becomes null; it is the caller who counts them.
        """


def all_covered(before: pa.Array, after: pa.Array, *, where: str, expected: str) -> pa.Array:
    """Refuse a column with values that a form turned into null because it does not cover them.

    Args:
        before: The column, n rows, not dictionary-encoded.
        after: What the form made of it, n rows.
        where: The place to name in an error.
        expected: What the values should have been.

    Returns:
        `after`.

    Raises:
        TransformError: There are such values.
    """
    count = after.null_count - before.null_count
    if not count:
        return after
    msg = f"`generalize` does not cover {count} values"
    raise TransformError(
        msg,
        where=where,
        expected=expected,
        fix="mend the values upstream, or let them become null with `invalid: null`",
    )
