"""Opens what a policy names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from airflow_veil.privacy.policy.models import FileSource
from airflow_veil.privacy.storage.failure import unfit

if TYPE_CHECKING:
    from airflow_veil.privacy.storage.base import Source, Types


def open_source(source: FileSource, *, root: Path, types: Types | None = None) -> Source:
    """The file or folder that a policy names, to read.

    Args:
        source: The source as the policy has it.
        root: Where relative paths start.
        types: Declared types: of all columns of a CSV, of the hive partitions of Parquet.

    Raises:
        StorageError: The URI is of a kind that is not supported, there is nothing at the path, or the format
            cannot be told.
    """
    from airflow_veil.privacy.storage.csv import CsvSource
    from airflow_veil.privacy.storage.parquet import ParquetSource

    path = local_path(source.uri, root=root)
    if (source.format or _format(path)) == "parquet":
        return ParquetSource(path, types or {})
    return CsvSource(path, types or {}, source.csv)


def local_path(uri: str, *, root: Path) -> Path:
    """The path that a `file:` URI or a plain path means; a relative one starts at `root`.

    Raises:
        StorageError: The URI has another scheme, or names another host.
    """
    parts = urlsplit(uri)
    if parts.scheme == "file" and parts.netloc in ("", "localhost"):
        return Path(unquote(parts.path))
    if "://" in uri or parts.scheme == "file":
        raise unfit(
            f"the scheme {parts.scheme} with the host {parts.hostname} is not supported"
            if parts.scheme == "file"
            else f"the scheme {parts.scheme} is not supported",
            where=f"{parts.scheme}://",
            expected="a path, or file:///...",
            fix="mount the store, or read a table by `connection`",
        )
    return root / uri


def _format(path: Path) -> str:
    """Told from the name of the file, or of the first one in the folder."""
    from airflow_veil.privacy.storage.csv import SUFFIXES as CSV
    from airflow_veil.privacy.storage.files import FileSet
    from airflow_veil.privacy.storage.parquet import SUFFIXES as PARQUET

    first = FileSet(path, (*PARQUET, *CSV), {}).files[0].path
    if first.name.endswith(PARQUET):
        return "parquet"
    if first.name.endswith(CSV):
        return "csv"
    raise unfit(
        "the format cannot be told from the name",
        where=str(path),
        fix="write `format: parquet` or `format: csv`",
    )
