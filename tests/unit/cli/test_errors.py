"""How the command line fails."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from airflow_veil.cli.errors import EXIT_CODES, MEANINGS, VeilGroup, exit_code
from airflow_veil.privacy import errors

CANARY = "canary-7d2e91"
DOCS = Path(__file__).resolve().parents[3] / "docs" / "cli.md"


def app_that_raises(error: BaseException) -> typer.Typer:
    app = typer.Typer(cls=VeilGroup)

    @app.command()
    def fail() -> None:
        secret = CANARY  # noqa: F841 - a local variable that a careless traceback would show
        raise error

    @app.command()
    def other() -> None: ...

    return app


class TestExitCodes:
    @pytest.mark.parametrize(
        ("error", "code"),
        [
            pytest.param(errors.PolicyError(()), 1, id="policy"),
            pytest.param(errors.SchemaError("x"), 1, id="schema"),
            pytest.param(errors.TransformError("x"), 1, id="transform"),
            pytest.param(errors.ExpectationsFailedError("x"), 1, id="expectations"),
            pytest.param(errors.SyntheticError("x"), 1, id="synthetic"),
            pytest.param(errors.KeyRingError("x"), 3, id="keys"),
            pytest.param(errors.TamperedError("x"), 3, id="tampered"),
            pytest.param(errors.StorageError("x"), 4, id="storage"),
            pytest.param(errors.ReleaseError("x"), 5, id="release"),
            pytest.param(errors.LedgerError("x"), 5, id="ledger"),
            pytest.param(errors.BudgetError("x"), 6, id="budget"),
            pytest.param(errors.BudgetExhaustedError("x"), 6, id="budget exhausted"),
            pytest.param(errors.AnswerBusyError("x"), 5, id="answer busy"),
            pytest.param(errors.RetentionError("x"), 8, id="retention"),
            pytest.param(errors.ApprovalNeededError("x"), 8, id="approval"),
            pytest.param(errors.AuditError("x"), 7, id="audit"),
            pytest.param(errors.InternalError("x"), 70, id="internal"),
            pytest.param(ValueError("x"), 70, id="unexpected"),
            pytest.param(typer.Exit(9), 9, id="exit"),
            pytest.param(typer.BadParameter("x"), 2, id="usage"),
        ],
    )
    def test_tells_the_kind(self, error: BaseException, code: int) -> None:
        """Each kind of error has the exit code that the help promises."""
        assert CliRunner().invoke(app_that_raises(error), ["fail"]).exit_code == code

    def test_every_code_has_a_meaning(self) -> None:
        """The help and the page name every code there is."""
        page = DOCS.read_text()

        assert {0, 2, 70, *EXIT_CODES.values()} == set(MEANINGS)
        assert all(f"| {code} | {meaning}" in page for code, meaning in MEANINGS.items())

    def test_a_reader_that_goes_away_is_no_bug(self) -> None:
        """`veil … | head` ends quietly."""
        result = CliRunner().invoke(app_that_raises(BrokenPipeError(32, "Broken pipe")), ["fail"])

        assert "bug" not in result.stderr


class TestReport:
    def test_ours_are_told_in_full(self) -> None:
        """What, where, expected and fix stand on standard error; nothing on standard output."""
        error = errors.StorageError(
            "no such file", where="retail.yaml", expected="a file", fix="make it [bold]now[/bold]"
        )
        result = CliRunner().invoke(app_that_raises(error), ["fail"])

        assert result.stderr == f"error: {error}\n"
        assert result.stdout == ""

    @pytest.mark.parametrize("debug", ["", "1"])
    def test_locals_are_never_shown(self, debug: str) -> None:
        """No variable of any frame is shown, not even where a traceback is asked for."""
        error = errors.TransformError("2 of 5 values do not fit")
        result = CliRunner().invoke(app_that_raises(error), ["fail"], env={"VEIL_DEBUG": debug})

        assert CANARY not in result.output
        assert ("Traceback" in result.output) is (debug == "1")

    def test_foreign_texts_are_withheld(self) -> None:
        """An unexpected error's text may quote a value; only its kind is shown."""
        result = CliRunner().invoke(app_that_raises(ValueError(f"cannot parse {CANARY}")), ["fail"])

        assert "ValueError" in result.stderr
        assert CANARY not in result.output
        assert exit_code(ValueError()) == 70
