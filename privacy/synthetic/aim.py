"""AIM: noisy marginals chosen one after the other, each where the model is furthest from the data.

McKenna, Mullins, Sheldon and Miklau, "AIM: An Adaptive and Iterative Mechanism for Differentially Private Synthetic
Data" (2022), https://arxiv.org/abs/2201.12677. A candidate's score is how far the model is from it, less what the noise
of its cells is going to add, times the number of its columns; candidates that would make the model too large take no
part. What is different from the paper: the number of rounds and what each costs stand in the plan, so that all is
charged before the first draw; and steps of the fit are few, since each round goes on from the one before.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import combinations
from math import prod

from airflow_veil.privacy.synthetic.draws import Candidate, Draws
from airflow_veil.privacy.synthetic.estimation import Fit, Measured
from airflow_veil.privacy.synthetic.junction import cells_of
from airflow_veil.privacy.synthetic.marginals import Clique, pairs
from airflow_veil.privacy.synthetic.mst import column_plan, deviation_of, of_columns
from airflow_veil.privacy.synthetic.planned import Planned, Spending
from airflow_veil.privacy.synthetic.rare import Grouped

COLUMNS, CHOICES = Fraction(1, 10), Fraction(1, 10)
"""What of the loss goes to columns, and to choices; the rest goes to the marginals that are chosen."""
MOST_CELLS = 1 << 19
"""Cells of all tables of a model: 4 MiB, and some milliseconds for a step of a fit."""
LARGEST = 3
"""Columns of a candidate at most."""
MOST_COLUMNS = 16
"""Columns of a table up to which threes of them are candidates: beyond, there are too many to compare in each round."""
MOST_CANDIDATE = 1 << 15
"""Cells of a three: with more, noise would drown it."""
_STEPS = 60
"""Steps of a fit between two rounds."""


def plan(columns: tuple[str, ...], spending: Spending, rounds: int) -> tuple[Planned, ...]:
    """The draws of AIM, in their order.

    Raises:
        BudgetError: The loss is too small for so many.
    """
    if len(columns) == 1:
        return column_plan(columns, spending, Fraction(1))
    choice = spending.share(CHOICES, rounds)
    marginal = spending.share(1 - COLUMNS - CHOICES, rounds)
    drawn = list(column_plan(columns, spending, COLUMNS))
    weight = most_weight(len(columns))
    for number in range(1, rounds + 1):
        drawn.append(spending.choice(f"choice {number}", choice, weight=weight))
        drawn.append(spending.marginal(f"marginal {number}", marginal))
    return tuple(drawn)


def fit(
    columns: tuple[str, ...],
    planned: tuple[Planned, ...],
    draws: Draws,
    offered: list[Clique],
    progress: Callable[[str], None],
) -> tuple[Fit, list[Grouped]]:
    """Draw and fit.

    Returns:
        The model over groups of codes, and the groups of each column.
    """
    model, codes = of_columns(columns, planned, draws)
    groups = [one.group for one in codes]
    rounds = sum(one.name.startswith("choice ") for one in planned)
    for number in range(1, rounds + 1):
        deviation = deviation_of(planned, f"marginal {number}")
        scored = [_candidate(model, clique, deviation) for clique in _small(model, offered)]
        chosen = scored[draws.choose(f"choice {number}", scored, groups)].clique
        noisy = draws.marginal(f"marginal {number}", chosen, [groups[column] for column in chosen])
        model.add(Measured(chosen, noisy, deviation))
        model.improve(_STEPS)
        progress(f"round {number} of {rounds}")
    model.finish()
    return model, codes


def most_weight(columns: int) -> int:
    """The greatest weight of a candidate."""
    return min(columns, LARGEST)


def candidates(sizes: Sequence[int]) -> list[Clique]:
    """The marginals that may be chosen: all pairs, and threes of columns that are few enough and not too large."""
    offered = pairs(sizes)
    if len(sizes) <= MOST_COLUMNS:
        offered += [three for three in combinations(range(len(sizes)), LARGEST)
                    if prod(sizes[column] for column in three) <= MOST_CANDIDATE]  # fmt: skip
    return offered


def _candidate(model: Fit, clique: Clique, deviation: float) -> Candidate:
    expected = model.expected(clique)
    # The mean of the absolute value of Gaussian noise; for Laplace noise it is less, which favours no candidate.
    penalty = math.sqrt(2 / math.pi) * deviation * expected.size
    return Candidate(clique, expected, penalty, len(clique))


def _small(model: Fit, offered: list[Clique]) -> list[Clique]:
    """Candidates with which the model's tables stay small; those that it has a table for always do."""
    have = [one.clique for one in model.measured]
    shape = model.tree.shape
    return [
        clique
        for clique in offered
        if shape.home(clique) >= 0 or cells_of(model.sizes, [*have, clique]) <= MOST_CELLS
    ]
