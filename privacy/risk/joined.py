"""The risk of released tables together: stable tokens join them, so an attacker reads all of them side by side.

A table that is safe alone may not be safe joined: who knows two purchases of a customer and their city finds them by
the three. Here a person is one row: what each table tells of them, which is the multiset of their rows' combinations.
That is the most that an attacker can know; k over the join is a bound for those who know less.

Rows whose token is null belong to nobody: they are in no class, and counted. A person who is not in a table is known by
that, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_veil.privacy.errors import SchemaError
from airflow_veil.privacy.lazy import np, pa
from airflow_veil.privacy.risk.classes import Classes, classes, combined, dense, people
from airflow_veil.privacy.risk.codes import BATCH_ROWS, Codes, Encoder
from airflow_veil.privacy.risk.diversity import Diversity, diversity
from airflow_veil.privacy.risk.population import population_uniqueness
from airflow_veil.privacy.risk.reidentification import estimated_population, reidentification
from airflow_veil.privacy.risk.report import LARGEST, Risk
from airflow_veil.privacy.risk.uniques import uniques

if TYPE_CHECKING:
    from airflow_veil.privacy.storage.base import Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Linked:
    """A table that tokens link to others.

    Attributes:
        data: The table.
        token: The column that says whose row it is; the same token is the same person in all tables.
        quasi_identifiers: The columns that an attacker is taken to know.
        sensitive: The columns that an attacker wants to know.
    """

    data: pa.Table | Source = field(repr=False)
    token: str
    quasi_identifiers: tuple[str, ...] = ()
    sensitive: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """A table as codes: whose each row is, by the numbers that people have in all tables."""

    name: str
    person: np.ndarray[Any, Any]
    keys: tuple[Codes, ...]
    sensitive: tuple[Codes, ...]


def joined(
    tables: Mapping[str, Linked], *, population: int | None = None, largest: int | None = LARGEST
) -> Risk:
    """Measure the risk of tables together, a row a person.

    Args:
        tables: The tables, by name; columns are called `table.column` in the figures.
        population: How many people the tables are a sample of.
        largest: The largest sets of columns that are looked at; None for all.

    Raises:
        SchemaError: There are fewer than two tables, or nothing is known of people in them; a column is not there.
        StorageError: A source cannot be read.
    """
    if len(tables) < 2 or not any(table.quasi_identifiers for table in tables.values()):
        raise SchemaError(
            "there is nothing to join",
            expected="two or more tables with a token, and quasi-identifiers in one of them",
        )
    parts, count = _parts(tables)
    columns = [
        _known_of(f"{part.name}.{key.name}", part.person, [key], count) for part in parts for key in part.keys
    ]
    # Which values stand in one row with which others, and how often a person is in a table at all.
    rows = [_known_of(part.name, part.person, part.keys, count) for part in parts]
    groups = classes([*columns, *rows])
    return Risk(
        quasi_identifiers=tuple(column.name for column in columns),
        rows=count,
        counts="people",
        nulls="value",
        reidentification=reidentification(
            groups, journalist=estimated_population(groups, population) if population else None
        ),
        diversity=tuple(
            _diversity(part.name, groups, part.person, wanted) for part in parts for wanted in part.sensitive
        ),
        population=population_uniqueness(groups, population) if population and groups.rows else None,
        uniques=uniques(columns, classes(columns), largest=largest),
    )


def _parts(tables: Mapping[str, Linked]) -> tuple[list[_Part], int]:
    """The tables as codes, and how many people are in them."""
    tokens: Encoder | None = None
    read: list[tuple[str, Linked, dict[str, Codes], int]] = []
    for name, table in tables.items():
        wanted = tuple(dict.fromkeys((table.token, *table.quasi_identifiers, *table.sensitive)))
        schema = table.data.schema if isinstance(table.data, pa.Table) else table.data.schema()
        missing = [column for column in wanted if column not in schema.names]
        if missing:
            raise SchemaError(f"there is no column {', '.join(missing)}", where=f"data set {name}")
        kind = schema.field(table.token).type
        tokens = tokens or Encoder("token", kind)
        encoders = {each: Encoder(each, schema.field(each).type) for each in wanted if each != table.token}
        batches = (
            (table.data,)
            if isinstance(table.data, pa.Table)
            else table.data.batches(wanted, batch_rows=BATCH_ROWS)
        )
        rows = 0
        for batch in batches:
            tokens.add(batch.column(table.token))
            for each, encoder in encoders.items():
                encoder.add(batch.column(each))
            rows += batch.num_rows
        codes = {each: encoder.finish(ordered=each in table.sensitive) for each, encoder in encoders.items()}
        read.append((name, table, codes, rows))
    if tokens is None:
        return [], 0
    whose = tokens.finish()
    parts, begin = [], 0
    for name, table, codes, rows in read:
        person = whose.codes[begin : begin + rows]
        begin += rows
        kept = np.flatnonzero(person != whose.null) if whose.null is not None else slice(None)
        parts.append(
            _Part(
                name=name,
                person=person[kept],
                keys=tuple(codes[each].take(kept) for each in table.quasi_identifiers),
                sensitive=tuple(codes[each].take(kept) for each in table.sensitive),
            )
        )
    return parts, whose.cardinality - (whose.null is not None)


def _known_of(name: str, person: np.ndarray[Any, Any], keys: Sequence[Codes], count: int) -> Codes:
    """What a table tells of each person, as codes: equal for people whose rows are alike, each as often.

    A multiset is told from others by the sum of two scrambled numbers of its combinations, modulo 2^64 each: that two
    different ones of a million people are taken for one has a chance below 2^-88.
    """
    if keys:
        of, _ = dense(*combined(keys))
    else:
        of = np.zeros(len(person), np.int64)
    sums = []
    for seed in (0x9E3779B97F4A7C15, 0xD1B54A32D192ED03):
        total = np.zeros(count, np.uint64)
        np.add.at(total, person, _scrambled(of.astype(np.uint64), seed))
        sums.append(dense(total.view(np.int64), 1 << 63))
    key, seen = dense(*combined([Codes(name=name, codes=code, cardinality=size) for code, size in sums]))
    return Codes(name=name, codes=key, cardinality=seen)


def _scrambled(numbers: np.ndarray[Any, Any], seed: int) -> np.ndarray[Any, Any]:
    """SplitMix64 of numbers: far apart where they are near (Steele, Lea and Flood 2014)."""
    with np.errstate(over="ignore"):
        mixed: np.ndarray[Any, Any] = (numbers + np.uint64(1)) * np.uint64(seed)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed ^= mixed >> np.uint64(31)
    return mixed


def _diversity(table: str, groups: Classes, person: np.ndarray[Any, Any], wanted: Codes) -> Diversity:
    """What the join tells of a sensitive column: each of a person's values once."""
    owner = Codes(name="person", codes=person, cardinality=len(groups.of))
    kept = people([wanted], owner)
    of, count = dense(groups.of[person[kept]].astype(np.int64), len(groups.sizes))
    short = wanted.take(kept)
    named = Codes(
        name=f"{table}.{wanted.name}",
        codes=short.codes,
        cardinality=short.cardinality,
        null=short.null,
        numeric=short.numeric,
        ordered=short.ordered,
    )
    return diversity(Classes(of=of, sizes=np.bincount(of, minlength=count)), named)
