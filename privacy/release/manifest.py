"""The manifest of a release: everything that is known of it except its rows, as one JSON object."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from airflow_veil.privacy.ledger.canonical import canonical_json
from airflow_veil.privacy.ledger.record import ReleaseRecord
from airflow_veil.privacy.period import after
from airflow_veil.privacy.plan.plan import Plan
from airflow_veil.privacy.policy.load import LoadedPolicy
from airflow_veil.privacy.release.interval import Interval
from airflow_veil.privacy.storage.base import DatasetIdentity, Source, Written

if TYPE_CHECKING:
    from airflow_veil.privacy.dp.query import Query
    from airflow_veil.privacy.release.workspace import Workspace

FORMAT = 1
"""The version of the manifest's form."""


def begun(
    workspace: Workspace, plan: Plan, source: Source, interval: Interval, *, fingerprint: Mapping[str, Any]
) -> dict[str, Any]:
    """What is known when a release begins: policy, plan, source, keys.

    Returns:
        The draft, of names, types, counts and digests.
    """
    return {
        **head(workspace, plan.dataset, interval),
        "plan": plan.as_dict(),
        "plan_digest": plan.digest,
        "source": {
            "namespace": source.identity.namespace,
            "name": source.identity.name,
            "fingerprint": dict(fingerprint),
        },
        "source_schema": {
            field.name: str(field.type) for field in source.schema() if field.name not in plan.unnamed
        },
        "keys": {str(number): workspace.keys.fingerprint(number) for number in plan.key_versions},
        "dropped_columns": list(plan.dropped),
        "unsafe": {c.name: c.unsafe_reason for c in plan.columns if c.unsafe_reason is not None},
    }


def answered(
    workspace: Workspace,
    query: Query,
    source: DatasetIdentity,
    interval: Interval,
    record: Mapping[str, Any],
) -> dict[str, Any]:
    """What is known of the answer to a query. Of its source only the name: sizes and times tell of the private table.

    Returns:
        The draft, of names, types and what the answer's record tells.
    """
    return {
        **head(workspace, query.name, interval),
        "plan_digest": query.digest,
        "source": {"namespace": source.namespace, "name": source.name},
        "differential_privacy": dict(record),
    }


def tested(
    workspace: Workspace, name: str, source: DatasetIdentity, identity: str, model: Mapping[str, Any]
) -> dict[str, Any]:
    """What is known of a model that passed its attacks. Of its rows only the name: it is published with the model.

    Args:
        workspace: The policy and its systems.
        name: The model.
        source: Where the rows are that it was trained on.
        identity: SHA-256 of what was tested, in hex.
        model: What its card tells.

    Returns:
        The draft, of names, types, bounds and digests.
    """
    return {
        **head(workspace, name, Interval(key=f"model-{model['digest'][:12]}")),
        "plan_digest": identity,
        "source": {"namespace": source.namespace, "name": source.name},
        "model": dict(model),
    }


def head(workspace: Workspace, name: str, interval: Interval) -> dict[str, Any]:
    """What every manifest begins with: who made it, by which policy, of what and for when."""
    policy = workspace.loaded.policy
    return {
        "format": FORMAT,
        "made_by": f"airflow-veil {_version()}",
        "policy": {"name": policy.name, "digest": workspace.loaded.digest, "owner": policy.owner},
        "dataset": name,
        "interval": {
            "key": interval.key,
            "start": interval.start.isoformat() if interval.start else None,
            "end": interval.end.isoformat() if interval.end else None,
        },
    }


def output_of(written: Written) -> dict[str, Any]:
    """What was written: names, sizes and digests of the files."""
    return {
        "rows": written.rows,
        "bytes": written.bytes,
        "guarded_cells": written.guarded,
        "files": [{"name": f.name, "bytes": f.bytes, "sha256": f.sha256} for f in written.files],
    }


def final(release: ReleaseRecord, loaded: LoadedPolicy, *, now: datetime) -> dict[str, Any]:
    """The manifest as it is published.

    Args:
        release: The staged release with its draft.
        loaded: The policy.
        now: The time of publication, aware.
    """
    period = loaded.policy.release.expires_after if loaded.policy.release else None
    return {
        **(release.manifest or {}),
        "release_id": release.release_id,
        "published_at": now.isoformat(),
        "expires_at": after(now, period).isoformat() if period else None,
    }


def expiry(manifest: Mapping[str, Any]) -> datetime | None:
    """When a published release may no longer be used; None for never."""
    moment = manifest.get("expires_at")
    return datetime.fromisoformat(moment) if moment else None


def digest_of(facts: Mapping[str, Any]) -> str:
    """SHA-256 over the canonical JSON of some facts, in hex."""
    return hashlib.sha256(canonical_json(facts).encode()).hexdigest()


def _version() -> str:
    try:
        return version("airflow-veil")
    except PackageNotFoundError:
        return "0"
