"""The proof, from events alone, that no direct identifier and no free text is published unmasked.

What is proved: from every column that is a direct identifier or free text, each way along DIRECT and
INDIRECT edges to a published data set passes an edge with `masking: true`. What the events do not tell
counts against it:

- a column that nothing explains and nobody classifies counts as an identifier;
- an output of airflow-veil with a column that has no entry, or with two lineage facets that differ, is a gap;
- an identifier that decides over rows or values (INDIRECT: `where`, a condition) must be masked as well:
  who knows the condition learns of the value; a column that is no identifier may decide unmasked;
- an edge that calls itself an identity masks nothing, whatever it says of masking;
- without a published data set there is nothing to prove, and nothing is proved.

The guarantee is as good as the classes and the properties that the policy and the transforms declare;
transforms are held to theirs by tests.
"""

from __future__ import annotations

import json
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow_veil.privacy.errors import StorageError
from airflow_veil.privacy.lineage import graph as graphs
from airflow_veil.privacy.lineage.graph import Column, Dataset, Edge, Graph

IDENTIFYING = frozenset({"direct_identifier", "free_text"})
"""The classes that must not leave unmasked."""

Successors = Mapping[Column, Iterable[Edge]]


@dataclass(frozen=True, slots=True)
class Counterexample:
    """A way on which an identifier reaches a published data set and nothing masks it.

    Attributes:
        why: What the first column is: a class, or `unclassified`.
        edges: The whole way, in order; empty if the published column itself is one.
        end: The published column.
    """

    why: str
    edges: tuple[Edge, ...]
    end: Column

    @property
    def start(self) -> Column:
        """The column that the way begins with."""
        return self.edges[0].source if self.edges else self.end

    def __str__(self) -> str:
        way = "".join(f"\n  -> {edge.target}  ({edge})" for edge in self.edges)
        return f"{self.start}  ({self.why}){way}"

    def as_dict(self) -> dict[str, Any]:
        """The way for a machine to read."""
        return {
            "why": self.why,
            "from": str(self.start),
            "to": str(self.end),
            "path": [
                {
                    "from": str(edge.source),
                    "to": str(edge.target),
                    "type": edge.kind,
                    "subtype": edge.subtype,
                    "masking": edge.masking,
                }
                for edge in self.edges
            ],
        }


