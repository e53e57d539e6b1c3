"""`veil model test`."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from sklearn.tree import DecisionTreeClassifier
from skops import io as skops
from tests.unit.cli.conftest import Installation
from tests.unit.model_test.models import FEATURES, odd_people, table

POLICY = """\
version: 1
name: labels
owner: data@example.com
datasets:
  people: {source: train.parquet, subject: {none: invented for this test}, columns: {usual: {class: none, treat: keep}}}
models:
  label:
    artefact: label.skops
    trusted_types: [sklearn.tree._tree.Tree]
    trained_on: {train: train.parquet, holdout: holdout.parquet}
    features: [usual, odd, group]
    target: label
    destination: models
    licence: mit
    description: Tells the label of people.
    intended_use: For tests of this suite.
    limits: It knows three columns.
    bounds: {membership_tpr_max: 0.08, membership_tpr_strict_max: 0.045, membership_advantage_max: 0.2}
"""


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    """A policy with a model, where the installation's data is."""
    folder = tmp_path / "data"
    folder.mkdir()
    for name, seed in (("train", 1), ("holdout", 2)):
        pq.write_table(table(odd_people(1_000, seed=seed)), folder / f"{name}.parquet")
    people = odd_people(1_000, seed=1)
    for name, leaf in (("label", 20), ("deep", 1)):
        model = DecisionTreeClassifier(min_samples_leaf=leaf, random_state=0)
        skops.dump(model.fit(people[list(FEATURES)], people["label"]), folder / f"{name}.skops")
    policy = tmp_path / "labels.yaml"
    policy.write_text(POLICY)
    return policy


class TestModel:
    def test_one_that_passes_is_shared(self, tmp_path: Path, labels: Path) -> None:
        """JSON has every figure, the files are there, and the card is told by the release's name."""
        at = Installation(tmp_path)
        told = json.loads(at.ok("model", "test", labels, "label", "--publish", "--json"))
        card = at.ok("releases", "card", told["release_id"])

        assert (told["outcome"], told["published"]) == ("passed", True)
        assert told["figures"]["stored_rows_max"] == 0
        assert [each["name"] for each in told["attacks"]["membership"]] == [
            "membership, likelihood ratio",
            "membership, loss threshold",
        ]
        folder = tmp_path / "data" / "models" / "label" / "current"
        assert card == (folder / "README.md").read_text()
        assert at.veil("model", "test", labels, "label", "--publish").exit_code == 0

    def test_one_that_is_denied_ends_with_1(self, tmp_path: Path, labels: Path) -> None:
        """Another file in place of the policy's; the table tells attacks, the last line why, and nothing is shared."""
        at = Installation(tmp_path)
        result = at.veil("model", "test", labels, "label", "--artefact", "deep.skops", "--publish")

        assert result.exit_code == 1
        assert "membership, likelihood ratio" in result.output
        assert "deny.membership_tpr_max" in result.output.splitlines()[-1]
        assert not (tmp_path / "data" / "models").exists()

    def test_mistakes(self, tmp_path: Path, labels: Path) -> None:
        """A model that is not there, and a file that is none."""
        at = Installation(tmp_path)
        (tmp_path / "data" / "none.skops").write_text("no model")

        unknown = at.veil("model", "test", labels, "lable")
        damaged = at.veil("model", "test", labels, "label", "--artefact", "none.skops")

        assert (unknown.exit_code, damaged.exit_code) == (1, 1)
        assert "no model lable" in unknown.output
        assert "cannot be loaded" in damaged.output
