"""`mask`: characters are written over, all or all but a few."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Annotated, ClassVar, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from airflow_veil.privacy.transforms.base import Binding, Kernel, Properties, Step, Transform
from airflow_veil.privacy.transforms.text import MaskCharacter, is_text, on_text, plain_type, text_type
from airflow_veil.privacy.transforms.utf8 import Characters, Flags, Index, characters_of, ranks

# One block of rows at a time keeps the arrays of a batch in the cache.
_BLOCK_ROWS = 1 << 14
_AT = ord("@")
_ALL = bytes([1]) * 256
_SEPARATORS = bytes(code for code in range(0x20, 0x7F) if not chr(code).isalnum())
_NO_SEPARATORS = bytes(code not in _SEPARATORS for code in range(256))


class Mask(Transform):
    """Write a character over the value's characters, all or all but the first or last few.

    Input: text or integers (their decimal digits). Output: text. Nulls: kept; an empty text stays empty
    unless `length` is set. Guarantee: of every value at least half the characters are masked (or
    `min_masked`). A value too short for that, or one that is no e-mail under `style: email`, is masked whole,
    never released clear.

    A separator is an ASCII space or punctuation mark. With `keep_separators` separators stay and do not count
    as characters; a value of nothing else is masked whole. Characters are Unicode code points.
    """

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True, serialize_by_alias=True)

    word: ClassVar[str] = "mask"
    step: ClassVar[Step] = Step.MASK

    style: Literal["text", "email", "name"] = "text"
    """What the value is: `text` as a whole, `email` for its local part, `name` to keep each word's first letter."""
    keep_first: Annotated[int, Field(ge=0)] = 0
    """How many characters stay at the beginning; of an e-mail, of its local part."""
    keep_last: Annotated[int, Field(ge=0)] = 0
    """How many characters stay at the end; of an e-mail, of its local part."""
    min_masked: Annotated[int, Field(ge=1)] | None = None
    """How many characters must be masked for any to stay; half of the value's, rounded up, where not said."""
    with_: Annotated[MaskCharacter, Field(alias="with")] = "*"
    """The character to write."""
    keep_separators: bool = True
    """Whether spaces and punctuation stay."""
    keep_domain: bool = False
    """Whether the domain of an e-mail stays."""
    length: Annotated[int, Field(ge=1, le=64)] | None = None
    """Write so many characters for each masked stretch, whatever its length; in `text` and `email` the
    separators go too."""

    @model_validator(mode="after")
    def _fits_style(self) -> Mask:
        if self.keep_domain and self.style != "email":
            raise PydanticCustomError("mask_style", "`keep_domain` goes with `style: email` only")
        if self.style == "name" and (self.keep_first or self.keep_last or self.min_masked):
            raise PydanticCustomError(
                "mask_style",
                "`style: name` keeps the first letter of each word; leave out how many to keep or mask",
            )
        return self

    @property
    def properties(self) -> Properties:
        alike = self.style != "name" and not (self.keep_first or self.keep_last or self.keep_domain)
        return Properties(
            deterministic=True,
            reversible=False,
            unique=False,
            hides_length=self.length is not None and alike,
            masks=True,
        )

    def accepts(self, source: pa.DataType) -> bool:
        return is_text(source) or bool(pa.types.is_integer(plain_type(source)))

    def output_type(self, source: pa.DataType) -> pa.DataType:
        return text_type(source)

    def prepare(self, binding: Binding) -> Kernel:
        kernel = partial(_mask, self)
        return lambda column, _inputs: on_text(kernel, column)

    @property
    def fill(self) -> bytes:
        """What a masked stretch of fixed length becomes, or else each masked character; UTF-8."""
        return (self.with_ * (self.length or 1)).encode()

    @property
    def blank(self) -> str:
        """What a value becomes of which nothing may show, not even its length."""
        fill = self.fill.decode()
        return f"{fill}@{fill}" if self.style == "email" else fill


def _mask(rule: Mask, values: pa.Array) -> pa.Array:
    if rule.properties.hides_length:
        return _alike(rule, values)
    style = {"text": _text, "email": _email, "name": _name}[rule.style]
    starts = range(0, max(len(values), 1), _BLOCK_ROWS)
    return pa.concat_arrays([style(rule, characters_of(values.slice(at, _BLOCK_ROWS))) for at in starts])


def _alike(rule: Mask, values: pa.Array) -> pa.Array:
    """Nothing is kept and every stretch has one length: all values become the same."""
    return pc.if_else(values.is_valid(), pa.scalar(rule.blank, values.type), pa.scalar(None, values.type))


def _text(rule: Mask, chars: Characters) -> pa.Array:
    """Mask all but the first and last characters of the value."""
    masked = chars.flags(_NO_SEPARATORS if rule.keep_separators else _ALL)
    kept, first = _edges(rule, masked, chars, chars.stops, chars.valid)
    if rule.length is None:
        masked[kept] = False
        return chars.overwritten(masked, None, rule.fill)
    masked, written = np.ones_like(masked), np.zeros_like(masked)
    masked[kept], written[first] = False, True
    return _blanked(rule, chars.overwritten(masked, written, rule.fill), chars.starts == chars.stops)


