"""`veil lineage prove`."""

from __future__ import annotations

import json

from tests.unit.cli.conftest import Installation


class TestProve:
    def test_nothing_published_is_not_proved(self, bare: Installation) -> None:
        """An empty file proves nothing; the exit code is 1 and the reason is told."""
        file = bare.root / "events.jsonl"
        file.write_text("")
        result = bare.veil("lineage", "prove", file)

        assert result.exit_code == 1
        assert "Not proved" in result.stdout
        assert "not told: " in result.stdout

    def test_json(self, bare: Installation) -> None:
        """The proof for a machine says whether it holds, and why not."""
        file = bare.root / "events.jsonl"
        file.write_text("")
        result = bare.veil("lineage", "prove", file, "--json")

        assert result.exit_code == 1
        assert json.loads(result.stdout)["holds"] is False

    def test_a_missing_file_is_told(self, bare: Installation) -> None:
        """Without an argument the installation's own file is read; that it is missing is a storage error."""
        result = bare.veil("lineage", "prove")

        assert result.exit_code == 4
        assert "lineage.jsonl" in result.stderr
