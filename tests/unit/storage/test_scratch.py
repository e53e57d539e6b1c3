"""The staging area between steps."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path

import pyarrow as pa
import pytest

from airflow_veil.privacy.errors import StorageError
from airflow_veil.privacy.storage.scratch import Scratch

SCHEMA = pa.schema([("n", pa.int64())])
RUN = "scheduled__2026-01-01T00:00:00+00:00"


def batch(*values: int) -> pa.RecordBatch:
    return pa.record_batch([pa.array(values, pa.int64())], schema=SCHEMA)


def stage(scratch: Scratch, *values: int, step: str = "minimize", run: str = RUN) -> None:
    with scratch.writer("people", run, step, SCHEMA) as writer:
        writer.write(batch(*values))


def staged(scratch: Scratch, step: str = "minimize") -> list[int]:
    batches = scratch.source("people", RUN, step).batches(["n"], batch_rows=9)
    return [n for part in batches for n in part.column(0).to_pylist()]


class TestScratch:
    def test_hands_rows_on(self, tmp_path: Path) -> None:
        """What a step writes, the next one reads."""
        scratch = Scratch(tmp_path / "scratch")
        stage(scratch, 1, 2)

        assert staged(scratch) == [1, 2]
        assert scratch.identity("people", RUN, "minimize").name == str(
            tmp_path / "scratch" / "people" / RUN / "minimize"
        )

    def test_hands_types_on(self, tmp_path: Path) -> None:
        """Parquet has no times in seconds; the next step still reads what this one wrote."""
        scratch, schema = Scratch(tmp_path), pa.schema([("t", pa.timestamp("s")), ("u", pa.uint8())])
        written = pa.record_batch(
            [pa.array([7], pa.timestamp("s")), pa.array([7], pa.uint8())], schema=schema
        )
        with scratch.writer("people", RUN, "mask", schema) as writer:
            writer.write(written)

        source = scratch.source("people", RUN, "mask")

        assert source.schema() == schema
        assert list(source.batches(["t", "u"], batch_rows=9)) == [written]

    def test_every_folder_is_private(self, tmp_path: Path) -> None:
        """Mode 0700 all the way, whatever the umask allows."""
        scratch = Scratch(tmp_path / "scratch")
        stage(scratch, 1)
        scratch.folder("people", RUN, "mask")

        folders = [path for path in [scratch.root, *scratch.root.rglob("*")] if path.is_dir()]
        assert {stat.S_IMODE(path.stat().st_mode) for path in folders} == {0o700}
        assert len(folders) == 5

    def test_a_retry_replaces_the_earlier_attempt(self, tmp_path: Path) -> None:
        """Rows are never there twice."""
        scratch = Scratch(tmp_path)
        stage(scratch, 1, 2)
        stage(scratch, 3)

        assert staged(scratch) == [3]

    def test_a_failed_step_leaves_nothing(self, tmp_path: Path) -> None:
        """Half an output is no output."""
        scratch = Scratch(tmp_path)

        with pytest.raises(StorageError), scratch.writer("people", RUN, "mask", SCHEMA) as writer:
            list(map(writer.write, [batch(1), pa.record_batch({"other": [1]})]))

        with pytest.raises(StorageError, match="step mask has no staged output"):
            scratch.source("people", RUN, "mask")
        assert [path for path in tmp_path.rglob("*") if path.is_file()] == []

    def test_scrub_removes_one_run(self, tmp_path: Path) -> None:
        """And says whether there was something."""
        scratch = Scratch(tmp_path)
        stage(scratch, 1)
        stage(scratch, 1, run="other")

        assert (scratch.scrub("people", RUN), scratch.scrub("people", RUN)) == (1, 0)
        assert [path.name for path in (tmp_path / "people").iterdir()] == ["other"]

    def test_sweep_removes_old_runs_only(self, tmp_path: Path) -> None:
        """A run in which any file was touched lately is in use."""
        scratch = Scratch(tmp_path)
        stage(scratch, 1, run="old")
        stage(scratch, 1, run="young")
        for path in [tmp_path / "people" / "old", *(tmp_path / "people" / "old").rglob("*")]:
            os.utime(path, (0, time.time() - 1000))

        assert scratch.sweep(500) == 1
        assert [path.name for path in (tmp_path / "people").iterdir()] == ["young"]

    def test_sweep_of_nothing_is_nothing(self, tmp_path: Path) -> None:
        """The root need not be there."""
        assert Scratch(tmp_path / "none").sweep(0) == 0

    @pytest.mark.parametrize(
        "name", ["..", ".", "", "a/b", "/etc", ".hidden", "a\x00b", "a\n", "x" * 300], ids=repr
    )
    @pytest.mark.parametrize("place", ["dataset", "run_key", "step"])
    def test_no_name_leads_out(self, tmp_path: Path, name: str, place: str) -> None:
        """A name is one segment of a path, whoever made it."""
        names = {"dataset": "people", "run_key": RUN, "step": "mask"} | {place: name}

        with pytest.raises(StorageError, match="cannot be part of a path"):
            Scratch(tmp_path).folder(**names)

        assert list(tmp_path.iterdir()) == []
