"""The process that a model is loaded in: what it refuses, what it cannot do, and what it does not tell."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier
from skops import io as skops

from airflow_veil.privacy.errors import ModelError
from airflow_veil.privacy.model_test.ask import ask
from airflow_veil.privacy.model_test.question import Answer, Outputs, Question

ROWS = pa.table({"x": np.arange(40, dtype=float), "y": np.arange(40) % 2})
CANARY = "canary4711"


class Harmful:
    """Unpickled, it calls a function."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self._call = (function, arguments)

    def __reduce__(self) -> Any:
        return self._call


def question(artefact: bytes, kind: str = "pickle", **changed: Any) -> Question:
    return replace(
        Question(
            artefact=artefact,
            format=kind,
            rows=ROWS,
            features=("x",),
            target="y",
            inside=np.tile(np.arange(40) % 4 < 2, (4, 1)),
        ),
        **changed,
    )


def fitted(model: Any) -> Any:
    return model.fit(ROWS.select(["x"]).to_pandas(), ROWS.column("y").to_numpy())


class TestAsk:
    def test_skops(self) -> None:
        """A model of types that skops trusts is asked, and fitted anew on the rows that are named."""
        model = fitted(LogisticRegression())
        answer = ask(question(skops.dumps(model), "skops"), where="model m")
        told = model.predict_proba(ROWS.select(["x"]).to_pandas())[np.arange(40), np.arange(40) % 2]

        assert answer.told.outputs is Outputs.PROBABILITIES
        assert answer.told.type == "sklearn.linear_model._logistic.LogisticRegression"
        assert np.allclose(answer.loss, -np.log(told))
        assert np.allclose(answer.signal, np.log(told / (1 - told)))
        assert answer.shadows is not None
        assert answer.shadows.shape == (4, 40)
        assert set(answer.told.libraries) == {"scikit-learn", "numpy", "skops"}

    def test_types_that_nobody_vouches_for(self) -> None:
        """Trees have one that skops does not trust: it is named, and not loaded unless the policy has it."""
        artefact = skops.dumps(fitted(DecisionTreeClassifier()))

        with pytest.raises(ModelError, match=r"nobody vouches for: sklearn\.tree\._tree\.Tree"):
            ask(question(artefact, "skops"), where="model m")
        vouched = question(artefact, "skops", trusted_types=("sklearn.tree._tree.Tree",))
        assert ask(vouched, where="model m").told.refitted

    def test_a_pickle_is_no_skops_file(self, tmp_path: Path) -> None:
        """What calls itself skops is never unpickled."""
        artefact = pickle.dumps(Harmful(os.mkdir, str(tmp_path / "made")))

        with pytest.raises(ModelError, match="cannot be loaded"):
            ask(question(artefact, "skops"), where="model m")
        assert not (tmp_path / "made").exists()

    def test_files_and_secrets_are_out_of_reach(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A pickle, which is code, finds no variable of this process, and what it writes stays empty."""
        monkeypatch.setenv("AIRFLOW_CONN_SECRET", CANARY)
        writes = (
            f"import os; os.write(os.open({str(tmp_path / 'told')!r}, os.O_CREAT | os.O_WRONLY), b'told')"
        )
        with pytest.raises(ModelError, match=r"cannot be loaded \(OSError\)"):
            ask(question(pickle.dumps(Harmful(exec, writes))), where="model m")
        reads = "import os; raise (KeyError if 'AIRFLOW_CONN_SECRET' in os.environ else LookupError)"
        with pytest.raises(ModelError, match=r"cannot be loaded \(LookupError\)"):
            ask(question(pickle.dumps(Harmful(exec, reads))), where="model m")

        assert (tmp_path / "told").read_bytes() == b""

    def test_errors_withhold_their_text(self) -> None:
        """Libraries quote values: of an error only its type is told."""
        code = f"raise ValueError('{CANARY}')"
        with pytest.raises(ModelError, match=r"\(ValueError\)") as caught:
            ask(question(pickle.dumps(Harmful(exec, code))), where="model m")

        assert CANARY not in str(caught.value)

    def test_limits(self) -> None:
        """Too much memory and too much time end it."""
        hungry = question(pickle.dumps(Harmful(bytearray, 3 << 30)), memory_mb=2_048)
        with pytest.raises(ModelError, match="limits of time and memory"):
            ask(hungry, where="model m")
        endless = question(pickle.dumps(Harmful(exec, "while True: pass")), seconds=3)
        with pytest.raises(ModelError, match="limits of time and memory"):
            ask(endless, where="model m")

    def test_a_crash_is_told(self) -> None:
        """A file that crashes its reader takes no worker with it."""
        with pytest.raises(ModelError, match="ended by signal 11"):
            ask(question(pickle.dumps(Harmful(os.kill, 0, 11))), where="model m")

    def test_it_ends_with_its_parent(self, tmp_path: Path) -> None:
        """Killed as a whole, a worker leaves no process behind that holds its rows."""
        script = tmp_path / "parent.py"
        code = "import time; time.sleep(600)"
        artefact = pickle.dumps(Harmful(exec, code))
        script.write_text(
            "import numpy as np, pyarrow as pa\n"
            "from airflow_veil.privacy.model_test.ask import ask\n"
            "from airflow_veil.privacy.model_test.question import Question\n"
            "rows = pa.table({'x': [1.0, 2.0], 'y': [0, 1]})\n"
            f"ask(Question(artefact={artefact!r}, format='pickle', rows=rows, features=('x',), target='y',"
            " inside=np.ones((1, 2), bool)), where='m')\n"
        )
        parent = subprocess.Popen([sys.executable, str(script)])
        child = _until(lambda: _children(parent.pid))
        _until(lambda: _is_asleep(child))
        parent.kill()
        parent.wait()

        assert _until(lambda: not Path(f"/proc/{child}").exists())

    def test_answers_of_another_question(self) -> None:
        """Arrays of other shapes, or numbers that are none, are no answer."""
        asked = question(skops.dumps(fitted(LogisticRegression())), "skops")
        answer = ask(asked, where="model m")

        for wrong in (
            replace(answer, signal=answer.signal[1:]),
            replace(answer, loss=np.full(40, np.nan)),
            replace(answer, shadows=None),
            replace(answer, tried={"x": np.zeros((1, 2))}),
        ):
            with pytest.raises(ValueError, match="none to this question"):
                Answer.from_bytes(wrong.to_bytes(), asked)


def _until(found: Any) -> Any:
    """What is found, once it is; None after a minute."""
    for _ in range(600):
        if told := found():
            return told
        time.sleep(0.1)
    return None


def _children(pid: int) -> int | None:
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(found[0]) if found else None


def _is_asleep(pid: int) -> bool:
    """Whether it has its limits, which it sets before it loads anything."""
    limits = Path(f"/proc/{pid}/limits").read_text()
    return any(line.startswith("Max file size") and " 0 " in line for line in limits.splitlines())
