"""Checks what queries read: that someone decided what the column is, and that keys, bounds and bins fit it.

What is written of a column, its labels and bounds, is public; so every rule can be followed without a row at hand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import date
from fractions import Fraction
from pathlib import Path

from airflow_veil.privacy.dp.query import MOST_STEPS, first_day, labels_in, statistics_of
from airflow_veil.privacy.dp.statistic import Total
from airflow_veil.privacy.errors import SchemaError
from airflow_veil.privacy.policy import differential_privacy as words
from airflow_veil.privacy.policy.asked import Asked, Read, queries
from airflow_veil.privacy.policy.finding import Finding
from airflow_veil.privacy.policy.load import LoadedPolicy
from airflow_veil.privacy.policy.models import ColumnClass
from airflow_veil.privacy.policy.source_map import Path as Place
from airflow_veil.privacy.transforms.family import NUMBERS, Family

MOST_CANDIDATES = 10_000
"""Candidates of a quantile: each has a noisy score of its own in every group."""

RESERVED = ("measure", "part", "value", "low", "high", "noise", "noise_scale", "value_in_bounds")
"""The columns that answers have beside their keys; `dp.answer` makes them."""

_SPELT = frozenset({ColumnClass.DIRECT_IDENTIFIER, ColumnClass.FREE_TEXT})
_DATES = frozenset({Family.DATE, Family.TIMESTAMP})
_LABELLED = frozenset({Family.TEXT, Family.INTEGER, Family.BOOLEAN, Family.DATE})
_LABELS = {
    Family.TEXT: "text, in quotes",
    Family.INTEGER: "whole numbers of at most 64 bits, without quotes",
    Family.BOOLEAN: "`true` and `false`, without quotes",
    Family.DATE: "dates such as 2024-01-31",
}

Label = str | int | bool


def unnamed_fix(asked: Asked, column: str) -> str:
    """What to do about a column that a query reads and nobody decided about."""
    near = [known for known in (asked.data.columns if asked.data else ()) if known.lower() == column.lower()]
    return f"write `{near[0]}`" if near else f"name {column} under `columns:` (it may be dropped)"


def labels_of(keys: words.ValueKeys | words.CalendarKeys | words.UnknownKeys, folder: Path) -> int | None:
    """How many labels keys have; None where they are unknown, or not to be had."""
    try:
        if isinstance(keys, words.ValueKeys):
            return len(keys.values or labels_in(folder, keys.file or ""))
        if isinstance(keys, words.CalendarKeys):
            return _calendar_size(keys)
    except SchemaError:
        return None
    return None


def candidates(of: words.Quantiles) -> int:
    """How many candidates a quantile has, without writing them out."""
    if isinstance(of.candidates, tuple):
        return len(of.candidates)
    first, last, step = (
        Fraction(str(n)) for n in (of.candidates.first, of.candidates.last, of.candidates.step)
    )
    return max(0, int((last - first) // step) + 1)


def unfit_labels(asked: Asked, column: str, labels: Sequence[Label], place: Place) -> Iterator[Finding]:
    """Labels are of the column's type, where the policy says that; and of one kind in any case."""
    family = asked.family(column)
    read_from_file = place[-1] == "file"
    if family in _LABELS:
        # A file has no quotes: whatever spells a value is one.
        fits_it = _spells if read_from_file else _is
        if not all(fits_it(label, family) for label in labels):
            message = f"a label cannot be a value of {column}, which is {family}"
            yield asked.finding(place, "dp-labels", message, f"write {_LABELS[family]}")
    elif len({type(label) for label in labels}) > 1:
        message = "YAML reads the labels as values of different kinds"
        yield asked.finding(place, "dp-labels", message, "put text in quotes, or declare the column's `type`")


def _inputs(loaded: LoadedPolicy) -> Iterator[Finding]:
    """Whatever a query reads must be named, so that someone decided what it is."""
    for asked in queries(loaded):
        for read in asked.reads():
            if asked.data is not None and asked.column(read.name) is None:
                message = f"the query reads {read.name}, which the policy does not name"
                yield asked.finding(
                    (*read.place, "column"), "dp-input", message, unnamed_fix(asked, read.name)
                )


def _identifiers(loaded: LoadedPolicy) -> Iterator[Finding]:
    """An answer holds keys, bins and candidates as they are: they must not be somebody's."""
    for asked in queries(loaded):
        for read in asked.reads():
            column = asked.column(read.name)
            if column is None or column.column_class not in _SPELT or not _spells_values(read):
                continue
            message = f"an answer would spell values of {read.name}, a {column.column_class.value}"
            fix = "count it (`count`, `count_distinct`), or group by a column that is nobody's"
            yield asked.finding((*read.place, "column"), "dp-identifier", message, fix)


def _spells_values(read: Read) -> bool:
    return read.word in ("keys", "histogram", "quantiles")


def _types(loaded: LoadedPolicy) -> Iterator[Finding]:
    """A column is of a type that its use can take, where the policy says of which it is."""
    for asked in queries(loaded):
        for read in asked.reads():
            family = asked.family(read.name)
            wanted, said = _wanted(read)
            if family is None or (family in wanted and not _too_wide(asked, read)):
                continue
            yield asked.finding(
                (*read.place, "column"),
                "dp-type",
                f"{read.name} is {family}, and this takes {said}",
                "choose another column, or correct its `type` (a CSV file's columns are text unless it says more)",
            )


def _wanted(read: Read) -> tuple[frozenset[Family], str]:
    """The families that a use takes, and the same in words."""
    if isinstance(read.of, words.CalendarKeys):
        return _DATES, "dates or times"
    if read.word == "keys" or (isinstance(read.of, words.Histogram) and read.of.values is not None):
        return _LABELLED, "text, whole numbers of at most 64 bits, booleans or dates"
    if isinstance(read.of, words.Count):
        return frozenset(Family), "anything"
    return NUMBERS, "numbers"


