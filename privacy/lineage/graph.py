"""The column graph that OpenLineage events tell of: which column is made of which, and what cannot be told.

The events are read as any consumer would, from the JSON, by the specification; that airflow-veil wrote them
is not taken into account, except for its own facet, which says what is published.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

Json = Mapping[str, Any]


class Dataset(NamedTuple):
    """A data set by its OpenLineage name."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace.rstrip('/')}/{self.name.removeprefix('/')}"


class Column(NamedTuple):
    """A column of a data set; `name` None stands for the choice of its rows."""

    dataset: Dataset
    name: str | None

    def __str__(self) -> str:
        return f"{self.dataset}:{self.name if self.name is not None else '(rows)'}"


class Edge(NamedTuple):
    """One dependency that an event tells of."""

    source: Column
    target: Column
    kind: str
    subtype: str
    masking: bool

    def __str__(self) -> str:
        words = " ".join(word for word in (self.kind, self.subtype) if word)
        return f"{words}, {'masking' if self.masking else 'not masking'}"


@dataclass(frozen=True, slots=True)
class Graph:
    """What a set of events tells, all taken together.

    Attributes:
        edges: Every dependency of a column, by its input column.
        classes: What each raw column is said to be; more than one word where events differ.
        treated: Columns that are said to have been treated.
        veiled: Data sets that airflow-veil wrote.
        published: The ones of them that consumers read.
        columns: The columns of each output.
        gaps: What an output does not tell, or tells in two ways, by data set.
        unreadable: How many events do not have the form of one.
    """

    edges: dict[Column, set[Edge]] = field(default_factory=lambda: defaultdict(set))
    classes: dict[Column, set[str]] = field(default_factory=lambda: defaultdict(set))
    treated: set[Column] = field(default_factory=set)
    veiled: set[Dataset] = field(default_factory=set)
    published: set[Dataset] = field(default_factory=set)
    columns: dict[Dataset, set[str]] = field(default_factory=lambda: defaultdict(set))
    gaps: dict[Dataset, set[str]] = field(default_factory=lambda: defaultdict(set))
    unreadable: list[int] = field(default_factory=list)


def read(events: Iterable[Json]) -> Graph:
    """Read the graph off events of any kind and order."""
    graph = Graph()
    for number, event in enumerate(events, start=1):
        try:
            _read_event(graph, event)
        except (AttributeError, KeyError, TypeError, ValueError):
            # Not of the specification's form: what it would have told is not known.
            graph.unreadable.append(number)
    return graph


def _read_event(graph: Graph, event: Json) -> None:
    for told in event.get("inputs") or ():
        _read_classes(graph, told)
    for told in event.get("outputs") or ():
        _read_classes(graph, told)
        _read_output(graph, told)
    _read_job_facet(graph, event)


def _dataset(told: Json) -> Dataset:
    return Dataset(str(told.get("namespace", "")), str(told.get("name", "")))


def _facet(told: Json, name: str) -> Json:
    facet = (told.get("facets") or {}).get(name) or {}
    return {} if facet.get("_deleted") else facet


def _read_classes(graph: Graph, told: Json) -> None:
    """The tags of columns: what a raw one is, and which ones are no longer raw."""
    dataset = _dataset(told)
    for tag in _facet(told, "tags").get("tags") or ():
        if tag.get("field") is None:
            continue
        column = Column(dataset, tag["field"])
        if tag.get("key") == "veil.class":
            graph.classes[column].add(str(tag.get("value")))
        elif tag.get("key") == "veil.origin":
            graph.treated.add(column)


