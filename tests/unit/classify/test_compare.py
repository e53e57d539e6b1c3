"""A classification against the policy: what stops a release, and what is passed over for a reason."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from airflow_veil.privacy.classify.compare import SURE, Discrepancy, compare, recorded
from airflow_veil.privacy.classify.kind import KINDS
from airflow_veil.privacy.classify.suggestion import Suggestion
from airflow_veil.privacy.policy.load import load
from airflow_veil.privacy.policy.models import ColumnClass, Dataset

POLICY = """\
version: 1
name: shop
owner: shop@example.com
datasets:
  people:
    source: people.parquet
    subject: id
    columns:
      id: {class: direct_identifier, treat: drop}
      c: {class: CLASS, treat: TREAT}
"""


def found(kind: str, confidence: float = 0.95) -> Suggestion:
    known = KINDS.get(kind)
    return Suggestion(
        column="c",
        kind=kind,
        column_class=known.column_class if known else ColumnClass.NONE,
        category=known.category if known else None,
        confidence=confidence,
        evidence=(),
        values=9,
        different=1.0,
    )


Problems = Callable[..., tuple[Discrepancy, ...]]


@pytest.fixture
def problems(tmp_path: Path) -> Problems:
    def compared(
        kind: str,
        *,
        declared: str = "none",
        treat: str = "keep",
        sure: float = 0.95,
        extra: str = "",
        nobodys: bool = False,
        before: str | None = None,
    ) -> tuple[Discrepancy, ...]:
        text = POLICY.replace("CLASS", declared).replace("TREAT", treat + extra)
        if nobodys:
            text = text.replace("subject: id", "subject: {none: these are offices}")
        (tmp_path / "shop.yaml").write_text(text)
        data: Dataset = load(tmp_path / "shop.yaml").policy.datasets["people"]
        return compare(
            "people", data, [found(kind, sure)], before=recorded([found(before)]) if before else None
        )

    return compared


class TestCompare:
    def test_personal_data_declared_none(self, problems: Problems) -> None:
        """It is told by names and shares."""
        (only,) = problems("email")

        assert only.problem == "declared none"
        assert str(only) == "c looks like email (95%), a direct_identifier, and is declared none"
        assert only.as_dict()["percent"] == 95

    def test_a_direct_identifier_declared_less(self, problems: Problems) -> None:
        """Quasi-identifiers and sensitive data leave more freely than a direct identifier may."""
        assert [each.problem for each in problems("email", declared="quasi_identifier")] == ["declared less"]
        assert [each.problem for each in problems("us_ssn", declared="sensitive")] == ["declared less"]

    @pytest.mark.parametrize(
        "told",
        [
            {"kind": "none"},
            {"kind": "gender", "declared": "quasi_identifier"},
            {"kind": "email", "declared": "quasi_identifier", "treat": "drop"},
            {"kind": "email", "treat": "{mask: {keep_last: 2}}"},
            {"kind": "email", "sure": SURE - 0.01},
            {"kind": "record_id"},
            {"kind": "event_date"},
            {"kind": "email", "extra": ", unsafe_reason: 'a list of public mailboxes'"},
            {"kind": "phone", "nobodys": True},
        ],
        ids=str,
    )
    def test_what_is_passed_over(self, problems: Problems, told: dict[str, object]) -> None:
        """What agrees, leaves nothing to read, is not sure, tells nothing by itself, or has a reason."""
        assert problems(**told) == ()

    def test_people_in_a_table_of_nobody(self, problems: Problems) -> None:
        """Offices have phones; they have no given names."""
        assert len(problems("first_name", nobodys=True)) == 1

    def test_generalizing_is_no_excuse(self, problems: Problems) -> None:
        """The beginning of a national number is a date of birth."""
        assert (
            len(problems("national_id", declared="quasi_identifier", treat="{generalize: {prefix: 6}}")) == 1
        )


class TestDrift:
    def test_another_kind_than_before(self, problems: Problems) -> None:
        """A country that became a city is looked at again."""
        (only,) = problems("city", declared="quasi_identifier", before="country")

        assert (only.problem, only.before) == ("drifted", "country")
        assert "was country at the last release" in str(only)

    def test_the_same_kind(self, problems: Problems) -> None:
        """No drift; nor is there any where nothing is known of before."""
        assert problems("city", declared="quasi_identifier", before="city") == ()
        assert problems("city", declared="quasi_identifier") == ()

    def test_something_that_was_nothing(self, problems: Problems) -> None:
        """Personal data in a column that had none."""
        assert [each.before for each in problems("city", declared="quasi_identifier", before="none")] == [
            "none"
        ]
