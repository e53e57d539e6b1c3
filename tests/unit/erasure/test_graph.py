"""The graph of references: edges, keys that lead on, and the order in which data sets are erased."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_veil.privacy.erasure.graph import Graph, graph_of
from airflow_veil.privacy.erasure.stages import stages_of
from airflow_veil.privacy.errors import ErasureError
from airflow_veil.privacy.policy.load import load

CONFIGS = Path(__file__).parents[3] / "configs"


def graph(name: str) -> Graph:
    return graph_of(load(CONFIGS / f"{name}.yaml").policy)


class TestGraph:
    def test_leaves_come_before_what_they_refer_to(self) -> None:
        """Every table is before the ones that its columns lead to, also those that only lose cells."""
        found = graph("chinook")
        place = {name: number for number, name in enumerate(found.order)}
        for edge in found.edges:
            target = edge.target.partition(".")[0]
            assert target == edge.dataset or place[edge.dataset] < place[target]

    def test_keys_are_what_others_point_to(self) -> None:
        """A line is found by its invoice's number, and nothing is found by a line's; addresses name people, too."""
        found = graph("chinook")
        assert found.keys("invoices") == ("InvoiceId",)
        assert found.keys("customers") == ("CustomerId", "Email")
        assert found.keys("invoice_lines") == ()

    def test_stages_begin_with_suppression_and_end_with_releases(self) -> None:
        """Independent tables are in one stage, to be done side by side."""
        stages = stages_of(load(CONFIGS / "synthea.yaml").policy)
        assert stages[0] == ("suppress",)
        assert stages[2] == ("source patients", "source providers")
        assert all(step.startswith("releases ") for step in stages[-1])
        assert len({step for stage in stages for step in stage}) == sum(map(len, stages))

    def test_a_policy_without_erasure(self) -> None:
        """It says what is missing."""
        with pytest.raises(ErasureError, match="says nothing of erasure"):
            graph("userdata")
