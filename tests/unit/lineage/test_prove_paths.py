"""The proof against a plain search of all paths, on random graphs of events that are written by hand."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_veil.privacy.lineage.prove import prove

COLUMNS = ("a", "b", "c")


class Link(NamedTuple):
    """A dependency of a column of one data set on a column of another."""

    source: tuple[int, str]
    target: tuple[int, str]
    masking: bool


links = st.builds(
    Link,
    st.tuples(st.integers(0, 3), st.sampled_from(COLUMNS)),
    st.tuples(st.integers(0, 3), st.sampled_from(COLUMNS)),
    st.booleans(),
)


def _entry(link: Link) -> dict[str, Any]:
    return {
        "namespace": "n",
        "name": str(link.source[0]),
        "field": link.source[1],
        "transformations": [{"type": "DIRECT", "subtype": "TRANSFORMATION", "masking": link.masking}],
    }


def _event(dataset: int, graph: list[Link]) -> dict[str, Any]:
    """The making of one data set; every column is classified, and `a` of the first one is the identifier."""
    entries: dict[str, list[dict[str, Any]]] = {}
    for link in graph:
        if link.target[0] == dataset:
            entries.setdefault(link.target[1], []).append(_entry(link))
    identifier = (0, "a")
    tags = [
        {
            "key": "veil.class",
            "value": "direct_identifier" if (dataset, name) == identifier else "none",
            "field": name,
        }
        for name in COLUMNS
    ]
    facets = {
        "tags": {"tags": tags},
        "schema": {"fields": [{"name": name} for name in entries]},
        "columnLineage": {"fields": {name: {"inputFields": items} for name, items in entries.items()}},
        "lineage": {
            "fields": {
                name: {"inputs": [item | {"type": "DATASET"} for item in items]}
                for name, items in entries.items()
            }
        },
    }
    if dataset == 3:
        facets["veil_privacy"] = {"published": True, "columns": [{"name": name} for name in entries]}
    return {"eventType": "COMPLETE", "outputs": [{"namespace": "n", "name": str(dataset), "facets": facets}]}


def _paths(graph: list[Link], at: tuple[int, str], seen: tuple[tuple[int, str], ...]) -> Iterator[list[Link]]:
    """Every path without a repeated column; the slow and plain way."""
    for link in graph:
        if link.source == at and link.target not in seen:
            yield [link]
            for rest in _paths(graph, link.target, (*seen, link.target)):
                yield [link, *rest]


class TestProve:
    @settings(max_examples=150, deadline=None)
    @given(st.lists(links, max_size=9))
    def test_proof_equals_the_search_of_all_paths(self, graph: list[Link]) -> None:
        """It finds an end exactly if some path from the identifier to the release has no masking edge."""
        start = (0, "a")
        paths = [path for path in _paths(graph, start, (start,)) if path[-1].target[0] == 3]
        leaks = {path[-1].target[1] for path in paths if not any(link.masking for link in path)}

        proof = prove([_event(dataset, graph) for dataset in range(4)])

        assert {example.end.name for example in proof.counterexamples} == leaks
        assert proof.paths_checked == len({path[-1].target for path in paths})

    @settings(max_examples=50, deadline=None)
    @given(st.lists(links, max_size=9))
    def test_counterexample_is_a_way_that_hangs_together(self, graph: list[Link]) -> None:
        """Each edge begins where the one before ended, none masks, and the ends are those that are named."""
        for example in prove([_event(dataset, graph) for dataset in range(4)]).counterexamples:
            assert example.edges[-1].target == example.end
            assert not any(edge.masking for edge in example.edges)
            for before, after in pairwise(example.edges):
                assert before.target == after.source
