"""Synthetic releases of real tables through Airflow: one table, 24 columns, related tables; no person is in them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
import yaml
from tests.airflow_home import AirflowHome, DagRun
from tests.openlineage_schemas import event_errors

from airflow_veil.privacy.ledger.ledger import Ledger
from airflow_veil.privacy.ledger.models import ModelState
from airflow_veil.privacy.lineage.prove import prove_files

pytestmark = pytest.mark.airflow

DAGS = Path(__file__).resolve().parent / "dags"
ROWS = 1_500
"""Of each source: enough to learn something, and quick."""
CANARY = "Canary-{}"
WIDE = {"singling_out_max": 0.9, "linkability_max": 0.9, "inference_max": 0.9, "matches_max": 0.9}
"""Bounds that a test of the way through passes; what evaluations find is tested elsewhere."""
ADULT = (
    *("age", "workclass", "fnlwgt", "education", "education_num", "marital_status", "occupation"),
    *("relationship", "race", "sex", "capital_gain", "capital_loss", "hours_per_week", "country", "income"),
)
NUMBERS = {"age": [17, 90], "hours_per_week": [1, 99]}
FEW = ("workclass", "education", "marital_status", "occupation", "race", "sex", "income")


def adult(shared: Path, folder: Path) -> dict[str, Any]:
    """Adult with a made-up name for each person: one table, and what is drawn differs by education and income."""
    options = pyarrow.csv.ReadOptions(column_names=ADULT)
    table = pyarrow.csv.read_csv(shared / "adult" / "adult.data", read_options=options).slice(0, ROWS)
    frame = table.to_pandas().assign(**{name: lambda rows, name=name: rows[name].str.strip() for name in FEW})
    frame.insert(0, "person", [CANARY.format(number) for number in range(len(frame))])
    pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), folder / "adult.parquet")
    columns: dict[str, Any] = {
        "person": {"class": "direct_identifier", "type": "string", "treat": "drop"},
        **{name: {"class": "quasi_identifier", "type": "int64", "treat": "drop"} for name in NUMBERS},
        **{
            name: {
                "class": "sensitive" if name == "income" else "quasi_identifier",
                "type": "string",
                "treat": "drop",
                "values": sorted(frame[name].unique()),
            }
            for name in FEW
        },
    }
    made = {
        "person": {"invented": {"provider": "name"}},
        **{name: {"numbers": {"bounds": bounds}} for name, bounds in NUMBERS.items()},
        **dict.fromkeys(FEW, "categories"),
    }
    return policy(
        folder,
        "adult",
        {"people": dataset(folder / "adult.parquet", "person", columns)},
        {
            "learned": {
                "method": "gaussian_copula",
                "tables": {"people": {"rows": 400, "columns": made}},
                "evaluate": {"target": "income", "bounds": WIDE},
            }
        },
    )


def acs(shared: Path, folder: Path) -> dict[str, Any]:
    """The 24 columns of the ACS excerpt of Massachusetts: those with many values as numbers, N as empty."""
    frame = pd.read_csv(shared / "nist_acs" / "ma2018.csv", dtype=str, na_values=["N"], keep_default_na=False)
    frame = frame.head(ROWS)
    columns: dict[str, Any] = {}
    made: dict[str, Any] = {}
    for name in frame.columns:
        numbers = pd.to_numeric(frame[name], errors="coerce")
        nulls = bool(frame[name].isna().any())
        if frame[name].nunique() > 30 and numbers.notna().any():
            frame[name] = numbers.astype("float64")
            columns[name] = {"class": "quasi_identifier", "type": "float64", "treat": "drop"}
            bounds = [float(numbers.min()), float(numbers.max())]
            made[name] = {"numbers": {"bounds": bounds}, "nulls": nulls}
        else:
            values = sorted(frame[name].dropna().unique())
            columns[name] = {"class": "quasi_identifier", "type": "string", "treat": "drop", "values": values}
            made[name] = {"categories": {}, "nulls": nulls}
    pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), folder / "acs.parquet")
    data = dataset(folder / "acs.parquet", None, columns)
    rules = {"knows": ["PUMA", "AGEP", "SEX", "RAC1P"], "secrets": ["PINCP_DECILE"], "bounds": WIDE}
    method = {"method": "gaussian_copula", "evaluate": rules}
    return policy(
        folder,
        "acs",
        {"people": data},
        {"learned": {**method, "tables": {"people": {"columns": made, "rows": 400}}}},
    )


def synthea(shared: Path, folder: Path) -> dict[str, Any]:
    """Patients and their encounters: related tables."""
    source = shared / "synthea_ma108"
    patients, encounters = pd.read_csv(source / "patients.csv"), pd.read_csv(source / "encounters.csv.gz")
    people = {
        "Id": {"class": "direct_identifier", "type": "string", "treat": "drop"},
        "SSN": {"class": "direct_identifier", "treat": "drop"},
        "BIRTHDATE": {"class": "quasi_identifier", "type": "date", "treat": "drop"},
        "GENDER": {"class": "quasi_identifier", "type": "string", "treat": "drop", "values": ["F", "M"]},
        "RACE": {
            "class": "quasi_identifier",
            "type": "string",
            "treat": "drop",
            "values": sorted(patients["RACE"].unique()),
        },
    }
    visits = {
        "Id": {"class": "direct_identifier", "type": "string", "treat": "drop"},
        "PATIENT": {"class": "direct_identifier", "type": "string", "treat": "drop"},
        "ENCOUNTERCLASS": {
            "class": "sensitive",
            "type": "string",
            "treat": "drop",
            "values": sorted(encounters["ENCOUNTERCLASS"].unique()),
        },
        "BASE_ENCOUNTER_COST": {"class": "none", "type": "float64", "treat": "drop"},
    }
    tables = {
        "patients": {
            "rows": 60,
            "columns": {
                "Id": "key",
                "BIRTHDATE": {"dates": {"bounds": ["1900-01-01", "2030-01-01"]}},
                "GENDER": "categories",
                "RACE": "categories",
            },
        },
        "encounters": {
            "columns": {
                "Id": "key",
                "PATIENT": {"reference": {"to": "patients.Id"}},
                "ENCOUNTERCLASS": "categories",
                "BASE_ENCOUNTER_COST": {"numbers": {"bounds": [0, 1000], "decimals": 2}},
            }
        },
    }
    sources = {
        "patients": dataset(source / "patients.csv", "Id", people),
        "encounters": dataset(
            source / "encounters.csv.gz", {"column": "PATIENT", "references": "patients.Id"}, visits
        ),
    }
    rules = {"holdout": 0.3, "bounds": WIDE}
    return policy(
        folder, "synthea", sources, {"care": {"method": "hma", "tables": tables, "evaluate": rules}}
    )


def dataset(source: Path, subject: Any, columns: dict[str, Any]) -> dict[str, Any]:
    """A data set of which no row leaves."""
    whose = subject or {"none": "the excerpt names nobody, row by row"}
    return {"source": str(source), "subject": whose, "columns": columns}


def policy(folder: Path, name: str, datasets: dict[str, Any], releases: dict[str, Any]) -> dict[str, Any]:
    """A policy that makes up tables."""
    return {
        "version": 1,
        "name": name,
        "owner": "data@example.com",
        "datasets": datasets,
        "release": {"destination": str(folder / "releases" / name), "expires_after": "P30D"},
        "synthetic": {"schedule": "@weekly", "releases": releases},
    }


@dataclass(frozen=True)
class Ran:
    """The installation after all runs.

    Attributes:
        home: The installation.
        runs: The runs, by DAG.
        printed: All that was printed, the tasks' logs among it.
    """

    home: AirflowHome
    runs: dict[str, DagRun]
    printed: str

    def current(self, name: str, table: str) -> pd.DataFrame:
        """What a consumer reads."""
        frame: pd.DataFrame = pq.read_table(
            self.home.path / "releases" / name / table / "current"
        ).to_pandas()
        return frame

    def manifest(self, name: str, table: str) -> dict[str, Any]:
        """What is told of it."""
        path = self.home.path / "releases" / name / table / "current" / "_manifest.json"
        told: dict[str, Any] = json.loads(path.read_text())
        return told

    def ledger(self) -> Ledger:
        return Ledger.open(self.home.veil / "ledger.db")


@pytest.fixture(scope="module")
def ran(shared_home: Callable[..., AirflowHome], shared_data: Path) -> Ran:
    """All of it in one start of Airflow."""
    home = shared_home("synthetic")
    shutil.copy(DAGS / "synthetic.py", home.dags)
    for make in (adult, acs, synthea):
        told = make(shared_data, home.path)
        (home.policies / f"{told['name']}.yaml").write_text(yaml.safe_dump(told, sort_keys=False))
    jobs = [
        {"dag_id": "veil_adult_synthetic", "logical_date": "2026-03-01", "retries": 1},
        {"dag_id": "veil_acs_synthetic", "logical_date": "2026-03-01"},
        {"dag_id": "veil_synthea_synthetic", "logical_date": "2026-03-01"},
        {"dag_id": "adult_women", "logical_date": "2026-03-01"},
    ]
    runs, printed = home.run_dags(*jobs, OMP_NUM_THREADS="1")
    return Ran(home, {job["dag_id"]: run for job, run in zip(jobs, runs, strict=True)}, printed)


class TestRuns:
    def test_all_tasks_succeed(self, ran: Ran) -> None:
        """Fit, synthesize, evaluate, publish and scrub are steps of their own."""
        for name in ("adult", "acs", "synthea"):
            run = ran.runs[f"veil_{name}_synthetic"]
            assert run.state == "success", ran.printed[-3_000:]
            steps = {task.partition(".")[2] for task in run.tasks}
            assert steps == {"fit", "synthesize", "evaluate", "publish", "scrub"}
        assert ran.runs["adult_women"].state == "success"

    def test_a_task_that_is_lost_after_its_work(self, ran: Ran) -> None:
        """Its second try finds the model, draws the same rows and publishes the same release."""
        tries = dict(
            ran.home.select(
                "select task_id, try_number from task_instance where dag_id = 'veil_adult_synthetic'"
            )
        )
        assert tries["learned.fit"] == tries["learned.publish"] == 2
        with ran.ledger() as ledger:
            assert len(ledger.models.listed("adult")) == 1
            assert len(ledger.list("adult", "learned")) == 1

    def test_nothing_stays_staged(self, ran: Ran) -> None:
        """Neither beside the releases nor in the staging area."""
        assert not [path for path in (ran.home.path / "releases").rglob(".*") if path.is_dir()]

    def test_the_log_tells_how_far_it_is(self, ran: Ran) -> None:
        """Progress of fit and draw, in names and counts."""
        for told in ("Reading training rows", "Fitting hma", "people: 400 rows", "Evaluating encounters"):
            assert told in ran.printed


class TestRows:
    def test_adult(self, ran: Ran) -> None:
        """What goes together still does: who studied longer earns more."""
        rows = ran.current("adult", "learned")

        assert len(rows) == 400
        assert rows["age"].between(17, 90).all()
        rich = rows["income"] == ">50K"
        assert 0.05 < rich.mean() < 0.5
        assert rows["age"][rich].mean() > rows["age"][~rich].mean()

    def test_women_are_a_release_of_their_own(self, ran: Ran) -> None:
        """Of the same model, beside the whole one."""
        women = ran.current("adult", "learned_women")
        assert (women["sex"] == "Female").all()
        assert len(women) == 100
        whole = ran.manifest("adult", "learned")["synthetic"]["model"]
        assert ran.manifest("adult", "learned_women")["synthetic"]["model"] == whole

    def test_acs(self, ran: Ran) -> None:
        """All 24 columns, of their types, within what the policy says."""
        rows = ran.current("acs", "learned")
        source = pq.read_table(ran.home.path / "acs.parquet").to_pandas()

        assert list(rows.columns) == list(source.columns)
        assert len(rows.columns) == 24
        assert rows["PINCP"].max() <= source["PINCP"].max()
        assert set(rows["SEX"].dropna()) <= {"1", "2"}

    def test_synthea(self, ran: Ran) -> None:
        """Each encounter is a patient's that is there, and patients have about as many as in the source."""
        patients, encounters = (ran.current("synthea", f"care_{name}") for name in ("patients", "encounters"))

        assert len(patients) == 60
        assert encounters["PATIENT"].isin(patients["Id"]).all()
        assert 3 < len(encounters) / len(patients) < 40


