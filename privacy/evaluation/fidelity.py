"""How like real rows the synthetic ones are: two reports of SDMetrics, and whether a model tells them apart.

- **quality** (SDMetrics): the mean of `column_shapes`, how alike the columns' distributions are, and of
  `column_pair_trends`, how alike pairs go together; against the hold-out.
- **diagnostic** (SDMetrics): whether values lie within ranges and categories that the training rows have.
- **detection**: how well gradient boosting tells synthetic rows from the hold-out, trained and tried on different
  folds: the area under the curve, 0.5 where they cannot be told apart (Lopez-Paz and Oquab, "Revisiting classifier
  two-sample tests", 2017). Its interval is Hanley's and McNeil's (1982), without the spread of training.

None of them says anything of privacy: a copy has the best figures.
"""

from __future__ import annotations

import warnings
from dataclasses import asdict, dataclass
from math import isfinite, sqrt
from statistics import NormalDist
from typing import Any

from airflow_veil.privacy.errors import SchemaError
from airflow_veil.privacy.evaluation.features import features, one_thread
from airflow_veil.privacy.evaluation.tables import Encoded, Trio, is_number, known, numbers
from airflow_veil.privacy.lazy import np, pa
from airflow_veil.privacy.risk.attacks.attack import CONFIDENCE

FOLDS = 5
MOST_REPORTED = 10_000
"""Rows of a table that SDMetrics gets; it looks at all pairs of columns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """How well a model tells synthetic rows from the hold-out.

    Attributes:
        tried: How many rows, half of them synthetic.
        auc: The area under the curve: 0.5 for not at all, 1 for always.
        low: The lower end of its interval.
        high: The upper end.
    """

    tried: int
    auc: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Fidelity:
    """How like real rows the synthetic ones are, from 0 to 1.

    Attributes:
        quality: SDMetrics' quality; None where it has no figure.
        column_shapes: A part of it; None likewise.
        column_pair_trends: A part of it; None likewise.
        diagnostic: SDMetrics' diagnostic; None likewise.
        data_validity: A part of it; None likewise.
        data_structure: A part of it; None likewise.
        detection: How well a model tells them apart.
    """

    quality: float | None
    column_shapes: float | None
    column_pair_trends: float | None
    diagnostic: float | None
    data_validity: float | None
    data_structure: float | None
    detection: Detection

    def as_dict(self) -> dict[str, Any]:
        """The figures for a machine to read."""
        return asdict(self)


def fidelity(
    trio: Trio, tables: Encoded, *, rng: np.random.Generator, confidence: float = CONFIDENCE
) -> Fidelity:
    """Measure how like real rows the synthetic ones are.

    Args:
        trio: The three tables.
        tables: The same, encoded.
        rng: Draws rows and folds.
        confidence: Of the interval.

    Raises:
        SchemaError: SDMetrics is not installed, or cannot read the tables.
    """
    few = trio.drawn(MOST_REPORTED, int(rng.integers(1 << 31)))
    quality = _report("QualityReport", few.holdout, few.synthetic)
    diagnostic = _report("DiagnosticReport", few.train, few.synthetic)
    return Fidelity(
        quality=quality["score"],
        column_shapes=quality["Column Shapes"],
        column_pair_trends=quality["Column Pair Trends"],
        diagnostic=diagnostic["score"],
        data_validity=diagnostic["Data Validity"],
        data_structure=diagnostic["Data Structure"],
        detection=detection(tables, rng=rng, confidence=confidence),
    )


def detection(tables: Encoded, *, rng: np.random.Generator, confidence: float = CONFIDENCE) -> Detection:
    """How well a model tells synthetic rows from the hold-out."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    size = min(tables.holdout.length, tables.synthetic.length)
    sides = [part.take(rng.permutation(part.length)[:size]) for part in (tables.holdout, tables.synthetic)]
    made = features(sides, list(tables.holdout.codes))
    model = HistGradientBoostingClassifier(
        max_iter=50, early_stopping=False, categorical_features=made.categorical, random_state=0
    )
    label = np.repeat([0, 1], size)
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=int(rng.integers(1 << 31)))
    with one_thread():
        score = cross_val_predict(model, np.concatenate(made.of), label, cv=folds, method="predict_proba")
    score = score[:, 1]
    auc = area(score[label == 1], score[label == 0])
    low, high = _hanley_mcneil(auc, size, confidence)
    return Detection(tried=2 * size, auc=auc, low=low, high=high)


def area(positive: np.ndarray[Any, Any], negative: np.ndarray[Any, Any]) -> float:
    """The area under the curve: how likely a positive scores above a negative; ties count half."""
    order = np.sort(negative)
    below = np.searchsorted(order, positive, side="left") + np.searchsorted(order, positive, side="right")
    return float(below.mean()) / (2 * len(negative))


def _hanley_mcneil(auc: float, size: int, confidence: float) -> tuple[float, float]:
    """The interval of an area of as many positives as negatives."""
    one, both = auc / (2 - auc), 2 * auc * auc / (1 + auc)
    variance = (auc * (1 - auc) + (size - 1) * (one + both - 2 * auc * auc)) / (size * size)
    half = NormalDist().inv_cdf(0.5 + confidence / 2) * sqrt(max(variance, 0.0))
    return max(auc - half, 0.0), min(auc + half, 1.0)


def _report(name: str, real: pa.Table, synthetic: pa.Table) -> dict[str, float | None]:
    """A report of SDMetrics: its score and its parts; None for what is no number."""
    try:
        from sdmetrics import reports
    except ImportError:
        raise SchemaError(
            "SDMetrics is not installed", where="evaluation, fidelity", fix="install airflow-veil[synthetic]"
        ) from None
    metadata = {
        "tables": {"table": {"columns": {each: {"sdtype": _kind(real, each)} for each in real.column_names}}},
        "relationships": [],
    }
    frames = [{"table": _frame(each, real)} for each in (real, synthetic)]
    report = getattr(reports, name)()
    with warnings.catch_warnings():
        # They are about single columns that have no figure, and name values.
        warnings.simplefilter("ignore")
        try:
            report.generate(*frames, metadata, verbose=False)
        except Exception as error:  # noqa: BLE001 - whatever it is, its text may hold values
            raise SchemaError(
                f"SDMetrics cannot read the tables ({type(error).__name__})", where="evaluation, fidelity"
            ) from None
        parts = dict(report.get_properties().itertuples(index=False, name=None))
        found: dict[str, float | None] = {"score": _figure(report.get_score())}
    return found | {part: _figure(score) for part, score in parts.items()}


def _kind(table: pa.Table, name: str) -> str:
    kind = table.schema.field(name).type
    if pa.types.is_boolean(kind):
        return "boolean"
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return "datetime"
    return "numerical" if is_number(kind) else "categorical"


def _frame(table: pa.Table, real: pa.Table) -> Any:
    """A pandas frame with the types of the real rows, so that a difference in storage is none in structure."""
    import pandas as pd

    columns: dict[str, Any] = {}
    table = known(table)
    for name in real.column_names:
        column, kind = table.column(name), _kind(real, name)
        if kind == "numerical":
            columns[name] = pd.Series(numbers(column))
        elif kind == "datetime":
            columns[name] = pd.Series(column.cast(pa.timestamp("ns"), safe=False).to_pandas())
        else:
            columns[name] = pd.Series(column.to_pandas(), dtype=object)
    return pd.DataFrame(columns)


def _figure(value: Any) -> float | None:
    return float(value) if value is not None and isfinite(value) else None
