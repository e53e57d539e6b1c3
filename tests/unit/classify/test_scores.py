"""How good the classifier is on real columns, of which thresholds have seen none: floors, and the table of the page.

Floors are below what was measured by at least one column in eight (recall) or one in twenty (precision); where a kind
has few columns, all of them have to be found.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.classification import NONE, Labelled, Score, classified, columns, scores, table

PAGE = Path(__file__).resolve().parents[3] / "docs" / "classification.md"

Told = list[tuple[Labelled, str, float]]

RECALL = {
    "age": 0.8, "bank_account": 1.0, "birth_date": 0.9, "card_detail": 0.9, "city": 0.75, "coordinates": 1.0,
    "country": 0.9, "credit_card": 1.0, "email": 1.0, "ethnicity": 0.8, "first_name": 0.95, "free_text": 0.85,
    "gender": 0.9, "health": 0.8, "honorific": 0.9, "income": 0.9, "ip_address": 1.0, "job_title": 0.9,
    "last_name": 0.9, "marital_status": 0.75, "national_id": 0.7, "organization": 0.75, "password": 0.9,
    "person_id": 0.65, "phone": 0.9, "postal_code": 0.85, "record_id": 0.85, "region": 0.9, "street": 0.7, "url": 0.9,
    "us_ssn": 1.0, "username": 0.9,
}  # fmt: skip
"""With names."""
BLIND = {
    "bank_account": 1.0, "birth_date": 0.8, "country": 0.9, "credit_card": 1.0, "email": 1.0, "first_name": 0.7,
    "free_text": 0.85, "gender": 0.8, "honorific": 0.9, "ip_address": 1.0, "job_title": 0.7, "phone": 0.75,
    "street": 0.6, "url": 0.8,
}  # fmt: skip
"""With names hidden: the kinds that values alone show."""
PRECISION = 0.95


@pytest.fixture(scope="module")
def scored(shared_data: Path) -> list[Labelled]:
    return [column for column in columns(shared_data) if column.scored]


@pytest.fixture(scope="module")
def named(scored: list[Labelled]) -> Told:
    return classified(scored, named=True)


@pytest.fixture(scope="module")
def blind(scored: list[Labelled]) -> Told:
    return classified(scored, named=False)


def _precision(told: Told) -> float:
    personal = [kind in column.accepted for column, kind, _ in told if kind != NONE]
    return sum(personal) / len(personal)


class TestScores:
    def test_recall_by_name_and_values(self, named: Told) -> None:
        """Each kind, on columns as they are."""
        found = scores(named)

        assert {
            kind: found[kind].recall for kind, floor in RECALL.items() if (found[kind].recall or 0) < floor
        } == {}

    def test_recall_by_values_alone(self, blind: Told) -> None:
        """Each kind that values show, names hidden."""
        found = scores(blind)

        assert {
            kind: found[kind].recall for kind, floor in BLIND.items() if (found[kind].recall or 0) < floor
        } == {}

    def test_what_is_told_is_right(self, named: Told, blind: Told) -> None:
        """Precision over all kinds, both ways."""
        assert _precision(named) >= PRECISION
        assert _precision(blind) >= PRECISION

    def test_negative_columns_stay_negative(self, named: Told, blind: Told) -> None:
        """Goods, prices, weights and codes are nobody's, whatever their name."""
        for told in (named, blind):
            wrong = [column for column, kind, _ in told if column.accepted == {NONE} and kind != NONE]

            assert [(column.table, column.name) for column in wrong] == []

    @pytest.mark.parametrize("least", [0.5, 0.6, 0.7, 0.8, 0.9])
    def test_confidence_is_not_overstated(self, named: Told, blind: Told, least: float) -> None:
        """Of what is told with a confidence of a tenth, at least so many are right."""
        right = [
            k in c.accepted for c, k, sure in [*named, *blind] if k != NONE and least <= sure < least + 0.1
        ]

        assert not right or sum(right) / len(right) >= least

    def test_the_scores_can_fail(self, scored: list[Labelled]) -> None:
        """One kind for all is told apart from a good answer: the scores are of what is told."""
        found = scores([(column, "email", 0.9) for column in scored])

        assert found["email"].recall == 1.0
        assert (found["email"].precision or 0) < 0.1
        assert found["phone"] == Score(found["phone"].columns, 0, 0, 0)


class TestPage:
    def test_its_table_is_what_is_measured(self, shared_data: Path) -> None:
        """The page's figures are today's."""
        assert table(shared_data) in PAGE.read_text()
