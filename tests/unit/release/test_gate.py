"""The gate of a release: what is not let through is not published, and approvals are of exactly one release."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from tests.unit.release.conftest import ACTOR, POLICY, Shop, night, people

from airflow_veil.privacy.errors import ReleaseError
from airflow_veil.privacy.gate.decide import Outcome
from airflow_veil.privacy.release import service
from airflow_veil.privacy.release.gate import Gated, trend
from airflow_veil.privacy.release.reference import Reference

LET = "{deny: {k: 1}}"
ASK = "{approve: {k: 3}, people: 2, valid: P7D, wait: P1D}"
LONG = "  staging_expires_after: P3D\n"


def alike(rows: int, size: int) -> pa.Table:
    """A source in which groups of `size` people look alike."""
    table = people(rows)
    days = [datetime(1950 + i // size, 1, 1).date() for i in range(rows)]
    return table.set_column(table.schema.get_field_index("born"), "born", pa.array(days)).set_column(
        table.schema.get_field_index("country"), "country", pa.array(["GB"] * rows)
    )


def gated(shop: Shop, gate: str, number: int = 1, *, assess: bool = True) -> tuple[Reference, Gated]:
    """Stage, validate, measure and ask the gate."""
    shop.write(POLICY + LONG + f"  gate: {gate}\n")
    staged = shop.stage(night(number)).reference
    reference = service.validate(shop.workspace(), staged, actor=ACTOR).reference
    if assess:
        reference = service.assess_staged(shop.workspace(), reference, actor=ACTOR).reference
    found = service.gate(shop.workspace(), reference, actor="airflow:gate")
    return found.done.reference, found


def approve(shop: Shop, reference: Reference, by: str, **changes: Any) -> None:
    told = {"by": by, "name": by.title(), "at": datetime.now(UTC), "reason": "ticket 4711", **changes}
    service.approve(shop.workspace(), reference, actor="airflow:gate", **told)


def publish(shop: Shop, reference: Reference) -> Reference:
    return service.publish(shop.workspace(), reference, actor=ACTOR).reference


def kinds(shop: Shop) -> list[str]:
    gates = {"allowed", "denied", "held", "approved", "rejected", "published", "assessed"}
    return [e.kind for e in shop.ledger.evidence() if e.kind.removeprefix("release.") in gates]


class TestAllowed:
    def test_goes_out(self, shop: Shop) -> None:
        """With the decision in its manifest."""
        reference, found = gated(shop, LET)

        assert found.decision.outcome is Outcome.ALLOW
        assert publish(shop, reference).published
        told = shop.destination.manifest("people", reference.release_id)["gate"]
        assert (told["outcome"], told["reasons"], told["figures"]) == ("allow", [], {"k": 1})
        assert kinds(shop) == ["release.assessed", "release.allowed", "release.published"]

    def test_again_after_publication(self, shop: Shop) -> None:
        """A retry finds it out already."""
        reference, _ = gated(shop, LET)

        assert service.gate(shop.workspace(), publish(shop, reference), actor=ACTOR).done.reference.published


class TestDenied:
    @pytest.mark.parametrize("gate", ["{deny: {k: 2}}", "{deny: {prosecutor_max: 0.9}}"])
    def test_stays_in(self, shop: Shop, gate: str) -> None:
        """Publishing refuses it, whoever calls."""
        reference, found = gated(shop, gate)

        assert found.decision.outcome is Outcome.DENY
        with pytest.raises(ReleaseError, match="the gate denied"):
            publish(shop, reference)
        assert kinds(shop) == ["release.assessed", "release.denied"]

    def test_what_was_not_measured(self, shop: Shop) -> None:
        """No figures, no release."""
        _, found = gated(shop, LET, assess=False)

        assert found.decision.reasons == ("missing.k",)

    def test_what_was_not_validated(self, shop: Shop) -> None:
        """Nor without a look at its columns."""
        shop.write(POLICY + f"  gate: {LET}\n")
        reference = service.assess_staged(
            shop.workspace(), shop.stage(night(1)).reference, actor=ACTOR
        ).reference

        found = service.gate(shop.workspace(), reference, actor=ACTOR)

        assert found.decision.reasons == ("expectations.missing",)

    def test_figures_of_other_rows(self, shop: Shop) -> None:
        """What is staged anew was not measured."""
        reference, _ = gated(shop, LET)
        # The same plan and source begin the same release; a task that is cleared stages it anew.
        draft = dict(shop.ledger.release(reference.release_id).manifest or {})
        output = json.loads(json.dumps(draft["output"]))
        output["files"][0]["sha256"] = "0" * 64
        shop.ledger.draft(reference.release_id, {"output": output})

        with pytest.raises(ReleaseError, match="changed since the gate looked"):
            publish(shop, reference)
        assert service.gate(shop.workspace(), reference, actor=ACTOR).decision.reasons == ("missing.k",)

    def test_a_gate_that_was_not_asked(self, shop: Shop) -> None:
        """A DAG that forgot the task publishes nothing."""
        shop.write(POLICY + f"  gate: {LET}\n")
        reference = service.validate(shop.workspace(), shop.stage(night(1)).reference, actor=ACTOR).reference

        with pytest.raises(ReleaseError, match="it was not asked"):
            publish(shop, reference)


class TestApproval:
    def test_two_people(self, shop: Shop) -> None:
        """One is not enough where the policy wants two."""
        reference, found = gated(shop, ASK)
        assert found.waits_for(1)
        approve(shop, reference, "anna")
        with pytest.raises(ReleaseError, match="has 1 valid approvals"):
            publish(shop, reference)
        again = service.gate(shop.workspace(), reference, actor="airflow:gate_second")
        assert (again.waits_for(1), again.waits_for(2)) == (False, True)

        approve(shop, reference, "ben")

        assert publish(shop, reference).published
        (first, second) = shop.destination.manifest("people", reference.release_id)["gate"]["approvals"]
        assert (first["by"], second["by"]) == ("anna", "ben")
        assert first["reason"] == "ticket 4711"
        days = datetime.fromisoformat(first["until"]) - datetime.fromisoformat(first["at"])
        assert days == timedelta(days=7)

    def test_not_the_same_twice(self, shop: Shop) -> None:
        """Two people are two people."""
        reference, _ = gated(shop, ASK)
        approve(shop, reference, "anna")

        with pytest.raises(ReleaseError, match="the same person"):
            approve(shop, reference, "anna")

    @pytest.mark.parametrize("changes", [{"by": ""}, {"reason": ""}, {"reason": "x" * 501}])
    def test_needs_who_and_why(self, shop: Shop, changes: dict[str, Any]) -> None:
        """Else it is none."""
        reference, _ = gated(shop, ASK)

        with pytest.raises(ReleaseError):
            approve(shop, reference, **{"by": "anna", **changes})

    def test_past_its_time(self, shop: Shop) -> None:
        """An approval holds as long as the policy says."""
        reference, _ = gated(shop, ASK)
        for by in ("anna", "ben"):
            approve(shop, reference, by, at=datetime.now(UTC) - timedelta(days=8))

        with pytest.raises(ReleaseError, match="has 0 valid approvals"):
            publish(shop, reference)

    def test_of_another_rule(self, shop: Shop) -> None:
        """Who approved by one rule did not by another; the policy is the plan's, so the run begins anew."""
        reference, _ = gated(shop, ASK)
        for by in ("anna", "ben"):
            approve(shop, reference, by)
        shop.write(POLICY + LONG + "  gate: {approve: {k: 4}, people: 2}\n")

        with pytest.raises(ReleaseError):
            publish(shop, reference)

    def test_rejected(self, shop: Shop) -> None:
        """A no takes the yes of others away."""
        reference, _ = gated(shop, ASK)
        approve(shop, reference, "anna")
        told = {"by": "ben", "name": "Ben", "at": datetime.now(UTC), "reason": "too few people"}

        service.reject(shop.workspace(), reference, actor="airflow:gate_second", **told)

        with pytest.raises(ReleaseError, match="somebody rejected it"):
            publish(shop, reference)
        with pytest.raises(ReleaseError, match="nothing to approve"):
            approve(shop, reference, "carl")
        assert kinds(shop)[1:] == ["release.held", "release.approved", "release.rejected"]
        assert service.gate(shop.workspace(), reference, actor=ACTOR).approvals == ()


