"""The staging area of a run that goes step by step: personal data between two tasks, gone with the run."""

from __future__ import annotations

import secrets
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from airflow_veil.privacy.errors import StorageError
from airflow_veil.privacy.storage.base import DatasetIdentity, Source, Writer, Written
from airflow_veil.privacy.storage.durable import remove, remove_leavings, sync_folder
from airflow_veil.privacy.storage.failure import storing
from airflow_veil.privacy.storage.names import segment
from airflow_veil.privacy.storage.parquet import ParquetSource, ParquetWriter
from airflow_veil.privacy.storage.retyped import Retyped, keep_schema, kept_schema

PRIVATE = 0o700


@dataclass(frozen=True)
class Scratch:
    """Folders `<root>/<dataset>/<run_key>/<step>` that only their owner can read.

    A step's output appears whole: it is written beside its place and renamed, so a task that was killed and runs
    again finds nothing half done. Removal is plain deletion: journals, snapshots and flash keep copies that no
    program can overwrite; put the root on an encrypted disk.

    Attributes:
        root: Where the folders lie; made on first use.
    """

    root: Path

    def folder(self, dataset: str, run_key: str, step: str) -> Path:
        """The folder of a step, made with mode 0700 if it is not there.

        Raises:
            StorageError: A name is not safe in a path, or the folder cannot be made.
        """
        folder = self._place(dataset, run_key, step)
        self._make(folder)
        return folder

    def writer(self, dataset: str, run_key: str, step: str, schema: pa.Schema) -> ScratchWriter:
        """The writer of a step's output; what an earlier attempt wrote is replaced when it closes."""
        target = self._place(dataset, run_key, step)
        draft = target.with_name(f".{target.name}-{secrets.token_hex(8)}")
        self._make(draft)
        keep_schema(draft, schema)
        return ScratchWriter(draft, target, schema)

    def source(self, dataset: str, run_key: str, step: str) -> Source:
        """What a step wrote.

        Raises:
            StorageError: It wrote nothing, or was scrubbed.
        """
        folder = self._place(dataset, run_key, step)
        if not folder.is_dir():
            raise StorageError(
                f"step {step} has no staged output",
                where=dataset,
                fix="run the steps of this run again from the first",
            )
        return Retyped(ParquetSource(folder), kept_schema(folder))

    def identity(self, dataset: str, run_key: str, step: str) -> DatasetIdentity:
        """The name in lineage of a step's output: `file` and its path."""
        return DatasetIdentity("file", str(self._place(dataset, run_key, step).absolute()))

    def scrub(self, dataset: str, run_key: str) -> int:
        """Remove all that a run staged for a data set.

        Returns:
            1 if there was something, else 0.
        """
        with storing("scrubbing", str(self.root)):
            return int(remove(self._place(dataset, run_key)))

    def sweep(self, older_than_seconds: float) -> int:
        """Remove the runs in which nothing was touched for so long, and say how many."""
        limit = time.time() - older_than_seconds
        with storing("sweeping", str(self.root)):
            datasets = [path for path in self.root.iterdir() if path.is_dir()] if self.root.is_dir() else []
            runs = [
                path for dataset in datasets for path in dataset.iterdir() if not path.name.startswith(".")
            ]
            swept = sum(remove(run) for run in runs if _touched(run) < limit)
            for dataset in datasets:
                remove_leavings(dataset, limit)
        return swept

    def _place(self, dataset: str, run_key: str, step: str | None = None) -> Path:
        run = self.root / segment(dataset, "data set") / segment(run_key, "run")
        return run if step is None else run / segment(step, "step")

    def _make(self, folder: Path) -> None:
        """Make the folder and those above it, all of them private: `mkdir(parents=True)` would not."""
        with storing("making the staging area", str(self.root)):
            self.root.mkdir(parents=True, exist_ok=True, mode=PRIVATE)
            for level in (folder.parent.parent, folder.parent, folder):
                level.mkdir(exist_ok=True, mode=PRIVATE)


class ScratchWriter(Writer):
    """A Parquet writer whose folder takes its name only when it is whole; see `Writer`."""

    def __init__(self, draft: Path, target: Path, schema: pa.Schema) -> None:
        self._draft, self._target = draft, target
        self._writer = ParquetWriter(draft, schema, compression="lz4")
        self._written: Written | None = None

    def write(self, batch: pa.RecordBatch) -> None:
        """See `Writer.write`."""
        self._writer.write(batch)

    def close(self) -> Written:
        """See `Writer.close`."""
        if self._written is None:
            written = self._writer.close()
            with storing("writing", str(self._target)):
                remove(self._target)
                self._draft.rename(self._target)
                sync_folder(self._target.parent)
            self._written = written
        return self._written

    def abort(self) -> None:
        """See `Writer.abort`."""
        self._writer.abort()
        remove(self._draft)


def _touched(run: Path) -> float:
    """When the folder or anything in it was changed last."""
    with suppress(FileNotFoundError):
        return max(path.lstat().st_mtime for path in (run, *run.rglob("*")))
    return 0.0
