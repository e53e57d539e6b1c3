"""The pages in Airflow: closed to who is not logged in, in words, without a value of the data and with no markup."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from tests.unit.release.conftest import Shop, make_shop, night, people, shop
from tests.unit.release.test_gate import ASK, alike, approve, gated, publish

from airflow_veil.plugins.app import HEADERS, app
from airflow_veil.plugins.plugin import PREFIX, Pages, VeilPlugin
from airflow_veil.privacy.ledger.record import ReleaseRecord
from airflow_veil.privacy.release import service

__all__ = ["make_shop", "shop"]


class _Allowed:
    """An auth manager that knows one user, who may see assets or not."""

    def __init__(self, *, may: bool = True) -> None:
        self.may = may
        self.asked: list[str] = []

    async def get_user_from_token(self, token: str) -> str:
        if token != "good":
            from jwt import InvalidTokenError

            raise InvalidTokenError
        return "anna"

    def is_authorized_asset(self, *, method: str, details: Any, user: str) -> bool:
        self.asked.append(method)
        return self.may


@pytest.fixture
def manager(monkeypatch: pytest.MonkeyPatch) -> _Allowed:
    """Airflow's own check of tokens, with a user base of one."""
    from airflow.api_fastapi.core_api import security

    known = _Allowed()
    monkeypatch.setattr(security, "get_auth_manager", lambda: known)
    return known


