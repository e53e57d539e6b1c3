"""The shipped policies: they check, fit their sources and the schema, and their releases meet their suites."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pyarrow as pa
import pytest
import yaml
from typer.testing import CliRunner

from airflow_veil.cli.demo import write_retail
from airflow_veil.cli.main import app
from airflow_veil.cli.workspace import bound, of_loaded
from airflow_veil.privacy.plan.written import plan_file, written
from airflow_veil.privacy.policy.check import check
from airflow_veil.privacy.policy.load import SCHEMA_ID, load
from airflow_veil.privacy.policy.schema import json_schema
from airflow_veil.privacy.policy.source_map import read
from airflow_veil.privacy.release.workspace import Workspace
from airflow_veil.privacy.settings import Settings

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
POLICIES = {path.stem: path for path in sorted(CONFIGS.glob("*.yaml"))}
STATISTICS = {"retail_statistics": (30, "P30D"), "online_retail_statistics": (12, "total")}
"""Policies that only ask queries: how often the budget pays for all of them, and in which period, as they say."""
SUITES = {path.stem: path for path in sorted((CONFIGS / "expectations").glob("*.json"))}
GOOD = """
version: 1
name: p
owner: o
datasets:
  d:
    source: d.parquet
    subject: id
    columns:
      id: {class: direct_identifier, treat: {token: {domain: x}}}
      a: {class: none, treat: null}
release: {destination: out}
"""
ASKED = """
differential_privacy:
  budgets:
    people: {unit: d.id, epsilon: 3, delta: 1e-6}
  queries:
    q:
      dataset: d
      budget: people
      spend: {epsilon: 1, delta: 1.0e-8}
      where: "b > 3"
      keys:
        a: unknown
        year: {column: t, to: year, first: 2024, last: 2025}
        c: {values: [x, 1, true], source: a list}
      measures:
        n: count
        m: {sum: {column: b, bounds: [0, 9]}}
        q: {quantiles: {column: b, quantiles: [0.5], candidates: {first: 0, last: 9, step: 1}}}
"""


def validator() -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(json_schema())


def workspace(name: str, root: Path) -> Workspace:
    """The workspace of a shipped policy over data below a root."""
    opened = of_loaded(load(POLICIES[name]))
    return replace(
        opened, settings=Settings.from_env({"VEIL_HOME": str(root / "home"), "VEIL_DATA_ROOT": str(root)})
    )


class TestPolicies:
    def test_the_eight_are_there(self) -> None:
        """The demo, with statistics and made-up tables; Online Retail, with statistics; Synthea, userdata, Chinook."""
        rows = {"retail", "retail_synthetic", "online_retail", "synthea", "userdata", "chinook"}

        assert set(POLICIES) == rows | set(STATISTICS)

    @pytest.mark.parametrize("name", POLICIES)
    def test_checks(self, name: str) -> None:
        """No shipped policy has a mistake."""
        assert check(load(POLICIES[name])) == ()

    @pytest.mark.parametrize("name", POLICIES)
    def test_its_plan_is_committed(self, name: str) -> None:
        """`veil ci configs --update` after a change: the plan file is the policy's plan, byte for byte."""
        path = POLICIES[name]

        assert plan_file(path).read_text(encoding="utf-8") == written(load(path)).to_text()

    def test_all_pass_in_ci(self) -> None:
        """`veil ci configs` finds nothing."""
        result = CliRunner().invoke(app, ["ci", str(CONFIGS), "--strict", "--json"])
        told = json.loads(result.stdout)

        assert result.exit_code == 0
        assert len(told["policies"]) == len(POLICIES)
        assert not [case for case in told["cases"] if case["findings"] or case["skipped"]]

    @pytest.mark.parametrize("name", POLICIES)
    def test_follows_the_schema(self, name: str) -> None:
        """Editors do not underline a shipped policy, as YAML 1.2 and as this project's loader read it."""
        text = POLICIES[name].read_text()

        validator().validate(yaml.safe_load(text))
        validator().validate(read(text).data)

    @pytest.mark.parametrize("name", POLICIES)
    def test_points_editors_at_the_schema(self, name: str) -> None:
        """The first line names the schema beside the policy."""
        assert POLICIES[name].read_text().startswith("# yaml-language-server: $schema=policy.schema.json\n")

    @pytest.mark.parametrize("name", POLICIES)
    def test_is_named_as_its_file_and_explained(self, name: str) -> None:
        """The policy's name is the file's; owner, description and comments are there."""
        loaded = load(POLICIES[name])

        assert loaded.policy.name == name
        assert loaded.policy.owner
        assert loaded.policy.description
        assert POLICIES[name].read_text().count("\n      # ") + POLICIES[name].read_text().count("\n# ") >= 3

    @pytest.mark.parametrize("name", POLICIES)
    def test_holds_no_place_of_a_machine(self, name: str) -> None:
        """Addresses are relative, so that a policy works wherever its data lies."""
        data = yaml.safe_load(POLICIES[name].read_text())
        sources = [d["source"] for d in data["datasets"].values()]
        uris = [s for s in [*sources, data["release"]["destination"]] if isinstance(s, str)]

        assert not [uri for uri in uris if uri.startswith("/") or "://" in uri]


