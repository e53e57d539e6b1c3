"""What a differentially private model costs, and the account that pays: read off the policy, before a row is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_veil.privacy.dp.loss import Limits, Loss
from airflow_veil.privacy.errors import BudgetError
from airflow_veil.privacy.ledger import budget as ledger
from airflow_veil.privacy.release.synthetic_names import synthesis_of

if TYPE_CHECKING:
    from airflow_veil.privacy.policy.differential_privacy import Budget
    from airflow_veil.privacy.release.workspace import Workspace
    from airflow_veil.privacy.synthetic.specification import Specification


def account_of(workspace: Workspace, specification: Specification) -> ledger.Account:
    """The account that pays, as the policy declares it.

    Raises:
        BudgetError: The policy declares none.
    """
    name, declared = _declared(workspace, specification)
    return ledger.Account(
        name=name,
        unit=declared.unit,
        limits=Limits(epsilon=declared.epsilon, rho=declared.rho, delta=declared.delta),
        per=None if declared.per == "total" else declared.per,
        starts=declared.starts,
        renewal=declared.renew,
    )


def price_of(workspace: Workspace, specification: Specification) -> Loss:
    """What a model costs: the sum of what is drawn."""
    return sum((one.loss for one in measurements_of(workspace, specification)), Loss())


def measurements_of(workspace: Workspace, specification: Specification) -> tuple[ledger.Measurement, ...]:
    """What is going to be drawn, one entry a draw."""
    raise NotImplementedError


def _declared(workspace: Workspace, specification: Specification) -> tuple[str, Budget]:
    name = synthesis_of(workspace, specification.name).budget
    dp = workspace.loaded.policy.differential_privacy
    if name is None or dp is None or name not in dp.budgets:
        raise BudgetError(
            "the policy names no budget that pays for the model",
            where=specification.name,
            fix="add `budget` and `spend`, and the budget to `differential_privacy`",
        )
    return name, dp.budgets[name]
