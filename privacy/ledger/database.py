"""The ledger's database: how it is reached, one writer at a time, and its refusals in the project's words.

Every writing transaction holds the one writer's lock from its start to its commit: SQLite's own (BEGIN
IMMEDIATE), or an advisory lock on PostgreSQL, which needs no privilege. What a transaction reads is therefore
still true when it writes, and nothing can deadlock. The ledger has a few transactions a release, so nobody
waits long.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, func, make_url, select
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from airflow_veil.privacy.errors import LedgerError
from airflow_veil.privacy.ledger.fault import permanent

LOCK_SECONDS = 30
"""How long a transaction waits for the writer before it."""

# Any constant will do, as long as it stays: the first eight bytes of SHA-256 of "airflow-veil ledger", halved
# so that it fits a signed integer.
_ADVISORY_LOCK = 0x368B114D757CEB82


def connect(target: str | Path, *, make: bool = True) -> Engine:
    """The engine of a ledger; nothing is opened yet, but a new SQLite file is made.

    Args:
        target: A file, or a URL: `sqlite:///ledger.db`, `postgresql://user:password@host/database`. A new
            file is readable by its owner alone.
        make: Whether a SQLite file is made that is not there.

    Returns:
        An engine that keeps no connections, so it can outlive a fork or a restart of the database.

    Raises:
        LedgerError: The URL is none, or of another database; the folder is missing or not writable.
    """
    url = _url_of(target)
    if url.get_backend_name() == "sqlite":
        if make:
            _make_file(url)
        elif not Path(url.database or "").exists():
            raise permanent(
                "there is no ledger yet", where=url.database or "", fix="run a release, which makes it"
            )
        engine = create_engine(
            url, poolclass=NullPool, connect_args={"timeout": LOCK_SECONDS}, hide_parameters=True
        )
        event.listen(engine, "connect", _configure_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    # READ COMMITTED whatever the server's default: a snapshot from before the lock was had would be stale.
    return create_engine(
        url,
        poolclass=NullPool,
        isolation_level="READ COMMITTED",
        connect_args={"connect_timeout": LOCK_SECONDS},
        hide_parameters=True,
    )


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A transaction that only reads.

    Raises:
        LedgerError: The database refuses.
    """
    with _refusals_told(engine), engine.begin() as connection:
        yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that writes: the only one, until it is committed or, on an exception, rolled back.

    Raises:
        LedgerError: The database refuses, or another writer held the lock for `LOCK_SECONDS`.
    """
    writer = engine.execution_options(veil_writes=True)
    with _refusals_told(engine), writer.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'")
            connection.execute(select(func.pg_advisory_xact_lock(_ADVISORY_LOCK)))
        yield connection


def name_of(engine: Engine) -> str:
    """The database's URL without its password and parameters, to name in an error."""
    url = engine.url
    shown = URL.create(
        url.get_backend_name(), username=url.username, host=url.host, port=url.port, database=url.database
    )
    return shown.render_as_string()


def _url_of(target: str | Path) -> URL:
    if isinstance(target, Path) or "://" not in target:
        return URL.create("sqlite", database=str(Path(target).expanduser().absolute()))
    url = _parse(target)
    backend = url.get_backend_name() if url else ""
    if url and backend == "postgresql":
        return url.set(drivername="postgresql+psycopg")
    if url and backend == "sqlite" and url.database not in (None, "", ":memory:"):
        return url.set(drivername="sqlite")
    raise permanent(
        "the ledger's URL cannot be used",
        expected="a file name, sqlite:///<file> or postgresql://<user>@<host>/<database>",
        fix="correct the URL; it is not shown here, since it may hold a password",
    )


def _parse(target: str) -> URL | None:
    # Airflow's connections say `postgres`.
    if target.startswith("postgres://"):
        target = f"postgresql://{target.removeprefix('postgres://')}"
    try:
        return make_url(target)
    except (SQLAlchemyError, ValueError):
        return None


