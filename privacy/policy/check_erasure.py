"""Checks what `erasure` means: every column that names people says what becomes of its rows, and leads somewhere.

An edge that says nothing is an error: a person would be erased here and stay there. Nothing here reads data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from airflow_veil.privacy.erasure.graph import Edge, Graph, graph_of
from airflow_veil.privacy.errors import ErasureError, SchemaError
from airflow_veil.privacy.period import after
from airflow_veil.privacy.plan.bind import subject_root
from airflow_veil.privacy.policy.asked import nearest
from airflow_veil.privacy.policy.erasure import Mask
from airflow_veil.privacy.policy.finding import Finding
from airflow_veil.privacy.policy.load import LoadedPolicy
from airflow_veil.privacy.policy.source_map import Path

_DAY = datetime(2023, 1, 1, tzinfo=UTC)


def _finding(loaded: LoadedPolicy, place: Path, name: str, message: str, fix: str) -> Finding:
    return loaded.finding(place, f"erasure-{name}", message, fix)


def _silence(loaded: LoadedPolicy) -> Iterator[Finding]:
    """Where people can be erased, every data set with people says what becomes of its rows."""
    policy = loaded.policy
    for dataset, data in policy.datasets.items():
        place: Path = ("datasets", dataset)
        has_people = data.subject is not None and data.subject.column is not None
        if policy.erasure is None and data.erasure is not None:
            message = "the policy does not say how people are named who ask to be erased"
            fix = "add `erasure: {identifiers: [data_set.column]}` to the policy"
            yield _finding(loaded, (*place, "erasure"), "unnamed", message, fix)
        elif policy.erasure is not None and has_people and data.erasure is None:
            message = "the data set does not say what becomes of rows of an erased person"
            fix = "add `erasure: delete`, `{mask: [columns]}`, `{recompute: how}` or `{exempt: reason}`"
            yield _finding(loaded, place, "silent", message, fix)
        elif data.erasure is not None and not has_people and isinstance(data.erasure.rows, Mask | str):
            message = "the rows are nobody's, so those of an erased person cannot be found"
            fix = "name the `subject`, or say `{recompute: how}` or `{exempt: reason}`"
            yield _finding(loaded, (*place, "erasure"), "nobody", message, fix)


def _identifiers(loaded: LoadedPolicy) -> Iterator[Finding]:
    """People are named by columns that the policy names, of data sets that say whose their rows are."""
    policy = loaded.policy
    for position, name in enumerate(policy.erasure.identifiers if policy.erasure else ()):
        place: Path = ("erasure", "identifiers", position)
        dataset, _, column = name.partition(".")
        data = policy.datasets.get(dataset)
        if data is None or column not in data.columns:
            known = [f"{other}.{each}" for other, d in policy.datasets.items() for each in d.columns]
            yield _finding(
                loaded, place, "identifier", f"there is no column {name}", nearest(name, set(known))
            )
        elif data.subject is None or data.subject.column is None:
            message = f"the rows of {dataset} are nobody's, so {name} names nobody"
            yield _finding(loaded, place, "identifier", message, "name the `subject` of the data set")


def _edges(loaded: LoadedPolicy) -> Iterator[tuple[Edge, Path]]:
    """Every edge of the policy, with the place of what it says."""
    if loaded.policy.erasure is None:
        return
    for edge in graph_of(loaded.policy).edges:
        place: Path = ("datasets", edge.dataset, "erasure")
        yield edge, place if edge.subject else (*place, "links", edge.column)


def _targets(loaded: LoadedPolicy) -> Iterator[Finding]:
    """An edge starts at a column and leads to one, of a data set that says what becomes of its own rows."""
    policy = loaded.policy
    for edge, place in _edges(loaded):
        columns = policy.datasets[edge.dataset].columns
        if edge.column not in columns:
            message = f"there is no column {edge.column} among those that data set {edge.dataset} names"
            yield _finding(loaded, place, "column", message, "name it under `columns:` (it may be dropped)")
        subject = policy.datasets[edge.dataset].subject
        if not edge.subject and subject is not None and subject.column == edge.column:
            message = f"{edge.column} is the subject already"
            yield _finding(loaded, place, "link", message, "say under `rows:` what becomes of its rows")
        dataset, _, column = edge.target.partition(".")
        target = policy.datasets.get(dataset)
        if target is None or column not in target.columns:
            message = f"{edge.column} leads to {edge.target}, which the policy does not name"
            yield _finding(
                loaded, place, "target", message, "name the column there, or correct the reference"
            )


def _masks(loaded: LoadedPolicy) -> Iterator[Finding]:
    """Cells that become null are of columns that there are, and the one that names the person is among them."""
    for edge, place in _edges(loaded):
        if not isinstance(edge.action, Mask):
            continue
        columns = loaded.policy.datasets[edge.dataset].columns
        for name in edge.action.mask:
            if name not in columns:
                message = f"there is no column {name} to mask"
                yield _finding(loaded, place, "mask", message, nearest(name, set(columns)))
        if edge.column not in edge.action.mask:
            message = f"the row would still name the person, in {edge.column}"
            yield _finding(loaded, place, "mask", message, f"add {edge.column} to `mask`")


def _circles(loaded: LoadedPolicy) -> Iterator[Finding]:
    """There are leaves to begin with."""
    if loaded.policy.erasure is None:
        return
    try:
        graph_of(loaded.policy).order  # noqa: B018 - asked for its error
    except ErasureError as error:
        fix = "let one data set be the root, or mask instead of deleting"
        yield _finding(loaded, ("erasure",), "circle", f"{error.what}: {error.where}", fix)


def _unlinked(loaded: LoadedPolicy) -> Iterator[Finding]:
    """A column with the keyed names of a population names its people, and says what becomes of them."""
    policy = loaded.policy
    if policy.erasure is None:
        return
    graph = graph_of(policy)
    known = {(edge.dataset, edge.column) for edge in graph.edges}
    domains = {domain: root for root in _roots(graph) if (domain := _domain(loaded, *root.split(".")))}
    for dataset, data in policy.datasets.items():
        for column in data.columns:
            root = domains.get(_domain(loaded, dataset, column) or "")
            if root is not None and (dataset, column) not in known and f"{dataset}.{column}" != root:
                message = f"{column} has the tokens of {root}, so it names the same people, and says nothing of them"
                fix = (
                    f"add to its `erasure:` `links: {{{column}: {{to: {root}, then: {{mask: [{column}]}}}}}}`"
                )
                yield _finding(loaded, ("datasets", dataset, "columns", column), "silent", message, fix)


def _roots(graph: Graph) -> tuple[str, ...]:
    """The columns that populations are named by: those that lead to themselves."""
    return tuple(edge.target for edge in graph.edges if edge.target == f"{edge.dataset}.{edge.column}")


def _domain(loaded: LoadedPolicy, dataset: str, column: str) -> str | None:
    named = loaded.policy.datasets[dataset].columns.get(column)
    if named is None or named.transform.word not in ("token", "fpe"):
        return None
    try:
        root = subject_root(loaded.policy, dataset)
    except SchemaError:
        return None
    return named.transform.key_domain(column=f"{dataset}.{column}", subject=root)


def _populations(loaded: LoadedPolicy) -> Iterator[Finding]:
    """Whoever can be in a table can be named in a request, unless all rows of theirs are exempt."""
    policy = loaded.policy
    if policy.erasure is None:
        return
    graph = graph_of(policy)
    named = set()
    for name in policy.erasure.identifiers:
        dataset = name.partition(".")[0]
        named |= {name, *(edge.target for edge in graph.of(dataset) if edge.subject)}
    for edge in graph.edges:
        if edge.target == f"{edge.dataset}.{edge.column}" and edge.touches and edge.target not in named:
            message = f"nobody in {edge.dataset} can be named: no identifier leads to {edge.target}"
            fix = f"add {edge.target} to `erasure: {{identifiers:`, or exempt its rows with a reason"
            yield _finding(loaded, ("datasets", edge.dataset, "erasure"), "population", message, fix)


def _answers(loaded: LoadedPolicy) -> Iterator[Finding]:
    """Answers have no rows to look a person up in; that they may stay is somebody's decision."""
    policy = loaded.policy
    if policy.erasure is None or policy.differential_privacy is None or policy.erasure.answers is not None:
        return
    if policy.differential_privacy.queries:
        message = "the policy asks queries, and does not say why their answers may stay"
        yield _finding(loaded, ("erasure",), "answers", message, "add `answers: {exempt: reason}`")


def _times(loaded: LoadedPolicy) -> Iterator[Finding]:
    """The zone is known, and periods are some."""
    rule = loaded.policy.erasure
    if rule is None:
        return
    try:
        ZoneInfo(rule.time_zone)
    except (KeyError, ValueError, OSError):
        fix = "write a name such as UTC or Europe/Vienna"
        yield _finding(loaded, ("erasure", "time_zone"), "zone", "this time zone is not known", fix)
    for word in ("within", "warn", "backups"):
        period = getattr(rule, word)
        if period is not None and not _some(period):
            message = f"{period} has no length, or leads beyond the calendar"
            yield _finding(loaded, ("erasure", word), "period", message, "write a period such as P1M")


def _some(period: str) -> bool:
    try:
        return after(_DAY, period) > _DAY
    except ValueError:
        return False


RULES: tuple[Callable[[LoadedPolicy], Iterator[Finding]], ...] = (
    _silence,
    _identifiers,
    _targets,
    _masks,
    _circles,
    _unlinked,
    _populations,
    _answers,
    _times,
)
"""What `check` runs of this section."""
