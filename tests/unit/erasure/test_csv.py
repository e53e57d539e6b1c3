"""CSV: records that lose nothing keep their bytes, and cells become null as the format spells it."""

from __future__ import annotations

import csv
import gzip
import io
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.erasure.looking import edge, erase, find, matcher, names, state

from airflow_veil.privacy.erasure.stores import store_of
from airflow_veil.privacy.errors import SchemaError, StorageError
from airflow_veil.privacy.policy.models import CsvFormat
from airflow_veil.privacy.rewriting import csv_file
from airflow_veil.privacy.storage.csv import CsvSource

TRICKY = [
    'p1,"two\nlines, one record",p9',
    'p2,"a ""quoted"" word",p1',
    '"p3","stays\r\nwith ""both""",',
    "p1,,p2",
    "",
    'p5,half"quoted,p1',
    "007,NULL,p5",
    "7,café,p1",
]


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf8", "latin-1"])
class TestBytes:
    def test_records_that_stay_keep_their_bytes(
        self, tmp_path: Path, zipped: bool, end: str, encoding: str
    ) -> None:
        """Quotes, line breaks in quotes, empty lines: all as they were."""
        path = tmp_path / ("a.csv.gz" if zipped else "a.csv")
        whole = end.join(["id,note,by", *TRICKY, ""]).encode(encoding)
        path.write_bytes(gzip.compress(whole) if zipped else whole)
        store = store_of(CsvSource(path, format=CsvFormat(encoding=encoding)))

        changed = erase(store, matcher({"p1": 1, "7": 0}), requests=2)

        raw = path.read_bytes()
        kept = end.join(["id,note,by", *(TRICKY[n] for n in (1, 2, 4, 5, 6)), ""]).encode(encoding)
        assert (gzip.decompress(raw) if zipped else raw) == kept
        assert (changed.rows, changed.tally.deleted.tolist()) == (7, [1, 2])
        before = state(path)
        assert erase(store, matcher(["p1", "7"])).tally.deleted.tolist() == [0]
        assert state(path) == before

    def test_only_masked_records_are_spelled_anew(
        self, tmp_path: Path, zipped: bool, end: str, encoding: str
    ) -> None:
        """Their other cells are the same."""
        path = tmp_path / ("a.csv.gz" if zipped else "a.csv")
        whole = end.join(["id,note,by", *TRICKY, ""]).encode(encoding)
        path.write_bytes(gzip.compress(whole) if zipped else whole)
        source = CsvSource(path, format=CsvFormat(encoding=encoding, null_values=("NULL", "")))

        changed = erase(store_of(source), matcher(["p1"], edge("by", ["by", "note"])))

        raw = path.read_bytes()
        text = (gzip.decompress(raw) if zipped else raw).decode(encoding)
        masked = {1: "p2,NULL,NULL", 5: "p5,NULL,NULL", 7: "7,NULL,NULL"}
        assert text == end.join(["id,note,by", *(masked.get(n, each) for n, each in enumerate(TRICKY)), ""])
        assert changed.tally.masked.tolist() == [3]


