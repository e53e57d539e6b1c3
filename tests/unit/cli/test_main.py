"""`veil` as a process: what a shell, a pipe and a terminal see."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.unit.cli.conftest import Installation
from typer.testing import CliRunner

from airflow_veil.cli.errors import MEANINGS
from airflow_veil.cli.main import app

VEIL = (sys.executable, "-m", "airflow_veil.cli.main")
COMMANDS = (
    "check", "ci", "plan", "diff", "run", "risk", "trial", "anonymize fit", "detokenize", "schema",
    "keys init", "keys list", "keys rotate", "keys destroy",
    "budget list", "budget show", "budget change", "budget transfer", "budget events", "budget reaccount",
    "releases list", "releases rollback", "releases card", "lineage prove", "demo data", "demo run",
    "dp plan", "dp tune", "dp run", "dp show",
    "retention plan", "retention enforce", "holds place", "holds lift", "holds list",
    "erase request", "erase list", "erase show", "erase extend", "erase pause", "erase resume", "erase cancel",
)  # fmt: skip
ESCAPE = "\x1b"


def environment(installation: Installation, **more: str) -> dict[str, str]:
    """The process's environment, without what this terminal says about colours."""
    kept = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "TERM")}
    return {**kept, **installation.env, "TERM": "xterm-256color", **more}


def piped(installation: Installation, *args: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*VEIL, *map(str, args)], env=environment(installation), capture_output=True, text=True, check=False
    )


def on_terminal(installation: Installation, *args: str | Path, **more: str) -> str:
    """What a terminal shows of a command."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*VEIL, *map(str, args)], env=environment(installation, **more), stdout=theirs, stderr=theirs
    ):
        os.close(theirs)
        shown = b""
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:  # the terminal's other end is closed
                break
            if not part:
                break
            shown += part
    os.close(ours)
    return shown.decode()


class TestHelp:
    @pytest.mark.parametrize("command", COMMANDS)
    def test_teaches_by_example(self, command: str) -> None:
        """Each command's help says what it does and shows it."""
        result = CliRunner().invoke(app, [*command.split(), "--help"])

        assert result.exit_code == 0
        assert "Examples" in result.stdout
        assert f"veil {command}" in result.stdout

    def test_lists_commands_and_exit_codes(self) -> None:
        """The root help names every command and every exit code."""
        help_text = CliRunner().invoke(app, ["--help"]).stdout

        assert all(command.split()[0] in help_text for command in COMMANDS)
        assert all(re.search(rf"{code}\s+{meaning[:20]}", help_text) for code, meaning in MEANINGS.items())

    def test_commands_are_those_of_the_page(self) -> None:
        """docs/cli.md has a line for each command."""
        page = (Path(__file__).resolve().parents[3] / "docs" / "cli.md").read_text()

        assert all(re.search(rf"`veil {command.split()[0]}\b", page) for command in COMMANDS)

    def test_usage_errors_have_their_code(self) -> None:
        """An unknown command or a missing argument ends with 2."""
        assert [
            CliRunner().invoke(app, args).exit_code for args in (["chekc"], ["plan"], ["run", "x.yaml"])
        ] == [2] * 3


class TestPipe:
    def test_no_escape_codes(self, retail: Installation) -> None:
        """In a pipe there are neither colours nor bars, and a row of a table is one line."""
        found = [
            piped(retail, "plan", retail.policy),
            piped(retail, "run", retail.policy, "-d", "orders"),
            piped(retail, "check", retail.root / "nowhere.yaml"),
        ]
        columns = [
            line for line in found[0].stdout.splitlines() if line.startswith(("customer_id ", "email "))
        ]

        assert [done.returncode for done in found] == [0, 0, 1]
        assert not [done for done in found if ESCAPE in done.stdout + done.stderr]
        assert len(columns) == 3
        assert found[1].stderr == ""

    def test_json_is_one_document(self, retail: Installation) -> None:
        """Standard output holds the JSON and nothing else."""
        assert json.loads(piped(retail, "plan", retail.policy, "-d", "orders", "--json").stdout)

    def test_errors_go_to_standard_error(self, bare: Installation) -> None:
        """An error is one message with a fix, and never a traceback."""
        done = piped(bare, "diff", bare.policy, "-d", "orders")

        assert (done.returncode, done.stdout) == (3, "")
        assert done.stderr.startswith("error: ")
        assert "Fix: " in done.stderr
        assert "Traceback" not in done.stderr

    def test_a_reader_may_go_away(self, retail: Installation) -> None:
        """`veil … | head -1` shows no error."""
        command = f"{' '.join(VEIL)} plan {retail.policy} | head -1"
        done = subprocess.run(
            ["bash", "-c", command], env=environment(retail), capture_output=True, text=True, check=False
        )

        assert done.stdout.startswith("retail.customers")
        assert done.stderr == ""


class TestTerminal:
    def test_colours(self, retail: Installation) -> None:
        """On a terminal there are colours."""
        assert ESCAPE + "[1;32m" in on_terminal(retail, "check", retail.policy)

    def test_no_color_is_respected(self, retail: Installation) -> None:
        """With NO_COLOR set there is no colour (https://no-color.org)."""
        shown = on_terminal(retail, "check", retail.policy, NO_COLOR="1")

        assert "1 policy checked" in shown
        assert not re.findall(r"\x1b\[[0-9;]*3[0-9]", shown)

    def test_the_key_ring_is_not_printed(self, bare: Installation) -> None:
        """A screen may be recorded: secrets go into a pipe only."""
        shown = on_terminal(bare, "keys", "init", "--print")

        assert "refused on a terminal" in shown
        assert '"secret"' not in shown


class TestStart:
    @pytest.mark.parametrize(
        "args",
        [
            pytest.param(["--help"], id="help"),
            pytest.param(["check", "{policy}"], id="check"),
            pytest.param(["plan", "{policy}", "-d", "orders"], id="plan"),
        ],
    )
    def test_nothing_heavy_is_imported(self, retail: Installation, args: list[str]) -> None:
        """Looking at a policy imports no Airflow, pandas, Faker, Great Expectations or database."""
        script = (
            "import sys\n"
            "from airflow_veil.cli.main import app\n"
            "try:\n    app(sys.argv[1:])\nexcept SystemExit as end:\n    code = end.code\n"
            "heavy = {'airflow', 'pandas', 'faker', 'great_expectations', 'sqlalchemy', 'alembic', 'openlineage'}\n"
            "print('LOADED', code, sorted(heavy & set(sys.modules)))\n"
        )
        command = [sys.executable, "-c", script, *(arg.format(policy=retail.policy) for arg in args)]
        done = subprocess.run(command, env=environment(retail), capture_output=True, text=True, check=False)

        assert done.stdout.splitlines()[-1] == "LOADED 0 []", done.stderr
