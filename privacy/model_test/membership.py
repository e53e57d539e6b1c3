"""Membership inference: who is in the model? By a likelihood ratio over shadow models, and by the loss alone.

**LiRA** (Carlini et al., "Membership inference attacks from first principles", 2022, the online attack): models like
this one are fitted with and without each row. A row's signals where it is in, and where it is not, are taken for
normal; the score is the log of the ratio of both densities at what this model says. With few shadow models all rows
share one variance a side, as in the paper. Rows of one person add up: each is evidence of the same thing.

**Loss threshold** (Yeom et al., "Privacy risk in machine learning", 2018): whose loss is below the average of the
training rows is taken to be in. It sees only that a model is overfitted as a whole: who is hard to learn and was
learned by heart looks like everybody else who is easy. It stands beside as the weak baseline that it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from airflow_veil.privacy.lazy import np
from airflow_veil.privacy.model_test.exact import Interval, area, caught
from airflow_veil.privacy.model_test.pool import Pool
from airflow_veil.privacy.model_test.question import Answer
from airflow_veil.privacy.risk.attacks.attack import Attack, outcome

Array: TypeAlias = "np.ndarray[Any, Any]"

LIRA = "membership, likelihood ratio"
LOSS = "membership, loss threshold"
RATE, STRICT_RATE = 0.01, 0.001
"""Rates of false alarms that are looked at."""
_OWN_VARIANCE = 32
"""Models with a row, and without it, from which on it has variances of its own."""
_LEAST = 1e-6
"""The variance that signals have at least, for models that always say the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """What an attack on membership reached.

    Attributes:
        name: The attack.
        tpr: The share of people inside that is told at 1 % of false alarms; None with fewer than 100 inside or outside.
        tpr_strict: The same at 0.1 %; None with fewer than 1,000 inside or outside.
        auc: How often somebody inside scores higher than somebody outside.
        advantage: People inside who are told at the attack's own threshold, against people outside.
    """

    name: str
    tpr: Interval | None
    tpr_strict: Interval | None
    auc: Interval
    advantage: Attack

    def as_dict(self) -> dict[str, Any]:
        """The figures for a machine to read."""
        return {
            "name": self.name,
            "tpr_at_1_percent": self.tpr.as_dict() if self.tpr else None,
            "tpr_at_0.1_percent": self.tpr_strict.as_dict() if self.tpr_strict else None,
            "auc": self.auc.as_dict(),
            "advantage": self.advantage.as_dict(),
        }


def membership(people: Pool, answer: Answer, inside: Array) -> tuple[Membership, ...]:
    """Attack membership in the ways that the model allows.

    Args:
        people: Who is in and who is not.
        answer: What the model, and its shadows, said.
        inside: Which rows each shadow was fitted on.

    Returns:
        The loss threshold; before it LiRA, where the model could be fitted anew.
    """
    found = [loss_threshold(people, answer.loss)]
    if answer.shadows is not None:
        found.insert(0, lira(people, answer.signal, answer.shadows, inside))
    return tuple(found)


def lira(people: Pool, signal: Array, shadows: Array, inside: Array) -> Membership:
    """The likelihood ratio attack.

    Args:
        people: Who is in and who is not.
        signal: What the model says of each row.
        shadows: What each shadow model says: one row a model.
        inside: Which rows each was fitted on; each row is in one and out of one at least.
    """
    ratio = _log_density(signal, shadows, inside) - _log_density(signal, shadows, ~inside)
    score = np.bincount(people.person, ratio, len(people.inside))
    return _reached(LIRA, score, people.inside, 0.0)


def loss_threshold(people: Pool, loss: Array) -> Membership:
    """The plain test of the loss."""
    rows = np.bincount(people.person, minlength=len(people.inside))
    mean = np.bincount(people.person, loss, len(people.inside)) / rows
    return _reached(LOSS, -mean, people.inside, -float(mean[people.inside].mean()))


def _reached(name: str, score: Array, inside: Array, threshold: float) -> Membership:
    """What scores reach, of which the greater ones are taken for people inside."""
    mine, others = score[inside], score[~inside]
    told = mine >= threshold if name == LOSS else mine > threshold
    alarms = others >= threshold if name == LOSS else others > threshold
    return Membership(
        name=name,
        tpr=caught(mine, others, RATE),
        tpr_strict=caught(mine, others, STRICT_RATE),
        auc=area(mine, others),
        advantage=outcome(name, float(told.sum()), len(mine), baseline=float(alarms.mean()), of=len(others)),
    )


def _log_density(signal: Array, shadows: Array, which: Array) -> Array:
    """How likely each row's signal is, by the models that `which` names for it; normal."""
    count = which.sum(axis=0)
    mean = np.where(which, shadows, 0.0).sum(axis=0) / count
    square = np.where(which, (shadows - mean) ** 2, 0.0).sum(axis=0)
    if count.min() >= _OWN_VARIANCE:
        variance = square / (count - 1)
    else:
        variance = np.full(len(signal), square.sum() / max(int((count - 1).sum()), 1))
    variance = np.maximum(variance, _LEAST)
    found: Array = -((signal - mean) ** 2) / (2 * variance) - np.log(variance) / 2
    return found
