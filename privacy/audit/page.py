"""A certificate as a page for people: one file of HTML that loads nothing, prints well, and says things in words."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from functools import cache
from typing import TYPE_CHECKING

from airflow_veil.privacy.pages.frame import template

if TYPE_CHECKING:
    from jinja2 import Template

    from airflow_veil.privacy.audit.certificate import Certificate


_COLUMNS = {
    "rows_deleted": "Rows deleted",
    "rows_masked": "Rows masked",
    "files_dropped": "Files removed",
    "files_rewritten": "Files rewritten",
}


def page(certificate: Certificate) -> str:
    """The page of a certificate that was issued."""
    total = {name: sum(getattr(each, name) for each in certificate.done) for name in _COLUMNS}
    # Rows that are deleted are what a reader looks for, also where there are none.
    columns = [(name, heading) for name, heading in _COLUMNS.items() if total[name] or name == "rows_deleted"]
    recorded = datetime.fromisoformat(certificate.log.entry["recorded_at"]) if certificate.log else None
    return _template().render(c=certificate, total=total, columns=columns, recorded=recorded)


@cache
def _template() -> Template:
    spelled: dict[str, Callable[..., str]] = {"count": _count, "moment": _moment, "day": _day}
    return template(__package__, "certificate.html", spelled)


def _count(number: int, one: str, many: str = "") -> str:
    """A number with its word: `1 row`, `12,000 rows`."""
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"


def _moment(moment: datetime) -> str:
    return f"{moment.day} {moment:%B %Y, %H:%M} {moment.tzname() or ''}".strip()


def _day(day: date) -> str:
    return f"{day.day} {day:%B %Y}"
