"""The distribution that fits noisy marginals best: a graphical model, by mirror descent over the oracle of MBI.

Of all distributions it is one with the least sum of squares between its marginals and the noisy ones, each divided by
the variance of its noise (McKenna, Sheldon and Miklau, "Graphical-model based estimation and inference for differential
privacy", 2019, https://arxiv.org/abs/1901.09136). All of it is post-processing: nothing private is read here.

MBI's own loop starts from the uniform distribution with steps that grow by a hundredth, and its oracle is compiled
anew for each set of marginals, which takes seconds. Here each new marginal is put into the model first, as a step of
iterative proportional fitting that does not touch the columns by themselves; from there steps double or halve, and some
dozens are enough. Models on the way, which only say what to ask next, are fitted over our own tables; the last one over
MBI's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from airflow_veil.privacy.synthetic.junction import (
    Floats,
    Tree,
    calibrated,
    marginal,
    maximal,
    spread,
    tree_shape,
)
from airflow_veil.privacy.synthetic.marginals import Clique

Tables: TypeAlias = dict[Clique, Floats]
"""Cliques to a number a cell, an axis a column."""
Oracle: TypeAlias = Callable[[Tables], tuple[float, Tables, Tables]]
"""Takes potentials, and tells the loss, its slope in each marginal, and the marginals in rows."""

ITERATIONS = 250
"""Steps of a last fit."""
_HASTE = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
"""A few hundred calls do not earn back what optimizing the code takes."""
_HALVINGS = 25
_GROWTH = 2.0
_DECREASE = 0.5
_SETTLED = 1e-5
"""Steps end where ten of them together gain no more than this share of the loss."""
_LEAST = 0.2
"""Of the noise's deviation: what a cell counts as at least, so that none is ruled out by noise."""
_TINY = 1e-300


@dataclass(frozen=True, slots=True)
class Measured:
    """A noisy marginal: its columns, what was drawn, an axis a column, and the deviation of all cells or of each."""

    clique: Clique
    noisy: Floats
    deviation: float | Floats


@dataclass
class Fit:
    """A model that grows by one noisy marginal after the other.

    Attributes:
        sizes: How many groups of codes each column has.
        total: How many rows there are, as noisy marginals tell.
        measured: What the model is fitted to.
    """

    sizes: tuple[int, ...]
    total: float
    measured: list[Measured] = field(default_factory=list)
    _potentials: Tables = field(default_factory=dict)
    _tree: Tree | None = None

    @property
    def tree(self) -> Tree:
        """The distribution as it is."""
        if self._tree is None:
            shape = tree_shape(self.sizes, self._potentials)
            self._tree = calibrated(shape, self._potentials)
        return self._tree

    def expected(self, clique: Clique) -> Floats:
        """What the model has in a marginal, in rows."""
        return self.total * self.tree.project(clique)

    def add(self, measured: Measured) -> None:
        """Put a noisy marginal into the model; it then has about these cells, and the columns that it had."""
        clique, floor = measured.clique, _LEAST * measured.deviation
        target = np.maximum(measured.noisy, floor)
        target /= target.sum()
        if len(clique) == 1:
            change = np.log(target)
        else:
            now = self.tree.project(clique)
            for _ in range(20):
                for column in clique:
                    wanted = marginal(now, clique, (column,))
                    has = marginal(target, clique, (column,))
                    target *= spread(wanted / np.maximum(has, _TINY), (column,), clique)
            change = np.log(np.maximum(target, _TINY)) - np.log(np.maximum(now, _TINY))
        self._potentials = _absorbed({**self._potentials, clique: change + self._potentials.get(clique, 0.0)})
        self.measured.append(measured)
        self._tree = None

    def improve(self, iterations: int) -> None:
        """Fit the model to all that was measured, in some steps over our own tables."""
        self._descend(_own_oracle(self, list(self._potentials)), iterations)

    def finish(self) -> None:
        """Fit the model to all that was measured, in as many steps as it takes, over MBI's oracle."""
        self._descend(_oracle(self, list(self._potentials)), ITERATIONS)

    def _descend(self, value: Oracle, iterations: int) -> None:
        self._potentials = _descended(value, self._potentials, 1 / self.total, iterations)
        self._tree = None


def total_of(measured: Sequence[Measured]) -> float:
    """The number of rows that noisy marginals tell: each by its variance; at least 1."""
    variances = [np.broadcast_to(np.square(one.deviation), one.noisy.shape).sum() for one in measured]
    weights = [1 / float(variance) for variance in variances]
    sums = [float(one.noisy.sum()) for one in measured]
    return max(1.0, float(np.average(sums, weights=weights)))


