"""The provider: what Airflow is told fits its schema, and what it names is there."""

from __future__ import annotations

import importlib
import json
from importlib.metadata import entry_points
from pathlib import Path

import airflow
import jsonschema
import pytest

from airflow_veil.plugins.provider import get_provider_info


class TestProvider:
    def test_the_description_fits_airflows_schema(self) -> None:
        """Airflow validates the description against its schema at start."""
        schema = json.loads((Path(airflow.__path__[0]) / "provider_info.schema.json").read_text())

        jsonschema.validate(get_provider_info(), schema)

    def test_every_module_it_names_is_there(self) -> None:
        """Operators, hooks and the plugin are named by their real modules, and none is left out."""
        info = get_provider_info()
        modules = [
            m for kind in ("operators", "hooks") for item in info[kind] for m in item["python-modules"]
        ]
        modules += [item["hook-class-name"].rpartition(".")[0] for item in info["connection-types"]]

        for module in modules:
            importlib.import_module(module)
        root = Path(__file__).resolve().parents[3]
        bases = {"__init__", "base", "after", "step", "interval", "log"}
        named = {module.rpartition(".")[2] for module in info["operators"][0]["python-modules"]}
        assert named == {path.stem for path in (root / "operators").glob("*.py")} - bases

    @pytest.mark.parametrize(
        ("group", "name"),
        [
            ("apache_airflow_provider", "provider_info"),
            ("airflow.plugins", "airflow_veil"),
            ("airflow.policy", "airflow_veil"),
        ],
    )
    def test_it_comes_by_entry_point(self, group: str, name: str) -> None:
        """Airflow finds the provider, the plugin and the cluster policy without any configuration."""
        found = [point for point in entry_points(group=group) if point.value.startswith("airflow_veil.")]

        assert [point.name for point in found] == [name]
        assert found[0].load()

    def test_connection_types_have_forms(self) -> None:
        """Airflow's provider manager shows both connection types, with their fields, without importing the hooks."""
        from airflow.providers_manager import ProvidersManager

        manager = ProvidersManager()
        manager.initialize_providers_hooks()

        assert manager.hooks["veil_keys"].hook_name == "Veil key ring"
        assert manager.hooks["veil_ledger"].hook_name == "Veil ledger"
        assert manager.hooks["veil_audit_key"].hook_name == "Veil audit key"
        assert "host" in manager.field_behaviours["veil_keys"]["hidden_fields"]
