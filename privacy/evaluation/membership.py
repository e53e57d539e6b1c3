"""Membership inference by shadow models: who was among the training rows, asked of each person by themself.

The likelihood-ratio attack LiRA (Carlini et al., "Membership inference attacks from first principles", 2022) for
tables. Shadows are the same synthesizer fitted on random halves of all known people, each half and the rest of them, so
that everybody is in half of the shadows. What a table tells of a person are three signals:

- **nearness**: how close its nearest row is, as a logarithm.
- **values**: how often its rows have the person's value, the mean of logarithms over columns.
- **pairs**: the same over pairs of columns, numbers in bins.

Of each person and signal the shadows that know them have a mean, and those that do not have another; variances are
common to all people, as Carlini et al. advise for fewer than 64 shadows. **Online** takes the release's likelihood
ratio between the two laws; **offline** knows only shadows without the person and takes how far above them the release
lies.

Figures are true positives where few are accused wrongly: an attack that finds one in a hundred people for certain is
one, though on average it does no better than guessing. A threshold for a rate of wrong accusations of 0.1 % takes 1,000
people of the hold-out for one; with fewer the figure is None. Intervals are Clopper's and Pearson's (1934), exact for
the threshold that was taken.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from math import ceil
from typing import Any, TypeAlias

from airflow_veil.privacy.errors import SchemaError
from airflow_veil.privacy.evaluation.neighbours import neighbours
from airflow_veil.privacy.evaluation.tables import Rows, Trio, encode, stacked
from airflow_veil.privacy.lazy import np, pa
from airflow_veil.privacy.risk.attacks.attack import CONFIDENCE, clopper_pearson

Refit: TypeAlias = Callable[[pa.Table, int], pa.Table]
"""Fits the same synthesizer on other rows, by a seed, and returns synthetic rows."""

FPRS = (0.01, 0.001)
"""Rates of wrong accusations that true positives are told at."""
FEWEST_SHADOWS = 4
MOST_PAIRS = 100
"""Pairs of columns that are counted; of more, so many are drawn."""
BINS = 20
_NEAR = 1e-3
_FEW_SHADOWS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class TruePositives:
    """How many members are found where few are accused wrongly.

    Attributes:
        fpr: The rate of wrong accusations that is allowed.
        needed: How many people of the hold-out it takes for one wrong accusation.
        allowed: How many wrong accusations that is among those there are.
        tpr: The share of members that are found; None if there are too few people of the hold-out.
        low: The lower end of its interval; None likewise.
        high: The upper end; None likewise.
    """

    fpr: float
    needed: int
    allowed: int
    tpr: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MembershipAttack:
    """What one attack found.

    Attributes:
        name: `online` or `offline`.
        auc: How likely a member has the higher score of a member and somebody else; 0.5 for guessing.
        at: True positives at each rate of wrong accusations.
    """

    name: str
    auc: float
    at: tuple[TruePositives, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """What shadow models tell of who was in the training rows.

    Attributes:
        shadows: How many were fitted.
        shadow_rows: On how many rows each.
        members: How many members were tried.
        others: How many people of the hold-out.
        attacks: What each attack found.
        confidence: How often an interval holds the truth.
    """

    shadows: int
    shadow_rows: int
    members: int
    others: int
    attacks: tuple[MembershipAttack, ...]
    confidence: float = CONFIDENCE

    def as_dict(self) -> dict[str, Any]:
        """The figures for a machine to read."""
        return asdict(self)


def membership(
    trio: Trio,
    refit: Refit,
    *,
    shadows: int,
    attempts: int,
    seed: int,
    confidence: float = CONFIDENCE,
) -> Membership:
    """Tell members of the training rows from people of the hold-out.

    Shadows are as the release's model if the hold-out has as many rows as the training rows.

    Args:
        trio: The three tables, whole.
        refit: Fits the same synthesizer on other rows; called once a shadow.
        shadows: How many are fitted; an even number, 4 or more.
        attempts: How many members, and how many others, are tried.
        seed: Of the halves, of the fits, and of draws.
        confidence: Of the intervals.

    Raises:
        SchemaError: There are too few shadows, or one has other columns.
    """
    if shadows < FEWEST_SHADOWS or shadows % 2:
        raise SchemaError(
            f"there are {shadows} shadow models",
            where="attack membership",
            expected=f"an even number, {FEWEST_SHADOWS} or more: each half of the people and the rest of them",
        )
    rng = np.random.default_rng(seed)
    people = stacked(trio.train, trio.holdout)
    members = _some(trio.train.num_rows, attempts, rng)
    others = _some(trio.holdout.num_rows, attempts, rng) + trio.train.num_rows
    who = np.concatenate([members, others])
    signals = _Signals(trio, people.take(who), rng)
    inside = np.empty((shadows, len(who)), bool)
    found = np.empty((shadows, len(who), _Signals.COUNT))
    for shadow in range(0, shadows, 2):
        order = rng.permutation(people.num_rows)
        for place, half in enumerate((order[: len(order) // 2], order[len(order) // 2 :])):
            known = np.zeros(people.num_rows, bool)
            known[half] = True
            made = refit(people.take(np.sort(half)), int(rng.integers(1 << 31)))
            inside[shadow + place] = known[who]
            found[shadow + place] = signals.of(made)
    told = signals.of(trio.synthetic)
    scores = {"online": _online(told, found, inside), "offline": _offline(told, found, inside)}
    return Membership(
        shadows=shadows,
        shadow_rows=people.num_rows // 2,
        members=len(members),
        others=len(others),
        attacks=tuple(
            _attack(name, score[: len(members)], score[len(members) :], confidence)
            for name, score in scores.items()
        ),
        confidence=confidence,
    )


class _Signals:
    """What a table tells of some people."""

    COUNT = 3

    def __init__(self, trio: Trio, targets: pa.Table, rng: np.random.Generator) -> None:
        self._targets, self._scale, self._columns = targets, trio.train, list(trio.columns)
        self._seed = int(rng.integers(1 << 31))
        pairs = list(combinations(self._columns, 2))
        if len(pairs) > MOST_PAIRS:
            pairs = [pairs[place] for place in rng.choice(len(pairs), MOST_PAIRS, replace=False)]
        self._pairs = pairs

    def of(self, table: pa.Table) -> np.ndarray[Any, Any]:
        """The signals, people by 3; the higher, the more the person seems to be a member.

        Raises:
            SchemaError: The table has other columns, or no rows.
        """
        if set(table.column_names) != set(self._columns) or not table.num_rows:
            raise SchemaError(
                "a shadow model made other columns, or no rows",
                where="attack membership",
                expected="synthetic rows with the columns of the training rows",
            )
        people, rows = encode(self._targets, table.select(self._columns), scale=self._scale)
        far = neighbours(people, rows, self._columns, 1, np.random.default_rng(self._seed)).distance[:, 0]
        values = [_often(_exact(people, name), _exact(rows, name)) for name in self._columns]
        coarse = {name: (_coarse(people, name), _coarse(rows, name)) for name in self._columns}
        pairs = [
            _often(*(coarse[one][side] * _width(coarse[other]) + coarse[other][side] for side in (0, 1)))
            for one, other in self._pairs
        ]
        return np.stack(
            [-np.log(far + _NEAR), np.mean(values, axis=0), np.mean(pairs or values, axis=0)], axis=1
        )


def _exact(rows: Rows, name: str) -> np.ndarray[Any, Any]:
    return rows.codes[name].codes.astype(np.int64)


def _coarse(rows: Rows, name: str) -> np.ndarray[Any, Any]:
    """Codes, or bins of the training range; nulls are a bin."""
    if name not in rows.scaled:
        return _exact(rows, name)
    scaled = rows.scaled[name]
    inner = np.clip(np.nan_to_num(scaled, nan=-1.0) * BINS, -1, BINS).astype(np.int64)
    return np.where(np.isnan(scaled), BINS + 2, inner + 1)


def _width(sides: Sequence[np.ndarray[Any, Any]]) -> int:
    return int(max(side.max() for side in sides)) + 1


def _often(people: np.ndarray[Any, Any], rows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The logarithm of how often rows have the number of each person; one is added, so that it is there."""
    numbers, counts = np.unique(rows, return_counts=True)
    place = np.minimum(np.searchsorted(numbers, people), len(numbers) - 1)
    found = np.where(numbers[place] == people, counts[place], 0)
    often: np.ndarray[Any, Any] = np.log1p(found) - np.log(len(rows) + 1)
    return often


