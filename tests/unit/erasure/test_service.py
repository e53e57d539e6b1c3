"""Erasure as a whole: who asked is gone everywhere, whoever stays is as before, and what is left is named."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.unit.erasure.shop import ACTOR, DATASETS, Shop, agent, customer, customers, email, order

from airflow_veil.privacy.erasure import service
from airflow_veil.privacy.errors import ErasureError, ReleaseError
from airflow_veil.privacy.ledger.erasures import RequestState
from airflow_veil.privacy.ledger.record import ReleaseState
from airflow_veil.privacy.release import service as releasing
from airflow_veil.privacy.release.interval import Interval
from airflow_veil.privacy.retention import holds
from airflow_veil.privacy.retention import service as retention

GONE = 5
"""The customer who asks."""


def texts(number: int) -> list[str]:
    """All that a customer is known by."""
    return [str(customer(number)), email(number), order(number, 0), order(number, 1)]


def everything(shop: Shop) -> dict[str, list[dict[str, Any]]]:
    return {dataset: shop.rows(dataset) for dataset in DATASETS}


def without(rows: dict[str, list[dict[str, Any]]], *numbers: int) -> dict[str, list[dict[str, Any]]]:
    """What is to be left, by the definition."""
    mine = {text for number in numbers for text in texts(number)}
    return {
        dataset: [row for row in each if not mine & {str(value) for value in row.values()}]
        for dataset, each in rows.items()
    }


class TestWhole:
    def test_who_asked_is_gone_and_all_others_stay(self, shop: Shop) -> None:
        """Rows of every table, bytes of every file; other rows are equal, the request complete."""
        before = everything(shop)
        [request] = shop.ask(GONE)

        done = shop.run()

        assert done is not None
        assert done.states == {request.request_id: RequestState.COMPLETE}, done.problems
        assert everything(shop) == without(before, GONE)
        assert shop.holding(*texts(GONE)) == []

    def test_named_by_another_identifier(self, shop: Shop) -> None:
        """An address leads to the number, and that to the orders and their lines."""
        before = everything(shop)
        shop.ask(customers__email=email(GONE))

        done = shop.run()

        assert done is not None
        assert done.complete, done.problems
        assert everything(shop) == without(before, GONE)

    def test_many_are_one_batch(self, shop: Shop) -> None:
        """Each with its own counts; somebody who asks twice is the same person."""
        before = everything(shop)
        asked = shop.ask(1, 2, 3)
        twice = shop.ask(customers__email=email(2))

        done = shop.run()

        assert done is not None
        assert set(done.states) == {each.request_id for each in (*asked, *twice)}
        assert set(done.states.values()) == {RequestState.COMPLETE}, done.problems
        assert everything(shop) == without(before, 1, 2, 3)
        outcome = shop.workspace().ledger.erasures.find(asked[0].request_id).outcome
        assert outcome is not None
        assert outcome["datasets"]["orders"] == {"deleted": 2}
        assert outcome["datasets"]["lines"] == {"deleted": 4}

    def test_somebody_who_is_not_there(self, shop: Shop) -> None:
        """Already clean is success, and changes nothing."""
        before = everything(shop)
        files = {path: path.stat().st_mtime_ns for path in shop.path.rglob("*.parquet")}
        shop.ask(999)

        done = shop.run()

        assert done is not None
        assert done.complete, done.problems
        assert everything(shop) == before
        assert {path: path.stat().st_mtime_ns for path in files} == files

    def test_only_files_with_the_person_are_touched(self, shop: Shop) -> None:
        """The others keep bytes, times and inodes."""
        parts = sorted((shop.path / "customers").glob("*.parquet"))
        before = {
            path.name: (path.read_bytes(), path.stat().st_mtime_ns, path.stat().st_ino) for path in parts
        }
        shop.ask(GONE)
        shop.run()

        changed = [
            path.name
            for path in parts
            if before[path.name] != (path.read_bytes(), path.stat().st_mtime_ns, path.stat().st_ino)
        ]
        assert changed == [f"part-{GONE % shop.files}.parquet"]

    def test_a_link_loses_its_cells(self, shop: Shop) -> None:
        """Staff stay by law, and are masked where they stand in other people's rows."""
        before = everything(shop)
        [request] = shop.ask(staff__id=agent(1))

        done = shop.run()

        assert done is not None
        assert done.complete, done.problems
        after = everything(shop)
        assert after["staff"] == before["staff"]
        assert [row["agent"] for row in after["customers"]] == [
            None if row["agent"] == agent(1) else row["agent"] for row in before["customers"]
        ]
        facts = shop.workspace().ledger.erasures.find(request.request_id).outcome
        assert facts is not None
        assert facts["datasets"]["customers"]["masked"] == 4
        assert facts["datasets"]["staff"]["exempt"] == 1

    def test_nothing_waits(self, shop: Shop) -> None:
        """There is nothing to do."""
        assert shop.run() is None

    def test_the_forecast_changes_nothing(self, shop: Shop) -> None:
        """It tells counts; the ledger has no batch, and the sources are as they were."""
        shop.ask(GONE)
        before = everything(shop)
        entries = len(shop.workspace().ledger.evidence())

        told = service.forecast(shop.workspace())

        assert told["datasets"]["lines"]["delete"] == 4
        assert told["datasets"]["customers"]["files"] == 1
        assert everything(shop) == before
        assert len(shop.workspace().ledger.evidence()) == entries
        assert shop.workspace().ledger.erasures.open("shop") is None

    def test_nothing_of_the_person_is_kept(self, shop: Shop) -> None:
        """Neither on the request nor with the batch, once it is complete."""
        [request] = shop.ask(GONE)
        done = shop.run()
        assert done is not None
        erasures = shop.workspace().ledger.erasures
        assert erasures.find(request.request_id).sealed is None
        assert erasures.batch(done.batch_id).sealed is None