def _make_file(url: URL) -> None:
    """Make the file for its owner alone, before SQLite would make it as the umask says."""
    path = url.database or ""
    if path.startswith("file:"):
        return
    try:
        # O_EXCL: opening and closing a file that SQLite has open elsewhere in this process drops its locks.
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        return
    except OSError as error:
        raise permanent(
            f"the ledger's file cannot be made: {os.strerror(error.errno or 0)}",
            where=path,
            fix="make its folder, and make it writable to the user that runs this",
        ) from None


def _configure_sqlite(connection: sqlite3.Connection, _: Any) -> None:
    # The driver must not begin transactions on its own: `_begin_sqlite` does.
    connection.isolation_level = None
    connection.execute("PRAGMA foreign_keys = ON")
    # The rollback journal, not WAL: the ledger stays one file, which can be copied, lie on any file system
    # and be read where it cannot be written. EXTRA: what was committed survives a power cut.
    connection.execute("PRAGMA synchronous = EXTRA")
    # A payload that is erased is overwritten, not left in a free corner of its page.
    connection.execute("PRAGMA secure_delete = ON")


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("veil_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def _refusals_told(engine: Engine) -> Iterator[None]:
    """Turn the driver's errors into ours, without their texts, which hold statements and parameters."""
    try:
        yield
    except SQLAlchemyError as error:
        raise _refusal(engine, error) from None


# By SQLite's primary result code, or PostgreSQL's SQLSTATE or its class: what is wrong, the fix, try again?
_Refusal = tuple[str, str, bool]
_BUSY: _Refusal = (f"another process held the ledger for {LOCK_SECONDS} s", "try again", True)
_READ_ONLY: _Refusal = ("the ledger can only be read", "let this user write to it", False)
_FULL: _Refusal = ("the disk of the ledger is full", "make room", True)
_DENIED: _Refusal = ("the user may not do this", "grant it the right, or correct the password", False)
_NO_LEDGER: _Refusal = ("this is no ledger", "correct its name, or restore the ledger from its backup", False)
_RULE: _Refusal = ("a rule of the ledger's tables forbids it", "report it as a bug", False)
_AWAY: _Refusal = ("the database cannot be reached", "start it, or correct host, port and name", True)
_REFUSALS: dict[str, _Refusal] = {
    "SQLITE_BUSY": _BUSY,
    "SQLITE_LOCKED": _BUSY,
    "SQLITE_READONLY": _READ_ONLY,
    "SQLITE_FULL": _FULL,
    "SQLITE_CANTOPEN": ("the ledger's file cannot be opened", "correct its name or its permissions", False),
    "SQLITE_PERM": _DENIED,
    "SQLITE_AUTH": _DENIED,
    "SQLITE_NOTADB": _NO_LEDGER,
    "SQLITE_CORRUPT": _NO_LEDGER,
    "SQLITE_CONSTRAINT": _RULE,
    "55P03": _BUSY,
    "25006": _READ_ONLY,
    "53100": _FULL,
    "42501": _DENIED,
    "28": _DENIED,
    "3D": ("there is no such database", "create it, or correct its name", False),
    "23": _RULE,
    "P0": _RULE,
    "08": _AWAY,
    "57": _AWAY,
}


def _refusal(engine: Engine, error: SQLAlchemyError) -> LedgerError:
    code = _code(error)
    for known in (code, code[:2], "_".join(code.split("_")[:2])):
        if known in _REFUSALS:
            what, fix, retryable = _REFUSALS[known]
            break
    else:
        what, fix, retryable = f"the database refused ({code})", "look up the code in its manual", True
    told = LedgerError(what, where=f"ledger {name_of(engine)}", fix=fix)
    told.retryable = retryable
    return told


def _code(error: SQLAlchemyError) -> str:
    """SQLite's name of the error or PostgreSQL's SQLSTATE; the class of SQLSTATE for a failed connection."""
    if not isinstance(error, DBAPIError):
        return type(error).__name__
    original: Any = error.orig
    code = getattr(original, "sqlite_errorname", None) or getattr(original, "sqlstate", None)
    return code or (
        "08" if error.connection_invalidated or _never_connected(error) else type(original).__name__
    )


def _never_connected(error: DBAPIError) -> bool:
    return error.statement is None and type(error.orig).__name__ in ("OperationalError", "ConnectionTimeout")
