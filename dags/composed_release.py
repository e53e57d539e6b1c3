"""A DAG composed by hand: the same operators, one step a task, with tasks of one's own before and after.

It releases the customers of the demo shop when the nightly DAG has published the orders.
"""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

from airflow.sdk import DAG, chain, conf, task

from airflow_veil.operators.generalize import GeneralizeOperator
from airflow_veil.operators.mask import MaskOperator
from airflow_veil.operators.minimize import MinimizeOperator
from airflow_veil.operators.publish import PublishReleaseOperator
from airflow_veil.operators.risk import AssessRiskOperator
from airflow_veil.operators.scrub import ScrubStagingOperator
from airflow_veil.operators.tokenize import TokenizeOperator
from airflow_veil.operators.validate import ValidateOperator
from airflow_veil.pipelines.sanitized_release import release_asset

folder = Path(
    conf.get("veil", "policies", fallback=None)
    or os.environ.get("VEIL_POLICIES")
    or Path(__file__).parent / "policies"
)
policy = folder / "retail.yaml"

if policy.exists():
    customers = {"policy": str(policy), "dataset": "customers"}
    with DAG(
        "veil_composed_release",
        schedule=[release_asset(policy, "orders")],
        start_date=datetime.fromisoformat("2026-01-01T00:00:00+00:00"),
        catchup=False,
        tags=["veil", "example"],
    ) as dag:

        @task
        def announce(published: dict[str, object]) -> None:
            """Tell downstream teams; only names and counts come by XCom."""
            print(f"Release {published['release_id']}: {published['rows_out']} rows")  # noqa: T201

        minimize = MinimizeOperator(task_id="minimize", **customers)
        tokenize = TokenizeOperator(task_id="tokenize", after=minimize.output, **customers)
        mask = MaskOperator(task_id="mask", after=tokenize.output, **customers)
        generalize = GeneralizeOperator(task_id="generalize", after=mask.output, **customers)
        validate = ValidateOperator(task_id="validate", after=generalize.output, **customers)
        assess_risk = AssessRiskOperator(task_id="assess_risk", after=validate.output, **customers)
        publish = PublishReleaseOperator(
            task_id="publish",
            after=assess_risk.output,
            outlets=[release_asset(policy, "customers")],
            **customers,
        )
        scrub = ScrubStagingOperator(task_id="scrub", **customers).as_teardown()
        chain(publish, [scrub, announce(publish.output)])