class TestArchive:
    def test_what_retention_archived_is_reached(self, shop: Shop) -> None:
        """The person's orders lie in the archive alone; their lines are found by them, and all of it goes."""
        rule = "    retention: {after: P1Y, from: at, at_most: 1.0, action: {archive: {to: archive}}}\n"
        text = shop.policy.read_text().replace(
            "    subject: {column: customer, references: customers.id}\n",
            "    subject: {column: customer, references: customers.id}\n" + rule,
        )
        text = text.replace(
            "      paid: {class: none, type: float64, treat: keep}\n",
            "      paid: {class: none, type: float64, treat: keep}\n"
            "      at: {class: none, type: timestamp, treat: drop}\n",
        )
        shop.policy.write_text(text)
        lines = (shop.path / "orders.csv").read_text().splitlines()
        old = [
            f"{line},{'2020-05-01' if order(GONE, 0)[:11] in line else '2026-05-01'}T00:00:00"
            for line in lines[1:]
        ]
        (shop.path / "orders.csv").write_text("\n".join([f"{lines[0]},at", *old, ""]))
        done = retention.enforce(shop.workspace(), "orders", actor=ACTOR)
        assert done.counts.archive == 2
        archived = shop.path / "archive" / "shop" / "orders"
        assert len(list(archived.glob("*.parquet"))) == 1
        shop.ask(GONE)

        concluded = shop.run()

        assert concluded is not None
        assert concluded.complete, concluded.problems
        assert pq.read_table(archived).num_rows == 0
        assert len(shop.rows("lines")) == 4 * shop.customers - 4
        assert shop.holding(*texts(GONE)) == []


