"""The pages of the suite in Airflow: releases and their cards, how figures change, what waits for approval.

They read the ledger and change nothing. Every route asks Airflow who is there: airflow.apache.org says that a mounted
application inherits no check. Releases are Assets of Airflow, so whoever may see assets may see them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

from airflow.api_fastapi.core_api.security import requires_access_asset
from fastapi import Depends, FastAPI, Request
from fastapi.responses import HTMLResponse
from markupsafe import Markup

from airflow_veil.hooks.ledger import LedgerHook
from airflow_veil.hooks.settings import page_ledger
from airflow_veil.privacy.errors import ReleaseError, VeilError
from airflow_veil.privacy.gate import said
from airflow_veil.privacy.pages import chart
from airflow_veil.privacy.pages.frame import template
from airflow_veil.privacy.release import card, overview

if TYPE_CHECKING:
    from jinja2 import Template

    from airflow_veil.privacy.ledger.ledger import Ledger

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'; "
    "base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
"""Nothing is loaded, nothing is kept, and only Airflow itself may frame a page."""
STATES = {
    "staged": "not published",
    "current": "current",
    "superseded": "replaced by a newer one",
    "rolled_back": "found bad, and rolled back",
    "expired": "expired",
    "discarded": "never published",
}
"""What each state is, in plain words."""
OUTCOMES = {
    "allow": ("went out by itself", "good"),
    "approval": ("needs approval", "wait"),
    "deny": ("denied", "bad"),
}
"""What the gate says, in plain words, and how it looks."""
_BOUNDS = {"deny": "never beyond", "approve": "approval beyond"}


@cache
def app() -> FastAPI:
    """The application; no route of it is open to who is not logged in."""
    made = FastAPI(
        title="Veil",
        dependencies=[Depends(requires_access_asset("GET"))],
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
    )
    made.add_api_route("/", _overview, response_class=HTMLResponse)
    made.add_api_route("/datasets/{policy}/{dataset}", _dataset, response_class=HTMLResponse)
    made.add_api_route("/releases/{release_id}", _release, response_class=HTMLResponse)
    # Who is not logged in does not learn which pages there are.
    made.add_api_route("/{anything:path}", _nothing, response_class=HTMLResponse)
    made.add_exception_handler(VeilError, _problem)
    return made


@contextmanager
def _opened() -> Iterator[Ledger]:
    with LedgerHook(page_ledger()).look() as ledger:
        yield ledger


def _at(request: Request) -> str:
    """Where the pages lie, for links: Airflow may lie under a path of its own."""
    return str(request.scope.get("root_path", "")).rstrip("/")


Root = Annotated[str, Depends(_at)]


def _overview(request: Request, root: Root) -> HTMLResponse:
    now = datetime.now(UTC)
    with _opened() as ledger:
        latest, waiting = overview.latest(ledger, now), overview.waiting(ledger, now)
    # In Airflow's frame a link out of it would open Airflow within Airflow.
    framed = request.headers.get("sec-fetch-dest") == "iframe"
    answer_at = None if framed else f"{root.rpartition('/')[0]}/required_actions"
    told: dict[str, Any] = {
        "latest": latest,
        "words": _words(latest),
        "waiting": waiting,
        "answer_at": answer_at,
    }
    return _page("overview.html", root=root, now=now, **told)


def _dataset(policy: str, dataset: str, root: Root) -> HTMLResponse:
    now = datetime.now(UTC)
    with _opened() as ledger:
        found = overview.history(ledger, policy, dataset, now)
    charts = [_chart(line, root) for line in found.lines]
    told: dict[str, Any] = {"history": found, "words": _words(found.releases), "charts": charts}
    return _page("dataset.html", root=root, now=now, policy=policy, dataset=dataset, **told)


def _release(release_id: str, root: Root) -> HTMLResponse:
    with _opened() as ledger:
        record = ledger.release(release_id)
    if record.manifest is None or record.published_at is None:
        raise ReleaseError(
            f"the release is {record.state}, and has no card yet", fix="look again when it is published"
        )
    back = f"{root}/datasets/{quote(record.policy, safe='')}/{quote(record.dataset, safe='')}"
    return HTMLResponse(card.html(card.card(record.manifest), back=back), headers=HEADERS)


def _nothing(anything: str) -> HTMLResponse:  # noqa: ARG001 - its name makes it the path
    raise ReleaseError("there is no such page", fix="begin at the overview")


async def _problem(request: Request, error: Exception) -> HTMLResponse:
    """What cannot be shown, in the words of the suite, which hold no value and no secret."""
    status = 404 if isinstance(error, ReleaseError) else 503
    return _page("problem.html", status=status, root=_at(request), problem=error)


def _chart(line: overview.Line, root: str) -> dict[str, Any]:
    """A figure over time: its title, what it is now, and its drawing, whose points lead to the cards."""
    (_, first, _), (_, last, _) = line.points[0], line.points[-1]
    title, now = said.WORDS[line.word], said.figure(line.word, _whole(last))
    drawn = chart.over_time(
        [(at, value) for at, value, _ in line.points],
        bounds={_BOUNDS[part]: bound for part, bound in line.bounds.items()},
        spelled=lambda value: said.figure(line.word, _whole(value)),
        highest=None if line.word in (*said.WHOLE, "association_max") else 1.0,
        links=[f"{root}/releases/{quote(name, safe='')}" for _, _, name in line.points],
    )
    was = f"{len(line.points)} releases, from {said.figure(line.word, _whole(first))} to {now}"
    return {"title": title, "now": now, "svg": Markup(chart.svg(drawn, title=title, describe=was))}  # noqa: S704


def _figure(figures: Mapping[str, Any], word: str) -> str:
    """A figure in words; nothing where it was not measured or does not apply."""
    return "" if figures.get(word) is None else said.figure(word, figures[word])


def _words(releases: Iterable[overview.Seen]) -> list[str]:
    """The figures that one of some releases has, in the order of the words."""
    there = {word for each in releases for word, value in each.figures.items() if value is not None}
    return [word for word in said.WORDS if word in there]


def _gate(of: tuple[str, object]) -> tuple[str, str]:
    """What the gate said of a release, and how it looks."""
    outcome, published = of
    return ("approved", "good") if outcome == "approval" and published else OUTCOMES.get(outcome, ("", ""))


def _whole(value: float) -> float:
    return int(value) if float(value).is_integer() else round(value, 4)


def _page(name: str, *, status: int = 200, **told: Any) -> HTMLResponse:
    return HTMLResponse(_template(name).render(**told), status_code=status, headers=HEADERS)


@cache
def _template(name: str) -> Template:
    filters: dict[str, Callable[..., Any]] = {
        "day": lambda at: f"{at:%Y-%m-%d %H:%M} UTC" if at else "",
        "state": lambda state: STATES[str(state)],
        "gate": _gate,
        "reason": said.reason,
        "figure": _figure,
        "word": said.WORDS.__getitem__,
        "short": lambda word: said.SHORT.get(word, said.WORDS[word]),
        "segment": lambda text: quote(text, safe=""),
    }
    return template(__package__, name, filters)
