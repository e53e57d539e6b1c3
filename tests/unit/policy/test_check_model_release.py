"""The rules of `models`: each finds its mistake, where it stands, and only its mistake."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_veil.privacy.errors import PolicyError
from airflow_veil.privacy.policy.check import check
from airflow_veil.privacy.policy.finding import Finding
from airflow_veil.privacy.policy.load import load

GOOD = """\
version: 1
name: income
owner: data@example.com
datasets:
  people:
    source: people.parquet
    subject: id
    columns:
      id: {class: direct_identifier, treat: drop}
      age: {class: quasi_identifier, treat: drop}
      married: {class: sensitive, treat: drop}
      income: {class: sensitive, treat: drop}
release: {destination: out}
models:
  income:
    artefact: income.skops
    trained_on: {train: {dataset: people}, holdout: holdout.parquet}
    features: [age, married]
    target: income
    sensitive: [married]
    licence: apache-2.0
    description: Tells the income.
    intended_use: For nobody but tests.
    limits: It knows two columns.
"""
DIGEST = "0" * 64


def findings(tmp_path: Path, text: str) -> tuple[Finding, ...]:
    path = tmp_path / "income.yaml"
    path.write_text(text)
    try:
        return check(load(path))
    except PolicyError as error:
        return error.findings


class TestRules:
    @pytest.mark.parametrize(
        ("was", "becomes"),
        [
            ("    target", "    target"),
            ("    target", f"    format: pickle\n    trusted_digest: '{DIGEST}'\n    target"),
            ("    target", "    bounds: {membership_tpr_strict_max: null}\n    target"),
            ("licence: apache-2.0", "licence: other\n    licence_name: house-rules"),
            ("release: {destination: out}\n", ""),
        ],
    )
    def test_good_ones_have_no_findings(self, tmp_path: Path, was: str, becomes: str) -> None:
        """Nothing is found where nothing is wrong."""
        text = GOOD.replace(was, becomes)
        if "release:" not in text:
            text = text.replace("    target", "    destination: out\n    target")

        assert findings(tmp_path, text) == ()

    @pytest.mark.parametrize(
        ("was", "becomes", "rule", "at"),
        [
            ("    target", "    format: joblib\n    target", "model-code", "format: joblib"),
            (
                "    target",
                f"    format: pickle\n    trusted_digest: '{DIGEST}'\n    trusted_types: [a.b]\n    target",
                "model-types",
                "trusted_types",
            ),
            ("{dataset: people}", "{dataset: peeple}", "model-rows", "train:"),
            ("holdout: holdout.parquet", "holdout: {dataset: people}", "model-holdout", "holdout:"),
            ("target: income", "target: age", "model-target", "features: ["),
            ("sensitive: [married]", "sensitive: [id]", "model-sensitive", "sensitive: [id]"),
            ("features: [age, married]", "features: [age, married, name]", "model-column", "train:"),
            (
                "    target",
                "    bounds: {inference_max: null}\n    target",
                "model-inference",
                "sensitive: [",
            ),
            ("licence: apache-2.0", "licence: apache-2", "model-licence", "licence:"),
            ("licence: apache-2.0", "licence: other", "model-licence", "licence:"),
            ("models:\n  income:", "models:\n  people:", "model-name", "  people:\n    artefact"),
            (
                "release: {destination: out}",
                "release: {destination: {connection: db}}",
                "model-destination",
                "",
            ),
            ("{dataset: people}", "{dataset: people, uri: x}", "model-rows", "train:"),
            ("    licence: apache-2.0\n", "", "missing", ""),
            ("    target", "    shadows: 20\n    target", "multiple-of", "shadows"),
        ],
    )
    def test_each_mistake_is_found(self, tmp_path: Path, was: str, becomes: str, rule: str, at: str) -> None:
        """By its rule, at the line where it stands."""
        text = GOOD.replace(was, becomes, 1)
        assert text != GOOD
        found = findings(tmp_path, text)

        assert {each.rule for each in found} == {rule}
        if at:
            assert found[0].line == text[: text.index(at) + len(at.rstrip())].count("\n") + 1 - at.count("\n")

    def test_all_bounds_away(self, tmp_path: Path) -> None:
        """A model that everything is allowed of is a mistake."""
        words = "tpr_max tpr_strict_max advantage_max"
        nulls = [f"membership_{word}: null" for word in words.split()]
        bounds = ", ".join([*nulls, "inference_max: null", "stored_rows_max: null"])
        found = findings(tmp_path, GOOD.replace("    target", f"    bounds: {{{bounds}}}\n    target"))

        assert {each.rule for each in found} == {"model-bounds", "model-inference"}
