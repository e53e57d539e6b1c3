"""The parts and pages of Parquet files, read from their bytes, of all writers at hand."""

from __future__ import annotations

import io
import itertools
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_veil.privacy.erasure import pages
from airflow_veil.privacy.erasure.page_codec import PagesError, unpacked
from airflow_veil.privacy.erasure.pages import DATA_V2, DICTIONARY, Page, ParquetParts
from airflow_veil.privacy.erasure.thrift import Reader, ThriftError

ROWS = 3_000
CODECS = ["snappy", "gzip", "zstd", "brotli", "lz4", "none"]


def people(rows: int = ROWS) -> pa.Table:
    """Numbers, texts that repeat, texts that do not, lists, nulls."""
    numbers = range(rows)
    return pa.table(
        {
            "id": pa.array(numbers, pa.int64()),
            "city": pa.array([f"city-number-{n % 7}" for n in numbers]),
            "mail": pa.array([None if n % 11 == 0 else f"person{n}@example.com" for n in numbers]),
            "tags": pa.array([[f"tag-of-{n}", "all-have-it"] if n % 3 else [] for n in numbers]),
        }
    )


def walked(path: Path) -> tuple[ParquetParts, list[Page], dict[str, bytes]]:
    """The parts of a file, its pages, and all contents by column; whatever is wrong raises."""
    with path.open("rb") as file:
        parts = ParquetParts(file)
        found = [page for chunk in parts.chunks for page in parts.pages(chunk)]
        contents: dict[str, bytes] = {}
        for page in found:
            content = parts.content(page)
            assert len(content) == page.size
            contents[page.chunk.root] = contents.get(page.chunk.root, b"") + content
        assert not list(parts.gaps([(page.begin, page.end) for page in found]))
    return parts, found, contents


def assert_all_there(contents: dict[str, bytes], table: pa.Table) -> None:
    """Each text of the table is in the pages of its column."""
    for name in ("city", "mail"):
        for text in set(table.column(name).to_pylist()) - {None}:
            assert text.encode() in contents[name]
    assert b"tag-of-1" in contents["tags"]


class TestPages:
    @pytest.mark.parametrize(
        ("codec", "version", "dictionary"), list(itertools.product(CODECS, ["1.0", "2.0"], [True, False]))
    )
    def test_pages_of_pyarrow(self, tmp_path: Path, codec: str, version: str, *, dictionary: bool) -> None:
        """All codecs, both versions of data pages, dictionaries, checksums, page indexes, many pages."""
        table, path = people(), tmp_path / "a.parquet"
        pq.write_table(
            table,
            path,
            compression=codec,
            data_page_version=version,
            use_dictionary=dictionary,
            write_page_index=True,
            write_page_checksum=True,
            row_group_size=1_000,
            data_page_size=2_000,
        )

        parts, found, contents = walked(path)

        assert_all_there(contents, table)
        assert {page.chunk.group for page in found} == {0, 1, 2}
        assert {page.kind for page in found} == (
            ({DATA_V2} if version == "2.0" else {pages.DATA}) | ({DICTIONARY} if dictionary else set())
        )
        assert any(part.place == "column index of column mail, row group 2" for part in parts.parts)
        assert not parts.sealed

    @pytest.mark.parametrize("codec", ["snappy", "gzip", "zstd", "brotli", "lz4", "uncompressed"])
    def test_pages_of_polars(self, tmp_path: Path, codec: Any) -> None:
        """Polars repeats the metadata of a column after its pages: the only bytes that nothing points to."""
        table, path = people(), tmp_path / "a.parquet"
        pl.from_arrow(table).write_parquet(path, compression=codec, row_group_size=1_000)

        with path.open("rb") as file:
            parts = ParquetParts(file)
            found = [page for chunk in parts.chunks for page in parts.pages(chunk)]
            contents: dict[str, bytes] = {}
            for page in found:
                contents[page.chunk.root] = contents.get(page.chunk.root, b"") + parts.content(page)
            gaps = list(parts.gaps([(page.begin, page.end) for page in found]))

            assert all(not list(parts.stray(begin, end)) for begin, end in gaps)
        assert_all_there(contents, table)
        assert any(value.part.place == "statistics between columns" for value in parts.values)

    @pytest.mark.parametrize("codec", ["snappy", "gzip", "zstd", None])
    def test_pages_of_pandas(self, tmp_path: Path, codec: Any) -> None:
        table, path = people(), tmp_path / "a.parquet"
        table.to_pandas().to_parquet(path, compression=codec)

        parts, _, contents = walked(path)

        assert_all_there(contents, table)
        assert any(value.part.place == "footer metadata key pandas" for value in parts.values)

    def test_real_files(self, shared_data: Path) -> None:
        files = sorted(shared_data.rglob("*.parquet"))
        assert files
        for path in files:
            walked(path)

    @pytest.mark.parametrize("kind", ["hadoop", "bare", "frame"])
    def test_lz4_of_all_kinds(self, kind: str) -> None:
        """One codec number stands for three ways of writing lz4."""
        content = b"somebody@example.com " * 100
        raw = pa.compress(content, codec="lz4" if kind == "frame" else "lz4_raw", asbytes=True)
        if kind == "hadoop":
            raw = len(content).to_bytes(4) + len(raw).to_bytes(4) + raw

        assert unpacked(raw, len(content), 5) == content

    def test_metadata_and_limits(self, tmp_path: Path) -> None:
        """What stands outside of pages is told by its place in the file."""
        path = tmp_path / "a.parquet"
        table = people().replace_schema_metadata({"note": "made for nobody@example.com"})
        pq.write_table(table, path, write_page_index=True)
        content = path.read_bytes()

        parts, _, _ = walked(path)

        for value in parts.values:
            assert content[value.part.begin : value.part.end] == value.content
        told = {(value.part.place, value.content) for value in parts.values}
        assert ("footer metadata key note", b"made for nobody@example.com") in told
        assert ("statistics of column mail, row group 0", b"person1000@example.com") in told
        assert ("column index of column mail, row group 0", b"person1000@example.com") in told

    def test_bloom_filters(self, tmp_path: Path) -> None:
        """They hold hashes only; their bytes are told from those that nobody points to."""
        path = tmp_path / "a.parquet"
        pq.write_table(people(), path, bloom_filter_options={"mail": True}, row_group_size=1_000)

        parts, _, contents = walked(path)

        assert_all_there(contents, people())
        assert sum(part.place.startswith("bloom filter of column mail") for part in parts.parts) == 3

    def test_sidecar_points_to_other_files(self, tmp_path: Path) -> None:
        collector: list[Any] = []
        pq.write_to_dataset(people(), tmp_path / "set", metadata_collector=collector)
        pq.write_metadata(people().schema, tmp_path / "set" / "_metadata", collector)

        parts, found, _ = walked(tmp_path / "set" / "_metadata")

        assert not found
        assert any(value.content == b"person1000@example.com" for value in parts.values)


