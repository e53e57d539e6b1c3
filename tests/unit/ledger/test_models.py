"""Models in the ledger: one for a specification, data and interval; what has ended stays so. On both databases."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.unit.ledger.budgeting import account, measurement, request

from airflow_veil.privacy.errors import BudgetError, LedgerError, SyntheticError
from airflow_veil.privacy.ledger.budget import Claim, StoredAnswer
from airflow_veil.privacy.ledger.ledger import Ledger
from airflow_veil.privacy.ledger.models import ModelRecord, ModelState

ACTOR = "tester"
NOW = datetime(2026, 3, 15, 12, tzinfo=UTC)
SEALED: dict[str, Any] = {"digest": "d" * 64, "size": 1_000, "key_version": 1}


def model(**changed: Any) -> ModelRecord:
    """A model before it is fitted."""
    told: dict[str, Any] = {
        "model_id": secrets.token_hex(16),
        "policy": "shop",
        "synthesis": "shoppers",
        "specification": "5" * 64,
        "data_version": "v" * 64,
        "interval_key": "night",
        "method": "gaussian_copula",
        "learned_from": {"people": {"namespace": "file", "name": "/data/people.parquet"}},
        "actor": ACTOR,
        "begun_at": NOW,
        "expires_at": NOW + timedelta(days=30),
    }
    return ModelRecord(**told | changed)


def kinds(ledger: Ledger, record: ModelRecord) -> list[str]:
    """What the evidence tells of a model."""
    return [entry.kind for entry in ledger.evidence_of(record.subject)]


class TestFitting:
    def test_is_noted_before_and_kept_after(self, ledger: Ledger) -> None:
        """A model is there before a row is read, and has its digest once it is kept; both are evidence."""
        begun = ledger.models.begin(model())
        assert ledger.models.find(begun.model_id) == begun

        kept = ledger.models.keep(begun.model_id, **SEALED)

        assert (kept.state, kept.digest, kept.bytes, kept.key_version) == ("fitted", "d" * 64, 1_000, 1)
        assert ledger.models.find(begun.model_id) == kept
        assert kinds(ledger, begun) == ["model.begun", "model.fitted"]

    def test_the_same_again_is_the_one_that_is_there(self, ledger: Ledger) -> None:
        """Whoever begins the same finds the fitted one; another interval, data or specification is another."""
        kept = ledger.models.keep(ledger.models.begin(model()).model_id, **SEALED)

        assert ledger.models.begin(model()) == kept
        assert len(ledger.models.listed()) == 1
        for other in ({"interval_key": "day"}, {"data_version": "w" * 64}, {"specification": "6" * 64}):
            assert ledger.models.begin(model(**other)).state is ModelState.FITTING

    def test_of_two_at_once_the_first_is_kept(self, ledger: Ledger) -> None:
        """The second is given the first's, and its own is destroyed."""
        one, two = (ledger.models.begin(model()) for _ in range(2))
        first = ledger.models.keep(one.model_id, **SEALED)

        assert ledger.models.keep(two.model_id, **SEALED | {"digest": "e" * 64}) == first
        assert ledger.models.find(two.model_id).state is ModelState.DESTROYED

    def test_what_was_ended_is_never_kept(self, ledger: Ledger) -> None:
        """An erasure while it is being fitted wins."""
        begun = ledger.models.begin(model())
        ledger.models.end(begun.model_id, ModelState.STALE, "erasure 1", actor=ACTOR)

        with pytest.raises(SyntheticError, match="ended while it was being fitted"):
            ledger.models.keep(begun.model_id, **SEALED)

    def test_has_no_data_version_in_the_evidence(self, ledger: Ledger) -> None:
        """Who knows the digest of the rows could test guesses."""
        begun = ledger.models.begin(model())
        ledger.models.keep(begun.model_id, **SEALED)

        assert all("v" * 64 not in (entry.payload or "") for entry in ledger.evidence())