class TestCells:
    def test_headers_in_another_order(self, tmp_path: Path) -> None:
        """Each file has its own; one begins with a byte order mark, one does not end its last line."""
        (tmp_path / "a.csv").write_bytes('"id",note,by\np2,"x, y",p1\n'.encode("utf-8-sig"))
        (tmp_path / "b.csv").write_text("by,id,note\np1,p3,z\np2,p4,z\np1,p4,z")

        erase(store_of(CsvSource(tmp_path)), matcher(["p1"], edge("by", ["by"])))

        assert (tmp_path / "a.csv").read_bytes() == '"id",note,by\np2,"x, y",\n'.encode("utf-8-sig")
        assert (tmp_path / "b.csv").read_text() == "by,id,note\n,p3,z\np2,p4,z\n,p4,z"

    def test_a_file_of_one_column_without_a_header(self, tmp_path: Path) -> None:
        """A row without a value is not an empty line."""
        path = tmp_path / "a.csv"
        path.write_text("p1\np2\np1\n")
        source = CsvSource(path, format=CsvFormat(header=("id",)))

        erase(store_of(source), matcher(["p1"], edge("id", ["id"])))

        assert path.read_text() == '""\np2\n""\n'
        assert find(store_of(source), matcher(["p1"])).rows == 3

    def test_no_spelling_of_null(self, tmp_path: Path) -> None:
        """The column is named, and nothing is changed."""
        path = tmp_path / "a.csv"
        path.write_text("id\np1\n")
        source = CsvSource(path, format=CsvFormat(null_values=()))

        with pytest.raises(SchemaError, match=r"id cannot be masked.*no spelling of null"):
            find(store_of(source), matcher(["p1"], edge("id", ["id"])))

    def test_declared_types(self, tmp_path: Path) -> None:
        """Whole numbers are numbers, and lose their cells as well."""
        path = tmp_path / "a.csv"
        path.write_text("id,by\n7,1\n07,7\n8,7\n")
        source = CsvSource(path, types={"id": pa.int64(), "by": pa.int32()})
        looked = matcher(["7"], edge("id"), edge("by", ["by"]))

        found = find(store_of(source), looked, "id")
        erase(store_of(source), looked)

        assert found.keys["id"].texts.to_pylist() == ["7"]
        assert path.read_text() == "id,by\n8,\n"


class TestFolders:
    def test_partitions_and_the_last_file(self, tmp_path: Path) -> None:
        """A folder goes with its last row; the last file of all moves to nobody's."""
        for number in ("007", "7"):
            (tmp_path / f"id={number}").mkdir()
            (tmp_path / f"id={number}" / "a.csv").write_text("note\nx\ny\n")

        changed = erase(store_of(CsvSource(tmp_path)), matcher(["007"]))
        assert (changed.dropped, names(tmp_path)) == (1, ["id=7/a.csv"])
        changed = erase(store_of(CsvSource(tmp_path)), matcher(["7"]))
        assert (changed.rewritten, changed.tally.deleted.tolist()) == (1, [2])
        assert names(tmp_path) == ["id=__HIVE_DEFAULT_PARTITION__/a.csv"]
        assert (tmp_path / names(tmp_path)[0]).read_text() == "note\n"

    def test_untouched_files(self, tmp_path: Path) -> None:
        """Keep bytes, times and inodes."""
        for name, who in (("a", "p1"), ("b", "p2")):
            (tmp_path / f"{name}.csv").write_text(f"id\n{who}\np3\n")
        before = state(tmp_path / "b.csv")

        changed = erase(store_of(CsvSource(tmp_path)), matcher(["p1"]))

        assert (changed.rewritten, changed.untouched) == (1, 1)
        assert state(tmp_path / "b.csv") == before

    def test_two_readers_must_agree(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where records cannot be told apart for sure, the file stays as it was."""
        path = tmp_path / "a.csv"
        path.write_text("id\np1\np2\n")
        records = csv_file._records
        monkeypatch.setattr(csv_file, "_records", lambda *a, **k: iter(list(records(*a, **k))[:-1]))

        with pytest.raises(StorageError, match="different numbers of rows"):
            erase(store_of(CsvSource(tmp_path)), matcher(["p1"]))
        assert path.read_text() == "id\np1\np2\n"
        assert names(tmp_path) == ["a.csv"]


CELL = st.text(alphabet='ab ,"\n\r\té', max_size=5)


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(st.tuples(st.sampled_from(["p1", "p2", "p3"]), CELL, CELL), max_size=12))
def test_all_other_cells_are_the_same(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, ...]]
) -> None:
    """After reading, whatever is in them."""
    path = tmp_path_factory.mktemp("people") / "a.csv"
    text = io.StringIO(newline="")
    csv.writer(text).writerows([("id", "note", "more"), *rows])
    path.write_bytes(text.getvalue().encode())

    erase(store_of(CsvSource(path)), matcher(["p1"]))
    erase(store_of(CsvSource(path)), matcher(["p2"], edge("id", ["note"])))

    batches = CsvSource(path).batches(["id", "note", "more"], batch_rows=100)
    left = [tuple(row.values()) for batch in batches for row in batch.to_pylist()]
    assert left == [
        (who, None if who == "p2" or not note else note, more or None)
        for who, note, more in rows
        if who != "p1"
    ]
