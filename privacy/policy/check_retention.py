"""Checks what `retention` means: a column with a time, a known zone, periods that are some, releases that exist.

Each rule is a function, as in `check`; nothing here reads data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from airflow_veil.privacy.period import before
from airflow_veil.privacy.policy.asked import nearest
from airflow_veil.privacy.policy.finding import Finding
from airflow_veil.privacy.policy.load import LoadedPolicy
from airflow_veil.privacy.policy.models import Column, Dataset, FileSource
from airflow_veil.privacy.policy.retention import Retention
from airflow_veil.privacy.policy.source_map import Path
from airflow_veil.privacy.transforms.family import Family

_DAYS = tuple(datetime(2023, 1, 1, tzinfo=UTC) + timedelta(days=day) for day in range(0, 1461, 7))
"""Days over four years: whether one period is longer than another can depend on the day."""


_CSV = (".csv", ".csv.gz", ".tsv", ".tsv.gz")
"""What the names of files end with whose columns are text unless a type is declared."""


@dataclass(frozen=True, slots=True)
class _Rule:
    """The retention of one data set, with its place in the file."""

    loaded: LoadedPolicy
    dataset: str
    data: Dataset
    rule: Retention

    def finding(self, place: Path, name: str, message: str, fix: str) -> Finding:
        return self.loaded.finding(
            ("datasets", self.dataset, "retention", *place), f"retention-{name}", message, fix
        )


def _rules(loaded: LoadedPolicy) -> Iterator[_Rule]:
    for dataset, data in loaded.policy.datasets.items():
        if data.retention is not None:
            yield _Rule(loaded, dataset, data, data.retention)


def _columns(loaded: LoadedPolicy) -> Iterator[Finding]:
    """The time of a row is a column that the policy names, of a type that is a time."""
    for each in _rules(loaded):
        name = each.rule.from_
        column = each.data.columns.get(name)
        if column is None:
            message = f"there is no column {name} among those that data set {each.dataset} names"
            yield each.finding(
                ("from",), "column", message, f"name {name} under `columns:` (it may be dropped)"
            )
        elif problem := _no_time(each.data, column):
            yield each.finding(
                ("from",), "type", f"column {name} {problem}", "name a column of dates or timestamps"
            )


def _no_time(data: Dataset, column: Column) -> str:
    """Why a column cannot tell the time of a row; empty where it can, or where only the source knows."""
    if column.family is not None and column.family not in (Family.DATE, Family.TIMESTAMP):
        return f"is of type {column.type}, which is no date and no time"
    if column.family is None and isinstance(data.source, FileSource) and data.source.uri.endswith(_CSV):
        return "of a CSV file declares no type, so it is text"
    return ""


def _zones(loaded: LoadedPolicy) -> Iterator[Finding]:
    """The zone is one that this installation knows."""
    for each in _rules(loaded):
        try:
            ZoneInfo(each.rule.time_zone)
        except (KeyError, ValueError, OSError):
            message = "this time zone is not known"
            yield each.finding(("time_zone",), "zone", message, "write a name such as UTC or Europe/Vienna")


def _periods(loaded: LoadedPolicy) -> Iterator[Finding]:
    """What is kept is kept for some time, and no longer than the calendar goes back."""
    for each in _rules(loaded):
        for word in ("after", "grace", "at_the_latest", "backups_expire_after"):
            period = getattr(each.rule, word)
            if period is None:
                continue
            if not _reaches(period):
                message = f"{period} leads beyond the calendar"
                yield each.finding((word,), "period", message, "write a period of some years at most")
            elif word != "grace" and before(_DAYS[0], period) == _DAYS[0]:
                yield each.finding((word,), "period", f"{period} has no length", "write a period such as P3Y")


def _archives(loaded: LoadedPolicy) -> Iterator[Finding]:
    """An archive keeps what it has for some time, and is not the source."""
    for each in _rules(loaded):
        archive = each.rule.archive
        if archive is None:
            continue
        place: Path = ("action", "archive")
        period, source = archive.expires_after, each.data.source
        if period is not None and not _reaches(period):
            message = f"{period} leads beyond the calendar"
            yield each.finding(
                (*place, "expires_after"), "period", message, "write a period of some years at most"
            )
        elif period is not None and before(_DAYS[0], period) == _DAYS[0]:
            message = f"{period} has no length"
            yield each.finding((*place, "expires_after"), "period", message, "write a period such as P10Y")
        if isinstance(source, FileSource) and source.uri.rstrip("/") == archive.to.rstrip("/"):
            message = "the archive is the source"
            yield each.finding((*place, "to"), "archive", message, "name another folder")


def _staging(loaded: LoadedPolicy) -> Iterator[Finding]:
    """What is staged may lie for some time: what a living task has staged for the next one is not to go under it."""
    release = loaded.policy.release
    period = None if release is None else release.staging_expires_after
    place, rule = ("release", "staging_expires_after"), "staging-period"
    if period is not None and not _reaches(period):
        message = f"{period} leads beyond the calendar"
        yield loaded.finding(place, rule, message, "write a period of some days")
    elif period is not None and before(_DAYS[0], period) == _DAYS[0]:
        yield loaded.finding(place, rule, f"{period} has no length", "write a period such as P1D")


def _reaches(period: str) -> bool:
    try:
        return before(before(_DAYS[0], period), "P100Y") < _DAYS[0]
    except (ValueError, OverflowError):
        return False


def _releases(loaded: LoadedPolicy) -> Iterator[Finding]:
    """Rows wait for releases that are made, and not for ever."""
    policy = loaded.policy
    queries = policy.differential_privacy.queries if policy.differential_privacy else {}
    known = {*(name for name, data in policy.datasets.items() if data.releases_rows), *queries}
    for each in _rules(loaded):
        for position, name in enumerate(each.rule.after_releases):
            if name not in known:
                message = f"nothing is released under the name {name}"
                yield each.finding(("after_releases", position), "release", message, nearest(name, known))
        if each.rule.after_releases and each.rule.at_the_latest is None:
            message = "rows would wait for releases without an end"
            yield each.finding(("after_releases",), "limit", message, "add `at_the_latest: <period>`")
        if each.rule.at_the_latest is not None and not each.rule.after_releases:
            message = "there is no release to wait for"
            yield each.finding(("at_the_latest",), "limit", message, "remove `at_the_latest`")


def _limits(loaded: LoadedPolicy) -> Iterator[Finding]:
    """The hard limit comes after the time at which rows go anyway, on every day."""
    for each in _rules(loaded):
        rule = each.rule
        periods = (rule.after, rule.grace, rule.at_the_latest)
        if rule.at_the_latest is None or not all(map(_reaches, filter(None, periods))):
            continue
        if any(
            before(day, rule.at_the_latest) >= before(before(day, rule.grace), rule.after) for day in _DAYS
        ):
            message = f"{rule.at_the_latest} is not longer than `after` with `grace`"
            yield each.finding(("at_the_latest",), "limit", message, "write a longer period")


RULES: tuple[Callable[[LoadedPolicy], Iterator[Finding]], ...] = (
    _columns,
    _zones,
    _periods,
    _archives,
    _releases,
    _limits,
    _staging,
)
"""What `check` runs of this section."""
