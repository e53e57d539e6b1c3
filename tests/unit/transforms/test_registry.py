from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from airflow_veil.privacy import transforms
from airflow_veil.privacy.transforms.base import RowFilter, Step, Transform
from airflow_veil.privacy.transforms.reference import EXAMPLES
from airflow_veil.privacy.transforms.registry import ROW_FILTERS, TRANSFORMS

ALL: dict[str, type[Transform | RowFilter]] = {**TRANSFORMS, **ROW_FILTERS}
each = pytest.mark.parametrize("word", ALL)


class TestRegistry:
    def test_has_every_treatment_there_is(self) -> None:
        """No class is left out and no word is claimed twice."""
        classes = {*Transform.__subclasses__(), *RowFilter.__subclasses__()}

        assert set(ALL.values()) == {cls for cls in classes if cls.__module__.startswith(transforms.__name__)}
        assert len(ALL) == len(TRANSFORMS) + len(ROW_FILTERS)

    @each
    def test_has_one_word_for_one_thing(self, word: str) -> None:
        """The word of YAML, the file and the class are the same."""
        cls = ALL[word]

        assert cls.word == word
        assert Path(inspect.getfile(cls)).stem == word
        assert cls.__name__ == word.title().replace("_", "")

    @each
    def test_documents_every_parameter(self, word: str) -> None:
        """Editors and the reference show a sentence for each."""
        parameters = ALL[word].model_json_schema().get("properties", {})

        assert [name for name, about in parameters.items() if not about.get("description")] == []

    @pytest.mark.parametrize("word", TRANSFORMS)
    @pytest.mark.parametrize("heading", ["Input:", "Output:", "Nulls:", "Guarantee:"])
    def test_documents_the_contract(self, word: str, heading: str) -> None:
        """Every docstring says what goes in, what comes out, what nulls become and what is promised."""
        assert heading in (inspect.getdoc(TRANSFORMS[word]) or "")

    @pytest.mark.parametrize("word", TRANSFORMS)
    def test_gives_every_treatment_a_step(self, word: str) -> None:
        """The stepwise release runs each of them once."""
        assert TRANSFORMS[word].step in Step

    def test_has_an_example_of_each(self) -> None:
        """The reference and the contract tests run over them."""
        assert set(EXAMPLES) == set(ALL)
        assert all(EXAMPLES.values())
