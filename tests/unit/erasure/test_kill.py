"""`kill -9` before every change that a run makes: each file is as it was or clean, and the next run does the rest."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.unit.erasure import crash
from tests.unit.erasure.looking import erase, find, names
from tests.unit.erasure.tables import Database

from airflow_veil.privacy.erasure.stores import store_of

MOST = 200
"""More moments than a run has."""

WHOLE = [("p1", "p0"), ("p2", "p9")]
SOME = [("p1", "p0"), ("p3", "p2"), ("p4", "p3")]
NONE = [("p4", "p3"), ("p5", "p4")]
CLEAN = [("p3", None), ("p4", "p3"), ("p4", "p3"), ("p5", "p4")]


def _table(rows: list[tuple[str, str]]) -> pa.Table:
    columns = {"id": [who for who, _ in rows], "parent": [parent for _, parent in rows]}
    return pa.table({**columns, "note": ["x"] * len(rows)})


def _parquet(folder: Path) -> None:
    for name, rows in (("a", WHOLE), ("b", SOME), ("c", NONE)):
        pq.write_table(_table(rows), folder / f"{name}.parquet")
    (folder / "_metadata").touch()


def _csv(folder: Path) -> None:
    for name, rows in (("a", WHOLE), ("b", SOME), ("c", NONE)):
        text = "".join(f"{who},{parent},x\n" for who, parent in rows)
        (folder / f"{name}.csv").write_text(f"id,parent,note\n{text}")


def _partitions(folder: Path) -> None:
    for who in ("p1", "p2"):
        (folder / f"id={who}" / "day=1").mkdir(parents=True)
        table = pa.table({"parent": ["p0", "p9"], "note": ["x", "x"]})
        pq.write_table(table, folder / f"id={who}" / "day=1" / "a.parquet")


def left(folder: Path) -> list[tuple[str, str | None]]:
    batches = crash.source(folder).batches(["id", "parent"], batch_rows=100)
    return sorted((row["id"], row["parent"]) for batch in batches for row in batch.to_pylist())


@pytest.mark.slow
@pytest.mark.parametrize("make", [_parquet, _csv, _partitions])
def test_killed_at_any_moment(tmp_path: Path, make: Callable[[Path], None]) -> None:
    """What can be read at any moment is old or clean, file by file; the same call again ends clean."""
    for moment in range(MOST):
        folder = tmp_path / f"shop{moment}"
        folder.mkdir()
        make(folder)
        code = crash.run(folder, moment)
        rows = left(folder)
        assert not rows or set(rows) <= {*WHOLE, *SOME, *NONE, *CLEAN, ("p1", "p9"), ("p2", "p0")}
        before = find(store_of(crash.source(folder)), crash.looked())

        changed = erase(store_of(crash.source(folder)), crash.looked())

        assert changed.tally.deleted.tolist() == before.tally.deleted.tolist()
        assert changed.tally.masked.tolist() == before.tally.masked.tolist()
        if make is _partitions:
            assert names(folder) == ["id=__HIVE_DEFAULT_PARTITION__/day=1/a.parquet"]
            assert [path.name for path in folder.iterdir() if path.is_dir()] == [
                "id=__HIVE_DEFAULT_PARTITION__"
            ]
        else:
            assert left(folder) == CLEAN
            assert [Path(name).stem for name in names(folder)] == ["b", "c"]
        again = erase(store_of(crash.source(folder)), crash.looked())
        assert (again.tally.deleted.tolist(), again.rewritten, again.dropped) == ([0], 0, 0)
        shutil.rmtree(folder)
        if code == 0:
            break
        assert code == crash.KILLED
    else:
        pytest.fail("the run never came to its end")
    assert moment > 5, "too few moments: were they counted?"


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_killed_before_the_commit(request: pytest.FixtureRequest, tmp_path: Path, kind: str) -> None:
    """A table has all of its rows, and the next run erases them."""
    database = Database(tmp_path / "data.db" if kind == "sqlite" else request.getfixturevalue("postgres"))
    database.people(5)

    assert crash.before_the_step(database.store()) == crash.KILLED
    assert len(database.numbers("note IS NOT NULL")) == 5

    changed = erase(database.store(), crash.looked())
    assert (changed.tally.deleted.tolist(), changed.tally.masked.tolist()) == ([2], [1])
    assert database.numbers("note IS NOT NULL") == [1000, 1004]
