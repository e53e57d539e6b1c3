"""Releases as folders."""

from __future__ import annotations

import fcntl
import os
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds
import pytest

from airflow_veil.privacy.errors import ReleaseError, SchemaError, StorageError
from airflow_veil.privacy.storage.base import Destination
from airflow_veil.privacy.storage.folder import FolderDestination

SCHEMA = pa.schema([("n", pa.int32()), ("t", pa.string()), ("s", pa.timestamp("s"))])
MANIFEST = {"rows": 3, "who": "é"}
CANARY = "canary-7f3a"


def batch(*values: int) -> pa.RecordBatch:
    columns = [
        pa.array(values, pa.int32()),
        pa.array([f"={n}" for n in values]),
        pa.array(values, pa.timestamp("s")),
    ]
    return pa.record_batch(columns, schema=SCHEMA)


def stage(destination: FolderDestination, release: str, *values: int) -> None:
    with destination.writer("people", release, SCHEMA) as writer:
        writer.write(batch(*values))


def publish(destination: FolderDestination, release: str, *values: int) -> bool:
    stage(destination, release, *values)
    return destination.commit("people", release, manifest=MANIFEST)


def numbers(destination: FolderDestination, release: str) -> list[int]:
    batches = destination.source("people", release).batches(["n"], batch_rows=2)
    return [n for part in batches for n in part.column(0).to_pylist()]


def inside(root: Path) -> set[str]:
    return {path.name for path in (root / "people").iterdir()}


@pytest.fixture(params=["parquet", "csv"])
def destination(request: pytest.FixtureRequest, tmp_path: Path) -> FolderDestination:
    return FolderDestination(tmp_path / "releases", request.param)


