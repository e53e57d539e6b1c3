"""`ReleaseGateOperator`, without a scheduler: what Airflow hands it, and what it does with it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from airflow.providers.standard.operators import hitl
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException, DownstreamTasksSkipped, TaskAwaitingInput

from airflow_veil.operators.gate import ReleaseGateOperator
from airflow_veil.pipelines.sanitized_release import sanitized_release_dag
from airflow_veil.privacy.ledger.evidence import Entry
from airflow_veil.privacy.release import service
from airflow_veil.privacy.release.interval import Interval
from airflow_veil.privacy.release.reference import Reference
from airflow_veil.privacy.release.workspace import Workspace, checked
from airflow_veil.privacy.settings import Settings

POLICY = """\
version: 1
name: shop
owner: shop@example.com
datasets:
  people:
    source: people.parquet
    subject: {none: these rows are made up}
    columns:
      born: {class: quasi_identifier, type: date, treat: keep}
      ill: {class: sensitive, treat: keep}
release:
  destination: releases
  staging_expires_after: P3D
  gate: GATE
"""


@dataclass
class Night:
    """A release that waits before its gate.

    Attributes:
        workspace: The policy and its systems.
        reference: The release.
    """

    workspace: Workspace
    reference: Reference

    def task(self, **arguments: Any) -> ReleaseGateOperator:
        with DAG("night", schedule=None):
            return ReleaseGateOperator(
                task_id="gate",
                policy=str(self.workspace.loaded.path),
                dataset="people",
                after=self.reference.as_xcom(),
                **arguments,
            )

    def context(self, task: ReleaseGateOperator) -> Any:
        ti = SimpleNamespace(dag_id="night", run_id="one", task_id="gate", id="0", map_index=-1)
        ti.xcom_push = lambda **_: None
        return {"ti": ti, "task_instance": ti, "task": task}

    def evidence(self) -> Entry:
        """The last entry."""
        return self.workspace.ledger.evidence()[-1]


@pytest.fixture
def night(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Night]:
    monkeypatch.setenv("VEIL_HOME", str(tmp_path / "home"))
    for name in ("VEIL_LEDGER", "VEIL_DATA_ROOT"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "shop.yaml").write_text(POLICY.replace("GATE", request.param))
    days = [date(1990, 1, 1), date(1990, 1, 1), date(1991, 1, 1), date(1991, 1, 1)]
    pq.write_table(pa.table({"born": days, "ill": ["CANARY", "b", "c", "d"]}), tmp_path / "people.parquet")
    with Workspace(loaded=checked(tmp_path / "shop.yaml"), settings=Settings.from_env()) as workspace:
        reference = service.begin(workspace, "people", Interval(key="one"), actor="tester")
        reference = service.sanitize(workspace, reference, actor="tester").reference
        reference = service.validate(workspace, reference, actor="tester").reference
        yield Night(workspace, service.assess_staged(workspace, reference, actor="tester").reference)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What people are shown."""
    shown: list[dict[str, Any]] = []
    monkeypatch.setattr(hitl, "upsert_hitl_detail", lambda **told: shown.append(told))
    return shown


def answer(choice: str, user: str | None = "anna", reason: str = "ticket 4711") -> dict[str, Any]:
    """What Airflow hands on when somebody has answered."""
    return {
        "chosen_options": [choice],
        "params_input": {"reason": reason},
        "responded_at": datetime.now(UTC),
        "responded_by_user": {"id": user, "name": "Anna"} if user else None,
        "timedout": False,
    }


ASK = "{approve: {k: 3}}"
ask = pytest.mark.parametrize("night", [ASK], indirect=True)


