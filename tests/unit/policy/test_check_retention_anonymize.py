"""The rules of `action: {anonymize: …}`: rows that stay are nobody's, and what is done shows."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.policy.test_check_retention import findings

GOOD = """\
version: 1
name: shop
owner: shop@example.com
datasets:
  visits:
    source: visits.parquet
    subject: customer
    retention:
      after: P3Y
      from: at
      action: {anonymize: {columns: {customer: null, mail: null}}}
    columns:
      customer: {class: direct_identifier, type: string, treat: drop}
      mail: {class: direct_identifier, treat: drop}
      at: {class: none, type: timestamp, treat: keep}
      born: {class: quasi_identifier, type: date, treat: {generalize: {to: year}}}
      spent: {class: sensitive, type: int32, treat: keep}
      note: {class: none, treat: keep}
release: {destination: out}
"""
COLUMNS = "customer: null, mail: null"


class TestRules:
    @pytest.mark.parametrize(
        "columns",
        [
            COLUMNS,
            f"{COLUMNS}, born: {{generalize: {{to: year, label: lower}}}}, spent: {{generalize: {{round_to: 50}}}}",
            "customer: {constant: {value: gone}}, mail: {mask: {style: email, length: 4}}",
            f"{COLUMNS}, note: {{generalize: {{prefix: 2, pad_with: '*'}}}}, spent: {{generalize: {{top: 900}}}}",
        ],
    )
    def test_good_ones_have_no_findings(self, tmp_path: Path, columns: str) -> None:
        """Nothing is found where nothing is wrong."""
        assert findings(tmp_path, GOOD.replace(COLUMNS, columns)) == ()

    def test_rows_that_are_nobodys(self, tmp_path: Path) -> None:
        """Have no subject to be treated."""
        text = GOOD.replace("subject: customer", "subject: {none: the rows are of machines}")
        text = text.replace(COLUMNS, "note: null").replace("direct_identifier", "none")

        assert findings(tmp_path, text) == ()

    @pytest.mark.parametrize(
        ("columns", "rule", "place"),
        [
            (f"{COLUMNS}, mial: null", "anonymize-column", "columns.mial"),
            (f"{COLUMNS}, at: null", "anonymize-from", "columns.at"),
            ("mail: null", "anonymize-named", "columns"),
            ("customer: null", "anonymize-named", "columns"),
            ("customer: {token: {domain: customer}}, mail: null", "anonymize-pseudonym", "columns.customer"),
            (
                "customer: {token: {domain: customer, reversible: true}}, mail: null",
                "anonymize-pseudonym",
                "columns.customer",
            ),
            (f"{COLUMNS}, born: date_shift", "anonymize-pseudonym", "columns.born"),
            (f"{COLUMNS}, spent: {{noise: {{scale: 5}}}}", "anonymize-pseudonym", "columns.spent"),
            ("customer: null, mail: {fake: {provider: email}}", "anonymize-pseudonym", "columns.mail"),
            ("customer: keep, mail: null", "anonymize-settles", "columns.customer"),
            (f"{COLUMNS}, note: drop", "anonymize-settles", "columns.note"),
            (f"{COLUMNS}, note: {{mask: {{keep_last: 4}}}}", "anonymize-settles", "columns.note"),
            (f"{COLUMNS}, born: {{generalize: {{to: year}}}}", "anonymize-settles", "columns.born"),
            (f"{COLUMNS}, born: {{constant: {{value: gone}}}}", "anonymize-settles", "columns.born"),
            (f"{COLUMNS}, spent: {{generalize: {{width: 10}}}}", "anonymize-settles", "columns.spent"),
            (f"{COLUMNS}, note: {{redact: {{names_from: [mail]}}}}", "anonymize-inputs", "columns.note"),
        ],
    )
    def test_each_mistake_where_it_stands(self, tmp_path: Path, columns: str, rule: str, place: str) -> None:
        """One finding, at the word, with a fix."""
        (found,) = findings(tmp_path, GOOD.replace(COLUMNS, columns))

        assert (found.rule, found.line) == (rule, 11)
        assert found.path.endswith(f"retention.action.anonymize.{place}")
        assert found.fix

    def test_a_column_without_its_treatment(self, tmp_path: Path) -> None:
        """A bare `null` is a word; nothing at all is none."""
        (found,) = findings(tmp_path, GOOD.replace("mail: null", "mail: "))

        assert found.rule == "treatment-count"
