"""Erasure and models that were shared: whoever may be in one has it withdrawn, or the policy says why it stays."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from tests.unit.release.test_model_release import ACTOR, PEOPLE, POLICY, House, coarse, house, known

from airflow_veil.privacy.erasure import requests, service
from airflow_veil.privacy.errors import ModelError
from airflow_veil.privacy.keys.file import KeyFile
from airflow_veil.privacy.ledger.erasures import RequestState
from airflow_veil.privacy.ledger.record import ReleaseState
from airflow_veil.privacy.release.model_release import ModelDone

__all__ = ["house", "known"]

PERSON, STRANGER = 10 * PEOPLE + 7, 99_999
SHARED = (
    POLICY.replace("    subject: id\n    columns:", "    subject: id\n    erasure: delete\n    columns:")
    .replace("id: {class: direct_identifier, treat", "id: {class: direct_identifier, type: int64, treat")
    .replace("models:\n", "erasure: {identifiers: [people.id]}\nmodels:\n")
)
EXEMPT = SHARED.replace(
    "    licence: apache", "    after_erasure: {exempt: attacks find nobody in it}\n    licence: apache"
)
OUTSIDE = SHARED.replace("train: {dataset: people}", "train: trained.parquet")


def shared(house: House, policy: str = SHARED) -> ModelDone:
    """A model that is out."""
    (house.path / "labels.yaml").write_text(policy)
    done = house.release()
    KeyFile(house.path / "home" / "keys.json").create()
    assert done.published
    return done


def erase(house: House, person: int = PERSON) -> Any:
    """Erase somebody; how it ended."""
    with house.workspace() as workspace:
        asked = requests.place(workspace, {"people.id": str(person)}, actor=ACTOR)
        return service.run(workspace, actor=ACTOR, only=asked.request_id)


def state(house: House, done: ModelDone) -> ReleaseState:
    with house.ledger as ledger:
        return ledger.release(str(done.release_id)).state


class TestErasing:
    def test_who_was_in_it(self, house: House, known: list[Any]) -> None:
        """The model is withdrawn, and the request complete: a second look finds none."""
        done = shared(house)
        concluded = erase(house)

        assert set(concluded.states.values()) == {RequestState.COMPLETE}
        assert state(house, done) is ReleaseState.EXPIRED
        assert not (house.shared / "current").exists()

    def test_who_was_not(self, house: House, known: list[Any]) -> None:
        """A model of rows that are as they were, and that the person is not in, stays."""
        done = shared(house)
        erase(house, STRANGER)

        assert state(house, done) is ReleaseState.CURRENT

    def test_rows_that_changed_since(self, house: House, known: list[Any]) -> None:
        """Nobody can say that the person was not in them."""
        done = shared(house)
        rows = pq.read_table(house.path / "people.parquet")
        pq.write_table(rows.slice(1), house.path / "people.parquet")
        erase(house, STRANGER)

        assert state(house, done) is ReleaseState.EXPIRED

    def test_rows_outside_of_the_policy(self, house: House, known: list[Any]) -> None:
        """Neither can anybody of rows that the policy does not know."""
        rows = pq.read_table(house.path / "people.parquet")
        pq.write_table(rows, house.path / "trained.parquet")
        done = shared(house, OUTSIDE)
        erase(house, STRANGER)

        assert state(house, done) is ReleaseState.EXPIRED

    def test_what_the_policy_lets_stay(self, house: House, known: list[Any]) -> None:
        """It stays, and the request tells why."""
        done = shared(house, EXEMPT)
        concluded = erase(house)
        with house.ledger as ledger:
            steps = ledger.erasures.steps(concluded.batch_id)
        (models,) = [step for step in steps if step.name == "models"]

        assert set(concluded.states.values()) == {RequestState.COMPLETE}
        assert state(house, done) is ReleaseState.CURRENT
        assert (models.done or {})["kept"] == {done.release_id: "attacks find nobody in it"}

    def test_the_next_one_is_shared_again(self, house: House, known: list[Any]) -> None:
        """Trained without the person, and tested anew, it is a release of its own."""
        before = shared(house)
        erase(house)
        house.model(coarse(25))
        after = house.release()

        assert after.published, after.verdict
        assert after.release_id != before.release_id
        erase(house, STRANGER)
        assert state(house, after) is ReleaseState.CURRENT

    def test_the_same_file_is_not_shared_again(self, house: House, known: list[Any]) -> None:
        """It knows the person still, whatever attacks on it tell."""
        done = shared(house)
        erase(house)

        with pytest.raises(ModelError, match="withdrawn when somebody was erased"):
            house.release()
        assert state(house, done) is ReleaseState.EXPIRED
        assert not (house.shared / "current").exists()


class TestSecondLook:
    def test_finds_a_model_that_was_left(
        self, house: House, known: list[Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Where the step that withdraws passes one over, the request is not complete."""
        from airflow_veil.privacy.erasure import models

        done = shared(house)
        monkeypatch.setattr(models, "may_know", lambda *_: False)
        concluded = erase(house)

        assert set(concluded.states.values()) == {RequestState.INCOMPLETE}
        assert state(house, done) is ReleaseState.CURRENT

    def test_finds_those_of_other_policies(self, house: House, known: list[Any]) -> None:
        """A model of another policy that was trained on the same source is named, like any release of it."""
        shared(house, SHARED.replace("name: labels", "name: others"))
        (house.path / "labels.yaml").write_text(SHARED)
        concluded = erase(house)
        with house.workspace() as workspace:
            batch = workspace.ledger.erasures.batch(concluded.batch_id)
        told = [check["sentence"] for check in (batch.verified or {})["checks"] if not check["passed"]]

        assert set(concluded.states.values()) == {RequestState.INCOMPLETE}
        assert len(told) == 1
        assert "request the erasure with policy others, too" in told[0]


def test_rows_are_as_the_tests_say(house: House) -> None:
    """The person is in the training rows, the stranger in none."""
    ids = pq.read_table(house.path / "people.parquet").column("id")
    found = pc.is_in(pa.array([PERSON, STRANGER]), ids)

    assert found.to_pylist() == [True, False]