class TestFolderDestination:
    def test_is_a_destination(self, destination: FolderDestination) -> None:
        """The class keeps the protocol."""
        assert isinstance(destination, Destination)

    def test_publishes_what_was_staged(self, destination: FolderDestination) -> None:
        """Staged rows can be validated, then become the current release with their manifest."""
        stage(destination, "r1", 1, 2, 3)
        assert (numbers(destination, "r1"), destination.current("people")) == ([1, 2, 3], None)
        assert destination.releases("people") == ()

        assert destination.commit("people", "r1", manifest=MANIFEST)

        assert (numbers(destination, "r1"), destination.current("people")) == ([1, 2, 3], "r1")
        assert destination.releases("people") == ("r1",)
        assert destination.manifest("people", "r1") == MANIFEST
        assert inside(destination.root) == {"r1", "current"}

    def test_staged_rows_have_the_schema_they_were_written_with(self, destination: FolderDestination) -> None:
        """Also the types that Parquet and CSV do not have."""
        stage(destination, "r1", 1)

        assert destination.source("people", "r1").schema() == SCHEMA
        (read,) = destination.source("people", "r1").batches(SCHEMA.names, batch_rows=9)
        assert read.schema == SCHEMA

    def test_other_tools_read_the_current_release(self, tmp_path: Path) -> None:
        """`current` is a plain Parquet folder to Arrow: what is not data begins with `_`."""
        publish(FolderDestination(tmp_path), "r1", 1, 2)

        assert ds.dataset(tmp_path / "people" / "current").to_table(columns=["n"]).to_pydict() == {
            "n": [1, 2]
        }

    def test_staging_is_private_and_a_release_is_not(self, destination: FolderDestination) -> None:
        """A release may be read by whoever may enter the data set's folder."""
        old = os.umask(0o022)
        try:
            stage(destination, "r1", 1)
            (attempt,) = (destination.root / "people").glob(".attempt-*")
            assert stat.S_IMODE(attempt.stat().st_mode) == 0o700
            destination.commit("people", "r1", manifest=MANIFEST)
        finally:
            os.umask(old)

        assert stat.S_IMODE((destination.root / "people" / "r1").stat().st_mode) == 0o755

    def test_a_second_commit_changes_nothing(self, destination: FolderDestination) -> None:
        """A retry, or a second run of the same interval, gives one release: the first."""
        assert publish(destination, "r1", 1)
        assert not publish(destination, "r1", 2)
        assert not destination.commit("people", "r1", manifest={})

        assert numbers(destination, "r1") == [1]
        assert inside(destination.root) == {"r1", "current"}

    def test_the_last_attempt_to_close_is_staged(self, destination: FolderDestination) -> None:
        """Attempts at the same time do not write into each other."""
        slow = destination.writer("people", "r1", SCHEMA)
        slow.write(batch(1))
        stage(destination, "r1", 2)
        slow.close()

        assert numbers(destination, "r1") == [1]
        destination.commit("people", "r1", manifest=MANIFEST)
        assert inside(destination.root) == {"r1", "current"}

    def test_a_commit_may_be_overtaken_between_two_looks(
        self, destination: FolderDestination, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The link of what is staged is gone when it is read, since another commit took it: that one published."""
        stage(destination, "r1", 1, 2)
        readlink = os.readlink

        def late(path: Path) -> str:
            monkeypatch.undo()
            assert destination.commit("people", "r1", manifest=MANIFEST)
            return readlink(path)

        monkeypatch.setattr(os, "readlink", late)

        assert not destination.commit("people", "r1", manifest=MANIFEST)
        assert destination.releases("people") == ("r1",)

    def test_an_attempt_is_never_there_without_its_lock(
        self, destination: FolderDestination, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A commit of another attempt removes what nobody holds: one that is being made must not look so."""
        flock = fcntl.flock

        def discarded_first(handle: int, operation: int) -> None:
            monkeypatch.undo()
            destination.discard("people", "r1")
            flock(handle, operation)

        monkeypatch.setattr(fcntl, "flock", discarded_first)

        stage(destination, "r1", 1, 2)

        assert destination.commit("people", "r1", manifest=MANIFEST)

    def test_commits_at_once_give_one_release(self, destination: FolderDestination) -> None:
        """Threads stand for two tasks of one run: exactly one publishes, none fails for a reason but lateness."""
        stage(destination, "r1", 1, 2)
        start, published, errors = threading.Barrier(8), [], []

        def commit() -> None:
            start.wait()
            try:
                published.append(destination.commit("people", "r1", manifest=MANIFEST))
            except Exception as error:
                errors.append(error)

        threads = [threading.Thread(target=commit) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert errors == []
        assert sorted(published) == [False] * 7 + [True]
        assert numbers(destination, "r1") == [1, 2]
        assert destination.manifest("people", "r1") == MANIFEST

    def test_nothing_staged_cannot_be_committed(self, destination: FolderDestination) -> None:
        """The error names the release; what was current stays."""
        publish(destination, "r1", 1)

        with pytest.raises(ReleaseError, match="no release r2, committed or staged"):
            destination.commit("people", "r2", manifest=MANIFEST)

        assert destination.current("people") == "r1"

    def test_switches_back_and_forth(self, destination: FolderDestination) -> None:
        """A rollback is one link."""
        publish(destination, "r1", 1)
        publish(destination, "r2", 2)

        destination.switch("people", "r1")

        assert destination.current("people") == "r1"
        assert destination.releases("people") == ("r1", "r2")
        with pytest.raises(ReleaseError, match=r"no release r9.*committed are: r1, r2"):
            destination.switch("people", "r9")

    def test_a_staged_release_is_no_release(self, destination: FolderDestination) -> None:
        """It can be neither switched to nor told by its manifest."""
        stage(destination, "r1", 1)

        with pytest.raises(ReleaseError):
            destination.switch("people", "r1")
        with pytest.raises(ReleaseError):
            destination.manifest("people", "r1")

    def test_drops_all_but_the_current_release(self, destination: FolderDestination) -> None:
        """Readers of `current` never find it gone."""
        publish(destination, "r1", 1)
        publish(destination, "r2", 2)

        with pytest.raises(ReleaseError, match="current"):
            destination.drop("people", "r2")
        destination.drop("people", "r1")
        destination.drop("people", "r1")

        assert destination.releases("people") == ("r2",)

    def test_discards_what_is_staged(self, destination: FolderDestination) -> None:
        """But no attempt that lives."""
        stage(destination, "r1", 1)
        living = destination.writer("people", "r1", SCHEMA)

        assert destination.discard("people", "r1") == 1
        assert destination.discard("people", "r1") == 0
        living.write(batch(7))
        living.close()
        assert numbers(destination, "r1") == [7]

    def test_sweeps_what_is_old_and_dead(self, destination: FolderDestination) -> None:
        """A living attempt, a young one and a release stay."""
        publish(destination, "r0", 0)
        living = destination.writer("people", "r1", SCHEMA)
        stage(destination, "r2", 2)
        for path in (destination.root / "people").rglob("*"):
            os.utime(path, (0, time.time() - 1000), follow_symlinks=False)
        stage(destination, "r3", 3)

        assert destination.sweep("people", 500) == 1
        assert numbers(destination, "r3") == [3]
        assert destination.current("people") == "r0"
        with pytest.raises(ReleaseError):
            destination.source("people", "r2")
        living.write(batch(1))
        living.close()
        assert numbers(destination, "r1") == [1]
        assert destination.sweep("nobody", 0) == 0

    def test_a_failed_attempt_leaves_nothing(self, destination: FolderDestination) -> None:
        """And what was staged before stays."""
        stage(destination, "r1", 1)

        with pytest.raises(StorageError), destination.writer("people", "r1", SCHEMA) as writer:
            list(map(writer.write, [batch(2), pa.record_batch({"other": [1]})]))

        assert numbers(destination, "r1") == [1]
        assert len(list((destination.root / "people").iterdir())) == 2

    def test_an_unwritable_schema_leaves_nothing(self, tmp_path: Path) -> None:
        """CSV cannot hold bytes."""
        with pytest.raises(SchemaError):
            FolderDestination(tmp_path, "csv").writer("people", "r1", pa.schema([("b", pa.binary())]))

        assert inside(tmp_path) == set()

    @pytest.mark.parametrize("name", ["..", "a/b", ".hidden", "", "current"], ids=repr)
    def test_release_names_are_safe(self, destination: FolderDestination, name: str) -> None:
        """No name leads out of the folder or takes the link's."""
        with pytest.raises(StorageError):
            destination.writer("people", name, SCHEMA)

    def test_names_itself_without_reading(self, destination: FolderDestination) -> None:
        """A URI for the ledger, paths for lineage."""
        assert destination.name == destination.root.as_uri()
        assert destination.identity("people").name == str(destination.root / "people" / "current")
        assert destination.staged_identity("people", "r1").name == str(
            destination.root / "people" / ".staged-r1"
        )


KILLED = """
import itertools, os, shutil, signal, sys
from pathlib import Path
import pyarrow as pa
from airflow_veil.privacy.storage.folder import FolderDestination

SCHEMA = pa.schema([("n", pa.int64())])
CALLS = ("mkdir", "open", "fsync", "rename", "replace", "symlink", "chmod", "unlink", "rmdir", "readlink", "write")

def publish(root, release, values, deadly=None):
    calls = itertools.count()

    def guard(function):
        def call(*args, **kwargs):
            if next(calls) == deadly:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*args, **kwargs)
        return call

    for name in CALLS:
        setattr(os, name, guard(getattr(os, name)))
    destination = FolderDestination(root)
    with destination.writer("people", release, SCHEMA) as writer:
        writer.write(pa.record_batch([pa.array(values)], schema=SCHEMA))
    destination.commit("people", release, manifest={"release": release})

def apart(*args):
    # A process of its own, which costs no second import of Arrow: none of its threads runs yet.
    if child := os.fork():
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    publish(*args)
    os._exit(0)

top = Path(sys.argv[1])
assert apart(top / "before", "r1", [1]) == 0
for deadly in range(200):
    killed = shutil.copytree(top / "before", top / f"killed-{deadly}", symlinks=True)
    status = apart(killed, "r2", [2, 2], deadly)
    again = shutil.copytree(killed, top / f"again-{deadly}", symlinks=True)
    assert apart(again, "r2", [2, 2]) == 0
    if status == 0:
        break
    assert status == -signal.SIGKILL
"""


@pytest.fixture(scope="module")
def aftermath(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders after a SIGKILL before each system call that changes something, and after the next run."""
    top = tmp_path_factory.mktemp("kill")
    command = [sys.executable, "-c", KILLED, str(top)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return top


@pytest.mark.slow
class TestKill:
    def test_a_kill_at_any_moment_leaves_a_whole_release(self, aftermath: Path) -> None:
        """`current` is the release before or the new one, with all its rows and its manifest."""
        seen = []
        for root in sorted(aftermath.glob("killed-*"), key=lambda path: int(path.name.partition("-")[2])):
            destination = FolderDestination(root)
            current = destination.current("people")
            seen.append(current)

            assert numbers(destination, current) == {"r1": [1], "r2": [2, 2]}[current]
            assert destination.manifest("people", current) == {"release": current}

        assert len(seen) > 20
        assert seen == sorted(seen)
        assert set(seen) == {"r1", "r2"}

    def test_the_next_run_ends_in_the_same_state(self, aftermath: Path) -> None:
        """Whenever the one before was killed; and the sweep leaves nothing behind."""
        for root in aftermath.glob("again-*"):
            destination = FolderDestination(root)
            destination.sweep("people", 0)

            assert inside(root) == {"r1", "r2", "current"}
            assert (destination.current("people"), numbers(destination, "r2")) == ("r2", [2, 2])


FULL = """
import resource, signal, sys
from pathlib import Path
import pyarrow as pa
from airflow_veil.privacy.errors import StorageError
from airflow_veil.privacy.storage.folder import FolderDestination

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
if sys.argv[3] != "0":
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]),) * 2)
import os
schema = pa.schema([("t", pa.string())])
try:
    with FolderDestination(Path(sys.argv[1]), sys.argv[2]).writer("people", "r2", schema) as writer:
        for _ in range(200):
            texts = ["canary-7f3a" + os.urandom(1000).hex() for _ in range(100)]
            writer.write(pa.record_batch([pa.array(texts)], schema=schema))
