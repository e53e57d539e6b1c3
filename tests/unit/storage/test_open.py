"""Opening what a policy names."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_veil.privacy.errors import StorageError
from airflow_veil.privacy.policy.models import CsvFormat, FileSource
from airflow_veil.privacy.storage.csv import CsvSource
from airflow_veil.privacy.storage.open import local_path, open_source
from airflow_veil.privacy.storage.parquet import ParquetSource


class TestOpenSource:
    def test_tells_the_format_from_the_name(self, tmp_path: Path) -> None:
        """Of the file, or of the files in the folder."""
        (tmp_path / "c").mkdir()
        (tmp_path / "c" / "x.csv.gz").touch()
        pq.write_table(pa.table({"a": [1]}), tmp_path / "x.parquet")

        assert isinstance(open_source(FileSource(uri="x.parquet"), root=tmp_path), ParquetSource)
        assert isinstance(open_source(FileSource(uri="c"), root=tmp_path), CsvSource)

    def test_takes_the_format_that_is_said(self, tmp_path: Path) -> None:
        """Whatever the name; types and the CSV's form go with it."""
        (tmp_path / "adult.xyz").write_text("7;x\n")
        source = FileSource(uri="adult.xyz", format="csv", csv=CsvFormat(delimiter=";", header=("n", "t")))

        opened = open_source(source, root=tmp_path, types={"n": pa.int64()})

        assert opened.schema() == pa.schema([("n", pa.int64()), ("t", pa.string())])

    def test_unknown_format_is_an_error(self, tmp_path: Path) -> None:
        """With the fix in it."""
        (tmp_path / "x.bin").touch()

        with pytest.raises(StorageError, match="format: parquet"):
            open_source(FileSource(uri="x.bin"), root=tmp_path)

    def test_nothing_there_is_an_error(self, tmp_path: Path) -> None:
        """It names the path."""
        with pytest.raises(StorageError, match="nowhere"):
            open_source(FileSource(uri="nowhere"), root=tmp_path)


class TestLocalPath:
    @pytest.mark.parametrize(
        ("uri", "expected"),
        [
            ("a/b.csv", "/root/a/b.csv"),
            ("/abs/b.csv", "/abs/b.csv"),
            ("file:///abs/b%20c.csv", "/abs/b c.csv"),
            ("file://localhost/abs", "/abs"),
            ("day=12:30/x.csv", "/root/day=12:30/x.csv"),
        ],
    )
    def test_paths_and_file_uris_are_paths(self, uri: str, expected: str) -> None:
        """A relative path starts at the root."""
        assert local_path(uri, root=Path("/root")) == Path(expected)

    @pytest.mark.parametrize(
        "uri", ["s3://bucket/key", "https://user:secret@host/x", "file://host/x", "postgresql://u:secret@h/d"]
    )
    def test_other_schemes_are_an_error(self, uri: str) -> None:
        """It says what is supported, and shows no password."""
        with pytest.raises(StorageError, match="file:///") as raised:
            local_path(uri, root=Path())

        assert "secret" not in str(raised.value)
