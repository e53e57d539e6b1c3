"""SDV's HMA: related tables, with how many rows of one a row of another has. It guarantees nothing to anybody.

Source: Patki, Wedge and Veeramachaneni, "The Synthetic Data Vault", 2016.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from airflow_veil.privacy.errors import SyntheticError
from airflow_veil.privacy.synthetic.frames import Finisher, frame_of, learned_of
from airflow_veil.privacy.synthetic.given import Given
from airflow_veil.privacy.synthetic.metadata import sdv_constraints, sdv_metadata
from airflow_veil.privacy.synthetic.sdv_pickle import pickled, unpickled
from airflow_veil.privacy.synthetic.sdv_scope import sdv_scope
from airflow_veil.privacy.synthetic.sdv_single import reseed
from airflow_veil.privacy.synthetic.seeds import seed_of
from airflow_veil.privacy.synthetic.specification import BATCH_ROWS, Specification, TableSpecification
from airflow_veil.privacy.synthetic.synthesizer import Progress, Tables

PORTION_ROWS = 1_000
"""How many rows of the tables that refer to none are drawn at a time, with all that refer to them."""


@dataclass(frozen=True)
class SdvRelatedModel:
    """A model of related tables.

    Attributes:
        specification: What it was fitted for.
        synthesizer: SDV's fitted synthesizer.
        fitted_rows: How many rows it was fitted to, by table.
    """

    specification: Specification
    synthesizer: Any
    fitted_rows: Mapping[str, int]

    @property
    def method(self) -> str:
        """The word of its method."""
        return self.specification.word

    def sample(
        self, *, seed: int, rows: int | None = None, given: Given | None = None
    ) -> Iterator[tuple[str, pa.RecordBatch]]:
        """Draw rows; see `Model.sample`.

        Some rows of the tables that refer to none are drawn at a time, and then what refers to them: references stay
        within such a portion. Where several tables refer to none, `rows` is for the first of them, and the others are
        as large beside it as in what was learned from. Memory is that of a portion.
        """
        if given:
            raise SyntheticError("values are given of a single table", where=self.specification.name)
        root = self.specification.roots[0]
        wanted = rows or root.rows or self.fitted_rows[root.name]
        finishers = {name: Finisher(table, seed=seed) for name, table in self.specification.tables.items()}
        while finishers[root.name].rows < wanted:
            done = finishers[root.name].rows
            frames = self._drawn(min(PORTION_ROWS, wanted - done), seed_of(seed, "portion", str(done)))
            yield from self._portion(frames, finishers)

    def to_bytes(self) -> bytes:
        """The model; of authenticated bytes `from_bytes` makes it again."""
        return pickled(self.specification, self.synthesizer, dict(self.fitted_rows))

    def _drawn(self, count: int, seed: int) -> Mapping[str, Any]:
        """Frames of rows as SDV draws them, some of the first table that refers to none."""
        with sdv_scope("drawing from hma", self.specification.name, seed=seed):
            synthesizer = self.synthesizer
            synthesizer.reseed(seed)
            for name, table in synthesizer._table_synthesizers.items():  # noqa: SLF001 - SDV has no public way
                reseed(table, seed_of(seed, name))
            sampled: Mapping[str, Any] = synthesizer.sample(
                count, main_table_name=self.specification.roots[0].name
            )
            return sampled

    def _portion(
        self, frames: Mapping[str, Any], finishers: Mapping[str, Finisher]
    ) -> Iterator[tuple[str, pa.RecordBatch]]:
        """The batches of a portion, with keys that go on from those of the one before."""
        keys: dict[str, pa.Array] = {}
        first = {name: finisher.rows for name, finisher in finishers.items()}
        for name, table in self.specification.tables.items():
            frame = frames[name]
            columns = learned_of(table, frame)
            for column in table.references:
                target = column.target[0]
                index = pc.index_in(_ids(frame, column.name), value_set=keys[target])
                columns[column.name] = pc.add(index, pa.scalar(first[target] + 1)).cast(pa.int64())
                self._whole(columns[column.name], table, column.name)
            if table.key is not None:
                keys[name] = _ids(frame, table.key)
            for begin in range(0, len(frame), BATCH_ROWS):
                part = {name_: array.slice(begin, BATCH_ROWS) for name_, array in columns.items()}
                yield name, finishers[name].batch(part, min(BATCH_ROWS, len(frame) - begin))

    def _whole(self, references: pa.Array, table: TableSpecification, name: str) -> None:
        """Raise SyntheticError where a reference leads nowhere."""
        if references.null_count and not table[name].nulls:
            raise SyntheticError(
                f"{references.null_count} rows were drawn that refer to no row", where=f"{table.name}.{name}"
            )


def _ids(frame: Any, name: str) -> pa.Array:
    """The keys of a frame, whole numbers; null where there is none."""
    import pandas as pd

    numbers = pd.to_numeric(frame[name], errors="coerce").to_numpy(np.float64, na_value=np.nan)
    return pa.array(numbers, from_pandas=True).cast(pa.int64())


def _new(specification: Specification, tables: Tables) -> Any:
    from sdv.metadata import Metadata

    from airflow_veil.privacy.synthetic.sdv_hma import RelatedSynthesizer, cardinality

    cardinalities = {}
    for name, table in specification.tables.items():
        for column in table.references:
            references = tables[name].column(column.name).fill_null(0).to_numpy()
            cardinalities[name, column.name] = cardinality(references, tables[column.target[0]].num_rows)
    metadata = Metadata.load_from_dict(sdv_metadata(specification))
    synthesizer = RelatedSynthesizer(metadata, cardinalities)
    for name in specification.tables:
        said = synthesizer.get_table_parameters(name)["synthesizer_parameters"]
        # What the data has as least, greatest and decimals is nothing to keep: bounds are the policy's.
        synthesizer.set_table_parameters(
            name, {**said, "enforce_min_max_values": False, "enforce_rounding": False}
        )
    return synthesizer


@dataclass(frozen=True)
class SdvRelatedSynthesizer:
    """Fits HMA.

    Attributes:
        specification: What is made.
    """

    specification: Specification

    def fit(self, tables: Tables, *, seed: int, progress: Progress) -> SdvRelatedModel:
        """Fit a model; see `Synthesizer.fit`. Its time grows with how many rows are referred to."""
        rows = {name: tables[name].num_rows for name in self.specification.tables}
        told = ", ".join(f"{count} rows of {name}" for name, count in rows.items())
        progress(f"fitting hma: {told}")
        with sdv_scope("fitting hma", self.specification.name, seed=seed, progress=progress):
            synthesizer = _new(self.specification, tables)
            constraints = [
                one for table in self.specification.tables.values() for one in sdv_constraints(table)
            ]
            if constraints:
                synthesizer.add_constraints(constraints)
            synthesizer.fit(
                {
                    name: frame_of(table, tables[name], keys=True)
                    for name, table in self.specification.tables.items()
                }
            )
        return SdvRelatedModel(self.specification, synthesizer, rows)

    def from_bytes(self, content: bytes) -> SdvRelatedModel:
        """A model that `to_bytes` gave; see `Synthesizer.from_bytes`. It is a pickle: only for authenticated bytes."""
        return SdvRelatedModel(self.specification, *unpickled(self.specification, content))
