"""Against a live Airflow API server: provider, connection forms and test button, and the pages behind a login."""

from __future__ import annotations

import json
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from tests.airflow_home import AirflowHome

from airflow_veil.privacy.keys.file import KeyFile
from airflow_veil.privacy.ledger.ledger import Ledger

pytestmark = pytest.mark.airflow


@dataclass
class Server:
    """A running API server, and a token for it."""

    home: AirflowHome
    url: str
    token: str = ""

    def page(self, path: str, *, cookie: bool) -> tuple[int, str]:
        """A page, asked for as a frame of Airflow does, with its cookie or without."""
        request = urllib.request.Request(self.url + path)
        if cookie:
            request.add_header("Cookie", f"_token={self.token}")
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def call(self, path: str, body: dict[str, Any] | None = None) -> Any:
        request = urllib.request.Request(self.url + path, method="POST" if body is not None else "GET")
        request.add_header("Content-Type", "application/json")
        if self.token:
            request.add_header("Authorization", f"Bearer {self.token}")
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(request, data, timeout=30) as answer:
            return json.load(answer)


@pytest.fixture
def server(airflow_home: Callable[..., AirflowHome]) -> Iterator[Server]:
    """`airflow api-server` on a free port, until the test ends."""
    home = airflow_home(
        AIRFLOW__CORE__TEST_CONNECTION="Enabled",
        AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS="False",
        AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS="admin:admin",
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ["airflow", "api-server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    with (home.path / "server.log").open("w") as log:
        process = subprocess.Popen(
            command, env=home.environment(), stdout=log, stderr=log, start_new_session=True
        )
    running = Server(home, f"http://127.0.0.1:{port}")
    try:
        running.token = _token(running, process)
        yield running
    finally:
        process.terminate()
        process.wait(30)


def _token(running: Server, process: subprocess.Popen[bytes]) -> str:
    """A token, as soon as the server gives one."""
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline and process.poll() is None:
        try:
            passwords = json.loads(
                (running.home.path / "simple_auth_manager_passwords.json.generated").read_text()
            )
            told = {"username": "admin", "password": passwords["admin"]}
            return str(running.call("/auth/token", told)["access_token"])
        except (urllib.error.URLError, ConnectionError, FileNotFoundError):
            time.sleep(1)
    raise AssertionError((running.home.path / "server.log").read_text()[-3000:])


class TestLiveServer:
    def test_provider_forms_and_test_button(self, server: Server) -> None:
        """Airflow lists the provider and the plugin, draws both forms, and its test button opens ring and ledger."""
        ring = server.home.veil / "keys.json"
        good = {"connection_id": "keys", "conn_type": "veil_keys", "extra": json.dumps({"file": str(ring)})}
        bad = {**good, "extra": json.dumps({"file": str(ring.with_name("none.json"))})}
        closed = {
            "host": "127.0.0.1",
            "port": 1,
            "login": "veil",
            "password": "very-secret",
            "schema": "veil",
        }

        listed = server.call("/api/v2/providers?limit=100")["providers"]
        plugins = server.call("/api/v2/plugins")["plugins"]
        errors = server.call("/api/v2/plugins/importErrors")
        forms = {form["connection_type"]: form for form in server.call("/ui/connections/hook_meta")}

        assert "airflow-veil" in {provider["package_name"] for provider in listed}
        assert "airflow_veil" in {plugin["name"] for plugin in plugins}
        assert errors["total_entries"] == 0
        assert forms["veil_keys"]["extra_fields"]["file"]["schema"]["title"] == "Key file"
        assert forms["veil_keys"]["standard_fields"]["host"]["hidden"]
        assert forms["veil_ledger"]["standard_fields"]["url_schema"]["title"] == "Database"

        assert server.call("/api/v2/connections/test", good) == {
            "status": True,
            "message": f"Key ring with current version {KeyFile(ring).load().current}",
        }
        refused = server.call("/api/v2/connections/test", bad)
        assert not refused["status"]
        unreachable = server.call(
            "/api/v2/connections/test", {"connection_id": "ledger", "conn_type": "veil_ledger", **closed}
        )
        assert not unreachable["status"]
        assert "very-secret" not in unreachable["message"]

        self._pages(server)

    def _pages(self, server: Server) -> None:
        """The pages stand in Airflow's menu, and are closed to who is not logged in."""
        listed = server.call("/api/v2/plugins")["plugins"]
        (plugin,) = (each for each in listed if each["name"] == "airflow_veil")
        (view,) = plugin["external_views"]
        assert (view["href"], view["url_route"], view["destination"]) == ("/veil/", "veil", "nav")

        Ledger.open(server.home.veil / "ledger.db").close()
        for path in ("/veil/", "/veil/datasets/shop/people", "/veil/releases/none"):
            assert server.page(path, cookie=False)[0] == 401
        status, page = server.page("/veil/", cookie=True)
        assert status == 200
        assert "Nothing was released yet" in page
        assert server.page("/veil/releases/none", cookie=True)[0] == 404
        assert server.page("/veil/openapi.json", cookie=True)[0] == 404