class TestReleaseGateOperator:
    @pytest.mark.parametrize("night", ["{deny: {k: 2}}"], indirect=True)
    def test_allowed(self, night: Night) -> None:
        """The run goes on, and nobody is asked."""
        task = night.task()

        assert task.execute(night.context(task)) == {**night.reference.as_xcom(), "step": "gate"}
        assert (night.evidence().kind, night.evidence().actor) == (
            "release.allowed",
            "airflow:night/one/gate",
        )

    @pytest.mark.parametrize("night", ["{deny: {k: 3}}"], indirect=True)
    def test_denied(self, night: Night) -> None:
        """No retry helps, and the codes say why."""
        task = night.task()

        with pytest.raises(AirflowFailException, match=r"denies the release: deny\.k"):
            task.execute(night.context(task))
        assert night.evidence().content["reasons"] == ["deny.k"]

    @ask
    def test_asks(self, night: Night, asked: list[dict[str, Any]]) -> None:
        """Names, codes and figures are shown, no value; without an answer nothing is chosen."""
        task = night.task()

        with pytest.raises(TaskAwaitingInput) as waiting:
            task.execute(night.context(task))

        (shown,) = asked
        assert (shown["options"], shown["defaults"]) == (["Approve", "Reject"], None)
        assert "approve.k" in shown["subject"]
        assert "| Size of the smallest group of look-alikes | 2 |" in shown["body"]
        assert "CANARY" not in str(shown)
        assert waiting.value.timeout == timedelta(days=1)
        assert night.evidence().kind == "release.held"

    @ask
    def test_approved(self, night: Night, asked: list[dict[str, Any]]) -> None:
        """Who, when, why and until when are evidence, and the release can be published."""
        task = night.task()
        with pytest.raises(TaskAwaitingInput):
            task.execute(night.context(task))

        handed = task.execute_complete(night.context(task), answer("Approve"))

        told = night.evidence()
        assert told.kind == "release.approved"
        assert set(told.content) >= {"by", "name", "at", "until", "reason", "digest", "destination"}
        assert service.publish(
            night.workspace, Reference.from_xcom(handed, dataset="people"), actor="tester"
        ).reference.published

    @ask
    @pytest.mark.parametrize(
        "given", [answer("Approve", None), answer("Approve", reason=" ")], ids=["who", "why"]
    )
    def test_an_approval_of_nobody_is_none(
        self, night: Night, asked: list[dict[str, Any]], given: dict[str, Any]
    ) -> None:
        """Nor one without a reason."""
        task = night.task()
        with pytest.raises(TaskAwaitingInput):
            task.execute(night.context(task))

        with pytest.raises(AirflowFailException):
            task.execute_complete(night.context(task), given)
        assert night.evidence().content["reasons"] == ["approval.invalid"]

    @ask
    @pytest.mark.parametrize("how", ["sweep", "trigger", "default"])
    def test_no_answer_is_no_approval(self, night: Night, asked: list[dict[str, Any]], how: str) -> None:
        """However Airflow tells that the time is over."""
        task = night.task()
        with pytest.raises(TaskAwaitingInput):
            task.execute(night.context(task))
        method, arguments = {
            "sweep": ("__fail__", {"error": "Trigger timeout"}),
            "trigger": ("execute_complete", {"event": {"error": "late", "error_type": "timeout"}}),
            "default": ("execute_complete", {"event": {**answer("Approve", None), "timedout": True}}),
        }[how]

        with pytest.raises(AirflowFailException, match="timed_out"):
            task.resume_execution(method, arguments, night.context(task))
        assert (night.evidence().kind, night.evidence().content["reasons"]) == (
            "release.denied",
            ["approval.timed_out"],
        )

    @ask
    def test_rejected(self, night: Night, asked: list[dict[str, Any]]) -> None:
        """Everything downstream is skipped whatever its trigger rule, but teardowns."""
        from airflow.providers.standard.operators.empty import EmptyOperator

        task = night.task()
        with task.dag:
            publish = EmptyOperator(task_id="publish")
            report = EmptyOperator(task_id="report", trigger_rule="all_done")
            task >> publish >> report >> EmptyOperator(task_id="scrub").as_teardown()
        with pytest.raises(TaskAwaitingInput):
            task.execute(night.context(task))

        with pytest.raises(DownstreamTasksSkipped) as skipped:
            task.execute_complete(night.context(task), answer("Reject"))

        names = [name if isinstance(name, str) else name[0] for name in skipped.value.tasks]
        assert sorted(names) == ["publish", "report"]
        assert night.evidence().kind == "release.rejected"

    @ask
    @pytest.mark.parametrize("word", ["defaults", "response_timeout", "fail_on_reject"])
    def test_nothing_goes_before_the_policy(self, night: Night, word: str) -> None:
        """A default would approve when nobody answers."""
        with pytest.raises(ValueError, match=word):
            night.task(**{word: None})


class TestDag:
    @pytest.mark.parametrize("night", ["{deny: {k: 2}}", "{approve: {k: 3}, people: 2}"], indirect=True)
    def test_stands_before_publication(self, night: Night) -> None:
        """Measured, asked, once a person, and then published."""
        policy = night.workspace.loaded
        people = (
            policy.policy.release.gate.people if policy.policy.release and policy.policy.release.gate else 0
        )

        dag = sanitized_release_dag(policy.path, schedule=None)

        gates = ["people.gate", "people.gate_second"][:people]
        assert dag.get_task("people.publish").upstream_task_ids == {gates[-1]}
        assert dag.get_task("people.gate").upstream_task_ids == {"people.risk"}
        assert dag.get_task("people.risk").upstream_task_ids == {"people.validate"}
