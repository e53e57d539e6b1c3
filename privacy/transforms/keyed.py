"""What keyed treatments share: the key version they write with, and whose data a row is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Protocol, runtime_checkable

from pydantic import StringConstraints

from airflow_veil.privacy.errors import TransformError
from airflow_veil.privacy.lazy import pa
from airflow_veil.privacy.transforms.base import Binding
from airflow_veil.privacy.transforms.canonical import canonical

Domain = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_]*$", max_length=64)]
"""The name of a key domain that the policy chose; it cannot be mistaken for a `data_set.column`."""


@runtime_checkable
class Reversible(Protocol):
    """A treatment that who holds the key can undo; whether it does is `properties.reversible`."""

    def reverse(self, values: pa.Array, binding: Binding) -> pa.Array:
        """The values that were treated; n rows in, n rows out, nulls stay null."""


def version_of(binding: Binding) -> int:
    """The key version that new values are made with; the key ring's current one where the plan names none."""
    if binding.key_version or binding.keys is None:
        return binding.key_version
    return binding.keys.current


def subkey(binding: Binding, purpose: str, *, length: int = 32) -> bytes:
    """The key of the binding's domain and version for one purpose, `length` bytes.

    Raises:
        KeyRingError: There is no key ring, or the version is destroyed.
    """
    return binding.subkey(purpose, length=length, version=version_of(binding))


def subject_of(binding: Binding, word: str) -> str:
    """The name of the column that says whose data a row is.

    Raises:
        TransformError: The data set has none.
    """
    if binding.subject is None or not binding.domain:
        msg = f"`{word}` treats each person's rows alike, and the data set does not say whose rows they are"
        raise TransformError(
            msg,
            where=binding.where,
            expected="a data set with a subject",
            fix="name the subject's column under `subject:`",
        )
    return binding.subject


def subjects(binding: Binding, subject: str, inputs: Mapping[str, pa.Array]) -> pa.StringArray:
    """Whose data each row is, in canonical spelling: n strings, null where the source has null.

    Raises:
        TransformError: The subject column's values have no canonical spelling.
    """
    return canonical(inputs[subject], where=f"{binding.dataset}.{subject}")
