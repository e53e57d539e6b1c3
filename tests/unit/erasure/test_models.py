"""Erasure and models of synthetic data: what may have learned of somebody is destroyed, what it published is told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from tests.unit.release.conftest import ACTOR, Shop, night
from tests.unit.release.synthesis import POLICY, models, open_shop, people, published, run, sealed, silent

from airflow_veil.privacy.erasure import certificate, requests, service
from airflow_veil.privacy.erasure import models as erased_models
from airflow_veil.privacy.errors import SyntheticError
from airflow_veil.privacy.ledger.erasures import RequestState
from airflow_veil.privacy.ledger.models import ModelState
from airflow_veil.privacy.ledger.record import ReleaseState
from airflow_veil.privacy.release import synthesize

KEEPS = POLICY.replace(
    "      evaluate:\n",
    "      after_erasure: {exempt: attacks on each release find nobody}\n      evaluate:\n",
)


@pytest.fixture
def shop(tmp_path: Path, empty_ledger: Path) -> Iterator[Shop]:
    """A shop that makes up rows."""
    made = open_shop(tmp_path / "shop", empty_ledger)
    yield made
    made.close()


def erase(shop: Shop, person: str = "7") -> Any:
    """Erase somebody; how it ended."""
    with shop.workspace() as workspace:
        asked = requests.place(workspace, {"people.id": person}, actor=ACTOR)
        return service.run(workspace, actor=ACTOR, only=asked.request_id)


def facts(shop: Shop, concluded: Any) -> dict[str, Any]:
    """The certificate of the request, as JSON."""
    (request,) = concluded.states
    issued, path = certificate.file_request(
        shop.workspace(), request, shop.path / "certificates", actor=ACTOR
    )
    assert issued.title
    told: dict[str, Any] = json.loads(path.read_text())
    return told


class TestErasing:
    def test_models_that_learned_are_destroyed(self, shop: Shop) -> None:
        """The bytes are gone, the ledger says why, and what was drawn is withdrawn; the request is complete."""
        run(shop, "someone")
        concluded = erase(shop)

        (record,) = models(shop)
        assert set(concluded.states.values()) == {RequestState.COMPLETE}
        assert (record.state, record.reason) == (ModelState.STALE, f"erasure {concluded.batch_id}")
        assert sealed(shop) == []
        assert shop.destination.current("someone") is None
        (release,) = shop.ledger.list("shop", "someone")
        assert release.state is ReleaseState.EXPIRED

    def test_the_certificate_tells_it(self, shop: Shop) -> None:
        """What was destroyed, what was withdrawn, and that a second look found none."""
        run(shop, "someone")
        text = json.dumps(facts(shop, erase(shop)))

        assert "destroyed, to be fitted anew without the people of this batch: 1 of someone" in text
        assert "1 releases withdrawn" in text
        assert "models that learned from the data sets before they were clean" in text

    def test_the_next_model_is_without_the_person(self, shop: Shop) -> None:
        """Also where upstream sends the rows again: the list keeps them out of what is learned."""
        before = people()
        run(shop, "someone")
        erase(shop)
        shop.supply(before)
        workspace = shop.workspace()
        from airflow_veil.privacy.release.synthetic_sources import sources_of, training_of
        from airflow_veil.privacy.synthetic.specification import compiled

        specification = compiled(workspace.loaded.policy, "someone")
        training = training_of(workspace, specification, sources_of(workspace, specification))
        assert training.fit["people"].num_rows + training.holdout["people"].num_rows == before.num_rows - 1

        assert run(shop, "someone", 1).reference.published
        assert published(shop, "someone").num_rows == 300

    def test_what_read_nobody_stays(self, shop: Shop) -> None:
        """`faker` learned of nobody."""
        run(shop, "nobody")
        erase(shop)

        assert models(shop)[0].state is ModelState.FITTED
        assert shop.destination.current("nobody_people") is not None

    def test_releases_stay_where_the_policy_says_why(self, shop: Shop) -> None:
        """The model is destroyed all the same; the certificate names what stays, and the reason."""
        shop.write(KEEPS)
        run(shop, "someone")
        concluded = erase(shop)

        assert set(concluded.states.values()) == {RequestState.COMPLETE}
        assert models(shop)[0].state is ModelState.STALE
        current = shop.destination.current("someone")
        assert current is not None
        told = facts(shop, concluded)
        kept = [each for each in told["facts"]["kept"] if each["store"] == f"release {current}"]
        assert [each["why"] for each in kept] == ["attacks on each release find nobody"]

    def test_what_a_killed_erasure_left_is_mended(self, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
        """Killed between the ledger and the file, the same step removes the file."""
        run(shop, "someone")

        def killed(*_: object) -> bool:
            raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            patched.setattr(erased_models.ModelStore, "remove", killed)
            with pytest.raises(KeyboardInterrupt):
                erase(shop)
        assert models(shop)[0].state is ModelState.STALE
        assert len(sealed(shop)) == 1

        with shop.workspace() as workspace:
            concluded = service.run(workspace, actor=ACTOR)
        assert concluded is not None
        assert set(concluded.states.values()) == {RequestState.COMPLETE}
        assert sealed(shop) == []

    def test_a_run_that_is_under_way_publishes_nothing(self, shop: Shop) -> None:
        """What it has staged is discarded, and its model is stale."""
        workspace = shop.workspace()
        fitted = synthesize.fit(workspace, "someone", night(0), actor=ACTOR, progress=silent)
        drawn = synthesize.sample(workspace, fitted.reference, night(0), actor=ACTOR, progress=silent)
        erase(shop)

        from airflow_veil.privacy.errors import VeilError

        with pytest.raises(VeilError):
            synthesize.publish(shop.workspace(), drawn.reference, actor=ACTOR)
        assert shop.destination.current("someone") is None
        assert not [each for each in shop.staged() if each.is_dir()]
        with pytest.raises(SyntheticError, match="is stale"):
            synthesize.sample(shop.workspace(), drawn.reference, night(0), actor=ACTOR, progress=silent)

    def test_somebody_who_is_in_no_table(self, shop: Shop) -> None:
        """Nobody of that name is there, and the sources are as they were: models stay."""
        run(shop, "someone")
        with shop.workspace() as workspace:
            requests.place(workspace, {"people.id": "99999"}, actor=ACTOR)
            service.run(workspace, actor=ACTOR)

        assert models(shop)[0].state is ModelState.FITTED
        assert shop.destination.current("someone") is not None

    def test_a_source_that_changed_since_is_told_from_none(self, shop: Shop) -> None:
        """Nobody can say that the person was not in what the model learned from: it is destroyed."""
        run(shop, "someone")
        rows = pq.read_table(shop.people)
        shop.supply(rows.filter(pc.not_equal(rows["id"], 7)))
        erase(shop)

        assert models(shop)[0].state is ModelState.STALE


class TestSecondLook:
    def test_a_model_that_was_not_ended_is_found(self, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
        """A step that did nothing does not pass: the request is not complete, and the model is named."""
        run(shop, "someone")
        monkeypatch.setattr(service, "end_models", lambda *_, **__: erased_models.Ended())
        concluded = erase(shop)

        assert set(concluded.states.values()) == {RequestState.INCOMPLETE}
        told = " ".join(concluded.problems)
        assert "1 models that learned from the data sets" in told
        assert "1 releases that were drawn from such models" in told

    def test_a_file_that_came_back_is_found(self, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
        """A copy of the model's file, as a restore would bring it."""
        run(shop, "someone")
        (file,) = sealed(shop)
        raw = file.read_bytes()
        right = erased_models.end_models

        def restored(*how: Any, **more: Any) -> Any:
            done = right(*how, **more)
            file.write_bytes(raw)
            return done

        monkeypatch.setattr(service, "end_models", restored)
        concluded = erase(shop)

        assert set(concluded.states.values()) == {RequestState.INCOMPLETE}
        assert "1 files of models that have ended" in " ".join(concluded.problems)
