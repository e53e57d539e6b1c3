"""The cluster policy: at parse, a DAG fails if a task of the suite would work without a policy that checks.

Airflow loads this module by the entry point group `airflow.policy`, early and in every process: it stays light.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from airflow.policies import hookimpl

from airflow_veil.hooks.lineage import default_transport_env

default_transport_env()

_BASES = tuple(f"airflow_veil.operators.{name}" for name in ("base", "budget_sensor", "erasure"))
_WORDS = {"datasets": "data set", "queries": "query", "syntheses": "synthesis", "models": "model"}
"""What a task can be about, but for the whole policy."""


@hookimpl
def task_policy(task: Any) -> None:
    """Refuse a task of the suite whose policy is missing or does not check, or that would pass rows by XCom.

    Raises:
        AirflowClusterPolicyViolation: With every mistake, as `veil check` tells it.
    """
    if not _is_of_the_suite(task):
        return
    _policy_checks(task)
    _no_rows_by_xcom(task)


def _is_of_the_suite(task: Any) -> bool:
    """Whether a task is one of ours, without importing the operators for DAGs that do not use them."""
    return any(cls.__module__ in _BASES for cls in type(task).__mro__)


def _policy_checks(task: Any) -> None:
    """The policy must be there and check; a path that is only known at run time cannot be reviewed."""
    if "{{" in task.policy or "{%" in task.policy:
        _refuse(
            task, "the policy's path is a template; name the file, so that it can be checked before rows move"
        )
    path = Path(task.policy)
    if not path.exists():
        _refuse(task, f"the policy {path} is missing")
    findings, names = _check(path, path.stat().st_mtime_ns)
    if findings:
        _refuse(task, f"the policy does not check:\n{findings}")
    if task.names not in _WORDS:
        return
    known, word = names[task.names], _WORDS[task.names]
    if "{{" not in task.dataset and task.dataset not in known:
        _refuse(
            task, f"the policy {path.name} has no {word} {task.dataset}; it has {', '.join(known) or 'none'}"
        )


@lru_cache(maxsize=256)
def _check(path: Path, _modified: int) -> tuple[str, dict[str, tuple[str, ...]]]:
    """The findings of a policy as text, and what tasks can name of it; kept until the file changes."""
    from airflow_veil.privacy.errors import PolicyError
    from airflow_veil.privacy.policy.check import check
    from airflow_veil.privacy.policy.load import load

    try:
        loaded = load(path)
    except PolicyError as error:
        return str(error), {}
    dp = loaded.policy.differential_privacy
    synthetic = loaded.policy.synthetic
    names = {
        "datasets": tuple(loaded.policy.datasets),
        "queries": tuple(dp.queries) if dp else (),
        "syntheses": tuple(synthetic.releases) if synthetic else (),
        "models": tuple(loaded.policy.models),
    }
    return "\n".join(map(str, check(loaded))), names


def _no_rows_by_xcom(task: Any) -> None:
    """Tasks of the suite hand on references; rows go from file to file.

    Refused are a field other than `after` that is fed by XCom, and a sub-class that brings its own `execute`, `run` or
    `poke` and pushes what that returns.
    """
    for field in type(task).template_fields:
        if field != "after" and _is_from_xcom(getattr(task, field, None)):
            _refuse(
                task, f"`{field}` is fed by XCom; name a file or a policy instead, so that no rows pass there"
            )
    foreign = next(
        (cls for cls in type(task).__mro__ if {"execute", "run", "poke"} & vars(cls).keys()),
        type(task),
    )
    if not foreign.__module__.startswith("airflow_veil.") and task.do_xcom_push:
        _refuse(task, f"{foreign.__name__} returns what this suite does not know; set do_xcom_push=False")


def _is_from_xcom(value: Any) -> bool:
    from airflow.sdk import XComArg

    if isinstance(value, (list, tuple)):
        return any(map(_is_from_xcom, value))
    return isinstance(value, XComArg) or (isinstance(value, str) and "xcom_pull" in value)


def _refuse(task: Any, reason: str) -> None:
    from airflow.exceptions import AirflowClusterPolicyViolation

    raise AirflowClusterPolicyViolation(f"DAG {task.dag_id}, task {task.task_id}: {reason}")
