"""What a source, a writer and a destination are; everything that moves rows is written against these.

    Source ──batches──► engine ──write──► Writer ──close──► Staged ──commit──► release, current

A destination holds, for each data set, any number of immutable releases, one of which is current. A release is
staged where no reader looks, and becomes visible whole or not at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, Self, runtime_checkable

import pyarrow as pa

Types = Mapping[str, pa.DataType]
"""Column name to the type that the policy declares."""


@dataclass(frozen=True, slots=True)
class DatasetIdentity:
    """A data set's name by the OpenLineage naming rules.

    Attributes:
        namespace: `file`, `postgres://host:port` or `sqlite:///path`.
        name: The absolute path, `database.schema.table`, or the table.
    """

    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """One file of a release.

    Attributes:
        name: Its name in the release's folder.
        bytes: Its size.
        sha256: The digest of its content, in hex.
    """

    name: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Written:
    """What a writer wrote.

    Attributes:
        rows: How many rows.
        bytes: The size of the files; for a table, of the Arrow data that was sent.
        files: The files, in order; none for a table.
        guarded: How many text cells got a prefix so that no spreadsheet takes them for a formula (CSV).
    """

    rows: int
    bytes: int
    files: tuple[WrittenFile, ...] = ()
    guarded: int = 0


@dataclass(frozen=True, slots=True)
class Staged:
    """A place where one attempt writes one release; plain data, so that it can go from task to task.

    Attributes:
        dataset: Name of the data set.
        release_id: The release it is to become.
        token: Random; two attempts at the same release never write to the same place.
    """

    dataset: str
    release_id: str
    token: str


@runtime_checkable
class Source(Protocol):
    """Rows to read, in a stable order.

    Text comes as `string` and bytes as `binary`, never dictionary encoded, whatever the storage does.
    """

    @property
    def identity(self) -> DatasetIdentity:
        """Its name in lineage."""

    def schema(self) -> pa.Schema:
        """Names and types of the columns; no row is read (CSV: the header only)."""

    def batches(self, columns: Sequence[str], *, batch_rows: int) -> Iterator[pa.RecordBatch]:
        """The rows, with these columns in this order, at most `batch_rows` at a time, in constant memory.

        Raises:
            StorageError: The source cannot be read, or a value is not of its column's type.
            SchemaError: A column is not there, or a file's schema differs.
        """

    def fingerprint(self) -> dict[str, Any]:
        """Names, sizes, times and digests that tell which version was read; never a value."""


@runtime_checkable
class Writer(Protocol):
    """Takes batches in order; a context manager that removes what it wrote when an exception leaves the block."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def write(self, batch: pa.RecordBatch) -> None:
        """Append a batch of the writer's schema.

        Raises:
            StorageError: It cannot be written.
        """

    def close(self) -> Written:
        """Make everything durable and say what was written; a second call says the same."""

    def abort(self) -> None:
        """Remove what was written."""


@runtime_checkable
class Destination(Protocol):
    """Where releases go: `stage`, `writer`, `write_manifest`, `commit`."""

    def identity(self, dataset: str) -> DatasetIdentity:
        """The name in lineage of what consumers read."""

    def stage(self, dataset: str, release_id: str) -> Staged:
        """A new, private, empty place for one attempt at a release.

        Raises:
            StorageError: It cannot be made, or something that is not ours bears the data set's name.
        """

    def writer(self, staged: Staged, schema: pa.Schema) -> Writer:
        """The writer of the staged rows."""

    def write_manifest(self, staged: Staged, manifest: Mapping[str, Any]) -> None:
        """Put the manifest beside the staged rows; without one, nothing can be committed."""

    def staged_source(self, staged: Staged, *, types: Types | None = None) -> Source:
        """The staged rows, to validate them; `types` are those of a CSV's columns."""

    def commit(self, staged: Staged, *, make_current: bool = True) -> bool:
        """Publish a staged release, whole or not at all; may be repeated.

        If the release is there already, by an earlier attempt or one at the same time, the staged one is
        discarded: one release, not two.

        Args:
            staged: What to publish.
            make_current: Whether it becomes what consumers read; False where a newer one is current already.

        Returns:
            Whether this attempt published it; False if the release was there.

        Raises:
            ReleaseError: Nothing is staged there, or it has no manifest.
            StorageError: The storage fails; what was current stays current.
        """

    def discard(self, staged: Staged) -> None:
        """Remove what is staged; nothing happens if it is gone."""

    def releases(self, dataset: str) -> tuple[str, ...]:
        """The committed releases, in the order of their names."""

    def current(self, dataset: str) -> str | None:
        """The release that consumers read, or None before the first."""

    def switch(self, dataset: str, release_id: str) -> None:
        """Make a committed release the current one, atomically.

        Raises:
            ReleaseError: There is no such release.
        """

    def source(self, dataset: str, release_id: str, *, types: Types | None = None) -> Source:
        """The rows of a committed release.

        Raises:
            ReleaseError: There is no such release.
        """

    def manifest(self, dataset: str, release_id: str) -> dict[str, Any]:
        """The manifest of a committed release.

        Raises:
            ReleaseError: There is no such release.
        """

    def drop(self, dataset: str, release_id: str) -> None:
        """Remove a committed release; nothing happens if it is gone.

        Raises:
            ReleaseError: It is the current one.
        """

    def sweep(self, older_than_seconds: float) -> int:
        """Remove what killed attempts left: staged, not in use, and untouched for that long.

        Returns:
            How many were removed.
        """
