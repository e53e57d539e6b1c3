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
