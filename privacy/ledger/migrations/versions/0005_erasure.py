"""Erasure: requests, the batches that they are done in, and the journal of a batch's steps.

What people are named by is sealed, and destroyed once they are erased.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_SAME = {
    "erasure_batches": "batch_id = NEW.batch_id",
    "erasure_requests": "request_id = NEW.request_id",
    "erasure_batch_requests": "batch_id = NEW.batch_id AND (number = NEW.number OR request_id = NEW.request_id)",
    "erasure_steps": "batch_id = NEW.batch_id AND (ordinal = NEW.ordinal OR name = NEW.name)",
}
"""Which rows a new one would replace, which SQLite does without asking DELETE's triggers."""
_FIXED = {
    "erasure_batches": "batch_id, policy, begun_by, begun_at, begun_seq",
    "erasure_requests": "request_id, policy, identifiers, subject, key_version, requested_by, requested_at, time_zone",
    "erasure_batch_requests": "batch_id, number, request_id",
    "erasure_steps": "batch_id, ordinal, stage, name",
}
"""What never changes."""
_MOVES_ON = {
    "erasure_batches": """
        OLD.concluded_at IS NOT NULL OR OLD.abandoned_at IS NOT NULL
        OR OLD.frozen_at IS NOT NULL
        AND (NEW.frozen_at IS NULL OR NEW.frozen_at <> OLD.frozen_at OR NEW.plan <> OLD.plan
             OR NEW.key_version <> OLD.key_version OR NEW.sealed <> OLD.sealed)
    """,
    "erasure_requests": "OLD.state IN ('complete', 'cancelled')",
    "erasure_steps": """
        OLD.done_at IS NOT NULL
        OR OLD.begun_at IS NOT NULL AND (NEW.begun_at IS NULL OR NEW.begun_at <> OLD.begun_at)
        OR OLD.begun_at IS NULL AND NEW.done_at IS NOT NULL
    """,
}
"""Changes that would go back."""


def upgrade() -> None:
    _make_batches()
    _make_requests()
    _make_batch_requests()
    _make_steps()
    for statement in {"sqlite": _sqlite, "postgresql": _postgresql}[op.get_bind().dialect.name]():
        op.execute(statement)


