"""Writes files that are no tables into a staged release: a model, its card."""

from __future__ import annotations

from pathlib import Path

from airflow_veil.privacy.storage.base import Written, WrittenFile
from airflow_veil.privacy.storage.durable import HashingFile, sync_folder
from airflow_veil.privacy.storage.failure import storing
from airflow_veil.privacy.storage.names import segment


class FileWriter:
    """Puts whole files into the folder of an attempt.

    Args:
        folder: The folder; it is there.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: list[WrittenFile] = []

    def add(self, name: str, content: bytes) -> None:
        """Write one file.

        Raises:
            StorageError: The name is not one, or the file cannot be written.
        """
        with storing("staging", str(self._folder)):
            file = HashingFile(self._folder / segment(name, "file"))
            file.write(content)
            self._files.append(file.finish())

    def close(self) -> Written:
        """Make the names durable; what was written."""
        with storing("staging", str(self._folder)):
            sync_folder(self._folder)
        return Written(rows=0, bytes=sum(file.bytes for file in self._files), files=tuple(self._files))

    def abort(self) -> None:
        """Nothing is open: the folder goes as a whole."""
