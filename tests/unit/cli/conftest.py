"""A small retail installation in a folder of its own, and `veil` on it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from airflow_veil.cli.demo import write_retail
from airflow_veil.cli.main import app

CONFIGS = Path(__file__).resolve().parents[3] / "configs"
CUSTOMERS = 400


@dataclass(frozen=True)
class Installation:
    """A VEIL_HOME with data, policies and whatever the commands make."""

    root: Path

    @property
    def policy(self) -> Path:
        return self.root / "configs" / "retail.yaml"

    @property
    def env(self) -> dict[str, str]:
        return {
            "VEIL_HOME": str(self.root / "home"),
            "VEIL_DATA_ROOT": str(self.root / "data"),
            "VEIL_KEYS": "",
            "VEIL_LEDGER": "",
            "VEIL_MODELS": "",
            "VEIL_LINEAGE": "",
            "VEIL_AUDIT_KEY": "",
            "VEIL_DEBUG": "",
        }

    def veil(self, *args: str | Path, stdin: str | None = None) -> Result:
        return CliRunner(env=self.env).invoke(app, [str(arg) for arg in args], input=stdin)

    def ok(self, *args: str | Path) -> str:
        """Run a command that must work, and give its standard output."""
        result = self.veil(*args)
        assert result.exit_code == 0, result.output
        return result.stdout


@pytest.fixture(scope="session")
def retail_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("retail")
    write_retail(folder, customers=CUSTOMERS, seed=5)
    return folder


@pytest.fixture
def bare(tmp_path: Path, retail_files: Path) -> Installation:
    """Data and policies, but no keys yet."""
    shutil.copytree(CONFIGS, tmp_path / "configs")
    shutil.copytree(retail_files, tmp_path / "data" / "retail")
    return Installation(tmp_path)


@pytest.fixture
def retail(bare: Installation) -> Installation:
    """Data, policies and a key ring."""
    bare.ok("keys", "init")
    return bare