except StorageError as error:
    print(repr(error), error)
    sys.exit(3)
"""


class TestDiskFull:
    @pytest.mark.parametrize("kind", ["parquet", "csv"])
    @pytest.mark.parametrize("limit", [100, 200_000], ids=["at once", "midway"])
    def test_a_limit_on_files_publishes_nothing(self, tmp_path: Path, kind: str, limit: int) -> None:
        """The error says what happened and holds no value; the attempt is removed."""
        command = [sys.executable, "-c", FULL, str(tmp_path), kind, str(limit)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)

        assert done.returncode == 3, done.stderr
        assert "EFBIG" in done.stdout
        assert CANARY not in done.stdout + done.stderr
        assert inside(tmp_path) == set()

    @pytest.mark.parametrize("kind", ["parquet", "csv"])
    def test_a_full_disk_publishes_nothing(self, tmp_path: Path, kind: str) -> None:
        """On a real file system of one megabyte, with a release on it that stays."""
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", tmp_path], capture_output=True, check=False
        )
        if mounted.returncode:
            pytest.skip(
                "NO MOUNT: only root may mount a small file system; the limit on files is tested above"
            )
        try:
            publish(FolderDestination(tmp_path, kind), "r1", 1)
            command = [sys.executable, "-c", FULL, str(tmp_path), kind, "0"]
            done = subprocess.run(command, capture_output=True, text=True, check=False)

            assert done.returncode == 3, done.stderr
            assert "ENOSPC" in done.stdout
            assert "free some space" in done.stdout
            assert CANARY not in done.stdout + done.stderr
            assert inside(tmp_path) == {"r1", "current"}
            assert numbers(FolderDestination(tmp_path, kind), "r1") == [1]
        finally:
            subprocess.run(["umount", tmp_path], check=True)
