"""`veil audit`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.unit.cli.conftest import Installation

from airflow_veil.privacy.ledger.ledger import Ledger
from airflow_veil.privacy.release.workspace import own_ledger
from airflow_veil.privacy.settings import Settings

NAME = "example.com/veil"


def ledger_of(installation: Installation) -> Ledger:
    return own_ledger(Settings.from_env(installation.env))


def fill(installation: Installation, entries: int) -> None:
    with ledger_of(installation) as ledger:
        for number in range(entries):
            ledger.append_evidence("test.made", f"thing/{number}", {"rows": number}, actor="tester")


@pytest.fixture
def logged(tmp_path: Path) -> Installation:
    """An installation with a signing key and five entries that are anchored: the last tells that they are."""
    installation = Installation(tmp_path)
    (tmp_path / "veil.vkey").write_text(installation.ok("audit", "keygen", "--name", NAME))
    fill(installation, 4)
    installation.ok("audit", "anchor", "--to", tmp_path / "anchors.txt")
    return installation


def known(installation: Installation) -> tuple[str, ...]:
    """What an auditor has."""
    return (
        "--key",
        str(installation.root / "veil.vkey"),
        "--anchors",
        str(installation.root / "anchors.txt"),
    )


class TestKeygen:
    def test_prints_the_verifier_key_only(self, tmp_path: Path) -> None:
        """Standard output is what is handed to auditors; the signing key is its owner's alone."""
        installation = Installation(tmp_path)
        shown = installation.ok("audit", "keygen", "--name", NAME)

        file = tmp_path / "home" / "audit.key"
        assert shown.startswith(f"{NAME}+")
        assert "PRIVATE" not in shown
        assert file.stat().st_mode & 0o777 == 0o600
        assert installation.ok("audit", "key") == shown
        assert json.loads(installation.ok("audit", "key", "--json")) == {
            "name": NAME,
            "verifier_key": shown.strip(),
        }

    def test_keeps_a_key_that_is_there(self, logged: Installation) -> None:
        """A second one would make a second log."""
        result = logged.veil("audit", "keygen", "--name", NAME)

        assert result.exit_code == 3
        assert "exists already" in result.stderr


class TestAnchor:
    def test_tells_what_is_new(self, logged: Installation) -> None:
        """In words, or in JSON with the checkpoint."""
        fill(logged, 2)
        to = logged.root / "anchors.txt"
        told = json.loads(logged.ok("audit", "anchor", "--to", to, "--json"))

        assert (told["added"], told["before"], told["size"], told["origin"]) == (True, 5, 8, NAME)
        assert told["checkpoint"] in to.read_text()
        assert "Nothing new: 8 entries" in logged.ok("audit", "anchor", "--to", to)

    def test_refuses_a_fork(self, logged: Installation) -> None:
        """Another ledger is not the one that was anchored."""
        (logged.root / "home" / "ledger.db").unlink()
        fill(logged, 5)

        result = logged.veil("audit", "anchor", "--to", logged.root / "anchors.txt")

        assert result.exit_code == 7
        assert "not the ones that were anchored" in result.stderr

    def test_goes_on_with_a_new_key(self, logged: Installation) -> None:
        """Where the old one is trusted."""
        file = logged.root / "new.key"
        logged.ok("audit", "keygen", "--name", NAME, "--file", file)
        fill(logged, 1)
        again = ("audit", "anchor", "--to", logged.root / "anchors.txt", "--file", file)

        assert logged.veil(*again).exit_code == 7
        assert "Anchored 7 entries, 5 before" in logged.ok(
            *again, "--trust", (logged.root / "veil.vkey").read_text()
        )
        assert logged.veil("audit", "verify", *known(logged)).exit_code == 7
        new = logged.ok("audit", "key", "--file", file).strip()
        assert "2 checkpoints agree" in logged.ok("audit", "verify", *known(logged), "--key", new)


