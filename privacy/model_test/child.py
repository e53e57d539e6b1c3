"""The process that a model is loaded in: `python -I -m …`, a question on standard input, an answer on standard output.

It sets its limits before it looks at the artefact, has no environment to read secrets from, and cannot write files.
What goes wrong is told by a word and the name of a type: a text may quote data.
"""

from __future__ import annotations

import ctypes
import io
import json
import os
import resource
import signal
import sys
import tempfile
import warnings
from importlib.metadata import version
from typing import Any

import numpy as np

from airflow_veil.privacy.model_test.question import Answer, Outputs, Question, Told

_DIE_WITH_PARENT = 1
"""`PR_SET_PDEATHSIG` of Linux."""


class _UntrustedError(Exception):
    """A skops file has types that nobody trusts."""


def main() -> None:
    """Answer one question."""
    channel = os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for said in (1, 2):
        os.dup2(nowhere, said)
    warnings.simplefilter("ignore")
    _die_with_parent()
    try:
        told = b"+" + _answer(Question.from_bytes(sys.stdin.buffer.read())).to_bytes()
    except _FailedError as failed:
        told = b"-" + json.dumps(failed.args).encode()
    channel.write(told)
    channel.flush()
    # Nothing of the model has a say in how this ends.
    os._exit(0)


class _FailedError(Exception):
    """What went wrong: a word, and the name of a type."""


def _answer(question: Question) -> Answer:
    np.random.seed(question.seed % (1 << 32))  # noqa: NPY002 - what models of scikit-learn draw from
    from airflow_veil.privacy.model_test.estimator import Estimator
    from airflow_veil.privacy.model_test.stored import stored

    model = _step("load", _load, question)
    asked = _step("ask", Estimator, model, question)
    signal_, loss = _step("ask", asked.said)
    refits = _step("ask", lambda: asked.refits)
    kept = _step("ask", stored, model, asked.frame, asked.rows)
    return Answer(
        told=Told(
            type=f"{type(model).__module__}.{type(model).__qualname__}",
            outputs=Outputs(asked.outputs),
            refitted=refits,
            libraries={
                name: version(name) for name in ("scikit-learn", "numpy", question.format) if _is(name)
            },
        ),
        signal=signal_,
        loss=loss,
        error=_step("ask", asked.error),
        shadows=_step("fit", asked.shadows) if refits else None,
        stored=kept,
        tried={name: _step("ask", asked.tried, name) for name in question.sensitive},
    )


def _step(word: str, work: Any, *arguments: Any) -> Any:
    try:
        return work(*arguments)
    except _UntrustedError as error:
        raise _FailedError("untrusted", error.args[0]) from None
    except BaseException as error:  # noqa: BLE001 - whatever it is, its text must not get out
        raise _FailedError(word, type(error).__name__) from None


def _load(question: Question) -> Any:
    _limit(question)
    content = io.BytesIO(question.artefact)
    if question.format == "skops":
        from skops import io as safe

        # A set of names, from the file: those that are asked for are checked against it once more by `loads`.
        unknown = set(safe.get_untrusted_types(data=question.artefact)) - set(question.trusted_types)
        if unknown:
            raise _UntrustedError(", ".join(sorted(each for each in unknown if each.isprintable()))[:500])
        return safe.loads(question.artefact, trusted=list(question.trusted_types))
    if question.format == "joblib":
        import joblib

        return joblib.load(content)
    import pickle

    # The policy vouches for exactly these bytes, by their digest.
    return pickle.load(content)  # noqa: S301


def _limit(question: Question) -> None:
    """No more memory and time than the policy gives, and no file."""
    memory = question.memory_mb << 20
    limits = {
        resource.RLIMIT_AS: memory,
        resource.RLIMIT_CPU: question.seconds,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
    }
    # Libraries ask for a place for temporary files as they are imported, and it is tried by writing one.
    tempfile.tempdir = "/nonexistent"
    for which, wanted in limits.items():
        _, hard = resource.getrlimit(which)
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(which, (most, most))


def _die_with_parent() -> None:
    """End when the task does, however that is killed."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)


def _is(name: str) -> bool:
    return name not in ("pickle",)


if __name__ == "__main__":
    main()
