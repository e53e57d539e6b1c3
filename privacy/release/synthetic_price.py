"""What a differentially private model costs, whom it protects, and who pays: all before a row is read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_veil.privacy.dp.account import account, limits
from airflow_veil.privacy.dp.loss import Limits, Loss, told
from airflow_veil.privacy.dp.mechanism import library
from airflow_veil.privacy.dp.query import unit_path
from airflow_veil.privacy.errors import BudgetError, SyntheticError
from airflow_veil.privacy.ledger import budget as ledger
from airflow_veil.privacy.release.synthetic_names import synthesis_of
from airflow_veil.privacy.synthetic.training import subjects_of

if TYPE_CHECKING:
    from airflow_veil.privacy.policy.differential_privacy import Budget
    from airflow_veil.privacy.release.interval import Interval
    from airflow_veil.privacy.release.workspace import Workspace
    from airflow_veil.privacy.synthetic.private import PrivateSynthesizer
    from airflow_veil.privacy.synthetic.specification import Specification


@dataclass(frozen=True)
class Price:
    """A private model before it is fitted.

    Attributes:
        workspace: The policy and its systems.
        specification: What is made.
    """

    workspace: Workspace
    specification: Specification

    @cached_property
    def synthesizer(self) -> PrivateSynthesizer:
        """What fits it."""
        from airflow_veil.privacy.synthetic.private import synthesizer

        return synthesizer(self.specification, rows_per_unit=self.rows_per_unit)

    @property
    def rows_per_unit(self) -> int:
        """How many rows of a unit count at most; those of one that has more are drawn by lot."""
        counted = self.specification.method.counted
        return counted.rows_per_unit if counted is not None else 1

    @property
    def loss(self) -> Loss:
        """What it costs: the sum of what is drawn."""
        return self.synthesizer.loss

    @cached_property
    def unit(self) -> str | None:
        """The column that says whose a row is; None where each row is a unit by itself.

        Raises:
            SchemaError: The rows do not lead to the budget's unit.
            SyntheticError: They lead there through other tables, or nobody can be kept from the model.
        """
        policy, table = self.workspace.loaded.policy, self.specification.only.name
        column, joins = unit_path(policy, table, self.declared.unit)
        if joins:
            raise SyntheticError(
                f"the rows of {table} lead to {self.declared.unit} through other tables",
                where=self.specification.name,
                fix="make up the table whose rows name the unit themselves",
            )
        if self.specification.holdout and subjects_of(policy, self.specification)[table] is None:
            raise SyntheticError(
                f"the rows of {table} are nobody's, so which of them are kept from the model would depend on others",
                where=self.specification.name,
                fix="name the `subject` of the data set, or leave out `evaluate`",
            )
        return column

    @cached_property
    def declared(self) -> Budget:
        """The budget that pays, as the policy declares it.

        Raises:
            BudgetError: The policy declares none.
        """
        dp = self.workspace.loaded.policy.differential_privacy
        if dp is None or self.budget not in dp.budgets:
            raise BudgetError(
                "the policy names no budget that pays for the model",
                where=self.specification.name,
                fix="add `budget` and `spend`, and the budget to `differential_privacy`",
            )
        return dp.budgets[self.budget]

    @property
    def budget(self) -> str:
        """The name of the budget."""
        return synthesis_of(self.workspace, self.specification.name).budget or ""

    @property
    def limits(self) -> Limits:
        """What the budget allows."""
        return limits(self.declared)

    @property
    def account(self) -> ledger.Account:
        """The account that pays."""
        return account(self.budget, self.declared)

    def events(self, interval: Interval) -> list[ledger.Measurement]:
        """What is going to be drawn, for the ledger: an entry a draw."""
        drawn = self.synthesizer.measurements(self.declared.unit)
        return [replace(one, window_start=interval.start, window_end=interval.end) for one in drawn]

    def record(self) -> dict[str, Any]:
        """What the manifest tells of the price: read off policy and plan alone."""
        return {
            "budget": self.budget,
            "unit": self.declared.unit,
            "rows_per_unit": self.rows_per_unit,
            "loss": self.loss.as_dict(),
            "draws": len(self.synthesizer.plan()),
            "library": library(),
            "words": list(self._words()),
        }

    @property
    def _counting(self) -> str:
        most = self.rows_per_unit
        return "1 row of each counts" if most == 1 else f"{most} rows of each count at most"

    def _words(self) -> Iterator[str]:
        unit = self.declared.unit
        yield (
            f"Hidden is whether any one {unit} is in the table at all: {self._counting}, drawn by lot where there are"
            " more."
            if self.unit is not None
            else f"Hidden is whether any one row of {unit} is in the table."
        )
        yield (
            f"The model cost {self.loss} of the budget {self.budget}, which allows {told(self.limits)}: it was paid for"
            " before a row was read. Rows that are drawn from it cost nothing more, however many."
        )
        yield "Budgets of several policies that are spent on the same people add up."
