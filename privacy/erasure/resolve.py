"""From what people are named by to all that they are known by: the closure, found root first, along the references.

    request: customers.email ──► customers.customer_id ──► orders.order_id ──► order_lines …

Every row is looked at where it lies; nothing is changed. What is found is kept, sealed, until all of it is erased:
were it looked up again after the first row is gone, the rest could no longer be found.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from airflow_veil.privacy.erasure.graph import Edge, Graph
from airflow_veil.privacy.erasure.match import Matcher
from airflow_veil.privacy.erasure.store import Found, Store, Tally
from airflow_veil.privacy.erasure.subjects import Subjects
from airflow_veil.privacy.errors import InternalError
from airflow_veil.privacy.ledger.holds import Held
from airflow_veil.privacy.retention.holds import Keeper

if TYPE_CHECKING:
    from airflow_veil.privacy.keys.ring import KeyRing

Open = Callable[[str], Store]
"""Opens the store of a data set."""
Holding = Callable[[str], Keeper]
"""Tells what is held of a data set."""


def _no_ring() -> KeyRing:
    raise InternalError("a key ring was asked for where nothing is held")


NOTHING_HELD = Keeper(Held(), None, _no_ring)
"""Holds nothing: for looking, where nothing is going to be changed."""


@dataclass(frozen=True)
class Resolved:
    """What is found of the people of a batch.

    Attributes:
        subjects: All values that they are known by.
        found: Data set to what is to be touched there.
        exempt: Data set to how many rows stay by request, for a reason that the policy gives.
        problems: Request number to why it cannot be carried out.
        together: Request number to that of an earlier request for the same person.
    """

    subjects: Subjects
    found: Mapping[str, Found]
    exempt: Mapping[str, Tally]
    problems: Mapping[int, str]
    together: Mapping[int, int]


def resolve(
    graph: Graph,
    named: Sequence[Mapping[str, Sequence[str]]],
    *,
    open_store: Open,
    holding: Holding,
) -> Resolved:
    """Find all that people are known by.

    Args:
        graph: The policy's references.
        named: For each request, `data_set.column` to values, spelled canonically.
        open_store: Opens the store of a data set.
        holding: Tells what is held of a data set.

    Raises:
        StorageError: A store cannot be read.
        SchemaError: A column is missing, or of a type that names nobody.
    """
    subjects, together = named_subjects(named)
    subjects, problems = _by_identifiers(graph, named, subjects, open_store)
    found: dict[str, Found] = {}
    exempt: dict[str, Tally] = {}
    # Roots first: each data set is looked up by keys that those before it gave.
    for dataset in reversed(graph.order):
        edges, keys = graph.of(dataset), graph.keys(dataset)
        if any(edge.touches for edge in edges):
            matcher = matcher_of(graph, dataset, subjects, holding(dataset))
            found[dataset] = open_store(dataset).find(matcher, keys, len(named))
            subjects = _with_keys(subjects, dataset, found[dataset])
        if any(edge.word == "exempt" for edge in edges):
            kept = open_store(dataset).find(_as_if_deleted(edges, subjects, dataset), keys, len(named))
            exempt[dataset] = kept.tally
            subjects = _with_keys(subjects, dataset, kept)
    return Resolved(subjects, found, exempt, problems, together)


def matcher_of(graph: Graph, dataset: str, subjects: Subjects, keeper: Keeper) -> Matcher:
    """What finds the people of a batch in a data set: by its columns that delete or mask."""
    edges = [edge for edge in graph.of(dataset) if edge.touches]
    return Matcher([(edge, subjects.of(edge.target)) for edge in edges], keeper, where=dataset)


def _as_if_deleted(edges: Sequence[Edge], subjects: Subjects, dataset: str) -> Matcher:
    """What finds exempt rows, to count them, and because their keys lead on to others that are not exempt."""
    exempt = [replace(edge, action="delete") for edge in edges if edge.word == "exempt"]
    return Matcher([(edge, subjects.of(edge.target)) for edge in exempt], NOTHING_HELD, where=dataset)


def named_subjects(named: Sequence[Mapping[str, Sequence[str]]]) -> tuple[Subjects, dict[int, int]]:
    """The values that requests name, and which requests are for somebody whom an earlier one names."""
    subjects = Subjects()
    together: dict[int, int] = {}
    for domain in dict.fromkeys(name for names in named for name in names):
        rows = [(text, number) for number, names in enumerate(named) for text in names.get(domain, ())]
        texts = pa.array([text for text, _ in rows], pa.string())
        subjects = subjects.with_(domain, texts, np.array([number for _, number in rows], np.int32))
        known = subjects.of(domain)
        owner = dict(zip(known.texts.to_pylist(), known.owners.tolist(), strict=True))
        together |= {number: owner[text] for text, number in rows if owner[text] != number}
    return subjects, together


def _by_identifiers(
    graph: Graph, named: Sequence[Mapping[str, Sequence[str]]], subjects: Subjects, open_store: Open
) -> tuple[Subjects, dict[int, str]]:
    """Whom identifiers name that are no keys themselves, such as an e-mail address."""
    problems: dict[int, str] = {}
    targets = {edge.target for edge in graph.edges}
    for identifier in graph.identifiers:
        dataset, _, column = identifier.partition(".")
        subject = next((edge for edge in graph.of(dataset) if edge.subject), None)
        known = subjects.of(identifier)
        if identifier in targets or subject is None or not len(known):
            continue
        looked_for = Edge(dataset, column, identifier, "delete", subject=False)
        matcher = Matcher([(looked_for, known)], NOTHING_HELD, where=dataset)
        keys = open_store(dataset).find(matcher, [subject.column], len(named)).keys[subject.column]
        people = np.bincount(keys.owners, minlength=len(named))
        asked = np.bincount(known.owners, minlength=len(named))
        for number in np.flatnonzero(people > asked):
            problems[int(number)] = (
                f"{identifier} is that of {people[number]} people: name one of them by another"
            )
        subjects = subjects.with_(subject.target, keys.texts, keys.owners)
    return subjects.without(problems), problems


def _with_keys(subjects: Subjects, dataset: str, found: Found) -> Subjects:
    for key, known in found.keys.items():
        subjects = subjects.with_(f"{dataset}.{key}", known.texts, known.owners)
    return subjects
