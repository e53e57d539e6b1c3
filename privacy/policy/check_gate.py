"""Checks what `release.gate` means: bounds that can bite, figures that there are, periods that fit.

Each rule is a function, as in `check`; nothing here reads data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from airflow_veil.privacy.period import after
from airflow_veil.privacy.policy.finding import Finding
from airflow_veil.privacy.policy.gate import Gate
from airflow_veil.privacy.policy.load import LoadedPolicy
from airflow_veil.privacy.policy.models import Column, ColumnClass, Dataset
from airflow_veil.privacy.policy.source_map import Path
from airflow_veil.privacy.policy.utility import NOT_MEASURED, SAME_VALUES
from airflow_veil.privacy.transforms.generalize import Generalize

AT_LEAST = frozenset({"k", "distinct_l", "kept_rows"})
"""Figures that are worse where they are smaller; all others are worse where they are greater."""
OF_RISK = frozenset({"k", "distinct_l", "prosecutor_max", "average_max", "unique_max", "t_max"})
"""Figures of quasi-identifiers."""
OF_SENSITIVE = frozenset({"distinct_l", "t_max"})
"""Figures of sensitive columns, too."""
OF_UTILITY = frozenset({"distance_max", "association_max", "loss_max", "score_drop_max"})
"""Figures of utility for which the source is read once more."""
_COMPARED = {"distance_max": 1, "association_max": 2}
"""How many columns must be comparable with the source for a figure."""
_OF_NUMBERS = ("width", "edges", "round_to", "digits", "bottom", "top", "geo")
"""The forms of `generalize` that numbers have."""
_PLACE: Path = ("release", "gate")
_DAY = datetime(2024, 1, 1, tzinfo=UTC)
"""Where periods are counted from, to compare them."""


def _gate(loaded: LoadedPolicy) -> Gate | None:
    return loaded.policy.release.gate if loaded.policy.release else None


def _something(loaded: LoadedPolicy) -> Iterator[Finding]:
    """A gate has a bound, or it would let through whatever comes; and who approves is asked by something."""
    gate = _gate(loaded)
    if gate is None:
        return
    asks = {**gate.approve.of(), **gate.jump.of()}
    if not asks and not gate.deny.of():
        message = "this gate lets every release through"
        yield loaded.finding(_PLACE, "gate-nothing", message, "write a bound, as `deny: {k: 5}`")
    elif gate.people > 1 and not asks:
        message = "nothing has to be approved"
        yield loaded.finding(
            (*_PLACE, "people"), "gate-people", message, "write a bound under `approve`, or remove `people`"
        )


def _order(loaded: LoadedPolicy) -> Iterator[Finding]:
    """What is denied is denied before anybody is asked: the bound of `approve` is the stricter one."""
    gate = _gate(loaded)
    if gate is None:
        return
    for word, asked in gate.approve.of().items():
        denied = gate.deny.of().get(word)
        if denied is not None and (asked <= denied if word in AT_LEAST else asked >= denied):
            yield loaded.finding(
                (*_PLACE, "approve", word),
                "gate-order",
                f"nobody is ever asked: {denied} under `deny` is as strict as {asked}",
                f"write a {'greater' if word in AT_LEAST else 'smaller'} bound here, or remove it",
            )


def _figures(loaded: LoadedPolicy) -> Iterator[Finding]:
    """A bound is on a figure that some release of this policy has."""
    gate = _gate(loaded)
    if gate is None:
        return
    for part, bounds in (("deny", gate.deny), ("approve", gate.approve), ("jump", gate.jump)):
        for word in bounds.of():
            if missing := _missing(loaded, word):
                problem, fix = missing
                yield loaded.finding(
                    (*_PLACE, part, word), "gate-figure", f"there is no such figure: {problem}", fix
                )


def _missing(loaded: LoadedPolicy, word: str) -> tuple[str, str] | None:
    """Why no release of this policy, or not each, has a figure; and what helps."""
    kinds = {column.column_class for data in loaded.policy.datasets.values() for column in _leaving(data)}
    classes = "give the columns their classes, or remove it"
    if word in OF_RISK and ColumnClass.QUASI_IDENTIFIER not in kinds:
        return "no quasi-identifier leaves", classes
    if word in OF_SENSITIVE and ColumnClass.SENSITIVE not in kinds:
        return "no sensitive column leaves", classes
    if word == "budget_max" and loaded.policy.differential_privacy is None:
        return "the policy has no privacy budget", "write `differential_privacy.budgets`, or remove it"
    return _missing_utility(loaded, word)


def _missing_utility(loaded: LoadedPolicy, word: str) -> tuple[str, str] | None:
    if word == "association_max" and not _pairs(loaded):
        return "`release.utility` leaves out `pairs`", "write `pairs: true`, or remove the bound"
    if word == "score_drop_max" and (none := _without_target(loaded)):
        fix = "name a target as `utility: {targets: {data set: column}}`, or remove the bound"
        return f"no target under `release.utility` for {', '.join(none)}", fix
    if (needed := _COMPARED.get(word)) and (none := _too_changed(loaded, needed)):
        problem = f"fewer than {needed} columns" if needed > 1 else "no column"
        fix = "remove the bound, or let columns be numbers and categories as they are in the source"
        return f"{problem} of {', '.join(none)} can be compared with the source", fix
    return None


def _leaving(data: Dataset) -> list[Column]:
    return [column for column in data.columns.values() if column.transform.word != "drop"]


def _too_changed(loaded: LoadedPolicy, needed: int) -> tuple[str, ...]:
    """The data sets that leave with too few columns whose values may be read as the source's are."""
    return tuple(
        name
        for name, data in loaded.policy.datasets.items()
        if data.releases_rows and sum(_may_be_compared(column) for column in _leaving(data)) < needed
    )


