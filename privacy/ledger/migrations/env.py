"""Runs the migrations on the connection, and in the transaction, that `schema.upgrade` hands over."""

from __future__ import annotations

from alembic import context

from airflow_veil.privacy.ledger.tables import VERSION_TABLE, metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
)
context.run_migrations()
