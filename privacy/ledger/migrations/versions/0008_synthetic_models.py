"""Fitted models of synthetic data: what they learned from, under which digest they are sealed, what became of them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "synthetic_models",
        sa.Column("model_id", sa.String(64), nullable=False),
        sa.Column("policy", sa.String(128), nullable=False),
        sa.Column("synthesis", sa.String(128), nullable=False),
        sa.Column("specification", sa.String(64), nullable=False),
        sa.Column("data_version", sa.String(64), nullable=False),
        sa.Column("interval_key", sa.String(512), nullable=False),
        sa.Column("method", sa.String(32), nullable=False),
        sa.Column("learned_from", sa.Text, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("charge_id", sa.String(64)),
        sa.Column("digest", sa.String(64)),
        sa.Column("bytes", sa.BigInteger),
        sa.Column("key_version", sa.Integer),
        sa.Column("actor", sa.String(512), nullable=False),
        sa.Column("begun_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("fitted_at", sa.DateTime(timezone=True)),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
        sa.Column("reason", sa.Text),
        sa.PrimaryKeyConstraint("model_id", name=op.f("pk_synthetic_models")),
        sa.ForeignKeyConstraint(
            ["charge_id"], ["budget_charges.charge_id"], name=op.f("fk_synthetic_models_charge_id")
        ),
        sa.UniqueConstraint("charge_id", name=op.f("uq_synthetic_models_charge_id")),
        sa.CheckConstraint(
            "state IN ('fitting', 'fitted', 'stale', 'expired', 'destroyed')",
            name=op.f("ck_synthetic_models_state"),
        ),
        sa.CheckConstraint(
            "(fitted_at IS NULL) = (digest IS NULL) AND (digest IS NULL) = (bytes IS NULL)"
            " AND (digest IS NULL) = (key_version IS NULL)",
            name=op.f("ck_synthetic_models_sealed"),
        ),
        sa.CheckConstraint(
            "state <> 'fitted' OR digest IS NOT NULL", name=op.f("ck_synthetic_models_fitted")
        ),
        sa.CheckConstraint(
            "(ended_at IS NULL) = (state IN ('fitting', 'fitted')) AND (ended_at IS NULL) = (reason IS NULL)",
            name=op.f("ck_synthetic_models_ended"),
        ),
    )
    fitted = sa.text("state = 'fitted'")
    op.create_index(
        "ix_synthetic_models_one_fitted",
        "synthetic_models",
        ["policy", "synthesis", "specification", "data_version", "interval_key"],
        unique=True,
        sqlite_where=fitted,
        postgresql_where=fitted,
    )