class TestNothingLeaks:
    def test_no_value_of_a_person_is_anywhere(self, ran: Ran) -> None:
        """Neither a name nor an SSN is in the ledger, models, releases, Airflow's database, lineage, or the log."""
        patients = pd.read_csv(_source_of(ran, "synthea", "patients"))
        wanted = [CANARY.format(number).encode() for number in range(0, ROWS, 97)]
        wanted += [ssn.encode() for ssn in patients["SSN"]]
        places = [
            path
            for path in ran.home.path.rglob("*")
            if path.is_file() and path.name not in ("adult.parquet", "acs.parquet")
        ]
        assert len(places) > 20
        for path in places:
            raw = path.read_bytes()
            assert not [word for word in wanted if word in raw], path

    def test_xcom_has_references_only(self, ran: Ran) -> None:
        """Names, counts and digests: no score."""
        pushed = [json.loads(value) for (value,) in ran.home.select("select value from xcom")]
        keys = {"policy", "dataset", "interval", "specification", "model_id", "suffix", "step", "published"}
        told = [value if isinstance(value, dict) else json.loads(value) for value in pushed]
        assert len(told) > 10
        for value in told:
            assert set(value) in ({*keys, "releases", "rows"}, {"own", "orphans"})

    def test_scores_are_evidence_only(self, ran: Ran) -> None:
        """In the ledger's log, not in the manifest that lies beside the rows."""
        with ran.ledger() as ledger:
            (entry,) = [
                each
                for each in ledger.evidence()
                if each.kind == "synthetic.evaluated" and each.subject.startswith("adult/learned/")
            ]
            states = {each.state for each in ledger.models.listed()}
        assert entry.content["figures"]["usefulness"]
        assert "figures" not in ran.manifest("adult", "learned")["evaluation"]
        assert states == {ModelState.FITTED}

    def test_lineage_leads_to_what_was_learned(self, ran: Ran) -> None:
        """Learned columns come from their own; invented ones from none; the proof holds, and events are valid."""
        events = ran.home.events()
        assert [error for event in events for error in event_errors(event)] == []
        done = [
            event
            for event in events
            if event["job"]["name"] == "veil_adult_synthetic.learned.synthesize"
            and event["eventType"] == "COMPLETE"
            and event["outputs"]
        ]
        fields = done[-1]["outputs"][0]["facets"]["columnLineage"]["fields"]
        direct = {
            name: [
                each["field"]
                for each in told["inputFields"]
                if any(how["type"] == "DIRECT" for how in each["transformations"])
            ]
            for name, told in fields.items()
        }
        assert direct["age"] == ["age"]
        assert not direct.get("person")
        assert prove_files([ran.home.veil / "lineage.jsonl"]).holds


def _source_of(ran: Ran, name: str, dataset: str) -> Path:
    told = yaml.safe_load((ran.home.policies / f"{name}.yaml").read_text())
    return Path(told["datasets"][dataset]["source"])
