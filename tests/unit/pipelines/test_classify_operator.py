"""`ClassifyColumnsOperator`, without a scheduler: what it hands on, logs and fails with."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_veil.operators.classify import ClassifyColumnsOperator

CANARY = "zq7canary"
POLICY = """\
version: 1
name: shop
owner: shop@example.com
datasets:
  people:
    source: people.parquet
    subject: id
    columns:
      id: {class: direct_identifier, type: int64, treat: drop}
      note: {class: none, treat: keep}
release: {destination: releases, classify: true}
"""


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VEIL_HOME", str(tmp_path / "home"))
    for name in ("VEIL_LEDGER", "VEIL_KEYS", "VEIL_DATA_ROOT"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "shop.yaml").write_text(POLICY)
    return tmp_path


def supply(shop: Path, note: str) -> None:
    rows = pa.table({"id": pa.array(range(50)), "note": [note.replace("#", str(n)) for n in range(50)]})
    pq.write_table(rows, shop / "people.parquet")


def execute(shop: Path, **options: Any) -> dict[str, Any]:
    night = datetime(2026, 3, 1, tzinfo=UTC)
    run = SimpleNamespace(
        data_interval_start=None, data_interval_end=None, logical_date=night, run_after=night
    )
    task = SimpleNamespace(dag_id="shop", run_id="night", task_id="classify")
    operator = ClassifyColumnsOperator(
        task_id="classify", policy=str(shop / "shop.yaml"), dataset="people", **options
    )
    return operator.execute({"dag_run": run, "ti": task})  # type: ignore[typeddict-item]


class TestClassifyColumnsOperator:
    def test_hands_on_the_release(self, shop: Path) -> None:
        """Names, counts and digests; nothing of what was found."""
        supply(shop, "parcel")

        handed = execute(shop)

        assert handed["step"] == "classify"
        assert not handed["published"]

    def test_undeclared_personal_data_fails_for_good(
        self, shop: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Trying again cannot help; the column is named, and no value is."""
        supply(shop, f"{CANARY}#@example.org")

        with pytest.raises(AirflowFailException, match="note looks like email") as caught:
            execute(shop)

        assert CANARY not in str(caught.value) + caplog.text
        assert caught.value.__cause__ is None

    def test_warns_only(self, shop: Path, caplog: pytest.LogCaptureFixture) -> None:
        """The release goes on, and the log says what was found."""
        supply(shop, f"{CANARY}#@example.org")

        handed = execute(shop, on_finding="warn")

        assert handed["step"] == "classify"
        assert CANARY not in caplog.text + json.dumps(handed)

    def test_an_unknown_word_stops_nothing_silently(self, shop: Path) -> None:
        """A misspelt option would let everything through."""
        supply(shop, f"{CANARY}#@example.org")

        with pytest.raises(AirflowFailException, match="on_finding"):
            execute(shop, on_finding="wran")
