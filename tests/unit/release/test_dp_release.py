"""An answer is drawn once, and paid for before: retries, changes, failures, kills and many at once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from tests.unit.dp.asking import House
from tests.unit.release import crash, dp_crash

from airflow_veil.privacy.errors import (
    BudgetError,
    BudgetExhaustedError,
    LedgerError,
    SchemaError,
    StorageError,
)
from airflow_veil.privacy.ledger.budget import ChargeState
from airflow_veil.privacy.ledger.budgets import Budgets
from airflow_veil.privacy.release import dp_release
from airflow_veil.privacy.release.stored import from_bytes
from airflow_veil.privacy.storage.folder import FolderDestination
from airflow_veil.privacy.storage.parquet import ParquetSource

PRICE = 0.25
WHY = {"reason": "ticket 4711: the board asked again"}
QUERY: dict[str, Any] = {
    "spend": {"epsilon": PRICE},
    "keys": {"g": {"values": list(range(50)), "source": "made up"}},
    "measures": {"n": "count"},
}


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """Forty units; a budget that pays for eight answers."""
    made = dp_crash.house(tmp_path)
    made.write(QUERY, budget={"epsilon": 8 * PRICE})
    yield made
    made.close()


@pytest.fixture
def drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """How often noise was drawn."""
    monkeypatch.setattr(dp_release, "draw", dp_release.draw)
    dp_crash.write_draws(tmp_path)
    return lambda: len(dp_crash.draws(tmp_path))


def files(house: House, release: str) -> dict[str, bytes]:
    """What is published of a release."""
    folder = house.path / "releases" / "q" / release
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def states(house: House) -> list[ChargeState]:
    return [charge.state for charge in house.charges()]


class TestOnce:
    def test_the_same_interval_again(self, house: House, drawn: Callable[[], int]) -> None:
        """Whoever asks again gets the same bytes, and pays nothing."""
        first = house.release().reference
        before = files(house, first.release_id)

        for _ in range(3):
            again = house.release()
            assert again.reference == first
            assert "was published before" in again.summary

        assert files(house, first.release_id) == before
        assert drawn() == 1
        assert house.spent() == PRICE

    def test_another_interval(self, house: House, drawn: Callable[[], int]) -> None:
        """Another night is another answer, though the data be the same."""
        first = house.ask()
        second = house.ask(number=1)

        assert list(first["value"]) != list(second["value"])
        assert drawn() == 2
        assert house.spent() == 2 * PRICE

    def test_changed_data(self, house: House, drawn: Callable[[], int]) -> None:
        """Another version of the data is another answer for the same night."""
        first = house.release().reference.release_id
        house.supply(house.table.slice(1))
        second = house.release().reference.release_id

        assert first != second
        assert drawn() == 2
        assert house.spent() == 2 * PRICE

    def test_a_changed_question(self, house: House, drawn: Callable[[], int]) -> None:
        """What the answer depends on is part of the question; how it is described is not."""
        first = house.release().reference.release_id
        house.write({**QUERY, "description": "for the board"}, budget={"epsilon": 8 * PRICE})
        assert house.release().reference.release_id == first

        house.write({**QUERY, "measures": {"n": "count_distinct"}}, budget={"epsilon": 8 * PRICE})
        assert house.release().reference.release_id != first
        assert drawn() == 2

    def test_the_same_question_by_another_name(self, house: House, drawn: Callable[[], int]) -> None:
        """It is the same answer, published under both names, and costs nothing more."""
        house.write(QUERY, budget={"epsilon": PRICE}, other=QUERY)

        first = house.release().reference
        second = house.release("other").reference

        assert first.release_id != second.release_id
        assert house.published().equals(house.published("other"))
        assert house.release("other").reference == second
        assert (drawn(), house.spent()) == (1, PRICE)
        told = house.workspace().destination.manifest("other", second.release_id)
        assert told["differential_privacy"]["query"] == told["dataset"] == "other"

    def test_what_a_killed_task_left_is_swept(self, house: House) -> None:
        """Drafts of a day ago go with the next answer; one of just now may be another task's."""
        house.release()
        old, new = (house.path / "releases" / "q" / f".draft-{name}" for name in ("old", "new"))
        for draft in (old, new):
            draft.write_text("{}")
        os.utime(old, (0, 0))

        house.release(number=1)

        assert not old.exists()
        assert new.exists()

    def test_asked_anew_on_purpose(self, house: House, drawn: Callable[[], int]) -> None:
        """It is charged and put down in evidence, once for each label; a reason has to be given."""
        first = house.release().reference.release_id
        with pytest.raises(BudgetError):
            house.release(again="4711")

        second = house.release(again="4711", **WHY).reference.release_id
        assert house.release(again="4711", **WHY).reference.release_id == second
        third = house.release(again="4712", **WHY).reference.release_id

        assert len({first, second, third}) == 3
        assert drawn() == 3
        assert house.spent() == 3 * PRICE
        entries = [e for e in house.workspace().ledger.evidence() if e.kind == "budget.asked_again"]
        assert [(e.content["again"], e.content["reason"]) for e in entries] == [
            (label, WHY["reason"]) for label in ("4711", "4712")
        ]

    def test_an_old_night_again_stays_old(self, house: House) -> None:
        """A backfill of a night that is out does not take the current answer away."""
        house.release()
        newer = house.release(number=1).reference.release_id
        current = house.published()

        house.release()

        assert house.workspace().destination.current("q") == newer
        assert house.published().equals(current)

    def test_an_answer_is_told_to_be_affordable(self, house: House) -> None:
        """What is stored costs nothing; what is not costs its price; looking sets nothing aside."""
        for number in range(8):
            house.release(number=number)

        asked = house.workspace()
        assert dp_release.affordable(asked, "q", dp_crash.night(7))
        assert not dp_release.affordable(asked, "q", dp_crash.night(8))
        assert house.spent() == 8 * PRICE


