"""The anatomy of a Parquet file, read from its bytes: what each part is, and what its pages hold.

    PAR1 │ header page header page … │ … │ column indexes │ offset indexes │ footer │ length PAR1

Nothing of Arrow's reader is used, which shows rows only: a value that no row points to is still in its page.
https://parquet.apache.org/docs/file-format/
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

from airflow_veil.privacy.erasure.page_codec import CODECS, PagesError, unpacked
from airflow_veil.privacy.erasure.thrift import Fields, Reader, Span, ThriftError

MAGIC = b"PAR1"
SEALED = b"PARE"
_HEADER_BYTES = 1 << 12
"""A page's header is looked for in so many bytes; statistics in it can make it long."""
_LARGEST_PAGE = 1 << 31
_STEP = 1 << 20
"""Bytes between parts that are looked at at a time."""

DATA, INDEX, DICTIONARY, DATA_V2 = range(4)
BYTE_ARRAY = 6


@dataclass(frozen=True, slots=True)
class Part:
    """Some bytes of a file.

    Attributes:
        begin: The first.
        end: One after the last.
        place: What they are, in words.
    """

    begin: int
    end: int
    place: str


@dataclass(frozen=True, slots=True)
class Value:
    """A value that is written outside of the rows: metadata, or the smallest or largest of some rows.

    Attributes:
        part: Where it stands.
        content: It, or its beginning.
        limit: Whether it is a smallest or largest value, which may be shortened.
        whole: Whether the whole value is there; None where the file does not say.
    """

    part: Part
    content: bytes
    limit: bool = False
    whole: bool | None = None


@dataclass(frozen=True, slots=True)
class Chunk:
    """The values of one column in one row group.

    Attributes:
        column: Its name; a nested one's with dots.
        group: The number of the row group.
        root: The name of the top-level column that it is a part of.
        kind: The physical type's number in Parquet.
        codec: The number of its compression.
        begin: Where its pages begin.
        end: Where they end.
        sealed: Whether it is encrypted.
    """

    column: str
    group: int
    root: str
    kind: int
    codec: int
    begin: int
    end: int
    sealed: bool

    def of(self, what: str) -> str:
        """A part of it in words."""
        return f"{what} of column {self.column}, row group {self.group}"


@dataclass(frozen=True, slots=True)
class Page:
    """One page.

    Attributes:
        chunk: Where it belongs.
        kind: `DATA`, `INDEX`, `DICTIONARY` or `DATA_V2`.
        encoding: The number of its values' encoding.
        begin: Where its header begins.
        body: Where its content begins.
        end: One after its last byte.
        size: The length of the content when it is decompressed.
        plain: How many bytes in front of the content are never compressed (levels of version 2).
        packed: Whether the rest is compressed.
        values: Smallest and largest values that its header tells.
    """

    chunk: Chunk
    kind: int
    encoding: int
    begin: int
    body: int
    end: int
    size: int
    plain: int
    packed: bool
    values: tuple[Value, ...] = ()

    @property
    def place(self) -> str:
        """The page in words."""
        return self.chunk.of("dictionary" if self.kind == DICTIONARY else "page")


