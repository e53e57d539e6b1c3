"""A source as a stage would leave it, treated as it is read; nothing is written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from airflow_veil.privacy.engine.treatment import prepare
from airflow_veil.privacy.plan.stage import Stage
from airflow_veil.privacy.storage.base import DatasetIdentity, Source
from airflow_veil.privacy.transforms.base import Keys


class TreatedSource:
    """The rows of a source, treated; see `Source`.

    Args:
        stage: What is done to them.
        source: Where they come from.
        keys: The key ring; None where no treatment needs one.
    """

    def __init__(self, stage: Stage, source: Source, keys: Keys | None) -> None:
        self._stage, self._source, self._keys = stage, source, keys

    @property
    def identity(self) -> DatasetIdentity:
        """That of the source."""
        return self._source.identity

    def schema(self) -> pa.Schema:
        """What the stage makes."""
        return self._stage.output_schema

    def batches(self, columns: Sequence[str], *, batch_rows: int) -> Iterator[pa.RecordBatch]:
        """See `Source.batches`; errors of treatments as well."""
        treatment = prepare(self._stage, self._keys)
        for batch in self._source.batches(self._stage.reads, batch_rows=batch_rows):
            treated, _ = treatment(batch)
            yield treated.select(list(columns))

    def fingerprint(self) -> dict[str, Any]:
        """That of the source."""
        return self._source.fingerprint()
