"""A real PostgreSQL for tests: its own data folder, its own free port, gone when the tests end.

The server is Debian's or whatever `initdb` is on the path; nothing is shared with a server that already runs.
"""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import Self

SETTINGS = "-c fsync=off -c synchronous_commit=off -c full_page_writes=off -c shared_buffers=64MB -c max_connections=60"
"""Nothing here has to survive a power cut."""


class PostgresMissingError(RuntimeError):
    """No PostgreSQL binaries on this machine."""


def binaries() -> Path:
    """The folder with `initdb` and `pg_ctl`, the newest version first.

    Raises:
        PostgresMissingError: There is none.
    """
    for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_version, reverse=True):
        if (folder / "initdb").exists() and (folder / "pg_ctl").exists():
            return folder
    found = shutil.which("initdb")
    if found is None:
        raise PostgresMissingError("PostgreSQL is not installed; on Debian: apt-get install postgresql")
    return Path(found).resolve().parent


def _version(folder: Path) -> int:
    name = folder.parent.name
    return int(name) if name.isdigit() else 0


class PostgresServer:
    """A server on 127.0.0.1 that trusts whoever connects; use as a context manager.

    Attributes:
        url: The SQLAlchemy-style URL of its `postgres` database.
    """

    def __init__(self) -> None:
        self._bin = binaries()
        # A unix socket's path is limited to 107 bytes, so pytest's own temporary folders are too deep for it.
        self._folder = Path(tempfile.mkdtemp(prefix="veil-pg-"))
        self._port = _free_port()
        self._databases = 0
        self.url = self._url("postgres")

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._run("pg_ctl", "-D", self._data, "-m", "immediate", "-w", "stop")
        shutil.rmtree(self._folder, ignore_errors=True)

    def database(self) -> str:
        """The URL of a new, empty database."""
        self._databases += 1
        name = f"veil_{self._databases}"
        self._run("createdb", "-h", "127.0.0.1", "-p", str(self._port), "-U", "postgres", name)
        return self._url(name)

    @property
    def _data(self) -> str:
        return str(self._folder / "data")

    def _url(self, database: str) -> str:
        return f"postgresql://postgres@127.0.0.1:{self._port}/{database}"

    def _start(self) -> None:
        if os.geteuid() == 0:
            owner = pwd.getpwnam("postgres")
            os.chown(self._folder, owner.pw_uid, owner.pw_gid)
        self._run(
            "initdb", "-D", self._data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "-N"
        )
        options = f"-p {self._port} -c listen_addresses=127.0.0.1 -k {self._folder} {SETTINGS}"
        log = str(self._folder / "log")
        self._run("pg_ctl", "-D", self._data, "-w", "-t", "60", "-l", log, "-o", options, "start")

    def _run(self, program: str, *arguments: str) -> None:
        """Run a program of PostgreSQL, as the user `postgres` where we are root: the server refuses root."""
        command = [str(self._bin / program), *arguments]
        if os.geteuid() == 0:
            command = ["runuser", "-u", "postgres", "--", *command]
        done = subprocess.run(
            command,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{program} failed with {done.returncode}: {done.stderr.strip()}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
