"""An index over whom evidence is about: certificates and retries look it up."""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_evidence_subject", "evidence", ["subject", "kind"])
