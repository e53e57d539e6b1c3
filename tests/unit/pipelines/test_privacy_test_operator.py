"""`PrivacyTestOperator`, without a scheduler."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import joblib
import pyarrow.parquet as pq
import pytest
from airflow.sdk.exceptions import AirflowFailException
from sklearn.tree import DecisionTreeClassifier
from tests.unit.model_test.models import FEATURES, odd_people, table

from airflow_veil.operators.privacy_test import PrivacyTestOperator

POLICY = """\
version: 1
name: labels
owner: data@example.com
datasets:
  people:
    source: train.parquet
    subject: {{none: invented for this test}}
    columns: {{usual: {{class: none, treat: keep}}}}
models:
  label:
    artefact: label.joblib
    format: joblib
    trusted_digest: {digest}
    trained_on: {{train: train.parquet, holdout: holdout.parquet}}
    features: [usual, odd, group]
    target: label
    destination: models
    licence: mit
    description: Tells the label of people.
    intended_use: For tests of this suite.
    limits: It knows three columns.
    bounds: {{membership_tpr_max: 0.08, membership_tpr_strict_max: 0.045, membership_advantage_max: 0.2}}
"""
CONTEXT: Any = {"ti": SimpleNamespace(dag_id="dag", run_id="run", task_id="task")}


def task(folder: Path, leaf: int, monkeypatch: pytest.MonkeyPatch) -> PrivacyTestOperator:
    """The test of a tree with so many people a leaf, which somebody vouches for."""
    monkeypatch.setenv("VEIL_HOME", str(folder / "home"))
    for name in ("VEIL_LEDGER", "VEIL_DATA_ROOT"):
        monkeypatch.delenv(name, raising=False)
    for name, seed in (("train", 1), ("holdout", 2)):
        pq.write_table(table(odd_people(1_000, seed=seed)), folder / f"{name}.parquet")
    people, file = odd_people(1_000, seed=1), io.BytesIO()
    model = DecisionTreeClassifier(min_samples_leaf=leaf, random_state=0)
    joblib.dump(model.fit(people[list(FEATURES)], people["label"]), file)
    (folder / "label.joblib").write_bytes(file.getvalue())
    digest = hashlib.sha256(file.getvalue()).hexdigest()
    (folder / "labels.yaml").write_text(POLICY.format(digest=f"'{digest}'"))
    return PrivacyTestOperator(task_id="task", policy=str(folder / "labels.yaml"), model="label")


class TestPrivacyTestOperator:
    def test_hands_on_outcome_counts_and_digests(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The model is shared; XCom has no figure; a second run of the task finds it."""
        tested = task(tmp_path, 20, monkeypatch)
        told, again = tested.execute(CONTEXT), tested.execute(CONTEXT)

        assert (told["outcome"], told["published"], told["people_inside"]) == ("passed", True, 1_000)
        assert again["release_id"] == told["release_id"]
        assert not [value for value in told.values() if isinstance(value, float)]
        assert (tmp_path / "models" / "label" / "current" / "label.joblib").exists()
        assert json.loads(json.dumps(told)) == told

    def test_a_denied_model_fails_for_good(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """With codes, and nothing that retries would change; nothing is shared."""
        tested = task(tmp_path, 1, monkeypatch)

        with pytest.raises(AirflowFailException, match=r"denied: deny\.membership_tpr_max") as caught:
            tested.execute(CONTEXT)
        assert "0." not in str(caught.value)
        assert not (tmp_path / "models").exists()

    def test_lineage_is_planned(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Each column that the model was fitted on reaches its parameters, unmasked."""
        tested = task(tmp_path, 20, monkeypatch)
        with tested.workspace() as workspace:
            planned = tested.planned_lineage(workspace)

        assert planned is not None
        assert [edge.source for edge in planned.edges] == ["usual", "odd", "group", "label"]
        assert not any(edge.masking for edge in planned.edges)