def _online(
    told: np.ndarray[Any, Any], found: np.ndarray[Any, Any], inside: np.ndarray[Any, Any]
) -> np.ndarray[Any, Any]:
    """The logarithm of the likelihood ratio: a member's law over another's."""
    score = np.zeros(len(told))
    for signal in range(told.shape[1]):
        of = found[:, :, signal]
        for side, sign in ((inside, 1), (~inside, -1)):
            mean, variance = _law(of, side)
            score -= sign * ((told[:, signal] - mean) ** 2 / variance + np.log(variance)) / 2
    return score


def _offline(
    told: np.ndarray[Any, Any], found: np.ndarray[Any, Any], inside: np.ndarray[Any, Any]
) -> np.ndarray[Any, Any]:
    """How many standard deviations above the shadows without them the release lies, over all signals."""
    score = np.zeros(len(told))
    for signal in range(told.shape[1]):
        mean, variance = _law(found[:, :, signal], ~inside)
        score += (told[:, signal] - mean) / np.sqrt(variance)
    return score


def _law(
    found: np.ndarray[Any, Any], of: np.ndarray[Any, Any]
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Mean and variance of a signal over some of the shadows, by person; one variance where shadows are few."""
    count = of.sum(axis=0)
    mean = np.where(of, found, 0).sum(axis=0) / count
    squared = np.where(of, (found - mean) ** 2, 0).sum(axis=0)
    if len(found) < _FEW_SHADOWS:
        squared, count = np.full_like(squared, squared.mean()), np.full_like(count, round(count.mean()))
    variance: np.ndarray[Any, Any] = squared / np.maximum(count - 1, 1) + 1e-12
    return mean, variance


def _attack(
    name: str, members: np.ndarray[Any, Any], others: np.ndarray[Any, Any], confidence: float
) -> MembershipAttack:
    order = np.sort(others)
    above = np.searchsorted(order, members, side="left")
    not_below = np.searchsorted(order, members, side="right")
    return MembershipAttack(
        name=name,
        auc=float((above + not_below).mean()) / (2 * len(others)),
        at=tuple(true_positives(members, others, fpr, confidence) for fpr in FPRS),
    )


def true_positives(
    members: np.ndarray[Any, Any],
    others: np.ndarray[Any, Any],
    fpr: float,
    confidence: float = CONFIDENCE,
) -> TruePositives:
    """How many members have a higher score than all but a few of the others.

    Args:
        members: Scores of members.
        others: Scores of people who are none.
        fpr: The rate of wrong accusations that is allowed.
        confidence: Of the interval.
    """
    # A hundredth of 300 is three, though not in doubles.
    allowed, needed = int(fpr * len(others) + 1e-9), ceil(1 / fpr - 1e-9)
    if allowed < 1:
        return TruePositives(fpr=fpr, needed=needed, allowed=0, tpr=None, low=None, high=None)
    threshold = np.sort(others)[len(others) - 1 - allowed]
    hits = int((members > threshold).sum())
    low, high = clopper_pearson(hits, len(members), confidence)
    return TruePositives(fpr=fpr, needed=needed, allowed=allowed, tpr=hits / len(members), low=low, high=high)


def _some(count: int, most: int, rng: np.random.Generator) -> np.ndarray[Any, Any]:
    if count <= most:
        return np.arange(count)
    return np.sort(rng.choice(count, most, replace=False))
