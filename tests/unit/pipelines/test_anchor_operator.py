"""`AnchorEvidenceOperator`, without a scheduler."""

from __future__ import annotations

from pathlib import Path

import pytest
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from airflow_veil.operators.anchor import AnchorEvidenceOperator
from airflow_veil.privacy.audit import keyfile
from airflow_veil.privacy.audit.anchor import checkpoints
from airflow_veil.privacy.audit.note import SigningKey
from airflow_veil.privacy.audit.places import place
from airflow_veil.privacy.ledger.ledger import Ledger

KEY = SigningKey.generate("example.com/veil")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installation with a key and a ledger of three entries."""
    monkeypatch.setenv("VEIL_HOME", str(tmp_path / "home"))
    for name in ("VEIL_LEDGER", "VEIL_AUDIT_KEY"):
        monkeypatch.delenv(name, raising=False)
    keyfile.create(tmp_path / "home" / "audit.key", KEY)
    filled(tmp_path / "home" / "ledger.db")
    return tmp_path


def filled(path: Path) -> None:
    with Ledger.open(path) as ledger:
        for number in range(3):
            ledger.append_evidence("test.made", f"thing/{number}", {}, actor="tester")


class TestAnchorEvidenceOperator:
    def test_anchors(self, home: Path) -> None:
        """It hands on a size and a root, and a second run adds nothing."""
        task = AnchorEvidenceOperator(task_id="anchor", to=f"{home}/checkpoints/")
        first, again = task.execute({}), task.execute({})

        (kept,) = checkpoints(place(home / "checkpoints"), [KEY.verifier])
        assert first == {"size": 3, "root": kept.root.hex(), "added": True}
        assert again == {**first, "added": False}

    def test_a_fork_fails_for_good(self, home: Path) -> None:
        """Trying again does not make it the log that was anchored."""
        task = AnchorEvidenceOperator(task_id="anchor", to=str(home / "checkpoints.txt"))
        task.execute({})
        (home / "home" / "ledger.db").unlink()
        filled(home / "home" / "ledger.db")

        with pytest.raises(AirflowFailException, match="not the ones that were anchored"):
            task.execute({})

    def test_a_place_that_is_away_is_tried_again(self, home: Path) -> None:
        """A bucket may be mounted a minute later."""
        task = AnchorEvidenceOperator(task_id="anchor", to=str(home / "missing" / "checkpoints.txt"))

        with pytest.raises(AirflowException, match="cannot be kept there") as caught:
            task.execute({})
        assert not isinstance(caught.value, AirflowFailException)
