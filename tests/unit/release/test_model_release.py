"""A model's way out: attacked, judged, told in the evidence, published with its card, or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import shutil
import signal
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml
from sklearn.tree import DecisionTreeClassifier
from skops import io as skops
from tests.unit.model_test.models import FEATURES, odd_people, table

from airflow_veil.privacy.errors import ModelError, SchemaError
from airflow_veil.privacy.ledger.ledger import Ledger
from airflow_veil.privacy.ledger.record import ReleaseState
from airflow_veil.privacy.lineage.model import LineageRecord
from airflow_veil.privacy.model_test.verdict import Outcome
from airflow_veil.privacy.release import model_release, service
from airflow_veil.privacy.release.model_release import ModelDone, release_model
from airflow_veil.privacy.release.workspace import Workspace, checked
from airflow_veil.privacy.retention import expiry
from airflow_veil.privacy.settings import Settings
from airflow_veil.privacy.storage.folder import FolderDestination

ACTOR = "test:engineer"
PEOPLE = 1_200
MOST = 100
"""More moments than a publication has."""
# An artefact holds the time it was written, and attacks are seeded by its digest: bounds are well away from what they
# reach, at most 0.055 (0.025 at the strict rate) for coarse trees in 100 tries, 0.09 (0.06) for one that learned all.
TREE = "trusted_types: [sklearn.tree._tree.Tree]"
POLICY = """\
version: 1
name: labels
owner: data@example.com
datasets:
  people:
    source: people.parquet
    subject: id
    columns:
      id: {class: direct_identifier, treat: drop}
      usual: {class: quasi_identifier, treat: drop}
      odd: {class: quasi_identifier, treat: drop}
      group: {class: sensitive, treat: drop}
      label: {class: sensitive, treat: drop}
release: {destination: releases, expires_after: P1Y}
models:
  label:
    artefact: label.skops
    trained_on: {train: {dataset: people}, holdout: holdout.parquet}
    features: [usual, odd, group]
    target: label
    subject: id
    sensitive: [group]
    licence: apache-2.0
    description: Tells the label of people, *if* it is usual.
    intended_use: For tests of this suite.
    limits: It knows three columns.
    bounds: {membership_tpr_max: 0.08, membership_tpr_strict_max: 0.045, membership_advantage_max: 0.2}
    card: {tags: [tests], language: [en]}
    trusted_types: [sklearn.tree._tree.Tree]
"""


@dataclass(frozen=True)
class House:
    """A folder with a policy, people, a model and a ledger."""

    path: Path

    def workspace(self, **changed: Any) -> Workspace:
        settings = Settings.from_env({"VEIL_HOME": str(self.path / "home")})
        return Workspace(loaded=checked(self.path / "labels.yaml"), settings=settings, **changed)

    def release(self, **changed: Any) -> ModelDone:
        with self.workspace() as workspace:
            return release_model(workspace, "label", actor=ACTOR, **changed)

    def model(self, model: Any) -> bytes:
        """Fit a model of the people and write it."""
        rows = pq.read_table(self.path / "people.parquet").to_pandas()
        artefact = skops.dumps(model.fit(rows[list(FEATURES)], rows["label"]))
        (self.path / "label.skops").write_bytes(artefact)
        return artefact

    def say(self, was: str, becomes: str) -> None:
        """Change the policy."""
        path = self.path / "labels.yaml"
        assert was in path.read_text()
        path.write_text(path.read_text().replace(was, becomes))

    @property
    def shared(self) -> Path:
        return self.path / "releases" / "label"

    @property
    def ledger(self) -> Ledger:
        return Ledger.open(f"sqlite:///{self.path / 'home' / 'ledger.db'}")

    def evidence(self, kind: str) -> list[Any]:
        (self.path / "home").mkdir(exist_ok=True)
        with self.ledger as ledger:
            return [entry for entry in ledger.evidence() if entry.kind == kind]


@pytest.fixture
def house(tmp_path: Path) -> House:
    """A house with a model that tells nothing of anybody."""
    for name, seed in (("people", 1), ("holdout", 2)):
        frame = odd_people(PEOPLE, seed=seed)
        frame["id"] = range(seed * 10 * PEOPLE, seed * 10 * PEOPLE + PEOPLE)
        pq.write_table(table(frame), tmp_path / f"{name}.parquet")
    (tmp_path / "labels.yaml").write_text(POLICY)
    found = House(tmp_path)
    found.model(good())
    return found


def good() -> Any:
    return coarse(20)


def coarse(people: int) -> Any:
    """A tree with so many people a leaf."""
    return DecisionTreeClassifier(min_samples_leaf=people, random_state=0)


REAL = model_release.attack_model
ATTACKED: dict[Any, Any] = {}


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Each model is attacked once, for all tests; gives the artefacts that a test had attacked."""
    made: list[Any] = []

    def attack(model: Any, artefact: bytes, *arguments: Any, **named: Any) -> Any:
        made.append(artefact)
        key = (artefact, model.trusted_types, model.features)
        if key not in ATTACKED:
            ATTACKED[key] = REAL(model, artefact, *arguments, **named)
        return ATTACKED[key]

    monkeypatch.setattr(model_release, "attack_model", attack)
    return made


