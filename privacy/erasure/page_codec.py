"""Decompresses pages of Parquet files by the numbers that the format gives to compressions."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa

CODECS = {0: "none", 1: "snappy", 2: "gzip", 4: "brotli", 5: "lz4", 6: "zstd", 7: "lz4_raw"}
"""The format's number to Arrow's name; 3 is LZO, which nobody writes any more."""


class PagesError(ValueError):
    """The file is no Parquet file, or a part of it cannot be read."""


def unpacked(raw: bytes, size: int, codec: int) -> bytes:
    """The content of a page.

    Args:
        raw: Its bytes.
        size: How long the content is.
        codec: The number of the compression.

    Raises:
        PagesError: The compression is not known, or the bytes are not what they should be.
    """
    name = CODECS.get(codec)
    if name is None:
        raise PagesError("the compression is not known")
    if not size:
        return b""
    ways: list[Callable[[], bytes]] = [lambda: _decompressed(raw, size, name)]
    if name == "lz4":
        # By this number go blocks with Hadoop's lengths, bare blocks, and frames: writers have differed.
        ways = [
            lambda: _hadoop_lz4(raw, size),
            lambda: _decompressed(raw, size, "lz4_raw"),
            lambda: _decompressed(raw, size, "lz4"),
        ]
    for way in ways:
        try:
            content = way()
        except (pa.ArrowException, OSError, ValueError):
            continue
        if len(content) == size:
            return content
    raise PagesError("a page cannot be decompressed")


def _decompressed(raw: bytes, size: int, codec: str) -> bytes:
    content: bytes = pa.decompress(raw, decompressed_size=size, codec=codec, asbytes=True)
    return content


def _hadoop_lz4(raw: bytes, size: int) -> bytes:
    """Blocks that each begin with both of their lengths, big end first."""
    parts, at = [], 0
    while at < len(raw):
        whole, length = int.from_bytes(raw[at : at + 4]), int.from_bytes(raw[at + 4 : at + 8])
        if not 0 < whole <= size or length > len(raw) - at - 8:
            raise ValueError
        parts.append(_decompressed(raw[at + 8 : at + 8 + length], whole, "lz4_raw"))
        at += 8 + length
    return b"".join(parts)
