"""A row filter is told by its columns, and whether their values show."""

from __future__ import annotations

import pytest

from airflow_veil.privacy.lineage.filters import filter_edges
from airflow_veil.privacy.transforms.sample import Sample
from airflow_veil.privacy.transforms.where import Where


class TestFilterEdges:
    @pytest.mark.parametrize(
        ("expression", "masking"),
        [
            ("a == 'PLANTED'", {"a": False}),
            ("a in ['PLANTED', 'b']", {"a": False}),
            ("a", {"a": False}),
            ("a is null", {"a": True}),
            ("a is not null and b > 3", {"a": True, "b": False}),
            ("not (a is null or b is null)", {"a": True, "b": True}),
            ("a is not null and (c is null or a < b)", {"a": False, "b": False, "c": True}),
        ],
    )
    def test_value_shows_if_it_is_compared(self, expression: str, masking: dict[str, bool]) -> None:
        """Asking whether a value is there hides it; comparing it anywhere in the expression does not."""
        edges = list(filter_edges(Where(expression=expression), "subject"))

        assert {edge.source: edge.masking for edge in edges} == masking
        assert "PLANTED" not in repr(edges)

    def test_sample_is_masked(self) -> None:
        """A key decides over the sample; that a subject is in it tells nothing of its name."""
        (edge,) = filter_edges(Sample(fraction=0.5), "subject")

        assert (edge.source, edge.target, edge.masking) == ("subject", None, True)