class TestTrend:
    def test_a_jump_waits(self, shop: Shop) -> None:
        """Groups that are much smaller than the night before are asked about, and the release before is named."""
        gate = "{deny: {k: 2}, jump: {k: 5}}"
        shop.supply(alike(40, 20))
        first, found = gated(shop, gate, 1)
        assert found.decision.outcome is Outcome.ALLOW
        publish(shop, first)
        shop.supply(alike(40, 10))

        second, found = gated(shop, gate, 2)

        assert (found.decision.outcome, found.decision.reasons) == (Outcome.APPROVAL, ("jump.k",))
        told = (shop.ledger.release(second.release_id).manifest or {})["gate"]["before"]
        assert (told["release_id"], told["figures"]["k"]) == (first.release_id, 20)

    def test_history(self, shop: Shop) -> None:
        """The figures of what was published stay in the ledger; what was rolled back is none to measure by."""
        for number, size in ((1, 20), (2, 10)):
            shop.supply(alike(40, size))
            publish(shop, gated(shop, LET, number)[0])
        assert [point.figures["k"] for point in trend(shop.workspace(), "people")] == [10, 20]

        service.rollback(shop.workspace(), "people", release_id=None, reason="too risky", actor=ACTOR)

        assert [point.figures["k"] for point in trend(shop.workspace(), "people")] == [20]
