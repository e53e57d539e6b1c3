"""What is counted of one column, batch by batch, in constant memory: counts of looks, words, dates and numbers."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from airflow_veil.privacy.classify.dates import Years
from airflow_veil.privacy.classify.look import looks
from airflow_veil.privacy.classify.shape import Shape
from airflow_veil.privacy.classify.words import Words
from airflow_veil.privacy.transforms.text import decoded, is_text

_SHORT_NUMBER = 10_000
"""Whole numbers below this are no numbers of cards, accounts or people."""


@dataclass
class Tally:
    """Counts over the values of one column.

    Attributes:
        type: The column's type.
        rows: Rows that were looked at.
        valid: Those that are not null.
        different: Different values, added up over batches.
        tried: The different texts that looks were tried on.
        candidates: By look, how many values could be it by their characters.
        hits: By look, how many are.
        texts: By what characters there are, how many texts hold some.
        years: The dates.
        words: What words say.
        low: The smallest number.
        high: The largest number.
        whole: How many numbers are whole.
        fine: How many numbers have more than three digits after the point.
    """

    type: pa.DataType
    rows: int = 0
    valid: int = 0
    different: int = 0
    tried: int = 0
    most_different: int = 0
    candidates: Counter[str] = field(default_factory=Counter)
    hits: Counter[str] = field(default_factory=Counter)
    texts: Counter[str] = field(default_factory=Counter)
    years: Years = field(default_factory=Years)
    words: Words = field(default_factory=Words)
    low: float = np.inf
    high: float = -np.inf
    numbers: int = 0
    whole: int = 0
    fine: int = 0

    def add(self, column: pa.Array) -> None:
        """Count one batch of the column: n values, nulls among them."""
        self.rows += len(column)
        values = decoded(column).drop_null()
        if is_text(column.type):
            values = values.filter(pc.not_equal(values, ""))
        self.valid += len(values)
        if not len(values):
            return
        if pa.types.is_boolean(column.type):
            self.different += 2
            return
        if pa.types.is_temporal(column.type):
            self._add_dates(values)
        elif (
            pa.types.is_integer(column.type)
            or pa.types.is_floating(column.type)
            or pa.types.is_decimal(column.type)
        ):
            self._add_numbers(values)
        elif is_text(column.type):
            self._add_texts(values)

    def _add_dates(self, values: pa.Array) -> None:
        unique = pc.unique(values)
        self._differ(len(unique))
        if pa.types.is_date(values.type) or pa.types.is_timestamp(values.type):
            self.years.add_dates(unique)

    def _add_numbers(self, values: pa.Array) -> None:
        unique = pc.unique(values)
        self._differ(len(unique))
        numbers = unique.cast(pa.float64()).to_numpy()
        numbers = numbers[np.isfinite(numbers)]
        if not numbers.size:
            return
        whole = numbers == np.floor(numbers)
        self.numbers += numbers.size
        self.whole += int(np.count_nonzero(whole))
        self.fine += int(np.count_nonzero(np.abs(numbers * 1e3 - np.round(numbers * 1e3)) > 1e-6))
        self.low, self.high = min(self.low, float(numbers.min())), max(self.high, float(numbers.max()))
        if whole.all():
            self.years.add_years(numbers.astype(np.int64))
            if pa.types.is_integer(values.type) and self.high >= _SHORT_NUMBER:
                self._look(unique.cast(pa.string()))

    def _add_texts(self, values: pa.Array) -> None:
        unique = pc.unique(values.cast(pa.string()))
        self._differ(len(unique))
        shape = self._look(unique)
        self.years.add_texts(unique, shape)
        self.words.add(unique, shape, rows=len(values))

    def _differ(self, different: int) -> None:
        self.different += different
        self.most_different = max(self.most_different, different)

    def _look(self, values: pa.Array) -> Shape:
        """Try every look on different values."""
        shape = Shape.of(values)
        self.tried += len(values)
        for look in looks():
            candidates, hits = look.count(values, shape)
            self.candidates[look.name] += candidates
            self.hits[look.name] += hits
        self.texts["letters"] += int(np.count_nonzero(shape.letters))
        self.texts["digits"] += int(np.count_nonzero(shape.digits))
        self.texts["digits only"] += int(np.count_nonzero(shape.digits == shape.sizes))
        self.texts["spaces"] += int(np.count_nonzero(shape.spaces))
        self.texts["short"] += int(np.count_nonzero(shape.sizes <= 12))
        self.texts["numbers"] += int(
            np.count_nonzero((shape.digits >= 1) & (shape.letters == 0) & (shape.sizes <= 20))
        )
        for low, high in ((7, 15), (9, 9), (12, 19)):
            within = (shape.digits >= low) & (shape.digits <= high) & (shape.letters <= 3)
            self.texts[f"{low} to {high} digits"] += int(np.count_nonzero(within))
        return shape

    def share(self, of: str) -> float:
        """The share of texts that hold some characters."""
        return self.texts[of] / self.tried if self.tried else 0.0

    def look_share(self, name: str, chance: float) -> float:
        """The share of values of a look, beyond what chance gives.

        Of c candidates a share p passes by chance; what three standard deviations more would be is taken away as well,
        so that a column of running numbers does not look like numbers with check digits.
        """
        tried, candidates, hits = self.tried, self.candidates[name], self.hits[name]
        if not tried:
            return 0.0
        by_chance = candidates * chance + 3 * float(np.sqrt(candidates * chance * (1 - chance)))
        return max(0.0, hits - by_chance) / (1 - chance) / tried if hits > by_chance else 0.0

    @property
    def uniqueness(self) -> float:
        """Different values to values: 1 where no value comes twice in a batch."""
        return self.different / self.valid if self.valid else 0.0
