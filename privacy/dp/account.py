"""The account that a policy's budget has in the ledger: whoever pays, for answers or for models, pays from it."""

from __future__ import annotations

from airflow_veil.privacy.dp.loss import Limits
from airflow_veil.privacy.ledger import budget as ledger
from airflow_veil.privacy.policy.differential_privacy import Budget


def account(name: str, declared: Budget) -> ledger.Account:
    """The account of a budget, as a policy declares it."""
    return ledger.Account(
        name=name,
        unit=declared.unit,
        limits=limits(declared),
        per=None if declared.per == "total" else declared.per,
        starts=declared.starts,
        renewal=declared.renew,
    )


def limits(declared: Budget) -> Limits:
    """What a budget allows."""
    return Limits(epsilon=declared.epsilon, rho=declared.rho, delta=declared.delta)
