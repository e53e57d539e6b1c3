"""The plan: what leaves, what does not, and one digest for one meaning."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from airflow_veil.privacy.plan.plan import Plan, PlannedColumn
from airflow_veil.privacy.transforms.drop import Drop
from airflow_veil.privacy.transforms.generalize import Generalize
from airflow_veil.privacy.transforms.keep import Keep
from airflow_veil.privacy.transforms.sample import Sample
from airflow_veil.privacy.transforms.token import Token
from airflow_veil.privacy.transforms.where import Where


def _column(name: str, transform: Any, kind: pa.DataType, **more: Any) -> PlannedColumn:
    return PlannedColumn(
        name=name,
        column_class="none",
        category=None,
        transform=transform,
        source_type=kind,
        output_type=transform.output_type(kind),
        **more,
    )


def _plan() -> Plan:
    return Plan(
        policy="shop",
        policy_digest="00" * 32,
        dataset="customers",
        subject="id",
        subject_root="customers.id",
        columns=(
            _column("id", Token(domain="customer"), pa.int64(), key_domain="customer", key_version=2),
            _column("name", Drop(), pa.string()),
            _column("age", Generalize(width=10), pa.int16()),
            _column("total", Keep(), pa.float64()),
        ),
        unnamed=("shoe_size",),
        row_filters=(Where(expression="age >= 18"), Sample(fraction=0.5)),
        row_key_version=2,
    )


class TestPlan:
    def test_released_and_dropped_are_all_columns(self) -> None:
        """Every column of the source leaves or is dropped, never both."""
        plan = _plan()

        assert [column.name for column in plan.released] == ["id", "age", "total"]
        assert plan.dropped == ("name", "shoe_size")

    def test_schemas(self) -> None:
        """The release has the treatments' types, the source its own; the source's unnamed columns are not read."""
        plan = _plan()

        assert plan.output_schema == pa.schema({"id": pa.string(), "age": pa.string(), "total": pa.float64()})
        assert plan.source_schema == pa.schema(
            {"id": pa.int64(), "name": pa.string(), "age": pa.int16(), "total": pa.float64()}
        )

    def test_column_finds_by_name(self) -> None:
        """A column is found whether it leaves or not; an unnamed one is not in the plan."""
        assert _plan().column("name").output_type is None
        with pytest.raises(KeyError, match="shoe_size"):
            _plan().column("shoe_size")

    def test_reads_own_column_once_and_first(self) -> None:
        """A treatment's own column comes first, also if it names it again."""
        column = replace(_plan().columns[2], inputs=("id", "age"))

        assert column.reads == ("age", "id")

    def test_treatment_leaves_defaults_out(self) -> None:
        """A treatment reads as the policy could have written it."""
        assert [column.treatment for column in _plan().columns] == [
            {"token": {"domain": "customer"}},
            {"drop": {}},
            {"generalize": {"width": 10}},
            {"keep": {}},
        ]

    @pytest.mark.parametrize(
        ("row_version", "versions"), [(None, (2,)), (2, (2,)), (3, (2, 3))], ids=["columns", "same", "other"]
    )
    def test_key_versions_are_told_once(self, row_version: int | None, versions: tuple[int, ...]) -> None:
        """Manifests list each version that columns or row filters use."""
        assert replace(_plan(), row_key_version=row_version).key_versions == versions


class TestBindings:
    def test_a_column_s_binding(self) -> None:
        """A treatment learns its place, type, domain and version."""
        plan = _plan()
        binding = plan.binding(plan.columns[0], None)

        assert (binding.where, binding.type, binding.subject) == ("customers.id", pa.int64(), "id")
        assert (binding.domain, binding.key_version) == ("customer", 2)

    def test_the_row_filters_binding(self) -> None:
        """Row filters are keyed by the people, so that all tables keep the same ones."""
        binding = _plan().row_binding(None)

        assert (binding.where, binding.type) == ("customers.id", pa.int64())
        assert (binding.domain, binding.key_version) == ("customers.id", 2)

    def test_rows_that_are_nobody_s(self) -> None:
        """Without a subject there is nothing to key row filters by."""
        binding = replace(_plan(), subject=None, subject_root="").row_binding(None)

        assert (binding.subject, binding.domain) == (None, None)


_CHANGES = {
    "treatment": lambda plan: replace(
        plan, columns=(*plan.columns[:3], replace(plan.columns[3], transform=Drop()))
    ),
    "parameter": lambda plan: replace(
        plan,
        columns=(*plan.columns[:2], replace(plan.columns[2], transform=Generalize(width=5)), plan.columns[3]),
    ),
    "type": lambda plan: replace(
        plan, columns=(*plan.columns[:3], replace(plan.columns[3], source_type=pa.float32()))
    ),
    "order": lambda plan: replace(plan, columns=plan.columns[::-1]),
    "class": lambda plan: replace(
        plan, columns=(replace(plan.columns[0], column_class="direct_identifier"), *plan.columns[1:])
    ),
    "key version": lambda plan: replace(
        plan, columns=(replace(plan.columns[0], key_version=3), *plan.columns[1:])
    ),
    "key domain": lambda plan: replace(
        plan, columns=(replace(plan.columns[0], key_domain="x"), *plan.columns[1:])
    ),
    "filter": lambda plan: replace(plan, row_filters=plan.row_filters[:1]),
    "filter's parameter": lambda plan: replace(plan, row_filters=(plan.row_filters[0], Sample(fraction=0.4))),
    "filter's key version": lambda plan: replace(plan, row_key_version=3),
    "unnamed": lambda plan: replace(plan, unnamed=()),
    "policy": lambda plan: replace(plan, policy_digest="11" * 32),
    "subject": lambda plan: replace(plan, subject_root="people.id"),
}


class TestDigest:
    def test_same_plan_same_digest(self) -> None:
        """Two plans made alike are one plan."""
        assert _plan().digest == _plan().digest

    def test_does_not_depend_on_the_process(self) -> None:
        """The digest of a manifest can be checked later, elsewhere: no hash seed shows in it."""
        code = (
            f"import importlib.util as u; s = u.spec_from_file_location('p', {__file__!r});"
            "m = u.module_from_spec(s); s.loader.exec_module(m); print(m._plan().digest)"
        )
        child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

        assert child.stdout.strip() == _plan().digest

    def test_does_not_depend_on_the_folder(self) -> None:
        """Where a policy lies does not change what it means."""
        assert replace(_plan(), root=Path("/elsewhere")).digest == _plan().digest

    def test_depends_on_what_hierarchies_say(self, tmp_path: Path) -> None:
        """Another content of a file is another release, though the policy is the same; elsewhere it is not."""
        columns = (_column("town", Generalize(hierarchy={"file": "towns.csv", "level": 1}), pa.string()),)
        here, there = (replace(_plan(), columns=columns, root=tmp_path / name) for name in ("here", "there"))
        digests = []
        for plan, text in ((here, "Graz;Styria"), (there, "Graz;Styria"), (here, "Graz;South")):
            plan.root.mkdir(exist_ok=True)
            (plan.root / "towns.csv").write_text(text)
            digests.append(plan.digest)

        assert digests[0] == digests[1] != digests[2]

    @pytest.mark.parametrize("change", _CHANGES.values(), ids=_CHANGES)
    def test_any_change_of_meaning_changes_it(self, change: Any) -> None:
        """A plan that would release something else has another digest."""
        assert change(_plan()).digest != _plan().digest

    def test_as_dict_is_plain_json(self) -> None:
        """Manifests hold the plan as it is."""
        assert json.loads(json.dumps(_plan().as_dict())) == _plan().as_dict()
