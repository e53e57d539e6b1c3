"""The journal of a batch: its steps in order, each durable before it is done, and once more when it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, insert, select, update

from airflow_veil.privacy.errors import ErasureError
from airflow_veil.privacy.ledger.canonical import canonical_json, read_canonical
from airflow_veil.privacy.ledger.erasure_note import note, short
from airflow_veil.privacy.ledger.erasure_record import VERIFY, Batch, Step
from airflow_veil.privacy.ledger.record import utc_now
from airflow_veil.privacy.ledger.tables import erasure_steps

_ROW = erasure_steps.c
_LONGEST_NAME = 512


def add(connection: Connection, batch: Batch, stages: Sequence[Sequence[str]], actor: str) -> None:
    """Write down the steps of a batch, which may have none.

    Raises:
        ErasureError: One is twice, or a name is none.
    """
    steps = [(stage, name) for stage, names in enumerate(stages) for name in names]
    names = [name for _, name in steps]
    fits = all(0 < len(name) <= _LONGEST_NAME and name.isprintable() for name in names)
    if len(set(names)) != len(names) or not fits:
        raise ErasureError(
            "the steps are not what a batch may have",
            where=batch.where,
            expected=f"each once, with a name of 1 to {_LONGEST_NAME} characters",
        )
    rows = [
        {"batch_id": batch.batch_id, "ordinal": ordinal, "stage": stage, "name": name, "actor": actor}
        for ordinal, (stage, name) in enumerate(steps)
    ]
    if rows:
        connection.execute(insert(erasure_steps), rows)


def listed(connection: Connection, batch_id: str) -> tuple[Step, ...]:
    """The steps of a batch, in order."""
    found = connection.execute(select(erasure_steps).where(_ROW.batch_id == batch_id).order_by(_ROW.ordinal))
    return tuple(_from_row(dict(row)) for row in found.mappings())


def unfinished(connection: Connection, batch_id: str) -> tuple[Step, ...]:
    """The steps that erase, and are not done."""
    return tuple(
        step for step in listed(connection, batch_id) if step.done_at is None and step.name != VERIFY
    )


def find(connection: Connection, batch: Batch, name: str) -> Step:
    """One step.

    Raises:
        ErasureError: The batch has none of that name.
    """
    return _find(connection, batch, name)[0]


def begin(connection: Connection, batch: Batch, name: str, actor: str) -> Step:
    """Note that a step is begun: see `Erasures.begin_step`."""
    step, before = _find(connection, batch, name)
    if step.begun_at is not None:
        return step
    left = [each for each in before if each.done_at is None]
    if left:
        raise ErasureError(
            f"the step `{left[0].name}` is not done",
            where=f"{batch.where}, step `{name}`",
            expected="it to be",
        )
    _change(connection, step, begun_at=utc_now(), actor=actor)
    note(connection, "step", batch.policy, batch.batch_id, {"step": name, "now": "begun"}, actor)
    return find(connection, batch, name)


def finish(connection: Connection, batch: Batch, name: str, done: Mapping[str, Any], actor: str) -> Step:
    """Note that a step is done: see `Erasures.finish_step`."""
    step, _ = _find(connection, batch, name)
    if step.done_at is not None:
        return step
    if step.begun_at is None:
        raise ErasureError(
            "the step was not begun", where=f"{batch.where}, step `{name}`", expected="`begin_step` before"
        )
    _change(connection, step, done_at=utc_now(), done=canonical_json(done), actor=actor)
    told = {"step": name, "now": "done", "done": short(done)}
    note(connection, "step", batch.policy, batch.batch_id, told, actor)
    return find(connection, batch, name)


def _find(connection: Connection, batch: Batch, name: str) -> tuple[Step, tuple[Step, ...]]:
    """A step, and those of the stages before."""
    found = listed(connection, batch.batch_id)
    for step in found:
        if step.name == name:
            return step, tuple(each for each in found if each.stage < step.stage)
    raise ErasureError(
        f"the batch has no step `{name}`",
        where=batch.where,
        expected="one of its steps" if found else "a batch that is frozen",
    )


def _change(connection: Connection, step: Step, **values: Any) -> None:
    those = (_ROW.batch_id == step.batch_id, _ROW.ordinal == step.ordinal)
    connection.execute(update(erasure_steps).where(*those).values(values))


def _from_row(row: dict[str, Any]) -> Step:
    done = None if row["done"] is None else read_canonical(row["done"])
    return Step(**row | {"done": done})
