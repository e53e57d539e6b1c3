"""Privacy budgets: how much may be learned of people over all releases, and the answers that it paid for."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from sqlalchemy import Engine

from airflow_veil.privacy.dp.loss import Limits
from airflow_veil.privacy.errors import AnswerBusyError, BudgetError
from airflow_veil.privacy.ledger import accounts, answers, charges, measurements
from airflow_veil.privacy.ledger.budget import (
    Account,
    Charge,
    Claim,
    Event,
    Measurement,
    Request,
    Statement,
    StoredAnswer,
)
from airflow_veil.privacy.ledger.database import name_of, reading, writing
from airflow_veil.privacy.ledger.record import utc_now

LEASE_SECONDS = 60.0
"""How long a claim lasts unless it is renewed."""
_POLL_SECONDS = 1.0


class Budgets:
    """The accounts of a ledger; `Ledger.budgets`.

    Each method is one transaction: done with its evidence, or not done. A crash never makes what is spent count less,
    and several tasks at once never spend more than there is, for there is one writer at a time. All raise `LedgerError`
    where the database refuses; its `retryable` says whether trying again may help.

    Times are the wall clock's, of whoever calls, and `now` stands for it where it is left out.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def __repr__(self) -> str:
        return f"Budgets({name_of(self._engine)})"

    def open(self, account: Account, *, actor: str) -> Account:
        """Make an account, or confirm that the ledger's is the one that is declared.

        Returns:
            The account as the ledger has it; why it is renewed may be worded otherwise.

        Raises:
            BudgetError: The ledger's account differs. Editing a policy does not change it: `change` does.
        """
        with writing(self._engine) as connection:
            return accounts.open_account(connection, account, actor=actor)

    def accounts(self) -> tuple[Account, ...]:
        """All accounts, by name."""
        with reading(self._engine) as connection:
            return accounts.listed(connection)

    def statement(self, name: str, now: datetime | None = None) -> Statement:
        """How an account stands.

        Raises:
            BudgetError: There is none of that name.
        """
        with reading(self._engine) as connection:
            return accounts.statement(connection, name, _now(now))

    def charges(self, name: str) -> tuple[Charge, ...]:
        """What was ever charged to an account, the oldest first.

        Raises:
            BudgetError: There is none of that name.
        """
        with reading(self._engine) as connection:
            accounts.account(connection, name)
            return charges.listed(connection, name)

    def change(self, name: str, limits: Limits, *, reason: str, actor: str) -> Account:
        """Change what an account allows, from now on and in its current period.

        Args:
            name: The account.
            limits: What it allows then; below what is spent, nothing more can be spent.
            reason: Why, for the evidence; it must not hold personal data.
            actor: Who changes it.

        Raises:
            BudgetError: There is no such account or no reason, or losses would be counted in another way.
        """
        with writing(self._engine) as connection:
            return accounts.change(connection, name, limits, reason=reason, actor=actor, now=utc_now())

    def transfer(
        self, source: str, target: str, *, amount: Decimal, reason: str, actor: str
    ) -> tuple[Account, Account]:
        """Lower the limit of one account and raise that of another by the same amount.

        Args:
            source: The account that gives; at most what remains in its period.
            target: The account that takes: of the same unit, kind and period.
            amount: Of epsilon or of rho, as the two count.
            reason: Why, for the evidence; it must not hold personal data.
            actor: Who transfers it.

        Returns:
            Both accounts, as they are then.

        Raises:
            BudgetExhaustedError: Less remains.
            BudgetError: An account is missing, the two are not alike, or there is no reason.
        """
        with writing(self._engine) as connection:
            return accounts.transfer(
                connection, source, target, amount=amount, reason=reason, actor=actor, now=utc_now()
            )

    def reserve(
        self,
        request: Request,
        *,
        actor: str,
        now: datetime | None = None,
        lease_seconds: float = LEASE_SECONDS,
    ) -> Claim | StoredAnswer:
        """Set money aside for an answer, or give the answer where it is stored.

        Where somebody began the same answer and their lease is over, the charge is taken over if nothing was drawn. If
        something may have been drawn, that money is gone and the account is charged anew.

        Args:
            request: The answer and what pays for it.
            actor: Who asks.
            now: The time, aware.
            lease_seconds: How long nobody else may take it over, unless it is renewed: see `held`.

        Returns:
            The stored answer, which costs nothing; or the right to make it: go on with `drawing`.

        Raises:
            AnswerBusyError: Somebody else is making it; see `reserve_waiting`.
            BudgetExhaustedError: What is left in the period does not pay for it.
            BudgetError: There is no such account, or it does not count losses of this kind.
        """
        with writing(self._engine) as connection:
            return charges.reserve(
                connection, request, actor=actor, now=_now(now), lease_seconds=lease_seconds
            )

    def reserve_waiting(
        self,
        request: Request,
        *,
        actor: str,
        patience_seconds: float,
        lease_seconds: float = LEASE_SECONDS,
        poll_seconds: float = _POLL_SECONDS,
    ) -> Claim | StoredAnswer:
        """As `reserve`, but wait while somebody else makes the answer: of two at once, the second gets the first's.

        Args:
            request: The answer and what pays for it.
            actor: Who asks.
            patience_seconds: How long to wait; no transaction is open meanwhile.
            lease_seconds: As `reserve`.
            poll_seconds: How often to look.

        Raises:
            AnswerBusyError: It is still being made.
            BudgetError: As `reserve`.
        """
        deadline = time.monotonic() + patience_seconds
        while True:
            try:
                return self.reserve(request, actor=actor, lease_seconds=lease_seconds)
            except AnswerBusyError:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise
            time.sleep(min(poll_seconds, left))

    def renew_lease(self, claim: Claim, now: datetime | None = None) -> Claim:
        """Keep a claim for another `lease_seconds`.

        Raises:
            AnswerBusyError: Another has taken it over.
        """
        with writing(self._engine) as connection:
            return charges.renew_lease(connection, claim, _now(now))

    def drawing(self, claim: Claim, events: Sequence[Measurement], now: datetime | None = None) -> Claim:
        """Say what is about to be drawn, before it is: from then on the money is spent, whatever happens.

        It works once a claim; draw nothing where it fails.

        Raises:
            AnswerBusyError: Another has taken over the claim.
            BudgetError: The charge does not cover the measurements, or something was drawn for it before.
        """
        with writing(self._engine) as connection:
            return charges.drawing(connection, claim, events, _now(now))

    def store(self, claim: Claim, answer: bytes) -> StoredAnswer:
        """Keep an answer that was drawn.

        Returns:
            The answer; another's, if another was stored meanwhile: use that one and forget this.

        Raises:
            BudgetError: `drawing` was not called before.
        """
        with writing(self._engine) as connection:
            return charges.store(connection, claim, answer)

    def void(self, claim: Claim, reason: str) -> None:
        """Give money back of which nothing was drawn; there is no other refund.

        Args:
            claim: The claim; it is of no use then.
            reason: Why, for the evidence; it must not hold personal data.

        Raises:
            AnswerBusyError: Another has taken it over.
            BudgetError: Something may have been drawn, or there is no reason.
        """
        with writing(self._engine) as connection:
            charges.void(connection, claim, reason)

    def answer(self, answer_id: str) -> StoredAnswer | None:
        """The answer of that id, if it is stored.

        Raises:
            LedgerError: It is not what was stored.
        """
        with reading(self._engine) as connection:
            return answers.find(connection, answer_id)

    def events(self, name: str | None = None, since: datetime | None = None) -> tuple[Event, ...]:
        """What was ever drawn, from one account or all, the oldest first: to be counted anew by any accountant.

        Args:
            name: The account; all where it is left out.
            since: Only what was drawn from then on, aware.

        Raises:
            BudgetError: There is no account of that name.
        """
        with reading(self._engine) as connection:
            if name is not None:
                accounts.account(connection, name)
            return measurements.listed(connection, name, since)


def _now(given: datetime | None) -> datetime:
    if given is not None and given.utcoffset() is None:
        raise BudgetError("the time has no time zone", fix="give an aware time")
    return given or utc_now()