class TestEnding:
    def test_ends_once(self, ledger: Ledger) -> None:
        """The first reason stays, and is told once."""
        kept = ledger.models.keep(ledger.models.begin(model()).model_id, **SEALED)
        ended = ledger.models.end(kept.model_id, ModelState.STALE, "erasure 1", actor=ACTOR)

        assert ledger.models.end(kept.model_id, ModelState.EXPIRED, "late", actor=ACTOR) == ended
        assert (ended.state, ended.reason) == ("stale", "erasure 1")
        assert kinds(ledger, kept)[2:] == ["model.stale"]

    def test_makes_room_for_another(self, ledger: Ledger) -> None:
        """The same is fitted anew once it is stale."""
        kept = ledger.models.keep(ledger.models.begin(model()).model_id, **SEALED)
        ledger.models.end(kept.model_id, ModelState.STALE, "erasure 1", actor=ACTOR)

        again = ledger.models.keep(ledger.models.begin(model()).model_id, **SEALED)
        assert again.state is ModelState.FITTED
        assert again.model_id != kept.model_id

    def test_those_past_their_time_are_due(self, ledger: Ledger) -> None:
        """Of the policy alone, be they fitted or left by a killed task; what has ended is not due any more."""
        due = ledger.models.begin(model(expires_at=NOW))
        ledger.models.begin(model(expires_at=NOW + timedelta(seconds=1)))
        ledger.models.begin(model(policy="other", expires_at=NOW))

        assert [each.model_id for each in ledger.models.due("shop", NOW)] == [due.model_id]
        ledger.models.end(due.model_id, ModelState.EXPIRED, "its time is over", actor=ACTOR)
        assert ledger.models.due("shop", NOW) == ()

    def test_one_that_is_not_there(self, ledger: Ledger) -> None:
        """Is an error that names it."""
        with pytest.raises(SyntheticError, match="no such model"):
            ledger.models.end("nobody", ModelState.EXPIRED, "late", actor=ACTOR)


class TestPaidFor:
    def claim(self, ledger: Ledger) -> Claim:
        """Money set aside for a model."""
        ledger.budgets.open(account(), actor=ACTOR)
        claim = ledger.budgets.reserve(request(), actor=ACTOR)
        assert isinstance(claim, Claim)
        return claim

    def test_closes_the_charge_in_the_same_step(self, ledger: Ledger) -> None:
        """The answer that is stored names the model and holds nothing of it."""
        claim = ledger.budgets.drawing(self.claim(ledger), [measurement()])
        kept = ledger.models.keep(ledger.models.begin(model()).model_id, **SEALED, claim=claim)

        assert kept.charge_id == claim.charge_id
        assert kept.private
        stored = ledger.budgets.reserve(request(), actor=ACTOR)
        assert isinstance(stored, StoredAnswer)
        assert kept.model_id.encode() in stored.answer

    def test_nothing_is_kept_that_was_not_drawn_for(self, ledger: Ledger) -> None:
        """A charge that is only reserved pays for no noise, and the model stays out."""
        begun = ledger.models.begin(model())
        with pytest.raises(BudgetError):
            ledger.models.keep(begun.model_id, **SEALED, claim=self.claim(ledger))
        assert ledger.models.find(begun.model_id).state is ModelState.FITTING


class TestTables:
    def test_one_fitted_model_each(self, ledger: Ledger) -> None:
        """The database itself refuses a second one."""
        from sqlalchemy import update

        from airflow_veil.privacy.ledger.database import writing
        from airflow_veil.privacy.ledger.model_tables import synthetic_models

        two = [ledger.models.begin(model()) for _ in range(2)]
        ledger.models.keep(two[0].model_id, **SEALED)
        told = {"state": "fitted", "digest": "e" * 64, "bytes": 1, "key_version": 1, "fitted_at": NOW}
        mine = synthetic_models.c.model_id == two[1].model_id
        with pytest.raises(LedgerError), writing(ledger._engine) as connection:
            connection.execute(update(synthetic_models).where(mine).values(told))
