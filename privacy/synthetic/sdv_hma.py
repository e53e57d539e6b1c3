# ruff: noqa: SLF001 - what is mended is not public
"""HMA with five things mended. Imported where a model is fitted or read, since it needs SDV.

- Rows that refer to different rows are drawn differently. SDV makes a synthesizer anew for each row that is referred to
  and lets each start with the same random numbers: the first visit of every person would be equally unlike the rest.
- How many rows refer to one is as often as in the data. SDV rounds a normal distribution and adds rows one by one until
  their total is that of the data, so that hardly anybody has none.
- No row repeats what was the least or greatest of the data. SDV cuts the middles of what refers to a row at the least
  and the greatest that it has learned, and the middle of a single visit is that visit.
- Where a row refers to two tables, SDV looks for the likeliest row of the second one, and stops where scipy cannot tell
  how likely one is. Here such a one is as likely as the others.
- What is drawn does not depend on the order of Python's sets, which is another in each process.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sdv.metadata import Metadata
from sdv.multi_table import HMASynthesizer
from sdv.single_table import GaussianCopulaSynthesizer

from airflow_veil.privacy.synthetic.seeds import seed_of, seeded

Cardinality = NDArray[np.int64]
"""How many rows have referred to one, at equal distances of probability."""

_QUANTILES = 1_000
"""How finely a distribution of cardinalities is kept."""
_MARGIN = 0.1
"""How far beyond the middles that were learned others may be, as a share of their range."""


def cardinality(references: NDArray[np.int64], referred: int) -> Cardinality:
    """How many rows refer to one.

    Args:
        references: The rows that are referred to, from 1, shape (n,); others than these numbers are left out.
        referred: How many there are.
    """
    inside = references[(references >= 1) & (references <= referred)]
    counts = np.sort(np.bincount(inside - 1, minlength=referred))
    at = (np.arange(_QUANTILES) + 0.5) / _QUANTILES * referred
    return counts[at.astype(np.int64)]


class _RowSynthesizer(GaussianCopulaSynthesizer):  # type: ignore[misc]
    """SDV's copula of what refers to one row."""

    def _get_likelihood(self, table_rows: Any) -> Any:
        try:
            return super()._get_likelihood(table_rows)
        except ValueError:
            # What HMA takes for "cannot be told".
            raise np.linalg.LinAlgError from None


class RelatedSynthesizer(HMASynthesizer):  # type: ignore[misc]
    """SDV's HMA, mended.

    Attributes:
        cardinalities: How many rows refer to one, by table and column that refer.
        seed: Seeds what is drawn next.
    """

    _synthesizer = _RowSynthesizer

    def __init__(self, metadata: Any, cardinalities: Mapping[tuple[str, str], Cardinality]) -> None:
        super().__init__(metadata, verbose=False)
        self.cardinalities = dict(cardinalities)
        self.seed = 0
        self._states: dict[str, np.random.RandomState] = {}

    def reseed(self, seed: int) -> None:
        """Let what is drawn next depend on a seed alone."""
        self.seed, self._states = seed, {}

    def fit(self, data: Any) -> None:
        """Fit to tables; see SDV."""
        with _in_order():
            super().fit(data)
        for formatters in self.extended_columns.values():
            for name, formatter in formatters.items():
                if name.endswith("__loc"):
                    margin = _MARGIN * (formatter._max_value - formatter._min_value)
                    formatter._min_value -= margin
                    formatter._max_value += margin

    def _state(self, *place: str) -> np.random.RandomState:
        """The random numbers of a place."""
        return self._states.setdefault("/".join(place), np.random.RandomState(seed_of(self.seed, *place)))

    def _recreate_child_synthesizer(self, child_name: str, parent_name: str, parent_row: Any) -> Any:
        synthesizer = super()._recreate_child_synthesizer(child_name, parent_name, parent_row)
        if synthesizer._model is not None:
            synthesizer._set_random_state(int(self._state("rows", child_name).randint(2**31 - 1)))
        return synthesizer

    def _enforce_table_size(self, child_name: str, table_name: str, scale: float, sampled_data: Any) -> None:  # noqa: ARG002 - SDV's signature
        """Give each drawn row as many rows that refer to it as the data has, most to those that the model says."""
        parents = sampled_data[table_name]
        for foreign_key in self.metadata._get_foreign_keys(table_name, child_name):
            name = f"__{child_name}__{foreign_key}__num_rows"
            state = self._state("counts", child_name, foreign_key)
            likely = parents[name].fillna(0).to_numpy(np.float64)
            # Which of equals comes first is drawn.
            order = np.lexsort((state.random_sample(len(likely)), likely))
            at = (np.arange(len(likely)) + state.random_sample(len(likely))) / len(likely) * _QUANTILES
            counts = np.empty(len(likely), np.int64)
            counts[order] = self.cardinalities[child_name, foreign_key][at.astype(np.int64)]
            if child_name in sampled_data:
                # The rows are there already, because of another table: as many as there are refer to this one, too.
                empty = self._null_foreign_key_percentages.get(f"__{child_name}__{foreign_key}", 0)
                counts = _adding_up(counts, round(len(sampled_data[child_name]) * (1 - empty)), state)
            parents[name] = counts

    def _add_foreign_key_columns(
        self, child_table: Any, parent_table: Any, child_name: str, parent_name: str
    ) -> None:
        with seeded(seed_of(self.seed, "references", child_name, parent_name)):
            super()._add_foreign_key_columns(child_table, parent_table, child_name, parent_name)

    def _sample(self, scale: float = 1.0, **options: Any) -> Any:
        """Draw all tables; as SDV does, in the order of the metadata."""
        with _in_order():
            sampled: dict[str, Any] = {}
            referring = {one["child_table_name"] for one in self.metadata.relationships}
            for table in (name for name in self.metadata.tables if name not in referring):
                rows = max(round(self._table_sizes[table] * scale), 1)
                sampled[table] = self._sample_rows(self._table_synthesizers[table], rows, **options)
                self._sample_children(table_name=table, sampled_data=sampled, scale=scale, **options)
            pairs = [
                (one["parent_table_name"], one["child_table_name"]) for one in self.metadata.relationships
            ]
            for parent, child in dict.fromkeys(pairs):
                self._add_foreign_key_columns(sampled[child], sampled[parent], child, parent)
            return self._finalize(self._reverse_transform_constraints(sampled))


def _adding_up(counts: Cardinality, total: int, state: np.random.RandomState) -> Cardinality:
    """Counts that add up to a total, one more or less for rows that are drawn."""
    counts = counts.copy()
    while (missing := total - int(counts.sum())) != 0:
        eligible = np.arange(len(counts)) if missing > 0 else np.flatnonzero(counts)
        chosen = state.permutation(eligible)[: abs(missing)]
        counts[chosen] += 1 if missing > 0 else -1
    return counts


@contextmanager
def _in_order() -> Iterator[None]:
    """Let SDV go through related tables in the order of their names, not in that of a set."""
    before = {name: getattr(Metadata, name) for name in ("_get_child_map", "_get_parent_map")}
    for name, method in before.items():
        setattr(Metadata, name, _sorted(method))
    try:
        yield
    finally:
        for name, method in before.items():
            setattr(Metadata, name, method)


def _sorted(method: Callable[[Any], Mapping[str, set[str]]]) -> Callable[[Any], Mapping[str, list[str]]]:
    def ordered(metadata: Any) -> Mapping[str, list[str]]:
        return defaultdict(list, {name: sorted(others) for name, others in method(metadata).items()})

    return ordered
