"""A query, compiled: what is read, how it is grouped, which statistics are measured and what each costs.

It is pure data, made of the policy alone; nothing of the private table is looked at.
"""

from __future__ import annotations

import csv
import hashlib
from dataclasses import asdict, dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from math import prod
from pathlib import Path
from typing import Any, Literal

from airflow_veil.privacy.dp.statistic import (
    Bins,
    Form,
    Noise,
    Ranks,
    Reading,
    Rows,
    Statistic,
    Total,
    Units,
    as_dict,
)
from airflow_veil.privacy.errors import SchemaError
from airflow_veil.privacy.ledger.canonical import canonical_json
from airflow_veil.privacy.plan.bind import subject_root
from airflow_veil.privacy.policy import differential_privacy as words
from airflow_veil.privacy.policy.load import LoadedPolicy
from airflow_veil.privacy.policy.models import Policy

_LEVELS = 1_000_000
"""How finely the range of a value is divided where the policy does not say."""
MOST_STEPS = 1 << 31
"""Steps of one row: sums of two thousand million such rows still fit 64 bits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Join:
    """One step from a row to the unit behind a reference: the row's `key` is found in `dataset`.

    Attributes:
        dataset: The data set that the reference points to.
        key: The column there that is pointed to; each of its values belongs to one unit.
        column: The column there that leads on.
    """

    dataset: str
    key: str
    column: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """One key that rows are grouped by.

    Attributes:
        name: Its name in the answer.
        column: The column that it is read from.
        to: `year`, `month` or `day` of a date; None for the value itself.
        labels: All that it can be, in order; None where that is not public.
        source: Where the labels come from.
    """

    name: str
    column: str
    to: Literal["year", "month", "day"] | None = None
    labels: tuple[str | int | bool, ...] | None = None
    source: str = ""


@dataclass(frozen=True)
class Query:
    """A query, compiled.

    Attributes:
        policy: Name of the policy.
        name: Name of the query.
        dataset: The data set that is asked.
        budget: Name of the budget that pays.
        unit: The privacy unit: `data_set.column`, or the data set where it is a row.
        subject: The column of the data set that leads to the unit; None where the unit is a row.
        joins: The steps from there to the unit.
        where: Which rows count, as the policy writes it; empty for all.
        leaving: By data set what decides which of its rows leave, and so count; none where all do.
        axes: What rows are grouped by.
        groups_per_unit: In how many groups a unit counts.
        rows_per_group: For how many rows it counts in each.
        statistics: What is measured.
        measures: Measure to its parameters, as the policy writes them.
        noise: The kind of noise.
        spend: What an answer costs: of epsilon where the noise is Laplace's, of rho where it is Gaussian.
        delta: The probability that a key of a single unit gets out; zero where all keys are public.
        confidence: How probably a value without noise lies in its interval.
        consistency: What is added for consistency.
    """

    policy: str
    name: str
    dataset: str
    budget: str
    unit: str
    subject: str | None
    joins: tuple[Join, ...]
    where: str
    leaving: dict[str, list[dict[str, Any]]]
    axes: tuple[Axis, ...]
    groups_per_unit: int
    rows_per_group: int
    statistics: tuple[Statistic, ...]
    measures: dict[str, words.Measure]
    noise: Noise
    spend: Decimal
    delta: Decimal
    confidence: float
    consistency: str | None

    @property
    def unknown_keys(self) -> bool:
        """Whether keys are found in the private table, by a noisy threshold."""
        return any(axis.labels is None for axis in self.axes)

    @property
    def groups(self) -> int | None:
        """How many groups there are; None where keys are unknown."""
        return None if self.unknown_keys else prod(len(axis.labels or ()) for axis in self.axes)

    @property
    def by_row(self) -> bool:
        """Whether the unit is a row, so that there is nothing to bound."""
        return self.subject is None

    @property
    def reach(self) -> int:
        """In how many groups a unit can be: never more than there are."""
        return self.groups_per_unit if self.groups is None else min(self.groups_per_unit, self.groups)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the data set that are read, but for those of `where`."""
        read = [axis.column for axis in self.axes]
        read += [s.of.column for s in self.statistics if not isinstance(s, Units) and s.of is not None]
        return tuple(dict.fromkeys([*read, *([self.subject] if self.subject else [])]))

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all that the answer depends on, in hex: the same question has the same digest."""
        facts = {
            "dataset": self.dataset,
            "budget": self.budget,
            "unit": self.unit,
            "subject": self.subject,
            "joins": [asdict(join) for join in self.joins],
            "where": self.where,
            **({"leaving": self.leaving} if self.leaving else {}),
            "axes": [
                {**asdict(a), "labels": None if a.labels is None else list(a.labels)} for a in self.axes
            ],
            "contribution": [self.groups_per_unit, self.rows_per_group],
            "statistics": [_stringly(as_dict(statistic)) for statistic in self.statistics],
            "measures": {name: _stringly(m.model_dump(mode="json")) for name, m in self.measures.items()},
            "noise": self.noise,
            "spend": str(self.spend),
            "delta": str(self.delta),
            "confidence": repr(self.confidence),
            "consistency": self.consistency,
        }
        return hashlib.sha256(canonical_json(facts).encode()).hexdigest()


def compile_query(loaded: LoadedPolicy, name: str) -> Query:
    """Compile a query of a policy that checks.

    Raises:
        SchemaError: There is no such query, or a file of keys cannot be read.
    """
    policy = loaded.policy
    dp = policy.differential_privacy
    if dp is None or name not in dp.queries:
        raise SchemaError(
            f"the policy {policy.name} has no query {name}",
            expected=f"one of {', '.join(dp.queries)}" if dp else "a section `differential_privacy`",
        )
    query = dp.queries[name]
    unit = dp.budgets[query.budget].unit
    subject, joins = unit_path(policy, query.dataset, unit)
    axes = tuple(_axis(key, keys, loaded.path.resolve().parent) for key, keys in query.keys.items())
    by_row = subject is None
    return Query(
        policy=policy.name,
        name=name,
        dataset=query.dataset,
        budget=query.budget,
        unit=unit,
        subject=subject,
        joins=joins,
        where=query.where.expression if query.where else "",
        leaving=policy.leaving(query.dataset, *(join.dataset for join in joins)),
        axes=axes,
        groups_per_unit=1 if by_row else query.contribution.groups_per_unit,
        rows_per_group=1 if by_row else query.contribution.rows_per_group,
        statistics=_statistics(query, unknown=any(axis.labels is None for axis in axes)),
        measures=dict(query.measures),
        noise="laplace" if query.spend.epsilon is not None else "gaussian",
        spend=query.spend.epsilon or query.spend.rho or Decimal(0),
        delta=query.spend.delta or Decimal(0),
        confidence=query.confidence,
        consistency=query.consistency,
    )


def unit_path(policy: Policy, dataset: str, unit: str) -> tuple[str | None, tuple[Join, ...]]:
    """How the rows of a data set lead to a unit.

    Returns:
        The column of the data set, and the joins from there; (None, ()) where the unit is a row of it.

    Raises:
        SchemaError: They do not lead to it.
    """
    if unit == dataset:
        return None, ()
    joins: list[Join] = []
    here = dataset
    first: str | None = None
    while len(joins) <= len(policy.datasets):
        data = policy.datasets.get(here)
        subject = data.subject if data else None
        if subject is None or subject.column is None:
            break
        first = first or subject.column
        if joins:
            joins[-1] = Join(dataset=here, key=joins[-1].key, column=subject.column)
        if subject_root(policy, here) == unit:
            return first, tuple(joins)
        if subject.references is None:
            break
        here, _, key = subject.references.partition(".")
        joins.append(Join(dataset=here, key=key, column=""))
    raise SchemaError(
        f"the rows of {dataset} do not lead to {unit}",
        where=f"data set {dataset}",
        expected=f"a subject, or references, that end at {unit}",
        fix="name the unit at the end of the subject's references, or the data set itself for single rows",
    )


def _axis(name: str, keys: words.ValueKeys | words.CalendarKeys | words.UnknownKeys, folder: Path) -> Axis:
    if isinstance(keys, words.ValueKeys):
        return Axis(
            name=name,
            column=name,
            labels=keys.values or tuple(dict.fromkeys(labels_in(folder, keys.file or ""))),
            source=keys.source,
        )
    if isinstance(keys, words.CalendarKeys):
        labels = tuple(_calendar(keys.to, keys.first, keys.last))
        return Axis(name=name, column=keys.column or name, to=keys.to, labels=labels, source="the calendar")
    return Axis(name=name, column=keys.column or name)


def labels_in(folder: Path, name: str) -> tuple[str, ...]:
    """The values of a file of keys, as they stand there: one column under a header.

    Raises:
        SchemaError: It cannot be read, or holds none.
    """
    try:
        with (folder / name).open(newline="", encoding="utf-8") as file:
            rows = list(csv.reader(file))[1:]
    except (OSError, UnicodeDecodeError, csv.Error):
        raise SchemaError(
            "the file of keys cannot be read",
            where=name,
            expected="a CSV file in UTF-8 beside the policy, one column under a header",
        ) from None
    labels = tuple(row[0] for row in rows if row)
    if not labels:
        raise SchemaError("the file of keys holds none", where=name, expected="a header, and a value a line")
    return labels


def _calendar(to: str, first: str, last: str) -> list[str]:
    """All years, months or days between two of them, in ISO 8601."""
    begin, end = (first_day(to, text) for text in (first, last))
    if to == "year":
        return [f"{year:04d}" for year in range(begin.year, end.year + 1)]
    if to == "month":
        months = range(begin.year * 12 + begin.month - 1, end.year * 12 + end.month)
        return [f"{month // 12:04d}-{month % 12 + 1:02d}" for month in months]
    return [date.fromordinal(day).isoformat() for day in range(begin.toordinal(), end.toordinal() + 1)]


def first_day(to: str, text: str) -> date:
    """The first day of a year, a month or a day, from its text.

    Raises:
        SchemaError: It is not as fine as `to`, or no day of the calendar.
    """
    parts = [int(part) for part in text.split("-")]
    if len(parts) != ("year", "month", "day").index(to) + 1:
        raise SchemaError(
            f"a key to the {to} begins at another place",
            expected="2026, 2026-01 or 2026-01-31, as fine as `to`",
        )
    try:
        return date(*[*parts, 1, 1][:3])
    except ValueError:
        raise SchemaError("a key begins at a day that is none", expected="a day of the calendar") from None


def _statistics(query: words.Query, *, unknown: bool) -> tuple[Statistic, ...]:
    """What the measures need, each once; units first where they decide which keys are told."""
    needed: list[Statistic] = [Units()] if unknown else []
    for measure in query.measures.values():
        needed += statistics_of(measure)
    return tuple(dict.fromkeys(needed))


def statistics_of(measure: words.Measure) -> list[Statistic]:
    """The statistics that a measure is made of, in the order in which it is computed from them."""
    match measure.of:
        case words.CountDistinct():
            return [Units()]
        case words.Count() as of:
            return [Rows() if of.column is None else Rows(of=Reading(column=of.column))]
        case words.Histogram() as of:
            return [Bins(of=_reading(of), edges=of.edges or (), values=of.values or ())]
        case words.Quantiles() as of:
            quantiles = tuple(Fraction(quantile) for quantile in of.quantiles)
            return [Ranks(of=_reading(of), candidates=candidates_of(of), quantiles=quantiles)]
        case of:
            return _of_bounded(of)


def _of_bounded(of: words.Sum | words.Mean | words.Variance) -> list[Statistic]:
    """A sum; for a mean, the number of rows and their sum about the middle; for a variance, also that of squares."""
    if isinstance(of, words.Sum):
        return [_total(of, Form.VALUE)]
    reading = _reading(of)
    rows = Rows() if reading.counts_all else Rows(of=reading)
    squares = [_total(of, Form.SQUARED)] if isinstance(of, words.Variance) else []
    return [rows, _total(of, Form.CENTRED), *squares]


def candidates_of(of: words.Quantiles) -> tuple[float, ...]:
    """What a quantile can be, rising."""
    if isinstance(of.candidates, tuple):
        return of.candidates
    steps = of.candidates
    first, step = Fraction(str(steps.first)), Fraction(str(steps.step))
    count = int((Fraction(str(steps.last)) - first) / step)
    return tuple(float(first + step * number) for number in range(count + 1))


def _reading(of: words.Bounded | words.Histogram | words.Quantiles) -> Reading:
    return Reading(
        column=of.column,
        null=None if of.null == "drop" else float(of.null),
        nan=None if of.nan == "drop" else float(of.nan),
        clamp_infinite=of.infinite == "clamp",
    )


def _total(of: words.Bounded, form: Form) -> Total:
    low, high = (Fraction(str(bound)) for bound in of.bounds)
    range_ = {
        Form.VALUE: max(abs(low), abs(high)),
        Form.CENTRED: (high - low) / 2,
        Form.SQUARED: ((high - low) / 2) ** 2,
    }[form]
    step = Fraction(of.granularity) if of.granularity and form is not Form.SQUARED else _step(range_)
    return Total(of=_reading(of), low=low, high=high, form=form, step=step)


def _step(range_: Fraction) -> Fraction:
    """A power of ten that divides a range into a million steps, and less than ten."""
    step = Fraction(1)
    while range_ / step < _LEVELS:
        step /= 10
    while range_ / step >= 10 * _LEVELS:
        step *= 10
    return step


def _stringly(facts: Any) -> Any:
    """Numbers as text, so that canonical JSON takes them as they were written."""
    if isinstance(facts, dict):
        return {name: _stringly(value) for name, value in facts.items()}
    if isinstance(facts, list | tuple):
        return [_stringly(value) for value in facts]
    return repr(facts) if isinstance(facts, float) else facts
