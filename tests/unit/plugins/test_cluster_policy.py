"""The cluster policy: a DAG that would work without a policy that checks fails at parse."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.exceptions import AirflowClusterPolicyViolation
from airflow.sdk import DAG, BaseOperator, PokeReturnValue

from airflow_veil.operators.budget_sensor import BudgetSensor
from airflow_veil.operators.detokenize import DetokenizeOperator
from airflow_veil.operators.dp_release import DPReleaseOperator
from airflow_veil.operators.privacy_test import PrivacyTestOperator
from airflow_veil.operators.sanitize import SanitizeOperator
from airflow_veil.operators.synthetic import SyntheticDataOperator
from airflow_veil.operators.validate import ValidateOperator
from airflow_veil.plugins.cluster_policy import task_policy

POLICY = """\
version: 1
name: shop
owner: data@example.com
datasets:
  customers:
    source: customers.parquet
    subject: id
    columns:
      id: {class: direct_identifier, treat: {token: {domain: customer}}}
"""
QUERIES = """\
release: {destination: releases}
differential_privacy:
  budgets: {people: {unit: customers.id, epsilon: 1}}
  queries:
    people_in_all: {dataset: customers, budget: people, spend: {epsilon: 0.1}, measures: {people: count_distinct}}
"""

MODELS = """\
models:
  churn:
    artefact: churn.skops
    trained_on: {train: train.parquet, holdout: holdout.parquet}
    features: [age]
    target: left
    destination: models
    licence: mit
    description: Tells who leaves.
    intended_use: For this test alone.
    limits: It is not there.
"""


SYNTHETIC = """\
release: {destination: releases}
synthetic:
  releases:
    nobody:
      method: faker
      tables: {customers: {rows: 5, columns: {id: key}}}
