"""Residue is planted wherever it has been seen to stay, and found there; clean files hold none."""

from __future__ import annotations

import base64
import bz2
import gzip
import json
import lzma
import os
import random
import resource
import sqlite3
import zipfile
from contextlib import closing
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest

from airflow_veil.privacy.erasure import residue
from airflow_veil.privacy.erasure.residue import Scanned, scan
from airflow_veil.privacy.errors import StorageError

VICTIM = "aaa.victim@example.com"
OTHERS = [f"person{number}@example.com" for number in range(2_000)]


def places(scanned: Scanned) -> list[str]:
    return [f"{hit.place} [{hit.spelling}]" for hit in scanned.residues]


def found(path: Path, *texts: str) -> list[str]:
    """The places in one file or folder."""
    scanned = scan([path], texts or (VICTIM,))
    assert not scanned.opaque
    assert scanned.found == sum(hit.count for hit in scanned.residues)
    return places(scanned)


def people(*mails: str) -> pa.Table:
    mails = mails or (VICTIM, *OTHERS)
    return pa.table({"id": range(len(mails)), "mail": list(mails)})


class TestParquet:
    def test_stale_dictionary(self, tmp_path: Path) -> None:
        """A filtered Categorical keeps the erased value in its dictionary page; no reader shows it."""
        frame = pd.DataFrame({"mail": pd.Categorical([VICTIM, *OTHERS])})
        table = pa.Table.from_pandas(frame)
        left = table.filter(pc.not_equal(table["mail"].cast(pa.string()), VICTIM))
        path = tmp_path / "a.parquet"
        pq.write_table(left, path)
        assert VICTIM not in pq.read_table(path)["mail"].cast(pa.string()).to_pylist()

        assert found(path) == ["dictionary of column mail, row group 0 [UTF-8]"]

    def test_cast_dictionary_is_clean(self, tmp_path: Path) -> None:
        frame = pd.DataFrame({"mail": pd.Categorical([VICTIM, *OTHERS])})
        table = pa.Table.from_pandas(frame)
        left = table.filter(pc.not_equal(table["mail"].cast(pa.string()), VICTIM))
        plain = left.set_column(0, "mail", left["mail"].cast(pa.string()))
        pq.write_table(plain, tmp_path / "a.parquet")

        assert not found(tmp_path)

    @pytest.mark.parametrize("codec", ["snappy", "gzip", "zstd", "brotli", "lz4", "none"])
    @pytest.mark.parametrize("version", ["1.0", "2.0"])
    def test_inside_a_page_only(self, tmp_path: Path, codec: str, version: str) -> None:
        """The value is in the middle, so neither statistics nor indexes hold it."""
        path = tmp_path / "a.parquet"
        victim = "mmm.victim@example.com"
        table = people("aaa@example.com", *OTHERS[:500], victim, *OTHERS[500:], "zzz@example.com")
        pq.write_table(table, path, compression=codec, data_page_version=version, use_dictionary=False)
        raw = victim.encode() in path.read_bytes()

        # Only Huffman coding hides it from a search of the raw bytes; the place is the page in any case.
        assert raw or codec in ("snappy", "gzip", "zstd", "brotli", "lz4")
        assert found(path, victim) == ["page of column mail, row group 0 [UTF-8]"]
        assert not found(path, "nobody@example.com")

    def test_statistics_and_indexes(self, tmp_path: Path) -> None:
        path = tmp_path / "a.parquet"
        pq.write_table(people(), path, write_page_index=True, use_dictionary=False)

        assert found(path) == [
            "column index of column mail, row group 0 [UTF-8]",
            "page of column mail, row group 0 [UTF-8]",
            "statistics of column mail, row group 0 [UTF-8]",
        ]

    def test_metadata(self, tmp_path: Path) -> None:
        path = tmp_path / "a.parquet"
        pq.write_table(people(*OTHERS).replace_schema_metadata({"made for": f"<{VICTIM}>"}), path)

        # Arrow's own schema holds it once more, in base64.
        assert found(path) == [
            "footer metadata key ARROW:schema [base64]",
            "footer metadata key made for [UTF-8]",
        ]

    def test_name_of_a_key_is_not_told(self, tmp_path: Path) -> None:
        path = tmp_path / "a.parquet"
        pq.write_table(people(*OTHERS).replace_schema_metadata({VICTIM: f"<{VICTIM}>"}), path)

        scanned = scan([path], [VICTIM])

        assert scanned.found >= 2
        assert VICTIM not in repr(scanned)

    def test_name_of_a_column(self, tmp_path: Path) -> None:
        """A pivoted table has people for columns."""
        path = tmp_path / "a.parquet"
        pq.write_table(pa.table({VICTIM: [1, 2]}), path)

        scanned = scan([path], [VICTIM])

        assert "footer [UTF-8]" in places(scanned)
        assert VICTIM not in repr(scanned)

    def test_sidecar(self, tmp_path: Path) -> None:
        """`_metadata` is not written anew when a file is: it goes on telling the smallest value."""
        collector: list[Any] = []
        pq.write_to_dataset(people(), tmp_path / "set", metadata_collector=collector)
        pq.write_metadata(people().schema, tmp_path / "set" / "_metadata", collector)
        (file,) = (tmp_path / "set").glob("*.parquet")
        pq.write_table(people(*OTHERS), file)

        assert found(tmp_path / "set") == ["statistics of column mail, row group 0 [UTF-8]"]

    def test_bytes_that_nothing_points_to(self, tmp_path: Path) -> None:
        """A file that was appended to: its first footer, and pages that only this one knows, are still there."""
        path, victim = tmp_path / "a.parquet", "mmm.victim@example.com"
        old, new = tmp_path / "old.parquet", people(*OTHERS)
        pq.write_table(
            people("aaa@example.com", *OTHERS[:900], victim, "zzz@example.com"), old, compression="gzip"
        )
        pq.write_table(new, path)
        pages_of_old = old.read_bytes()[4 : -8 - int.from_bytes(old.read_bytes()[-8:-4], "little")]
        content = path.read_bytes()
        footer = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
        path.write_bytes(content[:footer] + pages_of_old + content[footer:])
        old.unlink()
        assert pq.read_table(path).equals(new)

        assert found(path, victim) == ["page that no column points to [UTF-8]"]

    def test_unknown_bytes_between_parts(self, tmp_path: Path) -> None:
        """What cannot be read is not clean."""
        path = tmp_path / "a.parquet"
        pq.write_table(people(*OTHERS), path)
        content = path.read_bytes()
        footer = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
        path.write_bytes(content[:footer] + b"\xfe\xff" * 40 + content[footer:])

        (opaque,) = scan([path], [VICTIM]).opaque

        assert opaque.place == "bytes between its parts that nothing points to"

    @pytest.mark.parametrize("encoding", ["DELTA_BYTE_ARRAY", "DELTA_LENGTH_BYTE_ARRAY"])
    def test_delta_encodings(self, tmp_path: Path, encoding: str) -> None:
        """Values that share beginnings are in pieces in the page."""
        path, victim = tmp_path / "a.parquet", "person10007@example.com"
        mails = sorted([*OTHERS, victim])
        pq.write_table(
            people(*mails), path, use_dictionary=False, column_encoding={"mail": encoding, "id": "PLAIN"}
        )

        assert found(path, victim) == ["values of column mail, row group 0 [UTF-8]"]
        assert not found(path, "erson10007@example.com")

    def test_nested_values(self, tmp_path: Path) -> None:
        path = tmp_path / "a.parquet"
        rows = [
            {"to": [{"mail": mail}]}
            for mail in ("aaa@example.com", "mmm.victim@example.com", "zzz@example.com")
        ]
        pq.write_table(pa.table({"sent": rows}), path)

        assert found(path, "mmm.victim@example.com") == [
            "dictionary of column sent.to.list.element.mail, row group 0 [UTF-8]"
        ]

    def test_shortened_limits(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A column index may hold the beginning of a value: enough to tell who it was."""
        from airflow_veil.privacy.erasure import parquet_residue

        path, beginning = tmp_path / "a.parquet", "aaa.victim@examp"
        pq.write_table(people(beginning, *OTHERS), path)
        monkeypatch.setattr(parquet_residue, "_CUT", len(beginning))

        # pyarrow says that these are whole values, so that nobody's name is cut off.
        assert not [place for place in found(path) if "statistics of" in place]

        pq.write_table(people(beginning, *OTHERS), path, write_page_index=True)
        assert found(path) == ["column index of column mail, row group 0 (shortened) [UTF-8]"]

    def test_encrypted_file(self, tmp_path: Path) -> None:
        path = tmp_path / "a.parquet"
        pq.write_table(people(*OTHERS), path)
        content = path.read_bytes()
        path.write_bytes(b"PARE" + content[4:-4] + b"PARE")

        assert scan([path], [VICTIM]).opaque

    def test_damaged_file(self, tmp_path: Path) -> None:
        """It is looked through as bytes, and told."""
        path = tmp_path / "a.parquet"
        path.write_bytes(b"PAR1" + VICTIM.encode() + b"PAR1")

        scanned = scan([path], [VICTIM])

        assert places(scanned) == ["raw bytes [UTF-8]"]
        assert [opaque.place for opaque in scanned.opaque] == ["it is no Parquet file that can be read"]

    def test_part_of_a_longer_value(self, tmp_path: Path) -> None:
        """Who is called ann is not left where joann and ann-marie stay; who stands in a sentence is."""
        ann, path = "ann@example.com", tmp_path / "a.parquet"
        others = ["joann@example.com", "jo.ann@example.com", "ann@example.community", "ann@example.com.au"]
        for dictionary in (True, False):
            pq.write_table(people(*others), path, use_dictionary=dictionary, write_page_index=True)
            assert not found(path, ann)

            pq.write_table(people("aaaaaaaa", f"write to {ann}.", "z" * 48), path, use_dictionary=dictionary)
            assert len(found(path, ann)) == 1

    def test_lengths_are_no_letters(self, tmp_path: Path) -> None:
        """In a plain page the length of the next value follows; that of 48 to 57 bytes is a digit."""
        path = tmp_path / "a.parquet"
        for length in (48, 57, 65, 97, 0x4141):
            pq.write_table(people("a" * 9, f"to {VICTIM}", "z" * length), path, use_dictionary=False)

            assert "page of column mail, row group 0 [UTF-8]" in found(path)


class TestOtherFiles:
    @pytest.mark.parametrize("before", [0, 1, 7, 4_096, residue.CHUNK - 30, residue.CHUNK - 5, residue.CHUNK])
    def test_text_across_chunks(self, tmp_path: Path, before: int) -> None:
        """Wherever chunks end, a text is found once."""
        path = tmp_path / "a.csv"
        for shift in range(0, 44, 3):
            path.write_bytes(b";" * (before + shift) + VICTIM.encode() + b";" * 100)

            (hit,) = scan([path], [VICTIM]).residues

            assert hit.count == 1

    def test_part_of_a_word_across_chunks(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Neighbours are looked at though they are in another chunk."""
        monkeypatch.setattr(residue, "CHUNK", 50)
        path = tmp_path / "a.csv"
        for shift in range(60):
            path.write_bytes(
                b";" * shift + b"jo" + VICTIM.encode() + b";;" + VICTIM.encode() + b"pany;" + b";" * 80
            )
            assert not found(path)

            path.write_bytes(b";" * shift + VICTIM.encode() * 2)
            assert not found(path)

            path.write_bytes(b";" * shift + (VICTIM.encode() + b";") * 5)
            assert scan([path], [VICTIM]).found == 5

    @pytest.mark.parametrize(
        ("name", "packed"),
        [
            ("gzip stream", gzip.compress),
            ("bzip2 stream", bz2.compress),
            ("xz stream", lzma.compress),
            ("zstd stream", lambda content: pa.compress(content, codec="zstd", asbytes=True)),
            ("lz4 stream", lambda content: pa.compress(content, codec="lz4", asbytes=True)),
        ],
    )
    def test_compressed_files(self, tmp_path: Path, name: str, packed: Any) -> None:
        chance = random.Random(1)
        letters = "".join(chance.choices("abcdefghijklmnop\n", k=200_000))
        path = tmp_path / "a.csv.gz"
        path.write_bytes(packed(f"{letters},{VICTIM},{letters}".encode()))

        assert f"{name} [UTF-8]" in found(path)

        path.write_bytes(packed(f"{letters},{letters}".encode()))
        assert not found(path)

    def test_second_member_of_gzip(self, tmp_path: Path) -> None:
        path = tmp_path / "a.gz"
        path.write_bytes(gzip.compress(b"first") + gzip.compress(b"x " * 9_000 + VICTIM.encode()))

        assert found(path) == ["gzip stream [UTF-8]"]

    def test_damaged_gzip(self, tmp_path: Path) -> None:
        path = tmp_path / "a.gz"
        path.write_bytes(gzip.compress(os.urandom(10_000))[:5_000])

        assert scan([path], [VICTIM]).opaque

    def test_archive(self, tmp_path: Path) -> None:
        with zipfile.ZipFile(tmp_path / "a.xlsx", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("sheet.xml", "<c>" * 1_000 + VICTIM + "</c>" * 1_000)

        assert found(tmp_path) == ["member of the archive [UTF-8]"]

    @pytest.mark.parametrize("codec", ["uncompressed", "lz4", "zstd"])
    def test_arrow_file(self, tmp_path: Path, codec: Any) -> None:
        """A null hides its value, a filter the values before and after; their bytes are in the buffers."""
        mails = pa.array([*OTHERS[:100], VICTIM, *OTHERS[100:]])
        offsets, values = mails.buffers()[1:]
        valid = pa.array([mail != VICTIM for mail in mails.to_pylist()])
        bitmap = pa.array(valid.to_pylist(), pa.bool_()).buffers()[1]
        hidden = pa.Array.from_buffers(pa.string(), len(mails), [bitmap, offsets, values])
        assert VICTIM not in hidden.to_pylist()
        path = tmp_path / "a.feather"
        feather.write_feather(pa.table({"mail": hidden}), path, compression=codec)

        assert "values of column mail, batch 0 [UTF-8]" in found(path)

        feather.write_feather(people(*OTHERS), path, compression=codec)
        assert not found(path)

    def test_arrow_dictionary(self, tmp_path: Path) -> None:
        mails = pa.array([VICTIM, *OTHERS]).dictionary_encode()[1:]
        feather.write_feather(pa.table({"mail": mails}), tmp_path / "a.feather", compression="zstd")

        assert "dictionary of values of column mail, batch 0 [UTF-8]" in found(tmp_path)

    @pytest.mark.parametrize(
        "type_", [pa.string(), pa.large_string(), pa.list_(pa.string()), pa.string_view()]
    )
    def test_arrow_types(self, tmp_path: Path, type_: pa.DataType) -> None:
        cell = [VICTIM] if pa.types.is_list(type_) else VICTIM
        table = pa.table({"mail": pa.array([None, cell], type_)})
        with pa.ipc.new_file(str(tmp_path / "a.arrow"), table.schema) as writer:
            writer.write_table(table)

        assert "values of column mail, batch 0 [UTF-8]" in found(tmp_path)

    @pytest.mark.parametrize("content", [b"Obj\x01" + bytes(50), b"ORC" + bytes(50)])
    def test_unknown_compression(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "a").write_bytes(content)

        assert scan([tmp_path], [VICTIM]).opaque

    def test_binary_neighbours(self, tmp_path: Path) -> None:
        """In a file that is no text, a letter beside it may be a length: it counts."""
        (tmp_path / "a.pickle").write_bytes(b"\x80\x04\x8c\x16" + VICTIM.encode() + b"s\x00\x01.")

        assert found(tmp_path) == ["raw bytes [UTF-8]"]


class TestSpelled:
    @pytest.mark.parametrize(
        ("spelling", "content"),
        [
            ("UTF-16", f"\ufeffname;{VICTIM};".encode("utf-16-le")),
            ("UTF-8", f'{{"mail": "{VICTIM}"}}'.encode()),
            ("percent-encoded", b"https://example.com/?mail=aaa.victim%40example.com"),
            ("base64", base64.b64encode(f"{VICTIM}, and more".encode())),
            ("base64", base64.b64encode(f"a{VICTIM}, and more".encode())),
            ("base64", base64.b64encode(f"ab{VICTIM}".encode())),
        ],
    )
    def test_spelling_is_told(self, tmp_path: Path, spelling: str, content: bytes) -> None:
        (tmp_path / "a.txt").write_bytes(content)

        assert found(tmp_path) == [f"raw bytes [{spelling}]"]

    def test_wide_part_of_a_word(self, tmp_path: Path) -> None:
        (tmp_path / "a.txt").write_bytes(f"jo{VICTIM};{VICTIM}pany".encode("utf-16-le"))

        assert not found(tmp_path)

    def test_json_escapes(self, tmp_path: Path) -> None:
        (tmp_path / "a.json").write_text(json.dumps({"name": "Jürgen Möller"}))

        assert found(tmp_path, "Jürgen Möller") == ["raw bytes [JSON escapes]"]


class TestSqlite:
    def database(self, path: Path, *, secure: bool) -> Path:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute(f"PRAGMA secure_delete = {'ON' if secure else 'OFF'}")
            connection.execute("CREATE TABLE people (id INTEGER, mail TEXT, city TEXT)")
            rows = [(n, mail, "Berlin") for n, mail in enumerate([VICTIM, *OTHERS])]
            connection.executemany("INSERT INTO people VALUES (?, ?, ?)", rows)
            connection.commit()
            connection.execute("DELETE FROM people WHERE mail = ?", (VICTIM,))
            connection.commit()
        return path

    def test_deleted_row(self, tmp_path: Path) -> None:
        """Without secure_delete, a deleted row is in its page until something is written over it."""
        assert found(self.database(tmp_path / "a.db", secure=False)) == ["raw bytes of SQLite [UTF-8]"]

    def test_securely_deleted_row(self, tmp_path: Path) -> None:
        assert not found(self.database(tmp_path / "a.db", secure=True))

    def test_write_ahead_log(self, tmp_path: Path) -> None:
        """What was written before the deletion is still in the log."""
        with closing(sqlite3.connect(tmp_path / "a.db")) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA secure_delete = ON")
            connection.execute("CREATE TABLE people (mail TEXT)")
            connection.execute("INSERT INTO people VALUES (?)", (VICTIM,))
            connection.commit()
            connection.execute("DELETE FROM people")
            connection.commit()

            scanned = scan([tmp_path], [VICTIM])

        assert {Path(hit.path).name for hit in scanned.residues} == {"a.db-wal"}

    def test_living_cells(self, tmp_path: Path) -> None:
        """A long text goes over several pages, each with bytes of its own between."""
        with closing(sqlite3.connect(tmp_path / "a.db")) as connection:
            connection.execute("PRAGMA page_size = 512")
            connection.execute("CREATE TABLE notes (note TEXT)")
            notes = [(f"{'x' * 700} {VICTIM} {'y' * length}",) for length in range(400, 900, 9)]
            connection.executemany("INSERT INTO notes VALUES (?)", notes)
            connection.commit()

        scanned = scan([tmp_path], [VICTIM])

        counts = {hit.place: hit.count for hit in scanned.residues}
        assert counts["cells of table notes"] == len(notes)
        assert counts["raw bytes of SQLite"] < len(notes)

    def test_part_of_a_living_value(self, tmp_path: Path) -> None:
        """Its bytes cannot be told from those of the longer value; that is said, not passed over."""
        with closing(sqlite3.connect(tmp_path / "a.db")) as connection:
            connection.execute("CREATE TABLE people (mail TEXT)")
            connection.execute("INSERT INTO people VALUES (?)", (f"jo{VICTIM}",))
            connection.commit()

        scanned = scan([tmp_path], [VICTIM, "somebody@example.com"])

        assert not scanned.residues
        assert scanned.shadowed == 1

    @pytest.mark.parametrize("between", ["", None])
    def test_spelled_by_neighbours(self, tmp_path: Path, between: str | None) -> None:
        """The end of a digest and the zeros of the next one are no customer's number."""
        with closing(sqlite3.connect(tmp_path / "a.db")) as connection:
            connection.execute("CREATE TABLE entries (digest TEXT, note TEXT, before TEXT)")
            connection.execute("INSERT INTO entries VALUES (?, ?, ?)", ("ab12cd7", between, "0" * 64))
            connection.commit()

        scanned = scan([tmp_path], ["70000000000"])

        assert not scanned.residues
        assert scanned.shadowed == 1

    def test_broken_database(self, tmp_path: Path) -> None:
        (tmp_path / "a.db").write_bytes(b"SQLite format 3\0" + b"\xff" * 1_000)

        assert scan([tmp_path], [VICTIM]).opaque


class TestNames:
    def test_hive_folder(self, tmp_path: Path) -> None:
        """A partition's value is nowhere but in the name; it is found there, and not told."""
        folder = tmp_path / "set" / "mail=aaa.victim%40example.com"
        folder.mkdir(parents=True)
        pq.write_table(pa.table({"id": [1]}), folder / "part-0.parquet")

        scanned = scan([tmp_path / "set"], [VICTIM])

        assert [(Path(hit.path).name, hit.place) for hit in scanned.residues] == [("mail=*", "folder name")]
        assert "victim" not in repr(scanned)

    def test_file_name(self, tmp_path: Path) -> None:
        (tmp_path / f"export-{VICTIM}.csv").write_text("id\n1\n")

        scanned = scan([tmp_path], [VICTIM])

        assert places(scanned) == ["file name [UTF-8]"]
        assert not scan([tmp_path], [VICTIM.removeprefix("aa")]).found
        assert "victim" not in repr(scanned)

    def test_hidden_files(self, tmp_path: Path) -> None:
        """What a killed writer left is hidden from readers only."""
        (tmp_path / ".draft-0123").mkdir()
        pq.write_table(people(), tmp_path / ".draft-0123" / ".part.parquet")
        pq.write_table(people(*OTHERS), tmp_path / "part.parquet")

        assert {Path(hit.path).name for hit in scan([tmp_path], [VICTIM]).residues} == {".part.parquet"}

    def test_links(self, tmp_path: Path) -> None:
        """Links are followed, each file is looked at once, and circles end."""
        (tmp_path / "set").mkdir()
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "elsewhere" / "a.csv").write_text(VICTIM)
        (tmp_path / "set" / "current").symlink_to(tmp_path / "elsewhere")
        (tmp_path / "set" / "again.csv").symlink_to(tmp_path / "elsewhere" / "a.csv")
        (tmp_path / "elsewhere" / "circle").symlink_to(tmp_path / "set")
        (tmp_path / "set" / "nowhere").symlink_to(tmp_path / "missing")

        scanned = scan([tmp_path / "set", tmp_path / "set"], [VICTIM])

        assert (scanned.files, scanned.found) == (1, 1)


class TestScan:
    def test_clean_files(self, tmp_path: Path, shared_data: Path) -> None:
        """Real files of all kinds hold none of 2,000 people, and nothing in them is opaque."""
        scanned = scan([shared_data / "online_retail", shared_data / "chinook"], OTHERS)

        assert (scanned.residues, scanned.opaque, scanned.texts) == ((), (), 2_000)
        assert scanned.bytes > 8_000_000

    def test_real_people(self, shared_data: Path) -> None:
        """Everybody in Chinook is found by e-mail address, and the addresses of nobody else are."""
        path = shared_data / "chinook" / "Chinook_Sqlite.sqlite"
        with closing(sqlite3.connect(path)) as connection:
            mails = [mail for (mail,) in connection.execute("SELECT Email FROM Customer ORDER BY 1")]
        for mail in mails[::7]:
            assert {hit.place for hit in scan([path], [mail]).residues} == {
                "cells of table Customer",
                "raw bytes of SQLite",
            }
        assert not scan([path], [f"x{mail}" for mail in mails]).found

    def test_short_texts_are_counted(self, tmp_path: Path) -> None:
        """Customer 1234 would be found in any file."""
        (tmp_path / "a.csv").write_text("1234,1234567")

        scanned = scan([tmp_path], ["1234", "1234567", "12345678"])

        assert (scanned.found, scanned.short, scanned.texts) == (0, 2, 1)

    def test_chance(self, tmp_path: Path) -> None:
        """Of 10,000 numbers with 8 digits, none is found in 16 MB of random bytes, nor in longer numbers."""
        chance = random.Random(7)
        (tmp_path / "a.bin").write_bytes(chance.randbytes(16 << 20))
        numbers = [str(chance.randrange(10**7, 10**8)) for _ in range(10_000)]
        rows = "\n".join(str(chance.randrange(10**11, 10**12)) for _ in range(100_000))
        (tmp_path / "a.csv").write_text(rows)

        assert scan([tmp_path], numbers).found == 0

    def test_missing_place_holds_nothing(self, tmp_path: Path) -> None:
        assert scan([tmp_path / "none"], [VICTIM]) == Scanned((), (), 0, 0, 1, 0, 0)

    @pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
    def test_unreadable_file(self, tmp_path: Path) -> None:
        (tmp_path / "a.csv").write_text(VICTIM)
        (tmp_path / "a.csv").chmod(0)

        with pytest.raises(StorageError, match="EACCES"):
            scan([tmp_path], [VICTIM])

    def test_no_values_are_shown(self, tmp_path: Path) -> None:
        (tmp_path / "a.csv").write_text(VICTIM)

        assert VICTIM not in repr(scan([tmp_path], [VICTIM]))
        assert VICTIM not in repr(residue.Wanted([VICTIM]))

    def test_memory_does_not_grow(self, tmp_path: Path) -> None:
        """A file of 400 MB takes no more than a few chunks."""
        path = tmp_path / "a.bin"
        with path.open("wb") as file:
            for _ in range(50):
                file.write(os.urandom(8 << 20))
        scan([path], OTHERS[:10])
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

        scan([path], OTHERS[:10])

        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 40_000
