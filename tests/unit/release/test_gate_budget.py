"""The gate's figure of privacy budgets: what answers have really spent decides whether rows go out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.unit.release.conftest import ACTOR, POLICY, Shop, night, people

from airflow_veil.privacy.errors import ReleaseError
from airflow_veil.privacy.gate.decide import Outcome
from airflow_veil.privacy.ledger.budgets import Budgets
from airflow_veil.privacy.release import dp_release, service
from airflow_veil.privacy.release.gate import Gated, trend
from airflow_veil.privacy.release.reference import Reference

PRIVATE = """\
differential_privacy:
  budgets:
    all: {{unit: people.id, {all}}}
    rare: {{unit: people.id, rho: 1, delta: 1.0e-6, shares_unit: both are asked of the same people}}
  queries:
    q: {{dataset: people, budget: all, spend: {{epsilon: 0.25}},
        keys: {{country: {{values: [GB, FR, DE], source: where the shop delivers}}}}, measures: {{n: count}}}}
    r: {{dataset: people, budget: rare, spend: {{rho: 0.75}},
        keys: {{country: {{values: [GB, FR, DE], source: where the shop delivers}}}}, measures: {{n: count}}}}
"""
FOREVER = "epsilon: 1"
MONTHLY = "epsilon: 1, per: P30D, starts: '2026-01-01', renew: the people change from month to month"


def write(shop: Shop, gate: str, budget: str = FOREVER, *, private: bool = True) -> None:
    shop.write(POLICY + f"  gate: {gate}\n" + (PRIVATE.format(all=budget) if private else ""))


def ask(shop: Shop, query: str, number: int) -> None:
    """Draw an answer and publish it."""
    dp_release.release(shop.workspace(), query, night(number), actor=ACTOR)


def decided(shop: Shop, number: int = 1) -> tuple[Reference, Gated]:
    """A release of rows as far as the gate."""
    staged = shop.stage(night(number)).reference
    reference = service.validate(shop.workspace(), staged, actor=ACTOR).reference
    reference = service.assess_staged(shop.workspace(), reference, actor=ACTOR).reference
    found = service.gate(shop.workspace(), reference, actor=ACTOR)
    return found.done.reference, found


def figure(found: Gated) -> Any:
    return found.decision.figures["budget_max"]


class TestFigure:
    def test_nothing_is_spent_of_what_was_never_asked(self, shop: Shop) -> None:
        """Accounts that are not opened yet have all of their budget."""
        write(shop, "{deny: {budget_max: 0.0}}")
        _, found = decided(shop)

        assert (found.decision.outcome, figure(found)) == (Outcome.ALLOW, 0.0)

    @pytest.mark.parametrize("answers", [1, 2, 3])
    def test_is_what_answers_cost(self, shop: Shop, answers: int) -> None:
        """Each answer takes a quarter: the share is counted from charges, and a repeated answer costs nothing."""
        write(shop, "{deny: {budget_max: 0.9}}")
        for number in range(answers):
            ask(shop, "q", number)
            ask(shop, "q", number)
        _, found = decided(shop)

        assert figure(found) == pytest.approx(answers / 4, abs=1e-9)

    def test_of_the_budget_that_is_spent_most(self, shop: Shop) -> None:
        """The worst of several counts, whether it is in epsilon or in rho."""
        write(shop, "{deny: {budget_max: 0.9}}")
        ask(shop, "q", 1)
        ask(shop, "r", 1)
        _, found = decided(shop)

        assert figure(found) == pytest.approx(0.75, abs=1e-9)

    def test_of_the_policys_own_budgets(self, shop: Shop) -> None:
        """An account of the ledger that this policy does not name says nothing of it."""
        write(shop, "{deny: {budget_max: 0.9}}")
        ask(shop, "r", 1)
        renamed = shop.policy.read_text().replace("rare", "other")
        shop.write(renamed)
        ask(shop, "q", 1)
        _, found = decided(shop)

        assert figure(found) == pytest.approx(0.25, abs=1e-9)

    def test_of_this_period(self, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
        """A budget that is renewed is whole again in its next period."""
        write(shop, "{deny: {budget_max: 0.9}}", MONTHLY)
        ask(shop, "q", 1)
        _, now = decided(shop, 1)
        statement = Budgets.statement

        def later(self: Budgets, name: str, _: datetime | None = None) -> Any:
            return statement(self, name, datetime.now(UTC) + timedelta(days=31))

        monkeypatch.setattr(Budgets, "statement", later)
        _, then = decided(shop, 2)

        assert (figure(now), figure(then)) == (pytest.approx(0.25, abs=1e-9), 0.0)

    def test_a_reservation_counts(self, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
        """Money that is set aside for an answer which was never drawn is not there for another."""

        def dies(*_: Any, **__: Any) -> Any:
            raise KeyboardInterrupt

        write(shop, "{deny: {budget_max: 0.9}}")
        monkeypatch.setattr(dp_release, "draw", dies)
        with pytest.raises(KeyboardInterrupt):
            ask(shop, "q", 1)
        _, found = decided(shop)

        assert figure(found) == pytest.approx(0.25, abs=1e-9)


class TestRelease:
    def test_within_the_bound_it_goes_out(self, shop: Shop) -> None:
        """A budget that is partly spent: the figure is in the manifest, beside the bound that it kept to."""
        write(shop, "{deny: {budget_max: 0.5}}")
        ask(shop, "q", 1)
        ask(shop, "q", 2)
        reference, found = decided(shop)
        published = service.publish(shop.workspace(), reference, actor=ACTOR).reference
        told = shop.destination.manifest("people", published.release_id)

        assert found.decision.outcome is Outcome.ALLOW
        assert told["budget_spent"] == pytest.approx(0.5, abs=1e-9)
        assert told["gate"]["figures"]["budget_max"] == told["budget_spent"]
        assert told["gate"]["rule"]["deny"] == {"budget_max": 0.5}

    def test_beyond_it_nothing_is_published(self, shop: Shop) -> None:
        """One answer more, and rows stay in; publication refuses what the gate denied."""
        write(shop, "{deny: {budget_max: 0.5}}")
        for number in range(3):
            ask(shop, "q", number)
        reference, found = decided(shop)

        assert (found.decision.outcome, found.decision.reasons) == (Outcome.DENY, ("deny.budget_max",))
        with pytest.raises(ReleaseError, match="the gate denied"):
            service.publish(shop.workspace(), reference, actor=ACTOR)
        assert shop.destination.current("people") is None

    def test_somebody_is_asked(self, shop: Shop) -> None:
        """Beyond the bound under `approve` a person decides; the figure is among what they are shown."""
        write(shop, "{deny: {budget_max: 0.9}, approve: {budget_max: 0.4}}")
        ask(shop, "q", 1)
        ask(shop, "q", 2)
        reference, found = decided(shop)
        assert found.decision.reasons == ("approve.budget_max",)
        service.approve(
            shop.workspace(),
            reference,
            by="anna",
            name="Anna",
            at=datetime.now(UTC),
            reason="agreed",
            actor=ACTOR,
        )

        assert service.publish(shop.workspace(), reference, actor=ACTOR).reference.published

    def test_a_jump_from_release_to_release(self, shop: Shop) -> None:
        """What was spent since the release before is compared with the bound on jumps, to either side of it."""
        write(shop, "{jump: {budget_max: 0.3}}")
        reference, first = decided(shop, 1)
        service.publish(shop.workspace(), reference, actor=ACTOR)
        ask(shop, "q", 1)
        reference, second = decided(shop, 2)
        service.publish(shop.workspace(), reference, actor=ACTOR)
        ask(shop, "q", 2)
        ask(shop, "q", 3)
        _, third = decided(shop, 3)

        assert [each.decision.reasons for each in (first, second, third)] == [(), (), ("jump.budget_max",)]
        assert [figure(each) for each in (first, second, third)] == pytest.approx([0, 0.25, 0.75], abs=1e-9)
        spent = [point.figures["budget_max"] for point in trend(shop.workspace(), "people")]
        assert spent == pytest.approx([0.25, 0.0], abs=1e-9)

    def test_asked_again_it_is_counted_anew(self, shop: Shop) -> None:
        """A gate that is asked once more sees what was spent meanwhile, and takes back what it allowed."""
        write(shop, "{deny: {budget_max: 0.4}}")
        ask(shop, "q", 1)
        reference, first = decided(shop)
        ask(shop, "q", 2)
        second = service.gate(shop.workspace(), reference, actor=ACTOR)

        assert (first.decision.outcome, second.decision.outcome) == (Outcome.ALLOW, Outcome.DENY)
        with pytest.raises(ReleaseError, match="the gate denied"):
            service.publish(shop.workspace(), reference, actor=ACTOR)

    def test_rows_do_not_pay(self, shop: Shop) -> None:
        """A release of rows takes nothing out of a budget: the figure is the same before and after it."""
        write(shop, "{deny: {budget_max: 0.9}}")
        ask(shop, "q", 1)
        reference, before = decided(shop, 1)
        service.publish(shop.workspace(), reference, actor=ACTOR)
        shop.supply(people(60))
        _, after = decided(shop, 2)

        assert figure(before) == figure(after) == pytest.approx(0.25, abs=1e-9)