def front_of(text: str) -> dict[str, Any]:
    """The YAML between the two lines of dashes that the Hub looks for."""
    empty, front, _ = text.split("---\n", 2)
    assert empty == ""
    told: dict[str, Any] = yaml.safe_load(front)
    return told


class TestPassed:
    def test_is_shared_with_its_card(self, house: House) -> None:
        """The bytes that were attacked, the card and the manifest are current, and the ledger has the release."""
        done = house.release()
        folder = house.shared / "current"

        assert (done.outcome, done.published) == (Outcome.PASSED, True)
        assert {path.name for path in folder.iterdir()} == {"label.skops", "README.md", "_manifest.json"}
        assert (folder / "label.skops").read_bytes() == (house.path / "label.skops").read_bytes()
        manifest = json.loads((folder / "_manifest.json").read_text())
        digests = {
            file["name"]: hashlib.sha256((folder / file["name"]).read_bytes()).hexdigest()
            for file in manifest["output"]["files"]
        }
        assert digests == {file["name"]: file["sha256"] for file in manifest["output"]["files"]}
        with house.ledger as ledger:
            release = ledger.current("labels", "label")
        assert release is not None
        assert release.release_id == done.release_id
        assert LineageRecord.from_dict(manifest["lineage"]) == done.lineage

    def test_leaves_evidence_with_figures_and_xcom_without(self, house: House) -> None:
        """What attacks reached stands in the evidence; what is handed on are outcome, counts and digests."""
        done = house.release(publish=False)
        (entry,) = house.evidence("model.tested")
        told = json.dumps(done.as_xcom())

        assert (entry.subject, entry.actor) == ("labels/label", ACTOR)
        assert entry.content["artefact"]["sha256"] == done.digest
        assert entry.content["verdict"]["outcome"] == "passed"
        assert entry.content["attacks"]["membership"][0]["auc"]["estimate"] > 0
        assert done.as_xcom()["people_inside"] == PEOPLE
        assert not {"auc", "tpr", "rate", "advantage", "figure"} & set(done.as_xcom())
        assert "0." not in told
        assert not house.shared.exists()

    def test_the_same_test_shares_nothing_anew(self, house: House, known: list[Any]) -> None:
        """A retry finds the release, and does not attack once more; another model is another release."""
        first, second = house.release(), house.release()
        house.model(coarse(25))
        third = house.release()

        assert second.again
        assert second.lineage == first.lineage
        assert third.reasons == (), third.verdict
        assert second.release_id == first.release_id != third.release_id
        assert len(known) == 2
        with house.ledger as ledger:
            states = [release.state for release in ledger.list("labels", "label")]
        assert states == [ReleaseState.CURRENT, ReleaseState.SUPERSEDED]
        assert (house.shared / "current").readlink().name == third.release_id

    def test_can_be_rolled_back(self, house: House, known: list[Any]) -> None:
        """Like any release."""
        first = house.release()
        house.model(coarse(25))
        house.release()
        with house.workspace() as workspace:
            done = service.rollback(workspace, "label", release_id=None, reason="ticket 4711", actor=ACTOR)

        assert done.reference.release_id == first.release_id
        assert (house.shared / "current").readlink().name == first.release_id