def _make_batches() -> None:
    op.create_table(
        "erasure_batches",
        sa.Column("batch_id", sa.String(64), nullable=False),
        sa.Column("policy", sa.String(128), nullable=False),
        sa.Column("sealed", sa.LargeBinary),
        sa.Column("key_version", sa.Integer),
        sa.Column("plan", sa.Text),
        sa.Column("verified", sa.Text),
        sa.Column("begun_by", sa.String(512), nullable=False),
        sa.Column("begun_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("begun_seq", sa.BigInteger, nullable=False),
        sa.Column("frozen_at", sa.DateTime(timezone=True)),
        sa.Column("concluded_at", sa.DateTime(timezone=True)),
        sa.Column("abandoned_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("batch_id", name=op.f("pk_erasure_batches")),
        sa.ForeignKeyConstraint(["begun_seq"], ["evidence.seq"], name=op.f("fk_erasure_batches_begun_seq")),
        sa.CheckConstraint(
            "(frozen_at IS NULL) = (plan IS NULL) AND (frozen_at IS NULL) = (key_version IS NULL)",
            name=op.f("ck_erasure_batches_frozen"),
        ),
        sa.CheckConstraint(
            "(sealed IS NULL) = (frozen_at IS NULL OR concluded_at IS NOT NULL)",
            name=op.f("ck_erasure_batches_sealed"),
        ),
        sa.CheckConstraint(
            "verified IS NULL OR frozen_at IS NOT NULL", name=op.f("ck_erasure_batches_verified")
        ),
        sa.CheckConstraint(
            "abandoned_at IS NULL OR (frozen_at IS NULL AND concluded_at IS NULL)",
            name=op.f("ck_erasure_batches_abandoned"),
        ),
    )
    still_open = sa.text("concluded_at IS NULL AND abandoned_at IS NULL")
    op.create_index(
        "ix_erasure_batches_one_open",
        "erasure_batches",
        ["policy"],
        unique=True,
        sqlite_where=still_open,
        postgresql_where=still_open,
    )


def _make_requests() -> None:
    op.create_table(
        "erasure_requests",
        sa.Column("request_id", sa.String(64), nullable=False),
        sa.Column("policy", sa.String(128), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("identifiers", sa.Text, nullable=False),
        sa.Column("subject", sa.String(64), nullable=False),
        sa.Column("key_version", sa.Integer, nullable=False),
        sa.Column("sealed", sa.LargeBinary),
        sa.Column("requested_by", sa.String(512), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("time_zone", sa.String(64), nullable=False),
        sa.Column("first_due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("paused_at", sa.DateTime(timezone=True)),
        sa.Column("paused_reason", sa.Text),
        sa.Column("batch_id", sa.String(64)),
        sa.Column("outcome", sa.Text),
        sa.Column("finished_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("request_id", name=op.f("pk_erasure_requests")),
        sa.ForeignKeyConstraint(
            ["batch_id"], ["erasure_batches.batch_id"], name=op.f("fk_erasure_requests_batch_id")
        ),
        *_rules_of_requests(),
    )
    op.create_index(
        "ix_erasure_requests_one_open",
        "erasure_requests",
        ["policy", "subject"],
        unique=True,
        sqlite_where=sa.text("sealed IS NOT NULL"),
        postgresql_where=sa.text("sealed IS NOT NULL"),
    )
    op.create_index("ix_erasure_requests_due", "erasure_requests", ["policy", "state", "due_at"])


def _rules_of_requests() -> tuple[sa.CheckConstraint, ...]:
    rules = {
        "state": "state IN ('waiting', 'erasing', 'held', 'incomplete', 'complete', 'cancelled')",
        "sealed": "(sealed IS NULL) = (state IN ('complete', 'cancelled'))",
        "paused": "(paused_at IS NULL) = (paused_reason IS NULL)",
        "erasing": "state <> 'erasing' OR (batch_id IS NOT NULL AND paused_at IS NULL)",
        "finished": "(finished_at IS NULL) = (state IN ('waiting', 'erasing'))",
    }
    return tuple(
        sa.CheckConstraint(rule, name=op.f(f"ck_erasure_requests_{name}")) for name, rule in rules.items()
    )


def _make_batch_requests() -> None:
    op.create_table(
        "erasure_batch_requests",
        sa.Column("batch_id", sa.String(64), nullable=False),
        sa.Column("number", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("request_id", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("batch_id", "number", name=op.f("pk_erasure_batch_requests")),
        sa.ForeignKeyConstraint(
            ["batch_id"], ["erasure_batches.batch_id"], name=op.f("fk_erasure_batch_requests_batch_id")
        ),
        sa.ForeignKeyConstraint(
            ["request_id"], ["erasure_requests.request_id"], name=op.f("fk_erasure_batch_requests_request_id")
        ),
        sa.UniqueConstraint(
            "batch_id", "request_id", name=op.f("uq_erasure_batch_requests_batch_id_request_id")
        ),
    )


def _make_steps() -> None:
    op.create_table(
        "erasure_steps",
        sa.Column("batch_id", sa.String(64), nullable=False),
        sa.Column("ordinal", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("stage", sa.Integer, nullable=False),
        sa.Column("name", sa.String(512), nullable=False),
        sa.Column("begun_at", sa.DateTime(timezone=True)),
        sa.Column("done_at", sa.DateTime(timezone=True)),
        sa.Column("done", sa.Text),
        sa.Column("actor", sa.String(512), nullable=False),
        sa.PrimaryKeyConstraint("batch_id", "ordinal", name=op.f("pk_erasure_steps")),
        sa.ForeignKeyConstraint(
            ["batch_id"], ["erasure_batches.batch_id"], name=op.f("fk_erasure_steps_batch_id")
        ),
        sa.UniqueConstraint("batch_id", "name", name=op.f("uq_erasure_steps_batch_id_name")),
        sa.CheckConstraint("(done IS NULL) = (done_at IS NULL)", name=op.f("ck_erasure_steps_done")),
        sa.CheckConstraint("done_at IS NULL OR begun_at IS NOT NULL", name=op.f("ck_erasure_steps_begun")),
    )


def _sqlite() -> list[str]:
    made = []
    for table, same in _SAME.items():
        exists = f"EXISTS (SELECT 1 FROM {table} WHERE {same})"  # noqa: S608
        made += [
            _refusal(table, "once", "INSERT", exists),
            _refusal(table, "fixed", f"UPDATE OF {_FIXED[table]}"),
            _refusal(table, "no_delete", "DELETE"),
        ]
    return made + [_refusal(table, "moves_on", "UPDATE", when) for table, when in _MOVES_ON.items()]


def _refusal(table: str, name: str, event: str, when: str = "1") -> str:
    return (
        f"CREATE TRIGGER {table}_{name} BEFORE {event} ON {table} FOR EACH ROW WHEN {when}"
        f" BEGIN SELECT RAISE(ABORT, '{table} only move on'); END"
    )


def _postgresql() -> list[str]:
    function = """
        CREATE FUNCTION erasure_no_change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION 'erasures only move on'; END $$
    """
    whole = [
        f"CREATE TRIGGER {table}_{name} BEFORE {event} ON {table}"
        " FOR EACH STATEMENT EXECUTE FUNCTION erasure_no_change()"
        for table, fixed in _FIXED.items()
        for name, event in (("no_delete", "DELETE OR TRUNCATE"), ("fixed", f"UPDATE OF {fixed}"))
    ]
    rows = [
        f"CREATE TRIGGER {table}_moves_on BEFORE UPDATE ON {table}"
        f" FOR EACH ROW WHEN ({when}) EXECUTE FUNCTION erasure_no_change()"
        for table, when in _MOVES_ON.items()
    ]
    return [function, *whole, *rows]
