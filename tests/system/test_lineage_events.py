"""The lineage of real nights: every event fits the standard, tells the truth, and proves the masking."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from tests.airflow_home import BIN
from tests.openlineage_schemas import event_errors
from tests.system.conftest import Night, Nights
from tests.system.shop import DATASETS

from airflow_veil.privacy.ledger.ledger import Ledger
from airflow_veil.privacy.lineage.prove import prove_files

pytestmark = [pytest.mark.airflow, pytest.mark.usefixtures("shared_data")]

STAGING = {"stepwise": ("minimize", "tokenize", "mask", "generalize"), "fused": ("sanitize",)}
Event = dict[str, Any]


@dataclass(frozen=True)
class Task:
    """The events of one task in the first run of a night."""

    start: Event
    end: Event


def _events(night: Night) -> list[Event]:
    """The events of the tasks of a night's first run."""
    ours = [
        event for event in night.home.events() if event["job"]["name"].startswith(f"veil_{night.policy}.")
    ]
    return [event for event in ours if _run_id(event) == night.first.run_id]


def _run_id(event: Event) -> str:
    return str(event["run"]["facets"]["airflow"]["dagRun"]["run_id"])


def _tasks(night: Night) -> dict[str, Task]:
    """The events of each task, by its id."""
    events: dict[str, dict[str, Event]] = {}
    for event in _events(night):
        task = event["job"]["name"].partition(".")[2]
        assert event["eventType"] not in events.setdefault(task, {}), (
            f"{task} told {event['eventType']} twice"
        )
        events[task][event["eventType"]] = event
    assert all(set(told) == {"START", "COMPLETE"} for told in events.values()), events
    return {task: Task(told["START"], told["COMPLETE"]) for task, told in events.items()}


