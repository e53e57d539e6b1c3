"""Looks for texts in every byte of files, whatever reader would or would not show them.

    file ──► raw bytes, in chunks that overlap ─────────────────────────┐
      └────► what is compressed in it, part by part (`unpacked.py`) ────┴──► finder ──► stands alone? ──► residue

No value is in what is returned: a residue is told by file, place and spelling.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote

from airflow_veil.privacy.erasure.bounds import CONTEXT, Rule, alone
from airflow_veil.privacy.erasure.finder import Finder
from airflow_veil.privacy.erasure.spellings import PLAIN, SHORTEST, spellings
from airflow_veil.privacy.storage.failure import storing

CHUNK = 4 << 20
"""Bytes that are read at a time."""
_RIGHT = 4
"""Bytes after a text that must be there before it is judged."""
_HIVE = re.compile(r"([^=]+)=(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True, order=True)
class Residue:
    """A place where looked-for texts are left.

    Attributes:
        path: The file; parts of its name that are or may be values are `*`.
        place: Where in it, in words.
        count: How often.
        spelling: How they are spelled there.
    """

    path: str
    place: str
    count: int
    spelling: str = PLAIN


@dataclass(frozen=True, slots=True, order=True)
class Opaque:
    """What could not be looked into, so that nothing is known of it.

    Attributes:
        path: The file.
        place: What of it, and why.
    """

    path: str
    place: str


@dataclass(frozen=True)
class Scanned:
    """What a scan found.

    Attributes:
        residues: The places, sorted; none if all is clean.
        opaque: What could not be looked into.
        files: How many files were looked at.
        bytes: How many bytes were looked at, those that had to be decompressed included.
        texts: How many texts were looked for.
        short: How many are too short to be looked for among bytes.
        shadowed: How often a text could not be told apart in a file, since somebody else's value there holds it.
    """

    residues: tuple[Residue, ...]
    opaque: tuple[Opaque, ...]
    files: int
    bytes: int
    texts: int
    short: int
    shadowed: int

    @property
    def found(self) -> int:
        """How often a text is left."""
        return sum(residue.count for residue in self.residues)


class Wanted:
    """The texts that are looked for, in all spellings.

    Args:
        texts: The texts; those that are too short are left out.

    Attributes:
        texts: How many are looked for.
        short: How many are too short.
        contents: Their UTF-8, sorted.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        distinct = set(texts)
        long = sorted(text for text in distinct if len(text.encode()) >= SHORTEST)
        self.texts, self.short = len(long), len(distinct) - len(long)
        self.contents = sorted(text.encode() for text in long)
        self._meaning: dict[bytes, tuple[int, str]] = {}
        for number, text in enumerate(long):
            for name, content in spellings(text):
                self._meaning.setdefault(content, (number, name))
        self._finder = Finder(self._meaning)
        self.longest = self._finder.longest

    def __repr__(self) -> str:
        return f"Wanted({self.texts} texts)"

    def find(self, content: bytes | memoryview, rule: Rule) -> Iterator[tuple[int, int, int, str]]:
        """Begin, end, number of the text and spelling of each that stands alone."""
        for hit in self._finder.find(content):
            number, spelling = self._meaning[bytes(content[hit.begin : hit.end])]
            if alone(content, hit.begin, hit.end, spelling, rule):
                yield hit.begin, hit.end, number, spelling

    def within(self, content: bytes) -> set[int]:
        """The texts that stand in some content, alone or not."""
        hits = self._finder.find(content)
        return {self._meaning[content[hit.begin : hit.end]][0] for hit in hits}


