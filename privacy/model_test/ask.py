"""Asks a model: loads it in a process of its own, gives it a question, and reads what it answers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from typing import Any

from airflow_veil.privacy.errors import ModelError
from airflow_veil.privacy.model_test.question import Answer, Question

_ENVIRONMENT = {
    "HOME": "/nonexistent",
    "LANG": "C.UTF-8",
    "PATH": "/usr/bin:/bin",
    **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
}
"""All that the process is told of its surroundings: no connection, no key, no path of the installation."""
_GRACE = 60
"""Seconds beyond the limit of computing time that are waited for."""
_FAILURES = {
    "untrusted": (
        "The artefact has types that nobody vouches for: {}",
        "types that skops trusts, or that stand under `trusted_types`",
        "read what they are, and add them to `trusted_types` if you trust them",
    ),
    "load": (
        "The artefact cannot be loaded ({})",
        "a {} file, and the libraries it was written with",
        "look whether `format` is right, and `pip install airflow-veil[models]` is there",
    ),
    "ask": (
        "The model cannot be asked about the rows ({})",
        "the columns that it was trained on, of the same types",
        "look whether `features` and `target` are those of the model",
    ),
    "fit": (
        "The model cannot be fitted anew ({})",
        "rows that it can be fitted on, half of them at a time",
        "look whether `features` and `target` are those that it was trained on",
    ),
}
"""What to say of each word of the process: what, expected, fix."""


def ask(question: Question, *, where: str) -> Answer:
    """Ask a model.

    Args:
        question: What is asked.
        where: The model, for errors.

    Raises:
        ModelError: It cannot be loaded, asked or fitted anew within its limits, or answers something else. Nothing of
            its file was run in this process.
    """
    command = [sys.executable, "-I", "-m", "airflow_veil.privacy.model_test.child"]
    child = subprocess.Popen(  # noqa: S603 - our own module
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=_ENVIRONMENT,
        cwd="/",
        start_new_session=True,
    )
    try:
        told, _ = child.communicate(question.to_bytes(), timeout=question.seconds + _GRACE)
    except subprocess.TimeoutExpired:
        raise _out_of(question, where) from None
    finally:
        # The whole session, whatever the model has begun.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
    if told[:1] == b"+":
        try:
            return Answer.from_bytes(told[1:], question)
        except (ValueError, KeyError, TypeError, OSError, EOFError):
            raise ModelError(
                "The model's answers are not finite numbers, one a row",
                where=where,
                expected="the columns that it was trained on, without nulls that it cannot take",
                fix="look whether `features` and `target` are those of the model",
            ) from None
    raise _failed(told, child.returncode, question, where)


def _failed(told: bytes, code: int, question: Question, where: str) -> ModelError:
    """What the process said, or how it ended without a word."""
    if told[:1] != b"-":
        if code in (-signal.SIGXCPU, -signal.SIGKILL):
            return _out_of(question, where)
        ended = f"was ended by signal {-code}" if code < 0 else f"ended with {code}"
        return ModelError(
            f"The process that the model was loaded in {ended}",
            where=where,
            fix="take a model whose file is not damaged; a file that crashes its reader is not to be shared",
        )
    word, kind = _words(told)
    if kind == "MemoryError":
        return _out_of(question, where)
    what, expected, fix = _FAILURES.get(word, _FAILURES["ask"])
    return ModelError(what.format(kind), where=where, expected=expected.format(question.format), fix=fix)


def _words(told: bytes) -> tuple[str, str]:
    """The word and the type's name, as far as they are ones: the process may be anybody's by now."""
    try:
        found: Any = json.loads(told[1:])
        word, kind = (str(each)[:500] for each in found)
    except (ValueError, TypeError):
        return "load", "unknown"
    return word, "".join(each for each in kind if each.isalnum() or each in "._, ") or "unknown"


def _out_of(question: Question, where: str) -> ModelError:
    return ModelError(
        "The model does not keep to its limits of time and memory",
        where=where,
        expected=f"at most {question.seconds} s and {question.memory_mb} MiB",
        fix="raise them under `process`, or lower `shadows`",
    )
