"""Privacy budgets: accounts, what is charged to them, what was measured for it, and answers.

There is no way down: what was spent stays spent.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_LOSS = "(epsilon IS NULL OR epsilon >= 0) AND rho >= 0 AND delta >= 0"
_WRITTEN_ONCE = {
    "budget_events": "charge_id = NEW.charge_id AND ordinal = NEW.ordinal",
    "dp_answers": "answer_id = NEW.answer_id OR charge_id = NEW.charge_id",
}
"""What is only added to; and which rows a new one would replace, which SQLite does without asking DELETE's triggers."""
_MOVES_ON = """
    OLD.state <> NEW.state AND NOT
    (OLD.state = 'reserved' AND NEW.state IN ('drawing', 'void') OR OLD.state = 'drawing' AND NEW.state = 'stored')
"""
_FIXED = "charge_id, budget, period_key, answer_id, epsilon, rho, delta"
"""What of a charge never changes: money does not come back but from a charge that is void."""


def upgrade() -> None:
    _make_budgets()
    _make_charges()
    _make_events()
    _make_answers()
    for statement in {"sqlite": _sqlite, "postgresql": _postgresql}[op.get_bind().dialect.name]():
        op.execute(statement)


def _loss_columns() -> tuple[sa.Column[int], ...]:
    return (
        sa.Column("epsilon", sa.BigInteger),
        sa.Column("rho", sa.BigInteger, nullable=False),
        sa.Column("delta", sa.BigInteger, nullable=False),
    )