@dataclass(frozen=True, slots=True)
class Proof:
    """What the events prove.

    Attributes:
        published: The data sets that the events publish.
        identifiers: How many columns are identifying, or unknown.
        paths_checked: How many pairs of such a column and a published column some way joins.
        counterexamples: The shortest unmasked way of each pair that has one.
        gaps: What the events do not tell, or tell in two ways, so that nothing can be proved.
    """

    published: tuple[Dataset, ...]
    identifiers: int
    paths_checked: int
    counterexamples: tuple[Counterexample, ...]
    gaps: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether every path is masked, and the events tell all that this needs."""
        return not self.counterexamples and not self.gaps

    def as_dict(self) -> dict[str, Any]:
        """The proof for a machine to read."""
        return {
            "holds": self.holds,
            "published": [str(dataset) for dataset in self.published],
            "identifiers": self.identifiers,
            "paths_checked": self.paths_checked,
            "counterexamples": [example.as_dict() for example in self.counterexamples],
            "gaps": list(self.gaps),
        }


def prove_files(paths: Iterable[Path | str]) -> Proof:
    """Prove it of all events in some files of JSON lines.

    Raises:
        StorageError: A file cannot be read, or a line is no JSON object.
    """
    return prove(event for path in paths for event in read_events(Path(path)))


def read_events(path: Path) -> Iterator[dict[str, Any]]:
    """The events of a file of JSON lines, as OpenLineage's file transport writes it.

    Raises:
        StorageError: The file cannot be read, or a line is no JSON object.
    """
    try:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield _event(path, number, line)
    except (OSError, UnicodeError) as error:
        reason = f"the lineage file cannot be read ({type(error).__name__})"
        raise StorageError(
            reason,
            where=str(path),
            expected="a file of OpenLineage events, one JSON object a line",
        ) from None


def _event(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        event = json.loads(line)
    except ValueError:
        event = None
    if not isinstance(event, dict):
        raise StorageError(
            "the line is not a JSON object",
            where=f"{path}:{number}",
            expected="an OpenLineage event",
            fix="look whether a writer was killed in mid-line; the proof needs every event",
        )
    return event


def prove(events: Iterable[Mapping[str, Any]]) -> Proof:
    """Prove it of some events: of all that their runs published, taken together.

    Args:
        events: OpenLineage events as JSON objects, in any order; of other producers as well.

    Returns:
        The proof; it `holds` or shows why not.
    """
    graph = graphs.read(events)
    every = _with_row_edges(graph)
    bare = {column: [edge for edge in edges if not edge.masking] for column, edges in every.items()}
    starts = _starts(graph, every)
    return Proof(
        published=tuple(sorted(graph.published)),
        identifiers=len(starts),
        paths_checked=sum(len(_arrivals(graph, every, start)) for start in starts),
        counterexamples=tuple(
            Counterexample(why, _way(reached, end), end)
            for start, why in sorted(starts.items(), key=lambda item: str(item[0]))
            for reached in (_reach(bare, start),)
            for end in sorted(_published(graph, reached), key=str)
        ),
        gaps=tuple(_gaps(graph, every)),
    )


def _with_row_edges(graph: Graph) -> dict[Column, list[Edge]]:
    """The edges, and one from rows to rows: what chose the rows of an input shows in its outputs."""
    edges: dict[Column, set[Edge]] = defaultdict(set)
    for column, out in graph.edges.items():
        edges[column] |= out
    for edge in [edge for out in graph.edges.values() for edge in out]:
        rows = Column(edge.source.dataset, None), Column(edge.target.dataset, None)
        edges[rows[0]].add(Edge(*rows, kind="INDIRECT", subtype="", masking=False))
    return {column: sorted(out, key=str) for column, out in edges.items()}


def _starts(graph: Graph, edges: Successors) -> dict[Column, str]:
    """The columns that must not leave, and why: identifying ones, and those that nothing explains.

    A column is explained if it is made of a column whose class is told. Not by its mere having an input: a
    roll-back alone makes a column of itself.
    """
    classified = [column for column, classes in graph.classes.items() if classes]
    explained = set(_reach(edges, *classified))
    published = {Column(dataset, name) for dataset in graph.published for name in graph.columns[dataset]}
    starts = {
        column: "treated, but how is not told" if column in graph.treated else "unclassified"
        for column in (set(edges) | published) - explained
        if column.name is not None
    }
    for column in classified:
        if identifying := graph.classes[column] & IDENTIFYING:
            starts[column] = min(identifying)
    return starts


def _reach(edges: Successors, *starts: Column) -> dict[Column, Edge | None]:
    """Every column that can be reached, with the last edge of the shortest way to it; circles are no trap."""
    reached: dict[Column, Edge | None] = dict.fromkeys(starts)
    queue = deque(starts)
    while queue:
        for edge in edges.get(queue.popleft(), ()):
            if edge.target not in reached:
                reached[edge.target] = edge
                queue.append(edge.target)
    return reached


def _published(graph: Graph, columns: Iterable[Column]) -> list[Column]:
    return [column for column in columns if column.dataset in graph.published]


def _arrivals(graph: Graph, edges: Successors, start: Column) -> list[Column]:
    return _published(graph, _reach(edges, start))


def _way(reached: Mapping[Column, Edge | None], end: Column) -> tuple[Edge, ...]:
    way: list[Edge] = []
    while (edge := reached[end]) is not None:
        way.append(edge)
        end = edge.source
    return tuple(reversed(way))


def _gaps(graph: Graph, edges: Successors) -> Iterator[str]:
    """Why nothing can be proved: nothing is published, or the making of what is published is not told."""
    if not graph.published:
        yield "no event publishes a data set"
    if graph.unreadable:
        yield f"{len(graph.unreadable)} events are malformed, the first is number {graph.unreadable[0]}"
    for dataset in sorted(graph.veiled | _upstream(graph, edges)):
        for gap in sorted(graph.gaps.get(dataset, ())):
            yield f"{dataset}: {gap}"


def _upstream(graph: Graph, edges: Successors) -> set[Dataset]:
    """The data sets that the published ones are made of."""
    parents: dict[Dataset, set[Dataset]] = defaultdict(set)
    for out in edges.values():
        for edge in out:
            parents[edge.target.dataset].add(edge.source.dataset)
    found, queue = set(graph.published), deque(graph.published)
    while queue:
        for parent in parents[queue.popleft()] - found:
            found.add(parent)
            queue.append(parent)
    return found
