"""SDV's PAR: sequences of rows, such as the visits of a patient. It guarantees nothing to anybody.

Source: Zhang, Patki and Veeramachaneni, "Sequential Models in the Synthetic Data Vault", 2022.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from airflow_veil.privacy.errors import InternalError, SyntheticError
from airflow_veil.privacy.policy.synthetic import Par
from airflow_veil.privacy.synthetic.coordinates import limits
from airflow_veil.privacy.synthetic.frames import Finisher, frame_of, learned_of
from airflow_veil.privacy.synthetic.given import Given
from airflow_veil.privacy.synthetic.metadata import sdv_metadata
from airflow_veil.privacy.synthetic.sdv_pickle import pickled, unpickled
from airflow_veil.privacy.synthetic.sdv_scope import sdv_scope
from airflow_veil.privacy.synthetic.sdv_single import reseed, reseed_columns
from airflow_veil.privacy.synthetic.seeds import seed_of
from airflow_veil.privacy.synthetic.specification import Specification
from airflow_veil.privacy.synthetic.synthesizer import Progress, Tables

PORTION_SEQUENCES = 200
"""How many sequences are drawn at a time."""


@dataclass(frozen=True)
class SdvSequenceModel:
    """A model of sequences.

    Attributes:
        specification: What it was fitted for.
        synthesizer: SDV's fitted synthesizer.
        fitted_sequences: How many sequences it was fitted to.
    """

    specification: Specification
    synthesizer: Any
    fitted_sequences: int

    @property
    def method(self) -> str:
        """The word of its method."""
        return self.specification.word

    def sample(
        self, *, seed: int, rows: int | None = None, given: Given | None = None
    ) -> Iterator[tuple[str, pa.RecordBatch]]:
        """Draw sequences; see `Model.sample`. `rows` is how many sequences; the rows of each follow one another.

        They are in order by the column that orders them. Memory is that of a portion of sequences.
        """
        if given:
            raise SyntheticError("values are not given of sequences", where=self.specification.name)
        table = self.specification.only
        finisher = Finisher(table, seed=seed)
        wanted = rows or table.rows or self.fitted_sequences
        for begin in range(0, wanted, PORTION_SEQUENCES):
            count = min(PORTION_SEQUENCES, wanted - begin)
            columns = self._columns(count, seed_of(seed, "portion", str(begin)), begin)
            yield table.name, finisher.batch(columns, len(columns[_par(self.specification).sequence]))

    def to_bytes(self) -> bytes:
        """The model; of authenticated bytes `from_bytes` makes it again."""
        return pickled(self.specification, self.synthesizer, self.fitted_sequences)

    def _columns(self, count: int, seed: int, before: int) -> dict[str, pa.Array]:
        """All columns but inventions of some sequences, which are numbered on."""
        par, table = _par(self.specification), self.specification.only
        with sdv_scope("drawing from par", self.specification.name, seed=seed):
            reseed(self.synthesizer._context_synthesizer, seed)  # noqa: SLF001 - SDV has no public way
            reseed_columns(self.synthesizer, seed)
            frame = self.synthesizer.sample_sequences(count)[table.name]
        columns = learned_of(table, frame)
        # SDV's own keys go on from one draw to the next: only which rows have the same is of use.
        sequences = frame[par.sequence].factorize()[0].astype(np.int64)
        keys = pa.array(sequences + before + 1)
        rows = pa.table({**columns, par.sequence: keys})
        rows = rows.sort_by([(par.sequence, "ascending"), (par.order, "ascending")]).combine_chunks()
        return {name: rows.column(name).combine_chunks() for name in rows.column_names}


@dataclass(frozen=True)
class SdvSequenceSynthesizer:
    """Fits PAR.

    Attributes:
        specification: What is made.
    """

    specification: Specification

    def fit(self, tables: Tables, *, seed: int, progress: Progress) -> SdvSequenceModel:
        """Fit a model; see `Synthesizer.fit`.

        All sequences are in memory at once, each as long as the longest: `fit_rows` bounds it.

        Raises:
            SyntheticError: A column of the context changes within a sequence.
        """
        par, table = _par(self.specification), self.specification.only
        rows = tables[table.name].sort_by([(par.sequence, "ascending"), (par.order, "ascending")])
        _constant(rows, par, where=table.name)
        sequences = len(rows.column(par.sequence).unique())
        progress(f"fitting par: {rows.num_rows} rows, {sequences} sequences")
        with sdv_scope("fitting par", self.specification.name, seed=seed, progress=progress):
            synthesizer = self._new(par)
            synthesizer.fit({table.name: frame_of(table, rows, keys=True)})
            # Steps are as long as bounds allow, not as the shortest and longest of the data are.
            low, high = limits(table[par.order])
            steps = synthesizer.extended_columns[par.order]
            steps._min_value, steps._max_value = 0.0, high - low  # noqa: SLF001
        return SdvSequenceModel(self.specification, synthesizer, sequences)

    def from_bytes(self, content: bytes) -> SdvSequenceModel:
        """A model that `to_bytes` gave; see `Synthesizer.from_bytes`. It is a pickle: only for authenticated bytes."""
        return SdvSequenceModel(self.specification, *unpickled(self.specification, content))

    def _new(self, par: Par) -> Any:
        from sdv.metadata import Metadata
        from sdv.sequential import PARSynthesizer

        return PARSynthesizer(
            Metadata.load_from_dict(sdv_metadata(self.specification)),
            enforce_min_max_values=False,
            enforce_rounding=False,
            context_columns=list(par.context),
            epochs=par.epochs,
            cuda=False,
            verbose=False,
        )


def _par(specification: Specification) -> Par:
    par = specification.method.par
    if par is None:
        raise InternalError(f"`{specification.word}` has no sequences", where=specification.name)
    return par


def _constant(rows: pa.Table, par: Par, *, where: str) -> None:
    """Raise SyntheticError where a column of the context changes within a sequence."""
    for name in par.context:
        pairs = rows.select([par.sequence, name]).group_by([par.sequence, name]).aggregate([])
        changes = pairs.num_rows - len(rows.column(par.sequence).unique())
        if changes:
            raise SyntheticError(
                f"the column changes within sequences, {changes} times",
                where=f"{where}.{name}",
                expected="one value a sequence",
                fix="take it out of `context`",
            )
