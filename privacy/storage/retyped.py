"""What was written comes back with the types it was written with, whatever the storage made of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from airflow_veil.privacy.storage.base import DatasetIdentity, Source
from airflow_veil.privacy.storage.failure import storing, unfit

SCHEMA = "_schema.arrow"
"""The file that says with which schema the files beside it were written."""


def keep_schema(folder: Path, schema: pa.Schema) -> None:
    """Put a schema, in the form of Arrow IPC, beside the files that are written with it."""
    with storing("writing the schema", str(folder)):
        (folder / SCHEMA).write_bytes(schema.remove_metadata().serialize())


def kept_schema(folder: Path) -> pa.Schema:
    """The schema that the files of a folder were written with."""
    with storing("reading the schema", str(folder)):
        return pa.ipc.read_schema(pa.py_buffer((folder / SCHEMA).read_bytes()))


@dataclass(frozen=True)
class Retyped:
    """A source whose columns are brought to the types that they had before a storage kept them.

    Parquet has no times in seconds, SQLite no small integers: what was written is what has to come back.

    Attributes:
        source: The source.
        types: The schema; all its columns must be in the source.
    """

    source: Source
    types: pa.Schema

    @property
    def identity(self) -> DatasetIdentity:
        """See `Source.identity`."""
        return self.source.identity

    def schema(self) -> pa.Schema:
        """See `Source.schema`: the types as kept, for the columns that are really there.

        Raises:
            StorageError: The columns are not those that were written.
        """
        if self.source.schema().names != self.types.names:
            where = self.source.identity.name
            raise unfit("the columns are no longer those that were written", where=where)
        return self.types

    def batches(self, columns: Sequence[str], *, batch_rows: int) -> Iterator[pa.RecordBatch]:
        """See `Source.batches`."""
        target = pa.schema([self.types.field(name) for name in columns])
        for batch in self.source.batches(columns, batch_rows=batch_rows):
            try:
                yield batch.cast(target) if columns else batch
            except pa.ArrowException:
                where = self.source.identity.name
                raise unfit("this is no longer what was written", where=where) from None

    def fingerprint(self) -> dict[str, Any]:
        """See `Source.fingerprint`."""
        return self.source.fingerprint()
