"""A Merkle tree over the evidence, and the one way in which a payload is erased.

The tree is made for the entries that are there already. There is no way down: what was erased stays erased.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC
from typing import Any

import sqlalchemy as sa
from alembic import op

from airflow_veil.privacy.audit.merkle import Frontier, leaf_hash
from airflow_veil.privacy.errors import InternalError
from airflow_veil.privacy.ledger.canonical import canonical_json
from airflow_veil.privacy.ledger.fault import permanent
from airflow_veil.privacy.ledger.tables import UtcDateTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_PAGE = 5_000
_COVERED = ("seq", "recorded_at", "kind", "actor", "subject", "payload_digest", "prev_digest")
_STAY = (*_COVERED, "digest")
_ERASES = f"""
    OLD.payload IS NOT NULL AND OLD.salt IS NOT NULL AND NEW.payload IS NULL AND NEW.salt IS NULL
    AND {" AND ".join(f"NEW.{name} = OLD.{name}" for name in _STAY)}
    AND EXISTS (
        SELECT 1 FROM evidence AS later
        WHERE later.seq > OLD.seq AND later.kind = 'evidence.erased' AND later.subject = 'evidence/' || OLD.seq
    )
"""  # noqa: S608 - names of columns
"""The one update that gets through: payload and salt become null, and a later entry says so already."""
_NODES_NEXT = """
    NEW.seq IS DISTINCT FROM (SELECT max(seq) FROM evidence)
    OR NEW.seq IS DISTINCT FROM (SELECT coalesce(max(seq), 0) + 1 FROM evidence_nodes)
"""
_SQLITE = (
    "DROP TRIGGER evidence_no_update",
    f"""
    CREATE TRIGGER evidence_no_update BEFORE UPDATE ON evidence FOR EACH ROW WHEN NOT ({_ERASES})
    BEGIN SELECT RAISE(ABORT, 'evidence is only added to'); END
    """,
    """
    CREATE TRIGGER evidence_whole BEFORE INSERT ON evidence FOR EACH ROW
    WHEN NEW.payload IS NULL OR NEW.salt IS NULL
    BEGIN SELECT RAISE(ABORT, 'evidence begins with a payload'); END
    """,
    f"""
    CREATE TRIGGER evidence_nodes_next BEFORE INSERT ON evidence_nodes FOR EACH ROW
    WHEN {_NODES_NEXT.replace("IS DISTINCT FROM", "IS NOT")}
    BEGIN SELECT RAISE(ABORT, 'evidence is numbered without gaps'); END
    """,
    """
    CREATE TRIGGER evidence_nodes_no_update BEFORE UPDATE ON evidence_nodes
    BEGIN SELECT RAISE(ABORT, 'evidence is only added to'); END
    """,
    """
    CREATE TRIGGER evidence_nodes_no_delete BEFORE DELETE ON evidence_nodes
    BEGIN SELECT RAISE(ABORT, 'evidence is only added to'); END
    """,
)
_POSTGRESQL = (
    "DROP TRIGGER evidence_no_change ON evidence",
    """
    CREATE TRIGGER evidence_no_change BEFORE DELETE OR TRUNCATE ON evidence
    FOR EACH STATEMENT EXECUTE FUNCTION evidence_no_change()
    """,
    f"""
    CREATE FUNCTION evidence_no_update() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF NOT ({_ERASES}) THEN RAISE EXCEPTION 'evidence is only added to'; END IF;
        RETURN NEW;
    END $$
    """,
    """
    CREATE TRIGGER evidence_no_update BEFORE UPDATE ON evidence
    FOR EACH ROW EXECUTE FUNCTION evidence_no_update()
    """,
    """
    CREATE TRIGGER evidence_whole BEFORE INSERT ON evidence
    FOR EACH ROW WHEN (NEW.payload IS NULL OR NEW.salt IS NULL) EXECUTE FUNCTION evidence_no_change()
    """,
    f"""
    CREATE FUNCTION evidence_nodes_next() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF {_NODES_NEXT} THEN RAISE EXCEPTION 'evidence is numbered without gaps'; END IF;
        RETURN NEW;
    END $$
    """,
    """
    CREATE TRIGGER evidence_nodes_next BEFORE INSERT ON evidence_nodes
    FOR EACH ROW EXECUTE FUNCTION evidence_nodes_next()
    """,
    """
    CREATE TRIGGER evidence_nodes_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON evidence_nodes
    FOR EACH STATEMENT EXECUTE FUNCTION evidence_no_change()
    """,
)


def upgrade() -> None:
    connection = op.get_bind()
    _let_payloads_be_null(connection)
    op.create_table(
        "evidence_nodes",
        sa.Column("seq", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("hashes", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_evidence_nodes")),
        sa.CheckConstraint("seq > 0", name=op.f("ck_evidence_nodes_seq")),
    )
    for page in _nodes(connection):
        connection.execute(sa.insert(sa.table("evidence_nodes", sa.column("seq"), sa.column("hashes"))), page)
    for statement in {"sqlite": _SQLITE, "postgresql": _POSTGRESQL}[connection.dialect.name]:
        op.execute(statement)


def _let_payloads_be_null(connection: sa.Connection) -> None:
    if connection.dialect.name != "sqlite":
        op.alter_column("evidence", "payload", nullable=True)
        op.alter_column("evidence", "salt", nullable=True)
        return
    # SQLite's own way to lift a NOT NULL (lang_altertable, section 7): nothing of what is stored changes, where a copy
    # of the table would have to take the releases that refer to it apart.
    version = connection.exec_driver_sql("PRAGMA schema_version").scalar_one()
    connection.exec_driver_sql("PRAGMA writable_schema = ON")
    connection.exec_driver_sql(
        "UPDATE sqlite_master SET sql = replace(replace(sql, 'payload TEXT NOT NULL', 'payload TEXT'),"
        " 'salt VARCHAR(64) NOT NULL', 'salt VARCHAR(64)') WHERE type = 'table' AND name = 'evidence'"
    )
    connection.exec_driver_sql(f"PRAGMA schema_version = {version + 1}")
    connection.exec_driver_sql("PRAGMA writable_schema = RESET")
    columns = {
        column["name"]: column["nullable"] for column in sa.inspect(connection).get_columns("evidence")
    }
    if not (columns["payload"] and columns["salt"]):
        raise InternalError("SQLite's table of evidence is not written as expected", where="migration 0003")


def _nodes(connection: sa.Connection) -> Iterator[list[dict[str, Any]]]:
    """The rows of the tree over the entries that are there, page by page."""
    table = sa.table(
        "evidence", *(sa.column(name, UtcDateTime() if name == "recorded_at" else None) for name in _COVERED)
    )
    frontier = Frontier()
    wanted = sa.select(table).order_by(table.c.seq).limit(_PAGE)
    while page := connection.execute(wanted.where(table.c.seq > frontier.size)).mappings().all():
        yield [_row(frontier, entry) for entry in page]


def _row(frontier: Frontier, entry: sa.RowMapping) -> dict[str, Any]:
    if entry["seq"] != frontier.size + 1:
        raise permanent(
            f"the evidence has no entry {frontier.size + 1}, and later ones",
            expected="entries numbered without gaps",
            fix="restore the ledger from its backup: evidence was deleted",
        )
    time = entry["recorded_at"].astimezone(UTC).isoformat(timespec="microseconds")
    leaf = canonical_json({**entry, "recorded_at": time})
    return {"seq": entry["seq"], "hashes": b"".join(frontier.append(leaf_hash(leaf.encode())))}