def _inputs(facets: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each column of a lineage facet, with each column that it is made of."""
    for column, told in facets["lineage"]["fields"].items():
        for source in told["inputs"]:
            yield column, source


def _masked_ways(night: Night, dataset: str) -> dict[str, set[tuple[str, bool]]]:
    """For each published column the source columns whose content arrives, and whether anything masks it."""
    tasks, way = _tasks(night), "stepwise" if f"{dataset}.minimize" in night.first.tasks else "fused"
    arriving: dict[str, set[tuple[str, bool]]] = {}
    for task in (*STAGING[way], "publish"):
        (output,) = tasks[f"{dataset}.{task}"].end["outputs"]
        told: dict[str, set[tuple[str, bool]]] = {}
        for column, source in _inputs(output["facets"]):
            for step in source["transformations"]:
                if step["type"] == "DIRECT":
                    before = arriving.get(source["field"], set()) if arriving else {(source["field"], False)}
                    told.setdefault(column, set()).update(
                        (name, masked or step["masking"]) for name, masked in before
                    )
        arriving = told
    return arriving


class TestEvents:
    def test_every_event_fits_its_schemas(self, nights: Nights) -> None:
        """The core by `RunEvent`, every facet by the schema that it names; nothing is left unchecked."""
        wrong = {
            f"{event['job']['name']} {event['eventType']}": found
            for event in nights.home.events()
            if (found := event_errors(event))
        }

        assert not wrong
        assert len(nights.home.events()) > 100

    def test_every_task_tells_start_and_end(self, night: Night) -> None:
        """One START and one COMPLETE each, of one run, with the parent run of the DAG."""
        tasks = _tasks(night)

        assert set(tasks) == set(night.first.tasks)
        for task in tasks.values():
            assert task.start["run"]["runId"] == task.end["run"]["runId"]
            assert task.end["run"]["facets"]["parent"]["job"]["name"] == f"veil_{night.policy}"

    def test_every_data_set_is_named_with_its_columns(self, night: Night) -> None:
        """What is read and what is written has a schema, at START already."""
        for name, task in _tasks(night).items():
            if name.endswith("scrub"):
                continue
            for event in (task.start, task.end):
                assert event["inputs"], name
                assert all(dataset["facets"]["schema"]["fields"] for dataset in event["inputs"])
                assert all(dataset["facets"]["schema"]["fields"] for dataset in event["outputs"])

    def test_what_is_written_tells_columns_counts_and_treatment(self, night: Night) -> None:
        """Both lineage facets, our own facet and the counts are on every output; they agree with each other."""
        for name, task in _tasks(night).items():
            if name.endswith(("scrub", "validate", "risk")):
                continue
            (output,) = task.end["outputs"]
            facets = output["facets"]
            columns = {field["name"] for field in facets["schema"]["fields"]}
            assert output["outputFacets"]["outputStatistics"]["rowCount"] > 0, name
            assert (
                facets["lineage"]["fields"].keys() == facets["columnLineage"]["fields"].keys() == columns
            ), name
            assert {column["name"] for column in facets["veil_privacy"]["columns"]} == columns
            for column, told in facets["columnLineage"]["fields"].items():
                in_both = facets["lineage"]["fields"][column]["inputs"]
                assert [source["field"] for source in told["inputFields"]] == [s["field"] for s in in_both]
                assert [s["transformations"] for s in told["inputFields"]] == [
                    s["transformations"] for s in in_both
                ]
                assert all(isinstance(t["masking"], bool) for s in in_both for t in s["transformations"])

    def test_rows_are_counted(self, night: Night) -> None:
        """The counts of reading and writing are those of the tables."""
        for dataset in DATASETS:
            with Ledger.open(night.home.veil / "ledger.db") as ledger:
                release = ledger.current(night.policy, dataset)
            assert release is not None
            publish = _tasks(night)[f"{dataset}.publish"].end
            assert publish["outputs"][0]["outputFacets"]["outputStatistics"]["rowCount"] == release.rows_out
            assert publish["outputs"][0]["facets"]["version"]["datasetVersion"] == release.release_id

    def test_expectations_are_told_without_figures(self, night: Night) -> None:
        """Validation tells each expectation and that it held."""
        (read,) = _tasks(night)["customers.validate"].end["inputs"]
        assertions = read["inputFacets"]["dataQualityAssertions"]["assertions"]

        suite = json.loads((night.home.policies / "expectations" / "retail_customers.json").read_text())
        assert [item["assertion"] for item in assertions] == [item["type"] for item in suite["expectations"]]
        assert all(item["success"] for item in assertions)
        assert all(not item.pop("params", None) for item in assertions)
        assert all(set(item) <= {"assertion", "success", "column"} for item in assertions)

    def test_the_chain_is_unbroken(self, night: Night) -> None:
        """Each task reads what the one before has written, from the source to what consumers read."""
        tasks = _tasks(night)
        for dataset in DATASETS:
            way = [
                name
                for name in ("minimize", "tokenize", "mask", "generalize", "sanitize")
                if f"{dataset}.{name}" in tasks
            ]
            chain = [tasks[f"{dataset}.{name}"].end for name in (*way, "publish")]
            assert chain[0]["inputs"][0]["name"].endswith(f"/retail/{dataset}.parquet")
            assert chain[-1]["outputs"][0]["name"].endswith(f"/{night.policy}/{dataset}/current")
            for before, after in pairwise(chain):
                assert _name(before["outputs"][0]) == _name(after["inputs"][0])
            assert _name(tasks[f"{dataset}.validate"].end["inputs"][0]) == _name(chain[-1]["inputs"][0])


class TestAgreement:
    @pytest.mark.parametrize("dataset", DATASETS)
    def test_with_the_plan_in_the_manifest(self, night: Night, dataset: str) -> None:
        """What the events say of each published column is what the plan in the ledger said would be done."""
        with Ledger.open(night.home.veil / "ledger.db") as ledger:
            release = ledger.current(night.policy, dataset)
        assert release is not None
        manifest: dict[str, Any] = dict(release.manifest or {})
        planned = {
            c["name"]: c for c in manifest["plan"]["columns"] if c["name"] not in manifest["dropped_columns"]
        }
        (output,) = _tasks(night)[f"{dataset}.publish"].end["outputs"]
        told = {column["name"]: column for column in output["facets"]["veil_privacy"]["columns"]}
        ways = _masked_ways(night, dataset)

        assert told.keys() == planned.keys() == ways.keys()
        assert output["facets"]["veil_privacy"]["planDigest"] == manifest["plan_digest"]
        assert output["facets"]["veil_privacy"]["policyDigest"] == manifest["policy"]["digest"]
        for name, column in planned.items():
            assert told[name]["class"] == column["class"]
            assert told[name].get("keyVersion") == column["key_version"]
            assert [told[name]["treatment"]] == (
                [column["treat"]] if isinstance(column["treat"], str) else list(column["treat"])
            )
            assert told[name]["masked"] == column["properties"]["masks"]
            assert (name, column["properties"]["masks"]) in ways[name]
            assert {source for source, _ in ways[name]} <= {name, *column["inputs"]}

    def test_dropped_columns_end_where_they_are_told(self, night: Night) -> None:
        """The street is told as dropped, and reaches nothing."""
        tasks = _tasks(night)
        first = "minimize" if "customers.minimize" in tasks else "sanitize"
        (output,) = tasks[f"customers.{first}"].end["outputs"]
        dropped = {item["name"]: item["reason"] for item in output["facets"]["veil_privacy"]["dropped"]}

        assert dropped["street"] == dropped["city"] == "policy"
        assert "street" not in {source["field"] for _, source in _inputs(output["facets"])}


class TestFailure:
    def test_a_failing_task_tells_fail(self, nights: Nights) -> None:
        """A suite that is not met is a FAIL of the validation, with its data set; what follows tells nothing."""
        events = [e for e in nights.home.events() if e["job"]["name"].startswith("veil_retail_bad.")]
        told = {(event["job"]["name"].rpartition(".")[2], event["eventType"]): event for event in events}

        assert nights.failed.state == "failed"
        assert nights.failed.tasks["customers.validate"] == "failed"
        assert set(told) == {
            *(("sanitize", "START"), ("sanitize", "COMPLETE"), ("validate", "START"), ("validate", "FAIL")),
            *(("scrub", "START"), ("scrub", "COMPLETE")),
        }
        failed = told["validate", "FAIL"]
        assert failed["inputs"][0]["facets"]["veil_privacy"]["dataset"] == "customers"
        assert failed["run"]["runId"] == told["validate", "START"]["run"]["runId"]

    def test_what_failed_is_not_there(self, nights: Nights) -> None:
        """Nothing of the failed night is published, and the teardown left nothing staged."""
        folder = nights.home.path / "data" / "releases" / "retail_bad" / "customers"

        assert not [path for path in folder.iterdir() if path.name == "current" or path.is_dir()]
        assert nights.failed.tasks["customers.scrub"] == "success"


class TestProof:
    def test_holds_on_the_events_of_real_nights(self, nights: Nights) -> None:
        """Every path from a direct identifier or free text to a published column is masked."""
        proof = prove_files([nights.home.lineage])

        assert proof.holds, proof
        assert len(proof.published) == len(DATASETS) * len(nights.ways)
        assert proof.identifiers > 10
        assert proof.paths_checked > 20

    def test_the_command_says_so(self, nights: Nights) -> None:
        """`veil lineage prove` reads the installation's own events and ends with 0."""
        done = nights.home.run(str(BIN / "veil"), "lineage", "prove", "--json")

        assert done.code == 0, done.output
        assert json.loads(done.output)["holds"]

    @pytest.mark.parametrize(
        ("task", "column"),
        [("customers.tokenize", "email"), ("customers.mask", "phone"), ("orders.tokenize", "customer_id")],
    )
    def test_fails_where_an_edge_was_unmasked(
        self, nights: Nights, tmp_path: Path, task: str, column: str
    ) -> None:
        """One masked edge told as unmasked is a counterexample that names its way."""
        changed = 0
        tampered = tmp_path / "tampered.jsonl"
        with tampered.open("w") as lines:
            for event in nights.home.events():
                if event["job"]["name"] == f"veil_retail.{task}":
                    changed += sum(_unmask(output, column) for output in event["outputs"])
                lines.write(json.dumps(event) + "\n")

        proof = prove_files([tampered])

        assert changed
        assert not proof.holds
        assert {example.end.name for example in proof.counterexamples} == {column}
        assert all(not edge.masking for example in proof.counterexamples for edge in example.edges)

    def test_fails_where_an_event_is_missing(self, nights: Nights, tmp_path: Path) -> None:
        """A task whose events were cut out leaves a way that nobody explains."""
        cut = tmp_path / "cut.jsonl"
        kept = [e for e in nights.home.events() if e["job"]["name"] != "veil_retail.customers.tokenize"]
        cut.write_text("".join(json.dumps(event) + "\n" for event in kept))

        assert not prove_files([cut]).holds


def _name(dataset: dict[str, Any]) -> tuple[str, str]:
    return dataset["namespace"], dataset["name"]


def _unmask(output: dict[str, Any], column: str) -> int:
    """Tell the edges of a column as unmasked, in both facets; returns how many were masked."""
    facets = output["facets"]
    inputs = (
        *facets["lineage"]["fields"][column]["inputs"],
        *facets["columnLineage"]["fields"][column]["inputFields"],
    )
    masked = [step for source in inputs for step in source["transformations"] if step["masking"]]
    for step in masked:
        step["masking"] = False
    return len(masked)