class TestFolderOfItsOwn:
    """Where a model says that it is shared in another folder than the policy's releases."""

    @pytest.fixture(autouse=True)
    def elsewhere(self, house: House) -> None:
        house.say("    licence: apache", "    destination: models\n    licence: apache")

    def test_expires_there(self, house: House, known: list[Any]) -> None:
        """What others read goes, and the ledger says so."""
        done = house.release()
        folder = house.path / "models" / "label"
        assert (folder / "current").exists()

        with house.workspace() as workspace:
            ended = expiry.expire(workspace, actor=ACTOR, now=datetime.now(UTC) + timedelta(days=400))

        assert (ended.releases, ended.current, ended.elsewhere) == ((done.release_id,), 1, 0)
        assert not (folder / "current").exists()
        assert [path for path in folder.rglob("*") if path.is_file()] == []
        with house.ledger as ledger:
            assert ledger.release(str(done.release_id)).state is ReleaseState.EXPIRED

    def test_is_rolled_back_there(self, house: House, known: list[Any]) -> None:
        """The release before is the current one in its own folder."""
        first = house.release()
        house.model(coarse(25))
        house.release()
        with house.workspace() as workspace:
            service.rollback(workspace, "label", release_id=None, reason="ticket 4711", actor=ACTOR)

        assert (house.path / "models" / "label" / "current").readlink().name == first.release_id
        assert not house.shared.exists()


class TestDenied:
    def test_nothing_is_shared(self, house: House) -> None:
        """A tree that learns people by heart leaves its figures in the evidence, and no file anywhere."""
        house.model(DecisionTreeClassifier(random_state=0))
        done = house.release()
        (entry,) = house.evidence("model.tested")

        assert (done.outcome, done.published) == (Outcome.DENIED, False)
        assert "deny.membership_tpr_max" in done.reasons
        assert entry.content["verdict"]["reasons"] == list(done.reasons)
        assert not house.shared.exists()
        with house.ledger as ledger:
            assert ledger.list("labels", "label") == ()

    def test_trying_again_tells_the_same(self, house: House) -> None:
        """Draws follow from the artefact: nobody tries until it passes, and the evidence has one entry."""
        house.model(DecisionTreeClassifier(random_state=0))
        first = house.release()
        ATTACKED.clear()
        second = house.release()

        assert first.figures is not second.figures
        assert first.figures == second.figures
        assert len(house.evidence("model.tested")) == 1

    def test_a_model_that_cannot_be_fitted_anew(self, house: House) -> None:
        """Without shadow models membership is not measured, which denies."""
        artefact = pickle.dumps(Frozen())
        (house.path / "label.pickle").write_bytes(artefact)
        house.say("artefact: label.skops", "artefact: label.pickle")
        house.say(TREE, f"format: pickle\n    trusted_digest: {hashlib.sha256(artefact).hexdigest()}")
        done = house.release()

        assert "missing.membership_tpr_max" in done.reasons
        assert done.figures is not None
        assert [each.name for each in done.figures.membership] == ["membership, loss threshold"]
        assert not house.shared.exists()


class Frozen:
    """A rule that was written down, with nothing to fit; it brings its own code."""

    def __reduce__(self) -> Any:
        rule = "lambda rows: (__import__('numpy').asarray(rows)[:, 0] > 0).astype(int)"
        return eval, (f"__import__('types').SimpleNamespace(predict={rule})",)


class TestTrust:
    def test_another_file_than_the_trusted_one_is_not_loaded(self, house: House) -> None:
        """The digest is compared before a process is begun; the message has both parts, and no value."""
        house.say(TREE, f"{TREE}\n    trusted_digest: '{'0' * 64}'")

        with pytest.raises(ModelError, match="not the one that is trusted"):
            house.release()
        assert house.evidence("model.tested") == []

    def test_types_are_named_by_the_policy(self, house: House) -> None:
        """A tree is not loaded where the policy does not vouch for its type."""
        house.model(DecisionTreeClassifier(random_state=0))
        house.say(f"    {TREE}\n", "")

        with pytest.raises(ModelError, match="nobody vouches for"):
            house.release()

    def test_columns_that_are_not_there(self, house: House) -> None:
        """Told by name before anything is loaded."""
        house.say("subject: id\n    sensitive", "subject: person\n    sensitive")
        house.say("      id: {class", "      person: {class: none, treat: drop}\n      id: {class")

        with pytest.raises(SchemaError, match="no column person"):
            house.release()


