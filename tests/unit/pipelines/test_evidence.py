"""The DAG of evidence: anchored, verified, and certificates proven; without a scheduler."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowException, AirflowFailException
from tests.unit.audit.test_certificate import FACTS

from airflow_veil.operators.anchor import AnchorEvidenceOperator
from airflow_veil.operators.certificates import ProveCertificatesOperator
from airflow_veil.operators.verify import VerifyEvidenceOperator
from airflow_veil.pipelines.evidence import evidence_dag
from airflow_veil.privacy.audit import certificate, keyfile
from airflow_veil.privacy.audit.anchor import checkpoints
from airflow_veil.privacy.audit.note import SigningKey
from airflow_veil.privacy.audit.places import place
from airflow_veil.privacy.ledger.ledger import Ledger

KEY = SigningKey.generate("example.com/veil")
CONTEXT: dict[str, Any] = {"ti": SimpleNamespace(dag_id="dag", run_id="run", task_id="task")}
ACTOR = "airflow:dag/run/task"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installation with a key and a ledger of three entries."""
    monkeypatch.setenv("VEIL_HOME", str(tmp_path / "home"))
    for name in ("VEIL_LEDGER", "VEIL_AUDIT_KEY", "VEIL_CERTIFICATES"):
        monkeypatch.delenv(name, raising=False)
    keyfile.create(tmp_path / "home" / "audit.key", KEY)
    filled(tmp_path / "home" / "ledger.db")
    return tmp_path


def filled(path: Path) -> None:
    with Ledger.open(path) as ledger:
        for number in range(3):
            ledger.append_evidence("test.made", f"thing/{number}", {}, actor="tester")


def entries(home: Path) -> list[Any]:
    with Ledger.open(home / "home" / "ledger.db") as ledger:
        return list(ledger.evidence())


class TestAnchorEvidenceOperator:
    def test_anchors(self, home: Path) -> None:
        """It hands on a size and a root; that it is anchored is what it anchors last, and a second run adds nothing."""
        task = AnchorEvidenceOperator(task_id="anchor", to=f"{home}/checkpoints/")
        first, again = task.execute(CONTEXT), task.execute(CONTEXT)

        (kept,) = checkpoints(place(home / "checkpoints"), [KEY.verifier])
        assert first == {"size": 4, "root": kept.root.hex(), "added": True}
        assert again == {**first, "added": False}
        told = entries(home)[3:]
        assert [(each.kind, each.subject, each.actor) for each in told] == [
            ("evidence.anchoring", KEY.name, ACTOR)
        ]

    def test_a_fork_fails_for_good(self, home: Path) -> None:
        """Trying again does not make it the log that was anchored."""
        task = AnchorEvidenceOperator(task_id="anchor", to=str(home / "checkpoints.txt"))
        task.execute(CONTEXT)
        (home / "home" / "ledger.db").unlink()
        filled(home / "home" / "ledger.db")
        filled(home / "home" / "ledger.db")

        with pytest.raises(AirflowFailException, match="not the ones that were anchored"):
            task.execute(CONTEXT)
        assert len(entries(home)) == 6

    def test_a_place_that_is_away_is_tried_again(self, home: Path) -> None:
        """A bucket may be mounted a minute later."""
        task = AnchorEvidenceOperator(task_id="anchor", to=str(home / "missing" / "checkpoints.txt"))

        with pytest.raises(AirflowException, match="cannot be kept there") as caught:
            task.execute(CONTEXT)
        assert not isinstance(caught.value, AirflowFailException)

    def test_a_kill_between_entry_and_checkpoint(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The next try anchors the entry that is there."""
        task = AnchorEvidenceOperator(task_id="anchor", to=str(home / "checkpoints.txt"))
        with monkeypatch.context() as patched:
            patched.setattr("airflow_veil.privacy.audit.anchor.sign", lambda *_: 1 / 0)
            with pytest.raises(AirflowException):
                task.execute(CONTEXT)

        assert task.execute(CONTEXT)["size"] == 4


class TestVerifyEvidenceOperator:
    def test_verifies(self, home: Path) -> None:
        """Every entry, against what was anchored; that it did is evidence."""
        anchors = str(home / "checkpoints.txt")
        done = AnchorEvidenceOperator(task_id="anchor", to=anchors).execute(CONTEXT)
        found = VerifyEvidenceOperator(task_id="verify", anchors=anchors).execute(CONTEXT)

        assert found == {"size": 4, "root": done["root"], "anchored": 4, "checkpoints": 1, "erased": 0}
        last = entries(home)[-1]
        assert (last.kind, last.actor, last.content) == ("evidence.verified", ACTOR, found)

    def test_a_change_fails_for_good(self, home: Path) -> None:
        """With the number of the entry."""
        anchors = str(home / "checkpoints.txt")
        AnchorEvidenceOperator(task_id="anchor", to=anchors).execute(CONTEXT)
        (home / "home" / "ledger.db").unlink()
        filled(home / "home" / "ledger.db")

        with pytest.raises(AirflowFailException, match="ends at entry 3, and 4 were anchored"):
            VerifyEvidenceOperator(task_id="verify", anchors=anchors).execute(CONTEXT)

    def test_other_keys_of_the_log(self, home: Path) -> None:
        """A key that signed there before is trusted where it is named."""
        anchors, new = str(home / "checkpoints.txt"), SigningKey.generate(KEY.name)
        AnchorEvidenceOperator(task_id="anchor", to=anchors).execute(CONTEXT)
        (home / "home" / "audit.key").unlink()
        keyfile.create(home / "home" / "audit.key", new)

        with pytest.raises(AirflowFailException, match="none of the given keys"):
            VerifyEvidenceOperator(task_id="verify", anchors=anchors).execute(CONTEXT)
        trust = [str(KEY.verifier)]
        AnchorEvidenceOperator(task_id="anchor", to=anchors, trust=trust).execute(CONTEXT)
        found = VerifyEvidenceOperator(task_id="verify", anchors=anchors, trust=trust).execute(CONTEXT)
        assert found["anchored"] == 4


class TestProveCertificatesOperator:
    def test_proves_what_a_checkpoint_covers(self, home: Path) -> None:
        """In the installation's folder, or another one."""
        anchors = str(home / "checkpoints.txt")
        with Ledger.open(home / "home" / "ledger.db") as ledger:
            made = certificate.issue(ledger, FACTS, actor="tester")
        files = [
            certificate.write(made, folder) for folder in (home / "home" / "certificates", home / "other")
        ]
        AnchorEvidenceOperator(task_id="anchor", to=anchors).execute(CONTEXT)

        for folder in (None, str(home / "other")):
            task = ProveCertificatesOperator(task_id="prove", anchors=anchors, certificates=folder)
            assert task.execute(CONTEXT) == {"proven": 1, "waiting": 0}
            assert task.execute(CONTEXT) == {"proven": 0, "waiting": 0}
        for file in files:
            assert certificate.check(json.loads(file.read_text()), [KEY.verifier])
        last = entries(home)[-1]
        assert (last.kind, last.content) == ("certificates.proven", {"proven": 0, "waiting": 0})


class TestDag:
    def test_one_after_the_other(self) -> None:
        """Nothing is verified before it is anchored, nor proven before it is verified."""
        dag = evidence_dag(to="/mnt/worm/checkpoints/", certificates="/srv/certificates", schedule="@hourly")

        assert dag.dag_id == "veil_evidence"
        assert dag.get_task("verify").upstream_task_ids == {"anchor"}
        assert dag.get_task("prove_certificates").upstream_task_ids == {"verify"}
        assert not dag.catchup