class TestStatistics:
    """The policies that ask queries, and release no row."""

    @pytest.mark.parametrize("name", STATISTICS)
    def test_no_row_is_released(self, name: str) -> None:
        """Every column is dropped, so that there is no nightly release of rows."""
        from airflow_veil.pipelines.sanitized_release import released_datasets

        assert released_datasets(POLICIES[name]) == ()

    @pytest.mark.parametrize("name", STATISTICS)
    def test_the_budget_lasts_as_long_as_it_says(self, name: str) -> None:
        """All queries together fit the budget as many times as the comments say, by the price that is charged."""
        from airflow_veil.privacy.dp.loss import Loss, fits
        from airflow_veil.privacy.dp.measurement import loss_of, measurements
        from airflow_veil.privacy.dp.query import compile_query
        from airflow_veil.privacy.policy.check_dp import limits_of

        loaded, (times, per) = load(POLICIES[name]), STATISTICS[name]
        dp = loaded.policy.differential_privacy
        assert dp is not None
        (budget,) = dp.budgets.values()
        once = [loss_of(measurements(compile_query(loaded, query))) for query in dp.queries]

        assert budget.per == per
        assert fits(limits_of(budget), sum(once * times, Loss()))

    @pytest.mark.parametrize("name", STATISTICS)
    def test_public_lists_say_where_they_come_from(self, name: str) -> None:
        """Each query says what it is for, and each list of keys its source."""
        dp = load(POLICIES[name]).policy.differential_privacy
        assert dp is not None

        assert all(query.description for query in dp.queries.values())
        assert "file: keys/europe_2011.csv" in POLICIES["online_retail_statistics"].read_text()


