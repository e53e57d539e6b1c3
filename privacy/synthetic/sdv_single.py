"""SDV's models of one table: the Gaussian copula, CTGAN and TVAE. They guarantee nothing to anybody.

Sources: Patki, Wedge and Veeramachaneni, "The Synthetic Data Vault", 2016; Xu, Skoularidou, Cuesta-Infante and
Veeramachaneni, "Modeling Tabular Data using Conditional GAN", 2019.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from airflow_veil.privacy.synthetic.frames import Finisher, code_of, frame_of, learned_of
from airflow_veil.privacy.synthetic.given import Conditions, Given, conditions_of, meeting
from airflow_veil.privacy.synthetic.metadata import sdv_constraints, sdv_metadata
from airflow_veil.privacy.synthetic.sdv_pickle import pickled, unpickled
from airflow_veil.privacy.synthetic.sdv_scope import sdv_scope
from airflow_veil.privacy.synthetic.seeds import seed_of
from airflow_veil.privacy.synthetic.specification import BATCH_ROWS, Specification
from airflow_veil.privacy.synthetic.synthesizer import Progress, Tables


@dataclass(frozen=True)
class SdvTableModel:
    """A model of one table.

    Attributes:
        specification: What it was fitted for.
        synthesizer: SDV's fitted synthesizer.
        fitted_rows: How many rows it was fitted to.
    """

    specification: Specification
    synthesizer: Any
    fitted_rows: int

    @property
    def method(self) -> str:
        """The word of its method."""
        return self.specification.word

    def sample(
        self, *, seed: int, rows: int | None = None, given: Given | None = None
    ) -> Iterator[tuple[str, pa.RecordBatch]]:
        """Draw rows; see `Model.sample`.

        With a condition, the copula draws what is probable under it; the others draw until enough rows meet it. Of a
        column of floats, what is within a hundredth of the bounds' distance meets it, and gets the value.
        """
        table = self.specification.only
        conditions = conditions_of(self.specification, given)
        finisher = Finisher(table, seed=seed)
        wanted = rows or table.rows or self.fitted_rows
        while finisher.rows < wanted:
            count = min(BATCH_ROWS, wanted - finisher.rows)
            columns = self._columns(count, seed_of(seed, "batch", str(finisher.rows)), conditions)
            yield table.name, finisher.batch(columns, count)

    def to_bytes(self) -> bytes:
        """The model; of authenticated bytes `from_bytes` makes it again."""
        return pickled(self.specification, self.synthesizer, self.fitted_rows)

    def _columns(self, count: int, seed: int, conditions: Conditions) -> dict[str, pa.Array]:
        """The learned columns of some rows that meet the conditions."""
        table = self.specification.only

        def draw(rows: int, round_: int) -> dict[str, pa.Array]:
            return learned_of(table, self._drawn(rows, seed_of(seed, str(round_)), conditions))

        return meeting(table, conditions, count, draw, directed=self.method == "gaussian_copula")

    def _drawn(self, count: int, seed: int, conditions: Conditions) -> Any:
        """A frame of rows as SDV draws them."""
        doing = f"drawing from {self.method}"
        with sdv_scope(doing, self.specification.name, seed=seed):
            reseed(self.synthesizer, seed)
            table = self.specification.only
            if not conditions or self.method != "gaussian_copula":
                return self.synthesizer.sample(count)[table.name]
            from sdv.sampling import Condition

            values = {
                name: code_of(number) if table[name].word == "categories" else number
                for name, number in conditions.items()
            }
            sampled = self.synthesizer.sample_from_conditions([Condition(values, num_rows=count)])
            return sampled[table.name].reset_index(drop=True)


@dataclass(frozen=True)
class SdvTableSynthesizer:
    """Fits SDV's models of one table.

    Attributes:
        specification: What is made.
    """

    specification: Specification

    def fit(self, tables: Tables, *, seed: int, progress: Progress) -> SdvTableModel:
        """Fit a model; see `Synthesizer.fit`. The same rows, seed and versions of libraries give the same model."""
        table = self.specification.only
        rows = tables[table.name]
        word = self.specification.word
        progress(f"fitting {word}: {rows.num_rows} rows, {len(table.learned)} columns")
        with sdv_scope(f"fitting {word}", self.specification.name, seed=seed, progress=progress):
            synthesizer = self._new()
            constraints = sdv_constraints(table)
            if constraints:
                synthesizer.add_constraints(constraints)
            synthesizer.fit({table.name: frame_of(table, rows, keys=False)})
            forget(synthesizer)
        return SdvTableModel(self.specification, synthesizer, rows.num_rows)

    def from_bytes(self, content: bytes) -> SdvTableModel:
        """A model that `to_bytes` gave; see `Synthesizer.from_bytes`. It is a pickle: only for authenticated bytes."""
        return SdvTableModel(self.specification, *unpickled(self.specification, content))

    def _new(self) -> Any:
        from sdv.metadata import Metadata
        from sdv.single_table import CTGANSynthesizer, GaussianCopulaSynthesizer, TVAESynthesizer

        metadata = Metadata.load_from_dict(sdv_metadata(self.specification))
        # What the data has as least, greatest and decimals is nothing to keep: bounds are the policy's.
        common = {"enforce_min_max_values": False, "enforce_rounding": False}
        method = self.specification.method
        if method.ctgan is not None:
            return CTGANSynthesizer(metadata, epochs=method.ctgan.epochs, enable_gpu=False, **common)
        if method.tvae is not None:
            return TVAESynthesizer(metadata, epochs=method.tvae.epochs, enable_gpu=False, **common)
        return GaussianCopulaSynthesizer(metadata, **common)


def reseed(synthesizer: Any, seed: int) -> None:
    """Seed what a synthesizer of SDV draws from, beside the random numbers of the process."""
    if synthesizer._model is not None:  # noqa: SLF001 - SDV has no public way to seed it
        synthesizer._set_random_state(seed % 2**31)  # noqa: SLF001
    reseed_columns(synthesizer, seed)


def reseed_columns(synthesizer: Any, seed: int) -> None:
    """Seed what the columns of a synthesizer draw: which of them are empty."""
    transformers = synthesizer._data_processor._hyper_transformer.field_transformers  # noqa: SLF001
    for name, transformer in transformers.items():
        if transformer is not None:
            state = np.random.RandomState(seed_of(seed, str(name)))
            transformer.set_random_state(state, "reverse_transform")


def forget(synthesizer: Any) -> None:
    """Let go of what a fitted synthesizer keeps of its training rows and does not need to draw.

    CTGAN keeps, for each value of each category, the numbers of the rows that have it: all categories of all rows.
    """
    sampler = getattr(synthesizer._model, "_data_sampler", None)  # noqa: SLF001
    if sampler is not None:
        sampler._rid_by_cat_cols = []  # noqa: SLF001
        sampler._data_length = 0  # noqa: SLF001
