"""What a release is still good for, beside its risk: what each column, each pair and a model lost.

- **distance** of a column: how far its distributions are apart; of numbers Wasserstein's over the source's range,
  of others total variation, from 0 to 1.
- **loss** of a column: how many of the source's values stand behind a released one, 0 for one and 1 for all, as the
  mean over rows (Iyengar, "Transforming data to satisfy privacy constraints", 2002).
- **lost bits** of a column: the entropy of the source's value where the released one is known, a row; times rows it
  is ARX's non-uniform entropy (Gionis and Tassa 2009).
- **association** of a pair, before and after: Pearson's correlation, or Cramér's V. Its **distance**: total variation
  of both columns together.
- **score** of a model: naive Bayes that learned from the release beside one that learned from the source.

Loss, lost bits and the fair score need to know which row became which: `truth`. Without, as with synthetic rows, the
model learns from the release and is tried on the source. Distances of values that became others, as generalized ones
do, are 1, or left out where they cannot be compared. Nulls are a value, but no number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

from airflow_veil.privacy.errors import SchemaError
from airflow_veil.privacy.lazy import np, pa, pc
from airflow_veil.privacy.risk.association import cramers_v, pearson
from airflow_veil.privacy.risk.attacks.attack import truth_of
from airflow_veil.privacy.risk.classes import combined, dense
from airflow_veil.privacy.risk.codes import Codes, codes_of, shared

BINS = 20
"""Bins of equal size that numbers are put into, for Cramér's V and the model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnUtility:
    """What a column lost.

    Attributes:
        column: The column.
        distance: How far its distributions are apart; None where values cannot be compared.
        by: `wasserstein` or `total variation`.
        loss: The share of the source's values that a released one may be; None if it is not known which row is which.
        lost_bits: The bits a row that are gone; None likewise.
    """

    column: str
    distance: float | None
    by: str
    loss: float | None
    lost_bits: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PairUtility:
    """What a pair of columns lost.

    Attributes:
        columns: The two.
        by: `pearson` or `cramers v`.
        before: Their association in the source; None where one does not vary.
        after: In the release.
        distance: Total variation of both together; None where values cannot be compared.
    """

    columns: tuple[str, str]
    by: str
    before: float | None
    after: float | None
    distance: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """How well a model does that learned from the release.

    Attributes:
        target: What it is to tell.
        tested: How many rows of the source it was tried on.
        original: The share that a model of the source gets right.
        released: The share that a model of the release gets right.
        majority: The share that the most frequent value gets right.
    """

    target: str
    tested: int
    original: float
    released: float
    majority: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Utility:
    """What a release is still good for.

    Attributes:
        rows: Rows of the source.
        released: Rows of the release.
        columns: A figure a column.
        pairs: A figure a pair.
        score: A model's; None if no target was named.
    """

    rows: int
    released: int
    columns: tuple[ColumnUtility, ...]
    pairs: tuple[PairUtility, ...]
    score: Score | None

    def as_dict(self) -> dict[str, Any]:
        """The figures for a machine to read."""
        return asdict(self)


def utility(
    source: pa.Table,
    release: pa.Table,
    columns: Sequence[str] | None = None,
    *,
    truth: np.ndarray[Any, Any] | None = None,
    target: str | None = None,
    pairs: bool = True,
    seed: int = 0,
) -> Utility:
    """Measure what a release is still good for.

    Args:
        source: The source.
        release: The release.
        columns: The columns; all that both have if not said.
        truth: The row of the release that each row of the source became, -1 for none; None if nobody knows.
        target: The column that a model is to tell by the others; None for no model.
        pairs: Whether pairs are measured, of which there are many.
        seed: Of the draw of rows that the model is tried on.

    Raises:
        SchemaError: A column is not there, or `truth` does not name rows.
    """
    names = list(columns or (name for name in source.column_names if name in release.column_names))
    for table in (source, release):
        missing = [
            name for name in (*names, *((target,) if target else ())) if name not in table.column_names
        ]
        if missing:
            raise SchemaError(f"there is no column {', '.join(missing)}", where="utility")
    right = None
    if truth is not None:
        right = truth_of(truth, source.num_rows, release.num_rows, where="utility")
    return Utility(
        rows=source.num_rows,
        released=release.num_rows,
        columns=tuple(_column(source, release, name, right) for name in names),
        pairs=tuple(_pair(source, release, pair) for pair in combinations(names, 2)) if pairs else (),
        score=(
            score(source, release, target, [name for name in names if name != target], truth=right, seed=seed)
            if target
            else None
        ),
    )