def _absorbed(potentials: Tables) -> Tables:
    """The same distribution with potentials of no clique that is in another."""
    merged: Tables = {}
    homes = maximal(potentials)
    for clique, logs in potentials.items():
        home = next(one for one in homes if set(clique) <= set(one))
        before = merged.get(home, np.zeros([1] * len(home)))
        merged[home] = before + spread(logs, clique, home)
    return merged


def _descended(value: Oracle, start: Tables, first_step: float, iterations: int) -> Tables:
    """Potentials after some steps of mirror descent with a line search (algorithm 1 of the paper)."""
    theta = start
    loss, slope, has = value(theta)
    step, losses = first_step, [loss]
    for _ in range(iterations):
        for _ in range(_HALVINGS):
            there = {clique: theta[clique] - step * slope[clique] for clique in theta}
            loss_there, slope_there, has_there = value(there)
            moved = sum(float((slope[clique] * (has[clique] - has_there[clique])).sum()) for clique in theta)
            if loss - loss_there >= _DECREASE * step * moved:
                break
            step /= 2
        else:
            break
        theta, loss, slope, has = there, loss_there, slope_there, has_there
        step *= _GROWTH
        losses.append(loss)
        if len(losses) > 10 and losses[-11] - loss <= _SETTLED * loss:
            break
    return theta


def _own_oracle(fit: Fit, cliques: list[Clique]) -> Oracle:
    """The loss and its slope over our own tables."""
    shape = tree_shape(fit.sizes, cliques)
    homes = [next(one for one in cliques if set(m.clique) <= set(one)) for m in fit.measured]

    def value(potentials: Tables) -> tuple[float, Tables, Tables]:
        tree = calibrated(shape, potentials)
        has = {clique: fit.total * tree.project(clique) for clique in cliques}
        slope = {clique: np.zeros_like(table) for clique, table in has.items()}
        loss = 0.0
        for measured, home in zip(fit.measured, homes, strict=True):
            far = (marginal(has[home], home, measured.clique) - measured.noisy) / measured.deviation
            loss += 0.5 * float((far * far).sum())
            slope[home] += spread(far / measured.deviation, measured.clique, home)
        return loss, slope, has

    return value


def _oracle(fit: Fit, cliques: list[Clique]) -> Oracle:
    """The loss and its slope over MBI's oracle, compiled once."""
    import jax
    import jax.numpy as jnp
    from mbi import CliqueVector, Domain, Factor, marginal_oracles

    domain = Domain(_names(range(len(fit.sizes))), fit.sizes)
    names = [_names(clique) for clique in cliques]
    homes = [next(n for n, one in enumerate(cliques) if set(m.clique) <= set(one)) for m in fit.measured]

    def loss_of(tables: list[Any]) -> Any:
        loss: Any = 0.0
        for measured, home in zip(fit.measured, homes, strict=True):
            gone = tuple(n for n, column in enumerate(cliques[home]) if column not in measured.clique)
            far = (tables[home].sum(axis=gone) - measured.noisy.astype(np.float32)) / measured.deviation
            loss += 0.5 * jnp.vdot(far, far)
        return loss

    @partial(jax.jit, compiler_options=_HASTE)
    def compiled(logs: list[Any]) -> Any:
        factors = {name: Factor(domain.project(name), one) for name, one in zip(names, logs, strict=True)}
        fitted = marginal_oracles.message_passing_fast(CliqueVector(domain, names, factors), fit.total)
        tables = [fitted[name].values for name in names]
        loss, slope = jax.value_and_grad(loss_of)(tables)
        return loss, slope, tables

    def value(potentials: Tables) -> tuple[float, Tables, Tables]:
        logs = [np.asarray(potentials[clique] - potentials[clique].max(), np.float32) for clique in cliques]
        loss, slope, tables = compiled(logs)
        return (
            float(loss),
            {clique: np.asarray(one, np.float64) for clique, one in zip(cliques, slope, strict=True)},
            {clique: np.asarray(one, np.float64) for clique, one in zip(cliques, tables, strict=True)},
        )

    return value


def _names(clique: Iterable[int]) -> tuple[str, ...]:
    """Columns as MBI wants them: texts, which sort as the numbers do."""
    return tuple(f"{column:05d}" for column in clique)
