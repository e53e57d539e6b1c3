"""Suppression: who was erased and stays so; of each value a keyed hash."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "suppressed",
        sa.Column("policy", sa.String(128), nullable=False),
        sa.Column("domain", sa.String(512), nullable=False),
        sa.Column("key_version", sa.Integer, nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("request_id", sa.String(128), nullable=False),
        sa.Column("batch_id", sa.String(128), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        # The key is what must be unique.
        sa.PrimaryKeyConstraint("policy", "domain", "key_version", "hash", name=op.f("pk_suppressed")),
        sa.CheckConstraint("length(hash) = 64", name=op.f("ck_suppressed_hash")),
    )
    op.create_index("ix_suppressed_request", "suppressed", ["policy", "request_id"])
