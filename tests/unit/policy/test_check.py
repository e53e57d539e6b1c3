"""Checking what a policy means: each rule finds its mistake, and only its mistake."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from airflow_veil.privacy.policy.check import check
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
    where: "age >= 18"
    columns:
      id: {class: direct_identifier, treat: {token: {domain: customer}}}
      card: {class: direct_identifier, treat: {fpe: {alphabet: digits, keep_last: 4}}}
      age: {class: quasi_identifier, type: int64, treat: {generalize: {width: 10}}}
      born: {class: quasi_identifier, type: date, treat: {date_shift: {max_days: 30}}}
      name: {class: direct_identifier, treat: drop}
      notes: {class: free_text, treat: {redact: {names_from: [name]}}}
      segment: {class: none, treat: keep}
  orders:
    source: orders.parquet
    subject: {column: customer, references: customers.id}
    columns:
      customer: {class: direct_identifier, treat: {token: {domain: customer}}}
      total: {class: sensitive, type: float64, treat: keep}
"""


def _check(tmp_path: Path, text: str, **schemas: pa.Schema) -> tuple[Finding, ...]:
    path = tmp_path / "policy.yaml"
    path.write_text(text)
    return check(load(path), schemas or None)


class TestCheck:
    def test_a_good_policy_has_no_findings(self, tmp_path: Path) -> None:
        """Nothing is found where nothing is wrong."""
        assert _check(tmp_path, GOOD) == ()

    @pytest.mark.parametrize(
        ("old", "new", "rule", "line"),
        [
            ("treat: drop}\n      notes", "treat: keep}\n      notes", "kept-in-clear", 14),
            ("treat: {redact: {names_from: [name]}}", "treat: keep", "kept-in-clear", 15),
            (
                "class: none, treat: keep",
                "class: none, treat: keep, unsafe_reason: no need at all",
                "unneeded-unsafe-reason",
                16,
            ),
            ("    subject: id\n", "", "missing-subject", 5),
            ("subject: id", "subject: ident", "subject-column", 7),
            ("references: customers.id", "references: customer.id", "subject-reference", 19),
            (
                "customer: {class: direct_identifier, treat: {token: {domain: customer}}}",
                "customer: {class: direct_identifier, treat: {token: {domain: other}}}",
                "joined-two-ways",
                21,
            ),
            (
                "customer: {class: direct_identifier, treat: {token: {domain: customer}}}",
                "customer: {class: direct_identifier, treat: {token: {domain: customer, reversible: true}}}",
                "domain-joined-two-ways",
                21,
            ),
            (
                "class: none, treat: keep",
                "class: quasi_identifier, treat: {token: {domain: segment}}",
                "low-cardinality",
                16,
            ),
            (
                "class: none, treat: keep",
                "class: sensitive, values: [a, b], treat: {token: {domain: segment}}",
                "low-cardinality",
                16,
            ),
            ("type: int64, treat: {generalize: {width: 10}}", "type: int64, treat: {redact: {}}", "type", 12),
            ('where: "age >= 18"', "where: \"age >= 'old'\"", "type", 8),
            ('where: "age >= 18"', 'where: "years >= 18"', "input", 8),
            ("names_from: [name]", "names_from: [surname]", "input", 15),
            ("subject: id", "subject: {none: there are no people here}", "needs-subject", 13),
        ],
        ids=lambda value: value if isinstance(value, str) and value.replace("-", "").isalpha() else "",
    )
    def test_a_mistake_is_found_at_its_line(
        self, tmp_path: Path, old: str, new: str, rule: str, line: int
    ) -> None:
        """Each rule finds its mistake, placed and with a fix."""
        assert old in GOOD

        findings = [finding for finding in _check(tmp_path, GOOD.replace(old, new)) if finding.rule == rule]

        assert findings, [str(finding) for finding in _check(tmp_path, GOOD.replace(old, new))]
        assert line in [finding.line for finding in findings]
        assert all(finding.fix for finding in findings)

    @pytest.mark.parametrize("rule", ["kept-in-clear", "low-cardinality"])
    def test_an_opt_out_is_a_reason(self, tmp_path: Path, rule: str) -> None:
        """A check is passed over only by a reason, which every manifest then carries."""
        old, new = {
            "kept-in-clear": ("treat: drop}\n      notes", "treat: keep}\n      notes"),
            "low-cardinality": (
                "class: none, treat: keep",
                "class: quasi_identifier, treat: {token: {domain: segment}}",
            ),
        }[rule]
        reason = new.replace("keep}", "keep, unsafe_reason: agreed with the privacy office}").replace(
            "segment}}", "segment}}, unsafe_reason: agreed with the privacy office"
        )

        assert _check(tmp_path, GOOD.replace(old, reason)) == ()

    def test_references_in_a_circle_are_found(self, tmp_path: Path) -> None:
        """A population must have a root."""
        text = GOOD.replace("subject: id", "subject: {column: id, references: orders.customer}")

        assert {finding.rule for finding in _check(tmp_path, text)} == {"subject-circle"}

    def test_fpe_on_a_small_domain_is_refused(self, tmp_path: Path) -> None:
        """Below a million values FF1 is not safe (SP 800-38G revision 1)."""
        from airflow_veil.privacy.errors import PolicyError

        with pytest.raises(PolicyError, match=r"1,000,000|1000000|million"):
            _check(tmp_path, GOOD.replace("keep_last: 4}", "keep_last: 4, length: 9}"))

    def test_a_source_that_differs_is_found(self, tmp_path: Path) -> None:
        """Against the source, a missing column and a changed type are mistakes at the column's line."""
        schema = pa.schema([("customer", pa.string())])

        findings = _check(tmp_path, GOOD, orders=schema)

        assert [(finding.rule, finding.line) for finding in findings] == [("source", 22)]
        assert "total is not in the source" in findings[0].message

    def test_a_changed_type_is_found(self, tmp_path: Path) -> None:
        """A column that is not of its declared type is a mistake."""
        schema = pa.schema([("customer", pa.string()), ("total", pa.string())])

        findings = _check(tmp_path, GOOD, orders=schema)

        assert "total is string, the policy declares float64" in findings[0].message
