"""The tables of the ledger, the same on SQLite and PostgreSQL; `migrations/` makes them.

What the tables themselves cannot say, that evidence, measurements and answers are neither changed nor deleted but
for payloads that are erased, and that charges, requests for erasure and their steps only move on, triggers do: see
the migrations.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)

from airflow_veil.privacy.errors import InternalError

VERSION_TABLE = "ledger_version"
"""Not Alembic's usual name: the ledger can never take another application's schema version for its own."""

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)


class UtcDateTime(TypeDecorator[datetime]):
    """An aware time in UTC; SQLite, which knows no time zones, stores it without one."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """An aware time to what the database takes."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise InternalError("a time without a time zone", where="ledger")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """What the database gives to an aware time in UTC."""
        if value is None:
            return None
        time: datetime = value.replace(tzinfo=UTC) if dialect.name == "sqlite" else value.astimezone(UTC)
        return time


evidence = Table(
    "evidence",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("recorded_at", UtcDateTime, nullable=False),
    Column("kind", String(64), nullable=False),
    Column("actor", String(512), nullable=False),
    Column("subject", String(512), nullable=False),
    # Null once they are erased, both together.
    Column("payload", Text),
    Column("salt", String(64)),
    Column("payload_digest", String(64), nullable=False),
    Column("prev_digest", String(64), nullable=False),
    Column("digest", String(64), nullable=False),
    CheckConstraint("seq > 0", name="seq"),
    Index("ix_evidence_subject", "subject", "kind"),
)

evidence_nodes = Table(
    "evidence_nodes",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    # The Merkle tree's full subtrees that end with this entry, 32 bytes each, the entry's own leaf first.
    Column("hashes", LargeBinary, nullable=False),
    CheckConstraint("seq > 0", name="seq"),
)

releases = Table(
    "releases",
    metadata,
    Column("release_id", String(128), primary_key=True),
    Column("policy", String(128), nullable=False),
    Column("dataset", String(128), nullable=False),
    Column("destination", Text, nullable=False),
    Column("run_key", String(512), nullable=False),
    Column("interval_start", UtcDateTime),
    Column("interval_end", UtcDateTime),
    Column("state", String(16), nullable=False),
    Column("policy_digest", String(64), nullable=False),
    Column("plan_digest", String(64), nullable=False),
    Column("manifest_digest", String(64)),
    Column("manifest", Text),
    Column("rows_out", BigInteger),
    Column("created_at", UtcDateTime, nullable=False),
    Column("published_at", UtcDateTime),
    Column("published_seq", BigInteger, ForeignKey("evidence.seq")),
    Column("expires_at", UtcDateTime),
    UniqueConstraint("policy", "dataset", "run_key"),
    CheckConstraint(
        "state IN ('staged', 'current', 'superseded', 'rolled_back', 'expired', 'discarded')", name="state"
    ),
    CheckConstraint(
        "state IN ('staged', 'discarded') OR"
        " (manifest IS NOT NULL AND manifest_digest IS NOT NULL AND rows_out IS NOT NULL"
        " AND published_at IS NOT NULL AND published_seq IS NOT NULL)",
        name="published",
    ),
    Index(
        "ix_releases_one_current",
        "policy",
        "dataset",
        "destination",
        unique=True,
        sqlite_where=Column("state", String) == "current",
        postgresql_where=Column("state", String) == "current",
    ),
)

budgets = Table(
    "budgets",
    metadata,
    Column("name", String(128), primary_key=True),
    Column("unit", String(512), nullable=False),
    Column("kind", String(16), nullable=False),
    # Decimal texts: what a policy declares is compared with them, so they are exact.
    Column("epsilon", String(64)),
    Column("rho", String(64)),
    Column("delta", String(64)),
    Column("period", String(32)),
    Column("period_anchor", Date),
    Column("renewal", Text),
    Column("created_at", UtcDateTime, nullable=False),
    CheckConstraint(
        "(kind = 'pure' AND epsilon IS NOT NULL AND rho IS NULL AND delta IS NULL)"
        " OR (kind = 'approx' AND epsilon IS NOT NULL AND rho IS NULL AND delta IS NOT NULL)"
        " OR (kind = 'zcdp' AND epsilon IS NULL AND rho IS NOT NULL)",
        name="kind",
    ),
    CheckConstraint(
        "(period IS NULL AND period_anchor IS NULL AND renewal IS NULL)"
        " OR (period IS NOT NULL AND period_anchor IS NOT NULL AND renewal IS NOT NULL)",
        name="period",
    ),
)

budget_charges = Table(
    "budget_charges",
    metadata,
    Column("charge_id", String(64), primary_key=True),
    Column("budget", String(128), ForeignKey("budgets.name"), nullable=False),
    Column("period_key", String(16), nullable=False),
    Column("answer_id", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    # Whole units: see `privacy.dp.loss`.
    Column("epsilon", BigInteger),
    Column("rho", BigInteger, nullable=False),
    Column("delta", BigInteger, nullable=False),
    Column("policy", String(128), nullable=False),
    Column("dataset", String(128), nullable=False),
    Column("query", String(128), nullable=False),
    Column("interval_key", String(512), nullable=False),
    Column("reason", Text),
    Column("claim", String(64), nullable=False),
    Column("lease_until", UtcDateTime, nullable=False),
    Column("actor", String(512), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    CheckConstraint("state IN ('reserved', 'drawing', 'stored', 'void')", name="state"),
    CheckConstraint("(epsilon IS NULL OR epsilon >= 0) AND rho >= 0 AND delta >= 0", name="loss"),
    Index("ix_budget_charges_period", "budget", "period_key"),
    Index("ix_budget_charges_answer", "answer_id"),
)

budget_events = Table(
    "budget_events",
    metadata,
    Column("charge_id", String(64), ForeignKey("budget_charges.charge_id"), primary_key=True),
    Column("ordinal", Integer, primary_key=True, autoincrement=False),
    Column("statistic", String(512), nullable=False),
    Column("mechanism", String(128), nullable=False),
    Column("noise", String(64), nullable=False),
    Column("sensitivity", String(128), nullable=False),
    Column("scale", String(128), nullable=False),
    Column("epsilon", BigInteger),
    Column("rho", BigInteger, nullable=False),
    Column("delta", BigInteger, nullable=False),
    Column("unit", String(512), nullable=False),
    Column("dataset", String(128), nullable=False),
    Column("window_start", UtcDateTime),
    Column("window_end", UtcDateTime),
    Column("library", String(128), nullable=False),
    Column("drawn_at", UtcDateTime, nullable=False),
    CheckConstraint("(epsilon IS NULL OR epsilon >= 0) AND rho >= 0 AND delta >= 0", name="loss"),
)

dp_answers = Table(
    "dp_answers",
    metadata,
    Column("answer_id", String(64), primary_key=True),
    Column("charge_id", String(64), ForeignKey("budget_charges.charge_id"), nullable=False),
    Column("query_digest", String(128), nullable=False),
    Column("data_version", String(128), nullable=False),
    Column("interval_key", String(512), nullable=False),
    Column("again", String(128), nullable=False),
    Column("answer", LargeBinary, nullable=False),
    Column("answer_digest", String(64), nullable=False),
    Column("stored_at", UtcDateTime, nullable=False),
    UniqueConstraint("charge_id"),
)

retention_runs = Table(
    "retention_runs",
    metadata,
    Column("run_id", String(64), primary_key=True),
    Column("policy", String(128), nullable=False),
    Column("dataset", String(128), nullable=False),
    Column("cut_off", UtcDateTime, nullable=False),
    # By which clock: what the next run's clock is compared with.
    Column("at", UtcDateTime, nullable=False),
    Column("planned", Text, nullable=False),
    Column("done", Text),
    Column("actor", String(512), nullable=False),
    Column("approved_by", String(512)),
    Column("approval", Text),
    Column("started_at", UtcDateTime, nullable=False),
    Column("finished_at", UtcDateTime),
    CheckConstraint("(approved_by IS NULL) = (approval IS NULL)", name="approval"),
    CheckConstraint("(done IS NULL) = (finished_at IS NULL)", name="finished"),
    Index("ix_retention_runs_dataset", "policy", "dataset", "at"),
)

holds = Table(
    "holds",
    metadata,
    Column("hold_id", String(64), primary_key=True),
    Column("policy", String(128), nullable=False),
    Column("dataset", String(128), nullable=False),
    # How subjects are hashed; without a version all rows of the data set are held.
    Column("domain", String(512)),
    Column("key_version", Integer),
    Column("reason", Text, nullable=False),
    Column("placed_by", String(512), nullable=False),
    Column("placed_at", UtcDateTime, nullable=False),
    Column("lifted_by", String(512)),
    Column("lifted_at", UtcDateTime),
    Column("lift_reason", Text),
    CheckConstraint("(domain IS NULL) = (key_version IS NULL)", name="subjects"),
    CheckConstraint(
        "(lifted_at IS NULL) = (lifted_by IS NULL) AND (lifted_at IS NULL) = (lift_reason IS NULL)",
        name="lifted",
    ),
    Index("ix_holds_dataset", "policy", "dataset"),
)

hold_subjects = Table(
    "hold_subjects",
    metadata,
    Column("hold_id", String(64), ForeignKey("holds.hold_id"), primary_key=True),
    Column("subject", String(64), primary_key=True),
)

suppressed = Table(
    "suppressed",
    metadata,
    Column("policy", String(128), primary_key=True),
    Column("domain", String(512), primary_key=True),
    Column("key_version", Integer, primary_key=True, autoincrement=False),
    Column("hash", String(64), primary_key=True),
    Column("request_id", String(128), nullable=False),
    Column("batch_id", String(128), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    # A value that got here by mistake is refused, not kept.
    CheckConstraint("length(hash) = 64", name="hash"),
    Index("ix_suppressed_request", "policy", "request_id"),
)

erasure_batches = Table(
    "erasure_batches",
    metadata,
    Column("batch_id", String(64), primary_key=True),
    Column("policy", String(128), nullable=False),
    # The closure of identifiers, sealed; null before the batch is frozen and once it is concluded.
    Column("sealed", LargeBinary),
    Column("key_version", Integer),
    Column("plan", Text),
    Column("verified", Text),
    Column("begun_by", String(512), nullable=False),
    Column("begun_at", UtcDateTime, nullable=False),
    # What was lifted since is told by evidence, not by clocks.
    Column("begun_seq", BigInteger, ForeignKey("evidence.seq"), nullable=False),
    Column("frozen_at", UtcDateTime),
    Column("concluded_at", UtcDateTime),
    Column("abandoned_at", UtcDateTime),
    CheckConstraint(
        "(frozen_at IS NULL) = (plan IS NULL) AND (frozen_at IS NULL) = (key_version IS NULL)", name="frozen"
    ),
    CheckConstraint(
        "(sealed IS NULL) = (frozen_at IS NULL OR concluded_at IS NOT NULL)",
        name="sealed",
    ),
    CheckConstraint("verified IS NULL OR frozen_at IS NOT NULL", name="verified"),
    CheckConstraint(
        "abandoned_at IS NULL OR (frozen_at IS NULL AND concluded_at IS NULL)",
        name="abandoned",
    ),
    Index(
        "ix_erasure_batches_one_open",
        "policy",
        unique=True,
        sqlite_where=text("concluded_at IS NULL AND abandoned_at IS NULL"),
        postgresql_where=text("concluded_at IS NULL AND abandoned_at IS NULL"),
    ),
)

erasure_requests = Table(
    "erasure_requests",
    metadata,
    Column("request_id", String(64), primary_key=True),
    Column("policy", String(128), nullable=False),
    Column("state", String(16), nullable=False),
    Column("identifiers", Text, nullable=False),
    Column("subject", String(64), nullable=False),
    Column("key_version", Integer, nullable=False),
    # What the person is named by, sealed, and what else was known when a batch left some; null once it is destroyed.
    Column("sealed", LargeBinary),
    Column("requested_by", String(512), nullable=False),
    Column("requested_at", UtcDateTime, nullable=False),
    # Whose days deadlines are counted in.
    Column("time_zone", String(64), nullable=False),
    # Without extensions.
    Column("first_due_at", UtcDateTime, nullable=False),
    Column("due_at", UtcDateTime, nullable=False),
    Column("paused_at", UtcDateTime),
    Column("paused_reason", Text),
    Column("batch_id", String(64), ForeignKey("erasure_batches.batch_id")),
    Column("outcome", Text),
    Column("finished_at", UtcDateTime),
    CheckConstraint(
        "state IN ('waiting', 'erasing', 'held', 'incomplete', 'complete', 'cancelled')", name="state"
    ),
    CheckConstraint("(sealed IS NULL) = (state IN ('complete', 'cancelled'))", name="sealed"),
    CheckConstraint("(paused_at IS NULL) = (paused_reason IS NULL)", name="paused"),
    CheckConstraint("state <> 'erasing' OR (batch_id IS NOT NULL AND paused_at IS NULL)", name="erasing"),
    CheckConstraint("(finished_at IS NULL) = (state IN ('waiting', 'erasing'))", name="finished"),
    Index(
        "ix_erasure_requests_one_open",
        "policy",
        "subject",
        unique=True,
        sqlite_where=text("sealed IS NOT NULL"),
        postgresql_where=text("sealed IS NOT NULL"),
    ),
    Index("ix_erasure_requests_due", "policy", "state", "due_at"),
)

erasure_batch_requests = Table(
    "erasure_batch_requests",
    metadata,
    Column("batch_id", String(64), ForeignKey("erasure_batches.batch_id"), primary_key=True),
    # The owner's number in the closure.
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("request_id", String(64), ForeignKey("erasure_requests.request_id"), nullable=False),
    UniqueConstraint("batch_id", "request_id"),
)

erasure_steps = Table(
    "erasure_steps",
    metadata,
    Column("batch_id", String(64), ForeignKey("erasure_batches.batch_id"), primary_key=True),
    Column("ordinal", Integer, primary_key=True, autoincrement=False),
    Column("stage", Integer, nullable=False),
    Column("name", String(512), nullable=False),
    Column("begun_at", UtcDateTime),
    Column("done_at", UtcDateTime),
    Column("done", Text),
    Column("actor", String(512), nullable=False),
    UniqueConstraint("batch_id", "name"),
    CheckConstraint("(done IS NULL) = (done_at IS NULL)", name="done"),
    CheckConstraint("done_at IS NULL OR begun_at IS NOT NULL", name="begun"),
)