class TestDamage:
    @pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" + bytes(20), b"PAR1\xff\xff\xff\x7fPAR1PAR1"])
    def test_no_parquet_file(self, content: bytes) -> None:
        with pytest.raises(PagesError):
            ParquetParts(io.BytesIO(content))

    def test_each_cut_is_told(self, tmp_path: Path) -> None:
        """A damaged file raises what is known; it never hangs, and never passes for another one."""
        path = tmp_path / "a.parquet"
        pq.write_table(people(50), path)
        content = path.read_bytes()
        footer = int.from_bytes(content[-8:-4], "little")
        for at, byte in itertools.product(
            range(len(content) - 8 - footer, len(content) - 8, 5), b"\x00\x1c\xff"
        ):
            damaged = content[:at] + bytes([byte]) + content[at + 1 :]
            try:
                parts = ParquetParts(io.BytesIO(damaged))
                for chunk in parts.chunks:
                    for page in parts.pages(chunk):
                        parts.content(page)
            except PagesError:
                continue

    @pytest.mark.parametrize(
        "content", [b"\x15", b"\x18\xff\xff\xff\xff\x0f", b"\x19\xfc\xff\xff\x7f", b"\x1c" * 40, b"\x1e\x00"]
    )
    def test_no_struct(self, content: bytes) -> None:
        with pytest.raises(ThriftError):
            Reader(content).struct()

    def test_all_types_are_read(self) -> None:
        """Truth values, numbers, texts, lists, maps and structs, with long and short field numbers."""
        content = b"\x11\x12\x13\x07\x14\x03\x15\x04\x17" + bytes(7) + b"\x40" + b"\x18\x02hi"
        content += (
            b"\x19\x22\x01\x02" + b"\x1b\x01\x58\x02\x01k" + b"\x1c\x15\x02\x00" + b"\x05\xc8\x01\x06\x00"
        )

        fields = Reader(content).struct()

        assert fields == {
            1: True,
            2: False,
            3: 7,
            4: -2,
            5: 2,
            6: 2.0,
            7: b"hi",
            8: [True, False],
            9: [(1, b"k")],
            10: {1: 1},
            100: 3,
        }
