"""Looks whether people are gone, by code other than that which erased them, and at another time.

    rows     read by polars, csv and SQL (`rows_left.py`)    each edge of the graph: who must not be named any more
    bytes    of files, pages and databases (`residue.py`)    all places: what no reader shows any more

Each look gives a check in names and counts. A place that could not be looked at gives one that has not passed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow_veil.privacy.erasure.graph import Edge, Graph
from airflow_veil.privacy.erasure.places import Place, places
from airflow_veil.privacy.erasure.residue import Residue, Scanned, Wanted, scan
from airflow_veil.privacy.erasure.rows_left import Question, look
from airflow_veil.privacy.erasure.subjects import Subjects
from airflow_veil.privacy.errors import VeilError
from airflow_veil.privacy.policy.erasure import Exempt, Mask
from airflow_veil.privacy.release.workspace import Workspace
from airflow_veil.privacy.storage.base import Source
from airflow_veil.privacy.storage.parquet import ParquetSource

NOT_RECOMPUTED = "not recomputed yet"
_SHOWN = 3
"""How many places a sentence names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One look at one place; it holds names and counts, and no value.

    Attributes:
        store: The place.
        what: What was looked for.
        looked_at: How many rows or bytes were looked at.
        found: How much is left.
        allowed: How much of it may be left, since a hold keeps it.
        error: Why nothing is known of the place, or of a part of it; empty if all was looked at.
        told: What a reader of the certificate should know besides: why nothing was looked at, what is too short.
        residues: Where texts are left in bytes.
    """

    store: str
    what: str
    looked_at: int = 0
    found: int = 0
    allowed: int = 0
    error: str = ""
    told: str = ""
    residues: tuple[Residue, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether all was looked at, and nothing is left but what may be."""
        return not self.error and self.found <= self.allowed

    @property
    def sentence(self) -> str:
        """What was found, for a person to read."""
        where = "; ".join(f"{each.count} in {each.path}: {each.place}" for each in self.residues[:_SHOWN])
        if self.what.startswith("bytes"):
            left = (
                f"found {self.found} times in the {self.what}"
                if self.found
                else f"nothing in the {self.what}"
            )
        else:
            left = f"{self.found} {self.what}" if self.found else f"no {self.what}"
        if self.told and not self.looked_at and not self.found:
            left = self.what
        parts = [f"{self.store}: {left}", where, f"not known: {self.error}" if self.error else "", self.told]
        return "; ".join(filter(None, parts))

    def as_dict(self) -> dict[str, Any]:
        """The same for the ledger and for certificates: names and counts."""
        return {
            "store": self.store,
            "what": self.what,
            "looked_at": self.looked_at,
            "found": self.found,
            "allowed": self.allowed,
            "passed": self.passed,
            "sentence": self.sentence,
        }


def verify_dataset(
    workspace: Workspace,
    dataset: str,
    subjects: Subjects,
    graph: Graph,
    *,
    since: Mapping[str, Any] | None = None,
    allowed: Mapping[str, int] | None = None,
) -> tuple[Check, ...]:
    """Look at the rows of a data set's source, edge by edge.

    Args:
        workspace: Opens the source.
        dataset: The data set.
        subjects: The people, by all their values.
        graph: The policy's edges.
        since: The source's fingerprint when the plan was frozen; needed where something is to be recomputed.
        allowed: Data set to the number of rows that holds keep.

    Returns:
        At least one check for each edge; a source that cannot be read gives checks with an error.
    """
    may = (allowed or {}).get(dataset, 0)
    checks: list[Check] = []
    for edge in graph.of(dataset):
        checks += _edge(workspace, edge, subjects, since, may)
    return tuple(checks)


def verify_archive(
    archived: ParquetSource | None,
    dataset: str,
    subjects: Subjects,
    graph: Graph,
    *,
    allowed: Mapping[str, int],
) -> Iterator[Check]:
    """Look at the rows that retention has archived of a data set; nothing where there is no archive.

    Args:
        archived: The archive.
        dataset: The data set.
        subjects: The people, by all their values.
        graph: The policy's edges.
        allowed: Data set to the number of rows that holds keep.
    """
    for edge in graph.of(dataset) if archived is not None else ():
        if edge.touches and archived is not None:
            yield _looked(archived, f"archive of {dataset}", edge, subjects, allowed.get(dataset, 0))


def _edge(
    workspace: Workspace, edge: Edge, subjects: Subjects, since: Mapping[str, Any] | None, allowed: int
) -> Iterator[Check]:
    if isinstance(edge.action, Exempt):
        told = f"not looked at, since it is exempt: {edge.action.exempt}"
        yield Check(store=edge.dataset, what=_rows_that_name(edge), told=told)
        return
    if edge.word == "recompute":
        yield recomputed(workspace, edge.dataset, since)
    try:
        source = workspace.source(edge.dataset)
    except Exception as error:  # noqa: BLE001 - whatever it is, the place was not looked at
        yield Check(store=edge.dataset, what=_rows_that_name(edge), error=_told(error))
    else:
        yield _looked(source, edge.dataset, edge, subjects, allowed)


