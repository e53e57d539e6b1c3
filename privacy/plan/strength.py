"""Whether a change of the plan tells more of people or less, as far as that can be known without data.

`weaker` is what shows more than before in some respect, `stricter` what shows less and nothing more; all else has
`changed`, for a person to look at. Nothing is called stricter on a guess: of two different treatments neither is,
unless one of them shows everything or nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from airflow_veil.privacy.period import after


class Strength(StrEnum):
    """How much a change shows of people, compared with before."""

    WEAKER = "weaker"
    CHANGED = "changed"
    STRICTER = "stricter"


@dataclass(frozen=True, slots=True)
class Judged:
    """A change, how strong it is, and why in words; no words where the change says it all."""

    strength: Strength
    why: str = ""


_NOTHING = frozenset({"drop", "null", "constant"})
"""Treatments that tell nothing of the value, or only that there is one."""
_EVERYTHING = "keep"
_GAINED = {
    "deterministic": "equal values become equal again, so frequencies show and columns can be joined",
    "reversible": "the value can be had back",
    "unique": "different values stay different",
    "nulls kept": "it shows where there was nothing",
}
"""Promises that tell more where they are new."""
_LOST = {"hides_length": "lengths show", "masks": "values can leave as they are"}
"""Promises that tell more where they are gone."""

_FINER = ("decade", "year", "quarter", "month", "week", "day", "hour")
_KINDS = ("email", "url", "iban", "card", "ssn", "ip", "phone")
_ABSENT = object()


def _number(value: Any) -> float:
    return float(value)


def _finer(value: Any) -> float:
    return _FINER.index(value)


def _or(unset: float) -> Callable[[Any], float]:
    return lambda value: unset if value is None else float(value)


def _is_set(value: Any) -> float:
    return float(value is not None)


@dataclass(frozen=True, slots=True)
class _Measure:
    """How a parameter is compared: the greater, the more is told, or the less; sets by what they include."""

    tells_more: bool
    default: Any = _ABSENT
    by: Callable[[Any], float] = _number


_More, _Less = True, False
MEASURES: Mapping[tuple[str, str], _Measure] = {
    ("mask", "keep_first"): _Measure(_More, 0),
    ("mask", "keep_last"): _Measure(_More, 0),
    ("mask", "keep_domain"): _Measure(_More, False),  # noqa: FBT003 - a parameter's default
    ("mask", "keep_separators"): _Measure(_More, True),  # noqa: FBT003
    ("mask", "min_masked"): _Measure(_Less, None, _or(0)),
    ("mask", "length"): _Measure(_Less, None, _is_set),
    ("token", "pad_to"): _Measure(_Less, None, _or(0)),
    ("fpe", "keep_first"): _Measure(_More, 0),
    ("fpe", "keep_last"): _Measure(_More, 0),
    ("generalize", "width"): _Measure(_Less),
    ("generalize", "round_to"): _Measure(_Less),
    ("generalize", "digits"): _Measure(_More),
    ("generalize", "bottom"): _Measure(_Less, None, _or(float("-inf"))),
    ("generalize", "top"): _Measure(_More, None, _or(float("inf"))),
    ("generalize", "to"): _Measure(_More, by=_finer),
    ("generalize", "prefix"): _Measure(_More),
    ("generalize", "geo"): _Measure(_More),
    ("generalize", "network.v4"): _Measure(_More, 24),
    ("generalize", "network.v6"): _Measure(_More, 48),
    ("generalize", "hierarchy.level"): _Measure(_Less),
    ("date_shift", "max_days"): _Measure(_Less, 365),
    ("noise", "scale"): _Measure(_Less),
}
"""Parameters that are known to tell more, or less, where they are greater; the default where they are left out."""
SETS: Mapping[tuple[str, str], tuple[bool, tuple[Any, ...] | None]] = {
    ("generalize", "edges"): (_More, None),
    ("redact", "kinds"): (_Less, _KINDS),
    ("redact", "names_from"): (_Less, ()),
}
"""The same of parameters that are lists: whether more entries tell more, and the default."""


def of_treatments(
    before: Mapping[str, Mapping[str, Any]],
    after_: Mapping[str, Mapping[str, Any]],
    promised: Iterable[str],
    promises: Iterable[str],
) -> Judged:
    """What a change of treatment does.

    Args:
        before: The treatment as it was, `{word: parameters}`.
        after_: As it is.
        promised: The promises that it made.
        promises: Those that it makes.
    """
    (old,), (new,) = before, after_
    if old != new and (new in _NOTHING or old == _EVERYTHING):
        return Judged(Strength.STRICTER)
    if old != new and (old in _NOTHING or new == _EVERYTHING):
        return Judged(Strength.WEAKER, "the value itself leaves" if new == _EVERYTHING else "")
    found = [*_of_promises(frozenset(promised), frozenset(promises))]
    if old == new:
        found += _of_parameters(old, _flat(before[old]), _flat(after_[new]))
    else:
        # Two different treatments are never told to be stricter than one another by their promises alone.
        found.append(Judged(Strength.CHANGED))
    return together(found)


def together(found: Iterable[Judged]) -> Judged:
    """Several changes at once: what is weaker in one respect is weaker."""
    found = list(found)
    for strength in (Strength.WEAKER, Strength.CHANGED, Strength.STRICTER):
        whys = [each.why for each in found if each.strength is strength]
        if whys:
            return Judged(strength, ", ".join(why for why in dict.fromkeys(whys) if why))
    return Judged(Strength.CHANGED)


def _of_promises(promised: frozenset[str], promises: frozenset[str]) -> Iterator[Judged]:
    gained, lost = promises - promised, promised - promises
    yield from (Judged(Strength.WEAKER, why) for word, why in _GAINED.items() if word in gained)
    yield from (Judged(Strength.WEAKER, why) for word, why in _LOST.items() if word in lost)
    better = [word for word in _GAINED if word in lost] + [word for word in _LOST if word in gained]
    if better:
        yield Judged(Strength.STRICTER)


def _of_parameters(word: str, before: Mapping[str, Any], after_: Mapping[str, Any]) -> Iterator[Judged]:
    for name in dict.fromkeys((*before, *after_)):
        then, now = before.get(name, _ABSENT), after_.get(name, _ABSENT)
        if then != now:
            yield _of_parameter(word, name, then, now)


def _of_parameter(word: str, name: str, then: Any, now: Any) -> Judged:
    key = (word, name)
    if key in SETS:
        more, default = SETS[key]
        old, new = (_entries(default if each is _ABSENT else each) for each in (then, now))
        if old is None or new is None or not (old < new or new < old):
            return Judged(Strength.CHANGED)
        return Judged(_strength(told_more=(old < new) is more), f"{name} changed")
    measure = MEASURES.get(key)
    if measure is None:
        return Judged(Strength.CHANGED)
    then, now = (measure.default if each is _ABSENT else each for each in (then, now))
    try:
        old_number, new_number = measure.by(then), measure.by(now)
    except (TypeError, ValueError):
        return Judged(Strength.CHANGED)
    if old_number == new_number:
        return Judged(Strength.CHANGED)
    more = (old_number < new_number) is measure.tells_more
    return Judged(_strength(told_more=more), f"{name} {_shown(then)} → {_shown(now)}")


def _entries(value: Any) -> frozenset[str] | None:
    return frozenset(map(str, value)) if isinstance(value, list | tuple) else None


def _flat(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Nested parameters by dotted names."""
    flat: dict[str, Any] = {}
    for name, value in parameters.items():
        if isinstance(value, Mapping):
            flat |= {f"{name}.{inner}": each for inner, each in _flat(value).items()}
        else:
            flat[name] = value
    return flat


def of_numbers(then: float | None, now: float | None, *, more: bool, unset: float) -> Strength:
    """What a change of a number does.

    Args:
        then: As it was; None where it was not set.
        now: As it is.
        more: Whether more is shown the greater it is.
        unset: What None stands for.
    """
    old, new = (unset if each is None else float(each) for each in (then, now))
    return Strength.CHANGED if old == new else _strength(told_more=(old < new) is more)


def of_periods(then: str | None, now: str | None) -> Strength:
    """What a change of a time does that something is kept, or may be used: longer is weaker, no end the longest."""
    ends = []
    for period in (then, now):
        try:
            ends.append(datetime.max.replace(tzinfo=UTC) if period is None else after(_DAY, period))
        except (ValueError, OverflowError):
            return Strength.CHANGED
    return Strength.CHANGED if ends[0] == ends[1] else _strength(told_more=ends[0] < ends[1])


_DAY = datetime(2024, 1, 1, tzinfo=UTC)
"""Where periods are counted from, to compare them."""


def _strength(*, told_more: bool) -> Strength:
    return Strength.WEAKER if told_more else Strength.STRICTER


def _shown(value: Any) -> str:
    return "none" if value is None or value is _ABSENT else str(value)
