"""The DAG of a policy: which data sets are released as rows, and which are only asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_veil.pipelines.sanitized_release import released_datasets, sanitized_release_dag
from airflow_veil.privacy.errors import ReleaseError

POLICY = """\
version: 1
name: shop
owner: data@example.com
datasets:
  customers:
    source: customers.parquet
    subject: id
    columns:
      id: {class: direct_identifier, treat: drop}
      country: {class: quasi_identifier, treat: keep}
  visits:
    source: visits.parquet
    subject: {column: customer, references: customers.id}
    columns:
      customer: {class: direct_identifier, treat: drop}
      at: {class: quasi_identifier, treat: drop}
release: {destination: releases}
"""


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    path = tmp_path / "shop.yaml"
    path.write_text(POLICY)
    return path


class TestReleasedDatasets:
    def test_a_data_set_that_drops_all_has_no_tasks(self, policy: Path) -> None:
        """It is there to be asked; nothing of it is staged, and its source is not read for rows."""
        dag = sanitized_release_dag(policy)

        assert released_datasets(policy) == ("customers",)
        assert {task_id.partition(".")[0] for task_id in dag.task_ids} == {"customers"}

    @pytest.mark.parametrize("run", ["fused", "stepwise"])
    def test_anonymization_is_a_task_where_it_is_asked_for(self, policy: Path, run: str) -> None:
        """It comes after the treatment and before the validation; without the word there is none."""
        assert "customers.anonymize" not in sanitized_release_dag(policy).task_ids
        words = "anonymize: {k: 5, quasi_identifiers: {country: country.csv}}"
        text = POLICY.replace("subject: id\n", f"subject: id\n    {words}\n", 1)
        policy.write_text(text.replace("releases}", f"releases, run: {run}}}"))
        (policy.parent / "country.csv").write_text("AT;*\n")

        task = sanitized_release_dag(policy).get_task("customers.anonymize")

        before = "sanitize" if run == "fused" else "generalize"
        assert task.upstream_task_ids == {f"customers.{before}"}
        assert task.downstream_task_ids >= {"customers.validate"}

    def test_a_policy_that_drops_all_has_no_dag_of_rows(self, policy: Path) -> None:
        """Who asks for one is told where the queries are answered."""
        policy.write_text(POLICY.replace("treat: keep", "treat: drop"))

        assert released_datasets(policy) == ()
        with pytest.raises(ReleaseError, match="dp_release_dag"):
            sanitized_release_dag(policy)


class TestClassify:
    def test_the_first_task_where_the_policy_wants_it(self, policy: Path) -> None:
        """`release: {classify: true}`: nothing is staged before the columns were looked at."""
        policy.write_text(POLICY.replace("releases}", "releases, classify: true}"))

        dag = sanitized_release_dag(policy)

        assert dag.get_task("customers.classify").downstream_task_ids == {"customers.sanitize"}
        assert dag.get_task("customers.classify").upstream_task_ids == set()

    def test_not_where_it_does_not(self, policy: Path) -> None:
        """Without the word there is no such task."""
        assert "customers.classify" not in sanitized_release_dag(policy).task_ids


class TestRisk:
    def test_is_measured_where_people_can_be_told_apart(self, policy: Path) -> None:
        """A quasi-identifier leaves, so its risk is measured before publication, gate or not."""
        dag = sanitized_release_dag(policy)

        assert dag.get_task("customers.risk").upstream_task_ids == {"customers.validate"}
        assert dag.get_task("customers.publish").upstream_task_ids == {"customers.risk"}

    def test_not_where_nothing_can_be_measured(self, policy: Path) -> None:
        """No quasi-identifier leaves; but the policy may ask what the release lost."""
        text = POLICY.replace("country: {class: quasi_identifier", "country: {class: none")
        policy.write_text(text)
        assert "customers.risk" not in sanitized_release_dag(policy).task_ids

        policy.write_text(text.replace("releases}", "releases, utility: {}}"))
        assert "customers.risk" in sanitized_release_dag(policy).task_ids
