"""`mst` and `aim`: synthesizers that are differentially private.

    plan ──reserve──► ledger      batches ──count──► exact marginals ──drawing──► ledger ──draw──► noisy ──► model

Everything that can be computed without the data is: domains, draws and what they cost. `count` is the only code that
sees the private table, and its result the only thing that `draws.py` takes; the model sees noisy numbers alone.

Guarantee. For neighbours that differ in all rows of one unit, what `draw` returns has the loss of `loss`: rho-zCDP
where rho is spent, epsilon-differential privacy where epsilon is (`planned.py` says why). How many rows there are is
private too: the model knows it by noise only. Whether a row counts depends on that row alone: one with a value outside
of the declared domain is left out, without a word, since an error would tell of it. A draw that fails leaves all
charged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property
from typing import TYPE_CHECKING

import pyarrow as pa

from airflow_veil.privacy.dp.loss import Loss
from airflow_veil.privacy.dp.lots import Lots, SystemLots
from airflow_veil.privacy.dp.mechanism import Mechanism, library
from airflow_veil.privacy.errors import SchemaError, SyntheticError
from airflow_veil.privacy.ledger import budget as ledger
from airflow_veil.privacy.synthetic import aim, mst
from airflow_veil.privacy.synthetic.bounding import UnitRows
from airflow_veil.privacy.synthetic.domain import Domain, digest_of, domain_of, encoded
from airflow_veil.privacy.synthetic.draws import Draws
from airflow_veil.privacy.synthetic.marginals import Clique, Marginals, pairs
from airflow_veil.privacy.synthetic.planned import Planned, Spending, loss_of
from airflow_veil.privacy.synthetic.private_model import PrivateModel
from airflow_veil.privacy.synthetic.specification import Specification

if TYPE_CHECKING:
    from airflow_veil.privacy.synthetic.synthesizer import Progress, Tables

Drawing = Callable[[tuple[Planned, ...]], None]
"""Told what is going to be drawn, before anything is: the ledger."""


def synthesizer(
    specification: Specification, *, rows_per_unit: int = 1, drawing: Drawing | None = None
) -> PrivateSynthesizer:
    """The synthesizer of a private method; see `PrivateSynthesizer`."""
    return PrivateSynthesizer(specification, rows_per_unit=rows_per_unit, drawing=drawing)


class PrivateSynthesizer:
    """Fits models of one private method to one specification, at one price."""

    def __init__(
        self, specification: Specification, *, rows_per_unit: int = 1, drawing: Drawing | None = None
    ) -> None:
        """Make the domains; no data is read.

        Args:
            specification: What is made; of one table, by `mst` or `aim`, with what a model costs.
            rows_per_unit: How many rows of a unit count at most; others are left out, drawn by lot for each fit.
            drawing: Told what is going to be drawn, for `fit`.

        Raises:
            SyntheticError: The method is another, or no column is learned.
            SchemaError: The domain of a column is none.
        """
        self.specification = specification
        self._table = specification.only
        self._rows_per_unit = rows_per_unit
        self._drawing = drawing
        if not specification.method.private:
            raise SyntheticError(
                f"`{specification.word}` is not differentially private", where=specification.name
            )
        if not self._table.learned:
            raise SyntheticError("no column is learned", where=self._table.name)
        self.domains: tuple[Domain, ...] = tuple(
            domain_of(
                column.name, column.declared, column.type, values=column.values,
                where=f"{self._table.name}.{column.name}",
            )
            for column in self._table.learned
        )  # fmt: skip

    def plan(self) -> tuple[Planned, ...]:
        """The draws of a fit, in their order, whatever the data.

        Raises:
            SyntheticError: The specification does not say what a model costs.
            BudgetError: The loss is too small for so many draws.
        """
        return self._planned

    @property
    def loss(self) -> Loss:
        """What a fit costs: no more than is to be spent."""
        return loss_of(self._planned)

    def measurements(self, unit: str) -> tuple[ledger.Measurement, ...]:
        """The draws as the ledger has them.

        Args:
            unit: The privacy unit of the account that pays.
        """
        return tuple(
            ledger.Measurement(
                statistic=one.name,
                mechanism=one.mechanism.value,
                # Choices are counted by their loss, marginals by their noise.
                noise=one.mechanism.value if one.mechanism is Mechanism.NOISY_MAX else one.noise,
                sensitivity=repr(one.sensitivity),
                scale=repr(one.scale),
                loss=one.loss,
                unit=unit,
                dataset=self._table.name,
                library=library(),
            )
            for one in self._planned
        )

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all that makes a model but the rows: what it is made for, its domains, its draws, in hex."""
        from airflow_veil.privacy.ledger.canonical import canonical_json, sha256_of

        drawn = [
            [one.name, one.mechanism.value, repr(one.sensitivity), repr(one.scale)] for one in self._planned
        ]
        return sha256_of(canonical_json([self.specification.digest, digest_of(self.domains), drawn]))

    def count(
        self,
        batches: Iterable[pa.RecordBatch],
        *,
        unit: str | None = None,
        beat: Callable[[], None] | None = None,
        _lots: Lots | None = None,
    ) -> Marginals:
        """Read the rows, bound what each unit contributes, and count.

        Args:
            batches: All rows, with the learned columns, in their types; how many are read must not depend on rows.
            unit: The column that says whose a row is, in text or whole numbers; rows of nobody are left out. None where
                each row is a unit by itself: then memory is that of the cells.
            beat: Called now and then while it takes long.

        Returns:
            Exact counts, which must not leave without noise.

        Raises:
            SchemaError: A column is missing or of another type.
            InternalError: A bound does not hold.
        """
        exact = Marginals([domain.size for domain in self.domains], self._cliques())
        units = UnitRows(self._rows_per_unit, _lots or SystemLots())
        for batch in batches:
            columns = self._read(batch, unit)
            codes, there = encoded(self.domains, columns)
            if unit is None:
                exact.add(codes)
            else:
                units.add(codes, columns[unit].filter(pa.array(there)), where=f"{self._table.name}.{unit}")
            if beat is not None:
                beat()
        exact.add(units.bounded())
        return exact

    def draw(self, exact: Marginals, *, progress: Progress) -> PrivateModel:
        """Draw all that is planned, and fit. Only after the ledger was told: from here on all of it is spent.

        Args:
            exact: What `count` gave.
            progress: Told how far it is: numbers of draws.

        Raises:
            InternalError: What is drawn is not what was planned, or OpenDP's map does not agree with the charge.
        """
        draws = Draws(exact, self._planned)
        names = tuple(domain.name for domain in self.domains)
        if self.specification.method.mst is not None:
            model, codes = mst.fit(names, self._planned, draws, progress)
        else:
            model, codes = aim.fit(names, self._planned, draws, self._candidates(), progress)
        return PrivateModel(self.specification, self.domains, tuple(codes), model.tree, model.total)

    def fit(self, tables: Tables, *, seed: int, progress: Progress) -> PrivateModel:  # noqa: ARG002 - noise has none
        """Fit a model to rows each of which is a unit by itself; see `Synthesizer.fit`.

        The rows must be all there are: which rows are in the table must not depend on others, as it does where a sample
        has a fixed size. Where people have several rows, and for large tables, use `count` and `draw`.

        Raises:
            SyntheticError: Nobody is told what is going to be drawn.
        """
        if self._drawing is None:
            raise SyntheticError(
                "a private model is fitted after the ledger was told of it",
                fix="give `drawing`, or use `draw`",
            )
        exact = self.count(tables[self._table.name].to_batches())
        self._drawing(self._planned)
        return self.draw(exact, progress=progress)

    def from_bytes(self, content: bytes) -> PrivateModel:
        """A model that `to_bytes` gave: no code is run by reading it. See `Synthesizer.from_bytes`."""
        return PrivateModel.from_bytes(self.specification, self.domains, content)

    @cached_property
    def _planned(self) -> tuple[Planned, ...]:
        names = tuple(domain.name for domain in self.domains)
        spending = self._spending()
        if self.specification.method.aim is not None:
            return aim.plan(names, spending, self.specification.method.aim.rounds)
        return mst.plan(names, spending)

    def _spending(self) -> Spending:
        spend = self.specification.spend
        if spend is not None and spend.rho is not None:
            return Spending(noise="gaussian", amount=spend.rho, rows_per_unit=self._rows_per_unit)
        if spend is not None and spend.epsilon is not None:
            return Spending(noise="laplace", amount=spend.epsilon, rows_per_unit=self._rows_per_unit)
        raise SyntheticError(
            "the specification does not say what a model costs",
            where=self.specification.name,
            fix="add `spend`",
        )

    def _candidates(self) -> list[Clique]:
        sizes = [domain.size for domain in self.domains]
        return pairs(sizes) if self.specification.method.mst is not None else aim.candidates(sizes)

    def _cliques(self) -> list[Clique]:
        return [*((number,) for number in range(len(self.domains))), *self._candidates()]

    def _read(self, batch: pa.RecordBatch, unit: str | None) -> dict[str, pa.Array]:
        wanted = [domain.name for domain in self.domains] + ([] if unit is None else [unit])
        missing = [name for name in wanted if name not in batch.schema.names]
        if missing:
            raise SchemaError(f"there is no column {', '.join(missing)}", where=self._table.name)
        return {name: batch.column(name) for name in wanted}
