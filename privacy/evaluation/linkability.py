"""Linkability: whether the release joins two sources that each know other columns of the same people.

The attacker has some columns of a target in one source and others in another, and looks for the nearest synthetic rows
by each half alone. A row that is among the nearest of both halves links them (Giomi et al. 2023, section 4.2).

The baseline draws both sets of neighbours: they share a row with probability 1 - C(n-k, k) ÷ C(n, k), exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, log1p
from typing import Any

from airflow_veil.privacy.errors import SchemaError
from airflow_veil.privacy.evaluation.attack_risk import AttackRisk, attack_risk
from airflow_veil.privacy.evaluation.neighbours import neighbours
from airflow_veil.privacy.evaluation.tables import Encoded, Rows
from airflow_veil.privacy.lazy import np
from airflow_veil.privacy.risk.attacks.attack import CONFIDENCE

NEIGHBOURS = 10
"""Synthetic rows that are taken for near."""


def linkability(
    tables: Encoded,
    halves: tuple[Sequence[str], Sequence[str]],
    *,
    attempts: int,
    rng: np.random.Generator,
    near: int = NEIGHBOURS,
    confidence: float = CONFIDENCE,
) -> AttackRisk:
    """Link people of the training rows, and of the hold-out.

    Args:
        tables: The three tables.
        halves: The columns of either source.
        attempts: How many people of each are tried, or all if there are fewer.
        rng: Draws them, and the order among rows at one distance.
        near: How many synthetic rows are near.
        confidence: Of the interval.

    Raises:
        SchemaError: A half has no column.
    """
    if not all(halves):
        raise SchemaError(
            "a source has no column", where="attack linkability", expected="two columns or more"
        )
    synthetic = tables.synthetic
    near = min(near, max(1, synthetic.length // 4))
    right = [_linked(part, synthetic, halves, attempts, near, rng) for part in (tables.train, tables.holdout)]
    (hits, tried), (control_hits, control_tried) = right
    return attack_risk(
        "linkability",
        right=hits,
        tried=tried,
        control_right=control_hits,
        control_tried=control_tried,
        baseline=_by_chance(synthetic.length, near),
        confidence=confidence,
    )


def _linked(
    people: Rows,
    synthetic: Rows,
    halves: tuple[Sequence[str], Sequence[str]],
    attempts: int,
    near: int,
    rng: np.random.Generator,
) -> tuple[int, int]:
    """How many are linked, and of how many."""
    targets = drawn(people, attempts, rng)
    one, other = (neighbours(targets, synthetic, half, near, rng).rows for half in halves)
    return int((one[:, :, None] == other[:, None, :]).any(axis=(1, 2)).sum()), targets.length


def drawn(people: Rows, attempts: int, rng: np.random.Generator) -> Rows:
    """So many rows without replacement; all if there are no more."""
    if people.length <= attempts:
        return people
    return people.take(np.sort(rng.choice(people.length, attempts, replace=False)))


def _by_chance(rows: int, near: int) -> float:
    """How likely two draws of `near` of the rows have one in common."""
    if 2 * near > rows:
        return 1.0
    none: Any = sum(log1p(-near / (rows - place)) for place in range(near))
    return 1 - exp(none)
