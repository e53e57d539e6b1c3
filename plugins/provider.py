"""What Airflow's provider manager is told: hooks, connection forms, configuration, plugin."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Any


def get_provider_info() -> dict[str, Any]:
    """The provider's description, in the form of `airflow/provider_info.schema.json`."""
    return {
        "package-name": "airflow-veil",
        "name": "Veil",
        "description": "Privacy pipelines as code: policy, transforms, releases, lineage and evidence.",
        "versions": [_version()],
        "operators": [{"integration-name": "Veil", "python-modules": _OPERATORS}],
        "hooks": [
            {
                "integration-name": "Veil",
                "python-modules": [
                    "airflow_veil.hooks.keys",
                    "airflow_veil.hooks.ledger",
                    "airflow_veil.hooks.audit_key",
                ],
            }
        ],
        "connection-types": [_KEYS_CONNECTION, _LEDGER_CONNECTION, _AUDIT_KEY_CONNECTION],
        "plugins": [{"name": "airflow_veil", "plugin-class": "airflow_veil.plugins.plugin.VeilPlugin"}],
        "config": {"veil": _CONFIG},
    }


def _version() -> str:
    try:
        return version("airflow-veil")
    except PackageNotFoundError:
        return "0"


_OPERATORS = [
    f"airflow_veil.operators.{name}"
    for name in (
        "classify",
        "minimize",
        "tokenize",
        "mask",
        "generalize",
        "sanitize",
        "anonymize",
        "validate",
        "risk",
        "gate",
        "publish",
        "rollback",
        "detokenize",
        "scrub",
        "dp_release",
        "budget_sensor",
        "synthetic",
        "synthetic_gate",
        "retention",
        "erasure",
        "sweep",
        "anchor",
        "verify",
        "certificates",
        "privacy_test",
    )
]

_TEXT = {"type": ["string", "null"]}


_KEYS_CONNECTION = {
    "connection-type": "veil_keys",
    "hook-class-name": "airflow_veil.hooks.keys.KeyRingHook",
    "hook-name": "Veil key ring",
    "ui-field-behaviour": {
        "hidden-fields": ["host", "port", "login", "schema"],
        "relabeling": {"password": "Key ring (JSON)"},
        "placeholders": {"password": "the output of: veil keys init --print"},
    },
    "conn-fields": {
        "file": {
            "label": "Key file",
            "description": "Path of a key file with mode 0600, instead of the ring itself.",
            "schema": _TEXT,
        }
    },
}

_LEDGER_CONNECTION = {
    "connection-type": "veil_ledger",
    "hook-class-name": "airflow_veil.hooks.ledger.LedgerHook",
    "hook-name": "Veil ledger",
    "ui-field-behaviour": {
        "hidden-fields": ["extra"],
        "relabeling": {"schema": "Database"},
        "placeholders": {"host": "ledger.example.com", "port": "5432", "schema": "veil"},
    },
    "conn-fields": {},
}

_AUDIT_KEY_CONNECTION = {
    "connection-type": "veil_audit_key",
    "hook-class-name": "airflow_veil.hooks.audit_key.AuditKeyHook",
    "hook-name": "Veil audit key",
    "ui-field-behaviour": {
        "hidden-fields": ["host", "port", "login", "schema"],
        "relabeling": {"password": "Signing key"},
        "placeholders": {"password": "the line that veil audit keygen writes to its file"},
    },
    "conn-fields": {
        "file": {
            "label": "Key file",
            "description": "Path of a signing key's file with mode 0600, instead of the key itself.",
            "schema": _TEXT,
        }
    },
}


def _option(description: str, example: str) -> dict[str, Any]:
    return {
        "description": description,
        "version_added": "0.1.0",
        "type": "string",
        "example": example,
        "default": None,
    }


_CONFIG = {
    "description": "Where airflow-veil keeps things. Each option goes before the environment variable VEIL_<OPTION>.",
    "options": {
        "home": _option(
            "Folder of the ledger, staging and lineage where they are not placed elsewhere.", "/var/lib/veil"
        ),
        "data_root": _option(
            "Where relative URIs of policies start; the policy's folder by default.", "/data"
        ),
        "staging": _option(
            "Where stepwise releases stage rows between tasks; mode 0700.", "/var/lib/veil/staging"
        ),
        "models": _option(
            "Where models of synthetic data are kept, sealed; mode 0700. All workers need it.",
            "/var/lib/veil/models",
        ),
        "lineage": _option(
            "File for lineage events where [openlineage] names no transport.", "/var/lib/veil/lineage.jsonl"
        ),
        "certificates": _option(
            "Folder that certificates are filed in; in `home` by default.", "/var/lib/veil/certificates"
        ),
        "anchors": _option(
            "Where the example DAG of evidence anchors it, outside the database: a file, a folder, a git repository or"
            " s3://BUCKET/PREFIX/.",
            "/mnt/worm/checkpoints/",
        ),
        "page_ledger_conn_id": _option(
            "Connection of the ledger that the page in Airflow shows; the installation's own by default.",
            "veil_ledger",
        ),
        "policies": _option(
            "Folder of the policies that the example DAG files make DAGs of.", "/opt/airflow/policies"
        ),
    },
}
