"""Attribute inference: who knows all of a person but one value, and what the model tells of them, guesses that value.

The guess is the value with the greatest posterior: how frequent it is among people outside, times how likely the
person's own target is if they had it (Fredrikson et al., "Model inversion attacks", 2015; Yeom et al., 2018). What a
model tells of people in general is no attack on those in it: what counts is how much better guesses are for people in
the model than for others. Beside it stands what guessing the most frequent value reaches, without a model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from airflow_veil.privacy.errors import ModelError
from airflow_veil.privacy.lazy import np
from airflow_veil.privacy.model_test.pool import Pool
from airflow_veil.privacy.model_test.question import CANDIDATES, Answer, Outputs, candidates
from airflow_veil.privacy.risk.attacks.attack import Attack, outcome

Array: TypeAlias = "np.ndarray[Any, Any]"

_LEAST = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Inference:
    """What guessing a sensitive feature reached.

    Attributes:
        column: The feature.
        values: How many values it has.
        members: Right guesses of people in the model, against those of others.
        guessing: Right guesses of people in the model, against the most frequent value without a model. It is there
            for a model that is good, too: it tells of people in general.
    """

    column: str
    values: int
    members: Attack
    guessing: Attack

    def as_dict(self) -> dict[str, Any]:
        """The figures for a machine to read."""
        return {
            "column": self.column,
            "values": self.values,
            "members": self.members.as_dict(),
            "guessing": self.guessing.as_dict(),
        }


def few_values(people: Pool, sensitive: tuple[str, ...], *, where: str) -> None:
    """Look that values can be tried one by one.

    Raises:
        ModelError: A feature has too many, or one alone.
    """
    for name in sensitive:
        count = len(candidates(people.rows, name)[0])
        if not 1 < count <= CANDIDATES:
            raise ModelError(
                f"the sensitive feature {name} has {count:,} different values",
                where=where,
                expected=f"2 to {CANDIDATES}, which are tried one by one",
                fix="train on a coarser feature, or take it off `sensitive`",
            )


def inference(people: Pool, answer: Answer, asked: Array, name: str) -> Inference:
    """Guess a sensitive feature.

    Args:
        people: Who is in and who is not.
        answer: What the model said.
        asked: The rows that were asked about, one a person.
        name: The feature.
    """
    values, codes = candidates(people.rows, name)
    truth, inside = codes[asked], people.row_inside[asked]
    known = truth >= 0
    outside = truth[known & ~inside]
    prior = (np.bincount(outside, minlength=len(values)) + 1) / (len(outside) + len(values))
    posterior = np.log(prior) + _likelihood(answer, name, asked, inside)
    right = posterior.argmax(axis=1) == truth
    mine, others = right[known & inside], right[known & ~inside]
    guess = float((truth[known & inside] == int(prior.argmax())).mean()) if len(mine) else 0.0
    return Inference(
        column=name,
        values=len(values),
        members=outcome(
            f"inference of {name}, people in the model against others",
            float(mine.sum()),
            len(mine),
            baseline=float(others.mean()) if len(others) else 0.0,
            of=max(len(others), 1),
        ),
        guessing=outcome(
            f"inference of {name}, against guessing", float(mine.sum()), len(mine), baseline=guess
        ),
    )


def _likelihood(answer: Answer, name: str, asked: Array, inside: Array) -> Array:
    """The log of how likely each person's target is under each value, by how wrong the model is of people outside."""
    loss, outside = answer.tried[name], answer.loss[asked][~inside]
    if answer.told.outputs is Outputs.VALUES:
        found: Array = -loss / (2 * max(float(outside.mean()), _LEAST))
        return found
    if answer.told.outputs is Outputs.LABELS:
        wrong = min(max(float(outside.mean()), _LEAST), 1 - _LEAST)
        told: Array = np.log(1 - wrong) + (np.log(wrong) - np.log(1 - wrong)) * (loss > 0)
        return told
    return -loss
