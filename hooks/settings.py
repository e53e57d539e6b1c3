"""The `[veil]` section of Airflow's configuration, over the environment variables of `privacy.settings`."""

from __future__ import annotations

import os

from airflow_veil.privacy.settings import Settings

SECTION = "veil"

OPTIONS = {
    "home": "VEIL_HOME",
    "data_root": "VEIL_DATA_ROOT",
    "staging": "VEIL_STAGING",
    "models": "VEIL_MODELS",
    "lineage": "VEIL_LINEAGE",
    "certificates": "VEIL_CERTIFICATES",
}
"""Option of the section to the environment variable that it goes before. The ledger's address and the key ring may
hold secrets: they come from connections."""


def settings() -> Settings:
    """The places of this Airflow installation."""
    from airflow.sdk import conf

    env = dict(os.environ)
    for option, variable in OPTIONS.items():
        value = conf.get(SECTION, option, fallback=None)
        if value:
            env[variable] = value
    return Settings.from_env(env)


def page_ledger() -> str | None:
    """The connection of the ledger that the page shows; None for the installation's own ledger."""
    from airflow.sdk import conf

    return conf.get(SECTION, "page_ledger_conn_id", fallback=None) or None


def base_path() -> str:
    """The path under which Airflow's pages are reached, without a slash at its end; empty at the root."""
    from urllib.parse import urlsplit

    from airflow.sdk import conf

    return urlsplit(conf.get("api", "base_url", fallback="")).path.rstrip("/")