def _email(rule: Mask, chars: Characters) -> pa.Array:
    """Mask all but the first and last characters of the local part, and the domain if it is not kept."""
    at, email = _at_signs(chars)
    clear = _clear(rule, chars, at[email], chars.stops[email])
    masked = chars.flags(_NO_SEPARATORS if rule.keep_separators else _ALL) & ~clear
    kept, first = _edges(rule, masked, chars, np.where(email, at, chars.stops), email)
    if rule.length is None:
        masked[kept] = False
        return chars.overwritten(masked, None, rule.fill)
    masked, written = ~clear, np.zeros_like(masked)
    masked[kept], written[first] = False, True
    if not rule.keep_domain:
        written[at[email] + 1] = True
    return _blanked(rule, chars.overwritten(masked, written, rule.fill), ~email)


def _at_signs(chars: Characters) -> tuple[Index, Flags]:
    """Where the at sign of each row is, and which rows are e-mails: one at sign with something on both sides."""
    signs = np.flatnonzero(chars.lead == _AT)
    first = np.searchsorted(signs, chars.bounds)
    one = np.diff(first) == 1
    at = chars.starts.copy()
    at[one] = signs[first[:-1][one]]
    email = one & (at > chars.starts) & (at + 1 < chars.stops)
    return at, email if chars.valid is None else email & chars.valid


def _clear(rule: Mask, chars: Characters, at: Index, stops: Index) -> Flags:
    """The at signs, and the domains after them if these are kept."""
    clear = np.zeros(len(chars.lead) + 1, np.int8)
    clear[at] = 1
    if rule.keep_domain:
        clear[stops] = -1
        np.cumsum(clear, out=clear)
    return clear[:-1].astype(np.bool_)


def _name(rule: Mask, chars: Characters) -> pa.Array:
    """Keep the first letter of each word of two letters or more; words stand between separators."""
    letters = chars.flags(_NO_SEPARATORS)
    before, after = _neighbours(letters, chars)
    kept = letters & ~before & after
    _ranked(letters, chars.starts, chars.stops)
    masked = letters & ~kept if rule.keep_separators else ~kept
    if rule.length is None:
        return chars.overwritten(masked, None, rule.fill)
    first = masked & ~_neighbours(masked, chars)[0]
    return _blanked(rule, chars.overwritten(masked, first, rule.fill), chars.starts == chars.stops)


def _neighbours(flags: Flags, chars: Characters) -> tuple[Flags, Flags]:
    """The flags of the character before and of the one after in the same row; False where there is none."""
    before, after = np.zeros_like(flags), np.zeros_like(flags)
    before[1:], after[:-1] = flags[:-1], flags[1:]
    filled = chars.starts < chars.stops
    before[chars.starts[filled]] = False
    after[chars.stops[filled] - 1] = False
    return before, after


@dataclass(frozen=True, slots=True, eq=False)
class _Ranked:
    """The characters to mask, numbered from the first to the last of the batch.

    Attributes:
        places: Where each is; None if every character is to be masked.
        first: The number of each row's first one, shape (n,).
        last: One past the number of each row's last one, shape (n,).
        blank: The rows that had none, so that all their characters count, shape (n,).
    """

    places: Index | None
    first: Index
    last: Index
    blank: Flags

    def at(self, numbers: Index) -> Index:
        """Where the characters of these numbers are."""
        return numbers if self.places is None else self.places[numbers]


def _ranked(masked: Flags, starts: Index, stops: Index) -> _Ranked:
    """Number the characters to mask; where a row has characters but none to mask, set the flags of all."""
    if masked.all():
        return _Ranked(None, starts, stops, np.zeros(len(starts), np.bool_))
    before = ranks(masked)
    blank = (before[starts] == before[stops]) & (starts < stops)
    if blank.any():
        for start, stop in zip(starts[blank], stops[blank], strict=True):
            masked[start:stop] = True  # a value of punctuation alone is rare
        before = ranks(masked)
    return _Ranked(np.flatnonzero(masked), before[starts], before[stops], blank)


def _edges(
    rule: Mask, masked: Flags, chars: Characters, stops: Index, keeps: Flags | None
) -> tuple[Index, Index]:
    """The characters that rows keep, and the first one of each row that is masked.

    A row of which too little would be masked keeps nothing, and so does one of punctuation alone.

    Args:
        rule: How many are kept and masked.
        masked: The characters to mask, ends included, shape (c,).
        chars: The rows.
        stops: One past the last character of each row that counts, shape (n,).
        keeps: Which rows may keep characters, shape (n,); None for all.
    """
    ranked = _ranked(masked, chars.starts, stops)
    count = ranked.last - ranked.first
    needed = np.maximum((count + 1) // 2, 1) if rule.min_masked is None else rule.min_masked
    enough = ~ranked.blank & (count - (rule.keep_first + rule.keep_last) >= needed)
    if keeps is not None:
        enough &= keeps
    begin, end = ranked.first[enough], ranked.last[enough]
    ends = [begin + nth for nth in range(rule.keep_first)] + [end - 1 - nth for nth in range(rule.keep_last)]
    kept = np.concatenate(ends) if ends else np.empty(0, np.int64)
    written = (ranked.first + enough * rule.keep_first)[count > 0]
    return ranked.at(kept), ranked.at(written)


def _blanked(rule: Mask, masked: pa.Array, blank: Flags) -> pa.Array:
    """The rows, with the same text in all blank ones that are not null."""
    if not blank.any():
        return masked
    filled = pc.and_(pa.array(blank), masked.is_valid())
    return pc.if_else(filled, pa.scalar(rule.blank, masked.type), masked)
