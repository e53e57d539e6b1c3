"""`kill -9` at every moment of a run: each file is as it was or clean, and the next run does the rest."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from tests.unit.retention import crash
from tests.unit.retention.conftest import Place, days_around, visits

MOST = 200
"""More moments than a run has."""


def _csv(folder: Path) -> None:
    folder.mkdir()
    for name in "abc":
        rows = [
            f"c,{day}T12:00:00,note" for day in days_around(3 if name != "a" else 5, 0 if name == "a" else 3)
        ]
        (folder / f"{name}.csv").write_text("\n".join(["customer,at,note", *rows, ""]))


def _parquet(folder: Path) -> None:
    folder.mkdir()
    for name, table in (("a", days_around(5, 0)), ("b", days_around(3, 3)), ("c", days_around(3, 3))):
        pq.write_table(visits(table), folder / f"{name}.parquet")


class TestFiles:
    @pytest.mark.slow
    @pytest.mark.parametrize("make", [_parquet, _csv])
    def test_killed_at_any_moment(
        self, make_place: Callable[..., Place], make: Callable[[Path], None]
    ) -> None:
        """What can be read at any moment is old or clean, file by file; the same call again ends clean."""
        for moment in range(MOST):
            place = make_place(f"shop{moment}")
            make(place.path / "visits")
            code = crash.run(place.path, moment)
            assert len(place.left()) in (17, 12, 9, 6), f"killed at moment {moment}"

            place.enforce()

            files = sorted(path.name for path in (place.path / "visits").iterdir())
            assert len(place.left()) == 6
            assert [name.partition(".")[0] for name in files[1:]] == ["b", "c"]
            assert files[0] == ".veil.lock"
            place.ledger.verify_chain()
            runs = place.ledger.retention.listed("shop", "visits")
            assert runs[0].done is not None or runs[1].done is not None
            place.close()
            shutil.rmtree(place.path)
            if code == 0:
                break
            assert code == crash.KILLED
        else:
            pytest.fail("the run never came to its end")
        assert moment > 10, "too few moments: were they counted?"
