"""`veil keys`."""

from __future__ import annotations

import json
import stat

import pytest
from tests.unit.cli.conftest import Installation


class TestInit:
    def test_makes_a_ring_for_its_owner_alone(self, bare: Installation) -> None:
        """The file is mode 0600 in a folder of mode 0700, and no secret is shown."""
        out = bare.ok("keys", "init")
        file = bare.root / "home" / "keys.json"
        secret = json.loads(file.read_text())["versions"][0]["secret"]

        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
        assert secret not in out

    def test_never_replaces_a_ring(self, retail: Installation) -> None:
        """A ring that is there stays; the exit code is that of keys."""
        before = (retail.root / "home" / "keys.json").read_bytes()
        result = retail.veil("keys", "init")

        assert result.exit_code == 3
        assert (retail.root / "home" / "keys.json").read_bytes() == before

    def test_print_goes_to_a_pipe_and_not_to_disk(self, bare: Installation) -> None:
        """The ring is written once, whole, and nothing else with it."""
        from airflow_veil.privacy.keys.ring import KeyRing

        out = bare.ok("keys", "init", "--print")

        assert KeyRing.from_json(out).current == 1
        assert not (bare.root / "home").exists()


class TestVersions:
    def test_list_shows_versions_without_secrets(self, retail: Installation) -> None:
        """A version has number, state, time and fingerprint."""
        (version,) = json.loads(retail.ok("keys", "list", "--json"))

        assert set(version) == {"version", "state", "created", "destroyed", "fingerprint"}
        assert (version["version"], version["state"]) == (1, "active")

    def test_rotate_then_destroy(self, retail: Installation) -> None:
        """After a rotation the old version is retired and can be destroyed."""
        retail.ok("keys", "rotate")
        versions = json.loads(retail.ok("keys", "destroy", "1", "--yes", "--json"))

        assert [(v["version"], v["state"]) for v in versions] == [(1, "destroyed"), (2, "active")]

    def test_the_active_version_cannot_be_destroyed(self, retail: Installation) -> None:
        """The exit code is that of keys, and the fix says to rotate first."""
        result = retail.veil("keys", "destroy", "1", "--yes")

        assert result.exit_code == 3
        assert "rotate first" in result.stderr

    @pytest.mark.parametrize("answer", ["n\n", "\n", ""], ids=["no", "enter", "end of input"])
    def test_destroy_asks(self, retail: Installation, answer: str) -> None:
        """Without a yes nothing is destroyed."""
        retail.ok("keys", "rotate")
        result = retail.veil("keys", "destroy", "1", stdin=answer)
        versions = json.loads(retail.ok("keys", "list", "--json"))

        assert result.exit_code == 1
        assert [v["state"] for v in versions] == ["retired", "active"]

    def test_a_file_that_others_can_read_is_refused(self, retail: Installation) -> None:
        """The message names the mode and the fix."""
        (retail.root / "home" / "keys.json").chmod(0o640)
        result = retail.veil("keys", "list")

        assert result.exit_code == 3
        assert "0640" in result.stderr
        assert "chmod 600" in result.stderr


class TestNeeded:
    def test_destroying_tells_who_needs_a_version(self, bare: Installation) -> None:
        """A suppression list that could no longer be looked up is named before anything is destroyed."""
        from airflow_veil.privacy.ledger.ledger import Ledger

        bare.ok("keys", "init")
        bare.ok("keys", "rotate")
        entry = ("customers.id", 1, "ab" * 32, "erasure-1")
        with Ledger.open(bare.root / "home" / "ledger.db") as ledger:
            ledger.suppression.add("shop", [entry], batch_id="batch-1", actor="test")

        done = bare.veil("keys", "destroy", "1", "--yes")

        assert done.exit_code == 0
        assert "needed by the suppression lists of shop" in done.stderr