@pytest.fixture
def outside(shop: Shop, manager: _Allowed, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    """Somebody without a token, at the pages of the shop as Airflow mounts them."""
    monkeypatch.setenv("VEIL_HOME", str(shop.path / "home"))
    airflow = FastAPI()
    airflow.mount(PREFIX, Pages())
    with TestClient(airflow) as client:
        yield client


@pytest.fixture
def inside(outside: TestClient) -> TestClient:
    """Somebody who is logged in, by the cookie that a frame has."""
    outside.cookies.set("_token", "good")
    return outside


def nights(shop: Shop, *sizes: int, gate: str = "{deny: {k: 1}, approve: {k: 2}}") -> list[str]:
    """A release a night, of people who are so many alike."""
    found = []
    for number, size in enumerate(sizes):
        shop.supply(alike(60, size))
        reference, _ = gated(shop, gate, number)
        found.append(publish(shop, reference).release_id)
    return found


class TestWhoMaySee:
    def test_no_route_is_open(self, outside: TestClient) -> None:
        """Whatever routes there are, each asks who is there; and there is no page of the API."""
        routes = [route.path for route in app().routes]  # type: ignore[attr-defined]

        assert routes == ["/", "/datasets/{policy}/{dataset}", "/releases/{release_id}", "/{anything:path}"]
        for path in (*routes, "/no/such/page", "/docs", "/openapi.json"):
            assert outside.get(PREFIX + path).status_code == 401
            assert outside.get(PREFIX + path, headers={"Authorization": "Bearer bad"}).status_code in (
                401,
                403,
            )

    def test_there_is_no_such_page(self, inside: TestClient) -> None:
        """Who is logged in is told so, in the frame of the pages."""
        answer = inside.get(f"{PREFIX}/no/such/page")

        assert answer.status_code == 404
        assert "there is no such page" in answer.text

    def test_who_may_not_see_assets(self, inside: TestClient, manager: _Allowed) -> None:
        """A user without the right is refused."""
        manager.may = False

        assert inside.get(f"{PREFIX}/").status_code == 403
        assert manager.asked == ["GET"]

    def test_only_reads(self, inside: TestClient) -> None:
        """There is nothing to post to."""
        assert inside.post(f"{PREFIX}/").status_code == 405
        assert all(route.methods == {"GET"} for route in app().routes)  # type: ignore[attr-defined]

    def test_headers(self, inside: TestClient, shop: Shop) -> None:
        """Every page, problems too, loads nothing and is framed by Airflow alone."""
        for path in ("/", "/releases/none", "/datasets/no/no"):
            answer = inside.get(PREFIX + path)
            assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS


class TestOverview:
    def test_before_the_first_release(self, inside: TestClient, shop: Shop) -> None:
        """Says what to do."""
        assert "Nothing was released yet" in inside.get(f"{PREFIX}/").text

    def test_current_release(self, inside: TestClient, shop: Shop) -> None:
        """One row a data set: what is current, until when, with its figures and what the gate said."""
        first, last = nights(shop, 3, 4)

        page = inside.get(f"{PREFIX}/").text

        assert f"{PREFIX}/releases/{last}" in page
        assert first not in page
        assert f'href="{PREFIX}/datasets/shop/people"' in page
        assert "went out by itself" in page
        assert 'title="Size of the smallest group of look-alikes">k<' in page
        assert '<td class="n">4</td>' in page
        assert '<td class="n">100 %</td>' in page

    def test_what_waits(self, inside: TestClient, shop: Shop) -> None:
        """Why, since when, and by whom it is approved; not once it is published."""
        shop.supply(people())
        reference, _ = gated(shop, ASK)
        approve(shop, reference, "anna")

        page = inside.get(f"{PREFIX}/").text
        assert "Waits for approval" in page
        assert "1 of 2 approved: Anna" in page
        assert (
            "Size of the smallest group of look-alikes: it is beyond what goes out without approval." in page
        )
        assert 'href="/required_actions"' in page
        framed = inside.get(f"{PREFIX}/", headers={"sec-fetch-dest": "iframe"}).text
        assert 'href="/required_actions"' not in framed

        approve(shop, reference, "ben")
        publish(shop, reference)
        assert "Waits for approval" not in inside.get(f"{PREFIX}/").text

    def test_what_nobody_answered(
        self, inside: TestClient, shop: Shop, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """After its time it does not wait any more."""
        from airflow_veil.privacy.release import overview

        gated(shop, ASK)
        now = datetime.now(UTC)

        assert len(overview.waiting(shop.ledger, now)) == 1
        assert overview.waiting(shop.ledger, now + timedelta(days=1, minutes=1)) == ()

    def test_what_was_rejected(self, inside: TestClient, shop: Shop) -> None:
        """A no is an answer."""
        reference, _ = gated(shop, ASK)
        told = {"by": "anna", "name": "Anna", "at": datetime.now(UTC), "reason": "too few people"}
        service.reject(shop.workspace(), reference, actor="airflow:gate", **told)

        assert "Waits for approval" not in inside.get(f"{PREFIX}/").text


class TestDataset:
    def test_figures_over_time(self, inside: TestClient, shop: Shop) -> None:
        """A chart a figure, its bounds dashed, each point a way to its card; each release in a table."""
        made = nights(shop, 3, 4, 6)

        page = inside.get(f"{PREFIX}/datasets/shop/people").text

        assert page.count("<svg ") == page.count("<figure>") == len(re.findall(r"<title>(?!Veil)", page)) >= 2
        assert "3 releases, from 3 to 6" in page
        for release in made:
            assert f'xlink:href="{PREFIX}/releases/{release}"' in page
            assert f'<a href="{PREFIX}/releases/{release}">' in page
        assert "never beyond" in page
        assert "approval beyond" in page
        assert "replaced by a newer one" in page

    def test_colours_are_those_of_the_page(self, inside: TestClient, shop: Shop) -> None:
        """So that it is read on light and on dark paper; nothing is fixed to white or black."""
        nights(shop, 3, 4)

        drawn = re.findall(r"<svg .*?</svg>", inside.get(f"{PREFIX}/datasets/shop/people").text, re.DOTALL)

        assert drawn
        for each in drawn:
            assert "var(--s1)" in each
            assert set(re.findall(r"#[0-9a-f]{6}\b", each)) <= {"#ffffff"}
            assert "<script" not in each

    def test_without_figures(self, inside: TestClient, shop: Shop) -> None:
        """A release that nobody measured has none, and the page says so."""
        shop.release(night(1))

        page = inside.get(f"{PREFIX}/datasets/shop/people").text
        assert "No figure was measured" in page or "<svg " in page

    def test_unknown(self, inside: TestClient, shop: Shop) -> None:
        """A page that says so."""
        answer = inside.get(f"{PREFIX}/datasets/shop/nobody")

        assert answer.status_code == 404
        assert "there is no release of shop.nobody" in answer.text


class TestCard:
    def test_is_the_card(self, inside: TestClient, shop: Shop) -> None:
        """The one that `veil releases card` writes, with a way back."""
        (made,) = nights(shop, 3)

        page = inside.get(f"{PREFIX}/releases/{made}").text

        assert "Release card" in page
        assert f'href="{PREFIX}/datasets/shop/people"' in page
        assert "made coarser" in page

    def test_of_what_is_not_published(self, inside: TestClient, shop: Shop) -> None:
        """There is no card yet."""
        reference, _ = gated(shop, ASK)

        assert inside.get(f"{PREFIX}/releases/{reference.release_id}").status_code == 404


class TestNothingGetsOut:
    def test_no_value(self, inside: TestClient, shop: Shop) -> None:
        """Names, counts and figures only, on every page; and the control is found where it is."""
        made = nights(shop, 3, 4)
        gated(shop, ASK, 5)
        pages = [f"{PREFIX}/", f"{PREFIX}/datasets/shop/people", *(f"{PREFIX}/releases/{r}" for r in made)]

        told = "".join(inside.get(page).text for page in pages)

        assert "Canary" in str(people().to_pylist())
        for value in ("Canary", "@example.org", "7946", "secret 1"):
            assert value not in told

    def test_names_are_no_markup(self, inside: TestClient, shop: Shop) -> None:
        """Whoever wrote a name or a reason."""
        evil = '"><script>x</script>'
        shop.ledger.begin_release(
            ReleaseRecord(
                release_id="r1",
                policy=evil,
                dataset=evil,
                destination="file:///x",
                run_key="1",
                policy_digest="0" * 64,
                plan_digest="0" * 64,
            ),
            actor="test",
        )
        shop.ledger.publish("r1", {"source_schema": {}}, rows_out=1, actor="test")

        for path in ("/", "/datasets/%22%3E%3Cscript%3Ex/y", "/releases/%3Cscript%3E"):
            assert "<script" not in inside.get(PREFIX + path).text
        assert "&lt;script&gt;" in inside.get(f"{PREFIX}/").text

    def test_a_ledger_that_is_not_there(
        self, inside: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Is said in words, and is not made by looking."""
        monkeypatch.setenv("VEIL_HOME", str(tmp_path / "empty"))

        answer = inside.get(f"{PREFIX}/")

        assert answer.status_code == 503
        assert "there is no ledger yet" in answer.text
        assert not (tmp_path / "empty").exists()

    def test_an_old_ledger(self, inside: TestClient, shop: Shop) -> None:
        """Is not upgraded by looking."""
        import sqlite3

        file = shop.path / "home" / "ledger.db"
        with sqlite3.connect(file) as db:
            db.execute("UPDATE ledger_version SET version_num = '0001'")
        before = file.read_bytes()

        answer = inside.get(f"{PREFIX}/")

        assert answer.status_code == 503
        assert "version 0001" in answer.text
        assert file.read_bytes() == before


class TestPlugin:
    def test_entry(self) -> None:
        """One entry under Browse, shown within Airflow."""
        (view,) = VeilPlugin.external_views
        (mounted,) = VeilPlugin.fastapi_apps

        assert (view["href"], view["url_route"], view["category"]) == ("/veil/", "veil", "browse")
        assert mounted["url_prefix"] == "/veil"

    def test_under_a_path(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where Airflow lies under a path, so do the pages."""
        from airflow_veil.hooks.settings import base_path

        monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://example.org/team/airflow/")

        assert base_path() == "/team/airflow"

    def test_costs_workers_nothing(self) -> None:
        """Who loads the plugin loads no web framework of ours and no library of charts."""
        code = (
            "import airflow.plugins_manager, sys; before = set(sys.modules); import airflow_veil.plugins.plugin;"
            "print(sorted({n.split('.')[0] for n in set(sys.modules) - before}"
            " & {'fastapi', 'matplotlib', 'starlette', 'jinja2', 'markupsafe', 'pyarrow', 'numpy', 'sqlalchemy'}))"
        )

        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd="/"
        )

        assert done.stdout.splitlines()[-1] == "[]"
