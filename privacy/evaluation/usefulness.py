"""What a model is worth that learned from synthetic rows, tried on real ones: TSTR beside TRTR.

The same gradient boosting learns once from the synthetic rows and once from as many training rows; both tell the
target of the hold-out, which neither has seen (Esteban, Hyland and Rätsch, "Real-valued (medical) time series
generation with recurrent conditional GANs", 2017). A target of numbers with more than 20 values is told as a number,
any other as a class. Rows whose target is null are left out.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from airflow_veil.privacy.errors import SchemaError
from airflow_veil.privacy.evaluation.features import features, one_thread
from airflow_veil.privacy.evaluation.tables import FEWEST_ROWS, Encoded, Rows
from airflow_veil.privacy.lazy import np

MOST_CLASSES = 20
ROUNDS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Usefulness:
    """How well models tell a target of the hold-out.

    Attributes:
        target: The column.
        kind: `classes` or `number`.
        measure: `accuracy`, or `r2`, the share of the variance that is told.
        tested: How many rows of the hold-out.
        synthetic: The model that learned from synthetic rows.
        real: The one that learned from training rows.
        constant: Telling everybody the most frequent class of the training rows, or their mean.
        balanced_synthetic: The mean over classes of the share that is right; None for numbers.
        balanced_real: The same of the other model.
    """

    target: str
    kind: str
    measure: str
    tested: int
    synthetic: float
    real: float
    constant: float
    balanced_synthetic: float | None
    balanced_real: float | None

    @property
    def loss(self) -> float:
        """What learning from synthetic rows costs, in the measure's unit; negative where it is better."""
        return self.real - self.synthetic

    @property
    def share(self) -> float | None:
        """Of what learning from real rows reaches beyond a constant, the share that learning from synthetic rows does.

        1 where both are as good, 0 where synthetic rows teach nothing, negative where they mislead; None where real
        rows teach nothing that could be had a share of. A ratio of the scores themselves would not tell: where three in
        four people have one class, whoever knows nothing reaches nearly as much as the best model.
        """
        reached = self.real - self.constant
        return (self.synthetic - self.constant) / reached if reached > 0 else None

    def as_dict(self) -> dict[str, Any]:
        """The figures for a machine to read."""
        return {**asdict(self), "loss": self.loss, "share": self.share}


@dataclass(frozen=True, slots=True, eq=False)
class Told:
    """What two models tell of the hold-out.

    Attributes:
        rows: Which rows of the hold-out were told.
        truth: The target: a code or a number a row.
        synthetic: What the model of synthetic rows tells.
        real: What the model of training rows tells.
        learned: The training rows' targets.
        classes: Whether targets are codes.
    """

    rows: np.ndarray[Any, Any]
    truth: np.ndarray[Any, Any]
    synthetic: np.ndarray[Any, Any]
    real: np.ndarray[Any, Any]
    learned: np.ndarray[Any, Any]
    classes: bool


def told(tables: Encoded, target: str, *, seed: int, rng: np.random.Generator) -> Told:
    """Let two models learn, and tell the target of the hold-out.

    Raises:
        SchemaError: There is no other column, or too few rows have a target.
    """
    columns = [name for name in tables.train.codes if name != target]
    if not columns:
        raise SchemaError("there is nothing to tell the target by", where=f"evaluation, column {target}")
    classes = target not in tables.train.scaled or _few_values(tables, target)
    goals = [_goal(part, target, classes=classes) for part in tables]
    size = min(len(goals[0][0]), len(goals[2][0]))
    if min(size, len(goals[1][0])) < FEWEST_ROWS:
        raise SchemaError(
            "too few rows have a target",
            where=f"evaluation, column {target}",
            expected=f"{FEWEST_ROWS} or more of each table",
        )
    learn = {place: rng.permutation(len(goals[place][0]))[:size] for place in (0, 2)}
    sides = [
        part.take(rows if place == 1 else rows[learn[place]])
        for place, (part, (rows, _)) in enumerate(zip(tables, goals, strict=True))
    ]
    made = features(sides, columns)
    rows, truth = goals[1]
    real, synthetic = (
        _learned(made.of[place], goals[place][1][learn[place]], made, classes=classes, seed=seed)
        for place in (0, 2)
    )
    return Told(
        rows=rows,
        truth=truth,
        synthetic=synthetic,
        real=real,
        learned=goals[0][1],
        classes=classes,
    )


def usefulness(found: Told, target: str) -> Usefulness:
    """How well two models told a target.

    Args:
        found: What they told.
        target: The column.
    """
    if found.classes:
        constant: Any = np.bincount(found.learned).argmax()
        score = _accuracy
    else:
        constant, score = found.learned.mean(), _explained
    return Usefulness(
        target=target,
        kind="classes" if found.classes else "number",
        measure="accuracy" if found.classes else "r2",
        tested=len(found.truth),
        synthetic=score(found.truth, found.synthetic),
        real=score(found.truth, found.real),
        constant=score(found.truth, np.full_like(found.truth, constant)),
        balanced_synthetic=_balanced(found.truth, found.synthetic) if found.classes else None,
        balanced_real=_balanced(found.truth, found.real) if found.classes else None,
    )


def _learned(
    matrix: np.ndarray[Any, Any], goal: np.ndarray[Any, Any], made: Any, *, classes: bool, seed: int
) -> np.ndarray[Any, Any]:
    """What a model tells of the hold-out that learned from some rows; always the same where they have one target."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    holdout = made.of[1]
    if goal.min() == goal.max():
        return np.full(len(holdout), goal[0])
    kind = HistGradientBoostingClassifier if classes else HistGradientBoostingRegressor
    model = kind(
        max_iter=ROUNDS, early_stopping=False, categorical_features=made.categorical, random_state=seed
    )
    with one_thread():
        guess: np.ndarray[Any, Any] = model.fit(matrix, goal).predict(holdout)
    return guess


def _goal(part: Rows, target: str, *, classes: bool) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """The rows that have a target, and it."""
    codes = part.codes[target]
    rows = np.arange(part.length) if codes.null is None else np.flatnonzero(codes.codes != codes.null)
    values = codes.codes if classes else part.scaled[target].astype(np.float64)
    return rows, values[rows]


def _few_values(tables: Encoded, target: str) -> bool:
    return len(np.unique(tables.train.codes[target].codes)) <= MOST_CLASSES


def _accuracy(truth: np.ndarray[Any, Any], guess: np.ndarray[Any, Any]) -> float:
    return float((truth == guess).mean())


def _balanced(truth: np.ndarray[Any, Any], guess: np.ndarray[Any, Any]) -> float:
    sizes = np.bincount(truth)
    right = np.bincount(truth, weights=truth == guess)
    return float((right[sizes > 0] / sizes[sizes > 0]).mean())


def _explained(truth: np.ndarray[Any, Any], guess: np.ndarray[Any, Any]) -> float:
    spread = float(((truth - truth.mean()) ** 2).sum())
    return 1 - float(((truth - guess) ** 2).sum()) / spread if spread else 0.0
