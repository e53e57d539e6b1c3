"""Looks into a Parquet file: all of its bytes, each page decompressed, shortened limits, and what nobody points to."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from airflow_veil.privacy.erasure.bounds import Rule
from airflow_veil.privacy.erasure.page_codec import PagesError
from airflow_veil.privacy.erasure.pages import BYTE_ARRAY, Page, ParquetParts, Part, Value
from airflow_veil.privacy.erasure.spellings import PLAIN, SHORTEST

if TYPE_CHECKING:
    from airflow_veil.privacy.erasure.residue import Tally

_DELTA = (6, 7)
"""Encodings that put lengths apart from values, or leave out what a value shares with the one before it."""
_CUT = 64
"""The length to which writers shorten limits in column indexes without saying so."""


def look_at_parquet(path: Path, file: BinaryIO, tally: Tally) -> None:
    """Look through a Parquet file; what cannot be looked into is told as such.

    Raises:
        OSError: It cannot be read.
    """
    try:
        parts = ParquetParts(file)
    except PagesError:
        tally.opaque.add("it is no Parquet file that can be read")
        parts = None
    pages = list(_pages(path, parts, tally)) if parts else []
    values = [*(parts.values if parts else ()), *(value for page in pages for value in page.values)]
    _look_at_values(values, tally)
    told = [*(value.part for value in values), *(Part(page.body, page.end, page.place) for page in pages)]
    _look_at_bytes(file, parts, told, tally)
    if parts and parts.sealed:
        tally.opaque.add("parts of it are encrypted")


def _pages(path: Path, parts: ParquetParts, tally: Tally) -> Iterator[Page]:
    """The pages, each after it was looked into."""
    covered: list[tuple[int, int]] = []
    decoded: set[tuple[int, str]] = set()
    for chunk in parts.chunks:
        if chunk.sealed:
            covered.append((chunk.begin, chunk.end))
            continue
        try:
            for page in parts.pages(chunk):
                covered.append((page.begin, page.end))
                if page.encoding in _DELTA:
                    decoded.add((chunk.group, chunk.root))
                else:
                    tally.search(parts.content(page), page.place, _rule(page))
                yield page
        except PagesError as error:
            tally.opaque.add(chunk.of(f"a page ({error})"))
    for group, root in sorted(decoded):
        _look_at_decoded(path, group, root, tally)
    for begin, end in parts.gaps(covered):
        _look_at_gap(parts, begin, end, tally)


def _rule(page: Page) -> Rule:
    return Rule.CELLS if page.chunk.kind == BYTE_ARRAY else Rule.PACKED


def _look_at_bytes(file: BinaryIO, parts: ParquetParts | None, told: list[Part], tally: Tally) -> None:
    """Everything but what was looked into by itself."""
    file.seek(0)
    told.sort(key=lambda part: part.begin)
    begins = [part.begin for part in told]
    for begin, end, number, spelling in tally.stream(file, Rule.PACKED):
        index = bisect_left(begins, begin + 1) - 1
        if index >= 0 and end <= told[index].end:
            continue
        known = (part.place for part in (parts.parts if parts else ()) if part.begin <= begin < part.end)
        tally.count(next(known, "raw bytes"), number, spelling)


def _look_at_values(values: list[Value], tally: Tally) -> None:
    """Metadata, and smallest and largest values: all at once, and one by one only if something is there."""
    if tally.wanted.within(b"\n".join(value.content for value in values)):
        for value in values:
            tally.search(value.content, value.part.place, Rule.TEXT)
    for value in values:
        if value.limit and _shortened(value, tally):
            tally.counts[f"{value.part.place} (shortened)", PLAIN] += 1


def _look_at_decoded(path: Path, group: int, root: str, tally: Tally) -> None:
    """The values of a column as a reader shows them: in its pages they are in pieces."""
    import pyarrow.parquet as pq

    from airflow_veil.privacy.erasure.unpacked import look_at_array

    with pq.ParquetFile(path, pre_buffer=False) as reader:
        for batch in reader.iter_batches(row_groups=[group], columns=[root]):
            for column in batch.columns:
                look_at_array(column, f"values of column {root}, row group {group}", tally)


def _look_at_gap(parts: ParquetParts, begin: int, end: int, tally: Tally) -> None:
    """Bytes that nothing points to: pages of an earlier version, metadata, or something unknown."""
    for content in parts.stray(begin, end):
        if content is None:
            tally.opaque.add("bytes between its parts that nothing points to")
        else:
            tally.search(content, "page that no column points to", Rule.CELLS)


def _shortened(limit: Value, tally: Tally) -> bool:
    """Whether a limit is the beginning of a looked-for text; the last byte of a largest value is raised by one."""
    value = limit.content
    if len(value) < SHORTEST or not (limit.whole is False or (limit.whole is None and len(value) == _CUT)):
        return False
    lowered = value[:-1] + bytes([max(value[-1] - 1, 0)])
    return any(_begins(tally.wanted.contents, start) for start in (value, lowered))


def _begins(contents: list[bytes], start: bytes) -> bool:
    """Whether a content is longer than its beginning."""
    at = bisect_left(contents, start)
    return any(content.startswith(start) and content != start for content in contents[at : at + 2])