class TestReleases:
    def test_the_current_one_is_made_anew(self, shop: Shop) -> None:
        """Same rows, columns and expiry, less the person's; the old one is gone."""
        old = shop.release()
        before = {dataset: shop.released(dataset) for dataset in DATASETS}
        expiry = shop.workspace().ledger.release(old["orders"]).expires_at
        shop.ask(GONE)

        done = shop.run()

        assert done is not None
        assert done.complete, done.problems
        for dataset, count in (("customers", 1), ("orders", 2), ("lines", 4), ("staff", 0)):
            after = shop.released(dataset)
            assert len(after) == len(before[dataset]) - count
            assert [row for row in before[dataset] if row in after] == after
        ledger = shop.workspace().ledger
        assert ledger.release(old["orders"]).state is ReleaseState.EXPIRED
        assert not (shop.path / "releases" / "orders" / old["orders"]).exists()
        current = ledger.current("shop", "orders")
        assert current is not None
        assert current.expires_at == expiry
        assert current.manifest is not None
        assert current.manifest["made_from"] == old["orders"]
        assert ledger.release(old["staff"]).state is ReleaseState.CURRENT

    def test_earlier_ones_are_withdrawn(self, shop: Shop) -> None:
        """Nobody can roll back to a release that holds the person."""
        first, _ = shop.release(0), shop.release(1)
        shop.supply(range(shop.customers + 1))
        shop.release(2)
        shop.ask(GONE)

        done = shop.run()

        assert done is not None
        assert done.complete, done.problems
        assert shop.workspace().ledger.release(first["orders"]).state is ReleaseState.EXPIRED
        assert len(shop.workspace().destination.releases("orders")) == 1
        with pytest.raises(ReleaseError):
            releasing.rollback(
                shop.workspace(), "orders", release_id=first["orders"], reason="try", actor=ACTOR
            )

    def test_one_that_tells_nobody_apart_is_withdrawn(self, shop: Shop) -> None:
        """Where the number was dropped, nobody can say that the person is not in it."""
        text = shop.policy.read_text().replace(
            "number: {class: direct_identifier, treat: {token: {domain: order}}}",
            "number: {class: direct_identifier, treat: drop}",
        )
        shop.policy.write_text(
            text.replace(
                "customer: {class: direct_identifier, type: string, treat: {token: {domain: customer}}}",
                "customer: {class: direct_identifier, type: string, treat: drop}",
            )
        )
        shop.release()
        shop.ask(GONE)

        done = shop.run()

        assert done is not None
        assert done.complete, done.problems
        assert shop.released("orders") == []
        assert len(shop.released("customers")) == shop.customers - 1

    def test_a_run_under_way_can_no_longer_publish(self, shop: Shop) -> None:
        """It has read the person, so what it staged is discarded; begun again, it is without them."""
        workspace = shop.workspace()
        interval = Interval(key="20260301", start=None, end=None)
        begun = releasing.begin(workspace, "orders", interval, actor=ACTOR)
        staged = releasing.sanitize(workspace, begun, actor=ACTOR)
        shop.ask(GONE)
        done = shop.run()
        assert done is not None
        assert done.complete, done.problems

        with pytest.raises(ReleaseError):
            releasing.publish(shop.workspace(), staged.reference, actor=ACTOR)
        assert shop.released("orders") == []

    def test_what_the_ledger_does_not_know_is_named(self, shop: Shop) -> None:
        """A copy that nobody accounts for keeps the request from being complete."""
        shop.release()
        folder = shop.path / "releases" / "orders"
        (folder / "copied-by-hand").mkdir()
        [request] = shop.ask(GONE)

        done = shop.run()

        assert done is not None
        assert done.states[request.request_id] is RequestState.INCOMPLETE
        assert any("copied-by-hand" in text for text in done.problems)

    def test_a_release_of_another_policy_is_named(self, shop: Shop) -> None:
        """It was made of the same source before that was clean."""
        shop.release()
        other = shop.policy.with_name("other.yaml")
        other.write_text(
            shop.policy.read_text().replace("name: shop", "name: other").replace("releases,", "others,")
        )
        mine, shop_policy = shop.policy, shop.policy.read_text()
        mine.write_text(other.read_text())
        shop.release()
        mine.write_text(shop_policy)
        [request] = shop.ask(GONE)

        done = shop.run()

        assert done is not None
        assert done.states[request.request_id] is RequestState.INCOMPLETE
        assert any("other.orders" in text for text in done.problems)


class TestStaysErased:
    def test_who_is_sent_again_is_left_out_and_erased_again(self, shop: Shop) -> None:
        """Upstream sends everything once more: the release is without the person, and replay cleans the source."""
        shop.ask(GONE)
        shop.run()
        shop.supply(range(shop.customers))

        shop.release()
        assert len(shop.released("customers")) == shop.customers - 1
        assert len(shop.released("orders")) == 2 * shop.customers - 2
        assert len(shop.released("lines")) == 4 * shop.customers - 4

        done = service.replay(shop.workspace(), actor=ACTOR)
        assert done is not None
        assert done.complete, done.problems
        assert len(shop.rows("lines")) == 4 * shop.customers - 4
        assert shop.holding(*texts(GONE)) == []
        assert service.replay(shop.workspace(), actor=ACTOR) is None


