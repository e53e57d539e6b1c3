"""The plugin: light to import, since every Airflow process loads it."""

from __future__ import annotations

from typing import Any

from airflow.plugins_manager import AirflowPlugin

from airflow_veil.hooks.settings import base_path

PREFIX = "/veil"
"""Where the pages lie."""


class Pages:
    """The pages as an ASGI application that is made when it is first asked for: only API servers are."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request."""
        from airflow_veil.plugins.app import app

        await app()(scope, receive, send)


class VeilPlugin(AirflowPlugin):
    """Announces the suite to Airflow; the cluster policy and the provider have entry points of their own."""

    name = "airflow_veil"
    fastapi_apps = [{"app": Pages(), "url_prefix": PREFIX, "name": "Veil"}]  # noqa: RUF012 - Airflow's form
    external_views = [  # noqa: RUF012
        {
            "name": "Veil",
            "href": f"{base_path()}{PREFIX}/",
            "destination": "nav",
            "url_route": "veil",
            "category": "browse",
        }
    ]
