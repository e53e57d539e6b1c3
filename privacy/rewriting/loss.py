"""What some rows lose: they go, or their cells become null or what a treatment makes of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Treat: TypeAlias = Callable[[pa.Array], pa.Array]
"""What becomes of cells: as many, of the same plain type."""


@dataclass(frozen=True)
class Loss:
    """What n rows in a row lose.

    Attributes:
        gone: Whether each row goes.
        cells: Column to whether its cell is lost in each row; none of a row that goes.
        becomes: Column to what becomes of its cells that are lost; null where nothing is said.
    """

    gone: Mask
    cells: Mapping[str, Mask] = field(default_factory=dict)
    becomes: Mapping[str, Treat] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.gone)

    @property
    def any(self) -> bool:
        """Whether anything is lost."""
        return bool(self.gone.any()) or any(mask.any() for mask in self.cells.values())

    @property
    def whole(self) -> bool:
        """Whether there are rows, and all go."""
        return bool(self.gone.size and self.gone.all())

    @staticmethod
    def joined(parts: Sequence[Loss]) -> Loss:
        """What all rows lose, from what rows in a row do."""
        if not parts:
            return Loss(np.zeros(0, bool))
        names = dict.fromkeys(name for part in parts for name in part.cells)
        cells = {
            name: np.concatenate([part.cells.get(name, np.zeros(len(part), bool)) for part in parts])
            for name in names
        }
        return Loss(np.concatenate([part.gone for part in parts]), cells, parts[0].becomes)

    def between(self, start: int, stop: int) -> Loss:
        """What some neighbours among the rows lose."""
        cells = {name: mask[start:stop] for name, mask in self.cells.items()}
        return Loss(self.gone[start:stop], cells, self.becomes)
