"""People are erased from Synthea and Chinook through a real Airflow: nothing of them is left in any byte of it."""

from __future__ import annotations

import gzip
import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml
from tests.airflow_home import AirflowHome, DagRun
from tests.openlineage_schemas import event_errors

from airflow_veil.privacy.ledger.erasures import RequestState
from airflow_veil.privacy.ledger.ledger import Ledger
from airflow_veil.privacy.ledger.record import ReleaseState

pytestmark = [pytest.mark.airflow, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]
DAGS = Path(__file__).resolve().parent / "dags"
SYNTHEA = {
    "patients": ("patients.csv", "Id"),
    "encounters": ("encounters.csv.gz", "PATIENT"),
    "conditions": ("conditions.csv", "PATIENT"),
    "observations": ("observations.csv", "PATIENT"),
    "medications": ("medications.csv", "PATIENT"),
    "claims": ("claims.csv.gz", "PATIENTID"),
    "providers": ("providers.csv", "Id"),
}
"""Data set to its file and the column that says whose a row is."""
PROVIDERS = ("PROVIDER", "PROVIDERID", "REFERRINGPROVIDERID", "SUPERVISINGPROVIDERID")
CUSTOMER, EMPLOYEE = 5, 4
"""In Chinook: a customer, and the employee who looks after a third of all customers."""


