"""The bridge gives the provider what it takes, never raises, and finds a file for the events."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.unit.lineage.cases import fused_records

from airflow_veil.hooks.lineage import EMISSION_POLICY, TRANSPORT, default_transport_env, operator_lineage
from airflow_veil.privacy.lineage.record import LineageRecord
from airflow_veil.privacy.plan.plan import Plan


class _Operator:
    """As much of an operator as the provider's extractor looks at."""

    task_type = "VeilOperator"

    def __init__(self, record: LineageRecord | None) -> None:
        self.record = record

    def get_openlineage_facets_on_start(self) -> Any:
        return operator_lineage(self.record)


class TestOperatorLineage:
    def test_provider_takes_the_data_sets(self, plan: Plan) -> None:
        """The provider's own extractor gets the data sets and their facets."""
        from airflow.providers.openlineage.extractors.base import DefaultExtractor

        told = DefaultExtractor(_Operator(fused_records(plan)[0])).extract()

        assert told is not None
        assert [item.name for item in told.inputs] == ["/data/customers.parquet"]
        assert [sorted(item.facets) for item in told.outputs] == [
            ["columnLineage", "lineage", "schema", "tags", "veil_privacy"]
        ]

    def test_unknown_record_tells_nothing(self) -> None:
        """A task that does not know yet what it will do tells nothing wrong."""
        told = operator_lineage(None)

        assert (told.inputs, told.outputs, told.run_facets) == ([], [], {})

    def test_several_data_sets_are_told_together(self, plan: Plan) -> None:
        """A task may work on more than one data set."""
        assert len(operator_lineage(*fused_records(plan)).outputs) == 2

    def test_broken_record_is_told_without_its_text(
        self, plan: Plan, caplog: pytest.LogCaptureFixture
    ) -> None:
        """What cannot be rendered is an extraction error of a type; its text may hold anything."""
        broken = replace(fused_records(plan)[0], edges="PLANTED")  # type: ignore[arg-type]
        told = operator_lineage(broken)

        assert (told.inputs, told.outputs) == ([], [])
        assert told.run_facets["extractionError"].errors[0].errorMessage == "AttributeError"
        assert "PLANTED" not in caplog.text + repr(told)


def _clean(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    for name in (
        "OPENLINEAGE_URL",
        "OPENLINEAGE_CONFIG",
        "OPENLINEAGE_DISABLED",
        TRANSPORT,
        EMISSION_POLICY,
        "VEIL_LINEAGE",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("VEIL_HOME", str(home))


class TestDefaultTransportEnv:
    def test_nothing_said_means_a_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Lineage works with no server: events are appended to a file in a private folder."""
        _clean(monkeypatch, tmp_path / "veil")
        env: dict[str, str] = {}
        path = default_transport_env(env)

        assert path == tmp_path / "veil" / "lineage.jsonl"
        assert json.loads(env[TRANSPORT]) == {"type": "file", "log_file_path": str(path), "append": True}
        assert json.loads(env[EMISSION_POLICY]) == [{"scope": {}, "controls": {"include_source_code": False}}]
        assert path.parent.stat().st_mode & 0o777 == 0o700

    def test_a_folder_that_cannot_be_made_stops_nothing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Airflow starts also where the home folder cannot be written; lineage is then left as it is."""
        _clean(monkeypatch, tmp_path)
        (tmp_path / "file").write_text("")
        monkeypatch.setenv("VEIL_LINEAGE", str(tmp_path / "file" / "below" / "lineage.jsonl"))
        env: dict[str, str] = {}

        assert default_transport_env(env) is None
        assert env == {}

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("OPENLINEAGE_URL", "http://lineage.example.com"),
            ("OPENLINEAGE_CONFIG", "/etc/openlineage.yml"),
            ("OPENLINEAGE__TRANSPORT__TYPE", "console"),
            ("OPENLINEAGE_DISABLED", "true"),
        ],
    )
    def test_what_is_said_stays(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
    ) -> None:
        """Whoever configured lineage, or disabled it, is not overruled."""
        _clean(monkeypatch, tmp_path)
        env = {name: value}

        assert default_transport_env(env) is None
        assert env == {name: value}

    @pytest.mark.parametrize(
        ("option", "value"),
        [
            ("TRANSPORT", '{"type": "console"}'),
            ("CONFIG_PATH", "/etc/openlineage.yml"),
            ("CONFIG_CONN_ID", "lineage"),
            ("DISABLED", "True"),
        ],
    )
    def test_airflow_s_configuration_stays(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: str, value: str
    ) -> None:
        """The `[openlineage]` section goes before our default."""
        _clean(monkeypatch, tmp_path)
        monkeypatch.setenv(f"AIRFLOW__OPENLINEAGE__{option}", value)

        assert default_transport_env({}) is None

    def test_provider_finds_the_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """After the call, the provider in the same process and its children is enabled and writes there."""
        _clean(monkeypatch, tmp_path / "veil")
        monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
        script = (
            "import os, airflow\n"
            "from airflow_veil.hooks.lineage import EMISSION_POLICY, TRANSPORT, default_transport_env\n"
            # Where the suite is installed, its cluster policy has called it already.
            "os.environ.pop(TRANSPORT, None), os.environ.pop(EMISSION_POLICY, None)\n"
            "path = default_transport_env()\n"
            "from airflow.providers.openlineage import conf\n"
            "assert not conf.is_disabled()\n"
            "assert conf.transport()['log_file_path'] == str(path)\n"
            "assert conf.emission_policy()[0]['controls'] == {'include_source_code': False}\n"
            "assert default_transport_env() is None\n"
        )

        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)

        assert done.returncode == 0, done.stderr
