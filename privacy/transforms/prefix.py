"""Texts cut to their first characters."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_veil.privacy.lazy import pa, pc
from airflow_veil.privacy.transforms.base import Binding
from airflow_veil.privacy.transforms.family import TEXT, Family
from airflow_veil.privacy.transforms.form import Coarsen
from airflow_veil.privacy.transforms.text import as_text, text_type


@dataclass(frozen=True, slots=True, kw_only=True)
class Prefix:
    """The first characters of a text (Unicode code points), always at least one less than it has.

    Attributes:
        keep: How many stay.
        pad: What is written for each one left out; None to write nothing.
    """

    keep: int
    pad: str | None = None

    masks = True
    hides_length = False
    covers = None
    takes = TEXT

    @property
    def settles(self) -> frozenset[Family]:
        """Without something in the place of what was cut off, each time another character is."""
        return frozenset() if self.pad is None else TEXT

    def output_type(self, source: pa.DataType) -> pa.DataType:
        return text_type(source)

    def prepare(self, binding: Binding) -> Coarsen:
        return lambda column: self._cut(as_text(column))

    def _cut(self, texts: pa.Array) -> pa.Array:
        sizes = pc.utf8_length(texts)
        begin = pc.utf8_slice_codeunits(texts, 0, self.keep)
        kept = pc.if_else(pc.greater(sizes, self.keep), begin, pc.utf8_slice_codeunits(texts, 0, -1))
        if self.pad is None:
            return kept
        rest = pc.binary_repeat(pa.scalar(self.pad, texts.type), pc.subtract(sizes, pc.utf8_length(kept)))
        return pc.binary_join_element_wise(kept, rest, pa.scalar("", texts.type))
