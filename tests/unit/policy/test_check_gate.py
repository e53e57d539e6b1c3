"""The rules of `release.gate`: each finds its mistake, where it stands, and only its mistake."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_veil.privacy.errors import PolicyError
from airflow_veil.privacy.policy.check import check
from airflow_veil.privacy.policy.finding import Finding
from airflow_veil.privacy.policy.load import load

GATE = "{deny: {k: 2}, approve: {k: 5, t_max: 0.4}, jump: {kept_rows: 0.1}}"
GOOD = f"""\
version: 1
name: shop
owner: shop@example.com
datasets:
  visits:
    source: visits.parquet
    subject: customer
    columns:
      customer: {{class: direct_identifier, treat: drop}}
      born: {{class: quasi_identifier, type: date, treat: {{generalize: {{to: year}}}}}}
      ill: {{class: sensitive, treat: keep}}
release:
  destination: out
  gate: {GATE}
"""


def findings(tmp_path: Path, text: str) -> tuple[Finding, ...]:
    path = tmp_path / "shop.yaml"
    path.write_text(text)
    try:
        return check(load(path))
    except PolicyError as error:
        return error.findings


class TestRules:
    @pytest.mark.parametrize(
        "gate",
        [
            GATE,
            "{deny: {k: 2}}",
            "{approve: {prosecutor_max: 0.2}, people: 1, valid: P1M, wait: P1D}",
            "{jump: {prosecutor_max: 0}}",
        ],
    )
    def test_good_ones_have_no_findings(self, tmp_path: Path, gate: str) -> None:
        """Nothing is found where nothing is wrong."""
        assert findings(tmp_path, GOOD.replace(GATE, gate)) == ()

    @pytest.mark.parametrize(
        ("gate", "rule", "word"),
        [
            ("{valid: P1D}", "gate-nothing", "gate: {valid"),
            ("{deny: {k: 2}, people: 2, wait: P0D}", "gate-people", "people: 2"),
            ("{deny: {k: 5}, approve: {k: 5}}", "gate-order", "k: 5}}"),
            ("{deny: {t_max: 0.2}, approve: {t_max: 0.3}}", "gate-order", "t_max: 0.3"),
            ("{deny: {budget_max: 0.2}}", "gate-figure", "budget_max"),
            ("{approve: {k: 5}, people: 2}", "gate-wait", "gate: {approve"),
            ("{approve: {k: 5}, wait: P2D}", "gate-wait", "wait: P2D"),
            ("{approve: {k: 5}, valid: P0D}", "gate-period", "valid: P0D"),
            ("{deny: {k: 0}}", "greater-than-equal", "k: 0}"),
            ("{deny: {prosecutor_max: 2}}", "less-than-equal", "prosecutor_max: 2}"),
            ("{deny: {risk: 0.1}}", "unknown-word", "risk"),
            ("{deny: {k: 2}, people: 3}", "literal-error", "people: 3"),
            ("{deny: {k: 'rows > 5'}}", "int-parsing", "k: 'rows"),
        ],
    )
    def test_mistakes(self, tmp_path: Path, gate: str, rule: str, word: str) -> None:
        """The rule is named, and the finding points at the word."""
        text = GOOD.replace(GATE, gate)

        found = [each for each in findings(tmp_path, text) if each.rule == rule]

        assert found
        assert text.splitlines()[found[0].line - 1][found[0].column - 1 :].startswith(word)

    @pytest.mark.parametrize(
        ("word", "treat", "bites"),
        [
            ("distance_max", "keep", True),
            ("distance_max", "{generalize: {round_to: 10}}", True),
            ("distance_max", "{generalize: {prefix: 1}}", False),
            ("distance_max", "{token: {domain: ill}}", False),
            ("association_max", "keep", False),
        ],
    )
    def test_what_can_be_compared(self, tmp_path: Path, word: str, treat: str, bites: bool) -> None:
        """A bound on a distance needs a column that is still what it was; one on associations two of them."""
        text = GOOD.replace(GATE, f"{{deny: {{{word}: 0.1}}}}").replace(
            "class: sensitive, treat: keep", f"class: sensitive, treat: {treat}"
        )

        found = [each for each in findings(tmp_path, text) if each.rule == "gate-figure"]

        assert len(found) == (0 if bites else 1)
        assert all("visits can be compared" in each.message for each in found)

    def test_a_figure_of_no_column(self, tmp_path: Path) -> None:
        """A bound on what no release has would never bite."""
        text = GOOD.replace("class: sensitive", "class: none").replace(
            "class: quasi_identifier", "class: none"
        )

        assert [each.rule for each in findings(tmp_path, text)] == ["gate-figure"] * 3
