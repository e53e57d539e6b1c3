"""`mask`: characters are written over, all or all but a few."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from airflow_veil.privacy.lazy import np, pa, pc
from airflow_veil.privacy.transforms.base import Binding, Kernel, Properties, Step, Transform
from airflow_veil.privacy.transforms.canonical import once_per_distinct
from airflow_veil.privacy.transforms.family import TEXT, Family
from airflow_veil.privacy.transforms.text import MaskCharacter, on_text, text_type

if TYPE_CHECKING:
    from airflow_veil.privacy.transforms.utf8 import Characters, Flags, Index

# So many bytes of rows at a time keep the arrays of a block in the cache, eight bytes a character.
_BLOCK_BYTES = 3 << 15
# So many separators in a row are stepped over one by one; where there are more, all characters are searched.
_STEPS = 4
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

    @property
    def takes(self) -> frozenset[Family]:
        return TEXT | {Family.INTEGER}

    @property
    def settles(self) -> frozenset[Family]:
        if self.style == "name" or self.keep_first or self.keep_last or self.keep_domain:
            return frozenset()
        # Asterisks are separators, and a value of nothing else is masked whole.
        again = self.length is None and self.keep_separators and self.with_.encode() in _SEPARATORS
        return frozenset() if again else TEXT

    def output_type(self, source: pa.DataType) -> pa.DataType:
        return text_type(source)

    def prepare(self, binding: Binding) -> Kernel:
        kernel = partial(on_text, partial(_mask, self))
        if self.style == "name":
            # Names repeat more than other texts do, and to find them again costs a fraction of masking them.
            return lambda column, _inputs: once_per_distinct(column, kernel)
        return lambda column, _inputs: kernel(column)

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
    from airflow_veil.privacy.transforms.utf8 import characters_of

    if rule.properties.hides_length:
        return _alike(rule, values)
    style = {"text": _text, "email": _email, "name": _name}[rule.style]
    rows = len(values) * _BLOCK_BYTES // max(values.nbytes, 1) + 1
    starts = range(0, max(len(values), 1), rows)
    return pa.concat_arrays([style(rule, characters_of(values.slice(at, rows))) for at in starts])


def _alike(rule: Mask, values: pa.Array) -> pa.Array:
    """Nothing is kept and every stretch has one length: all values become the same."""
    return pc.if_else(values.is_valid(), pa.scalar(rule.blank, values.type), pa.scalar(None, values.type))


def _text(rule: Mask, chars: Characters) -> pa.Array:
    """Mask all but the first and last characters of the value."""
    masked = chars.flags(_NO_SEPARATORS if rule.keep_separators else _ALL)
    kept = _ends(rule, masked, chars.starts, chars.stops, chars.valid)
    masked[kept] = False
    if rule.length is None:
        return chars.overwritten(masked, None, rule.fill)
    holes = _first(masked, chars.starts, chars.stops)
    masked[:] = True
    masked[kept] = False
    return _blanked(rule, chars.overwritten(masked, holes, rule.fill), chars.starts == chars.stops)


def _email(rule: Mask, chars: Characters) -> pa.Array:
    """Mask all but the first and last characters of the local part, and the domain if it is not kept."""
    stops, email = _local_parts(chars)
    hidden = _hidden(rule, chars, stops, email)
    masked = chars.flags(_NO_SEPARATORS if rule.keep_separators else _ALL)
    masked &= hidden
    kept = _ends(rule, masked, chars.starts, stops, email)
    masked[kept] = False
    if rule.length is None:
        return chars.overwritten(masked, None, rule.fill)
    holes = _first(masked, chars.starts, stops)
    if not rule.keep_domain:
        holes = np.concatenate([holes, stops[email] + 1])
    hidden[kept] = False
    return _blanked(rule, chars.overwritten(hidden, holes, rule.fill), ~email)


def _local_parts(chars: Characters) -> tuple[Index, Flags]:
    """Where the local part of each row ends, and which rows are e-mails; of others, all is local.

    An e-mail has one at sign, with something on both sides.
    """
    signs = np.flatnonzero(chars.lead == _AT)
    if len(signs) == len(chars.starts) and ((chars.starts < signs) & (signs + 1 < chars.stops)).all():
        at, email = signs, np.ones(len(signs), np.bool_)
    else:
        first = np.searchsorted(signs, chars.bounds)
        at = np.append(signs, 0)[first[:-1]]
        email = (np.diff(first) == 1) & (at > chars.starts) & (at + 1 < chars.stops)
    if chars.valid is not None:
        email &= chars.valid
    return np.where(email, at, chars.stops), email


def _hidden(rule: Mask, chars: Characters, stops: Index, email: Flags) -> Flags:
    """All characters but at signs, and but domains if these are kept; local parts end at `stops`."""
    if rule.keep_domain:
        lengths = np.stack([stops - chars.starts, chars.stops - stops], axis=1).ravel()
        return np.repeat(np.tile([True, False], len(stops)), lengths)
    hidden = np.ones(len(chars.lead), np.bool_)
    hidden[stops[email]] = False
    return hidden


def _name(rule: Mask, chars: Characters) -> pa.Array:
    """Keep the first letter of each word of two letters or more; words stand between separators."""
    letters = chars.flags(_NO_SEPARATORS)
    before, after = _neighbours(letters, chars)
    kept = letters & ~before & after
    _counts(letters, chars.starts, chars.stops)
    masked = letters & ~kept if rule.keep_separators else ~kept
    if rule.length is None:
        return chars.overwritten(masked, None, rule.fill)
    holes = np.flatnonzero(masked & ~_neighbours(masked, chars)[0])
    return _blanked(rule, chars.overwritten(masked, holes, rule.fill), chars.starts == chars.stops)


def _neighbours(flags: Flags, chars: Characters) -> tuple[Flags, Flags]:
    """The flags of the character before and of the one after in the same row; False where there is none."""
    before, after = np.zeros_like(flags), np.zeros_like(flags)
    before[1:], after[:-1] = flags[:-1], flags[1:]
    filled = chars.starts < chars.stops
    before[chars.starts[filled]] = False
    after[chars.stops[filled] - 1] = False
    return before, after


def _ends(rule: Mask, masked: Flags, starts: Index, stops: Index, keeps: Flags | None) -> Index:
    """The characters that rows keep.

    A row of which too little would be masked keeps nothing, and so does one of punctuation alone, whose flags
    are set.

    Args:
        rule: How many are kept and masked.
        masked: The characters to mask, ends included, shape (c,).
        starts: The first character of each row, shape (n,).
        stops: One past the last character of each row that counts, shape (n,).
        keeps: Which rows may keep characters, shape (n,); None for all.
    """
    if rule.length is not None and not (rule.keep_first or rule.keep_last):
        # All is one stretch, which begins with the row: nothing has to be counted.
        masked[starts[starts < stops]] = True
        return np.empty(0, np.int64)
    count = _counts(masked, starts, stops)
    needed = np.maximum((count + 1) // 2, 1) if rule.min_masked is None else rule.min_masked
    enough = count - (rule.keep_first + rule.keep_last) >= needed
    if keeps is not None:
        enough &= keeps
    ends = _nearest(masked, starts[enough], rule.keep_first, 1)
    ends += _nearest(masked, stops[enough] - 1, rule.keep_last, -1)
    return np.concatenate(ends) if ends else np.empty(0, np.int64)


def _counts(masked: Flags, starts: Index, stops: Index) -> Index:
    """How many characters each row has to mask; where there are none, set the flags of all that it has."""
    from airflow_veil.privacy.transforms.utf8 import ranks

    if masked.all():
        return stops - starts
    before = ranks(masked)
    counts = before[stops] - before[starts]
    blank = (counts == 0) & (starts < stops)
    for start, stop in zip(starts[blank], stops[blank], strict=True):
        masked[start:stop] = True  # a value of punctuation alone is rare
    return counts


def _first(masked: Flags, starts: Index, stops: Index) -> Index:
    """The first character to mask of each row that has any characters."""
    return _next(masked, starts[starts < stops], 1)


def _nearest(masked: Flags, at: Index, count: int, step: int) -> list[Index]:
    """Of each row, the `count` first characters to mask from `at` on, or back from `at`; it has as many."""
    found: list[Index] = []
    while len(found) < count:
        found.append(_next(masked, at, step))
        at = found[-1] + step
    return found


def _next(masked: Flags, at: Index, step: int) -> Index:
    """The nearest characters to mask from `at` on (step 1), or back from `at` (step -1); there are such."""
    at = at.copy()
    off = np.flatnonzero(~masked[at])
    for _ in range(_STEPS):
        if not off.size:
            return at
        at[off] += step
        off = off[~masked[at[off]]]
    places = np.flatnonzero(masked)
    at[off] = places[np.searchsorted(places, at[off], "left" if step > 0 else "right") - (step < 0)]
    return at


def _blanked(rule: Mask, masked: pa.Array, blank: Flags) -> pa.Array:
    """The rows, with the same text in all blank ones that are not null."""
    if not blank.any():
        return masked
    filled = pc.and_(pa.array(blank), masked.is_valid())
    return pc.if_else(filled, pa.scalar(rule.blank, masked.type), masked)
