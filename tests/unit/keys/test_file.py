"""The key file."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from airflow_veil.privacy.errors import KeyRingError
from airflow_veil.privacy.keys.file import KeyFile
from airflow_veil.privacy.keys.ring import KeyRing

ROTATE = """
import sys
from pathlib import Path
from airflow_veil.privacy.keys.file import KeyFile
file = KeyFile(Path(sys.argv[1]))
for _ in range(int(sys.argv[2])):
    file.rotate()
"""


@pytest.fixture
def file(tmp_path: Path) -> KeyFile:
    """A key file that is not there yet."""
    return KeyFile(tmp_path / "keys.json")


def rotating(file: KeyFile, times: int) -> subprocess.Popen[bytes]:
    """Another process that rotates the file."""
    return subprocess.Popen([sys.executable, "-c", ROTATE, str(file.path), str(times)])


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


class TestCreate:
    """`KeyFile.create`."""

    @pytest.mark.parametrize("umask", [0o000, 0o022, 0o777], ids=oct)
    def test_makes_a_file_for_its_owner_alone(self, file: KeyFile, umask: int) -> None:
        """The mode is 0600 whatever the umask."""
        before = os.umask(umask)
        try:
            ring = file.create()
        finally:
            os.umask(before)

        assert mode(file.path) == 0o600
        assert ring == file.load()

    def test_refuses_to_replace_a_ring(self, file: KeyFile) -> None:
        """A ring that is there stays."""
        ring = file.create()

        with pytest.raises(KeyRingError, match="exists already"):
            file.create()
        assert ring == file.load()

    def test_refuses_a_dangling_link(self, file: KeyFile, tmp_path: Path) -> None:
        """A symbolic link is not followed, even to where nothing is."""
        file.path.symlink_to(tmp_path / "elsewhere")

        with pytest.raises(KeyRingError, match="exists already"):
            file.create()
        assert not (tmp_path / "elsewhere").exists()

    def test_names_a_missing_folder(self, tmp_path: Path) -> None:
        """The error tells a missing folder from a missing file."""
        with pytest.raises(KeyRingError, match="no such folder"):
            KeyFile(tmp_path / "missing" / "keys.json").create()

    def test_leaves_nothing_beside_it_when_the_disk_is_full(
        self, file: KeyFile, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A ring that could not be written whole is not there, nor is a part of it."""

        def full(handle: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)

        with pytest.raises(KeyRingError, match="No space left"):
            file.create()
        assert {item.name for item in file.path.parent.iterdir()} <= {".keys.json.lock"}


class TestLoad:
    """`KeyFile.load`."""

    @pytest.mark.parametrize("bits", [0o640, 0o604, 0o610, 0o602, 0o666, 0o700 | 0o001], ids=oct)
    def test_refuses_a_file_open_to_others(self, file: KeyFile, bits: int) -> None:
        """One bit for group or others is one too many, and the fix is named."""
        file.create()
        file.path.chmod(bits)

        with pytest.raises(KeyRingError, match=f"chmod 600 {file.path}"):
            file.load()

    def test_takes_a_read_only_file(self, file: KeyFile) -> None:
        """A stricter mode than 0600 is fine."""
        ring = file.create()
        file.path.chmod(0o400)

        assert ring == file.load()

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
    def test_refuses_another_users_file(self, file: KeyFile) -> None:
        """A ring that somebody else owns is somebody else's ring."""
        file.create()
        os.chown(file.path, 65534, -1)

        with pytest.raises(KeyRingError, match="belongs to user 65534"):
            file.load()

    def test_refuses_a_symbolic_link(self, file: KeyFile, tmp_path: Path) -> None:
        """Who can change a link decides which keys are used."""
        file.create()
        link = tmp_path / "link.json"
        link.symlink_to(file.path)

        with pytest.raises(KeyRingError, match="symbolic link"):
            KeyFile(link).load()

    def test_refuses_a_folder(self, tmp_path: Path) -> None:
        """Only a regular file holds a ring."""
        tmp_path.chmod(0o700)

        with pytest.raises(KeyRingError, match="no regular file"):
            KeyFile(tmp_path).load()

    def test_refuses_a_pipe_at_once(self, tmp_path: Path) -> None:
        """A named pipe is refused, not waited for."""
        os.mkfifo(tmp_path / "keys.json", 0o600)

        with pytest.raises(KeyRingError, match="no regular file"):
            KeyFile(tmp_path / "keys.json").load()

    def test_names_a_missing_file(self, file: KeyFile) -> None:
        """The error says how a ring is made."""
        with pytest.raises(KeyRingError, match=r"no such key file.*veil keys init"):
            file.load()

    def test_refuses_a_huge_file(self, file: KeyFile) -> None:
        """A file that cannot be a ring is not read into memory."""
        file.path.touch(0o600)
        os.truncate(file.path, 1 << 40)

        with pytest.raises(KeyRingError, match="too large"):
            file.load()

    def test_keeps_what_it_read_to_itself(self, file: KeyFile) -> None:
        """The error on a damaged file shows nothing of it."""
        file.create()
        secret = json.loads(file.path.read_text())["versions"][0]["secret"]
        file.path.write_text(file.path.read_text().replace('"state"', '"State"'))

        with pytest.raises(KeyRingError, match="fields are wrong") as caught:
            file.load()
        assert secret not in str(caught.value)