def read(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def policies(home: AirflowHome) -> None:
    """The shipped policies, of fewer tables, with releases below the installation."""
    for name, datasets in (("synthea", SYNTHEA), ("chinook", None)):
        said = yaml.safe_load((ROOT / "configs" / f"{name}.yaml").read_text())
        if datasets is not None:
            said["datasets"] = {each: said["datasets"][each] for each in datasets}
        said["release"] |= {"destination": str(home.path / "releases" / name)}
        (home.policies / f"{name}.yaml").write_text(yaml.safe_dump(said, sort_keys=False))


@dataclass(frozen=True)
class Erased:
    """An installation after people were erased.

    Attributes:
        home: The installation.
        sent: What the sources were before.
        patients: The numbers of the patients who are erased.
        provider: The number of the doctor who is.
        first: The runs up to the erasures.
        left: Every file that held something of them afterwards, and what kind of thing.
        after: The sources after the erasures.
        second: The runs after upstream had sent all of it again.
        replayed: What `veil erase replay` printed then, and its exit code.
    """

    home: AirflowHome
    sent: Path
    patients: tuple[str, ...]
    provider: str
    first: list[DagRun]
    left: list[tuple[str, str]]
    after: dict[str, pd.DataFrame]
    second: list[DagRun]
    replayed: tuple[int, str]

    def ledger(self) -> Ledger:
        return Ledger.open(self.home.veil / "ledger.db")

    def before(self, dataset: str) -> pd.DataFrame:
        return read(self.sent / "synthea_ma108" / SYNTHEA[dataset][0])

    def released(self, dataset: str) -> pd.DataFrame:
        frame: pd.DataFrame = pq.read_table(
            self.home.path / "releases" / "synthea" / dataset / "current"
        ).to_pandas()
        return frame


def looked_for(sent: Path, patients: tuple[str, ...], provider: str) -> dict[str, str]:
    """All that names the erased and nobody else, to what it is."""
    found: dict[str, str] = dict.fromkeys(patients, "patient") | {provider: "doctor"}
    people = read(sent / "synthea_ma108" / "patients.csv")
    mine = people[people.Id.isin(patients)]
    for column in ("SSN", "DRIVERS", "PASSPORT", "ADDRESS"):
        others = set(people[~people.Id.isin(patients)][column])
        found |= {text: column for text in mine[column] if len(text) > 6 and text not in others}
    for dataset, column in (("encounters", "PATIENT"), ("claims", "PATIENTID")):
        rows = read(sent / "synthea_ma108" / SYNTHEA[dataset][0])
        found |= dict.fromkeys(rows[rows[column].isin(patients)].Id, dataset)
    with closing(sqlite3.connect(sent / "chinook.sqlite")) as database:
        customer = database.execute(
            "SELECT Email, Phone, Address, LastName FROM Customer WHERE CustomerId = ?", (CUSTOMER,)
        ).fetchone()
        employee = database.execute(
            "SELECT Email, Phone FROM Employee WHERE EmployeeId = ?", (EMPLOYEE,)
        ).fetchone()
    return found | dict.fromkeys(filter(None, (*customer, *employee)), "chinook")


def content(path: Path) -> bytes:
    """All bytes of a file, also those that it packs."""
    raw = path.read_bytes()
    if raw[:2] == b"\x1f\x8b":
        return raw + gzip.decompress(raw)
    if raw[:4] == b"PAR1":
        with pq.ParquetFile(path) as file:
            return raw + b"\n".join(repr(batch.to_pydict()).encode() for batch in file.iter_batches())
    return raw


def holding(home: Path, texts: dict[str, str]) -> Iterator[tuple[str, str]]:
    """The files below a folder that hold something, and what."""
    spelled = {text.encode(): kind for text, kind in texts.items()}
    for path in sorted(home.rglob("*")):
        if path.is_file() and not path.is_symlink():
            found = content(path)
            for kind in {kind for text, kind in spelled.items() if text in found}:
                yield str(path.relative_to(home)), kind


@pytest.fixture(scope="module")
def erased(
    shared_home: Callable[..., AirflowHome], shared_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> Erased:
    home, sent = shared_home("erasure"), tmp_path_factory.mktemp("sent")
    (sent / "synthea_ma108").mkdir()
    for name, _ in SYNTHEA.values():
        shutil.copyfile(shared_data / "synthea_ma108" / name, sent / "synthea_ma108" / name)
    shutil.copyfile(shared_data / "chinook" / "Chinook_Sqlite.sqlite", sent / "chinook.sqlite")
    data = home.path / "data"
    shutil.copytree(sent, data)
    policies(home)
    shutil.copy(DAGS / "erasures.py", home.dags)
    home.env |= {
        "VEIL_DATA_ROOT": str(data),
        "SENT_BEFORE": str(sent),
        "AIRFLOW_CONN_CHINOOK": json.dumps({"conn_type": "sqlite", "host": str(data / "chinook.sqlite")}),
    }
    people = read(sent / "synthea_ma108" / "patients.csv")
    busiest = read(sent / "synthea_ma108" / "encounters.csv.gz")
    patients = tuple(busiest.PATIENT.value_counts().index[:2])
    provider = str(busiest[~busiest.PATIENT.isin(patients)].PROVIDER.value_counts().index[0])
    ssn = people[people.Id == patients[1]].SSN.iloc[0]
    asked = tmp_path_factory.mktemp("asked")
    letters = {
        "synthea": f"patients.Id,patients.SSN,providers.Id\n{patients[0]},,\n,{ssn},\n,,{provider}\n",
        "chinook": f"customers.CustomerId,employees.EmployeeId\n{CUSTOMER},\n,{EMPLOYEE}\n",
    }
    for policy, text in letters.items():
        (asked / f"{policy}.csv").write_text(text)
        done = home.run(
            "veil",
            "erase",
            "request",
            str(home.policies / f"{policy}.yaml"),
            "--batch",
            str(asked / f"{policy}.csv"),
        )
        assert done.ok, done.output
    first, _ = home.run_dags(
        {"dag_id": "veil_synthea", "logical_date": "2026-03-01"},
        {"dag_id": "veil_chinook", "logical_date": "2026-03-01"},
        {"dag_id": "veil_synthea_erasure", "logical_date": "2026-03-01"},
        {"dag_id": "veil_chinook_erasure", "logical_date": "2026-03-01"},
    )
    left = list(holding(home.path, looked_for(sent, patients, provider)))
    after = {name: read(data / "synthea_ma108" / file) for name, (file, _) in SYNTHEA.items()}
    second, _ = home.run_dags({"dag_id": "resend"}, {"dag_id": "veil_synthea", "logical_date": "2026-03-02"})
    replayed = home.run("veil", "erase", "replay", str(home.policies / "synthea.yaml"))
    return Erased(
        home, sent, patients, provider, first, left, after, second, (replayed.code, replayed.output)
    )


class TestErasure:
    def test_all_runs_succeed(self, erased: Erased) -> None:
        """Releases before, and erasures with all their steps."""
        assert [run.state for run in (*erased.first, *erased.second)] == ["success"] * 6, erased.first

    def test_requests_are_complete(self, erased: Erased) -> None:
        """What was known of them is destroyed."""
        with erased.ledger() as ledger:
            found = ledger.erasures.listed()
            ledger.verify_chain()
        first = [each for each in found if each.requested_by.startswith("cli")] or found
        assert {each.state for each in found} == {RequestState.COMPLETE}
        assert len(first) >= 5
        assert all(each.sealed is None for each in found)

    def test_nothing_is_left_in_any_byte(self, erased: Erased) -> None:
        """Of sources, releases, the ledger, Airflow's database and logs, XCom, lineage and certificates."""
        assert erased.left == []

    def test_the_search_finds_what_is_there(self, erased: Erased) -> None:
        """In what was sent, each of the things that are looked for stands somewhere."""
        texts = looked_for(erased.sent, erased.patients, erased.provider)
        assert {kind for _, kind in holding(erased.sent, texts)} == set(texts.values())

    @pytest.mark.parametrize("dataset", [name for name in SYNTHEA if name != "providers"])
    def test_all_other_rows_are_equal(self, erased: Erased, dataset: str) -> None:
        """Cell by cell and in order, but for the doctor's number."""
        _, column = SYNTHEA[dataset]
        wanted = erased.before(dataset)
        wanted = wanted[~wanted[column].isin(erased.patients)].reset_index(drop=True)
        for name in PROVIDERS:
            if name in wanted:
                wanted[name] = wanted[name].replace(erased.provider, "")
        pd.testing.assert_frame_equal(erased.after[dataset], wanted)

    def test_the_doctor_is_gone_and_the_patients_of_the_doctor_stay(self, erased: Erased) -> None:
        """The rows of others lose one cell."""
        before, after = erased.before("providers"), erased.after["providers"]
        assert list(after.Id) == [number for number in before.Id if number != erased.provider]
        assert (erased.after["encounters"].PROVIDER == "").sum() > 0

    def test_releases_are_without_them(self, erased: Erased) -> None:
        """Each table of the night after has the rows that are left, though upstream has sent all of them again."""
        for dataset in SYNTHEA:
            assert len(erased.released(dataset)) == len(erased.after[dataset]), dataset
        with erased.ledger() as ledger:
            manifests = [each.manifest or {} for each in ledger.list("synthea", "patients")]
        assert sum(bool(manifest.get("made_from")) for manifest in manifests) == 1

    def test_no_release_from_before_can_be_read(self, erased: Erased) -> None:
        """Those of the first night are gone, with their files."""
        with erased.ledger() as ledger:
            for record in ledger.list():
                folder = erased.home.path / "releases" / record.policy / record.dataset / record.release_id
                live = record.state in (ReleaseState.CURRENT, ReleaseState.SUPERSEDED)
                assert folder.exists() == live, record

    def test_a_restore_is_cleaned(self, erased: Erased) -> None:
        """`veil erase replay` finds them again and erases them."""
        code, output = erased.replayed
        assert code == 0, output
        now = read(erased.home.path / "data" / "synthea_ma108" / "patients.csv")
        assert not set(now.Id) & set(erased.patients)

    def test_chinook(self, erased: Erased) -> None:
        """A customer goes with all invoices and lines; an employee goes, and customers lose that cell."""

        def select(folder: Path, query: str) -> list[tuple[Any, ...]]:
            with closing(sqlite3.connect(folder / "chinook.sqlite")) as database:
                return database.execute(query).fetchall()

        # Upstream has sent Chinook again since, and nobody has replayed it: the release tells.
        folder = erased.home.path / "releases" / "chinook"
        lines = pq.read_table(folder / "invoice_lines" / "current").num_rows
        wanted = select(
            erased.sent,
            f"SELECT count(*) FROM InvoiceLine JOIN Invoice USING (InvoiceId) WHERE CustomerId <> {CUSTOMER}",
        )
        assert (lines,) == wanted[0]
        customers = pq.read_table(folder / "customers" / "current").to_pandas()
        of_employee = select(
            erased.sent,
            f"SELECT count(*) FROM Customer WHERE SupportRepId = {EMPLOYEE} AND CustomerId <> {CUSTOMER}",
        )
        assert (int(customers.SupportRepId.isna().sum()),) == of_employee[0]

    def test_lineage_is_what_openlineage_says(self, erased: Erased) -> None:
        """Every event of the erasures fits its schema, and tells which sources were overwritten."""
        events = [event for event in erased.home.events() if "erasure" in event["job"]["name"]]
        assert events
        assert [error for event in events for error in event_errors(event)] == []

    def test_a_run_has_its_deadline(self, erased: Erased) -> None:
        """Airflow notes it when a run is made: a month of 28 days, less the week of the warning."""
        home = erased.home
        folder = home.path / "shipped"
        folder.mkdir()
        shutil.copy(ROOT / "dags" / "erasure.py", folder)
        at = {"AIRFLOW__CORE__DAGS_FOLDER": str(folder)}
        for command in (
            ("reserialize",),
            ("trigger", "veil_synthea_erasure", "--conf", '{"request": "erasure-0123456789abcdef"}'),
        ):
            done = home.run("airflow", "dags", *command, **at)
            assert done.ok, done.output[-3000:]
        found = home.select(
            "select julianday(deadline_time) - julianday(queued_at) from deadline"
            " join dag_run on dag_run.id = deadline.dagrun_id"
        )
        assert [round(days) for (days,) in found] == [21]

    def test_certificates(self, erased: Erased) -> None:
        """One a request, for machines and for people, and each says what was done and looked at."""
        written = sorted((erased.home.veil / "certificates").glob("*.json"))
        assert len(written) >= 5
        for path in written:
            facts = json.loads(path.read_text())["facts"]
            assert facts["kind"] == "erasure"
            assert facts["done"]
            assert all(check["passed"] for check in facts["verification"]), path
            assert path.with_suffix(".html").exists()
