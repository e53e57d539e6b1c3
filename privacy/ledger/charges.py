"""What is charged to a privacy budget for an answer, and the answer.

```
reserve ──► reserved ──drawing──► drawing ──store──► stored, with the answer
             │    ▲ │                │
        void │    └─┘ lease over:    └─ crash: it stays so, and the money stays spent;
             ▼        another claims    who asks again pays again
            void      the same charge
```

Money is set aside before noise is drawn, and does not come back once it may have been: a crash leaves money spent,
never noise that nobody paid for. All that counts is decided in a transaction that holds the writer's lock, by the state
of the charge and the token of its claim. Leases only say when to stop waiting: clocks that differ cost money, and no
privacy.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, insert, select, update

from airflow_veil.privacy.dp.loss import Loss, fits, remaining, suits, told
from airflow_veil.privacy.errors import AnswerBusyError, BudgetError, BudgetExhaustedError
from airflow_veil.privacy.ledger import answers, measurements
from airflow_veil.privacy.ledger.accounts import account, note, spent_by_period
from airflow_veil.privacy.ledger.budget import (
    Account,
    Charge,
    ChargeState,
    Claim,
    Measurement,
    Period,
    Request,
    StoredAnswer,
    checked_reason,
)
from airflow_veil.privacy.ledger.record import utc_now
from airflow_veil.privacy.ledger.tables import budget_charges


def reserve(
    connection: Connection, request: Request, *, actor: str, now: datetime, lease_seconds: float
) -> Claim | StoredAnswer:
    """Set money aside for an answer, unless there is one. See `Budgets.reserve`."""
    stored = answers.find(connection, request.answer_id)
    if stored:
        return stored
    payer = account(connection, request.budget)
    period = payer.period_at(now)
    row = budget_charges.c
    under_way = _select(
        connection, row.answer_id == request.answer_id, row.state.in_(["reserved", "drawing"])
    )
    _check_free(request, under_way, now)
    claim = Claim(
        request=request,
        charge_id=secrets.token_hex(16),
        token=secrets.token_hex(16),
        period_key=period.key,
        actor=actor,
        lease_seconds=lease_seconds,
    )
    for charge in under_way:
        if charge.state is ChargeState.RESERVED:
            if (charge.period_key, charge.loss) == (period.key, request.loss):
                return _take_over(connection, charge, claim, now)
            _void_anothers(connection, charge, "its period is over, or the answer costs otherwise now")
    return _charge(connection, payer, period, claim, now)


def _void_abandoned(connection: Connection, payer: Account, period: Period, now: datetime) -> None:
    """Give back what is set aside for answers that nobody is at any more: nothing was drawn, and now nothing can be."""
    row = budget_charges.c
    wanted = (row.budget == payer.name, row.period_key == period.key, row.state == ChargeState.RESERVED.value)
    for charge in _select(connection, *wanted):
        if charge.lease_until <= now:
            _void_anothers(connection, charge, "nobody is at it any more, and nothing was drawn")


def _check_free(request: Request, under_way: Sequence[Charge], now: datetime) -> None:
    """Whoever is making the answer must have stopped: a drawing one may have crashed, or be late."""
    if any(charge.lease_until > now for charge in under_way):
        raise AnswerBusyError(
            "somebody else is making the same answer just now",
            where=request.where,
            fix="try again a little later: theirs will be yours",
        )


def _take_over(connection: Connection, charge: Charge, claim: Claim, now: datetime) -> Claim:
    """Go on with a charge of which nothing was drawn: its former holder can no longer begin to."""
    taken = replace(claim, charge_id=charge.charge_id)
    _update(connection, taken.charge_id, {"claim": taken.token, "actor": taken.actor, **_lease(taken, now)})
    return taken


def _charge(connection: Connection, payer: Account, period: Period, claim: Claim, now: datetime) -> Claim:
    """Charge the account anew, if what is left allows it."""
    request = claim.request
    by_period = spent_by_period(connection, payer.name)
    if not fits(payer.limits, by_period.get(period.key, Loss()) + request.loss):
        _void_abandoned(connection, payer, period, now)
        by_period = spent_by_period(connection, payer.name)
    _check_pays(payer, period, by_period.get(period.key, Loss()), request)
    if by_period and period.start and period.key not in by_period:
        renewed = {"period": period.key, "renewal": payer.renewal}
        note(connection, "budget.renewed", payer.name, renewed, claim.actor)
    if request.again:
        asked = {"answer": claim.answer_id, "again": request.again, "reason": request.reason}
        note(connection, "budget.asked_again", payer.name, asked | _names(request), claim.actor)
    connection.execute(insert(budget_charges), _row(claim, now))
    note(connection, "budget.charged", payer.name, _told(claim), claim.actor)
    return claim


def _check_pays(payer: Account, period: Period, spent: Loss, request: Request) -> None:
    if not suits(payer.limits, request.loss):
        raise BudgetError(
            f"the budget allows {told(payer.limits)}, and {request.loss} is no amount of it",
            where=f"{request.where}, {payer.where}",
            expected="pure noise without thresholds where epsilon has no delta; thresholds where there is a delta",
            fix="spend what the budget counts, or draw on another",
        )
    if fits(payer.limits, spent + request.loss):
        return
    raise BudgetExhaustedError(
        f"the answer costs {request.loss}, and of {told(payer.limits)} there is left: "
        f"{remaining(payer.limits, spent)}",
        where=f"{request.where}, {payer.where}",
        fix=(f"wait until {period.end:%Y-%m-%d}, when the next period begins; or " if period.end else "")
        + f"raise the limit with `veil budget change {payer.name} … --reason …`",
    )


def renew_lease(connection: Connection, claim: Claim, now: datetime) -> Claim:
    """Keep a claim for longer. See `Budgets.renew_lease`."""
    charge = _held(connection, claim)
    if charge.state in (ChargeState.RESERVED, ChargeState.DRAWING):
        _update(connection, claim.charge_id, _lease(claim, now))
    return claim


def drawing(connection: Connection, claim: Claim, drawn: Sequence[Measurement], now: datetime) -> Claim:
    """Say what is about to be drawn. See `Budgets.drawing`."""
    charge = _held(connection, claim)
    if charge.state is not ChargeState.RESERVED:
        raise BudgetError(
            f"the charge is {charge.state}, so nothing more can be drawn for it",
            where=claim.request.where,
            fix="reserve again",
        )
    losses = sum((one.loss for one in drawn), Loss())
    if not drawn or not charge.loss.covers(losses):
        raise BudgetError(
            f"{len(drawn)} measurements that cost {losses} are not covered by the charge of {charge.loss}",
            where=claim.request.where,
            fix="reserve the sum of all that is drawn",
        )
    _update(connection, claim.charge_id, {"state": ChargeState.DRAWING.value, **_lease(claim, now)})
    digest = measurements.add(connection, claim.charge_id, drawn, now)
    payload = {"charge": claim.charge_id, "measurements": len(drawn), "digest": digest}
    note(connection, "budget.drawn", charge.budget, payload | {"loss": losses.as_dict()}, claim.actor)
    return claim


def store(connection: Connection, claim: Claim, answer: bytes) -> StoredAnswer:
    """Keep an answer. See `Budgets.store`."""
    stored = answers.find(connection, claim.answer_id)
    if stored:
        return stored
    charge = _held(connection, claim)
    if charge.state is not ChargeState.DRAWING:
        raise BudgetError(
            f"the charge is {charge.state}, so it has no answer to store",
            where=claim.request.where,
            expected="a charge that was drawn for",
        )
    _update(connection, claim.charge_id, {"state": ChargeState.STORED.value})
    kept = answers.add(connection, claim, answer)
    row = budget_charges.c
    for late in _select(connection, row.answer_id == kept.answer_id, row.state == ChargeState.RESERVED):
        _void_anothers(connection, late, "the answer was stored meanwhile")
    payload = {"answer": kept.answer_id, "charge": kept.charge_id, "digest": kept.answer_digest}
    note(connection, "answer.stored", charge.budget, payload | _names(claim.request), claim.actor)
    return kept


def void(connection: Connection, claim: Claim, reason: str) -> None:
    """Give money back. See `Budgets.void`."""
    charge = _held(connection, claim)
    why = checked_reason(reason, where=claim.request.where)
    if charge.state is ChargeState.VOID:
        return
    if charge.state is not ChargeState.RESERVED:
        raise BudgetError(
            f"the charge is {charge.state}: noise may have been drawn, so the money stays spent",
            where=claim.request.where,
        )
    _void(connection, charge, why)


def _void_anothers(connection: Connection, charge: Charge, reason: str) -> None:
    """Give back what another has set aside; their claim is lost to them, and tells them to ask again."""
    _update(connection, charge.charge_id, {"claim": secrets.token_hex(16)})
    _void(connection, charge, reason)


def _void(connection: Connection, charge: Charge, reason: str) -> None:
    _update(connection, charge.charge_id, {"state": ChargeState.VOID.value})
    payload = {"charge": charge.charge_id, "answer": charge.answer_id, "loss": charge.loss.as_dict()}
    note(connection, "budget.voided", charge.budget, payload | {"reason": reason}, charge.actor)


def listed(connection: Connection, name: str) -> tuple[Charge, ...]:
    """The charges of an account, the oldest first."""
    return tuple(_select(connection, budget_charges.c.budget == name))


def _held(connection: Connection, claim: Claim) -> Charge:
    """The charge, if the claim is still good.

    Raises:
        AnswerBusyError: Another has taken it over.
    """
    row = budget_charges.c
    found = _select(connection, row.charge_id == claim.charge_id, row.claim == claim.token)
    if not found:
        raise AnswerBusyError(
            "the lease was over, and another has taken over the answer",
            where=claim.request.where,
            fix="try again: theirs will be yours",
        )
    return found[0]


def _select(connection: Connection, *conditions: ColumnElement[bool]) -> list[Charge]:
    row = budget_charges.c
    oldest_first = (row.created_at, row.charge_id)
    found = connection.execute(select(budget_charges).where(*conditions).order_by(*oldest_first))
    return [_from_row(dict(each)) for each in found.mappings()]


def _update(connection: Connection, charge_id: str, values: Mapping[str, Any]) -> None:
    row = budget_charges.c
    connection.execute(update(budget_charges).where(row.charge_id == charge_id).values(dict(values)))


def _lease(claim: Claim, now: datetime) -> dict[str, datetime]:
    return {"lease_until": now + timedelta(seconds=claim.lease_seconds)}


def _names(request: Request) -> dict[str, str]:
    words = ("policy", "dataset", "query", "interval_key")
    return {word: getattr(request, word) for word in words}


def _told(claim: Claim) -> dict[str, Any]:
    return {
        "charge": claim.charge_id,
        "answer": claim.answer_id,
        "period": claim.period_key,
        "loss": claim.request.loss.as_dict(),
        **_names(claim.request),
    }


def _row(claim: Claim, now: datetime) -> dict[str, Any]:
    request = claim.request
    return {
        "charge_id": claim.charge_id,
        "budget": request.budget,
        "period_key": claim.period_key,
        "answer_id": claim.answer_id,
        "state": ChargeState.RESERVED.value,
        **measurements.units(request.loss),
        **_names(request),
        "reason": request.reason or None,
        "claim": claim.token,
        "actor": claim.actor,
        "created_at": utc_now(),
        **_lease(claim, now),
    }


def _from_row(row: dict[str, Any]) -> Charge:
    loss = Loss(row["epsilon"], row["rho"], row["delta"])
    kept = {item.name: row[item.name] for item in fields(Charge) if item.name != "loss"}
    return Charge(**kept | {"state": ChargeState(row["state"]), "loss": loss})
