"""Begins the release of an interval: the same one for whoever asks again."""

from __future__ import annotations

import hashlib

from airflow_veil.privacy.ledger.record import ReleaseRecord, ReleaseState
from airflow_veil.privacy.release import manifest
from airflow_veil.privacy.release.interval import Interval
from airflow_veil.privacy.release.planning import plan_for
from airflow_veil.privacy.release.reference import Reference
from airflow_veil.privacy.release.workspace import Workspace


def begin(workspace: Workspace, dataset: str, interval: Interval, *, actor: str) -> Reference:
    """Begin the release of an interval; whoever asks again for the same one gets the same release.

    The same is: interval, plan, input and destination.

    Raises:
        SchemaError: The source does not fit the policy.
        StorageError: The source cannot be opened.
        KeyRingError: A key is needed and cannot be had.
        LedgerError: The ledger cannot be used.
    """
    source = workspace.source(dataset)
    plan = plan_for(workspace, dataset, source)
    fingerprint = source.fingerprint()
    where = workspace.destination.name
    identity = _digest(
        plan.policy, dataset, where, interval.key, plan.digest, manifest.digest_of(fingerprint)
    )
    release = workspace.ledger.begin_release(
        ReleaseRecord(
            release_id=f"{interval.key.replace(':', '').replace('+', '_')}-{identity[:12]}",
            policy=plan.policy,
            dataset=dataset,
            destination=where,
            run_key=f"{interval.key}/{identity[:12]}",
            policy_digest=plan.policy_digest,
            plan_digest=plan.digest,
            interval_start=interval.start,
            interval_end=interval.end,
        ),
        actor=actor,
    )
    published = release.state is not ReleaseState.STAGED
    if not published:
        workspace.ledger.draft(
            release.release_id, manifest.begun(workspace, plan, source, interval, fingerprint=fingerprint)
        )
    return Reference(
        policy=plan.policy,
        dataset=dataset,
        release_id=release.release_id,
        interval=interval.key,
        plan_digest=plan.digest,
        step="begin",
        published=published,
        rows_out=release.rows_out or 0,
    )


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
