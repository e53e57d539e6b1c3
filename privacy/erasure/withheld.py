"""What of erased people is withheld when tokens are turned back: a release may be older than the erasure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from airflow_veil.privacy.erasure.graph import Edge
from airflow_veil.privacy.erasure.suppression import Mask, Suppression
from airflow_veil.privacy.policy.erasure import Mask as MaskCells


@dataclass(frozen=True)
class Withheld:
    """Makes values null that came back and are an erased person's.

    Attributes:
        suppression: The list.
        edges: The columns by which an erased person is known again.
    """

    suppression: Suppression
    edges: Sequence[Edge]

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns whose raw values tell whose a row is."""
        return tuple(dict.fromkeys(edge.column for edge in self.edges))

    def __call__(
        self, turned: Mapping[str, pa.Array], raw: Mapping[str, pa.Array], rows: int
    ) -> tuple[dict[str, pa.Array], int]:
        """Withhold values.

        Args:
            turned: The columns that came back, n rows each.
            raw: Those of `columns` whose raw values are at hand, n rows each.
            rows: n.

        Returns:
            The columns that came back: null in rows that are an erased person's, and where a value is one's; and how
            many values were withheld.
        """
        gone = {name: np.zeros(rows, bool) for name in turned}
        for edge in self.edges:
            if edge.column not in raw:
                continue
            hit = self.suppression.mask(raw[edge.column], edge.domain)
            for name in self._touched(edge, turned):
                gone[name] |= hit
        kept = {name: _without(column, gone[name]) for name, column in turned.items()}
        count = sum(kept[name].null_count - column.null_count for name, column in turned.items())
        return kept, count

    def _touched(self, edge: Edge, turned: Mapping[str, pa.Array]) -> list[str]:
        """Which columns of a row go with the person whom a column names."""
        if isinstance(edge.action, MaskCells):
            return [name for name in turned if name == edge.column or name in edge.action.mask]
        return list(turned)


def _without(column: pa.Array, gone: Mask) -> pa.Array:
    return pc.if_else(pa.array(gone), pa.scalar(None, column.type), column) if gone.any() else column