class TestVerify:
    def test_tells_ranges_apart(self, logged: Installation) -> None:
        """What is anchored, what is not yet, and what was erased."""
        logged.ok("audit", "erase", "2", "--reason", "ticket 4711")

        lines = logged.ok("audit", "verify", *known(logged)).splitlines()
        told = json.loads(logged.ok("audit", "verify", *known(logged), "--json"))

        assert lines[1:] == [
            "Anchored:   entries 1 to 5",
            "Unanchored: entries 6 to 6",
            "Entry 2: payload erased, as a later entry says.",
        ]
        assert (told["anchored"], told["unanchored"], told["erased"]) == ([1, 5], [6, 6], [2])

    def test_of_an_export(self, logged: Installation) -> None:
        """By the export, the key and the checkpoints alone."""
        export = logged.root / "evidence.jsonl"
        export.write_text(logged.ok("audit", "export"))
        elsewhere = Installation(logged.root / "elsewhere")

        assert "5 entries are as they were" in elsewhere.ok(
            "audit", "verify", *known(logged), "--log", export
        )
        assert not (logged.root / "elsewhere" / "home").exists()
        export.write_text(export.read_text().replace("tester", "nobody", 1))
        result = elsewhere.veil("audit", "verify", *known(logged), "--log", export)
        assert result.exit_code == 7
        assert "entry 1 of the evidence is not as it was recorded" in result.stderr

    def test_needs_a_checkpoint(self, logged: Installation) -> None:
        """A place without one proves nothing."""
        result = logged.veil("audit", "verify", *known(logged)[:2], "--anchors", logged.root / "none.txt")

        assert result.exit_code == 7
        assert "no checkpoint" in result.stderr

    def test_a_key_that_is_none(self, logged: Installation) -> None:
        """A file that is missing, and a text that is no key."""
        anchors = known(logged)[2:]

        assert logged.veil("audit", "verify", "--key", logged.root / "none", *anchors).exit_code == 4
        assert logged.veil("audit", "verify", "--key", "a+b+c", *anchors).exit_code == 7


class TestProve:
    def test_is_checked_without_a_ledger(self, logged: Installation) -> None:
        """The bundle and the key are enough."""
        proof = logged.root / "proof.json"
        proof.write_text(logged.ok("audit", "prove", "3", *known(logged)))
        elsewhere = Installation(logged.root / "elsewhere")
        check = ("audit", "check", proof, *known(logged)[:2])

        shown = elsewhere.ok(*check)
        assert "Entry 3 is in the log example.com/veil, among its first 5 entries." in shown
        assert '{"rows":2}' in shown
        assert json.loads(elsewhere.ok(*check, "--json"))["entry"]["subject"] == "thing/2"
        assert not (logged.root / "elsewhere").exists()

        proof.write_text(proof.read_text().replace("thing/2", "thing/3"))
        assert elsewhere.veil(*check).exit_code == 7

    def test_may_leave_out_the_payload(self, logged: Installation) -> None:
        """That something was done is proven, and not what it says."""
        proof = json.loads(logged.ok("audit", "prove", "3", *known(logged), "--without-payload"))

        assert (proof["entry"]["payload"], proof["entry"]["salt"]) == (None, None)

    def test_of_what_is_not_anchored(self, logged: Installation) -> None:
        """It says what to do."""
        fill(logged, 1)
        result = logged.veil("audit", "prove", "6", *known(logged))

        assert result.exit_code == 7
        assert "veil audit anchor" in result.stderr


class TestErase:
    def test_says_so(self, logged: Installation) -> None:
        """The payload is gone, an entry tells why, and a repetition is none."""
        assert json.loads(logged.ok("audit", "erase", "3", "--reason", "ticket 4711", "--json")) == {
            "erased": 3,
            "said_by": 6,
        }
        assert "entry 6 says so" in logged.ok("audit", "erase", "3", "--reason", "again")
        with ledger_of(logged) as ledger:
            entries = ledger.evidence()
        assert entries[2].payload is None
        assert entries[5].content["reason"] == "ticket 4711"
        assert entries[5].actor.startswith("veil:")


class TestStandsAlone:
    def test_what_an_auditor_runs_imports_no_airflow(self) -> None:
        """Checking a proof costs neither Airflow nor a database library."""
        script = (
            "import sys, airflow_veil.privacy.audit.bundle, airflow_veil.privacy.audit.anchor\n"
            "print(sorted({'airflow', 'sqlalchemy', 'numpy', 'pyarrow'} & set(sys.modules)))"
        )
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

        assert done.stdout.strip() == "[]"
