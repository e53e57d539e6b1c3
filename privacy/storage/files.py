"""The files of a source: which they are, what their folders say, and how they are told from another version."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow as pa

from airflow_veil.privacy.errors import SchemaError
from airflow_veil.privacy.storage.base import Types
from airflow_veil.privacy.storage.failure import storing, unfit

MANIFEST = "_manifest.json"
"""What lies beside a release's files; readers of a folder pass over names that begin with `_`."""

HIVE_NULL = ("", "__HIVE_DEFAULT_PARTITION__")
"""How Hive and Spark write null in a folder's name."""

_HIVE = re.compile(r"([^=]+)=(.*)", re.DOTALL)
_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,17}")


@dataclass(frozen=True, slots=True)
class DataFile:
    """One file of a source.

    Attributes:
        path: Where it lies.
        name: Its path in the source with the values of hive partitions left out (`day=*/part-0.parquet`): they
            are values of the data, and names go into errors and manifests.
        partition: Column name to text, or None for null, as its folders say.
    """

    path: Path
    name: str
    partition: tuple[tuple[str, str | None], ...]


@dataclass(frozen=True)
class FileSet:
    """The files under a path: the path itself, or all below a folder, in the order of their names.

    Hidden files and those that begin with `_` are left out, as Hive and Spark do. Any other file without one of
    the suffixes is an error: rows that nobody reads would be missed by nobody.

    Attributes:
        path: A file or a folder.
        suffixes: What the files' names end with, where the path is a folder.
        types: Declared types of hive partition columns. Without one, a partition is int64 if all its values are
            whole numbers, else text.
    """

    path: Path
    suffixes: tuple[str, ...]
    types: Types

    @cached_property
    def files(self) -> tuple[DataFile, ...]:
        """The files.

        Raises:
            StorageError: There is none, one is of another kind, or a folder cannot be read.
            SchemaError: Some lie in other hive partitions than the rest.
        """
        with storing("listing files", str(self.path)):
            if self.path.is_file():
                return (DataFile(self.path, self.path.name, ()),)
            files = tuple(_data_file(self.path, path) for path in self._walk())
        if not files:
            raise unfit(
                "there are no files to read", where=str(self.path), expected=" or ".join(self.suffixes)
            )
        self._check_partitions(files)
        return files

    @cached_property
    def partitions(self) -> pa.Schema:
        """Names and types of the hive partition columns."""
        names = [name for name, _ in self.files[0].partition]
        return pa.schema(
            [pa.field(name, self._partition_type(index, name)) for index, name in enumerate(names)]
        )

    def with_partitions(self, stored: pa.Schema) -> pa.Schema:
        """The columns that are stored in the files, then those of the partitions.

        Raises:
            SchemaError: A column is both.
        """
        doubled = [name for name in self.partitions.names if name in stored.names]
        if doubled:
            raise SchemaError(f"{', '.join(doubled)} is a column and a partition", where=str(self.path))
        return pa.schema([*stored, *self.partitions])

    def partition_values(self, file: DataFile) -> dict[str, pa.Scalar]:
        """The hive partition columns of one file.

        Raises:
            SchemaError: A value is not of the declared type.
        """
        types = self.partitions
        return {name: self._scalar(text, types.field(name)) for name, text in file.partition}

    def fingerprint(self, kind: str, digest: Any) -> dict[str, Any]:
        """Which version of the files this is: for each its name, size, time and `digest(path)`."""
        entries = [self._entry(file, digest) for file in self.files]
        whole = hashlib.sha256()
        for file, entry in zip(self.files, entries, strict=True):
            whole.update(f"{file.path.relative_to(self.path)}\0{entry}\n".encode())
        return {
            "kind": kind,
            "path": str(self.path.absolute()),
            "files": entries,
            "sha256": whole.hexdigest(),
        }

    def _entry(self, file: DataFile, digest: Any) -> dict[str, Any]:
        with storing("reading", self.where(file)):
            state = file.path.stat()
            return {
                "name": file.name,
                "bytes": state.st_size,
                "mtime_ns": str(state.st_mtime_ns),
                "sha256": digest(file.path),
            }

    def where(self, file: DataFile) -> str:
        """How an error names the file."""
        return str(self.path) if file.path == self.path else f"{self.path}: {file.name}"

    def _walk(self) -> Iterator[Path]:
        def fail(error: OSError) -> None:
            raise error

        for folder, folders, names in os.walk(self.path, onerror=fail):
            folders[:] = sorted(name for name in folders if name[0] not in "._")
            for name in folders:
                if os.path.islink(os.path.join(folder, name)):
                    raise unfit(
                        "a folder inside is a symbolic link", where=str(self.path), fix="name it itself"
                    )
            for name in sorted(names):
                if name[0] not in "._":
                    yield self._checked(Path(folder, name))

    def _checked(self, path: Path) -> Path:
        if not path.name.endswith(self.suffixes):
            raise unfit(
                "the folder holds a file of another kind",
                where=f"{self.path}: {_public_name(path.relative_to(self.path))}",
                expected=f"files that end with {' or '.join(self.suffixes)}",
                fix="move it away, or let its name begin with `_`",
            )
        return path

    def _check_partitions(self, files: Sequence[DataFile]) -> None:
        first = [name for name, _ in files[0].partition]
        for file in files:
            names = [name for name, _ in file.partition]
            if names != first:
                raise SchemaError(
                    f"the file's partition columns are {', '.join(names) or 'none'}",
                    where=self.where(file),
                    expected=f"those of the first file: {', '.join(first) or 'none'}",
                )

    def _partition_type(self, index: int, name: str) -> pa.DataType:
        if name in self.types:
            return self.types[name]
        texts = [file.partition[index][1] for file in self.files]
        whole = all(text is None or _INTEGER.fullmatch(text) for text in texts) and any(
            text is not None for text in texts
        )
        return pa.int64() if whole else pa.string()

    def _scalar(self, text: str | None, field: pa.Field) -> pa.Scalar:
        try:
            return pa.scalar(text, pa.string()).cast(field.type)
        except pa.ArrowException:
            raise SchemaError(
                f"a folder's name holds no {field.type}", where=f"{self.path}, partition column {field.name}"
            ) from None


def _data_file(root: Path, path: Path) -> DataFile:
    relative = path.relative_to(root)
    matches = (_HIVE.fullmatch(part) for part in relative.parts[:-1])
    partition = tuple((match[1], _hive_value(match[2])) for match in matches if match)
    return DataFile(path, _public_name(relative), partition)


def _hive_value(text: str) -> str | None:
    return None if text in HIVE_NULL else unquote(text)


def _public_name(relative: Path) -> str:
    """The name without the values of hive partitions."""
    return "/".join([*(_HIVE.sub(r"\1=*", part) for part in relative.parts[:-1]), relative.name])


def digest_of(path: Path) -> str:
    """SHA-256 of a file's content, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
