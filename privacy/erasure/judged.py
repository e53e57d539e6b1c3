"""Values of which it is known whether they are suppressed: a table of orders names each person many times."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Mask = NDArray[np.bool_]

MOST = 1 << 18
"""How many values are kept: some megabytes."""
_TRIAL = 1 << 18
"""After so many values it is known whether they come again."""
_PAYS = 4
"""Finding a value again costs about so much less than hashing it."""


class Judged:
    """Remembers values of one column, and the verdict on each, as long as that pays; in memory alone."""

    __slots__ = ("_again", "_asked", "_values", "_verdicts")

    def __init__(self) -> None:
        self._values: pa.Array | None = None
        self._verdicts = np.zeros(0, bool)
        self._asked = self._again = 0

    def __repr__(self) -> str:
        return f"Judged({len(self._verdicts)} values)"

    def __call__(self, values: pa.Array, judge: Callable[[pa.Array], Mask]) -> Mask:
        """The verdicts on some values.

        Args:
            values: n values, each once.
            judge: Gives the verdicts on values that were not seen before.
        """
        if not self._pays:
            return judge(values)
        places = self._places(values)
        new = np.flatnonzero(places < 0)
        self._asked += len(values)
        self._again += len(values) - len(new)
        verdicts = np.append(self._verdicts, False)[places]
        unseen = values.take(pa.array(new))
        verdicts[new] = judge(unseen)
        self._keep(unseen, verdicts[new])
        return verdicts

    @property
    def _pays(self) -> bool:
        return self._asked < _TRIAL or self._again * _PAYS >= self._asked

    def _places(self, values: pa.Array) -> NDArray[np.int64]:
        """Where each value is remembered; -1 for those that are not."""
        if self._values is None:
            return np.full(len(values), -1)
        found = pc.index_in(values, value_set=self._values)
        places: NDArray[np.int64] = found.cast(pa.int64()).fill_null(-1).to_numpy(zero_copy_only=False)
        return places

    def _keep(self, values: pa.Array, verdicts: Mask) -> None:
        room = MOST - len(self._verdicts)
        if room <= 0 or not len(values):
            return
        values, verdicts = values[:room], verdicts[:room]
        self._values = values if self._values is None else pa.concat_arrays([self._values, values])
        self._verdicts = np.concatenate([self._verdicts, verdicts])
