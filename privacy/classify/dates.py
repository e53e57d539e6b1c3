"""Dates among values, and the years they are of: births are spread over a lifetime, events are not."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from airflow_veil.privacy.classify.shape import Shape

_FIRST_YEAR, _LAST_YEAR = 1850, 2150
_WRITTEN = (
    r"^\s*(?:\d{4}([-/.])\d{1,2}([-/.])\d{1,2}|\d{1,2}([-/. ])\d{1,2}([-/. ])(?:\d{4}|\d{2})"
    r"|(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01]))(?:[T ]\d{1,2}:\d\d.*)?\s*$"
)
_YEAR = r"(?P<year>(?:18|19|20)\d{2})"
_TIMED = r"\d:\d\d"

LIFETIME = 20
"""Years between the fifth and the ninety-fifth percentile from which on dates are spread like births."""
_AGES = (10, 90)
"""Between these the median age of people in a table lies."""


@dataclass
class Years:
    """Which years the dates of a column are of; adds up over batches.

    Attributes:
        counts: Dates of each year from 1850 on.
        dates: Values that are dates.
        timed: Dates that have a time of day other than midnight.
    """

    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(_LAST_YEAR - _FIRST_YEAR, np.int64))
    dates: int = 0
    timed: int = 0

    def add_texts(self, values: pa.Array, shape: Shape) -> None:
        """Look for dates among n texts."""
        gate = (shape.digits >= 4) & (shape.digits <= 20) & (shape.letters <= 2) & (shape.sizes <= 35)
        gate &= (shape.links + shape.dots + shape.spaces >= 2) | ((shape.digits == 8) & (shape.sizes == 8))
        if np.count_nonzero(gate) <= 0.01 * len(values):
            return
        chosen = values.filter(pa.array(gate))
        chosen = chosen.filter(pc.match_substring_regex(chosen, _WRITTEN))
        self.dates += len(chosen)
        self.timed += int(pc.sum(pc.match_substring_regex(chosen, _TIMED)).as_py() or 0)
        years = pc.struct_field(pc.extract_regex(chosen, _YEAR), "year").drop_null()
        self._count(years.cast(pa.int32()).to_numpy())

    def add_dates(self, values: pa.Array) -> None:
        """Take a column of dates or timestamps, without nulls."""
        self.dates += len(values)
        if pa.types.is_timestamp(values.type):
            midnight = pc.equal(pc.floor_temporal(values, unit="day"), values)
            self.timed += len(values) - int(pc.sum(midnight).as_py() or 0)
        self._count(pc.year(values).to_numpy())

    def add_years(self, values: NDArray[np.int64]) -> None:
        """Take whole numbers, all of which may be years."""
        inside = (values >= 1900) & (values <= datetime.now(UTC).year)
        if inside.all():
            self._count(values)

    def _count(self, years: NDArray[np.int64]) -> None:
        places = years[(years >= _FIRST_YEAR) & (years < _LAST_YEAR)] - _FIRST_YEAR
        self.counts += np.bincount(places, minlength=len(self.counts))

    @property
    def births(self) -> bool:
        """Whether the dates are spread as births are: over decades, none to come, and people in between."""
        total = int(self.counts.sum())
        if not total or self.timed > self.dates / 2:
            return False
        running = np.cumsum(self.counts) / total
        early, median, late = (
            int(np.searchsorted(running, share)) + _FIRST_YEAR for share in (0.05, 0.5, 0.95)
        )
        today = datetime.now(UTC).year
        youngest, oldest = _AGES
        return late - early >= LIFETIME and late <= today and youngest <= today - median <= oldest
