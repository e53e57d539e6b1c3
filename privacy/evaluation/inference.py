"""Attribute inference: who knows other columns of a person guesses a secret by the nearest synthetic row.

What the release tells of people in general it also tells of the hold-out, so that only the excess counts (Giomi et al.
2023, section 4.3). A guess of a number with many values is right within 5 % of the truth; any other has to be exact; a
null is a value.

The baseline guesses by a synthetic row that is drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow_veil.privacy.errors import SchemaError
from airflow_veil.privacy.evaluation.attack_risk import AttackRisk, attack_risk
from airflow_veil.privacy.evaluation.linkability import drawn
from airflow_veil.privacy.evaluation.neighbours import neighbours
from airflow_veil.privacy.evaluation.tables import Encoded, Rows
from airflow_veil.privacy.lazy import np
from airflow_veil.privacy.risk.attacks.attack import CONFIDENCE

WITHIN = 0.05
"""How far off a guessed number may be, as a share of the truth; of dates and times, of what is since the first."""


def inference(
    tables: Encoded,
    secret: str,
    known: Sequence[str],
    *,
    attempts: int,
    rng: np.random.Generator,
    confidence: float = CONFIDENCE,
) -> AttackRisk:
    """Guess a secret of people of the training rows, and of the hold-out.

    Args:
        tables: The three tables.
        secret: The column that is guessed.
        known: What the attacker knows of a target.
        attempts: How many people of each are tried, or all if there are fewer.
        rng: Draws them, and the order among rows at one distance.
        confidence: Of the interval.

    Raises:
        SchemaError: Nothing is known, or the secret is.
    """
    if not known or secret in known:
        raise SchemaError(
            "nothing is known but the secret",
            where=f"attack inference, column {secret}",
            expected="one known column or more beside it",
        )
    synthetic = tables.synthetic
    train, holdout = (drawn(part, attempts, rng) for part in (tables.train, tables.holdout))
    hits, control = (
        int(_right(part, synthetic, secret, neighbours(part, synthetic, known, 1, rng).rows[:, 0]).sum())
        for part in (train, holdout)
    )
    return attack_risk(
        "inference",
        column=secret,
        right=hits,
        tried=train.length,
        control_right=control,
        control_tried=holdout.length,
        baseline=float(
            _right(train, synthetic, secret, rng.integers(0, synthetic.length, train.length)).mean()
        ),
        confidence=confidence,
    )


def _right(targets: Rows, synthetic: Rows, secret: str, rows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Whether the secret of each target is that of a synthetic row."""
    same: np.ndarray[Any, Any] = targets.codes[secret].codes == synthetic.codes[secret].codes[rows]
    if secret not in targets.scaled:
        return same
    truth, guess = targets.scaled[secret], synthetic.scaled[secret][rows]
    near: np.ndarray[Any, Any] = np.abs(guess - truth) <= WITHIN * np.abs(truth + targets.zero[secret])
    same |= near
    return same
