"""Tests a model: puts the people together, asks it, and attacks what it says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from airflow_veil.privacy.lazy import np, pa
from airflow_veil.privacy.model_test.ask import ask
from airflow_veil.privacy.model_test.inference import Inference, few_values, inference
from airflow_veil.privacy.model_test.membership import Membership, membership
from airflow_veil.privacy.model_test.pool import draws, pool
from airflow_veil.privacy.model_test.question import Answer, Outputs, Question, Told
from airflow_veil.privacy.policy.model_release import ModelRelease

ASKED = 5_000
"""People inside, and outside, whose sensitive values are guessed at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attacked:
    """What attacks on a model reached.

    Attributes:
        told: What the model is.
        rows: Rows that were looked at.
        people_inside: People in the model.
        people_outside: People outside of it, who were asked about.
        in_both: People of the hold-out who were left out of it, since they are in the model, too.
        shadows: Models that were fitted anew; 0 where it cannot be.
        membership: Attacks on membership.
        inference: Guesses of sensitive values.
        stored_rows: The share of training rows that lie in the artefact as they are.
        error: How wrong the model is of people outside: the share of wrong labels, or the mean absolute error.
    """

    told: Told
    rows: int
    people_inside: int
    people_outside: int
    in_both: int
    shadows: int
    membership: tuple[Membership, ...]
    inference: tuple[Inference, ...]
    stored_rows: float
    error: float

    @property
    def refitted(self) -> bool:
        """Whether the attack that needs shadow models was run."""
        return self.shadows > 0

    @property
    def regression(self) -> bool:
        """Whether the model tells numbers."""
        return self.told.outputs is Outputs.VALUES

    def as_dict(self) -> dict[str, Any]:
        """The figures for a machine to read."""
        return {
            "model": {
                "type": self.told.type,
                "outputs": self.told.outputs.value,
                "refitted": self.told.refitted,
                "libraries": self.told.libraries,
            },
            "rows": self.rows,
            "people_inside": self.people_inside,
            "people_outside": self.people_outside,
            "in_both": self.in_both,
            "shadows": self.shadows,
            "membership": [each.as_dict() for each in self.membership],
            "inference": [each.as_dict() for each in self.inference],
            "stored_rows": self.stored_rows,
            "error": self.error,
        }


def attack_model(
    model: ModelRelease,
    artefact: bytes,
    train: pa.Table,
    holdout: pa.Table,
    *,
    subject: str | None,
    seed: int,
    where: str,
    asking: Callable[..., Answer] = ask,
) -> Attacked:
    """Attack a model.

    Args:
        model: What the policy says of it.
        artefact: The bytes of its file.
        train: The rows that it was trained on.
        holdout: Rows of others.
        subject: The column that says whose a row is, if there is one.
        seed: For all draws; the same seed tells the same.
        where: The model, for errors.
        asking: What asks it.

    Raises:
        SchemaError: A column is not there.
        ModelError: It cannot be loaded or asked, or there are too few people.
    """
    people = pool(train, holdout, (*model.features, model.target), subject, seed=seed, where=where)
    few_values(people, model.sensitive, where=where)
    inside = draws(people, model.shadows, seed=seed)
    asked = _asked(people.one_row_each(), people.inside, seed) if model.sensitive else None
    question = Question(
        artefact=artefact,
        format=model.format,
        rows=people.rows,
        features=model.features,
        target=model.target,
        inside=inside,
        sensitive=model.sensitive,
        asked=asked,
        trusted_types=model.trusted_types,
        memory_mb=model.process.memory_mb,
        seconds=model.process.seconds,
        seed=seed,
    )
    answer = asking(question, where=where)
    mine = people.row_inside
    return Attacked(
        told=answer.told,
        rows=people.rows.num_rows,
        people_inside=people.people_inside,
        people_outside=people.people_outside,
        in_both=people.in_both,
        shadows=0 if answer.shadows is None else len(answer.shadows),
        membership=membership(people, answer, inside),
        inference=tuple(
            inference(people, answer, asked, name) for name in model.sensitive if asked is not None
        ),
        stored_rows=float(answer.stored[mine].mean()),
        error=float(answer.error[~mine].mean()),
    )


def _asked(rows: Any, inside: Any, seed: int) -> Any:
    """Rows whose sensitive values are guessed: one a person, not more than enough people a side."""
    random = np.random.default_rng(seed)
    sides = [rows[side] for side in (inside, ~inside)]
    drawn = [random.choice(side, ASKED, replace=False) if len(side) > ASKED else side for side in sides]
    return np.sort(np.concatenate(drawn))