@dataclass
class Tally:
    """What was found so far in one file.

    Attributes:
        path: The file, as it may be told.
        wanted: What is looked for.
        counts: By place and spelling.
        opaque: What could not be looked into.
        looked_at: How many bytes were looked at.
        shadows: The texts that cannot be told apart in it.
    """

    path: str
    wanted: Wanted
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    opaque: set[str] = field(default_factory=set)
    looked_at: int = 0
    shadows: set[int] = field(default_factory=set)

    def search(self, content: bytes | memoryview, place: str, rule: Rule) -> None:
        """Look through some content that is one place."""
        self.looked_at += len(content)
        for _, _, number, spelling in self.wanted.find(content, rule):
            self.count(place, number, spelling)

    def count(self, place: str, number: int, spelling: str) -> None:
        """One more."""
        if number not in self.shadows:
            self.counts[place, spelling] += 1

    def stream(self, file: BinaryIO, rule: Rule) -> Iterator[tuple[int, int, int, str]]:
        """Look through a file or stream in constant memory: begin, end, number and spelling of each text."""
        overlap = self.wanted.longest + CONTEXT + _RIGHT
        kept, start, seen = b"", 0, 0
        while True:
            fresh = file.read(CHUNK)
            self.looked_at += len(fresh)
            content = kept + fresh if kept else fresh
            last = len(content) if not fresh else len(content) - _RIGHT
            for begin, end, number, spelling in self.wanted.find(content, rule):
                # What ends before `seen` was judged with the chunk before this one.
                if seen < end <= last:
                    yield start + begin, start + end, number, spelling
            if not fresh:
                return
            kept = content[-overlap:]
            start += len(content) - len(kept)
            seen = max(0, last - (len(content) - len(kept)))

    @property
    def residues(self) -> Iterator[Residue]:
        """What was found."""
        for (place, spelling), count in self.counts.items():
            told = "a part whose name is personal" if self.wanted.within(place.encode()) else place
            yield Residue(self.path, told, count, spelling)


def scan(paths: Iterable[Path], texts: Sequence[str] | Wanted) -> Scanned:
    """Look for texts in files and folders: in each byte, in all that is compressed, and in names.

    Folders are looked through with hidden files and sidecars, and links are followed. Texts of less than `SHORTEST`
    bytes are left out and counted. Memory does not grow with the files but by a page of Parquet or a batch of Arrow.

    Args:
        paths: Files and folders; one that is not there holds nothing.
        texts: What to look for; as `Wanted` where one list serves several scans, since making it ready takes time.

    Raises:
        StorageError: A file or folder cannot be read.
    """
    from airflow_veil.privacy.erasure.unpacked import look

    wanted = texts if isinstance(texts, Wanted) else Wanted(texts)
    tallies: list[Tally] = []
    files = 0
    for root, path, is_file in _walk(paths):
        tally = Tally(_public(root, path, wanted), wanted)
        tallies.append(tally)
        _look_at_name(path, tally, "file name" if is_file else "folder name")
        if is_file and wanted.texts:
            files += 1
            with storing("scanning", tally.path):
                look(path, tally)
    return Scanned(
        residues=tuple(sorted(residue for tally in tallies for residue in tally.residues)),
        opaque=tuple(sorted(Opaque(tally.path, place) for tally in tallies for place in tally.opaque)),
        files=files,
        bytes=sum(tally.looked_at for tally in tallies),
        texts=wanted.texts,
        short=wanted.short,
        shadowed=sum(len(tally.shadows) for tally in tallies),
    )


def _walk(paths: Iterable[Path]) -> Iterator[tuple[Path, Path, bool]]:
    """Root, path and whether it is a file, each file and folder once, whatever links lead to it."""
    seen: set[tuple[int, int]] = set()
    for root in paths:
        pending = [root]
        while pending:
            path = pending.pop()
            try:
                with storing("listing", str(root)):
                    state = path.stat()
                    entries = sorted(path.iterdir()) if path.is_dir() else None
            except Exception:
                if not os.path.lexists(path) or path.is_symlink():
                    # Gone meanwhile, or a link to nothing.
                    continue
                raise
            if (state.st_dev, state.st_ino) in seen:
                continue
            seen.add((state.st_dev, state.st_ino))
            if entries is not None or path.is_file():
                yield root, path, entries is None
            pending += reversed(entries or [])


def _public(root: Path, path: Path, wanted: Wanted) -> str:
    """The name of a file without what is or may be a value."""
    parts = [_HIVE.sub(r"\1=*", part) for part in path.relative_to(root).parts]
    shown = ["*" if wanted.within(unquote(part).encode()) else part for part in parts]
    return str(Path(root, *shown))


def _look_at_name(path: Path, tally: Tally, place: str) -> None:
    hive = _HIVE.fullmatch(path.name)
    name, rule = (hive[2], Rule.TEXT) if hive else (path.name, Rule.NAME)
    tally.search(unquote(name).encode(errors="replace"), place, rule)