class ParquetParts:
    """The parts of a Parquet file.

    Args:
        file: The file, open for reading; it stays open.

    Attributes:
        size: Its length.
        chunks: The column chunks.
        parts: Its parts outside of pages: footer, metadata, indexes, bloom filters, the smallest first.
        values: Values outside of pages.
        sealed: Whether something in it is encrypted.

    Raises:
        PagesError: It is no Parquet file, or is damaged.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.size = file.seek(0, 2)
        tail = self._at(max(0, self.size - 8), 8)
        if self.size < 12 or tail[4:] not in (MAGIC, SEALED):
            raise PagesError("no footer")
        self.sealed = tail[4:] == SEALED
        self.chunks: list[Chunk] = []
        self.values: list[Value] = []
        length = int.from_bytes(tail[:4], "little")
        self._footer = self.size - 8 - length
        if self._footer < 4:
            raise PagesError("the footer is longer than the file")
        self.parts: list[Part] = []
        if not self.sealed:
            with _of_known_shape():
                self._read_footer(length)
        self.parts.append(Part(self._footer, self.size, "footer"))
        self.parts.sort(key=lambda part: part.end - part.begin)

    def pages(self, chunk: Chunk) -> Iterator[Page]:
        """The pages of a column chunk, in order.

        Raises:
            PagesError: There is something else between them.
        """
        at = chunk.begin
        while at < chunk.end:
            page = self._page(chunk, at)
            if page.end > chunk.end:
                raise PagesError("a page is longer than its column chunk")
            yield page
            at = page.end

    def content(self, page: Page) -> bytes:
        """The content of a page, decompressed.

        Raises:
            PagesError: It cannot be.
        """
        raw = self._at(page.body, page.end - page.body)
        if not page.packed:
            return raw
        return raw[: page.plain] + unpacked(raw[page.plain :], page.size - page.plain, page.chunk.codec)

    def gaps(self, covered: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
        """The bytes that are in no page and in no part, as begin and end; those that are all zero are padding.

        Args:
            covered: Begin and end of all pages.
        """
        spans = sorted([(0, 4), *covered, *((part.begin, part.end) for part in self.parts)])
        at = 0
        for begin, end in spans:
            if begin > at and not self._blank(at, begin):
                yield at, begin
            at = max(at, end)

    def _blank(self, begin: int, end: int) -> bool:
        steps = range(begin, end, _STEP)
        return not any(self._at(at, min(_STEP, end - at)).strip(b"\0") for at in steps)

    def stray(self, begin: int, end: int) -> Iterator[bytes | None]:
        """The contents of pages in a gap, by whatever compression fits; None for what is no page and no struct."""
        lost = [Chunk("", 0, "", BYTE_ARRAY, codec, begin, end, sealed=False) for codec in CODECS]
        at = begin
        while at < end:
            page = self._stray_page(lost[0], at)
            if page is None:
                yield None
                return
            at = page.end
            if page.kind < 0:
                continue
            fits = list(self._fitting([replace(page, chunk=chunk) for chunk in lost]))
            yield fits[0] if fits else None

    def _stray_page(self, chunk: Chunk, at: int) -> Page | None:
        """A page, or a struct of another kind as a page without content; None where there is neither."""
        reader = Reader(self._at(at, min(_STEP, chunk.end - at)))
        try:
            fields = reader.struct()
        except ThriftError:
            return None
        try:
            page = _page(chunk, at, fields, reader)
        except _OTHER_SHAPE:
            if isinstance(fields.get(12), dict):
                # Some writers repeat a column's metadata after its pages.
                self.values += _limits(fields[12], at, "statistics between columns")
            return Page(chunk, -1, 0, at, at + reader.at, at + reader.at, 0, 0, packed=False)
        return page if page.end <= chunk.end else None

    def _fitting(self, pages: Iterable[Page]) -> Iterator[bytes]:
        for page in pages:
            packed = page.chunk.codec != 0
            if packed or page.end - page.body == page.size:
                with suppress(PagesError):
                    yield self.content(replace(page, packed=packed))

    def _at(self, begin: int, length: int) -> bytes:
        if begin < 0 or length < 0 or begin + length > self.size:
            raise PagesError("a part of the file is outside of it")
        self._file.seek(begin)
        content = self._file.read(length)
        if len(content) != length:
            raise PagesError("the file is cut off")
        return content

    def _struct(self, begin: int, length: int) -> Fields:
        try:
            return Reader(self._at(begin, length)).struct()
        except ThriftError:
            raise PagesError("a part of the file is damaged") from None

    def _read_footer(self, length: int) -> None:
        footer = self._struct(self._footer, length)
        self.sealed |= 8 in footer
        self._metadata(footer.get(5, ()), "footer metadata key {key}")
        for number, group in enumerate(footer.get(4, ())):
            for column in group.get(1, ()):
                self._read_column(column, number)

    def _metadata(self, pairs: Any, place: str) -> None:
        for pair in pairs:
            value, name = pair.get(2), place.format(key=pair[1].decode(errors="replace"))
            self.values.append(_value(pair[1], self._footer, "name of a metadata key"))
            if value:
                self.values.append(_value(value, self._footer, name))

    def _read_column(self, column: Fields, group: int) -> None:
        if 3 not in column:
            self.sealed |= 8 in column or 9 in column
            return
        if column.get(1):
            # A sidecar such as `_metadata`: the pages are in another file.
            begin, end = 0, 0
        meta = column[3]
        path = [name.decode(errors="replace") for name in meta[3]]
        starts = [meta[number] for number in (9, 11) if meta.get(number, 0) > 0]
        if not column.get(1):
            begin, end = min(starts), min(starts) + meta[7]
        chunk = Chunk(".".join(path), group, path[0], meta[1], meta[4], begin, end, sealed=8 in column)
        self.sealed |= chunk.sealed
        self.chunks.append(chunk)
        self.values += _limits(meta.get(12, {}), self._footer, chunk.of("statistics"))
        self._metadata(meta.get(8, ()), chunk.of("metadata key {key}"))
        if not column.get(1):
            self._read_indexes(column, meta, chunk)

    def _read_indexes(self, column: Fields, meta: Fields, chunk: Chunk) -> None:
        for first, place in ((4, "offset index"), (6, "column index")):
            begin, length = column.get(first), column.get(first + 1)
            if begin and length:
                self.parts.append(Part(begin, begin + length, chunk.of(place)))
                if first == 6 and not chunk.sealed:
                    index = self._struct(begin, length)
                    spans = [*index.get(2, ()), *index.get(3, ())]
                    self.values += [
                        _value(span, begin, chunk.of(place), limit=True) for span in spans if span
                    ]
        begin, length = meta.get(14), meta.get(15)
        if begin:
            if not length:
                head = Reader(self._at(begin, min(256, self.size - begin)))
                length = head.struct()[1] + head.at
            self.parts.append(Part(begin, begin + length, chunk.of("bloom filter")))

    def _page(self, chunk: Chunk, at: int) -> Page:
        window = _HEADER_BYTES
        while True:
            reader = Reader(self._at(at, min(window, chunk.end - at)))
            try:
                return _page(chunk, at, reader.struct(), reader)
            except _OTHER_SHAPE:
                if window >= chunk.end - at:
                    raise PagesError("a page has no header") from None
                window *= 64


_OTHER_SHAPE = (ValueError, KeyError, TypeError, AttributeError, IndexError)
"""What reading a damaged struct as what it should be may raise."""


@contextmanager
def _of_known_shape() -> Iterator[None]:
    try:
        yield
    except _OTHER_SHAPE:
        raise PagesError("a part of the file is damaged") from None


def _page(chunk: Chunk, at: int, header: Fields, reader: Reader) -> Page:
    kind, size, length = header[1], header[2], header[3]
    if not (isinstance(kind, int) and 0 <= size < _LARGEST_PAGE and 0 <= length < _LARGEST_PAGE):
        raise ThriftError("a page's length is impossible")
    inner = header.get({DATA: 5, INDEX: 6, DICTIONARY: 7, DATA_V2: 8}.get(kind, 0), {})
    plain, packed = 0, chunk.codec != 0
    if kind == DATA_V2:
        plain = inner[5] + inner[6]
        packed = packed and inner.get(7, True)
    encoding = inner.get(4 if kind == DATA_V2 else 2, 0)
    body = at + reader.at
    values = _limits(inner.get({DATA: 5, DATA_V2: 8}.get(kind, 0), {}), at, chunk.of("page statistics"))
    return Page(chunk, kind, encoding, at, body, body + length, size, plain, packed, tuple(values))


def _value(span: Span, base: int, place: str, *, limit: bool = False, whole: bool | None = None) -> Value:
    """A value whose span counts from `base`."""
    begin = base + span.begin
    return Value(Part(begin, begin + len(span), place), bytes(span), limit, whole)


def _limits(statistics: Fields, base: int, place: str) -> list[Value]:
    """The smallest and largest values of statistics."""
    return [
        _value(statistics[number], base, place, limit=True, whole=statistics.get(exact))
        for number, exact in ((1, 0), (2, 0), (5, 7), (6, 8))
        if statistics.get(number)
    ]
