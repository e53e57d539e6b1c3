"""What changed in the bounds of a plan: where releases go, how long they last, what the gate and budgets allow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from airflow_veil.privacy.plan.difference import Drift, Place, changed
from airflow_veil.privacy.plan.strength import Judged, Strength, of_numbers, of_periods, together
from airflow_veil.privacy.plan.written import WrittenDataset, WrittenPlan, WrittenRelease
from airflow_veil.privacy.policy.anonymize import Anonymize
from airflow_veil.privacy.policy.check_gate import AT_LEAST
from airflow_veil.privacy.policy.gate import Gate

_RELEASE: Place = ("release",)
_PRIVATE: Place = ("differential_privacy",)
_LOSSES = ("epsilon", "rho", "delta")


def of_bounds(before: WrittenPlan, now: WrittenPlan) -> Iterator[Drift]:
    """Differences beside the columns: of data sets, releases, queries, and of the files that a plan is made by."""
    for name, today in now.datasets.items():
        if name in before.datasets:
            yield from _kept(("datasets", name), before.datasets[name], today)
    yield from _release(before.release, now.release)
    yield from _asked(before, now)
    yield from _section(("erasure",), "erasure", "people", before.erasure, now.erasure)
    if before.keys != now.keys:
        yield changed("keys", ("keys",), "the key ring is another one, so tokens are")
    for file in dict.fromkeys((*before.files, *now.files)):
        if file in before.files and file in now.files and before.files[file] != now.files[file]:
            said = "cannot be read" if now.files[file] is None else "has other content"
            yield changed("file", (), f"the file {file}, which the plan is made by, {said}")


def _kept(place: Place, then: WrittenDataset, today: WrittenDataset) -> Iterator[Drift]:
    """What must hold of a data set's classes, and how long its rows are kept."""
    name = place[1]
    yield from _anonymize((*place, "anonymize"), name, then.anonymize, today.anonymize)
    yield from _section(
        (*place, "retention"), "retention", f"rows of {name}", then.retention, today.retention
    )
    yield from _section((*place, "erasure"), "erasure", f"rows of {name}", then.erasure, today.erasure)


def _section(
    place: Place, rule: str, what: str, then: Mapping[str, Any] | None, today: Mapping[str, Any] | None
) -> Iterator[Drift]:
    if then == today:
        return
    strength = Strength.CHANGED
    if today is None:
        strength, said = Strength.WEAKER, f"there is no {rule} of {what} any more"
    elif then is None:
        strength, said = Strength.STRICTER, f"there is {rule} of {what} now"
    else:
        said = f"{rule} of {what} has other words: {', '.join(_differing(then, today))}"
        if _differing(then, today) == ["after"]:
            strength = of_periods(then.get("after"), today.get("after"))
    yield changed(rule, place, said, strength)


def _differing(then: Mapping[str, Any], today: Mapping[str, Any]) -> list[str]:
    return [word for word in sorted({*then, *today}) if then.get(word) != today.get(word)]


def _anonymize(place: Place, name: str, then: Anonymize | None, today: Anonymize | None) -> Iterator[Drift]:
    if then == today:
        return
    if then is None or today is None:
        strength = Strength.WEAKER if today is None else Strength.STRICTER
        said = "is not anonymized any more" if today is None else "is anonymized now"
        yield changed("anonymize", place, f"{name} {said}", strength)
        return
    found = [*_criteria(then, today)]
    message = f"other classes are asked of {name}"
    if not found:
        yield changed("anonymize", place, f"{name} is anonymized by other words")
        return
    judged = together(found)
    yield changed("anonymize", place, message, judged)


def _criteria(then: Anonymize, today: Anonymize) -> Iterator[Judged]:
    if then.k != today.k:
        yield Judged(of_numbers(then.k, today.k, more=False, unset=1), f"k {then.k} → {today.k}")
    gone, new = (
        sorted({*one.quasi_identifiers} - {*other.quasi_identifiers})
        for one, other in ((then, today), (today, then))
    )
    if gone:
        yield Judged(Strength.WEAKER, f"{', '.join(gone)} count no more")
    if new:
        yield Judged(Strength.STRICTER, f"{', '.join(new)} count, too")
    for word, more, unset in (("l", False, 1.0), ("t", True, 1.0)):
        old, fresh = getattr(then, word), getattr(today, word)
        for column in sorted({*old, *fresh}):
            pair = [_bound(each.get(column)) for each in (old, fresh)]
            if pair[0] != pair[1]:
                strength = of_numbers(pair[0], pair[1], more=more, unset=unset)
                yield Judged(strength, f"{word} of {column} {_said(pair[0])} → {_said(pair[1])}")
    if then.suppress_at_most != today.suppress_at_most:
        yield Judged(
            Strength.CHANGED, f"suppress_at_most {then.suppress_at_most:g} → {today.suppress_at_most:g}"
        )


def _bound(criterion: Any) -> float | None:
    return None if criterion is None else getattr(criterion, "at_least", getattr(criterion, "at_most", None))


