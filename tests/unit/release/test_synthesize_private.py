"""A private model: paid for before a row is read, drawn once; a failure before gives money back, one after does not."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tests.unit.release import synthetic_crash
from tests.unit.release.conftest import ACTOR, Shop, night
from tests.unit.release.synthesis import models, open_shop, people, published, run, sealed, silent

from airflow_veil.privacy.errors import BudgetExhaustedError, ReleaseError, StorageError, SyntheticError
from airflow_veil.privacy.ledger.budget import ChargeState
from airflow_veil.privacy.ledger.models import ModelState
from airflow_veil.privacy.release import card, service, synthesize, synthetic_fit
from airflow_veil.privacy.release.synthetic_names import digest_of
from airflow_veil.privacy.release.synthetic_price import Price
from airflow_veil.privacy.release.synthetic_sources import learned_batches, sources_of
from airflow_veil.privacy.retention import models as retained
from airflow_veil.privacy.synthetic.specification import compiled

POLICY = """\
version: 1
name: shop
owner: shop@example.com
datasets:
  people:
    source: people.parquet
    subject: id
    columns:
      id: {class: direct_identifier, type: int64, treat: drop}
      age: {class: quasi_identifier, type: int64, treat: drop}
      country: {class: quasi_identifier, type: string, treat: drop, values: [GB, FR, DE]}
      tier: {class: sensitive, type: string, treat: drop, values: [gold, silver]}
release: {destination: releases, expires_after: P1M}
differential_privacy:
  budgets: {people: {unit: people.id, rho: 3.0}}
synthetic:
  releases:
    hidden:
      method: mst
      budget: people
      spend: {rho: 1.0}
      tables:
        people:
          rows: 500
          columns:
            age: {numbers: {bounds: [18, 90], bins: 8}}
            country: categories
            tier: categories
"""


@pytest.fixture
def shop(tmp_path: Path, empty_ledger: Path) -> Iterator[Shop]:
    """A shop that makes up people, and pays for it three times at most."""
    made = open_shop(tmp_path / "shop", empty_ledger, POLICY)
    yield made
    made.close()


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What noise was drawn for."""
    found: list[str] = []
    right = synthetic_fit.draw

    def noting(price: Any, *more: Any) -> Any:
        found.append(price.specification.name)
        return right(price, *more)

    monkeypatch.setattr(synthetic_fit, "draw", noting)
    return found


def spent(shop: Shop) -> float:
    """What of rho is spent."""
    told = shop.ledger.budgets.statement("people").spent.as_dict()
    return float(told["rho"])


def states(shop: Shop) -> list[ChargeState]:
    return [charge.state for charge in shop.ledger.budgets.charges("people")]


class TestOnce:
    def test_is_after_what_was_learned(self, shop: Shop) -> None:
        """Who is older is gold, as in the source."""
        run(shop, "hidden")
        rows = published(shop, "hidden").to_pandas()

        assert len(rows) == 500
        assert rows["age"][rows["tier"] == "gold"].mean() > rows["age"][rows["tier"] == "silver"].mean() + 10

    def test_is_drawn_once(self, shop: Shop, drawn: list[str]) -> None:
        """Whoever asks again for the same night gets the same rows, and pays nothing."""
        first = run(shop, "hidden")
        for _ in range(2):
            assert run(shop, "hidden").reference.releases == first.reference.releases

        assert drawn == ["hidden"]
        assert spent(shop) == pytest.approx(1.0, abs=1e-6)
        (record,) = models(shop)
        assert record.private
        assert states(shop) == [ChargeState.STORED]

    def test_rows_that_are_given_cost_nothing_more(self, shop: Shop, drawn: list[str]) -> None:
        """Drawing from the model is post-processing."""
        run(shop, "hidden")
        run(shop, "hidden", rows=50, given={"country": "FR"}, suffix="french")

        assert set(published(shop, "hidden_french")["country"].to_pylist()) == {"FR"}
        assert drawn == ["hidden"]

    def test_another_night_is_paid_for_until_there_is_nothing_left(
        self, shop: Shop, drawn: list[str]
    ) -> None:
        """The fourth finds nothing left, and no row is read for it."""
        for number in range(3):
            run(shop, "hidden", number)
        shop.people.chmod(0)
        with pytest.raises(BudgetExhaustedError):
            run(shop, "hidden", 3)
        assert len(drawn) == 3
        assert len(models(shop)) == 3

    def test_another_price_is_another_model(self, shop: Shop, drawn: list[str]) -> None:
        """What is spent is part of what it is."""
        run(shop, "hidden")
        shop.write(POLICY.replace("spend: {rho: 1.0}", "spend: {rho: 0.5}"))
        run(shop, "hidden")
        assert len(drawn) == 2
        assert len(models(shop)) == 2

    def test_one_that_is_destroyed_is_not_drawn_again(self, shop: Shop, drawn: list[str]) -> None:
        """The same question has one answer, though it be gone; what was published stays."""
        done = run(shop, "hidden")
        retained.destroy(shop.workspace(), done.reference.model_id, reason="ticket 4711: test", actor=ACTOR)

        assert "was published before" in run(shop, "hidden").summary
        with pytest.raises(SyntheticError, match="is destroyed"):
            run(shop, "hidden", rows=10)
        assert drawn == ["hidden"]


