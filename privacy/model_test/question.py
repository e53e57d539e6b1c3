"""What a model is asked and what it answers, as bytes that hold arrays and names and never an object.

Both ways go arrays in NumPy's format, read with `allow_pickle=False`: nothing that comes from the process in which the
model is loaded can run in this one.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, TypeAlias

from airflow_veil.privacy.lazy import np, pa

Array: TypeAlias = "np.ndarray[Any, Any]"

CANDIDATES = 64
"""Different values of a sensitive feature that are tried at most."""


class Outputs(StrEnum):
    """What a model gives away when it is asked, the most telling first."""

    PROBABILITIES = "predict_proba"
    MARGINS = "decision_function"
    LABELS = "predict"
    VALUES = "value"
    """Numbers: it is a regression."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a model is asked.

    Attributes:
        artefact: The bytes of its file.
        format: `skops`, `joblib` or `pickle`.
        rows: Features and target of the people in it and of others.
        features: The columns that it takes.
        target: The column that it tells.
        inside: Which rows each shadow model is fitted on: bool, a row a model, a column a row.
        sensitive: Features whose values are tried.
        asked: Rows of which they are tried, by their numbers.
        trusted_types: Types of a skops file that are loaded beside its own.
        memory_mb: Address space that the process may use, in MiB.
        seconds: How long it may run.
        seed: For whatever a fit draws at random.
    """

    artefact: bytes = field(repr=False)
    format: str
    rows: pa.Table = field(repr=False)
    features: tuple[str, ...]
    target: str
    inside: Array = field(repr=False)
    sensitive: tuple[str, ...] = ()
    asked: Array | None = field(default=None, repr=False)
    trusted_types: tuple[str, ...] = ()
    memory_mb: int = 4096
    seconds: int = 3600
    seed: int = 0

    def to_bytes(self) -> bytes:
        """The question as bytes."""
        sink = io.BytesIO()
        with pa.ipc.new_stream(sink, self.rows.schema) as writer:
            writer.write_table(self.rows)
        names = ("format", "features", "target", "sensitive", "trusted_types", "memory_mb", "seconds", "seed")
        asked = np.zeros(0, np.int64) if self.asked is None else self.asked
        return _pack(
            {name: getattr(self, name) for name in names},
            {
                "artefact": np.frombuffer(self.artefact, np.uint8),
                "rows": np.frombuffer(sink.getvalue(), np.uint8),
                "inside": self.inside.astype(bool),
                "asked": asked.astype(np.int64),
            },
        )

    @classmethod
    def from_bytes(cls, content: bytes) -> Question:
        """Read it back."""
        words, arrays = _unpack(content)
        rows = pa.ipc.open_stream(arrays["rows"].tobytes()).read_all()
        told: dict[str, Any] = {
            name: tuple(each) if isinstance(each, list) else each for name, each in words.items()
        }
        return cls(
            artefact=arrays["artefact"].tobytes(),
            rows=rows,
            inside=arrays["inside"],
            asked=arrays["asked"],
            **told,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a model is, as it was found when it was loaded.

    Attributes:
        type: Its class.
        outputs: What it gives away.
        refitted: Whether it can be fitted anew; if not, nobody knows what it would be without somebody.
        libraries: The versions that it was loaded with.
    """

    type: str
    outputs: Outputs
    refitted: bool
    libraries: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a model answered.

    Attributes:
        told: What it is.
        signal: How sure it is of each row's own target, on a scale without ends: the logit of its probability, the
            margin, ±1 for a label, the error of a number.
        loss: Its loss of each row: cross-entropy, logistic of the margin, 0 or 1, the squared error.
        error: How wrong it is: 0 or 1, or the absolute error.
        shadows: Signals of shadow models, a row a model; None where it cannot be fitted anew.
        stored: Which rows lie in the artefact as they are.
        tried: For each sensitive feature the loss that each value would have: a row asked a row, a value a column.
    """

    told: Told
    signal: Array
    loss: Array
    error: Array
    shadows: Array | None
    stored: Array
    tried: dict[str, Array]

    def to_bytes(self) -> bytes:
        """The answer as bytes."""
        arrays = {"signal": self.signal, "loss": self.loss, "error": self.error, "stored": self.stored}
        arrays |= {f"tried/{number}": each for number, each in enumerate(self.tried.values())}
        if self.shadows is not None:
            arrays["shadows"] = self.shadows
        return _pack({"told": asdict(self.told), "tried": list(self.tried)}, arrays)

    @classmethod
    def from_bytes(cls, content: bytes, question: Question) -> Answer:
        """Read it back, and look that it answers the question.

        Raises:
            ValueError: It does not: shapes, types or names are others, or a number is not finite.
        """
        words, arrays = _unpack(content)
        rows, shadows = question.rows.num_rows, len(question.inside)
        tried = {name: arrays[f"tried/{number}"] for number, name in enumerate(words["tried"])}
        told = Told(**{**words["told"], "outputs": Outputs(words["told"]["outputs"])})
        found = cls(
            told=told,
            **{name: arrays[name] for name in ("signal", "loss", "error", "stored")},
            shadows=arrays.get("shadows"),
            tried=tried,
        )
        asked = 0 if question.asked is None else len(question.asked)
        fits = [found.signal.shape == found.loss.shape == found.error.shape == found.stored.shape == (rows,)]
        fits += [found.stored.dtype == bool, tuple(tried) == question.sensitive]
        fits += [told.refitted == (found.shadows is not None and found.shadows.shape == (shadows, rows))]
        fits += [each.ndim == 2 and each.shape[0] == asked and each.shape[1] > 0 for each in tried.values()]
        numbers = [found.signal, found.loss, found.error, *tried.values()]
        numbers += [] if found.shadows is None else [found.shadows]
        fits += [each.dtype == np.float64 and bool(np.isfinite(each).all()) for each in numbers]
        if not all(fits):
            raise ValueError("the answer is none to this question")
        return found


def candidates(rows: pa.Table, name: str) -> tuple[list[Any], Array]:
    """The values that a feature has, in order, and which one each row has; -1 where it has none.

    Both processes ask this of the same rows, so that no value goes between them.
    """
    import pandas as pd

    codes, values = pd.factorize(rows.column(name).to_pandas(), sort=True)
    return list(values), np.asarray(codes, np.int64)


def _pack(words: Mapping[str, Any], arrays: Mapping[str, Array]) -> bytes:
    sink = io.BytesIO()
    told: dict[str, Any] = {"words": np.frombuffer(json.dumps(words).encode(), np.uint8), **arrays}
    np.savez(sink, **told)
    return sink.getvalue()


def _unpack(content: bytes) -> tuple[dict[str, Any], dict[str, Array]]:
    with np.load(io.BytesIO(content), allow_pickle=False) as found:
        arrays = {name: found[name] for name in found.files}
    words: dict[str, Any] = json.loads(arrays.pop("words").tobytes())
    return words, arrays
