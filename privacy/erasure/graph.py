"""The graph that a policy's references make: which columns name people, where they lead, and what becomes of rows.

    orders.customer_id ──► customers.customer_id ◄── requests name people by these
    invoices.order_id ──► orders.order_id            a row is found by the keys of rows that were found before

An edge leads from a column to the `data_set.column` that it refers to; the column of a root leads to itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from graphlib import CycleError, TopologicalSorter

from airflow_veil.privacy.errors import ErasureError
from airflow_veil.privacy.policy.erasure import Action, Exempt, Mask, Recompute
from airflow_veil.privacy.policy.models import Policy


@dataclass(frozen=True, slots=True)
class Edge:
    """One column that names people.

    Attributes:
        dataset: The data set whose rows it is in.
        column: The column.
        target: The `data_set.column` that it refers to; itself for a root.
        action: What becomes of a row that names an erased person.
        subject: Whether it says whose the row is; else it is a link.
    """

    dataset: str
    column: str
    target: str
    action: Action
    subject: bool

    @property
    def domain(self) -> str:
        """The values of this column are values of the target's."""
        return self.target

    @property
    def word(self) -> str:
        """The action's word in the policy."""
        match self.action:
            case Mask():
                return "mask"
            case Recompute():
                return "recompute"
            case Exempt():
                return "exempt"
        return "delete"

    @property
    def touches(self) -> bool:
        """Whether rows are changed because of it."""
        return self.word in ("delete", "mask")


@dataclass(frozen=True)
class Graph:
    """All edges of a policy.

    Attributes:
        edges: The edges, in the order of the policy.
        identifiers: The `data_set.column`s that requests may name people by.
    """

    edges: tuple[Edge, ...]
    identifiers: tuple[str, ...]

    def of(self, dataset: str) -> tuple[Edge, ...]:
        """The edges of one data set."""
        return tuple(edge for edge in self.edges if edge.dataset == dataset)

    def keys(self, dataset: str) -> tuple[str, ...]:
        """The columns of a data set that others point to, or that requests name people by: their values are kept."""
        pointed = [*(edge.target for edge in self.edges), *self.identifiers]
        pointed = [target for target in pointed if target.partition(".")[0] == dataset]
        return tuple(dict.fromkeys(target.partition(".")[2] for target in pointed))

    @cached_property
    def levels(self) -> tuple[tuple[str, ...], ...]:
        """The data sets, leaves first: none is in a level before one that points to it, so each is done side by side.

        Raises:
            ErasureError: References run in a circle.
        """
        try:
            return self._sorted(self.edges)
        except ErasureError:
            # Cells that become null hold nothing back but a database's foreign keys, so without them it may go.
            return self._sorted(tuple(edge for edge in self.edges if edge.word != "mask"))

    def _sorted(self, edges: tuple[Edge, ...]) -> tuple[tuple[str, ...], ...]:
        sorter: TopologicalSorter[str] = TopologicalSorter()
        for edge in self.edges:
            sorter.add(edge.dataset)
        for edge in edges:
            parent = edge.target.partition(".")[0]
            if parent != edge.dataset:
                sorter.add(parent, edge.dataset)
        try:
            sorter.prepare()
        except CycleError as error:
            circle = " → ".join(str(name) for name in error.args[1])
            raise ErasureError(
                "references run in a circle", where=circle, fix="let one data set be the root"
            ) from None
        levels = []
        while sorter.is_active():
            ready = sorter.get_ready()
            levels.append(tuple(sorted(ready)))
            sorter.done(*ready)
        return tuple(levels)

    @cached_property
    def order(self) -> tuple[str, ...]:
        """The data sets, leaves first: none comes after one that it points to.

        Raises:
            ErasureError: References run in a circle.
        """
        return tuple(name for level in self.levels for name in level)

    @cached_property
    def touched(self) -> tuple[str, ...]:
        """The data sets that rows or cells are erased from, leaves first."""
        return tuple(name for name in self.order if any(edge.touches for edge in self.of(name)))


def graph_of(policy: Policy) -> Graph:
    """The graph of a policy that checks.

    Raises:
        ErasureError: The policy says nothing of erasure.
    """
    if policy.erasure is None:
        raise ErasureError(
            "the policy says nothing of erasure",
            where=policy.name,
            fix="add `erasure: {identifiers: […]}`, and `erasure:` to each data set with a subject",
        )
    edges: list[Edge] = []
    for dataset, data in policy.datasets.items():
        if data.erasure is None:
            continue
        subject = data.subject
        if subject is not None and subject.column is not None:
            target = subject.references or f"{dataset}.{subject.column}"
            edges.append(Edge(dataset, subject.column, target, data.erasure.rows, subject=True))
        for column, link in data.erasure.links.items():
            edges.append(Edge(dataset, column, link.to, link.then, subject=False))
    return Graph(tuple(edges), policy.erasure.identifiers)
