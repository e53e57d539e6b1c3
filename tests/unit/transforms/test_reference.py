from __future__ import annotations

from pathlib import Path

import pytest

from airflow_veil.privacy.policy import source_map
from airflow_veil.privacy.policy.treatment import Treatment
from airflow_veil.privacy.transforms.reference import EXAMPLES, render, written
from airflow_veil.privacy.transforms.registry import ROW_FILTERS, TRANSFORMS

PAGE = Path(__file__).parents[3] / "docs" / "transforms.md"


class TestReference:
    def test_is_the_page_in_docs(self) -> None:
        """`python -m airflow_veil.privacy.transforms.reference > docs/transforms.md` makes it so."""
        assert PAGE.read_text(encoding="utf-8") == render()

    @pytest.mark.parametrize("word", [*TRANSFORMS, *ROW_FILTERS])
    def test_has_a_section_for_each(self, word: str) -> None:
        """With all its parameters."""
        section = render().partition(f"\n## {word}\n")[2].partition("\n## ")[0]
        cls = TRANSFORMS.get(word) or ROW_FILTERS[word]

        assert all(f"| `{field.alias or name}` |" in section for name, field in cls.model_fields.items())

    @pytest.mark.parametrize(
        ("word", "example"), [(word, example) for word in TRANSFORMS for example in EXAMPLES[word]], ids=str
    )
    def test_shows_what_a_policy_may_hold(self, word: str, example: dict[str, object]) -> None:
        """Each example, as it is printed, is YAML that loads as that treatment."""
        shown = source_map.read(written(word, example)).data["treat"]

        assert Treatment.model_validate(shown).transform == TRANSFORMS[word].model_validate(example)
