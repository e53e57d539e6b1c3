"""Ledger errors that trying again does not help: Airflow then fails the task instead of retrying it."""

from __future__ import annotations

from airflow_veil.privacy.errors import LedgerError


def permanent(what: str, *, where: str = "", expected: str = "", fix: str = "") -> LedgerError:
    """A `LedgerError` with `retryable` false."""
    error = LedgerError(what, where=where, expected=expected, fix=fix)
    error.retryable = False
    return error
