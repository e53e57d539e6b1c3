"""A source of which some rows are left out as they are read: it is the same table, of the same version."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from airflow_veil.privacy.storage.base import DatasetIdentity, Source


@dataclass(frozen=True)
class Narrowed:
    """What a source with fewer rows says as the one below it does; `batches` is its own.

    Attributes:
        source: The source.
    """

    source: Source

    @property
    def identity(self) -> DatasetIdentity:
        """See `Source.identity`."""
        return self.source.identity

    def schema(self) -> pa.Schema:
        """See `Source.schema`."""
        return self.source.schema()

    def fingerprint(self) -> dict[str, Any]:
        """See `Source.fingerprint`."""
        return self.source.fingerprint()
