"""Retention: what runs deleted, by which clock; and holds, which keep rows from them.

Of a held subject only a keyed hash is kept.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _make_runs()
    _make_holds()


def _make_runs() -> None:
    op.create_table(
        "retention_runs",
        sa.Column("run_id", sa.String(64), nullable=False),
        sa.Column("policy", sa.String(128), nullable=False),
        sa.Column("dataset", sa.String(128), nullable=False),
        sa.Column("cut_off", sa.DateTime(timezone=True), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("planned", sa.Text, nullable=False),
        sa.Column("done", sa.Text),
        sa.Column("actor", sa.String(512), nullable=False),
        sa.Column("approved_by", sa.String(512)),
        sa.Column("approval", sa.Text),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("run_id", name=op.f("pk_retention_runs")),
        sa.CheckConstraint(
            "(approved_by IS NULL) = (approval IS NULL)", name=op.f("ck_retention_runs_approval")
        ),
        sa.CheckConstraint("(done IS NULL) = (finished_at IS NULL)", name=op.f("ck_retention_runs_finished")),
    )
    op.create_index("ix_retention_runs_dataset", "retention_runs", ["policy", "dataset", "at"])


def _make_holds() -> None:
    op.create_table(
        "holds",
        sa.Column("hold_id", sa.String(64), nullable=False),
        sa.Column("policy", sa.String(128), nullable=False),
        sa.Column("dataset", sa.String(128), nullable=False),
        sa.Column("domain", sa.String(512)),
        sa.Column("key_version", sa.Integer),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("placed_by", sa.String(512), nullable=False),
        sa.Column("placed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lifted_by", sa.String(512)),
        sa.Column("lifted_at", sa.DateTime(timezone=True)),
        sa.Column("lift_reason", sa.Text),
        sa.PrimaryKeyConstraint("hold_id", name=op.f("pk_holds")),
        sa.CheckConstraint("(domain IS NULL) = (key_version IS NULL)", name=op.f("ck_holds_subjects")),
        sa.CheckConstraint(
            "(lifted_at IS NULL) = (lifted_by IS NULL) AND (lifted_at IS NULL) = (lift_reason IS NULL)",
            name=op.f("ck_holds_lifted"),
        ),
    )
    op.create_index("ix_holds_dataset", "holds", ["policy", "dataset"])
    op.create_table(
        "hold_subjects",
        sa.Column("hold_id", sa.String(64), nullable=False),
        sa.Column("subject", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("hold_id", "subject", name=op.f("pk_hold_subjects")),
        sa.ForeignKeyConstraint(["hold_id"], ["holds.hold_id"], name=op.f("fk_hold_subjects_hold_id")),
    )
