"""What of a plan changed: the one that was committed against the one that the policy gives today.

A pure function of two plans. Each difference has a rule, a place in the policy, plain words, and whether it shows more
of people than before (`strength.py`). What is not known of one of the two, as the types of a source that was not looked
at, is not compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from airflow_veil.privacy.plan.difference import Drift, Place, changed
from airflow_veil.privacy.plan.drift_bounds import of_bounds
from airflow_veil.privacy.plan.strength import Judged, Strength, of_numbers, of_treatments
from airflow_veil.privacy.plan.treatment_text import treatment_text
from airflow_veil.privacy.plan.written import WrittenColumn, WrittenDataset, WrittenPlan

_RANK = {"none": 0, "sensitive": 1, "quasi_identifier": 2, "free_text": 3, "direct_identifier": 3}
"""How much is looked after for a class: less than before is weaker."""


def drift(before: WrittenPlan, now: WrittenPlan) -> tuple[Drift, ...]:
    """Everything in which two plans of a policy differ.

    Args:
        before: The plan that was committed.
        now: The plan that the policy gives today.

    Returns:
        The differences, data set by data set, then those of the policy as a whole; none if nothing changed that is
        known of both.
    """
    found = [each for name in _names(before.datasets, now.datasets) for each in _dataset(before, now, name)]
    if before.policy != now.policy:
        found.append(changed("name", ("name",), f"the policy's name was {before.policy}, it is {now.policy}"))
    return (*found, *of_bounds(before, now))


def _names(before: Iterable[str], now: Iterable[str]) -> tuple[str, ...]:
    """The names of both, those of today first."""
    return tuple(dict.fromkeys((*now, *before)))


def _dataset(before: WrittenPlan, now: WrittenPlan, name: str) -> Iterator[Drift]:
    place: Place = ("datasets", name)
    then, today = before.datasets.get(name), now.datasets.get(name)
    if today is None:
        yield changed("dataset", place, f"the data set {name} is gone", Strength.STRICTER)
        return
    if then is None:
        leaving = [column for column, each in today.columns.items() if each.leaves]
        message = f"the data set {name} is new, and leaves with {', '.join(leaving) or 'no column'}"
        yield changed("dataset", place, message, Strength.WEAKER if leaving else Strength.CHANGED)
        return
    for column in _names(then.columns, today.columns):
        yield from _column(before, now, name, column)
    yield from _rows(place, then, today)
    yield from _words(place, then, today)


def _column(before: WrittenPlan, now: WrittenPlan, dataset: str, name: str) -> Iterator[Drift]:
    then, today = before.datasets[dataset].columns.get(name), now.datasets[dataset].columns.get(name)
    place: Place = ("datasets", dataset, "columns", name)
    left, leaves = then is not None and then.leaves, today is not None and today.leaves
    column = f"{dataset}.{name}"
    if leaves and not left:
        how = treatment_text(today.treat) if today else ""
        was = "was not named" if then is None else f"was under `{treatment_text(then.treat)}`"
        yield changed(
            "leaves", place, f"{column} leaves now under `{how}`, and did not: it {was}", Strength.WEAKER
        )
    elif left and not leaves:
        yield changed("leaves", place, f"{column} does not leave any more", Strength.STRICTER)
    elif then is None or today is None:
        said = "is named now" if then is None else "is not named any more"
        yield changed("named", place, f"{column} {said}; it does not leave")
    if then is None or today is None:
        return
    yield from _class(place, column, then, today)
    if left and leaves:
        yield from _treatment(place, column, then, today)
        yield from _domain(before, now, place, then, today)
        yield from _types(place, column, then, today, alike=before.types_of == now.types_of)


def _class(place: Place, column: str, then: WrittenColumn, today: WrittenColumn) -> Iterator[Drift]:
    if then.column_class != today.column_class:
        old, new = _RANK.get(then.column_class, 0), _RANK.get(today.column_class, 0)
        less = "checks and figures of risk look at it less than before"
        judged = (
            Judged(Strength.WEAKER, less)
            if new < old
            else Judged(Strength.STRICTER if old == 0 else Strength.CHANGED)
        )
        message = f"{column} was declared {then.column_class}, it is declared {today.column_class}"
        yield changed("class", (*place, "class"), message, judged)
    if then.category != today.category:
        message = f"{column} had the category {then.category or 'none'}, it has {today.category or 'none'}"
        yield changed("category", (*place, "category"), message)
    if then.unsafe_reason != today.unsafe_reason:
        if today.unsafe_reason is None:
            strength, said = Strength.STRICTER, "is not excepted from a check any more"
        elif then.unsafe_reason is None:
            strength, said = Strength.WEAKER, "is excepted from a check now"
        else:
            strength, said = Strength.CHANGED, "is excepted from a check for another reason"
        yield changed("unsafe-reason", (*place, "unsafe_reason"), f"{column} {said}", strength)


def _treatment(place: Place, column: str, then: WrittenColumn, today: WrittenColumn) -> Iterator[Drift]:
    at = (*place, "treat")
    judged = of_treatments(_no_domain(then), _no_domain(today), then.promises, today.promises)
    was, is_ = treatment_text(then.treat), treatment_text(today.treat)
    if _no_domain(then) != _no_domain(today):
        said = {
            Strength.WEAKER: "is treated weaker",
            Strength.STRICTER: "is treated more strictly",
            Strength.CHANGED: "is treated otherwise",
        }[judged.strength]
        yield changed("treatment", at, f"{column} {said}: `{was}` became `{is_}`", judged)
    elif set(then.promises) != set(today.promises):
        yield changed("treatment", at, f"{column}: `{is_}` promises other things than it did", judged)
    if then.inputs != today.inputs:
        made, before = (", ".join(each.inputs) or "itself alone" for each in (today, then))
        yield changed("inputs", at, f"{column} is made by {made}, it was by {before}")


def _no_domain(column: WrittenColumn) -> dict[str, dict[str, object]]:
    """The treatment without its key domain, which is looked at by itself."""
    return {
        word: {name: value for name, value in parameters.items() if name != "domain"}
        for word, parameters in column.treat.items()
    }


def _domain(
    before: WrittenPlan, now: WrittenPlan, place: Place, then: WrittenColumn, today: WrittenColumn
) -> Iterator[Drift]:
    """Another key domain is another set of tokens; where it is that of other columns, these can be joined."""
    if then.key_domain == today.key_domain:
        return
    here = (place[1], place[3])
    fresh = _joined(now, today.key_domain, here) - _joined(before, then.key_domain, here)
    strength = Strength.CHANGED
    said = "what was released before does not join with it"
    if fresh:
        strength, said = Strength.WEAKER, f"it can be joined with {', '.join(sorted(fresh))} now"
    message = (
        f"{'.'.join(here)} had the key domain {then.key_domain or 'none'},"
        f" it has {today.key_domain or 'none'}"
    )
    yield changed("key-domain", (*place, "treat"), message, Judged(strength, said))


def _joined(plan: WrittenPlan, domain: str | None, but: tuple[str, str]) -> set[str]:
    """The other columns that leave with tokens of a domain."""
    return {
        f"{dataset}.{name}"
        for dataset, data in plan.datasets.items()
        for name, column in data.columns.items()
        if domain is not None and column.leaves and column.key_domain == domain and (dataset, name) != but
    }


def _types(
    place: Place, column: str, then: WrittenColumn, today: WrittenColumn, *, alike: bool
) -> Iterator[Drift]:
    """Types as far as both plans know them; what both looked for and one did not find is a difference, too."""
    pairs = (
        ("is read as", then.source_type, today.source_type),
        ("leaves as", then.output_type, today.output_type),
    )
    for said, was, is_ in pairs:
        if was != is_ and (alike or (was is not None and is_ is not None)):
            unknown = "a type that is not declared"
            yield changed("type", place, f"{column} {said} {is_ or unknown}, it was {was or unknown}")


def _rows(place: Place, then: WrittenDataset, today: WrittenDataset) -> Iterator[Drift]:
    """Which rows leave."""
    name = place[1]
    if then.where != today.where:
        if today.where is None:
            yield changed("rows", place, f"all rows of {name} leave: `where` is gone", Strength.WEAKER)
        elif then.where is None:
            yield changed("rows", (*place, "where"), f"`where` is new in {name}", Strength.STRICTER)
        else:
            message = f"other rows of {name} leave: `where` was {then.where!r}, it is {today.where!r}"
            yield changed("rows", (*place, "where"), message)
    if then.sample != today.sample:
        strength = of_numbers(then.sample, today.sample, more=True, unset=1.0)
        message = f"the share of people of {name} that leaves was {_share(then.sample)}, it is {_share(today.sample)}"
        yield changed("rows", (*place, "sample"), message, strength)
    if then.unnamed is not None and today.unnamed is not None and set(then.unnamed) != set(today.unnamed):
        for column in _names(dict.fromkeys(then.unnamed), dict.fromkeys(today.unnamed)):
            if column not in today.columns and (column in then.unnamed) != (column in today.unnamed):
                said = "is new in the source" if column in today.unnamed else "is gone from the source"
                yield changed("unnamed", place, f"{name}.{column} {said}; the policy does not name it")


def _share(fraction: float | None) -> str:
    return "all" if fraction is None else f"{fraction:g}"


def _words(place: Place, then: WrittenDataset, today: WrittenDataset) -> Iterator[Drift]:
    """What a data set says besides its columns."""
    name = place[1]
    if (then.subject, then.subject_root) != (today.subject, today.subject_root):
        was, is_ = (each.subject or "nobody" for each in (then, today))
        strength = Strength.WEAKER if today.subject is None else Strength.CHANGED
        roots = f" ({then.subject_root or 'none'} → {today.subject_root or 'none'})"
        message = f"rows of {name} were those of {was}, they are those of {is_}{roots}"
        yield changed("subject", (*place, "subject"), message, strength)
    if then.on_new_column != today.on_new_column:
        strength = Strength.WEAKER if today.on_new_column == "drop" else Strength.STRICTER
        message = f"a new column of {name} was `{then.on_new_column}`, it is `{today.on_new_column}`"
        yield changed("new-column", (*place, "on_new_column"), message, strength)
    if then.expectations != today.expectations:
        strength = Strength.WEAKER if today.expectations is None else Strength.CHANGED
        was, is_ = (each.expectations or "nothing" for each in (then, today))
        message = f"{name} had to meet {was}, it has to meet {is_}"
        yield changed("expectations", (*place, "expectations"), message, strength)
    if then.source != today.source:
        yield changed("source", (*place, "source"), f"{name} is read from another place")