def _read_output(graph: Graph, told: Json) -> None:
    """An output: its edges by both facets, and what is missing from either."""
    dataset = _dataset(told)
    privacy = _facet(told, "veil_privacy")
    names = _column_names(told, privacy)
    graph.columns[dataset] |= names
    if privacy:
        graph.veiled.add(dataset)
    if privacy.get("published"):
        graph.published.add(dataset)
    facets = {
        "columnLineage": set(_column_lineage(dataset, _facet(told, "columnLineage"))),
        "lineage": set(_lineage(dataset, _facet(told, "lineage"))),
    }
    for edge in set().union(*facets.values()):
        graph.edges[edge.source].add(edge)
    if privacy:
        constants = _made_of_nothing(told, privacy)
        for name in constants:
            graph.classes[Column(dataset, name)].add("none")
        graph.gaps[dataset].update(_missing(names - constants, facets))
    graph.gaps[dataset].update(_disagreements(facets, both=bool(privacy)))


def _column_names(told: Json, privacy: Json) -> set[str]:
    fields = [*(_facet(told, "schema").get("fields") or ()), *(privacy.get("columns") or ())]
    return {item["name"] for item in fields if item.get("name") is not None}


def _column_lineage(dataset: Dataset, facet: Json) -> Iterator[Edge]:
    for name, entry in (facet.get("fields") or {}).items():
        for item in entry.get("inputFields") or ():
            yield from _edges(item, Column(dataset, name))
    for item in facet.get("dataset") or ():
        yield from _edges(item, Column(dataset, None))


def _lineage(dataset: Dataset, facet: Json) -> Iterator[Edge]:
    for name, entry in (facet.get("fields") or {}).items():
        for item in entry.get("inputs") or ():
            yield from _edges(item, Column(dataset, name))
    for item in facet.get("inputs") or ():
        # An input without a field says no more than that the data set was read.
        if item.get("field") is not None:
            yield from _edges(item, Column(dataset, None))


def _edges(item: Json, target: Column) -> Iterator[Edge]:
    """One edge a transformation; where none is told, an unmasked copy is assumed."""
    source = Column(_dataset(item), item.get("field"))
    for told in item.get("transformations") or ({"type": "DIRECT"},):
        yield Edge(
            source=source,
            target=target,
            kind=str(told.get("type", "")),
            subtype=str(told.get("subtype") or ""),
            masking=told.get("masking") is True and told.get("subtype") != "IDENTITY",
        )


def _made_of_nothing(told: Json, privacy: Json) -> set[str]:
    """The columns that are constants: both facets have an entry for them, without an input, and ours says the same."""
    constants = {
        item.get("name") for item in privacy.get("columns") or () if item.get("treatment") == "constant"
    }
    for facet, inputs in (("columnLineage", "inputFields"), ("lineage", "inputs")):
        entries = _facet(told, facet).get("fields") or {}
        constants &= {name for name, entry in entries.items() if entry.get(inputs) == []}
    return constants


def _missing(names: set[str], facets: Mapping[str, set[Edge]]) -> Iterator[str]:
    """What an output of airflow-veil does not tell: it has both facets, with an entry for each column."""
    if not names:
        yield "its columns are not told (no schema)"
    for facet, edges in facets.items():
        explained = {edge.target.name for edge in edges}
        for name in sorted(names - explained):
            yield f"column {name} has no entry in `{facet}`"


def _disagreements(facets: Mapping[str, set[Edge]], *, both: bool) -> Iterator[str]:
    """Where the two facets differ; of another producer, only if it writes both."""
    first, second = facets.values()
    if both or (first and second):
        for name in sorted({edge.target.name or "" for edge in first ^ second}):
            yield f"`columnLineage` and `lineage` differ on {f'column {name}' if name else 'the rows'}"


def _read_job_facet(graph: Graph, event: Json) -> None:
    """`lineage` as a job's facet: the same entries, each with the data set that it concerns."""
    facet = ((event.get("job") or {}).get("facets") or {}).get("lineage") or {}
    for entry in facet.get("entries") or ():
        if entry.get("type") == "DATASET":
            for edge in _lineage(_dataset(entry), entry):
                graph.edges[edge.source].add(edge)
