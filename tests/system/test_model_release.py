"""Models of a policy through Airflow: the one that learned nobody is shared, the one that learned a few is not."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import pyarrow.parquet as pq
import pytest
from sklearn.tree import DecisionTreeClassifier
from tests.airflow_home import AirflowHome, DagRun
from tests.unit.model_test.models import FEATURES, odd_people, table

from airflow_veil.privacy.ledger.ledger import Ledger

pytestmark = pytest.mark.airflow

ROOT = Path(__file__).resolve().parents[2]
PEOPLE = 1_500
LEAVES = {"coarse": 20, "by_heart": 1}
"""The models, and how many people their leaves have at least."""
BOUNDS = {"membership_tpr_max": 0.06, "membership_tpr_strict_max": 0.045, "membership_advantage_max": 0.2}
POLICY = """\
version: 1
name: labels
owner: data@example.com
datasets:
  people:
    source: train.parquet
    subject: {none: invented for this test}
    columns: {usual: {class: none, treat: keep}}
release: {destination: releases}
models:
"""
MODEL = """\
  NAME:
    artefact: NAME.joblib
    format: joblib
    trusted_digest: 'DIGEST'
    trained_on: {train: train.parquet, holdout: holdout.parquet}
    features: [usual, odd, group]
    target: label
    destination: models
    licence: mit
    description: Tells the label of people.
    intended_use: For tests of this suite.
    limits: It knows three columns.
    bounds: BOUNDS
"""


@dataclass(frozen=True)
class Shared:
    """The example DAG after two runs."""

    home: AirflowHome
    first: DagRun
    again: DagRun

    def folder(self, model: str) -> Path:
        return self.home.policies / "models" / model


@pytest.fixture(scope="module")
def shared(shared_home: Callable[..., AirflowHome]) -> Shared:
    """Two models of the same people, and the file of `dags/` as it is."""
    home = shared_home("model_release")
    home.policies.mkdir(exist_ok=True)
    for name, seed in (("train", 1), ("holdout", 2)):
        pq.write_table(table(odd_people(PEOPLE, seed=seed)), home.policies / f"{name}.parquet")
    people, text = odd_people(PEOPLE, seed=1), POLICY
    for name, leaf in LEAVES.items():
        file = io.BytesIO()
        model = DecisionTreeClassifier(min_samples_leaf=leaf, random_state=0)
        joblib.dump(model.fit(people[list(FEATURES)], people["label"]), file)
        (home.policies / f"{name}.joblib").write_bytes(file.getvalue())
        digest = hashlib.sha256(file.getvalue()).hexdigest()
        text += MODEL.replace("NAME", name).replace("DIGEST", digest).replace("BOUNDS", json.dumps(BOUNDS))
    (home.policies / "labels.yaml").write_text(text)
    shutil.copy(ROOT / "dags" / "model_release.py", home.dags)
    runs, said = home.run_dags({"dag_id": "veil_labels_models"}, {"dag_id": "veil_labels_models"})
    assert len(runs) == 2, said
    return Shared(home, *runs)


def verdicts(shared: Shared) -> dict[str, Any]:
    """The evidence of the tests, by model."""
    with Ledger.open(f"sqlite:///{shared.home.veil / 'ledger.db'}") as ledger:
        found = [entry for entry in ledger.evidence() if entry.kind == "model.tested"]
    return {entry.subject.partition("/")[2]: json.loads(entry.payload or "") for entry in found}


class TestModels:
    def test_each_has_a_task_and_the_denied_one_fails_alone(self, shared: Shared) -> None:
        """The run fails with it, and the other model is through."""
        for run in (shared.first, shared.again):
            assert run.state == "failed"
            assert run.tasks == {"coarse": "success", "by_heart": "failed"}

    def test_what_passes_is_shared_once_in_its_own_folder(self, shared: Shared) -> None:
        """File, card and manifest; the second run publishes nothing anew."""
        (release,) = [each for each in shared.folder("coarse").iterdir() if not each.is_symlink()]

        assert {each.name for each in release.iterdir()} >= {"coarse.joblib", "README.md", "_manifest.json"}
        assert (shared.folder("coarse") / "current").resolve() == release

    def test_of_what_is_denied_nothing_is_shared(self, shared: Shared) -> None:
        """There is no folder of it."""
        assert not shared.folder("by_heart").exists()

    def test_the_plain_test_would_have_let_it_through(self, shared: Shared) -> None:
        """By the loss threshold alone the model stays within every bound of membership; by LiRA it does not."""
        told = verdicts(shared)["by_heart"]
        attacks = {each["name"]: each for each in told["attacks"]["membership"]}
        plain = attacks["membership, loss threshold"]

        assert plain["tpr_at_1_percent"]["high"] <= BOUNDS["membership_tpr_max"]
        assert plain["tpr_at_0.1_percent"]["high"] <= BOUNDS["membership_tpr_strict_max"]
        assert plain["advantage"]["high"] <= BOUNDS["membership_advantage_max"]
        assert told["verdict"]["outcome"] == "denied"
        assert "deny.membership_tpr_max" in told["verdict"]["reasons"]
        assert verdicts(shared)["coarse"]["verdict"]["outcome"] == "passed"

    def test_each_task_has_lineage(self, shared: Shared) -> None:
        """The model as planned and as it became; of the denied one that it failed."""
        events = [json.loads(line) for line in shared.home.lineage.read_text().splitlines()]
        ended = {(event["job"]["name"], event["eventType"]): event for event in events}

        done = ended["veil_labels_models.coarse", "COMPLETE"]
        assert [each["name"] for each in done["outputs"]] == [str(shared.folder("coarse") / "current")]
        assert {each["name"] for each in done["inputs"]} == {
            str(shared.home.policies / f"{side}.parquet") for side in ("train", "holdout")
        }
        assert ("veil_labels_models.by_heart", "FAIL") in ended