def _release(then: WrittenRelease | None, today: WrittenRelease | None) -> Iterator[Drift]:
    if then is None or today is None:
        if then is not today:
            said = "releases have a destination now" if then is None else "there are no releases any more"
            yield changed(
                "destination", _RELEASE, said, Strength.WEAKER if then is None else Strength.STRICTER
            )
        return
    if then.destination != today.destination:
        yield changed("destination", (*_RELEASE, "destination"), "releases go to another place")
    if then.run != today.run:
        yield changed("run", (*_RELEASE, "run"), f"releases were made {then.run}, they are made {today.run}")
    for word, what in (
        ("expires_after", "a release may be used"),
        ("staging_expires_after", "leavings may lie"),
    ):
        was, is_ = getattr(then, word), getattr(today, word)
        if was != is_:
            message = f"how long {what} was {was or 'without end'}, it is {is_ or 'without end'}"
            yield changed("expiry", (*_RELEASE, word), message, of_periods(was, is_))
    if then.classify != today.classify:
        said = "are looked at" if today.classify else "are not looked at any more"
        strength = Strength.STRICTER if today.classify else Strength.WEAKER
        yield changed("classify", (*_RELEASE, "classify"), f"columns {said} before each release", strength)
    yield from _section((*_RELEASE, "utility"), "utility", "releases", then.utility, today.utility)
    yield from _gate(then.gate, today.gate)


def _gate(then: Gate | None, today: Gate | None) -> Iterator[Drift]:
    place: Place = (*_RELEASE, "gate")
    if then is None or today is None:
        if then is not today:
            said = "there is a gate before publication now" if then is None else "the gate is gone"
            yield changed("gate", place, said, Strength.STRICTER if then is None else Strength.WEAKER)
        return
    for part in ("deny", "approve", "jump"):
        old, new = getattr(then, part).of(), getattr(today, part).of()
        for word in dict.fromkeys((*new, *old)):
            if old.get(word) != new.get(word):
                # A jump is always how much worse it may be; the others say what it must keep to.
                more = part == "jump" or word not in AT_LEAST
                unset = float("inf") if more else float("-inf")
                strength = of_numbers(old.get(word), new.get(word), more=more, unset=unset)
                message = (
                    f"the bound `{part}.{word}` was {_said(old.get(word))}, it is {_said(new.get(word))}"
                )
                yield changed("gate", (*place, part, word), message, strength)
    if then.people != today.people:
        strength = of_numbers(then.people, today.people, more=False, unset=1)
        message = f"{then.people} had to approve, {today.people} have to"
        yield changed("gate", (*place, "people"), message, strength)
    if then.valid != today.valid:
        message = f"an approval held for {then.valid}, it holds for {today.valid}"
        yield changed("gate", (*place, "valid"), message, of_periods(then.valid, today.valid))
    if then.wait != today.wait:
        yield changed("gate", (*place, "wait"), f"a person was waited for {then.wait}, it is {today.wait}")


def _asked(before: WrittenPlan, now: WrittenPlan) -> Iterator[Drift]:
    """Answers, made-up tables and models leave, too: what they are, and what may be spent on them."""
    for name in dict.fromkeys((*now.budgets, *before.budgets)):
        place = (*_PRIVATE, "budgets", name)
        yield from _spending(place, "budget", name, before.budgets.get(name), now.budgets.get(name))
    for name in dict.fromkeys((*now.queries, *before.queries)):
        place = (*_PRIVATE, "queries", name)
        yield from _spending(place, "query", name, before.queries.get(name), now.queries.get(name))

    for word, what in (("synthetic", "synthesis"), ("models", "model")):
        old, new = getattr(before, word), getattr(now, word)
        for name in dict.fromkeys((*new, *old)):
            place = ("synthetic", "releases", name) if word == "synthetic" else (word, name)
            yield from _spending(place, what, name, old.get(name), new.get(name))


def _spending(
    place: Place, rule: str, name: str, then: Mapping[str, Any] | None, today: Mapping[str, Any] | None
) -> Iterator[Drift]:
    if then == today:
        return
    if then is None or today is None:
        said = "is new" if then is None else "is gone"
        strength = Strength.WEAKER if then is None else Strength.STRICTER
        yield changed(rule, place, f"the {rule} {name} {said}", strength)
        return
    words = _differing(then, today)
    old, new = then.get("spend", then), today.get("spend", today)
    losses = [loss for loss in _LOSSES if old.get(loss) != new.get(loss)]
    found = [
        Judged(_loss(old.get(loss), new.get(loss)), f"{loss} {_said(old.get(loss))} → {_said(new.get(loss))}")
        for loss in losses
    ]
    if [word for word in words if word not in (*_LOSSES, "spend")]:
        found.append(Judged(Strength.CHANGED, f"other words: {', '.join(words)}"))
    yield changed(rule, place, f"the {rule} {name} changed", together(found))


def _loss(then: Any, today: Any) -> Strength:
    """More loss is weaker; one that is not there cannot be compared, for another takes its place."""
    try:
        old, new = Decimal(str(then)), Decimal(str(today))
    except InvalidOperation:
        return Strength.CHANGED
    return Strength.WEAKER if old < new else Strength.STRICTER


def _said(value: Any) -> str:
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
