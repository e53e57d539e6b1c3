"""Accounts of privacy budgets: what they allow, what is spent, and how a limit changes.

Every function here runs in a transaction; those that write hold the writer's lock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Connection, case, func, insert, select, update

from airflow_veil.privacy.dp.loss import Limits, Loss, fits, remaining, text_of, told
from airflow_veil.privacy.errors import BudgetError, BudgetExhaustedError
from airflow_veil.privacy.ledger import evidence
from airflow_veil.privacy.ledger.budget import Account, ChargeState, Period, Statement, checked_reason
from airflow_veil.privacy.ledger.record import utc_now
from airflow_veil.privacy.ledger.tables import budget_charges, budgets


def open_account(connection: Connection, account: Account, *, actor: str) -> Account:
    """Make an account, or confirm that it is as declared. See `Budgets.open`."""
    existing = _found(connection, account.name)
    if existing is None:
        connection.execute(insert(budgets), _row(account) | {"created_at": utc_now()})
        note(connection, "budget.opened", account.name, _declared(account), actor)
        return account
    _confirm(existing, account)
    return existing


def _confirm(existing: Account, declared: Account) -> None:
    """Check that the ledger's account is the declared one; why it is renewed may be worded anew."""
    fixed = ("unit", "per", "starts")
    differing = [word for word in fixed if getattr(existing, word) != getattr(declared, word)]
    if differing or existing.limits.kind != declared.limits.kind:
        raise BudgetError(
            f"the policy declares {_told(declared)}, and the ledger has {_told(existing)}",
            where=declared.where,
            fix="declare what the ledger has, or give the budget another name",
        )
    if existing.limits != declared.limits:
        raise BudgetError(
            f"the policy allows {told(declared.limits)}, and the ledger {told(existing.limits)}",
            where=declared.where,
            fix=f"`veil budget change {declared.name} {_options(declared.limits)} --reason …`, or correct the policy",
        )


def _told(account: Account) -> str:
    period = f"every {account.per} from {account.starts}" if account.per else "in total"
    return f"{told(account.limits)} {period} for each {account.unit}"


def _options(limits: Limits) -> str:
    return " ".join(f"--{word} {amount}" for word, amount in limits.as_dict().items() if amount is not None)


def account(connection: Connection, name: str) -> Account:
    """The account of that name.

    Raises:
        BudgetError: There is none.
    """
    found = _found(connection, name)
    if found is None:
        raise BudgetError("there is no such budget", where=f"budget {name}", fix="look at `veil budget list`")
    return found


def listed(connection: Connection) -> tuple[Account, ...]:
    """All accounts, by name."""
    found = connection.execute(select(budgets).order_by(budgets.c.name)).mappings()
    return tuple(_from_row(row) for row in found)


def statement(connection: Connection, name: str, now: datetime) -> Statement:
    """How an account stands. See `Budgets.statement`."""
    found = account(connection, name)
    period = _period(found, now)
    row = budget_charges.c
    by_period = spent_by_period(connection, name)
    spent = by_period.get(period.key, Loss())
    stored = func.coalesce(func.sum(case((row.state == ChargeState.STORED, 1), else_=0)), 0)
    charges, answers = connection.execute(
        select(func.count(), stored).where(
            row.budget == name, row.period_key == period.key, row.state != ChargeState.VOID
        )
    ).one()
    return Statement(
        account=found,
        period=period,
        spent=spent,
        spent_ever=sum(by_period.values(), Loss()),
        remaining=remaining(found.limits, spent),
        answers=int(answers),
        unanswered=charges - int(answers),
    )


def _period(found: Account, now: datetime) -> Period:
    first = found.first_period()
    return first if first.start is not None and now < first.start else found.period_at(now)


def spent_by_period(connection: Connection, name: str) -> dict[str, Loss]:
    """What is spent of an account or set aside, by the key of the period."""
    return _sums(connection, budget_charges.c.budget == name)


def spent_in(connection: Connection, name: str, period: Period) -> Loss:
    """What is spent of an account or set aside in a period."""
    row = budget_charges.c
    return _sums(connection, row.budget == name, row.period_key == period.key).get(period.key, Loss())


def _sums(connection: Connection, *conditions: ColumnElement[bool]) -> dict[str, Loss]:
    """Sums of charges that are not void, by period: in whole units, so they are exact."""
    row = budget_charges.c
    sums = (func.sum(row.epsilon), func.sum(row.rho), func.sum(row.delta))
    found = connection.execute(
        select(row.period_key, *sums, func.count() - func.count(row.epsilon))
        .where(*conditions, row.state != ChargeState.VOID)
        .group_by(row.period_key)
    )
    return {
        key: Loss(None if without_epsilon else int(epsilon), int(rho), int(delta))
        for key, epsilon, rho, delta, without_epsilon in found
    }


