"""What the words of values say: names of people and places, titles, jobs, and text that somebody wrote."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from airflow_veil.privacy.classify import dictionary
from airflow_veil.privacy.classify.shape import Mask, Shape
from airflow_veil.privacy.transforms.names import words_of

MOST = 10_000
"""Different values of a batch whose words are looked up: a share of them is known to within a hundredth."""
_MOST_FORMS = 60
"""Columns with more different values than this hold no few fixed words."""


@dataclass
class Words:
    """Counts over the different texts of a column; adds up over batches.

    Attributes:
        tried: Texts whose words were looked up.
        hits: By what was found, in how many of them.
        rows: Values, repeated ones counted.
        different: Different values.
        has: What was found at all: words for men, for women, for groups of people.
    """

    tried: int = 0
    hits: Counter[str] = field(default_factory=Counter)
    rows: int = 0
    different: int = 0
    has: set[str] = field(default_factory=set)

    def add(self, values: pa.Array, shape: Shape, *, rows: int) -> None:
        """Look the words of n different texts up."""
        self.rows += rows
        self.different += len(values)
        self.tried += min(len(values), MOST)
        if np.count_nonzero(shape.letters) <= 0.1 * len(values):
            return
        if len(values) > MOST:
            places = np.linspace(0, len(values) - 1, MOST).astype(np.int64)
            values = values.take(pa.array(places))
            digits, spaces, sizes = shape.digits[places], shape.spaces[places], shape.sizes[places]
        else:
            digits, spaces, sizes = shape.digits, shape.spaces, shape.sizes
        values = values.cast(pa.string())
        phrases = dictionary.phrases_of(values)
        self._phrases(values, phrases, sizes)
        self._words(values, digits, spaces)

    def _hit(self, name: str, found: Mask) -> None:
        self.hits[name] += int(np.count_nonzero(found))

    def _phrases(self, values: pa.Array, phrases: pa.Array, sizes: NDArray[np.int64]) -> None:
        """What is looked up whole."""
        self._hit("city", dictionary.cities().among(phrases))
        self._hit("country", dictionary.countries().among(phrases))
        self._hit("region", dictionary.regions().among(phrases))
        upper = pc.equal(values, pc.utf8_upper(values)).to_numpy(zero_copy_only=False)
        self._hit("country code", upper & (sizes <= 3) & dictionary.country_codes().among(phrases))
        self._hit("region code", upper & (sizes <= 3) & dictionary.region_codes().among(phrases))
        self._hit("honorific", dictionary.HONORIFICS.among(phrases))
        if len(values) <= _MOST_FORMS:
            self._few(phrases)

    def _few(self, phrases: pa.Array) -> None:
        """Words of which a column has few."""
        known = (dictionary.MEN, dictionary.WOMEN, dictionary.NEITHER)
        men, women, neither = (words.among(phrases) for words in known)
        self._hit("gender", men | women | neither)
        self._hit("marital status", dictionary.MARITAL.among(phrases))
        self._hit("ethnic group", dictionary.ETHNICITIES.among(phrases))
        surely = dictionary.ETHNIC_FOR_SURE.among(phrases)
        self.has |= {
            name for name, found in (("men", men), ("women", women), ("groups", surely)) if found.any()
        }

    def _words(self, values: pa.Array, digits: NDArray[np.uint8], spaces: NDArray[np.uint8]) -> None:
        """What is looked up word by word."""
        parents, words = words_of(values)
        rows = parents.to_numpy().astype(np.int64)
        count = np.bincount(rows, minlength=len(values))

        def per_row(known: dictionary.Lexicon) -> NDArray[np.int64]:
            return np.bincount(rows[known.among(words)], minlength=len(values))

        first, last = per_row(dictionary.first_names()), per_row(dictionary.last_names())
        job, stops = per_row(dictionary.job_heads()), per_row(dictionary.STOP_WORDS)
        firm, street = per_row(dictionary.COMPANIES), per_row(dictionary.street_words())
        bare, alone = digits == 0, (count >= 1) & (count <= 2)
        is_first, is_last = bare & alone & (first >= 1), bare & alone & (last >= 1)
        self._hit("first name", is_first)
        self._hit("last name", is_last)
        self._hit("only first name", is_first & ~is_last)
        self._hit("only last name", is_last & ~is_first)
        both = (first >= 1) & (last >= 1) & (first + last >= count) & (count >= 2) & (count <= 5)
        self._hit("full name", bare & both & (job == 0) & (stops <= 1))
        self._hit("one word", bare & (count == 1))
        self._hit("job title", bare & (job >= 1) & (count <= 6) & (stops <= 2))
        self._hit("company form", (firm >= 1) & (count >= 2) & (count <= 6) & (digits <= 2))
        numbered = (digits >= 1) & (digits <= 10) & (spaces >= 1) & (spaces <= 8)
        self._hit("street", numbered & _streets(values, street))
        self._hit("sentence", (count >= 5) & (stops >= 2))


def _streets(values: pa.Array, words: NDArray[np.int64]) -> Mask:
    """A word for street, or a compound that ends with one, beside a number."""
    compound = pc.match_substring_regex(values, _COMPOUND).to_numpy(zero_copy_only=False)
    box: Mask = (words >= 1) | compound
    return box


_COMPOUND = (
    r"(?i)(?:stra(?:ß|ss)e|str\.|weg|gasse|platz|allee|straat|laan|gatan|vägen|vagen|gata|vej|gade|veien|vei|katu|tie|utca"
    r"|stræti|plein|dijk|gränd|kuja)\s+\d|\bp\.? ?o\.? box\b"
    r"|^\d{1,5} \p{L}+ (?:\p{L}+ )?(?:street|st|road|rd|ave|lane|ln)\b"
)
