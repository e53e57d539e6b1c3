"""The migrations of the ledger's tables; `airflow_veil.privacy.ledger.schema` runs them."""