class TestRowsPerUnit:
    def test_more_rows_are_more_noise_at_the_same_price(self, shop: Shop) -> None:
        """Three rows of each person count, no more: all may be in one cell, so noise is three times as wide."""
        often = pa.concat_tables(
            [people(200, seed=1), people(200, seed=2), people(200, seed=3), people(100, seed=4)]
        )
        shop.supply(often)
        found = {}
        for most in (1, 3):
            shop.write(POLICY.replace("method: mst", f"method: {{mst: {{rows_per_unit: {most}}}}}"))
            workspace = shop.workspace()
            price = Price(workspace, compiled(workspace.loaded.policy, "hidden"))
            sources = sources_of(workspace, price.specification)
            exact = price.synthesizer.count(
                learned_batches(workspace, price.specification, sources, price.unit), unit=price.unit
            )
            found[most] = (price, int(exact.counts((0,)).sum()))

        (one, few), (three, many) = found[1], found[3]
        assert (few, many) == (200, 600), "a fourth row of half of them counts for nothing"
        for narrow, wide in zip(one.synthesizer.plan(), three.synthesizer.plan(), strict=True):
            assert wide.sensitivity == 3 * narrow.sensitivity
            assert wide.scale == pytest.approx(3 * narrow.scale, rel=1e-6)
        losses = [float(price.loss.as_dict()["rho"]) for price in (one, three)]
        assert losses == pytest.approx([1, 1], rel=1e-6)
        assert three.record()["rows_per_unit"] == 3
        assert "3 rows of each count at most" in three.record()["words"][0]

    def test_what_one_person_changes(self, shop: Shop) -> None:
        """With somebody who has five like rows a marginal differs by three in one cell: the charge covers no less."""
        shop.write(POLICY.replace("method: mst", "method: {mst: {rows_per_unit: 3}}"))
        workspace = shop.workspace()
        price = Price(workspace, compiled(workspace.loaded.policy, "hidden"))
        rows = people(50).select(["id", "age", "country", "tier"])
        somebody = pa.concat_tables([rows.slice(0, 1)] * 5)
        others = rows.slice(1)

        without, with_them = (
            price.synthesizer.count(table.to_batches(), unit="id").counts((0, 1))
            for table in (others, pa.concat_tables([others, somebody]))
        )

        changed = (with_them - without).ravel()
        l1, l2 = abs(changed).sum(), (changed**2).sum() ** 0.5
        assert l1 == l2 == 3
        column = price.synthesizer.plan()[0]
        assert column.sensitivity >= l2 > 3**0.5, "the root of three would be too little"

    def test_another_bound_is_another_model(self, shop: Shop) -> None:
        """Whoever asks for more rows is not given the model of fewer."""
        digests = set()
        for most in (1, 2):
            shop.write(POLICY.replace("method: mst", f"method: {{mst: {{rows_per_unit: {most}}}}}"))
            workspace = shop.workspace()
            digests.add(digest_of(workspace, compiled(workspace.loaded.policy, "hidden")))
        assert len(digests) == 2


