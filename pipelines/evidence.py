"""Evidence that is kept outside the database every night: a DAG that anchors it and then verifies it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, chain

from airflow_veil.operators.anchor import AnchorEvidenceOperator
from airflow_veil.operators.certificates import ProveCertificatesOperator
from airflow_veil.operators.verify import VerifyEvidenceOperator
from airflow_veil.pipelines.sanitized_release import EPOCH


def evidence_dag(
    *,
    to: str,
    dag_id: str = "veil_evidence",
    trust: Sequence[str] = (),
    certificates: str | None = None,
    audit_key_conn_id: str | None = None,
    ledger_conn_id: str | None = None,
    **dag_arguments: Any,
) -> DAG:
    """Make the DAG that anchors the log, verifies it, and gives certificates their proofs. One for an installation.

    Args:
        to: Where checkpoints are kept: a file that grows, a folder (ends with a slash if new), a git repository, or
            `s3://BUCKET/PREFIX/`.
        dag_id: The DAG's id.
        trust: Verifier keys of the same log that signed there before.
        certificates: The folder of certificates; the installation's own if None.
        audit_key_conn_id: Connection of the signing key; the installation's own key file if None.
        ledger_conn_id: Connection of the ledger; the installation's own if None.
        dag_arguments: Whatever else `airflow.sdk.DAG` takes.

    Returns:
        The DAG, at six in the morning where nothing else is said: what the night did is anchored then.
    """
    arguments = {
        "dag_id": dag_id,
        "schedule": "0 6 * * *",
        "start_date": EPOCH,
        "catchup": False,
        "max_active_runs": 1,
        "tags": ["veil", "evidence"],
        "description": "Anchors and verifies the evidence",
        "default_args": {"retries": 2, "retry_delay": timedelta(minutes=5)},
        **dag_arguments,
    }
    common = {"audit_key_conn_id": audit_key_conn_id, "ledger_conn_id": ledger_conn_id}
    with DAG(**arguments) as dag:  # noqa: AIR002 - the schedule is among the arguments
        anchor = AnchorEvidenceOperator(task_id="anchor", to=to, trust=trust, **common)
        verify = VerifyEvidenceOperator(task_id="verify", anchors=to, trust=trust, **common)
        prove = ProveCertificatesOperator(
            task_id="prove_certificates", anchors=to, trust=trust, certificates=certificates, **common
        )
        chain(anchor, verify, prove)
    return dag
