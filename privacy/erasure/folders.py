"""Folders of hive partitions whose names say who somebody is: they go when their last row goes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import unquote

from airflow_veil.privacy.storage.durable import sync_folder
from airflow_veil.privacy.storage.failure import unfit
from airflow_veil.privacy.storage.files import HIVE_NULL

LEFT_BY_WRITERS = ("_SUCCESS", "_metadata", "_common_metadata")
"""What writers leave beside files, which says nothing without them."""

Names = Callable[[str, str], bool]
"""Whether a value of a partition column names somebody who is erased."""


def nameless(root: Path, path: Path, columns: set[str]) -> Path:
    """Where a file may lie instead: the same place, with null for the partition columns that name people."""
    parts = []
    for part in path.relative_to(root).parts[:-1]:
        name, equals, _ = part.partition("=")
        parts.append(f"{name}={HIVE_NULL[1]}" if equals and name in columns else part)
    return root.joinpath(*parts, path.name)


def drop_named(root: Path, names: Names) -> None:
    """Remove the folders without files whose names say who somebody is.

    Raises:
        StorageError: One of them holds something that is no data.
    """
    for folder in sorted(_folders(root), key=lambda each: -len(each.parts)):
        name, equals, text = folder.name.partition("=")
        if equals and text not in HIVE_NULL and names(name, unquote(text)) and not _holds_data(folder):
            _remove(root, folder, name)


def _folders(root: Path) -> Iterator[Path]:
    for folder, folders, _ in os.walk(root):
        folders[:] = [name for name in folders if name[0] not in "._"]
        yield from (Path(folder, name) for name in folders)


def _holds_data(folder: Path) -> bool:
    return any(
        name[0] not in "._"
        for path, _, names in os.walk(folder)
        if not _hidden(Path(path).relative_to(folder))
        for name in names
    )


def _hidden(path: Path) -> bool:
    return any(part[0] in "._" for part in path.parts)


def _remove(root: Path, folder: Path, column: str) -> None:
    for path, folders, names in os.walk(folder, topdown=False):
        for name in names:
            if name not in LEFT_BY_WRITERS and not (name.startswith(".") and name.endswith(".crc")):
                raise unfit(
                    f"a folder whose name says who somebody is holds other files: {name}",
                    where=f"{root}: {column}=*",
                    fix="move them away, and run again",
                )
            Path(path, name).unlink()
        for name in folders:
            Path(path, name).rmdir()
    folder.rmdir()
    sync_folder(folder.parent)