def _make_budgets() -> None:
    op.create_table(
        "budgets",
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("unit", sa.String(512), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("epsilon", sa.String(64)),
        sa.Column("rho", sa.String(64)),
        sa.Column("delta", sa.String(64)),
        sa.Column("period", sa.String(32)),
        sa.Column("period_anchor", sa.Date),
        sa.Column("renewal", sa.Text),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_budgets")),
        sa.CheckConstraint(
            "(kind = 'pure' AND epsilon IS NOT NULL AND rho IS NULL AND delta IS NULL)"
            " OR (kind = 'approx' AND epsilon IS NOT NULL AND rho IS NULL AND delta IS NOT NULL)"
            " OR (kind = 'zcdp' AND epsilon IS NULL AND rho IS NOT NULL)",
            name=op.f("ck_budgets_kind"),
        ),
        sa.CheckConstraint(
            "(period IS NULL AND period_anchor IS NULL AND renewal IS NULL)"
            " OR (period IS NOT NULL AND period_anchor IS NOT NULL AND renewal IS NOT NULL)",
            name=op.f("ck_budgets_period"),
        ),
    )


def _make_charges() -> None:
    op.create_table(
        "budget_charges",
        sa.Column("charge_id", sa.String(64), nullable=False),
        sa.Column("budget", sa.String(128), nullable=False),
        sa.Column("period_key", sa.String(16), nullable=False),
        sa.Column("answer_id", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        *_loss_columns(),
        sa.Column("policy", sa.String(128), nullable=False),
        sa.Column("dataset", sa.String(128), nullable=False),
        sa.Column("query", sa.String(128), nullable=False),
        sa.Column("interval_key", sa.String(512), nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("claim", sa.String(64), nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.String(512), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("charge_id", name=op.f("pk_budget_charges")),
        sa.ForeignKeyConstraint(["budget"], ["budgets.name"], name=op.f("fk_budget_charges_budget")),
        sa.CheckConstraint(
            "state IN ('reserved', 'drawing', 'stored', 'void')", name=op.f("ck_budget_charges_state")
        ),
        sa.CheckConstraint(_LOSS, name=op.f("ck_budget_charges_loss")),
    )
    op.create_index("ix_budget_charges_period", "budget_charges", ["budget", "period_key"])
    op.create_index("ix_budget_charges_answer", "budget_charges", ["answer_id"])


def _make_events() -> None:
    op.create_table(
        "budget_events",
        sa.Column("charge_id", sa.String(64), nullable=False),
        sa.Column("ordinal", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("statistic", sa.String(512), nullable=False),
        sa.Column("mechanism", sa.String(128), nullable=False),
        sa.Column("noise", sa.String(64), nullable=False),
        sa.Column("sensitivity", sa.String(128), nullable=False),
        sa.Column("scale", sa.String(128), nullable=False),
        *_loss_columns(),
        sa.Column("unit", sa.String(512), nullable=False),
        sa.Column("dataset", sa.String(128), nullable=False),
        sa.Column("window_start", sa.DateTime(timezone=True)),
        sa.Column("window_end", sa.DateTime(timezone=True)),
        sa.Column("library", sa.String(128), nullable=False),
        sa.Column("drawn_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("charge_id", "ordinal", name=op.f("pk_budget_events")),
        sa.ForeignKeyConstraint(
            ["charge_id"], ["budget_charges.charge_id"], name=op.f("fk_budget_events_charge_id")
        ),
        sa.CheckConstraint(_LOSS, name=op.f("ck_budget_events_loss")),
    )


def _make_answers() -> None:
    op.create_table(
        "dp_answers",
        sa.Column("answer_id", sa.String(64), nullable=False),
        sa.Column("charge_id", sa.String(64), nullable=False),
        sa.Column("query_digest", sa.String(128), nullable=False),
        sa.Column("data_version", sa.String(128), nullable=False),
        sa.Column("interval_key", sa.String(512), nullable=False),
        sa.Column("again", sa.String(128), nullable=False),
        sa.Column("answer", sa.LargeBinary, nullable=False),
        sa.Column("answer_digest", sa.String(64), nullable=False),
        sa.Column("stored_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("answer_id", name=op.f("pk_dp_answers")),
        sa.ForeignKeyConstraint(
            ["charge_id"], ["budget_charges.charge_id"], name=op.f("fk_dp_answers_charge_id")
        ),
        sa.UniqueConstraint("charge_id", name=op.f("uq_dp_answers_charge_id")),
    )


def _sqlite() -> list[str]:
    made = []
    for table, same in _WRITTEN_ONCE.items():
        made += [
            _refusal(table, "once", "INSERT", _exists(table, same)),
            _refusal(table, "no_update", "UPDATE"),
            _refusal(table, "no_delete", "DELETE"),
        ]
    same = _exists("budget_charges", "charge_id = NEW.charge_id")
    return [
        *made,
        _refusal("budget_charges", "once", "INSERT", same),
        _refusal("budget_charges", "fixed", f"UPDATE OF {_FIXED}"),
        _refusal("budget_charges", "moves_on", "UPDATE", _MOVES_ON),
        _refusal("budget_charges", "no_delete", "DELETE"),
    ]


def _exists(table: str, same: str) -> str:
    return f"EXISTS (SELECT 1 FROM {table} WHERE {same})"  # noqa: S608


def _refusal(table: str, name: str, event: str, when: str = "1") -> str:
    return (
        f"CREATE TRIGGER {table}_{name} BEFORE {event} ON {table} FOR EACH ROW WHEN {when}"
        f" BEGIN SELECT RAISE(ABORT, '{table} is only added to'); END"
    )


def _postgresql() -> list[str]:
    whole = [(table, "no_change", "UPDATE OR DELETE OR TRUNCATE") for table in _WRITTEN_ONCE]
    whole += [
        ("budget_charges", "no_delete", "DELETE OR TRUNCATE"),
        ("budget_charges", "fixed", f"UPDATE OF {_FIXED}"),
    ]
    function = """
        CREATE FUNCTION budgets_no_change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION 'budgets are only added to'; END $$
    """
    on_whole = [
        f"CREATE TRIGGER {table}_{name} BEFORE {event} ON {table}"
        " FOR EACH STATEMENT EXECUTE FUNCTION budgets_no_change()"
        for table, name, event in whole
    ]
    on_rows = f"""
        CREATE TRIGGER budget_charges_moves_on BEFORE UPDATE ON budget_charges
        FOR EACH ROW WHEN ({_MOVES_ON}) EXECUTE FUNCTION budgets_no_change()
    """
    return [function, *on_whole, on_rows]