def _looked(source: Source, store: str, edge: Edge, subjects: Subjects, allowed: int) -> Check:
    """One look at the rows of one place."""
    texts = frozenset(subjects.of(edge.domain).texts.to_pylist())
    masked = edge.action.mask if isinstance(edge.action, Mask) else None
    what = _rows_that_name(edge)
    if masked is not None:
        what += f" and have {' or '.join(masked)}"
    try:
        left = look(source, Question(edge.column, texts, masked))
    except Exception as error:  # noqa: BLE001 - whatever it is, the place was not looked at
        return Check(store=store, what=what, error=_told(error))
    return Check(store=store, what=what, looked_at=left.rows, found=left.found, allowed=allowed)


def _rows_that_name(edge: Edge) -> str:
    return f"rows that name somebody in {edge.column}"


def recomputed(workspace: Workspace, dataset: str, since: Mapping[str, Any] | None) -> Check:
    """Look whether a data set that is to be made anew is another than when the plan was frozen.

    Args:
        workspace: Opens the source.
        dataset: The data set.
        since: The source's fingerprint when the plan was frozen.

    Returns:
        A check; a source that is as it was counts as one part that is left.
    """
    what = "parts from before the erasure"
    if since is None:
        return Check(store=dataset, what=what, found=1, error="nobody noted what the source was before")
    try:
        now = workspace.source(dataset).fingerprint()
    except Exception as error:  # noqa: BLE001 - whatever it is, the place was not looked at
        return Check(store=dataset, what=what, error=_told(error))
    parts = _parts(now)
    before = _parts(since)
    left = len(parts & before) if parts else int(dict(since) == now)
    if _without_files(now) == _without_files(since):
        left = max(left, 1)
    told = NOT_RECOMPUTED if left else ""
    return Check(store=dataset, what=what, looked_at=max(len(parts), 1), found=left, told=told)


def _parts(fingerprint: Mapping[str, Any]) -> set[tuple[str, ...]]:
    """The files of a file set, by content, size and time: a file that was only renamed is the old one.

    A database file changes with whatever is written to any of its tables, so it is no part of a table.
    """
    return {
        (file["sha256"], str(file["bytes"]), str(file["mtime_ns"]))
        for file in fingerprint.get("files", ())
        if "sha256" in file
    }


def _without_files(fingerprint: Mapping[str, Any]) -> dict[str, Any]:
    """What tells one version from another as a whole."""
    # The server keeps no versions of a view.
    whole = [name for name in ("sha256", "versions") if fingerprint.get(name) is not None]
    return {name: fingerprint[name] for name in whole} if whole else dict(fingerprint)


def verify_bytes(
    workspace: Workspace,
    subjects: Subjects,
    graph: Graph,
    *,
    skipped: Mapping[str, str] | None = None,
    also: Collection[Path] = (),
) -> tuple[Check, ...]:
    """Look at the bytes of all places: sources, releases, what is staged, the ledger, and lineage.

    A data set in which rows may stay (exempt, or held) holds the texts by right and is not looked at; one whose rows
    stay but lose cells is not looked through for what the column that names people keeps.

    Args:
        workspace: Knows the places.
        subjects: The people, by all their values.
        graph: The policy's edges.
        skipped: Data set to the reason why rows may stay in it, such as a hold.
        also: Other files and folders.

    Returns:
        A check for each place.
    """
    wanted: dict[frozenset[str], Wanted] = {}
    checks = []
    for place in places(workspace, graph, skipped or {}, also):
        if not place.paths:
            checks.append(Check(store=place.store, what=place.what, told=place.told, error=place.error))
            continue
        if place.kept not in wanted:
            wanted[place.kept] = _wanted(subjects, place.kept)
        checks.append(_bytes(place, wanted[place.kept]))
    return tuple(checks)


def _wanted(subjects: Subjects, kept: frozenset[str]) -> Wanted:
    """All values but those that may be there."""
    stay = {text for domain in kept for text in subjects.of(domain).texts.to_pylist()}
    every = {text for known in subjects.domains.values() for text in known.texts.to_pylist()}
    return Wanted(every - stay)


def _bytes(place: Place, wanted: Wanted) -> Check:
    try:
        scanned = scan(place.paths, wanted)
    except Exception as error:  # noqa: BLE001 - whatever it is, the place was not looked at
        return Check(store=place.store, what=place.what, error=_told(error))
    return Check(
        store=place.store,
        what=place.what,
        looked_at=scanned.bytes,
        found=scanned.found,
        error=_opaque(scanned),
        told="; ".join(filter(None, [place.told, _left_out(scanned)])),
        residues=scanned.residues,
    )


def _opaque(scanned: Scanned) -> str:
    if not scanned.opaque:
        return ""
    first = scanned.opaque[0]
    return f"{len(scanned.opaque)} parts could not be looked into, the first: {first.path}: {first.place}"


def _left_out(scanned: Scanned) -> str:
    short = f"{scanned.short} texts are too short to be told from chance" if scanned.short else ""
    shadowed = f"{scanned.shadowed} are a part of somebody else's values" if scanned.shadowed else ""
    return "; ".join(filter(None, [short, shadowed]))


def _told(error: Exception) -> str:
    """The class of an error, and the place: other people's messages quote values."""
    where = error.where if isinstance(error, VeilError) else ""
    return f"{type(error).__name__}: {where}" if where else type(error).__name__
