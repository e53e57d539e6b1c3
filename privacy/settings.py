"""Where things are kept when nothing else is said: one folder, named by `VEIL_HOME`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The places of one installation.

    Attributes:
        home: Holds whatever is not placed elsewhere (`VEIL_HOME`, default `~/.airflow-veil`).
        ledger: SQLAlchemy URL of the ledger (`VEIL_LEDGER`, default SQLite in `home`); may hold a password.
        key_file: The key ring where a policy names none (`VEIL_KEYS`, default `keys.json` in `home`).
        data_root: Where relative URIs of policies start (`VEIL_DATA_ROOT`); None means the policy's folder.
        staging: Where stepwise releases stage rows between tasks (`VEIL_STAGING`, default in `home`).
        certificates: Where certificates are filed (`VEIL_CERTIFICATES`, default in `home`).
        audit_key: The key that checkpoints are signed with (`VEIL_AUDIT_KEY`, default `audit.key` in `home`).
        models: Where models of synthetic data are kept, sealed (`VEIL_MODELS`, default in `home`).
        lineage: The file that lineage events go to where Airflow names no transport (`VEIL_LINEAGE`).
    """

    home: Path
    ledger: str = field(repr=False)
    key_file: Path
    data_root: Path | None
    staging: Path
    models: Path
    lineage: Path
    audit_key: Path
    certificates: Path

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None) -> Settings:
        """Read the settings from environment variables; every one of them has a default."""
        env = os.environ if env is None else env
        home = Path(env.get("VEIL_HOME") or "~/.airflow-veil").expanduser().absolute()
        root = env.get("VEIL_DATA_ROOT")
        return cls(
            home=home,
            ledger=env.get("VEIL_LEDGER") or f"sqlite:///{home / 'ledger.db'}",
            key_file=Path(env.get("VEIL_KEYS") or home / "keys.json").expanduser().absolute(),
            data_root=Path(root).expanduser().absolute() if root else None,
            staging=Path(env.get("VEIL_STAGING") or home / "staging").expanduser().absolute(),
            models=Path(env.get("VEIL_MODELS") or home / "models").expanduser().absolute(),
            lineage=Path(env.get("VEIL_LINEAGE") or home / "lineage.jsonl").expanduser().absolute(),
            certificates=Path(env.get("VEIL_CERTIFICATES") or home / "certificates").expanduser().absolute(),
            audit_key=Path(env.get("VEIL_AUDIT_KEY") or home / "audit.key").expanduser().absolute(),
        )

    def root_for(self, policy: Path) -> Path:
        """The folder that relative URIs of a policy start at."""
        return self.data_root or policy.resolve().parent