class TestPaidBefore:
    @pytest.fixture
    def untouchable(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """No row can be read."""

        def refuse(*_: Any, **__: Any) -> Any:
            raise AssertionError("a row was read")

        monkeypatch.setattr(ParquetSource, "batches", refuse)
        monkeypatch.setattr(pl, "scan_parquet", refuse)

    def test_exhausted(self, house: House, drawn: Callable[[], int], request: pytest.FixtureRequest) -> None:
        """Where the budget does not pay, no row is read; what is stored is still told."""
        for number in range(8):
            house.release(number=number)
        request.getfixturevalue("untouchable")

        with pytest.raises(BudgetExhaustedError) as caught:
            house.release(number=8)

        assert caught.value.retryable is False
        assert house.release(number=3).reference.published
        assert drawn() == 8
        assert house.spent() == 8 * PRICE

    def test_another_budget_than_the_ledgers(self, house: House, untouchable: None) -> None:
        """Editing the policy does not give more money: nothing is read."""
        house.workspace().ledger.budgets.open(
            dp_release.account_of(house.workspace(), house.query()), actor="test"
        )
        house.write(QUERY, budget={"epsilon": 100 * PRICE})

        with pytest.raises(BudgetError, match="the ledger"):
            house.release()

    def test_no_such_query(self, house: House, untouchable: None) -> None:
        with pytest.raises(SchemaError, match="no query"):
            house.release("nothing")


class TestFailures:
    @pytest.mark.parametrize("error", [OSError, MemoryError, KeyboardInterrupt, SystemExit])
    def test_before_drawing(
        self,
        house: House,
        drawn: Callable[[], int],
        error: type[BaseException],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """Whatever happens before anything is drawn, the money comes back, and the next try works."""

        def fail(*_: Any, **__: Any) -> Any:
            raise error("canary-7f3a9")

        with monkeypatch.context() as patched:
            patched.setattr(dp_release, "totals", fail)
            with pytest.raises(error):
                house.release()

        assert (house.spent(), states(house), drawn()) == (0, [ChargeState.VOID], 0)
        assert "canary" not in "".join(entry.payload for entry in house.workspace().ledger.evidence())
        house.release()
        assert (house.spent(), drawn()) == (PRICE, 1)

    def test_a_broken_file(self, house: House, drawn: Callable[[], int]) -> None:
        """A source that cannot be read costs nothing."""
        whole = house.source.read_bytes()
        house.source.write_bytes(whole[:4] + bytes(len(whole) - 200) + whole[-196:])

        with pytest.raises(StorageError):
            house.release()

        assert (house.spent(), drawn()) == (0, 0)
        assert not (house.path / "releases").exists()

    def test_a_source_that_changes(
        self, house: House, drawn: Callable[[], int], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What was read is not what is paid for: nothing is drawn, the money comes back."""
        right = dp_release.totals

        def rewritten(*given: Any, **how: Any) -> Any:
            found = right(*given, **how)
            house.supply(house.table.slice(3))
            return found

        with monkeypatch.context() as patched:
            patched.setattr(dp_release, "totals", rewritten)
            with pytest.raises(StorageError, match="changed while it was read") as caught:
                house.release()

        assert caught.value.retryable
        assert (house.spent(), states(house), drawn()) == (0, [ChargeState.VOID], 0)
        house.release()
        assert house.spent() == PRICE

    @pytest.mark.parametrize("step", ["draw", "store"])
    def test_once_drawn_it_is_spent(self, house: House, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """From the draw on the money is gone; the next try pays again, and there is one answer."""

        def fail(*_: Any, **__: Any) -> Any:
            raise LedgerError("the disk is full")

        monkeypatch.setitem(Budgets.reserve_waiting.__kwdefaults__, "lease_seconds", 0.01)
        monkeypatch.setitem(Budgets.reserve_waiting.__kwdefaults__, "poll_seconds", 0.01)
        with monkeypatch.context() as patched:
            patched.setattr(*((dp_release, "draw") if step == "draw" else (Budgets, "store")), fail)
            with pytest.raises(LedgerError, match="disk"):
                house.release()

        assert (house.spent(), states(house)) == (PRICE, [ChargeState.DRAWING])
        assert not (house.path / "releases").exists()
        house.release()
        assert house.spent() == 2 * PRICE
        assert sorted(states(house)) == [ChargeState.DRAWING, ChargeState.STORED]

    def test_publication_that_fails(
        self, house: House, drawn: Callable[[], int], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A stored answer is published by the next try, without a draw."""

        def fail(*_: Any, **__: Any) -> Any:
            raise StorageError("the disk is full")

        with monkeypatch.context() as patched:
            patched.setattr(FolderDestination, "writer", fail)
            with pytest.raises(StorageError):
                house.release()
        assert states(house) == [ChargeState.STORED]

        house.release()

        assert (house.spent(), drawn()) == (PRICE, 1)
        assert _is_stored(house)


class TestKill:
    @pytest.mark.slow
    def test_killed_at_any_moment(
        self, house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Killed anywhere, no noise is drawn that is not paid for, and a second run ends in one published answer."""
        house.write(QUERY, budget={"epsilon": 500})
        house.release()
        for word, value in dp_crash.short_leases().items():
            monkeypatch.setitem(Budgets.reserve_waiting.__kwdefaults__, word, value)
        monkeypatch.setattr(dp_release, "draw", dp_release.draw)
        before = house.published()
        spent, drawn, lost = house.spent(), 0, 0

        for moment in range(200):
            number = moment + 1
            code = dp_crash.run_killed(tmp_path, number, moment)
            seen = house.published()
            paid = round((house.spent() - spent) / PRICE)
            assert len(dp_crash.draws(tmp_path)) - drawn <= paid <= 1, f"killed at moment {moment}"

            # The first run of this process was before draws were counted.
            dp_crash.write_draws(tmp_path)
            release = house.release(number=number).reference.release_id

            now = house.published()
            assert seen.equals(before) or seen.equals(now), f"killed at moment {moment}"
            charged = round((house.spent() - spent) / PRICE)
            draws = len(dp_crash.draws(tmp_path)) - drawn
            assert 1 <= draws <= charged <= 2
            lost += charged - 1
            assert house.workspace().destination.current("q") == release
            assert _is_stored(house)
            house.release(number=number)
            assert len(dp_crash.draws(tmp_path)) - drawn == draws
            spent, drawn, before = house.spent(), drawn + draws, now
            house.close()
            if code == 0:
                break
            assert code == crash.KILLED
        else:
            pytest.fail("the answer never came to its end")
        assert moment > 10, "too few moments: were they counted?"
        assert lost > 0, "none of them was between the draw and the store"
        house.workspace().ledger.verify_chain()


class TestTogether:
    def test_one_answer_for_all(self, house: House, tmp_path: Path) -> None:
        """Of processes that want the same answer one draws it, and all publish that one."""
        house.workspace().ledger.close()

        found = dp_crash.run_together(tmp_path, ["q"] * 3)

        assert len({release for _, release in found}) == 1
        assert len(dp_crash.draws(tmp_path)) == 1
        assert house.spent() == PRICE
        assert len(house.workspace().destination.releases("q")) == 1
        assert _is_stored(house)

    def test_a_budget_that_pays_for_some(self, house: House, tmp_path: Path) -> None:
        """Eight queries at once on a budget that pays for five: five answers, and nothing else is drawn."""
        names = [f"q{number}" for number in range(8)]
        queries = {name: {**QUERY, "confidence": 0.9 + int(name[1:]) / 100} for name in names}
        house.write(QUERY, budget={"epsilon": 5 * PRICE + PRICE / 2}, **queries)
        house.workspace().ledger.close()

        found = dp_crash.run_together(tmp_path, names)

        answered = sorted(name for name, release in found if release)
        assert len(answered) == 5
        assert sorted(line.split()[0] for line in dp_crash.draws(tmp_path)) == answered
        assert house.spent() == 5 * PRICE
        assert states(house) == [ChargeState.STORED] * 5
        assert sorted(path.name for path in (house.path / "releases").iterdir()) == answered
        house.workspace().ledger.verify_chain()


def _is_stored(house: House) -> bool:
    """What is published is what the ledger has: the newest stored answer."""
    charge = [charge for charge in house.charges() if charge.state is ChargeState.STORED][-1]
    answer = house.workspace().ledger.budgets.answer(charge.answer_id)
    assert answer is not None
    table, _ = from_bytes(answer.answer)
    return house.published().equals(pa.Table.to_pandas(table))
