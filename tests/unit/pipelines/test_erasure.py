"""The DAG of erasure: it waits, plans, asks where the policy says so, erases in stages, verifies and certifies."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import TriggerRule

from airflow_veil.operators.erasure import ErasureRequestsSensor, PlanErasureOperator
from airflow_veil.pipelines.erasure import erasure_dag, has_erasure
from airflow_veil.plugins.cluster_policy import task_policy
from airflow_veil.privacy.errors import ErasureError

CONFIGS = Path(__file__).resolve().parents[3] / "configs"


def chinook(tmp_path: Path, more: str = "") -> Path:
    path = tmp_path / "chinook.yaml"
    text = (CONFIGS / "chinook.yaml").read_text()
    assert text.endswith("  within: P1M\n")
    path.write_text(text + more)
    return path


class TestErasureDag:
    def test_steps_are_in_order(self, tmp_path: Path) -> None:
        """Suppression before sources, leaves before what they refer to, releases after, and a look at the end."""
        dag = erasure_dag(chinook(tmp_path))

        assert isinstance(dag.get_task("wait"), ErasureRequestsSensor)
        assert isinstance(dag.get_task("plan"), PlanErasureOperator)
        topological = [task.task_id for task in dag.topological_sort()]
        assert topological == [
            "wait",
            "plan",
            "suppress",
            *(f"source_{number}" for number in range(1, 5)),
            "releases",
            "verify",
            "certificate",
        ]
        steps = [dag.get_task(f"source_{number}").expand_input.value["step"] for number in range(1, 5)]
        assert steps == [
            ["source invoice_lines"],
            ["source invoices"],
            ["source customers"],
            ["source employees"],
        ]

    def test_a_failure_is_certified(self, tmp_path: Path) -> None:
        """The certificate comes after a step that failed, too; where nothing waits, nothing comes."""
        dag = erasure_dag(chinook(tmp_path))
        assert dag.get_task("certificate").trigger_rule == TriggerRule.NONE_SKIPPED

    def test_people_are_asked_before_anything_goes(self, tmp_path: Path) -> None:
        """A rejection fails, so that the requests are answered; only those who are named may approve."""
        dag = erasure_dag(chinook(tmp_path, "  approval: true\n"), approvers=["officer"])

        ask = dag.get_task("approve")
        assert isinstance(ask, ApprovalOperator)
        assert ask.fail_on_reject
        assert ask.upstream_task_ids == {"plan"}
        assert ask.downstream_task_ids == {"suppress"}
        assert "delete" in ask.body

    def test_it_warns_before_the_deadline(self, tmp_path: Path) -> None:
        """A month of 28 days, less the week of the warning."""
        (alert,) = erasure_dag(chinook(tmp_path)).deadline
        assert alert.interval == timedelta(days=21)

    def test_the_cluster_policy_lets_it_pass(self, tmp_path: Path) -> None:
        """No task passes rows by XCom."""
        for task in erasure_dag(chinook(tmp_path)).tasks:
            task_policy(task)

    def test_a_policy_without_erasure(self) -> None:
        """It is no policy for this DAG."""
        assert not has_erasure(CONFIGS / "userdata.yaml")
        with pytest.raises(ErasureError):
            erasure_dag(CONFIGS / "userdata.yaml")
