"""Measurements of charges: what was drawn, kept to be counted anew by any accountant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, insert, select

from airflow_veil.privacy.dp.loss import Loss
from airflow_veil.privacy.errors import BudgetError
from airflow_veil.privacy.ledger.budget import Event, Measurement
from airflow_veil.privacy.ledger.canonical import canonical_json, sha256_of
from airflow_veil.privacy.ledger.tables import budget_charges, budget_events

_NAMES = tuple(item.name for item in fields(Measurement) if item.name != "loss")


def add(connection: Connection, charge_id: str, drawn: Sequence[Measurement], now: datetime) -> str:
    """Keep the measurements of a charge.

    Returns:
        SHA-256 of their canonical JSON, in hex.

    Raises:
        BudgetError: A name or a number of one does not fit its column.
    """
    rows = [
        {"charge_id": charge_id, "ordinal": ordinal, "drawn_at": now, **_row(one)}
        for ordinal, one in enumerate(drawn, start=1)
    ]
    connection.execute(insert(budget_events), rows)
    return digest_of(drawn)


def digest_of(drawn: Sequence[Measurement]) -> str:
    """SHA-256 of the canonical JSON of measurements, in hex."""
    return sha256_of(canonical_json([as_dict(one) for one in drawn]))


def listed(connection: Connection, name: str | None, since: datetime | None) -> tuple[Event, ...]:
    """Measurements of an account or of all, the oldest first. See `Budgets.events`."""
    charge, row = budget_charges.c, budget_events.c
    wanted = select(budget_events, charge.budget, charge.period_key).join(
        budget_charges, charge.charge_id == row.charge_id
    )
    if name is not None:
        wanted = wanted.where(charge.budget == name)
    if since is not None:
        wanted = wanted.where(row.drawn_at >= since)
    found = connection.execute(wanted.order_by(row.drawn_at, row.charge_id, row.ordinal)).mappings()
    return tuple(_from_row(each) for each in found)


def units(loss: Loss) -> dict[str, int | None]:
    """A loss as the tables have it."""
    return {"epsilon": loss.epsilon, "rho": loss.rho, "delta": loss.delta}


def as_dict(one: Measurement) -> dict[str, Any]:
    """A measurement as plain data."""
    plain = {name: _plain(getattr(one, name)) for name in _NAMES}
    return plain | {"loss": one.loss.as_dict()}


def _plain(value: Any) -> Any:
    return value.astimezone(UTC).isoformat() if isinstance(value, datetime) else value


def _row(one: Measurement) -> dict[str, Any]:
    row = {name: getattr(one, name) for name in _NAMES}
    for name, value in row.items():
        longest = getattr(budget_events.c[name].type, "length", 0)
        if isinstance(value, str) and not 0 < len(value) <= longest:
            raise BudgetError(
                f"the {name} of a measurement does not fit", expected=f"1 to {longest} characters"
            )
    return row | units(one.loss)


def _from_row(row: Mapping[Any, Any]) -> Event:
    measurement = Measurement(
        **{name: row[name] for name in _NAMES}, loss=Loss(row["epsilon"], row["rho"], row["delta"])
    )
    kept = ("charge_id", "ordinal", "budget", "period_key", "drawn_at")
    return Event(measurement=measurement, **{name: row[name] for name in kept})
