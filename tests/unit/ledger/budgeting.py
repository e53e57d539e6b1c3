"""Accounts, requests and measurements that tests of budgets share."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from airflow_veil.privacy.dp.loss import Limits, Loss
from airflow_veil.privacy.ledger.budget import Account, Claim, Measurement, Request, StoredAnswer
from airflow_veil.privacy.ledger.budgets import Budgets

ACTOR = "tester"
WHY = "ticket 4711: agreed with the people"
NOW = datetime(2026, 3, 15, 12, tzinfo=UTC)


def pure(epsilon: str) -> Loss:
    return Loss.pure(Decimal(epsilon))


def account(name: str = "people", **changed: Any) -> Account:
    """An account of epsilon 1 in all, unless it is changed."""
    return Account(**{"name": name, "unit": "customers.id", "limits": limits("1"), **changed})


def monthly(name: str = "people", **changed: Any) -> Account:
    """An account with months that start on the 31st."""
    period = {"per": "P1M", "starts": date(2026, 1, 31), "renewal": "each month has its own purpose"}
    return account(name, **period | changed)


def limits(epsilon: str, delta: str | None = None) -> Limits:
    return Limits(epsilon=Decimal(epsilon), delta=None if delta is None else Decimal(delta))


def request(interval: str = "2026-03-01", cost: str = "0.25", **changed: Any) -> Request:
    """A request for the answer of an interval."""
    return Request(
        **{
            "budget": "people",
            "query_digest": "q" * 64,
            "data_version": "d" * 64,
            "interval_key": interval,
            "loss": pure(cost),
            "policy": "retail",
            "dataset": "customers",
            "query": "by_region",
            **changed,
        }
    )


def measurement(loss: Loss | None = None, **changed: Any) -> Measurement:
    """A measurement that costs what a request does."""
    return Measurement(
        **{
            "statistic": "rows",
            "mechanism": "discrete laplace",
            "noise": "laplace",
            "sensitivity": "1",
            "scale": "4",
            "loss": loss or pure("0.25"),
            "unit": "customers.id",
            "dataset": "customers",
            "library": "opendp 0.16.0 contrib",
            "window_start": datetime(2026, 3, 1, tzinfo=UTC),
            "window_end": datetime(2026, 3, 2, tzinfo=UTC),
            **changed,
        }
    )


def claimed(budgets: Budgets, wanted: Request | None = None, **options: Any) -> Claim:
    """A claim, where there is no answer yet."""
    claim = budgets.reserve(wanted or request(), actor=ACTOR, **options)
    assert isinstance(claim, Claim)
    return claim


def answered(budgets: Budgets, wanted: Request | None = None, answer: bytes = b"answer") -> StoredAnswer:
    """An answer, drawn and stored."""
    claim = claimed(budgets, wanted)
    budgets.drawing(claim, [measurement(claim.request.loss)])
    return budgets.store(claim, answer)


def spent(budgets: Budgets, name: str = "people", now: datetime | None = None) -> str | None:
    """What is spent of epsilon in the period."""
    return budgets.statement(name, now).spent.as_dict()["epsilon"]
