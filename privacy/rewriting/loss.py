"""What some rows lose: they go, or their cells become null."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Loss:
    """What n rows in a row lose.

    Attributes:
        gone: Whether each row goes.
        cells: Column to whether its cell becomes null in each row; none of a row that goes.
    """

    gone: Mask
    cells: Mapping[str, Mask] = field(default_factory=dict)

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

    def between(self, start: int, stop: int) -> Loss:
        """What some neighbours among the rows lose."""
        return Loss(self.gone[start:stop], {name: mask[start:stop] for name, mask in self.cells.items()})
