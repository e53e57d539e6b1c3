"""Names of a row found again in its free text."""

from __future__ import annotations

import itertools
import unicodedata
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from airflow_veil.privacy.transforms.patterns import label

Index = NDArray[np.int64]

_NO_WORD = r"[^\p{L}\p{N}]+"
_MARKS = r"\p{M}+"
_SHORTEST = 2
_FINAL_SIGMA = ("\N{GREEK SMALL LETTER FINAL SIGMA}", "\N{GREEK SMALL LETTER SIGMA}")


def without_names(texts: pa.Array, names: Sequence[pa.Array]) -> pa.Array:
    """Write `[NAME]` over every word of a text that is a word of one of its row's names.

    Words are compared without regard to case and accents; names of one letter are left. Rows that hold no
    name of theirs are told on whole columns; Python looks at the others, because Arrow has no replacement
    whose pattern differs by row.

    Args:
        texts: n texts, `string` or `large_string`. Nulls stay null.
        names: Columns of n texts. Nulls name nobody.
    """
    rows, words = _own_names(texts, names)
    if not rows.size:
        return texts
    changed = [
        _without(text, own) for text, own in zip(texts.take(pa.array(rows)).to_pylist(), words, strict=True)
    ]
    chosen = np.zeros(len(texts), np.bool_)
    chosen[rows] = True
    return pc.replace_with_mask(texts, pa.array(chosen), pa.array(changed, texts.type))


def _without(text: str, names: frozenset[str]) -> str:
    words = ("".join(word) for _, word in itertools.groupby(text, _in_word))
    return "".join(label("name") if _folded(word) in names else word for word in words)


def _in_word(character: str) -> bool:
    """Whether a character is a letter, a number, or a mark on one."""
    return unicodedata.category(character)[0] in "LNM"


def _folded(word: str) -> str:
    """A word as `words_of` gives it: decomposed, without marks, in lower case, all letters by themselves."""
    letters = (
        letter for letter in unicodedata.normalize("NFKD", word) if unicodedata.category(letter)[0] != "M"
    )
    return "".join(letter.lower() for letter in letters).replace(*_FINAL_SIGMA)


def _own_names(texts: pa.Array, names: Sequence[pa.Array]) -> tuple[Index, list[frozenset[str]]]:
    """Which rows hold a name of theirs, ascending, and the names each of them holds."""
    named_rows, named = (pa.concat_arrays(parts) for parts in zip(*map(words_of, names), strict=True))
    told_rows, told = words_of(texts)
    known = pc.unique(named)
    of_name = _pairs(named_rows, named, known)
    of_text = _pairs(told_rows, told, known)
    held = np.intersect1d(of_text, of_name)
    rows, codes = np.divmod(held, max(len(known), 1))
    owners, begins = np.unique(rows, return_index=True)
    words = known.take(pa.array(codes)).to_pylist()
    borders = [*begins.tolist(), len(words)]
    return owners, [frozenset(words[begin:end]) for begin, end in itertools.pairwise(borders)]


def words_of(texts: pa.Array) -> tuple[pa.Array, pa.Array]:
    """The words of all texts, folded, with the row of each; those of one letter are left out."""
    folded = pc.replace_substring_regex(pc.utf8_normalize(texts.cast(pa.string()), form="NFKD"), _MARKS, "")
    lower = pc.replace_substring(pc.utf8_lower(folded), *_FINAL_SIGMA)
    split = pc.split_pattern_regex(lower, _NO_WORD)
    words, rows = pc.list_flatten(split), pc.list_parent_indices(split)
    long = pc.greater_equal(pc.utf8_length(words), _SHORTEST)
    return rows.filter(long), words.filter(long)


def _pairs(rows: pa.Array, words: pa.Array, known: pa.Array) -> Index:
    """Row and word as one number, for the words that are known."""
    codes = pc.index_in(words, value_set=known)
    found = codes.is_valid()
    numbers: Index = (
        rows.filter(found).to_numpy().astype(np.int64) * len(known) + codes.filter(found).to_numpy()
    )
    return numbers
