"""`AnonymizeOperator`, without a scheduler."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_veil.operators.anonymize import AnonymizeOperator
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
    anonymize: {k: 2, quasi_identifiers: {city: city.csv}}
    columns:
      city: {class: quasi_identifier, treat: keep}
      ill: {class: sensitive, treat: keep}
release: {destination: releases}
"""
CONTEXT: Any = {"ti": SimpleNamespace(dag_id="dag", run_id="run", task_id="task")}


@pytest.fixture
def staged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Workspace, Reference]]:
    """Three treated rows; CANARY is a city."""
    monkeypatch.setenv("VEIL_HOME", str(tmp_path / "home"))
    for name in ("VEIL_LEDGER", "VEIL_DATA_ROOT"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "shop.yaml").write_text(POLICY)
    (tmp_path / "city.csv").write_text("Linz;AT;*\nGraz;AT;*\nCANARY;AT;*\n")
    table = pa.table({"city": ["Linz", "Graz", "CANARY"], "ill": ["a", "b", "c"]})
    pq.write_table(table, tmp_path / "people.parquet")
    with Workspace(loaded=checked(tmp_path / "shop.yaml"), settings=Settings.from_env()) as workspace:
        begun = service.begin(workspace, "people", Interval(key="one"), actor="tester")
        yield workspace, service.sanitize(workspace, begun, actor="tester").reference


def task(workspace: Workspace, reference: Reference) -> AnonymizeOperator:
    return AnonymizeOperator(
        task_id="anonymize", policy=str(workspace.loaded.path), dataset="people", after=reference.as_xcom()
    )


class TestAnonymizeOperator:
    def test_hands_on_counts(self, staged: tuple[Workspace, Reference]) -> None:
        """The rows are staged; what is handed on is the release with its counts."""
        workspace, reference = staged

        handed = task(workspace, reference).execute(CONTEXT)

        assert handed == {**reference.as_xcom(), "step": "anonymize"}
        source = workspace.destination.source("people", reference.release_id)
        (batch,) = source.batches(["city"], batch_rows=9)
        assert batch["city"].to_pylist() == ["AT"] * 3
        assert "CANARY" not in str(workspace.ledger.release(reference.release_id).manifest)

    def test_no_value_in_errors(self, staged: tuple[Workspace, Reference]) -> None:
        """A value that no hierarchy covers is a mistake that no retry mends, and is not told."""
        workspace, reference = staged
        (workspace.loaded.path.parent / "city.csv").write_text("Linz;*\nGraz;*\n")

        with pytest.raises(AirflowFailException, match="does not cover 1 values") as caught:
            task(workspace, reference).execute(CONTEXT)

        assert "CANARY" not in str(caught.value)
        assert caught.value.__cause__ is None