"""


class CuriousSensor(BudgetSensor):
    """A sensor from outside the suite that would hand on whatever it likes."""

    def poke(self, context: Any) -> Any:
        return PokeReturnValue(is_done=True, xcom_value="value")


class CuriousOperator(SanitizeOperator):
    """A sub-class from outside the suite that would return whatever it likes."""

    def run(self, workspace: Any, context: Any) -> dict[str, Any]:
        return {"first": "value"}


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    """A policy that checks."""
    path = tmp_path / "policy.yaml"
    path.write_text(POLICY)
    return path


def _violation(make: Callable[[], BaseOperator]) -> str:
    with DAG("dag", schedule=None):
        task = make()
    with pytest.raises(AirflowClusterPolicyViolation) as error:
        task_policy(task)
    return str(error.value)


class TestTaskPolicy:
    def test_a_task_with_a_good_policy_passes(self, policy: Path) -> None:
        """Nothing is refused where the policy is there and checks."""
        with DAG("dag", schedule=None):
            task_policy(SanitizeOperator(task_id="task", policy=str(policy), dataset="customers"))

    def test_other_tasks_are_left_alone(self) -> None:
        """Tasks that are not of the suite are nobody's business here."""
        with DAG("dag", schedule=None):
            task_policy(BaseOperator(task_id="task"))

    def test_a_missing_policy_is_refused(self, tmp_path: Path) -> None:
        """The message names the DAG, the task and the file."""
        path = tmp_path / "none.yaml"

        message = _violation(lambda: SanitizeOperator(task_id="task", policy=str(path), dataset="customers"))

        assert "DAG dag, task task" in message
        assert "none.yaml is missing" in message

    def test_a_policy_that_does_not_check_is_refused(self, policy: Path) -> None:
        """The message holds every mistake with its line, as `veil check` tells it; a mended file passes."""
        policy.write_text(POLICY.replace("{token: {domain: customer}}", "keep"))

        message = _violation(
            lambda: SanitizeOperator(task_id="task", policy=str(policy), dataset="customers")
        )

        assert "policy.yaml:9:" in message
        assert "kept-in-clear" in message
        policy.write_text(POLICY)
        with DAG("dag", schedule=None):
            task_policy(SanitizeOperator(task_id="task", policy=str(policy), dataset="customers"))

    def test_an_unknown_data_set_is_refused(self, policy: Path) -> None:
        """A data set must be one of the policy."""
        message = _violation(lambda: SanitizeOperator(task_id="task", policy=str(policy), dataset="clients"))

        assert "has no data set clients; it has customers" in message

    def test_an_unknown_synthesis_is_refused(self, policy: Path) -> None:
        """What is made up must be named in the policy."""
        policy.write_text(POLICY + SYNTHETIC)
        with DAG("dag", schedule=None):
            task_policy(SyntheticDataOperator(task_id="task", policy=str(policy), synthesis="nobody"))

        message = _violation(
            lambda: SyntheticDataOperator(task_id="task", policy=str(policy), synthesis="somebody")
        )
        assert "has no synthesis somebody; it has nobody" in message

    def test_a_templated_policy_is_refused(self) -> None:
        """A policy that is only known at run time was reviewed by nobody."""
        message = _violation(
            lambda: SanitizeOperator(task_id="task", policy="{{ params.p }}", dataset="customers")
        )

        assert "template" in message

    @pytest.mark.parametrize("how", ["argument", "template"])
    def test_rows_by_xcom_are_refused(self, policy: Path, how: str) -> None:
        """What a task of the suite reads is named, not handed over by another task's return value."""

        def make() -> BaseOperator:
            upstream = BaseOperator(task_id="upstream")
            tokens = upstream.output if how == "argument" else "{{ ti.xcom_pull('upstream') }}"
            return DetokenizeOperator(
                task_id="task",
                policy=str(policy),
                dataset="customers",
                input_path=tokens,
                output_path="out",
                columns=["id"],
                reason="a good reason",
            )

        assert "`input_path` is fed by XCom" in _violation(make)

    def test_references_by_xcom_pass(self, policy: Path) -> None:
        """`after` is made for it: it holds names, counts and digests."""
        with DAG("dag", schedule=None):
            sanitize = SanitizeOperator(task_id="sanitize", policy=str(policy), dataset="customers")
            task_policy(
                ValidateOperator(
                    task_id="task", policy=str(policy), dataset="customers", after=sanitize.output
                )
            )

    def test_a_sub_class_that_returns_what_it_likes_is_refused(self, policy: Path) -> None:
        """Only what this suite returns is known to be free of rows; without XCom the sub-class passes."""
        message = _violation(lambda: CuriousOperator(task_id="task", policy=str(policy), dataset="customers"))

        assert "CuriousOperator" in message
        with DAG("dag", schedule=None):
            task_policy(
                CuriousOperator(task_id="task", policy=str(policy), dataset="customers", do_xcom_push=False)
            )

    def test_queries_are_named_as_data_sets_are(self, policy: Path) -> None:
        """A task that answers a query names one of the policy's queries; so does a sensor that waits for its money."""
        policy.write_text(POLICY + QUERIES)
        with DAG("dag", schedule=None):
            task_policy(DPReleaseOperator(task_id="answer", policy=str(policy), query="people_in_all"))
            task_policy(BudgetSensor(task_id="wait", policy=str(policy), query="people_in_all"))

        for operator in (DPReleaseOperator, BudgetSensor):
            message = _violation(
                lambda made=operator: made(task_id="task", policy=str(policy), query="customers")
            )
            assert "has no query customers; it has people_in_all" in message

    def test_models_are_named_as_data_sets_are(self, policy: Path) -> None:
        """A task that tests a model names one of the policy's models."""
        policy.write_text(POLICY + MODELS)
        with DAG("dag", schedule=None):
            task_policy(PrivacyTestOperator(task_id="test", policy=str(policy), model="churn"))

        message = _violation(
            lambda: PrivacyTestOperator(task_id="task", policy=str(policy), model="customers")
        )
        assert "has no model customers; it has churn" in message

    def test_a_sensor_that_returns_what_it_likes_is_refused(self, policy: Path) -> None:
        """What a sensor pokes may go to XCom, too."""
        policy.write_text(POLICY + QUERIES)

        assert "CuriousSensor" in _violation(
            lambda: CuriousSensor(task_id="task", policy=str(policy), query="people_in_all")
        )