def _too_wide(asked: Asked, read: Read) -> bool:
    """Labels are whole numbers of 64 bits with a sign; `uint64` holds others."""
    column = asked.column(read.name)
    labelled = read.word in ("keys", "histogram")
    return labelled and column is not None and column.type == "uint64"


def _labels(loaded: LoadedPolicy) -> Iterator[Finding]:
    """Labels of keys and bins are values of the column, each once."""
    for asked in queries(loaded):
        for read in asked.reads():
            labels: tuple[Label, ...] | None = getattr(read.of, "values", None)
            if labels is None:
                continue
            place = (*read.place, "values")
            yield from unfit_labels(asked, read.name, labels, place)
            if len({str(label) for label in labels}) < len(labels):
                yield asked.finding(place, "dp-duplicate", "a value is named twice", "name each value once")


def _is(label: Label, family: Family) -> bool:
    """Whether a label is a value of a family as the policy writes it."""
    if family is Family.BOOLEAN:
        return isinstance(label, bool)
    if family is Family.INTEGER:
        return isinstance(label, int) and not isinstance(label, bool) and _spells(str(label), family)
    return isinstance(label, str) and _spells(label, family)


def _spells(label: Label, family: Family) -> bool:
    """Whether a text spells a value of a family."""
    try:
        if family is Family.INTEGER:
            return -(1 << 63) <= int(label) < 1 << 63
        if family is Family.DATE:
            return bool(date.fromisoformat(str(label)))
    except ValueError:
        return False
    return family is not Family.BOOLEAN or str(label).lower() in ("true", "false")


def _key_names(loaded: LoadedPolicy) -> Iterator[Finding]:
    """Keys are columns of the answer, beside those that every answer has."""
    for asked in queries(loaded):
        for key in asked.query.keys:
            if key in RESERVED:
                message = f"every answer has a column {key} of its own"
                fix = "give the key another name and say `column:`; a list of values needs a column that is named so"
                yield asked.finding(("keys", key), "dp-name", message, fix)


def _calendars(loaded: LoadedPolicy) -> Iterator[Finding]:
    """A calendar has a first and a last day, in this order."""
    for asked in queries(loaded):
        for key, keys in asked.query.keys.items():
            if not isinstance(keys, words.CalendarKeys):
                continue
            wrong = [word for word in ("first", "last") if not _is_a_day(keys.to, getattr(keys, word))]
            for word in wrong:
                message = f"this is no {keys.to} of the calendar"
                example = {"year": "2026", "month": "2026-01", "day": "2026-01-31"}[keys.to]
                yield asked.finding(("keys", key, word), "dp-calendar", message, f"write it as {example}")
            if not wrong and _calendar_size(keys) < 1:
                message = "the first is after the last"
                fix = "let the first be before the last"
                yield asked.finding(("keys", key, "first"), "dp-calendar", message, fix)


def _is_a_day(to: str, text: str) -> bool:
    try:
        first_day(to, text)
    except SchemaError:
        return False
    return True


def _calendar_size(keys: words.CalendarKeys) -> int:
    """How many years, months or days there are, without writing them out."""
    first, last = first_day(keys.to, keys.first), first_day(keys.to, keys.last)
    if keys.to == "day":
        return (last - first).days + 1
    years = last.year - first.year
    return years + 1 if keys.to == "year" else years * 12 + last.month - first.month + 1


def _steps(loaded: LoadedPolicy) -> Iterator[Finding]:
    """A row counts for a step at least, and for so few that the sums of any table fit 64 bits."""
    for asked in queries(loaded):
        for name, measure in asked.query.measures.items():
            if isinstance(measure.of, words.Quantiles | words.Histogram):
                continue
            most = [max(map(abs, s.steps)) for s in statistics_of(measure) if isinstance(s, Total)]
            place = ("measures", name, measure.word, "granularity")
            if any(steps > MOST_STEPS for steps in most):
                message = f"a row is of more than {MOST_STEPS:,} steps, whose sums may not fit 64 bits"
                yield asked.finding(
                    place, "dp-steps", message, "let `granularity` be coarser, or leave it out"
                )
            if any(steps < 1 for steps in most):
                message = "`granularity` is coarser than the bounds, so that every value is rounded to none"
                yield asked.finding(place, "dp-steps", message, "let `granularity` be finer, or leave it out")


def _candidates(loaded: LoadedPolicy) -> Iterator[Finding]:
    """A quantile has some candidates to choose among, and not more than can be looked at; none is asked twice."""
    for asked in queries(loaded):
        for name, measure in asked.query.measures.items():
            of = measure.of
            if not isinstance(of, words.Quantiles):
                continue
            place, number = ("measures", name, "quantiles"), candidates(of)
            if not 2 <= number <= MOST_CANDIDATES:
                message = f"the steps give {number:,} candidates"
                fix = f"give 2 to {MOST_CANDIDATES:,}: `last` greater than `first`, and a `step` between"
                yield asked.finding((*place, "candidates"), "dp-candidates", message, fix)
            if len(set(of.quantiles)) < len(of.quantiles):
                message = "a quantile is asked twice, and would be paid for twice"
                yield asked.finding((*place, "quantiles"), "dp-duplicate", message, "name each once")


RULES: tuple[Callable[[LoadedPolicy], Iterator[Finding]], ...] = (
    _inputs,
    _identifiers,
    _types,
    _labels,
    _key_names,
    _calendars,
    _steps,
    _candidates,
)
"""The rules that need nothing but the policy."""
