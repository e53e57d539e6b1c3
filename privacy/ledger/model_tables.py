"""The table of models of synthetic data, beside those of `tables.py`."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from airflow_veil.privacy.ledger.tables import UtcDateTime, metadata

synthetic_models = Table(
    "synthetic_models",
    metadata,
    Column("model_id", String(64), primary_key=True),
    Column("policy", String(128), nullable=False),
    Column("synthesis", String(128), nullable=False),
    Column("specification", String(64), nullable=False),
    Column("data_version", String(64), nullable=False),
    Column("interval_key", String(512), nullable=False),
    Column("method", String(32), nullable=False),
    # Data sets with their names in lineage: by them erasure and retention find the model.
    Column("learned_from", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("charge_id", String(64), ForeignKey("budget_charges.charge_id")),
    # Of the sealed file.
    Column("digest", String(64)),
    Column("bytes", BigInteger),
    Column("key_version", Integer),
    Column("actor", String(512), nullable=False),
    Column("begun_at", UtcDateTime, nullable=False),
    Column("fitted_at", UtcDateTime),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
    Column("reason", Text),
    UniqueConstraint("charge_id"),
    CheckConstraint("state IN ('fitting', 'fitted', 'stale', 'expired', 'destroyed')", name="state"),
    CheckConstraint(
        "(fitted_at IS NULL) = (digest IS NULL) AND (digest IS NULL) = (bytes IS NULL)"
        " AND (digest IS NULL) = (key_version IS NULL)",
        name="sealed",
    ),
    CheckConstraint("state <> 'fitted' OR digest IS NOT NULL", name="fitted"),
    CheckConstraint(
        "(ended_at IS NULL) = (state IN ('fitting', 'fitted')) AND (ended_at IS NULL) = (reason IS NULL)",
        name="ended",
    ),
    Index(
        "ix_synthetic_models_one_fitted",
        "policy",
        "synthesis",
        "specification",
        "data_version",
        "interval_key",
        unique=True,
        sqlite_where=text("state = 'fitted'"),
        postgresql_where=text("state = 'fitted'"),
    ),
)
