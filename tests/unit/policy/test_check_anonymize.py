"""The rules of `anonymize`: each finds its mistake, where it stands, and only its mistake."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_veil.privacy.errors import PolicyError
from airflow_veil.privacy.policy.check import check
from airflow_veil.privacy.policy.finding import Finding
from airflow_veil.privacy.policy.load import load

GOOD = """\
version: 1
name: clinic
owner: clinic@example.com
datasets:
  visits:
    source: visits.parquet
    subject: patient
    anonymize:
      k: 5
      quasi_identifiers: {age: age.csv, city: {file: city.csv, delimiter: ","}}
      l: {illness: 2}
      t: {illness: {at_most: 0.3, ordered: false}}
      suppress_at_most: 0.02
    columns:
      patient: {class: direct_identifier, treat: {token: {domain: patient}}}
      age: {class: quasi_identifier, treat: keep}
      city: {class: quasi_identifier, treat: keep}
      illness: {class: sensitive, treat: keep}
      note: {class: free_text, treat: drop}
release: {destination: out}
"""


def findings(tmp_path: Path, text: str) -> tuple[Finding, ...]:
    path = tmp_path / "clinic.yaml"
    path.write_text(text)
    for name in ("age.csv", "city.csv"):
        (tmp_path / name).write_text("1;*\n")
    try:
        return check(load(path))
    except PolicyError as error:
        return error.findings


class TestRules:
    @pytest.mark.parametrize(
        "text",
        [
            GOOD,
            GOOD.replace("{illness: 2}", "{illness: {at_least: 2.5, by: entropy}}"),
            GOOD.replace("k: 5", "k: 5\n      quality: discernibility\n      refit: always"),
            GOOD.replace("k: 5", "k: 5\n      local_suppression: true"),
        ],
        ids=["good", "entropy", "words", "local"],
    )
    def test_good(self, tmp_path: Path, text: str) -> None:
        """Nothing is found in what is right."""
        assert findings(tmp_path, text) == ()

    @pytest.mark.parametrize(
        ("old", "new", "rule", "message"),
        [
            ("{illness: 2}", "{ilness: 2}", "anonymize-column", "no column ilness of data set visits leaves"),
            ("{illness: 2}", "{note: 2}", "anonymize-column", "no column note"),
            ("{illness: 2}", "{age: 2}", "anonymize-both", "age is a quasi-identifier as well"),
            ("{age: age.csv", "{patient: age.csv, age: age.csv", "anonymize-subject", "says whose a row is"),
            (
                "{age: age.csv, ",
                "{",
                "anonymize-left-out",
                "the quasi-identifier age leaves and is in no class",
            ),
            ("age: age.csv", "age: ages.csv", "anonymize-hierarchy", "there is no hierarchy ages.csv"),
        ],
        ids=["unknown", "dropped", "both", "subject", "left out", "file"],
    )
    def test_mistakes(self, tmp_path: Path, old: str, new: str, rule: str, message: str) -> None:
        """Each mistake is found by its rule, alone, in the lines of `anonymize`."""
        (found,) = findings(tmp_path, GOOD.replace(old, new))

        assert found.rule == rule
        assert message in found.message
        assert found.path.startswith("datasets.visits.anonymize")

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ("k: 5", "k: 1"),
            ("suppress_at_most: 0.02", "suppress_at_most: 1"),
            ("{illness: 2}", "{illness: 0.5}"),
            ("at_most: 0.3", "at_most: 3"),
            ("k: 5", "k: 5\n      quality: beauty"),
            ("k: 5", "k: 5\n      kk: 5"),
        ],
    )
    def test_words(self, tmp_path: Path, old: str, new: str) -> None:
        """Words and numbers that mean nothing are refused."""
        assert findings(tmp_path, GOOD.replace(old, new))
