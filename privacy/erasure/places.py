"""Where bytes about people may lie: sources, releases, staged rows, the ledger, lineage."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from airflow_veil.privacy.erasure.graph import Graph
from airflow_veil.privacy.errors import ReleaseError, VeilError
from airflow_veil.privacy.policy.erasure import Mask
from airflow_veil.privacy.release.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Place:
    """Files that are looked through together.

    Attributes:
        store: What they belong to.
        what: What is looked at.
        paths: Files and folders; none where nothing can or may be looked at.
        kept: Domains whose values may be in there.
        told: Why nothing is looked at.
        error: Why nothing is known of the place.
    """

    store: str
    what: str
    paths: tuple[Path, ...] = ()
    kept: frozenset[str] = frozenset()
    told: str = ""
    error: str = ""


def places(
    workspace: Workspace, graph: Graph, skipped: Mapping[str, str], also: Collection[Path]
) -> tuple[Place, ...]:
    """All places of a policy; one that several data sets share, such as a database file, is given once.

    Args:
        workspace: Knows them.
        graph: Says which values stay.
        skipped: Data set to the reason why rows may stay in it.
        also: Other files and folders.
    """
    found = [
        place
        for dataset in workspace.loaded.policy.datasets
        for place in (_source(workspace, dataset), _released(workspace, dataset))
        for place in (_allowed(place, dataset, graph, skipped),)
    ]
    return (*_joined(found), *_own(workspace), *(Place(str(path), "bytes", (path,)) for path in also))


def _source(workspace: Workspace, dataset: str) -> Place:
    from airflow_veil.privacy.storage.csv import CsvSource
    from airflow_veil.privacy.storage.parquet import ParquetSource
    from airflow_veil.privacy.storage.sql import SqlSource

    what = "bytes of the source"
    try:
        source = workspace.source(dataset)
        if isinstance(source, ParquetSource | CsvSource):
            if not source.path.exists():
                return _missing(dataset, what, source.path)
            return Place(dataset, what, _with_hidden(source.path))
        if isinstance(source, SqlSource):
            return _database(dataset, what, source.url)
    except VeilError as error:
        return Place(dataset, what, told="not looked at", error=f"{type(error).__name__}: {error.where}")
    return Place(dataset, what, told="not looked at", error="a kind of source that is not known")


def _released(workspace: Workspace, dataset: str) -> Place:
    from airflow_veil.privacy.storage.folder import FolderDestination
    from airflow_veil.privacy.storage.sql import SqlDestination

    what = "bytes of the releases"
    if workspace.loaded.policy.release is None and workspace.destination_uri is None:
        return Place(dataset, what, told="there are none")
    try:
        destination = workspace.destination
    except (ReleaseError, VeilError) as error:
        return Place(dataset, what, told="not looked at", error=f"{type(error).__name__}: {error.where}")
    if isinstance(destination, FolderDestination):
        return Place(dataset, what, (destination.root / dataset,))
    if isinstance(destination, SqlDestination):
        return _database(dataset, what, destination.url, there=False)
    return Place(dataset, what, told="not looked at", error="a kind of destination that is not known")


def _own(workspace: Workspace) -> Iterator[Place]:
    settings = workspace.settings
    yield Place("staging", "bytes of what is staged", (settings.staging,))
    yield _database("ledger", "bytes of the ledger", settings.ledger)
    yield Place("models", "bytes of models, sealed", (settings.models,))
    yield Place("lineage", "bytes of lineage", (settings.lineage,))


def _database(store: str, what: str, url: str, *, there: bool = True) -> Place:
    """A SQLite file with its logs; the bytes of a server are out of reach.

    Args:
        store: What it belongs to.
        what: What is looked at.
        url: Its URL.
        there: Whether it must be there.
    """
    from airflow_veil.privacy.storage.sql import database_url

    parsed = database_url(url)
    if parsed.drivername != "sqlite":
        return Place(store, what, told="not looked at: the files of a database server are out of reach")
    path = Path(str(parsed.database))
    if there and not path.is_file():
        return _missing(store, what, path)
    logs = (path.with_name(f"{path.name}{suffix}") for suffix in ("-wal", "-journal", "-shm"))
    return Place(store, what, (path, *logs))


def _missing(store: str, what: str, path: Path) -> Place:
    """A store that is not there is out of reach, not clean."""
    return Place(store, what, told="not looked at", error=f"there is nothing at {path}")


def _with_hidden(path: Path) -> tuple[Path, ...]:
    """A folder; or a file with the hidden files and sidecars beside it, such as the drafts of killed writers."""
    if path.is_dir():
        return (path,)
    beside = path.parent.iterdir() if path.parent.is_dir() else ()
    return (path, *sorted(file for file in beside if file.name[0] in "._" and file.is_file()))


def _allowed(place: Place, dataset: str, graph: Graph, skipped: Mapping[str, str]) -> Place:
    """Without what may stay."""
    edges = graph.of(dataset)
    exempt = any(edge.word == "exempt" for edge in edges)
    reason = skipped.get(dataset) or ("rows are exempt" if exempt else "")
    if reason and place.paths:
        return replace(place, told=f"not looked at: {reason}")
    # Rows that only lose cells go on naming people, unless the name is what they lose.
    kept = (
        edge.domain for edge in edges if isinstance(edge.action, Mask) and edge.column not in edge.action.mask
    )
    return replace(place, kept=frozenset(kept))


def _joined(found: list[Place]) -> Iterator[Place]:
    """Places with the same files as one: what may stay for one data set may stay in the file."""
    together: dict[tuple[Path, ...], list[Place]] = {}
    for place in found:
        if place.paths:
            together.setdefault(place.paths, []).append(place)
        else:
            yield place
    for paths, same in together.items():
        told = "; ".join(dict.fromkeys(place.told for place in same if place.told))
        yield Place(
            store=", ".join(dict.fromkeys(place.store for place in same)),
            what=" and ".join(dict.fromkeys(place.what for place in same)),
            paths=() if told else paths,
            kept=frozenset().union(*(place.kept for place in same)),
            told=told,
        )