class TestRotate:
    """`KeyFile.rotate`."""

    def test_adds_a_version(self, file: KeyFile) -> None:
        """The file holds the new ring, still for its owner alone."""
        file.create()
        ring = file.rotate()

        assert ring == file.load()
        assert ring.current == 2
        assert mode(file.path) == 0o600

    def test_refuses_a_file_open_to_others(self, file: KeyFile) -> None:
        """A file that is not safe to read is not silently repaired either."""
        file.create()
        file.path.chmod(0o644)

        with pytest.raises(KeyRingError, match="chmod 600"):
            file.rotate()
        assert mode(file.path) == 0o644

    def test_loses_no_rotation(self, file: KeyFile) -> None:
        """Processes that rotate at the same time add a version each."""
        file.create()
        processes = [rotating(file, 5) for _ in range(4)]

        assert [process.wait() for process in processes] == [0] * 4
        assert file.load().current == 1 + 4 * 5

    def test_survives_a_kill(self, file: KeyFile) -> None:
        """Whenever a rotating process is killed, the ring is whole, old versions included."""
        first = file.create().fingerprint(1)
        for _ in range(3):
            process = rotating(file, 1_000_000)
            before = file.load().current
            while file.load().current == before:
                time.sleep(0.001)
            process.send_signal(signal.SIGKILL)
            process.wait()
            assert file.load().fingerprint(1) == first

        file.rotate()
        assert {item.name for item in file.path.parent.iterdir()} == {"keys.json", ".keys.json.lock"}


class TestDestroy:
    """`KeyFile.destroy`."""

    def test_removes_the_secret_from_the_file(self, file: KeyFile) -> None:
        """Nothing of the secret is left in the file."""
        file.create()
        secret = json.loads(file.path.read_text())["versions"][0]["secret"]
        file.rotate()
        file.destroy(1)

        assert secret not in file.path.read_text()

    def test_overwrites_the_file_it_replaces(self, file: KeyFile, tmp_path: Path) -> None:
        """The old file, seen here through a second name, holds zeros."""
        file.create(KeyRing.generate().rotate())
        os.link(file.path, tmp_path / "second-name")
        size = file.path.stat().st_size
        file.destroy(1)

        assert (tmp_path / "second-name").read_bytes() == bytes(size)

    def test_overwrites_what_a_kill_left_beside_it(self, file: KeyFile, tmp_path: Path) -> None:
        """A half-made ring of a killed process goes the same way."""
        file.create(KeyRing.generate().rotate())
        left_over = tmp_path / ".keys.json.new"
        left_over.write_bytes(b"secret")
        os.link(left_over, tmp_path / "second-name")
        file.destroy(1)

        assert (tmp_path / "second-name").read_bytes() == bytes(6)
        assert not left_over.exists()

    def test_leaves_the_file_alone_when_refused(self, file: KeyFile) -> None:
        """The active version cannot be destroyed, and trying changes nothing."""
        file.create()
        before = file.path.read_text()

        with pytest.raises(KeyRingError, match="is active"):
            file.destroy(1)
        assert before == file.path.read_text()