def change(
    connection: Connection, name: str, limits: Limits, *, reason: str, actor: str, now: datetime
) -> Account:
    """Change what an account allows. See `Budgets.change`."""
    found = account(connection, name)
    why = checked_reason(reason, where=found.where)
    if limits.kind != found.limits.kind:
        raise BudgetError(
            f"the budget allows {told(found.limits)}, which {told(limits)} is no amount of",
            where=found.where,
            fix="open a budget of another name",
        )
    if limits == found.limits:
        return found
    spent = spent_in(connection, name, _period(found, now))
    payload = {
        "from": found.limits.as_dict(),
        "to": limits.as_dict(),
        "spent": spent.as_dict(),
        "reason": why,
    }
    note(connection, "budget.changed", name, payload, actor)
    return _store_limits(connection, found, limits)


def transfer(
    connection: Connection,
    source: str,
    target: str,
    *,
    amount: Decimal,
    reason: str,
    actor: str,
    now: datetime,
) -> tuple[Account, Account]:
    """Move an amount from one account to another. See `Budgets.transfer`."""
    giver, taker = account(connection, source), account(connection, target)
    why = checked_reason(reason, where=giver.where)
    _check_alike(giver, taker)
    moved = _checked_amount(giver, amount)
    spent = spent_in(connection, source, _period(giver, now))
    left = remaining(giver.limits, spent)
    if moved > giver.limits.amount or not fits(less := _without(giver.limits, moved), spent):
        raise BudgetExhaustedError(
            f"{text_of(moved)} cannot be transferred, since the budget has {left} left",
            where=giver.where,
            fix="transfer less, or wait for the next period",
        )
    more = taker.limits.with_amount(taker.limits.amount + amount)
    payload = {"amount": text_of(moved), "to": target, "reason": why, "from": source}
    note(connection, "budget.transferred", source, payload | {"limits": less.as_dict()}, actor)
    note(connection, "budget.transferred", target, payload | {"limits": more.as_dict()}, actor)
    return _store_limits(connection, giver, less), _store_limits(connection, taker, more)


def _checked_amount(giver: Account, amount: Decimal) -> Decimal:
    """An amount that can be a limit, and is something."""
    moved = giver.limits.with_amount(amount).amount
    if moved == 0:
        raise BudgetError("nothing would be transferred", where=giver.where, expected="more than zero")
    return moved


def _without(limits: Limits, amount: Decimal) -> Limits:
    return limits.with_amount(limits.amount - amount)


def _check_alike(giver: Account, taker: Account) -> None:
    """Only losses of the same people, counted in the same way over the same time, can stand for each other."""
    alike = all(getattr(giver, word) == getattr(taker, word) for word in ("unit", "per", "starts"))
    if not alike or giver.limits.kind != taker.limits.kind or giver.name == taker.name:
        raise BudgetError(
            f"{_told(giver)} cannot be transferred to {_told(taker)}",
            where=f"{giver.where} to {taker.where}",
            expected="two budgets of the same unit, kind and period",
        )


def note(
    connection: Connection, kind: str, name: str, payload: Mapping[str, Any], actor: str
) -> evidence.Entry:
    """Leave evidence about an account."""
    return evidence.append(connection, kind=kind, subject=f"budget/{name}", payload=payload, actor=actor)


def _store_limits(connection: Connection, found: Account, limits: Limits) -> Account:
    connection.execute(update(budgets).where(budgets.c.name == found.name).values(limits.as_dict()))
    return replace(found, limits=limits)


def _declared(found: Account) -> dict[str, Any]:
    starts = None if found.starts is None else found.starts.isoformat()
    return {
        "unit": found.unit,
        "kind": found.limits.kind,
        "limits": found.limits.as_dict(),
        "per": found.per,
        "starts": starts,
        "renewal": found.renewal,
    }


def _found(connection: Connection, name: str) -> Account | None:
    row = connection.execute(select(budgets).where(budgets.c.name == name)).mappings().one_or_none()
    return None if row is None else _from_row(row)


def _row(found: Account) -> dict[str, Any]:
    return {
        "name": found.name,
        "unit": found.unit,
        "kind": found.limits.kind,
        **found.limits.as_dict(),
        "period": found.per,
        "period_anchor": found.starts,
        "renewal": found.renewal,
    }


def _from_row(row: Mapping[Any, Any]) -> Account:
    amounts = {
        word: None if row[word] is None else Decimal(row[word]) for word in ("epsilon", "rho", "delta")
    }
    return Account(
        name=row["name"],
        unit=row["unit"],
        limits=Limits(**amounts),
        per=row["period"],
        starts=row["period_anchor"],
        renewal=row["renewal"],
    )
