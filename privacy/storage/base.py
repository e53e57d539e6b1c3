"""What a source, a writer and a destination are; everything that moves rows is written against these.

    Source ──batches──► engine ──write──► Writer ──close──► staged ──commit──► release

A destination holds, for each data set, any number of immutable releases, one of which is current. A
release is staged where no reader looks, and becomes visible whole or not at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, Self, TypeAlias, runtime_checkable

from airflow_veil.privacy.lazy import pa

Types: TypeAlias = "Mapping[str, pa.DataType]"
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
    """Takes batches in order; as a context manager it removes what it wrote if anything in the block fails.

    Writers inherit from it, for the sake of the context manager.
    """

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self.abort()
            return
        try:
            self.close()
        except BaseException:
            # The last rows are written here: a full disk shows itself as late as this.
            self.abort()
            raise

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
    """Where releases go: `writer`, then `commit`.

    Between the two a release is staged. Attempts at the same release, also at the same time, write to places of
    their own; the last one to close is what is staged, and the first commit is what is released.
    """

    @property
    def name(self) -> str:
        """A URI that tells this destination from others; without credentials."""

    def identity(self, dataset: str) -> DatasetIdentity:
        """The name in lineage of what consumers read."""

    def staged_identity(self, dataset: str, release_id: str) -> DatasetIdentity:
        """The name in lineage of what is staged."""

    def writer(self, dataset: str, release_id: str, schema: pa.Schema) -> Writer:
        """The writer of a new attempt at a release; closed, its rows are staged.

        Raises:
            StorageError: The place cannot be made, or something that is not ours bears the data set's name.
            SchemaError: The destination cannot hold a type.
        """

    def source(self, dataset: str, release_id: str) -> Source:
        """The rows of a release, committed or else staged, with the schema they were written with.

        Raises:
            ReleaseError: There is neither.
        """

    def commit(self, dataset: str, release_id: str, *, manifest: Mapping[str, Any]) -> bool:
        """Publish what is staged, whole or not at all, and make it what consumers read; may be repeated.

        If the release is there already, by an earlier attempt or one at the same time, it stays as it is and
        what is staged is discarded: one release, not two.

        Returns:
            Whether this call published it; False if the release was there.

        Raises:
            ReleaseError: Nothing is staged.
            StorageError: The storage fails; what was current stays current.
        """

    def discard(self, dataset: str, release_id: str) -> int:
        """Remove what is staged for a release, but no attempt that is being written.

        Returns:
            How many attempts were removed.
        """

    def releases(self, dataset: str) -> tuple[str, ...]:
        """The committed releases, in the order of their names."""

    def current(self, dataset: str) -> str | None:
        """The release that consumers read, or None before the first."""

    def switch(self, dataset: str, release_id: str) -> None:
        """Make a committed release the current one, atomically.

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

    def withdraw(self, dataset: str, release_id: str) -> None:
        """Remove a committed release, also if it is the current one: consumers then see none until the next.

        Nothing happens if it is gone; a kill in between is mended by the same call.

        Raises:
            StorageError: It cannot be removed, or the place of all releases cannot be reached: then nobody knows.
        """

    def sweep(self, dataset: str, older_than_seconds: float) -> int:
        """Remove what killed attempts left: not being written, and untouched for that long.

        Returns:
            How many attempts were removed.
        """