class TestSources:
    """Every column of each source is decided, and every decision is about a column that is there."""

    @pytest.fixture
    def root(self, tmp_path: Path, request: pytest.FixtureRequest) -> Path:
        """A data root with the real data below it."""
        shared: Path = request.getfixturevalue("shared_data")
        for folder in ("online_retail", "synthea_ma108", "userdata"):
            (tmp_path / folder).symlink_to(shared / folder)
        return tmp_path

    @pytest.mark.parametrize("name", ["online_retail", "synthea", "userdata"])
    def test_real_files_are_decided_whole(self, name: str, root: Path) -> None:
        """The policy names each column of the real files."""
        opened = workspace(name, root)
        plans = [bound(opened, dataset) for dataset in opened.loaded.policy.datasets]

        assert {plan.dataset: plan.unnamed for plan in plans if plan.unnamed} == {}

    @pytest.mark.parametrize("name", STATISTICS)
    def test_statistics_decide_the_same_columns(self, name: str) -> None:
        """What only queries ask is decided as whole as what is released: the same columns of the same sources."""
        asked, released = (load(POLICIES[n]).policy for n in (name, name.removesuffix("_statistics")))

        assert {n: (d.source, set(d.columns)) for n, d in asked.datasets.items()} == {
            n: (d.source, set(d.columns)) for n, d in released.datasets.items()
        }

    def test_synthea_joins_as_before(self, root: Path) -> None:
        """Patients, visits and diagnoses join to the same counts before and after."""
        from airflow_veil.privacy.engine.beside import beside
        from airflow_veil.privacy.keys.ring import KeyRing

        opened, keys = workspace("synthea", root), KeyRing.generate()
        before: dict[str, list[pa.RecordBatch]] = {}
        after: dict[str, list[pa.RecordBatch]] = {}
        for name in ("patients", "encounters", "conditions"):
            plan = bound(opened, name, key_version=keys.current)
            for _, raw, treated in beside(plan, opened.source(name), keys):
                before.setdefault(name, []).append(raw)
                after.setdefault(name, []).append(treated)
        counts = [
            _joined({n: pa.Table.from_batches(b) for n, b in tables.items()}) for tables in (before, after)
        ]

        assert counts[0] == counts[1]
        assert sum(row["CODE_count"] for row in counts[0]) == 55

    def test_retail_is_decided_whole(self, tmp_path: Path) -> None:
        """The policy names each column that the generator writes."""
        write_retail(tmp_path / "retail", customers=3, seed=1)
        opened = workspace("retail", tmp_path)

        assert [bound(opened, dataset).unnamed for dataset in opened.loaded.policy.datasets] == [(), (), ()]

    def test_chinook_is_decided_whole(self, shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The policy names each column of the tables, read through a connection from the environment."""
        pytest.importorskip("airflow_veil.privacy.storage.sql")
        file = shared_data / "chinook" / "Chinook_Sqlite.sqlite"
        monkeypatch.setenv("AIRFLOW_CONN_CHINOOK", json.dumps({"conn_type": "sqlite", "host": str(file)}))
        opened = of_loaded(load(POLICIES["chinook"]))

        assert [bound(opened, d).unnamed for d in opened.loaded.policy.datasets] == [()] * 4


def _joined(tables: dict[str, pa.Table]) -> list[dict[str, Any]]:
    """Diagnoses by sex and kind of visit: a count over all three tables."""
    visits = tables["encounters"].select(["Id", "ENCOUNTERCLASS"])
    conditions = tables["conditions"].select(["PATIENT", "ENCOUNTER", "CODE"])
    found = conditions.join(visits, "ENCOUNTER", "Id", join_type="inner").join(
        tables["patients"].select(["Id", "GENDER"]), "PATIENT", "Id", join_type="inner"
    )
    counts = found.group_by(["GENDER", "ENCOUNTERCLASS"]).aggregate([("CODE", "count")])
    return counts.sort_by([("GENDER", "ascending"), ("ENCOUNTERCLASS", "ascending")]).to_pylist()


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> dict[str, pa.Table]:
    """What the policy makes of a small demo, in memory."""
    from airflow_veil.privacy.engine.beside import beside
    from airflow_veil.privacy.keys.ring import KeyRing

    root = tmp_path_factory.mktemp("demo")
    write_retail(root / "retail", customers=300, seed=2)
    keys = KeyRing.generate()
    opened = workspace("retail", root)
    return {
        dataset: pa.Table.from_batches(
            after
            for _, _, after in beside(
                bound(opened, dataset, key_version=keys.current), opened.source(dataset), keys
            )
        )
        for dataset in opened.loaded.policy.datasets
    }


class TestSuites:
    def test_every_suite_is_used(self) -> None:
        """A suite that no policy names checks nothing; one that is named must be there."""
        named = {
            data.expectations
            for path in POLICIES.values()
            for data in load(path).policy.datasets.values()
            if data.expectations
        }

        assert named == set(SUITES)

    @pytest.mark.parametrize("name", SUITES)
    def test_is_a_suite_of_great_expectations(self, name: str) -> None:
        """The library itself accepts every expectation and its arguments."""
        from great_expectations.core.expectation_suite import ExpectationSuite

        written = json.loads(SUITES[name].read_text())
        suite = ExpectationSuite(**written)

        assert suite.name == name
        assert len(suite.expectations) == len(written["expectations"])

    @pytest.mark.parametrize(
        ("dataset", "column", "spoil"),
        [
            pytest.param("customers", "email", lambda _: "anna@example.com", id="an address in clear"),
            pytest.param("customers", "customer_id", lambda _: None, id="a missing key"),
            pytest.param("customers", "phone", lambda _: "+49 30 23125746", id="a phone in clear"),
            pytest.param(
                "customers", "notes", lambda _: "write to anna@example.com", id="an address in a note"
            ),
            pytest.param("orders", "ip_address", lambda _: "203.0.113.7", id="an IP address in clear"),
            pytest.param("orders", "order_id", lambda _: "5000001", id="an order number in clear"),
            pytest.param("order_lines", "sku", lambda _: "SKU-1", id="an unknown kind of article"),
        ],
    )
    def test_releases_meet_their_suites_and_spoiled_ones_do_not(
        self, dataset: str, column: str, spoil: Callable[[Any], Any], released: dict[str, pa.Table]
    ) -> None:
        """Each suite holds for the demo's release, and finds one spoiled cell."""
        from airflow_veil.privacy.release import expectations

        suite = expectations.load_suite(SUITES[f"retail_{dataset}"])
        table = released[dataset]
        values = table[column].to_pylist()
        spoiled = table.set_column(
            table.column_names.index(column),
            column,
            pa.array([spoil(values[0]), *values[1:]], table[column].type),
        )

        good = expectations.evaluate(suite, _Table(table))
        bad = expectations.evaluate(suite, _Table(spoiled))

        assert [str(result) for result in good if not result.success] == []
        assert column in {result.column for result in bad if not result.success}


class _Table:
    """A table in memory as a source."""

    def __init__(self, table: pa.Table) -> None:
        self.table = table

    def schema(self) -> pa.Schema:
        return self.table.schema

    def batches(self, columns: list[str], *, batch_rows: int) -> Any:
        return iter(self.table.select(columns).to_batches(max_chunksize=batch_rows))


class TestSchema:
    def test_the_committed_file_is_current(self) -> None:
        """`veil schema > configs/policy.schema.json` after a change of models or treatments."""
        assert json.loads((CONFIGS / "policy.schema.json").read_text()) == json_schema()

    def test_is_a_schema(self) -> None:
        """It is valid Draft 2020-12, bears our name, and every reference resolves."""
        schema = json_schema()
        jsonschema.Draft202012Validator.check_schema(schema)
        references = set(re.findall(r'"#/\$defs/(\w+)"', json.dumps(schema)))

        assert schema["$id"] == SCHEMA_ID
        assert references == set(schema["$defs"])

    def test_every_treatment_is_explained(self) -> None:
        """Each word of the registry is offered, with a description."""
        from airflow_veil.privacy.transforms.registry import TRANSFORMS

        schema = json_schema()
        words = schema["$defs"]["Treatment"]["anyOf"][1]["properties"]

        assert set(words) == set(TRANSFORMS)
        assert all(schema["$defs"][word["$ref"].rpartition("/")[2]]["description"] for word in words.values())

    def test_accepts_short_spellings(self) -> None:
        """A bare source, subject, destination and treatment; YAML's null is the treatment of that name."""
        validator().validate(yaml.safe_load(GOOD))
        validator().validate(read(GOOD).data)

    def test_accepts_short_spellings_of_queries(self) -> None:
        """A bare measure, a measure with parameters, bare `unknown`, a bare year and a bare comparison."""
        validator().validate(read(GOOD + ASKED).data)
        validator().validate(yaml.safe_load(GOOD + ASKED))

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            pytest.param("n: count", "n: cont", id="unknown measure"),
            pytest.param("n: count", "n: sum", id="measure without what it needs"),
            pytest.param("bounds: [0, 9]", "bounds: [0, 9, 10]", id="three bounds"),
            pytest.param("bounds: [0, 9]", "bound: [0, 9]", id="unknown parameter"),
            pytest.param("sum: {", "count: {}, sum: {", id="two measures"),
            pytest.param("a: unknown", "a: unkown", id="unknown keys"),
            pytest.param("first: 2024", "frst: 2024", id="unknown word of keys"),
            pytest.param("{epsilon: 1, delta", "{epsilon: 1, rho: 1, delta", id="two amounts"),
        ],
    )
    def test_refuses_mistakes_in_queries(self, old: str, new: str) -> None:
        """So it is with queries."""
        assert old in ASKED
        assert list(validator().iter_errors(yaml.safe_load(GOOD + ASKED.replace(old, new))))

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            pytest.param("treat: null", "treat: {keep: {}, drop: {}}", id="two treatments"),
            pytest.param("treat: null", "treat: {}", id="no treatment"),
            pytest.param("treat: null", "treat: tokn", id="unknown treatment"),
            pytest.param("treat: null", "treat: token", id="treatment without what it needs"),
            pytest.param("treat: null", "treat: {mask: {keep_lst: 4}}", id="unknown parameter"),
            pytest.param("class: none", "clas: none", id="unknown word"),
            pytest.param("class: none", "class: secret", id="unknown class"),
            pytest.param("treat: null", "treat: keep, type: number", id="unknown type"),
            pytest.param("version: 1", "version: 2", id="other version"),
            pytest.param(
                "subject: id", "subject: {column: id, none: nobody is in it}", id="subject and none"
            ),
            pytest.param("owner: o", "keys: {}", id="no owner and empty keys"),
            pytest.param("source: d.parquet", "source: {uri: x, connection: y, table: z}", id="two sources"),
        ],
    )
    def test_refuses_mistakes(self, old: str, new: str) -> None:
        """What an editor should underline, the schema refuses."""
        assert old in GOOD
        assert list(validator().iter_errors(yaml.safe_load(GOOD.replace(old, new))))