def _may_be_compared(column: Column) -> bool:
    """A coarser number may be one still; whether it is, is known when the column is bound."""
    if column.column_class in NOT_MEASURED:
        return False
    if isinstance(column.transform, Generalize):
        return any(getattr(column.transform, form) is not None for form in _OF_NUMBERS)
    return column.transform.word in SAME_VALUES


def _targets(loaded: LoadedPolicy) -> Iterator[Finding]:
    """A model's target is a column that leaves, and no identifier."""
    told = loaded.policy.release.utility if loaded.policy.release else None
    for dataset, name in (told.targets if told else {}).items():
        data = loaded.policy.datasets.get(dataset)
        column = data.columns.get(name) if data else None
        if column is None or column.transform.word == "drop" or column.column_class in NOT_MEASURED:
            yield loaded.finding(
                ("release", "utility", "targets", dataset),
                "utility-target",
                f"{name} is no column of {dataset} that a model can be tried on",
                "name a column that leaves, and that is neither a direct identifier nor free text",
            )


def _pairs(loaded: LoadedPolicy) -> bool:
    told = loaded.policy.release.utility if loaded.policy.release else None
    return told is None or told.pairs


def _without_target(loaded: LoadedPolicy) -> tuple[str, ...]:
    """The data sets that leave and have no target."""
    told = loaded.policy.release.utility if loaded.policy.release else None
    targets = told.targets if told else {}
    return tuple(
        name for name, data in loaded.policy.datasets.items() if data.releases_rows and name not in targets
    )


def _periods(loaded: LoadedPolicy) -> Iterator[Finding]:
    """People are waited for, and not longer than what is staged lies there."""
    gate, release = _gate(loaded), loaded.policy.release
    if gate is None or release is None:
        return
    for word in ("valid", "wait"):
        period = getattr(gate, word)
        if _end(period) is None or _end(period) == _DAY:
            message = f"{period} is no time that can be waited for"
            yield loaded.finding((*_PLACE, word), "gate-period", message, "write a period such as P1D")
            return
    waited, staged = _end(gate.wait, gate.people), _end(release.staging_expires_after)
    if waited is not None and staged is not None and waited > staged:
        yield loaded.finding(
            (*_PLACE, "wait") if "wait" in gate.model_fields_set else _PLACE,
            "gate-wait",
            f"{gate.people} times {gate.wait} is longer than what is staged may lie, {release.staging_expires_after}",
            "write a longer `staging_expires_after` under `release`, or a shorter `wait`",
        )


def _end(period: str, times: int = 1) -> datetime | None:
    try:
        return after(_DAY, period, times=times)
    except (ValueError, OverflowError):
        return None


RULES: tuple[Callable[[LoadedPolicy], Iterator[Finding]], ...] = (
    _something,
    _order,
    _figures,
    _targets,
    _periods,
)
"""What `check` runs of this section."""
