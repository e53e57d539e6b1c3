"""How the budget of a query stands, and how many of its answers it pays for; for the commands `veil dp`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_veil.privacy.dp.loss import Limits, Loss, fits, remaining, told
from airflow_veil.privacy.dp.measurement import Measurement, loss_of
from airflow_veil.privacy.dp.query import Query

if TYPE_CHECKING:
    from airflow_veil.privacy.ledger.budget import Statement
    from airflow_veil.privacy.release.workspace import Workspace

_MOST_ANSWERS = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A budget before and after an answer.

    Attributes:
        budget: Its name.
        limits: What it allows.
        period: The period that it is in; empty where the ledger has no such budget yet.
        spent: What is spent in it.
        price: What the answer costs.
    """

    budget: str
    limits: Limits
    period: str
    spent: Loss
    price: Loss

    @property
    def known(self) -> bool:
        """Whether the ledger has the budget: it is opened by the first answer."""
        return bool(self.period)

    @property
    def answers(self) -> int:
        """How many such answers what is left pays for, up to a million."""
        return _affordable(self.limits, self.spent, self.price)

    @property
    def answers_in_all(self) -> int:
        """How many such answers the whole budget pays for, up to a million."""
        return _affordable(self.limits, Loss(), self.price)

    @property
    def sentences(self) -> tuple[str, ...]:
        """The same in words."""
        where = "by the ledger" if self.known else "by the policy: the ledger opens it with the first answer"
        period = f" in the period from {self.period}" if self.known and self.period != "total" else ""
        left = f"left of it: {remaining(self.limits, self.spent)}"
        if self.answers:
            left += f"; after an answer: {remaining(self.limits, self.spent + self.price)}"
        fresh = f" ({self.answers_in_all:,} when nothing was spent)" if self.spent != Loss() else ""
        return (
            f"an answer costs {self.price}",
            f"the budget {self.budget} allows {told(self.limits)}{period}, {where}",
            left,
            f"it pays for {self.answers:,} such answers{fresh}",
        )

    def as_dict(self) -> dict[str, Any]:
        """The same for a machine."""
        return {
            "price": self.price.as_dict(),
            "account": {
                "budget": self.budget,
                "known_to_ledger": self.known,
                "period": self.period or None,
                "limits": self.limits.as_dict(),
                "remaining": remaining(self.limits, self.spent).as_dict(),
                "remaining_after": remaining(self.limits, self.spent + self.price).as_dict(),
                "answers": self.answers,
                "answers_in_all": self.answers_in_all,
            },
        }


def standing(opened: Workspace, query: Query, planned: tuple[Measurement, ...]) -> Standing:
    """How the budget of a query stands: by the ledger, or as the policy declares it where the ledger has none.

    Raises:
        LedgerError: The ledger cannot be used.
    """
    from airflow_veil.privacy.dp.record import budget_of
    from airflow_veil.privacy.policy.check_dp import limits_of

    statement = _statement(opened, query.budget)
    price = loss_of(planned)
    if statement is None:
        limits = limits_of(budget_of(opened.loaded, query))
        return Standing(budget=query.budget, limits=limits, period="", spent=Loss(), price=price)
    return Standing(
        budget=query.budget,
        limits=statement.account.limits,
        period=statement.period.key,
        spent=statement.spent,
        price=price,
    )


def _statement(opened: Workspace, budget: str) -> Statement | None:
    budgets = opened.ledger.budgets
    known = {account.name for account in budgets.accounts()}
    return budgets.statement(budget) if budget in known else None


def _affordable(limits: Limits, spent: Loss, price: Loss) -> int:
    """The most answers that fit, by doubling, then by halves."""
    low, high = 0, 1
    while high <= _MOST_ANSWERS and fits(limits, spent + _times(price, high)):
        low, high = high, high * 2
    high = min(high, _MOST_ANSWERS + 1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(limits, spent + _times(price, middle)) else (low, middle)
    return low


def _times(loss: Loss, number: int) -> Loss:
    epsilon = None if loss.epsilon is None else loss.epsilon * number
    return Loss(epsilon, loss.rho * number, loss.delta * number)
