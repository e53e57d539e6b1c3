"""Releases, and evidence that is only ever added to.

There is no way down: evidence is not dropped by a command.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# The tables are the rule's first guard: a mistake in this or any other program cannot change, delete, insert
# between or leave out evidence. Who owns the database can drop the triggers; the chain of digests then tells.
_SQLITE = (
    """
    CREATE TRIGGER evidence_next BEFORE INSERT ON evidence
    WHEN NEW.seq IS NOT (SELECT coalesce(max(seq), 0) + 1 FROM evidence)
    BEGIN SELECT RAISE(ABORT, 'evidence is numbered without gaps'); END
    """,
    """
    CREATE TRIGGER evidence_no_update BEFORE UPDATE ON evidence
    BEGIN SELECT RAISE(ABORT, 'evidence is only added to'); END
    """,
    """
    CREATE TRIGGER evidence_no_delete BEFORE DELETE ON evidence
    BEGIN SELECT RAISE(ABORT, 'evidence is only added to'); END
    """,
)
_POSTGRESQL = (
    """
    CREATE FUNCTION evidence_next() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF NEW.seq <> (SELECT coalesce(max(seq), 0) + 1 FROM evidence) THEN
            RAISE EXCEPTION 'evidence is numbered without gaps';
        END IF;
        RETURN NEW;
    END $$
    """,
    """
    CREATE FUNCTION evidence_no_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION 'evidence is only added to'; END $$
    """,
    """
    CREATE TRIGGER evidence_next BEFORE INSERT ON evidence
    FOR EACH ROW EXECUTE FUNCTION evidence_next()
    """,
    """
    CREATE TRIGGER evidence_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON evidence
    FOR EACH STATEMENT EXECUTE FUNCTION evidence_no_change()
    """,
)


def upgrade() -> None:
    _make_evidence()
    _make_releases()
    for statement in {"sqlite": _SQLITE, "postgresql": _POSTGRESQL}[op.get_bind().dialect.name]:
        op.execute(statement)


def _make_evidence() -> None:
    op.create_table(
        "evidence",
        sa.Column("seq", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("actor", sa.String(512), nullable=False),
        sa.Column("subject", sa.String(512), nullable=False),
        sa.Column("payload", sa.Text, nullable=False),
        sa.Column("salt", sa.String(64), nullable=False),
        sa.Column("payload_digest", sa.String(64), nullable=False),
        sa.Column("prev_digest", sa.String(64), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_evidence")),
        sa.CheckConstraint("seq > 0", name=op.f("ck_evidence_seq")),
    )


def _make_releases() -> None:
    op.create_table(
        "releases",
        sa.Column("release_id", sa.String(128), nullable=False),
        sa.Column("policy", sa.String(128), nullable=False),
        sa.Column("dataset", sa.String(128), nullable=False),
        sa.Column("destination", sa.Text, nullable=False),
        sa.Column("run_key", sa.String(512), nullable=False),
        sa.Column("interval_start", sa.DateTime(timezone=True)),
        sa.Column("interval_end", sa.DateTime(timezone=True)),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("policy_digest", sa.String(64), nullable=False),
        sa.Column("plan_digest", sa.String(64), nullable=False),
        sa.Column("manifest_digest", sa.String(64)),
        sa.Column("manifest", sa.Text),
        sa.Column("rows_out", sa.BigInteger),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True)),
        sa.Column("published_seq", sa.BigInteger),
        sa.Column("expires_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("release_id", name=op.f("pk_releases")),
        sa.ForeignKeyConstraint(["published_seq"], ["evidence.seq"], name=op.f("fk_releases_published_seq")),
        sa.UniqueConstraint("policy", "dataset", "run_key", name=op.f("uq_releases_policy_dataset_run_key")),
        sa.CheckConstraint(
            "state IN ('staged', 'current', 'superseded', 'rolled_back', 'expired', 'discarded')",
            name=op.f("ck_releases_state"),
        ),
        sa.CheckConstraint(
            "state IN ('staged', 'discarded') OR"
            " (manifest IS NOT NULL AND manifest_digest IS NOT NULL AND rows_out IS NOT NULL"
            " AND published_at IS NOT NULL AND published_seq IS NOT NULL)",
            name=op.f("ck_releases_published"),
        ),
    )
    current = sa.text("state = 'current'")
    op.create_index(
        "ix_releases_one_current",
        "releases",
        ["policy", "dataset", "destination"],
        unique=True,
        sqlite_where=current,
        postgresql_where=current,
    )