class TestCard:
    def test_front_matter_is_what_the_hub_asks_for(self, house: House, known: list[Any]) -> None:
        """It parses, has what the Hub's specification names, and by default not a figure of private rows."""
        house.release()
        text = (house.shared / "current" / "README.md").read_text()
        front = front_of(text)

        assert front == {
            "license": "apache-2.0",
            "language": ["en"],
            "library_name": "sklearn",
            "pipeline_tag": "tabular-classification",
            "tags": ["sklearn", "skops", "tabular-classification", "tests"],
            "model_format": "skops",
            "model_file": "label.skops",
        }
        for title in (
            "Description",
            "Intended use",
            "Limits",
            "Training data",
            "Privacy test",
            "How to load it",
        ):
            assert f"\n## {title}\n" in text
        assert r"\*if\* it is usual" in text
        assert "**Passed.**" in text
        assert "| People in the model told to be in it, at 1 % of false alarms | 8 % |" in text
        assert "95 % interval |" not in text

    def test_figures_where_the_policy_says_so(self, house: House, known: list[Any]) -> None:
        """Then attacks have a table, and accuracy a model index with all that the Hub requires of one."""
        house.say("card: {", "card: {show_attacks: true, show_utility: true, ")
        done = house.release()
        text = (house.shared / "current" / "README.md").read_text()
        front = front_of(text)

        assert "membership, likelihood ratio, area under the curve" in text
        assert front["metrics"] == ["accuracy"]
        (index,) = front["model-index"]
        (result,) = index["results"]
        assert index["name"] == "label"
        assert result["task"] == {"type": "tabular-classification"}
        assert set(result["dataset"]) == {"type", "name", "split"}
        (metric,) = result["metrics"]
        assert done.figures is not None
        assert metric == {
            "type": "accuracy",
            "value": pytest.approx(1 - done.figures.error, abs=1e-4),
            "name": "Accuracy",
        }

    def test_another_licence_has_a_name(self, house: House, known: list[Any]) -> None:
        """The Hub wants `license_name` beside `other`."""
        house.say("licence: apache-2.0", "licence: other\n    licence_name: house-rules")
        house.release()

        front = front_of((house.shared / "current" / "README.md").read_text())
        assert (front["license"], front["license_name"]) == ("other", "house-rules")


class TestKilled:
    def test_at_any_moment_there_is_one_whole_release(
        self, house: House, known: list[Any], tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        """Killed before any change of the publication, readers see nothing or all of it; the same call mends it."""
        house.release(publish=False)
        for moment in range(MOST):
            trial = House(tmp_path_factory.mktemp("killed") / "house")
            shutil.copytree(house.path, trial.path)
            code = _killed_at(moment, trial.release)
            assert not (trial.shared / "current").exists() or _is_whole(trial)

            done = trial.release()
            assert done.published
            assert _is_whole(trial)
            assert FolderDestination(trial.path / "releases").releases("label") == (done.release_id,)
            with trial.ledger as ledger:
                assert [release.state for release in ledger.list("labels", "label")] == [ReleaseState.CURRENT]
                ledger.verify_chain()
            if code == 0:
                break
            assert code == -signal.SIGKILL
        else:
            pytest.fail("the publication never came to its end")
        assert moment > 10, "too few moments: were they counted?"


def _is_whole(house: House) -> bool:
    names = {path.name for path in (house.shared / "current").iterdir()}
    return names == {"label.skops", "README.md", "_manifest.json"}


def _killed_at(moment: int, work: Callable[[], Any]) -> int:
    """Do it in a process of its own that is killed at a moment; its exit code."""
    from tests.unit.release.crash import dies_at

    pid = os.fork()
    if pid == 0:
        try:
            dies_at(moment)
            work()
            os._exit(0)
        except BaseException:
            os._exit(99)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)
