"""Lineage's way into Airflow: records for the OpenLineage provider, and a place for its events.

The provider runs all of this in a process forked off the task, beside its work: what fails here costs an
event, never a task. The evidence of a release is in the ledger; events are its best-effort projection.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import MutableMapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage

    from airflow_veil.privacy.lineage.record import LineageRecord

log = logging.getLogger(__name__)

TRANSPORT = "AIRFLOW__OPENLINEAGE__TRANSPORT"
EMISSION_POLICY = "AIRFLOW__OPENLINEAGE__EMISSION_POLICY"

_NO_SOURCE_CODE = [{"scope": {}, "controls": {"include_source_code": False}}]


def operator_lineage(*records: LineageRecord | None) -> OperatorLineage[Any, Any]:
    """What an operator's `get_openlineage_facets_on_…` methods return.

    Args:
        records: What the task does or did, a data set each; None where that is not known.

    Returns:
        The data sets with their facets; nothing but an `extractionError` if they cannot be rendered. It
        does not raise: the provider would swallow the error together with the event's data sets.
    """
    from airflow.providers.openlineage.extractors import OperatorLineage

    from airflow_veil.privacy.lineage import openlineage

    known = [record for record in records if record is not None]
    try:
        return OperatorLineage(
            inputs=[dataset for record in known for dataset in openlineage.inputs(record)],
            outputs=[dataset for record in known for dataset in openlineage.outputs(record)],
        )
    except Exception as error:  # noqa: BLE001 - lineage must not fail a task, whatever is wrong with it
        log.warning("Lineage of %d records cannot be rendered: %s", len(known), type(error).__name__)
        return OperatorLineage(run_facets={"extractionError": _extraction_error(len(known), error)})


def _extraction_error(tasks: int, error: Exception) -> Any:
    """That lineage is missing, by the error's type alone; its text may hold anything."""
    from openlineage.client.facet_v2 import extraction_error_run as facet

    from airflow_veil.privacy.lineage.openlineage import producer

    return facet.ExtractionErrorRunFacet(
        totalTasks=tasks,
        failedTasks=tasks,
        errors=[facet.Error(errorMessage=type(error).__name__)],
        producer=producer(),
    )


def default_transport_env(env: MutableMapping[str, str] = os.environ) -> Path | None:
    """Send lineage to a file of JSON lines, unless Airflow's configuration already says something of lineage.

    It has to be called before the OpenLineage provider first looks (the provider keeps its answer) and
    reaches the processes of tasks through the environment. Source code stays out of the events that it
    turns on.

    Args:
        env: The environment to read and to add to.

    Returns:
        The file; None if nothing was changed: lineage is configured or disabled, or there is no folder for it. It
        does not raise: Airflow calls it while it starts, in every process, whether or not a task is the suite's.
    """
    if _is_configured(env):
        return None
    from airflow_veil.hooks.settings import settings

    path = settings().lineage
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        log.warning("Lineage goes nowhere: %s cannot be made (%s)", path.parent, type(error).__name__)
        return None
    env[TRANSPORT] = json.dumps({"type": "file", "log_file_path": str(path), "append": True})
    if not _option("emission_policy"):
        env[EMISSION_POLICY] = json.dumps(_NO_SOURCE_CODE)
    return path


def _is_configured(env: MutableMapping[str, str]) -> bool:
    """Whether the provider would find a transport, or is told that there is to be none."""
    if _option("disabled").lower() in ("true", "t", "1") or env.get("OPENLINEAGE_DISABLED"):
        return True
    if any(_option(name) for name in ("config_conn_id", "transport", "config_path")):
        return True
    named = ("OPENLINEAGE_CONFIG", "OPENLINEAGE_URL")
    return any(env.get(name) for name in named) or any(
        value for name, value in env.items() if name.startswith("OPENLINEAGE__TRANSPORT")
    )


def _option(name: str) -> str:
    """An option of Airflow's `[openlineage]` section; empty where nothing is said, or an empty JSON value."""
    from airflow.configuration import conf

    said = str(conf.get("openlineage", name, fallback="") or "").strip()
    return "" if said in ("{}", "[]") else said
