"""The people of an attack: who is in the model, who is not, and which rows are whose.

People who are in both are in: their rows of the hold-out are left out. Of more people outside than inside as many are
drawn, so that shadow models, which are fitted on as many people as the model was, leave each person out often enough.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from airflow_veil.privacy.errors import ModelError, SchemaError
from airflow_veil.privacy.lazy import np, pa, pc

Array: TypeAlias = "np.ndarray[Any, Any]"

_BLOCK = 8
"""Shadow models among which each person is in as many as the share says, and in one fewer than all at least."""
_MOST = (_BLOCK - 1) / _BLOCK
"""The share of people inside at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Rows of people in a model and of others.

    Attributes:
        rows: The rows: features and target.
        person: Whose each row is: a number from 0.
        inside: Whether each person is in the model.
        in_both: People of the hold-out who are in the training rows as well, and were left out of it.
    """

    rows: pa.Table
    person: Array
    inside: Array
    in_both: int = 0

    @property
    def people_inside(self) -> int:
        """How many people are in the model."""
        return int(self.inside.sum())

    @property
    def people_outside(self) -> int:
        """How many are not."""
        return len(self.inside) - self.people_inside

    @property
    def row_inside(self) -> Array:
        """Whether each row is of somebody in the model."""
        found: Array = self.inside[self.person]
        return found

    def one_row_each(self) -> Array:
        """The number of a row of each person, in their order."""
        return np.unique(self.person, return_index=True)[1]


def pool(
    train: pa.Table,
    holdout: pa.Table,
    columns: tuple[str, ...],
    subject: str | None,
    *,
    seed: int,
    where: str,
) -> Pool:
    """Put the people together.

    Args:
        train: Rows that the model was trained on.
        holdout: Rows that it was not.
        columns: Features and target.
        subject: The column that says whose a row is; None where each row is somebody.
        seed: For drawing among people outside, where there are more than inside.
        where: The model, for errors.

    Raises:
        SchemaError: A column is not there, or of another type in the hold-out.
        ModelError: Too few people are inside or outside.
    """
    for name in (*columns, *([subject] if subject else [])):
        types = [
            table.schema.field(name).type if name in table.column_names else None
            for table in (train, holdout)
        ]
        if None in types or types[0] != types[1]:
            raise SchemaError(
                f"column {name} is not in both the training rows and the hold-out, or of two types",
                where=where,
                expected="the same columns in both",
            )
    whose, others = _people(train, holdout, subject)
    shared = np.isin(others, whose)
    rows = pa.concat_tables(
        [train.select(list(columns)), holdout.select(list(columns)).filter(pa.array(~shared))]
    )
    names, person = np.unique(np.concatenate([whose, others[~shared]]), return_inverse=True)
    inside = np.zeros(len(names), bool)
    inside[person[: len(whose)]] = True
    found = Pool(
        rows=rows.combine_chunks(), person=person, inside=inside, in_both=len(np.unique(others[shared]))
    )
    _enough(found, where)
    return _fewer_outside(found, seed)


def _people(train: pa.Table, holdout: pa.Table, subject: str | None) -> tuple[Array, Array]:
    """A number for each row's person; a row that names none is somebody of its own."""
    size = train.num_rows
    if subject is None:
        return np.arange(size), np.arange(size, size + holdout.num_rows)
    both = pa.concat_tables([train.select([subject]), holdout.select([subject])]).column(0).combine_chunks()
    codes = pc.dictionary_encode(both).indices
    found = np.asarray(pc.fill_null(codes, -1).to_numpy(zero_copy_only=False), np.int64)
    found[found < 0] = len(found) + np.arange(int((found < 0).sum()))
    return found[:size], found[size:]


def _enough(found: Pool, where: str) -> None:
    inside, outside = found.people_inside, found.people_outside
    least = max(_BLOCK, -(-inside * (_BLOCK - 1) // (_BLOCK * _BLOCK)))
    if inside < _BLOCK or outside < least or inside > _MOST * (inside + outside):
        raise ModelError(
            f"there are {inside:,} people in the model and {outside:,} outside of it",
            where=where,
            expected=f"{_BLOCK} or more in it, and outside at least one for seven of them",
            fix="keep back more people from training; as many outside as inside tell most",
        )


def _fewer_outside(found: Pool, seed: int) -> Pool:
    inside, outside = found.people_inside, found.people_outside
    if outside <= inside:
        return found
    drawn = np.random.default_rng(seed).choice(np.flatnonzero(~found.inside), inside, replace=False)
    kept = found.inside.copy()
    kept[drawn] = True
    rows = kept[found.person]
    number = np.cumsum(kept) - 1
    return Pool(
        rows=found.rows.filter(pa.array(rows)),
        person=number[found.person[rows]],
        inside=found.inside[kept],
        in_both=found.in_both,
    )


def draws(people: Pool, shadows: int, *, seed: int) -> Array:
    """Which rows each shadow model is fitted on: as many people as the model has, whole people only.

    Among each eight models every person is in as many as the share says, rounded up or down, so that nobody is in all
    of them or in none. With as many people outside as inside, models come in pairs that are each other's rest.

    Args:
        people: The people.
        shadows: How many models, a multiple of eight.
        seed: For the draw.

    Returns:
        Bool: a row a model, a column a row.
    """
    size = len(people.inside)
    taken = people.people_inside / size
    random = np.random.default_rng(seed)
    found = np.empty((shadows, size), bool)
    for number in range(shadows):
        if number % _BLOCK == 0:
            place = random.permutation(size) / size
        found[number] = (place + number % _BLOCK / _BLOCK) % 1 < taken
    return found[:, people.person]