class TestGate:
    @pytest.fixture
    def gated(self, shop: Shop) -> Shop:
        """Risk does not apply; beyond a tenth of the budget somebody has to approve, and half of it is too much."""
        gate = "gate: {deny: {budget_max: 0.5}, approve: {budget_max: 0.1}, people: 1}"
        shop.write(POLICY.replace("expires_after: P1M}", f"expires_after: P1M, {gate}}}"))
        return shop

    def steps(self, shop: Shop, number: int) -> Any:
        """A night up to its gate, as tasks have it."""
        workspace = shop.workspace()
        fitted = synthesize.fit(workspace, "hidden", night(number), actor=ACTOR, progress=silent)
        drawn = synthesize.sample(workspace, fitted.reference, night(number), actor=ACTOR, progress=silent)
        return synthesize.evaluate(workspace, drawn.reference, actor=ACTOR, progress=silent).reference

    def test_waits_for_a_person(self, gated: Shop) -> None:
        """A third of the budget is spent: nothing goes out until somebody approves it."""
        reference = self.steps(gated, 0)
        workspace = gated.workspace()
        with pytest.raises(ReleaseError, match="was not asked"):
            synthesize.publish(workspace, reference, actor=ACTOR)
        (table,) = reference.of_tables()
        held = service.gate(workspace, table, actor=ACTOR)
        assert held.decision.reasons == ("approve.budget_max",)
        with pytest.raises(ReleaseError, match="0 valid approvals"):
            synthesize.publish(workspace, reference, actor=ACTOR)

        who = {"by": "1", "name": "Ann", "at": datetime.now(UTC), "reason": "looked at, ticket 4711"}
        service.approve(workspace, table, **who, actor=ACTOR)
        assert synthesize.publish(workspace, reference, actor=ACTOR).reference.published

    def test_in_one_go_nobody_can_be_asked(self, gated: Shop) -> None:
        """It is told, and nothing is published."""
        with pytest.raises(ReleaseError, match="asks for approval"):
            run(gated, "hidden")
        assert gated.destination.current("hidden") is None

    def test_denies(self, gated: Shop) -> None:
        """Two thirds are too much, whoever says so."""
        self.steps(gated, 0)
        reference = self.steps(gated, 1)
        (table,) = reference.of_tables()
        assert service.gate(gated.workspace(), table, actor=ACTOR).decision.outcome == "deny"
        with pytest.raises(ReleaseError, match="denied"):
            synthesize.publish(gated.workspace(), reference, actor=ACTOR)


class TestFailures:
    def test_before_anything_is_drawn(
        self, shop: Shop, drawn: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The money comes back."""
        right = synthetic_fit.learned_batches

        def changing(*how: Any) -> Iterator[pa.RecordBatch]:
            yield from right(*how)
            shop.supply(people(seed=8))

        with monkeypatch.context() as patched:
            patched.setattr(synthetic_fit, "learned_batches", changing)
            with pytest.raises(StorageError, match="changed while it was read"):
                run(shop, "hidden")

        assert (drawn, spent(shop)) == ([], 0.0)
        assert states(shop) == [ChargeState.VOID]
        assert models(shop)[0].state is ModelState.DESTROYED
        assert run(shop, "hidden").reference.published

    def test_after_it_is_drawn(self, shop: Shop, drawn: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
        """The money stays spent: noise is out, and who asks again pays again."""

        def full(*_: Any) -> None:
            raise StorageError("the disk is full")

        with monkeypatch.context() as patched:
            patched.setattr(synthetic_fit.ModelStore, "put", full)
            with pytest.raises(StorageError, match="disk is full"):
                run(shop, "hidden")

        assert spent(shop) == pytest.approx(1.0, abs=1e-6)
        assert states(shop) == [ChargeState.DRAWING]
        assert sealed(shop) == []
        monkeypatch.setattr("airflow_veil.privacy.ledger.budgets.LEASE_SECONDS", 0.0)
        _end_leases(shop)
        run(shop, "hidden")
        assert spent(shop) == pytest.approx(2.0, abs=1e-6)
        assert len(drawn) == 2

    def test_two_at_once_draw_once(self, shop: Shop) -> None:
        """The second waits for the first's model."""
        one, two = synthetic_crash.run_together(shop.path, "hidden", 2)

        assert one == two
        assert states(shop) == [ChargeState.STORED]
        assert len(sealed(shop)) == 1


class TestTold:
    def test_the_manifest_and_the_card_tell_the_price(self, shop: Shop) -> None:
        """Guarantee, unit and loss in words; no size or time of the source."""
        run(shop, "hidden")
        (release,) = shop.ledger.list("shop", "hidden")
        manifest = release.manifest
        assert manifest is not None

        assert manifest["differential_privacy"]["loss"]["rho"]
        assert manifest["source"].keys() == {"namespace", "name"}
        told = card.markdown(card.card(manifest))
        assert "Hidden is whether any one people.id is in the table at all" in told
        assert "it was paid for before a row was read" in told

    def test_the_ledger_has_each_draw(self, shop: Shop) -> None:
        """To be counted anew by another accountant."""
        run(shop, "hidden")
        events = shop.ledger.budgets.events("people")
        # Three columns, two choices, two pairs.
        assert len(events) == 7
        assert sum(one.measurement.noise == "gaussian" for one in events) == 5


def _end_leases(shop: Shop) -> None:
    """Nobody is at it any more."""
    from datetime import UTC, datetime

    from sqlalchemy import update

    from airflow_veil.privacy.ledger.database import writing
    from airflow_veil.privacy.ledger.tables import budget_charges

    with writing(shop.ledger._engine) as connection:
        connection.execute(update(budget_charges).values(lease_until=datetime(2020, 1, 1, tzinfo=UTC)))
