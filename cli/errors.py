"""How the command line fails: one message on standard error, and an exit code that tells the kind.

There is never a traceback, for frames hold data; `VEIL_DEBUG=1` shows one without local variables.
"""

from __future__ import annotations

import errno
import os
import traceback
from typing import Any, Final

import typer
from typer.core import TyperGroup

from airflow_veil.cli import console
from airflow_veil.privacy import errors

USAGE: Final = 2
"""The command was not understood; typer's own code."""
INTERNAL: Final = 70
"""A bug of airflow-veil; `EX_SOFTWARE` of sysexits."""

EXIT_CODES: Final[dict[type[errors.VeilError], int]] = {
    errors.PolicyError: 1,
    errors.SchemaError: 1,
    errors.TransformError: 1,
    errors.ExpectationsFailedError: 1,
    errors.PersonalDataFoundError: 1,
    errors.ModelError: 1,
    errors.SyntheticError: 1,
    errors.KeyRingError: 3,
    errors.StorageError: 4,
    errors.ReleaseError: 5,
    errors.LedgerError: 5,
    errors.BudgetError: 6,
    errors.AuditError: 7,
    errors.RetentionError: 8,
    errors.ErasureError: 8,
    errors.InternalError: INTERNAL,
    errors.VeilError: 4,
}
"""Kind of error to exit code; the nearest kind counts. Those that hooks add are about connections."""

MEANINGS: Final[dict[int, str]] = {
    0: "done, nothing is wrong",
    1: "the policy, the data or a model does not check",
    USAGE: "the command was not understood",
    3: "the key ring or a key cannot be used",
    4: "a source, an output or a connection cannot be used",
    5: "the release or the ledger cannot be used",
    6: "the privacy budget does not allow it",
    7: "the evidence is not what was signed, or cannot be checked",
    8: "rows may not be deleted so, somebody has to approve it, or a request is due",
    INTERNAL: "a bug of airflow-veil",
}
"""Exit code to what it says."""


def exit_code(error: BaseException) -> int:
    """The exit code of an error."""
    kinds = (EXIT_CODES[kind] for kind in type(error).__mro__ if kind in EXIT_CODES)
    return next(kinds, INTERNAL)


class VeilGroup(TyperGroup):
    """The root command; whatever a command raises ends here as a message and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except Exception as error:
            if _is_typers(error):
                raise
            report(error)
            raise typer.Exit(exit_code(error)) from None


def _is_typers(error: Exception) -> bool:
    """Usage errors and wishes to exit, which typer handles; and a reader that went away (`veil … | head`)."""
    gone = isinstance(error, OSError) and error.errno == errno.EPIPE
    return gone or isinstance(error, typer.Abort) or hasattr(error, "exit_code")


def report(error: Exception) -> None:
    """Write an error to standard error: ours in full, of any other the kind, as its text may hold a value."""
    if isinstance(error, errors.VeilError):
        console.note(f"error: {error}", style="red")
    else:
        console.note(f"error: unexpected {type(error).__name__}, a bug of airflow-veil", style="red")
        console.note(
            "Its text may hold data and is not shown. Fix: run again with VEIL_DEBUG=1 and report it."
        )
    if os.environ.get("VEIL_DEBUG") == "1":
        typer.echo("".join(traceback.format_exception(error)), err=True)
