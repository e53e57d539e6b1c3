"""What the tests of lineage share."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest
from tests import openlineage_schemas
from tests.unit.lineage.cases import POLICY, make_plan

from airflow_veil.privacy.plan.plan import Plan


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    """A plan with every treatment, under key version 2."""
    return make_plan(tmp_path, POLICY)


@pytest.fixture
def schemas() -> ModuleType:
    """The offline validator; skips where the specification is not at hand."""
    if not openlineage_schemas.spec_folder().is_dir():
        pytest.skip(f"NO TEST DATA: {openlineage_schemas.spec_folder()} is not there; set VEIL_SHARED_DATA")
    return openlineage_schemas
