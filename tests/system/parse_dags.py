"""Parses a folder of DAG files as Airflow does, and tells what it cost: `python parse_dags.py <folder>`.

A DAG file that fetches a connection while it is parsed asks the metadata database every few seconds, from every
scheduler: each such call is noted.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import BaseHook, Connection


def main(folder: str) -> None:
    """Print the DAGs, the import errors, and the connections that were asked for."""
    asked: list[str] = []

    def refuse(conn_id: str, *_: Any, **__: Any) -> Any:
        asked.append(conn_id)
        raise RuntimeError(f"connection {conn_id} is fetched while parsing")

    BaseHook.get_connection = refuse  # type: ignore[method-assign,assignment]
    Connection.get = refuse  # type: ignore[method-assign,assignment]
    bag = DagBag(folder)
    dags = {name: sorted(dag.task_ids) for name, dag in bag.dags.items()}
    print(json.dumps({"dags": dags, "errors": bag.import_errors, "connections": asked}))


if __name__ == "__main__":
    main(sys.argv[1])
