"""`sample`: a share of the subjects leaves, the same ones in every table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import Field

from airflow_veil.privacy.errors import TransformError
from airflow_veil.privacy.lazy import np, pa
from airflow_veil.privacy.transforms.base import Binding, RowFilter, RowKernel
from airflow_veil.privacy.transforms.canonical import is_canonical_type
from airflow_veil.privacy.transforms.keyed import subject_of, subjects, subkey


class Sample(RowFilter):
    """Keep the rows of a keyed random share of the subjects, so that sampled tables still join.

    Input: the subject column, any type with a canonical spelling. Nulls: rows that are nobody's are
    dropped, whatever the fraction. Guarantee: each subject is kept with the probability `fraction`,
    independently of the others as far as anyone without the key can tell; a subject is in the sample of
    every table with the same root, every night, until the key is rotated. Source: AES-CMAC (RFC 4493) as a
    pseudo-random function.
    """

    word: ClassVar[str] = "sample"
    keyed: ClassVar[bool] = True

    fraction: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]
    """The share of the subjects that leaves, above 0 and at most 1."""

    def inputs(self, subject: str | None) -> tuple[str, ...]:
        return () if subject is None else (subject,)

    def prepare(self, binding: Binding, types: Mapping[str, pa.DataType]) -> RowKernel:
        from airflow_veil.privacy.crypto import prf

        subject = subject_of(binding, self.word)
        if not is_canonical_type(types[subject]):
            msg = f"`sample` cannot tell subjects by a column of type {types[subject]}"
            raise TransformError(
                msg,
                where=f"{binding.dataset}.{subject}",
                expected="text, whole numbers, dates or times",
            )
        key = subkey(binding, "sample")
        # The largest number that is kept: 2^64 itself has no place in 64 bits.
        highest = np.uint64(max(1, int(self.fraction * 2.0**64)) - 1)

        def kernel(inputs: Mapping[str, pa.Array]) -> pa.BooleanArray:
            names = subjects(binding, subject, inputs)
            kept = prf.uint64(names, key=key) <= highest
            return pa.array(kept & names.is_valid().to_numpy(zero_copy_only=False))

        return kernel