class TestIncomplete:
    def test_a_place_that_cannot_be_reached(self, shop: Shop) -> None:
        """Nothing at all is erased, and the place is named; when it is back, the same request is carried out."""
        before = everything(shop)
        [request] = shop.ask(GONE)
        away = shop.database.rename(shop.database.with_suffix(".away"))

        done = shop.run()

        assert done is not None
        assert done.states == {request.request_id: RequestState.INCOMPLETE}
        assert any("shop.db" in text for text in done.problems)
        away.rename(shop.database)
        assert everything(shop) == before
        again = shop.run(only=request.request_id)
        assert again is not None
        assert again.complete, again.problems
        assert everything(shop) == without(before, GONE)

    def test_an_address_of_two_people(self, shop: Shop) -> None:
        """Neither of them is erased; the others of the batch are."""
        table = customers([shop.customers]).set_column(1, "email", pa.array([email(GONE)]))
        pq.write_table(table, shop.path / "customers" / "part-9.parquet")
        before = everything(shop)
        [request] = shop.ask(customers__email=email(GONE))
        [other] = shop.ask(1)

        done = shop.run()

        assert done is not None
        assert done.states[request.request_id] is RequestState.INCOMPLETE
        assert done.states[other.request_id] is RequestState.COMPLETE
        assert any("2 people" in text for text in done.problems)
        assert everything(shop) == without(before, 1)

    def test_an_address_that_somebody_else_has_too(self, shop: Shop) -> None:
        """Named by the number, one of them goes; the other's row with the same address is no residue."""
        table = customers([shop.customers]).set_column(1, "email", pa.array([email(GONE)]))
        pq.write_table(table, shop.path / "customers" / "part-9.parquet")
        shop.ask(GONE)

        done = shop.run()

        assert done is not None
        assert done.complete, done.problems

    def test_what_is_left_in_a_corner_is_found(self, shop: Shop) -> None:
        """A copy beside the files, under a name that nobody reads: verification names it."""
        part = shop.path / "customers" / f"part-{GONE % shop.files}.parquet"
        (shop.path / "customers" / "_backup").write_bytes(f"{email(GONE)}\n".encode())
        assert part.exists()
        [request] = shop.ask(GONE)

        done = shop.run()

        assert done is not None
        assert done.states[request.request_id] is RequestState.INCOMPLETE
        assert any("customers" in text for text in done.problems)

    def test_a_step_that_fails_is_gone_on_with(self, shop: Shop) -> None:
        """The next run does the rest."""
        before = everything(shop)
        shop.ask(GONE)
        planned = service.plan(shop.workspace(), actor=ACTOR)
        assert planned is not None
        for step in planned.steps[:2]:
            service.erase(shop.workspace(), planned.batch_id, step, actor=ACTOR)
        with pytest.raises(ErasureError, match="not done"):
            service.erase(shop.workspace(), planned.batch_id, planned.steps[-1], actor=ACTOR)
        with pytest.raises(ErasureError):
            service.verify(shop.workspace(), planned.batch_id, actor=ACTOR)

        done = shop.run()

        assert done is not None
        assert done.batch_id == planned.batch_id
        assert done.complete, done.problems
        assert everything(shop) == without(before, GONE)

    def test_a_policy_that_changes_in_between(self, shop: Shop) -> None:
        """A frozen plan is carried out by the policy that it was made by."""
        shop.ask(GONE)
        planned = service.plan(shop.workspace(), actor=ACTOR)
        assert planned is not None
        shop.policy.write_text(shop.policy.read_text() + "description: another one\n")
        with pytest.raises(ErasureError, match="changed"):
            service.erase(shop.workspace(), planned.batch_id, planned.steps[0], actor=ACTOR)


class TestHolds:
    def test_held_rows_stay_and_go_when_it_is_lifted(self, shop: Shop) -> None:
        """Of the data set that is held; lifting the hold lets the request wait again by itself."""
        before = everything(shop)
        hold = holds.place(
            shop.workspace(), "orders", reason="case 2026-17", actor=ACTOR, subjects=[str(customer(GONE))]
        )
        [request] = shop.ask(GONE)

        done = shop.run()

        assert done is not None
        assert done.states == {request.request_id: RequestState.HELD}, done.problems
        assert done.complete
        after = everything(shop)
        assert after["orders"] == before["orders"]
        assert after["customers"] == without(before, GONE)["customers"]

        shop.workspace().ledger.holds.lift(hold.hold_id, reason="case 2026-17 is closed", actor=ACTOR)
        again = shop.run()

        assert again is not None
        assert again.states == {request.request_id: RequestState.COMPLETE}, again.problems
        assert everything(shop) == without(before, GONE)
        assert shop.holding(*texts(GONE)) == []

    def test_a_hold_that_is_placed_after_the_plan(self, shop: Shop) -> None:
        """It is looked up once more right before rows go."""
        before = everything(shop)
        [request] = shop.ask(GONE)
        planned = service.plan(shop.workspace(), actor=ACTOR)
        assert planned is not None
        holds.place(
            shop.workspace(), "customers", reason="case 2026-18", actor=ACTOR, subjects=[str(customer(GONE))]
        )

        done = shop.run()

        assert done is not None
        assert done.states == {request.request_id: RequestState.HELD}, done.problems
        assert everything(shop)["customers"] == before["customers"]
