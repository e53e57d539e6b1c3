"""What charts of an evaluation show, as plain data: shares by bin, differences of associations, rates of attacks.

No bar stands for fewer than ten people of the hold-out: rarer categories are one bar, `other`, and left out where even
together they are too few; bins of fewer people are empty. Where bins come from decides who may see it:

- of the hold-out: numbers end at its hundredths, categories are its values. For who may see the rows.
- declared: bins and categories are the policy's, so that no value of the data is told, only how often it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any, Self

from airflow_veil.privacy.errors import SchemaError
from airflow_veil.privacy.evaluation.evaluate import Evaluation
from airflow_veil.privacy.evaluation.tables import Trio, is_number, known, numbers
from airflow_veil.privacy.lazy import np, pa, pc
from airflow_veil.privacy.risk.association import cramers_v, pearson
from airflow_veil.privacy.risk.utility import binned

FEWEST = 10
"""People of the hold-out that a bar stands for at least."""
MOST_BARS = 8
MOST_COLUMNS = 15
BINS = 20
OTHER, NULL = "other", "(null)"
_DIGITS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """What a policy says that a column may hold.

    Attributes:
        bounds: The least and the greatest number; of dates and times in seconds. None of categories.
        values: The categories. None of numbers.
    """

    bounds: tuple[float, float] | None = None
    values: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """A column: the hold-out's and the synthetic rows' shares, bar by bar.

    Attributes:
        column: Its name.
        kind: `numbers`, `times` (edges are seconds) or `categories`.
        bins: Edges of bars, one more than there are, or a label of each; none where all is too rare to be shown.
        holdout: Shares of the hold-out.
        synthetic: Shares of the synthetic rows.
    """

    column: str
    kind: str
    bins: tuple[float, ...] | tuple[str, ...]
    holdout: tuple[float, ...]
    synthetic: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Associations:
    """How much stronger pairs of columns go together in the synthetic rows than in the hold-out.

    Attributes:
        columns: The columns.
        gaps: For each pair, synthetic less hold-out; None on the diagonal, and where one does not vary.
    """

    columns: tuple[str, ...]
    gaps: tuple[tuple[float | None, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """How well an attack did.

    Attributes:
        name: Its name, and what it was after.
        rate: The share of right guesses on the training rows; None where it was not measured.
        control: The same on the hold-out.
        guess: The same by guessing; None where nobody can guess.
        excess: How much more the training rows tell: the estimate, and its lower and upper end.
    """

    name: str
    rate: float | None
    control: float | None
    guess: float | None
    excess: tuple[float, float, float] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """All that charts show of an evaluation.

    Attributes:
        distributions: Columns, the first 15.
        associations: Pairs of the same columns.
        attacks: Attacks.
        confidence: Of the intervals.
    """

    distributions: tuple[Distribution, ...]
    associations: Associations
    attacks: tuple[Attack, ...]
    confidence: float

    def as_dict(self) -> dict[str, Any]:
        """All of it as plain data."""
        return asdict(self)

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> Self:
        """What `as_dict` gave, also after it went through JSON."""
        return cls(
            distributions=tuple(
                Distribution(**{**each, **{name: tuple(each[name]) for name in ("bins", *_SIDES)}})
                for each in told["distributions"]
            ),
            associations=Associations(
                columns=tuple(told["associations"]["columns"]),
                gaps=tuple(map(tuple, told["associations"]["gaps"])),
            ),
            attacks=tuple(
                Attack(**{**each, "excess": each["excess"] and tuple(each["excess"])})
                for each in told["attacks"]
            ),
            confidence=told["confidence"],
        )


_SIDES = ("holdout", "synthetic")


def shown(
    trio: Trio,
    evaluation: Evaluation,
    *,
    declared: Mapping[str, Declared] | None = None,
    fewest: int = FEWEST,
) -> Shown:
    """What charts of an evaluation show.

    Args:
        trio: The three tables.
        evaluation: What was found out of them.
        declared: What columns may hold; the hold-out says so if None. A column that is not declared is not shown.
        fewest: People of the hold-out that a bar stands for at least.
    """
    names = [name for name in trio.columns if declared is None or name in declared][:MOST_COLUMNS]
    return Shown(
        distributions=distributions_of(trio, names, declared=declared, fewest=fewest),
        associations=associations_of(trio, names),
        attacks=tuple(attacks_of(evaluation)),
        confidence=evaluation.asked.confidence,
    )


def distributions_of(
    trio: Trio,
    columns: Sequence[str] | None = None,
    *,
    declared: Mapping[str, Declared] | None = None,
    fewest: int = FEWEST,
) -> tuple[Distribution, ...]:
    """The distribution of columns, the first 15 if not said; see `shown`.

    Raises:
        SchemaError: A column is not there.
    """
    names = list(columns if columns is not None else trio.columns[:MOST_COLUMNS])
    missing = [name for name in names if name not in trio.columns]
    if missing:
        raise SchemaError(f"there is no column {', '.join(missing)}", where="chart of distributions")
    holdout, synthetic = known(trio.holdout), known(trio.synthetic)
    made = []
    for name in names:
        sides = (holdout.column(name), synthetic.column(name))
        known_of = declared[name] if declared is not None else Declared()
        if all(is_number(side.type) for side in sides) and known_of.values is None:
            made.append(_of_numbers(name, *sides, known_of.bounds, fewest))
        else:
            made.append(_of_categories(name, *sides, known_of.values, fewest))
    return tuple(made)


def associations_of(trio: Trio, columns: Sequence[str] | None = None) -> Associations:
    """How pairs of columns go together, the first 15 if not said.

    Pearson's correlation of two columns of numbers, Cramér's V of others.
    """
    names = tuple(columns if columns is not None else trio.columns[:MOST_COLUMNS])
    gaps: list[list[float | None]] = [[None] * len(names) for _ in names]
    tables = [_comparable(known(table)) for table in (trio.holdout, trio.synthetic)]
    for one, other in combinations(range(len(names)), 2):
        before, after = (_association(table, names[one], names[other]) for table in tables)
        if before is not None and after is not None:
            gaps[one][other] = gaps[other][one] = round(after - before, _DIGITS)
    return Associations(columns=names, gaps=tuple(map(tuple, gaps)))


def attacks_of(evaluation: Evaluation) -> Iterator[Attack]:
    """Attacks, in order; what could not be measured is there, too."""
    for attack in evaluation.attacks:
        name = f"{attack.name}, {attack.column}" if attack.column else attack.name
        excess = None
        if attack.risk is not None and attack.low is not None and attack.high is not None:
            excess = (attack.risk, attack.low, attack.high)
        yield _attack(name, attack.rate, attack.control, attack.baseline, excess)
    for shadowed in evaluation.membership.attacks if evaluation.membership else ():
        for each in shadowed.at:
            name = f"membership, {shadowed.name}, {each.fpr * 100:g} % wrong"
            if each.tpr is None or each.low is None or each.high is None:
                yield _attack(name, None, None, each.fpr, None)
            else:
                excess = (each.tpr - each.fpr, each.low - each.fpr, each.high - each.fpr)
                yield _attack(name, each.tpr, each.fpr, each.fpr, excess)
    found = evaluation.matches
    for name, match in (("match, the worst columns", found.worst), ("match, whole rows", found.rows)):
        yield _attack(name, match.rate, match.control, None, (match.excess, match.low, match.high))


def _attack(
    name: str,
    rate: float | None,
    control: float | None,
    guess: float | None,
    excess: tuple[float, float, float] | None,
) -> Attack:
    rate, control, guess = (None if each is None else round(each, _DIGITS) for each in (rate, control, guess))
    if excess is not None:
        middle, low, high = _rounded(excess)
        excess = (middle, low, high)
    return Attack(name=name, rate=rate, control=control, guess=guess, excess=excess)


def _whole_edges(low: float, high: float) -> np.ndarray[Any, Any]:
    """Bins of as many whole numbers each: of other widths some would hold one more, which looks like a comb."""
    width = -(-(high - low + 1) // BINS)
    count = int(-(-(high - low + 1) // width))
    return low + width * np.arange(count + 1, dtype=np.float64)


def _of_numbers(
    name: str,
    holdout: pa.ChunkedArray,
    synthetic: pa.ChunkedArray,
    bounds: tuple[float, float] | None,
    fewest: int,
) -> Distribution:
    kind = "times" if pa.types.is_date(holdout.type) or pa.types.is_timestamp(holdout.type) else "numbers"
    values = [numbers(side) for side in (holdout, synthetic)]
    finite = [each[np.isfinite(each)] for each in values]
    if len(finite[0]) < fewest:
        return Distribution(column=name, kind=kind, bins=(), holdout=(), synthetic=())
    low, high = bounds if bounds is not None else np.quantile(finite[0], (0.01, 0.99))
    if bounds is not None and pa.types.is_integer(holdout.type):
        edges = _whole_edges(low, high)
    else:
        edges = np.linspace(low, high if high > low else low + 1, BINS + 1)
    shares = []
    for side, least in zip(finite, (fewest, 1), strict=True):
        counts = np.histogram(np.clip(side, edges[0], edges[-1]), edges)[0]
        shares.append(_rounded(np.where(counts >= least, counts, 0) / max(len(side), 1)))
    return Distribution(
        column=name,
        kind=kind,
        bins=tuple(float(edge) for edge in edges),
        holdout=shares[0],
        synthetic=shares[1],
    )


def _of_categories(
    name: str,
    holdout: pa.ChunkedArray,
    synthetic: pa.ChunkedArray,
    values: tuple[str, ...] | None,
    fewest: int,
) -> Distribution:
    counts = [_counted(side) for side in (holdout, synthetic)]
    may_be_told = {*values, NULL} if values is not None else counts[0].keys()
    frequent = [label for label in counts[0] if counts[0][label] >= fewest and label in may_be_told]
    # By name where they are as frequent, so that the order tells nothing of the rows.
    labels = sorted(frequent, key=lambda label: (-counts[0][label], label))[:MOST_BARS]
    bars = [[count.get(label, 0) for label in labels] for count in counts]
    rest = [sum(count.values()) - sum(bar) for count, bar in zip(counts, bars, strict=True)]
    if rest[0] >= fewest:
        labels = [*labels, OTHER]
        bars = [[*bar, more] for bar, more in zip(bars, rest, strict=True)]
    shares = [
        _rounded([each / max(sum(count.values()), 1) for each in bar])
        for bar, count in zip(bars, counts, strict=True)
    ]
    return Distribution(
        column=name, kind="categories", bins=tuple(labels), holdout=shares[0], synthetic=shares[1]
    )


def _counted(side: pa.ChunkedArray) -> dict[str, int]:
    found = pc.value_counts(side.cast(pa.string()).fill_null(NULL).combine_chunks())
    return dict(zip(found.field(0).to_pylist(), found.field(1).to_pylist(), strict=True))


def _rounded(values: Any) -> tuple[float, ...]:
    return tuple(round(float(value), _DIGITS) for value in values)


def _comparable(table: pa.Table) -> pa.Table:
    """Dates and times as numbers, so that they have a correlation."""
    columns = [
        pa.chunked_array([pa.array(numbers(column))]) if is_number(column.type) else column
        for column in table.columns
    ]
    return pa.table(columns, names=table.column_names)


def _association(table: pa.Table, one: str, other: str) -> float | None:
    sides = [table.column(name) for name in (one, other)]
    if all(is_number(side.type) for side in sides):
        return pearson(*(numbers(side) for side in sides))
    return cramers_v(*(binned(table, name) for name in (one, other)))
