"""Loading a policy: every mistake of form is found, at its line and column, with a fix."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_veil.privacy.errors import PolicyError
from airflow_veil.privacy.policy.finding import Finding
from airflow_veil.privacy.policy.load import load

GOOD = """\
version: 1
name: shop
owner: data@example.com
datasets:
  customers:
    source: customers.parquet
    subject: id
    columns:
      id: {class: direct_identifier, treat: {token: {domain: customer}}}
      country: {class: quasi_identifier, treat: keep}
"""


def _findings(tmp_path: Path, text: str) -> tuple[Finding, ...]:
    path = tmp_path / "policy.yaml"
    path.write_text(text)
    with pytest.raises(PolicyError) as error:
        load(path)
    return error.value.findings


class TestLoad:
    def test_a_good_policy_loads(self, tmp_path: Path) -> None:
        """A policy of the right form comes back with its digest and places."""
        path = tmp_path / "policy.yaml"
        path.write_text(GOOD)

        loaded = load(path)

        assert loaded.policy.name == "shop"
        assert loaded.policy.datasets["customers"].columns["id"].transform.word == "token"
        assert len(loaded.digest) == 64
        assert loaded.document.mark(("datasets", "customers", "subject")).line == 7

    @pytest.mark.parametrize(
        ("old", "new", "rule", "line", "message", "fix"),
        [
            ("subject: id", "subjct: id", "unknown-word", 7, "`subjct`", "`subject`"),
            ("treat: keep", "treat: kep", "unknown-word", 10, "`kep`", "`keep`"),
            ("treat: keep", "treet: keep", "unknown-word", 10, "`treet`", "`treat`"),
            ("{domain: customer}", "{domian: customer}", "unknown-word", 9, "`domian`", "`domain`"),
            ("treat: keep", "treat: {keep: {}, drop: {}}", "treatment-count", 10, "exactly one", "name one"),
            ("owner: data@example.com\n", "", "missing", 1, "`owner` is missing", "add `owner:`"),
            ("{domain: customer}", "{}", "missing", 9, "`domain` is missing", "add `domain:`"),
            ("version: 1", "version: 2", "literal-error", 1, "1", "expected"),
            ("class: quasi_identifier", "class: quasi", "enum", 10, "quasi_identifier", "expected"),
            ("treat: keep", "treat: keep, type: integer", "unknown-type", 10, "int64", "known types"),
            ("treat: keep", "treat: keep, treat: drop", "duplicate", 10, "twice", "keep one"),
            ("name: shop", "name: my shop", "string-pattern-mismatch", 2, "pattern", "schema"),
            ("treat: keep", "treat:", "treatment-count", 10, "treatment", "name one"),
            ("datasets:", "datasets: [", "yaml", 6, "not YAML", "mend"),
        ],
        ids=lambda value: str(value).replace("\n", " ")[:40],
    )
    def test_a_mistake_is_placed_and_mended(
        self, tmp_path: Path, old: str, new: str, rule: str, line: int, message: str, fix: str
    ) -> None:
        """Each mistake tells its line, what is wrong and what to write."""
        findings = [f for f in _findings(tmp_path, GOOD.replace(old, new)) if f.rule == rule]

        assert [finding.line for finding in findings] == [line]
        assert message in findings[0].message
        assert fix in findings[0].fix

    def test_all_mistakes_are_told_at_once(self, tmp_path: Path) -> None:
        """One run shows every mistake of form, in the order of the file."""
        text = (
            GOOD.replace("subject: id", "subjct: id")
            .replace("treat: keep", "treat: kep")
            .replace("version: 1", "version: 3")
        )

        findings = _findings(tmp_path, text)

        assert [finding.line for finding in findings] == [1, 7, 10]

    def test_a_missing_file_is_a_finding(self, tmp_path: Path) -> None:
        """A policy that is not there is told as any other mistake."""
        with pytest.raises(PolicyError) as error:
            load(tmp_path / "none.yaml")

        assert error.value.findings[0].rule == "file"

    @pytest.mark.parametrize("raw", [b"name: \x07", b"name: \xff"], ids=["control-character", "not-utf-8"])
    def test_a_file_that_is_no_text_is_a_finding(self, tmp_path: Path, raw: bytes) -> None:
        """What is not even text is told as any other mistake."""
        path = tmp_path / "policy.yaml"
        path.write_bytes(raw)

        with pytest.raises(PolicyError) as error:
            load(path)

        assert [finding.rule for finding in error.value.findings] == ["yaml"]

    def test_a_file_that_changed_is_read_anew(self, tmp_path: Path) -> None:
        """The same bytes give the same policy again; others, however soon, another."""
        path = tmp_path / "policy.yaml"
        path.write_text(GOOD)
        before, again = load(path), load(path)
        path.write_text(GOOD.replace("name: shop", "name: shoe"))

        assert before is again
        assert (before.policy.name, load(path).policy.name) == ("shop", "shoe")

    def test_null_is_a_treatment(self, tmp_path: Path) -> None:
        """`treat: null` names the treatment of that name."""
        path = tmp_path / "policy.yaml"
        path.write_text(GOOD.replace("treat: keep", "treat: null"))

        assert load(path).policy.datasets["customers"].columns["country"].transform.word == "null"

    def test_a_country_code_stays_a_text(self, tmp_path: Path) -> None:
        """NO is Norway, not false."""
        path = tmp_path / "policy.yaml"
        path.write_text(GOOD.replace("treat: keep", "treat: keep, values: [NO, SE, yes]"))

        assert load(path).policy.datasets["customers"].columns["country"].values == ("NO", "SE", "yes")

    @pytest.mark.parametrize(
        "text", ["!!python/object/apply:os.system ['true']", "- 1\n- 2", "", "just text"]
    )
    def test_whatever_is_no_policy_is_refused(self, tmp_path: Path, text: str) -> None:
        """Tags beyond plain data, lists, texts and nothing are no policies."""
        assert _findings(tmp_path, text)

    def test_errors_travel_between_processes(self, tmp_path: Path) -> None:
        """A policy error keeps its findings through pickle."""
        import pickle

        findings = _findings(tmp_path, GOOD.replace("version: 1", "version: 3"))

        assert pickle.loads(pickle.dumps(PolicyError(findings))).findings == findings
