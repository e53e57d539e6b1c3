"""`AssessRiskOperator`, without a scheduler."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_veil.operators.risk import AssessRiskOperator
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
release: {destination: releases}
"""


@pytest.fixture
def staged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Workspace, Reference]]:
    """A staged release of three rows."""
    monkeypatch.setenv("VEIL_HOME", str(tmp_path / "home"))
    for name in ("VEIL_LEDGER", "VEIL_DATA_ROOT"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "shop.yaml").write_text(POLICY)
    days = [date(1990, 1, 1), date(1990, 1, 1), date(1991, 1, 1)]
    pq.write_table(pa.table({"born": days, "ill": ["CANARY", "b", "c"]}), tmp_path / "people.parquet")
    with Workspace(loaded=checked(tmp_path / "shop.yaml"), settings=Settings.from_env()) as workspace:
        begun = service.begin(workspace, "people", Interval(key="one"), actor="tester")
        yield workspace, service.sanitize(workspace, begun).reference


class TestAssessRiskOperator:
    def test_figures_stay(self, staged: tuple[Workspace, Reference]) -> None:
        """The ledger has the figures; what is handed on is the release alone."""
        workspace, reference = staged
        task = AssessRiskOperator(
            task_id="risk", policy=str(workspace.loaded.path), dataset="people", after=reference.as_xcom()
        )

        handed = task.execute({})

        assert handed == {**reference.as_xcom(), "step": "assess"}
        risk = (workspace.ledger.release(reference.release_id).manifest or {})["risk"]
        assert (risk["reidentification"]["k"], risk["diversity"][0]["distinct_l"]) == (1, 1)
        assert "CANARY" not in str(risk)

    def test_small_population(self, staged: tuple[Workspace, Reference]) -> None:
        """A population smaller than the release is a mistake that no retry mends."""
        workspace, reference = staged
        task = AssessRiskOperator(
            task_id="risk",
            policy=str(workspace.loaded.path),
            dataset="people",
            after=reference.as_xcom(),
            population=2,
        )

        with pytest.raises(AirflowFailException, match="the population has 2 people"):
            task.execute({})
