"""A fitted private model: noisy tables of a few columns each, and rows drawn from them.

Guarantee. All of it is computed from draws that were paid for, the policy, and seeds: it is post-processing, and so is
every row that is drawn from it, however many there are and whatever is given (Dwork and Roth 2014, proposition 2.1).
Whoever holds the model knows of a unit no more than the loss of its draws says; within that it is not personal data.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from zipfile import BadZipFile

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from airflow_veil.privacy.errors import SchemaError, SyntheticError
from airflow_veil.privacy.synthetic.constraints import held
from airflow_veil.privacy.synthetic.domain import Domain
from airflow_veil.privacy.synthetic.envelope import unwrapped, wrapped
from airflow_veil.privacy.synthetic.frames import Finisher
from airflow_veil.privacy.synthetic.junction import Shape, Tree
from airflow_veil.privacy.synthetic.rare import Grouped
from airflow_veil.privacy.synthetic.sampler import Sampler
from airflow_veil.privacy.synthetic.seeds import seed_of
from airflow_veil.privacy.synthetic.specification import Specification

Given = Mapping[str, str | int | float | bool]
"""Values that columns have in every row."""


@dataclass(frozen=True)
class PrivateModel:
    """What `mst` and `aim` draw from.

    Attributes:
        specification: What it is made for.
        domains: The domain of each learned column.
        codes: The groups of codes of each.
        tree: The distribution of groups.
        total: How many rows there were, as noise tells it.
    """

    specification: Specification
    domains: tuple[Domain, ...]
    codes: tuple[Grouped, ...]
    tree: Tree
    total: float

    @property
    def method(self) -> str:
        """The word of its method."""
        return self.specification.word

    def sample(
        self, *, seed: int, rows: int | None = None, given: Given | None = None
    ) -> Iterator[tuple[str, pa.RecordBatch]]:
        """Draw rows; see `Model.sample`. What is given of a number is given of its bin, and the number it is.

        Raises:
            SyntheticError: A value is given that is not in its column's domain or breaks a constraint, or a column that
                is not learned.
        """
        table = self.specification.only
        fixed = self._fixed(given or {})
        sampler = Sampler(self.tree, {n: int(self.codes[n].group[code]) for n, code in fixed.items()})
        rng = np.random.default_rng(seed_of(seed, self.method, table.name))
        finisher = Finisher(table, seed=seed)
        for groups in sampler.draw(rows or table.rows or max(1, round(self.total)), rng):
            columns = self._columns(groups, fixed, given or {}, rng)
            mended = held(table, columns)
            if any(not mended[name].equals(columns[name]) for name in given or {}):
                raise SyntheticError(
                    "the values that are given leave no room for a constraint",
                    where=table.name,
                    fix="give the smaller column of the constraint, or none of the two",
                )
            yield table.name, finisher.batch(mended, groups.shape[1])

    def to_bytes(self) -> bytes:
        """The model, without a pickle: numpy arrays, and a line of JSON that says what they are."""
        arrays: dict[str, Any] = {f"table{n}": table for n, table in enumerate(self.tree.tables)}
        arrays |= {f"group{n}": one.group for n, one in enumerate(self.codes)}
        arrays |= {f"share{n}": one.share for n, one in enumerate(self.codes)}
        held_in = io.BytesIO()
        np.savez_compressed(held_in, allow_pickle=False, **arrays)
        shape = {"cliques": self.tree.shape.cliques, "parents": self.tree.shape.parents}
        return wrapped(self.specification, held_in.getvalue(), total=self.total, **shape)

    @classmethod
    def from_bytes(
        cls, specification: Specification, domains: tuple[Domain, ...], content: bytes
    ) -> PrivateModel:
        """A model that `to_bytes` gave.

        Raises:
            SyntheticError: It is none of this specification.
        """
        facts, payload = unwrapped(specification, content)
        try:
            with np.load(io.BytesIO(payload), allow_pickle=False) as arrays:
                return cls._read(specification, domains, facts, arrays)
        except (ValueError, KeyError, IndexError, TypeError, OSError, EOFError, BadZipFile):
            raise SyntheticError(
                "these bytes are no model", where=specification.name, fix="fit the model anew"
            ) from None

    @classmethod
    def _read(
        cls, specification: Specification, domains: tuple[Domain, ...], facts: Mapping[str, Any], arrays: Any
    ) -> PrivateModel:
        codes = tuple(Grouped(arrays[f"group{n}"], arrays[f"share{n}"]) for n in range(len(domains)))
        cliques = tuple(tuple(map(int, clique)) for clique in facts["cliques"])
        shape = Shape(tuple(one.size for one in codes), cliques, tuple(map(int, facts["parents"])))
        tables = tuple(arrays[f"table{n}"] for n in range(len(cliques)))
        if any(len(one.group) != domain.size for one, domain in zip(codes, domains, strict=True)):
            raise ValueError
        if any(table.shape != shape.shape(clique) for table, clique in zip(tables, cliques, strict=True)):
            raise ValueError
        return cls(specification, domains, codes, Tree(shape, tables), float(facts["total"]))

    def _fixed(self, given: Given) -> dict[int, int]:
        """The codes of given values, by the number of the column."""
        place = {domain.name: number for number, domain in enumerate(self.domains)}
        fixed = {}
        for name, value in given.items():
            if name not in place:
                raise SyntheticError(
                    "values are given of learned columns", where=name, expected=", ".join(place)
                )
            try:
                fixed[place[name]] = self.domains[place[name]].code_of(value)
            except SchemaError as error:
                raise SyntheticError(error.what, where=name) from None
        return fixed

    def _columns(
        self, groups: NDArray[np.int32], fixed: Mapping[int, int], given: Given, rng: np.random.Generator
    ) -> dict[str, pa.Array]:
        """A batch of groups as values."""
        columns = {}
        for number, (domain, codes) in enumerate(zip(self.domains, self.codes, strict=True)):
            if number in fixed:
                one = domain.scalar_of(given[domain.name])
                columns[domain.name] = pa.repeat(one, groups.shape[1])
            else:
                columns[domain.name] = domain.decode(codes.split(groups[number], rng), rng)
        return columns
