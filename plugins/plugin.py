"""The plugin: light to import, since every Airflow process loads it."""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin


class VeilPlugin(AirflowPlugin):
    """Announces the suite to Airflow; the cluster policy and the provider have entry points of their own."""

    name = "airflow_veil"