def _column(
    source: pa.Table, release: pa.Table, name: str, right: np.ndarray[Any, Any] | None
) -> ColumnUtility:
    one, other = source.column(name), release.column(name)
    numeric = _is_number(one.type) and _is_number(other.type)
    loss = bits = None
    if right is not None:
        kept = np.flatnonzero(right >= 0)
        before = codes_of(source, [name])[name].take(kept)
        after = codes_of(release, [name])[name].take(right[kept])
        # Rows that are not released have lost all of it.
        gone = 1 - len(kept) / max(len(right), 1)
        loss, bits = (1 - gone) * _loss(before, after) + gone, _lost_bits(before, after)
    return ColumnUtility(
        column=name,
        distance=wasserstein(_numbers(one), _numbers(other))
        if numeric
        else _variation(source, release, [name]),
        by="wasserstein" if numeric else "total variation",
        loss=loss,
        lost_bits=bits,
    )


def _loss(before: Codes, after: Codes) -> float:
    """Mean over rows of (source values behind the released value - 1) ÷ (source values - 1)."""
    values = int(np.count_nonzero(np.bincount(before.codes, minlength=before.cardinality)))
    if values < 2:
        return 0.0
    pairs = np.unique(after.codes.astype(np.int64) * before.cardinality + before.codes)
    behind = np.bincount(pairs // before.cardinality, minlength=after.cardinality)
    return float((behind[after.codes] - 1).mean()) / (values - 1)


def _lost_bits(before: Codes, after: Codes) -> float:
    """The entropy of the source's value given the released one, in bits."""
    pair, count = dense(*combined([after, before]))
    together = np.bincount(pair, minlength=count)
    alone = np.bincount(after.codes, minlength=after.cardinality)
    rows = len(pair)
    if not rows:
        return 0.0
    return (_plogp(alone) - _plogp(together)) / rows


def _plogp(counts: np.ndarray[Any, Any]) -> float:
    kept = counts[counts > 0].astype(np.float64)
    return float((kept * np.log2(kept)).sum())


def _pair(source: pa.Table, release: pa.Table, names: tuple[str, str]) -> PairUtility:
    numeric = all(_is_number(table.column(name).type) for table in (source, release) for name in names)
    before, after = (
        pearson(*(_numbers(table.column(name)) for name in names))
        if numeric
        else cramers_v(*(binned(table, name) for name in names))
        for table in (source, release)
    )
    return PairUtility(
        columns=names,
        by="pearson" if numeric else "cramers v",
        before=before,
        after=after,
        distance=_variation(source, release, list(names)),
    )


def wasserstein(one: np.ndarray[Any, Any], other: np.ndarray[Any, Any]) -> float | None:
    """The area between two distributions over the first's range: 0 for the same; nulls are left out.

    None where one has no number; of a source that does not vary, 0 or 1.
    """
    a, b = np.sort(one[np.isfinite(one)]), np.sort(other[np.isfinite(other)])
    if not len(a) or not len(b):
        return None
    every = np.sort(np.concatenate([a, b]))
    gaps = np.diff(every)
    below = np.searchsorted(a, every[:-1], side="right") / len(a)
    under = np.searchsorted(b, every[:-1], side="right") / len(b)
    span = float(a[-1] - a[0])
    area = float((np.abs(below - under) * gaps).sum())
    return area / span if span else float(area > 0)


def _variation(source: pa.Table, release: pa.Table, names: Sequence[str]) -> float | None:
    """Half the sum of the differences of shares, of values or of combinations; None where they cannot be compared."""
    if not source.num_rows or not release.num_rows:
        return None
    try:
        mine, theirs = shared(source, release, {name: name for name in names})
    except SchemaError:
        return None
    of, count = dense(*combined([mine[name].then(theirs[name]) for name in names]))
    one = np.bincount(of[: source.num_rows], minlength=count) / source.num_rows
    other = np.bincount(of[source.num_rows :], minlength=count) / release.num_rows
    return float(np.abs(one - other).sum()) / 2


def binned(table: pa.Table, name: str, edges: np.ndarray[Any, Any] | None = None) -> Codes:
    """A column as codes; numbers in bins of equal size, or between the edges that are given."""
    column = table.column(name)
    if not _is_number(column.type):
        return codes_of(table, [name])[name]
    numbers = _numbers(column)
    edges = bin_edges(numbers) if edges is None else edges
    codes = np.where(np.isfinite(numbers), np.searchsorted(edges, numbers, side="right"), len(edges) + 1)
    return Codes(name=name, codes=codes.astype(np.int32), cardinality=len(edges) + 2, numeric=True)


def bin_edges(numbers: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Numbers that divide a column into `BINS` parts of equal size, or fewer where values repeat."""
    known = numbers[np.isfinite(numbers)]
    if not len(known):
        return np.empty(0)
    edges: np.ndarray[Any, Any] = np.unique(np.quantile(known, np.arange(1, BINS) / BINS))
    return edges


def score(
    source: pa.Table,
    release: pa.Table,
    target: str,
    features: Sequence[str],
    *,
    truth: np.ndarray[Any, Any] | None = None,
    seed: int = 0,
) -> Score:
    """How well naive Bayes does that learned from the release, beside one that learned from the source.

    Half of the source's rows, drawn, are what models are tried on; what is right is the source's target. Where it is
    known which row became which, the model of the release learns from the other half as released, and tells by the
    features as released. Otherwise it learns from all of the release, and tells by the source's features.

    Raises:
        SchemaError: There is no feature, or there are too few rows to try a model on.
    """
    rows = np.arange(source.num_rows) if truth is None else np.flatnonzero(truth >= 0)
    if len(rows) < 2 or not features or not release.num_rows:
        raise SchemaError(
            "there is nothing to try a model on", where="utility", expected="two rows or more, and a feature"
        )
    drawn = np.random.default_rng(seed).permutation(rows)
    learn, test = np.sort(drawn[: len(drawn) // 2]), np.sort(drawn[len(drawn) // 2 :])
    mine, theirs = shared(source, release, {target: target})
    goal = mine[target]
    original = [binned(source, name) for name in features]
    right = goal.codes[test]
    by_source = _bayes([c.take(learn) for c in original], goal.take(learn), [c.take(test) for c in original])
    if truth is not None:
        kept = [binned(release, name) for name in features]
        there, tried = truth[learn], truth[test]
        by_release = _bayes(
            [c.take(there) for c in kept], theirs[target].take(there), [c.take(tried) for c in kept]
        )
    else:
        both = [_both(source, release, name) for name in features]
        by_release = _bayes([b for _, b in both], theirs[target], [a.take(test) for a, _ in both])
    most = int(np.bincount(goal.codes[learn]).argmax())
    return Score(
        target=target,
        tested=len(test),
        original=float((by_source == right).mean()),
        released=float((by_release == right).mean()),
        majority=float((right == most).mean()),
    )


def _both(source: pa.Table, release: pa.Table, name: str) -> tuple[Codes, Codes]:
    """A feature of source and release with the same codes."""
    if _is_number(source.column(name).type) and _is_number(release.column(name).type):
        edges = bin_edges(_numbers(release.column(name)))
        return binned(source, name, edges), binned(release, name, edges)
    mine, theirs = shared(source, release, {name: name})
    return mine[name], theirs[name]


def _bayes(features: Sequence[Codes], target: Codes, people: Sequence[Codes]) -> np.ndarray[Any, Any]:
    """The most likely target of each of some people, features taken for independent; counts begin at one."""
    count = np.bincount(target.codes, minlength=target.cardinality).astype(np.float64)
    likely = np.tile(np.log(count + 1e-9), (len(people[0]), 1))
    for feature, of in zip(features, people, strict=True):
        width = max(feature.cardinality, of.cardinality)
        table = np.bincount(
            target.codes.astype(np.int64) * width + feature.codes, minlength=target.cardinality * width
        ).reshape(target.cardinality, width)
        share = np.log((table + 1.0) / (count[:, None] + width))
        likely += share.T[of.codes]
    best: np.ndarray[Any, Any] = likely.argmax(axis=1)
    return best


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _numbers(column: pa.ChunkedArray) -> np.ndarray[Any, Any]:
    found: np.ndarray[Any, Any] = pc.cast(column, pa.float64(), safe=False).to_numpy().astype(np.float64)
    return found
