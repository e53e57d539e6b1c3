"""The DAG of retention: a task a data set that has one, then releases."""

from __future__ import annotations

from pathlib import Path

import pytest
from airflow.exceptions import AirflowClusterPolicyViolation
from airflow.sdk import DAG, TriggerRule

from airflow_veil.operators.retention import EnforceRetentionOperator, ExpireReleasesOperator
from airflow_veil.pipelines.retention import has_retention, kept_datasets, retention_dag
from airflow_veil.plugins.cluster_policy import task_policy
from airflow_veil.privacy.errors import RetentionError

POLICY = """\
version: 1
name: shop
owner: data@example.com
datasets:
  visits:
    source: visits.parquet
    subject: customer
    retention: {after: P1Y, from: at}
    columns:
      customer: {class: direct_identifier, treat: drop}
      at: {class: none, type: timestamp, treat: keep}
  pages:
    source: pages.parquet
    subject: {none: no person is in it}
    columns:
      url: {class: none, treat: keep}
release: {destination: releases, expires_after: P30D}
"""


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    path = tmp_path / "shop.yaml"
    path.write_text(POLICY)
    return path


class TestDag:
    def test_a_task_for_each_data_set_with_a_retention(self, policy: Path) -> None:
        """Releases come last, whatever became of rows; nothing is caught up with."""
        dag = retention_dag(policy)

        assert dag.dag_id == "veil_shop_retention"
        assert kept_datasets(policy) == ("visits",)
        assert set(dag.task_ids) == {"visits", "expire_releases", "sweep_staging"}
        assert not dag.get_task("sweep_staging").upstream_task_ids
        assert dag.get_task("expire_releases").upstream_task_ids == {"visits"}
        assert dag.get_task("expire_releases").trigger_rule == TriggerRule.ALL_DONE
        assert not dag.catchup

    def test_the_cluster_policy_takes_its_tasks(self, policy: Path) -> None:
        """Each is about a data set of the policy, or about the whole of it."""
        for task in retention_dag(policy).tasks:
            task_policy(task)

    def test_the_cluster_policy_refuses_what_is_not_there(self, policy: Path) -> None:
        """A data set that the policy lacks, and a policy that does not check."""
        with DAG("dag", schedule=None):
            wrong = EnforceRetentionOperator(task_id="a", policy=str(policy), dataset="vists")
            missing = ExpireReleasesOperator(task_id="b", policy=f"{policy}.bak")
        with pytest.raises(AirflowClusterPolicyViolation, match="no data set vists"):
            task_policy(wrong)
        with pytest.raises(AirflowClusterPolicyViolation, match="missing"):
            task_policy(missing)

    def test_a_policy_that_keeps_everything(self, policy: Path) -> None:
        """It has no such DAG."""
        text = POLICY.replace("    retention: {after: P1Y, from: at}\n", "").replace(
            ", expires_after: P30D", ""
        )
        policy.write_text(text)

        assert not has_retention(policy)
        with pytest.raises(RetentionError, match="nothing of how long"):
            retention_dag(policy)

    def test_releases_alone(self, policy: Path) -> None:
        """They end, too."""
        policy.write_text(POLICY.replace("    retention: {after: P1Y, from: at}\n", ""))

        assert set(retention_dag(policy).task_ids) == {"expire_releases", "sweep_staging"}
