"""Columns of which it is known what they hold: what the classifier is tuned on, and scored on.

Every column is there twice, with its name and without. One half of the columns, `tuned`, is what thresholds were
chosen on; all figures are of the other, `scored`. Halves are whole groups of people (countries, name sets), every
second span, or whole tables, so that nothing of a scored column was seen.
"""

from __future__ import annotations

import csv
import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

NONE = "none"


@dataclass(frozen=True)
class Labelled:
    """One column.

    Attributes:
        table: Where it is from; columns of one table are classified together.
        name: Its name.
        values: Its values.
        label: What it holds.
        accepted: The kinds that are right; several where the source tells less than the classifier does.
        scored: Whether it is of the half that is scored.
    """

    table: str
    name: str
    values: pa.Array
    label: str
    accepted: frozenset[str]
    scored: bool


PERSON = "name|first_name|last_name"
_PEOPLE = {
    "Gender": "gender", "Title": "honorific", "GivenName": "first_name", "Surname": "last_name",
    "EmailAddress": "email", "Username": "username", "Password": "password", "MothersMaiden": "last_name",
    "Birthday": "birth_date", "Age": "age", "CCType": NONE, "CVV2": "card_detail", "CCExpires": "card_detail",
    "Occupation": "job_title", "Company": "organization", "Domain": "url", "Number": "record_id",
    "Country": "country", "CountryFull": "country|nationality",
}  # fmt: skip
_PLACES = {
    "StreetAddress": "street", "City": "city", "StateFull": "region", "State": "region", "ZipCode": "postal_code",
    "TelephoneNumber": "phone", "NationalID": "national_id|us_ssn",
}  # fmt: skip
_SPANS = {
    "PERSON": PERSON, "STREET_ADDRESS": "street", "ORGANIZATION": "organization", "GPE": "city|country|region",
    "DATE_TIME": "event_date|birth_date", "CREDIT_CARD": "credit_card", "US_SSN": "us_ssn", "AGE": "age",
    "ZIP_CODE": "postal_code", "TITLE": "honorific|job_title", "DOMAIN_NAME": "url", "EMAIL_ADDRESS": "email",
    "PHONE_NUMBER": "phone", "IBAN_CODE": "bank_account", "IP_ADDRESS": "ip_address", "NRP": "nationality",
}  # fmt: skip
_ADULT = {
    "age": "age", "workclass": "job_title", "fnlwgt": NONE, "education": "education", "education-num": "education",
    "marital-status": "marital_status", "occupation": "job_title", "relationship": "marital_status",
    "race": "ethnicity", "sex": "gender", "capital-gain": "income", "capital-loss": "income",
    "hours-per-week": NONE, "native-country": "country|nationality", "salary-class": "income",
}  # fmt: skip
_ACS = {
    "PUMA": "region", "AGEP": "age", "SEX": "gender", "MSP": "marital_status", "HISP": "ethnicity",
    "RAC1P": "ethnicity", "NOC": NONE, "NPF": NONE, "HOUSING_TYPE": NONE, "OWN_RENT": NONE, "DENSITY": NONE,
    "INDP": NONE, "INDP_CAT": NONE, "EDU": "education", "PINCP": "income", "PINCP_DECILE": "income", "POVPIP": "income",
    "DVET": "health", "DREM": "health", "DPHY": "health", "DEYE": "health", "DEAR": "health",
    "PWGTP": NONE, "WGTP": NONE,
}  # fmt: skip
_RETAIL = {
    "InvoiceNo": f"{NONE}|record_id", "StockCode": NONE, "Description": NONE, "Quantity": NONE,
    "InvoiceDate": "event_date", "UnitPrice": NONE, "CustomerID": "person_id", "Country": "country",
}  # fmt: skip
_USERDATA = {
    "registration_dttm": "event_date", "id": "record_id", "first_name": "first_name", "last_name": "last_name",
    "email": "email", "gender": "gender", "ip_address": "ip_address", "cc": "credit_card", "country": "country",
    "birthdate": "birth_date", "salary": "income", "title": "job_title",
}  # fmt: skip
_PATIENTS = {
    "Id": "record_id", "BIRTHDATE": "birth_date", "DEATHDATE": "birth_date", "SSN": "us_ssn",
    "DRIVERS": "drivers_license", "PASSPORT": "passport", "PREFIX": "honorific", "FIRST": "first_name",
    "LAST": "last_name", "MAIDEN": "last_name", "MARITAL": "marital_status", "RACE": "ethnicity",
    "ETHNICITY": "ethnicity", "GENDER": "gender", "BIRTHPLACE": "nationality|city", "ADDRESS": "street", "CITY": "city",
    "STATE": "region", "COUNTY": "region", "ZIP": "postal_code", "LAT": "coordinates", "LON": "coordinates",
    "HEALTHCARE_EXPENSES": "income", "HEALTHCARE_COVERAGE": "income", "INCOME": "income",
}  # fmt: skip
_PROVIDERS = {
    "Id": "record_id", "NAME": PERSON, "GENDER": "gender", "SPECIALITY": "job_title", "ADDRESS": "street",
    "CITY": "city", "STATE": "region", "ZIP": "postal_code", "LAT": "coordinates", "LON": "coordinates",
    "UTILIZATION": NONE,
}  # fmt: skip
_CUSTOMERS = {
    "CustomerId": "person_id|record_id", "FirstName": "first_name", "LastName": "last_name", "Company": "organization",
    "Address": "street", "City": "city", "State": "region", "Country": "country", "PostalCode": "postal_code",
    "Phone": "phone", "Fax": "phone", "Email": "email",
}  # fmt: skip
_TRACKS = {
    "Name": NONE,
    "MediaTypeId": NONE,
    "GenreId": NONE,
    "Milliseconds": NONE,
    "Bytes": NONE,
    "UnitPrice": NONE,
}
_VISITS = {
    "VisitorId": "person_id|record_id", "Time entered": "event_date", "Time spent (minutes)": NONE,
    "Money spent (euros)": NONE, "Day": NONE,
}  # fmt: skip
_MEDICATIONS = {"BASE_COST": NONE, "PAYER_COVERAGE": NONE, "DISPENSES": NONE, "TOTALCOST": NONE}
_OBSERVATIONS = {"CATEGORY": NONE, "UNITS": NONE, "TYPE": NONE, "CODE": f"{NONE}|health"}
_ADULT_NAMES = tuple(_ADULT)


def columns(data: Path) -> list[Labelled]:
    """All columns, of both halves.

    Args:
        data: The folder of the real data sets.
    """
    found = [*_fake_names(data), *_spans(data)]
    acs, synthea = data / "nist_acs", data / "synthea_ma108"
    adult = _csv(data / "adult" / "adult.data", header=_ADULT_NAMES, strip=True)
    half = len(adult) // 2
    found += _table("adult, first half", adult[:half], _ADULT, scored=False)
    found += _table("adult, second half", adult[half:], _ADULT, scored=True)
    found += _table("ACS Massachusetts", _csv(acs / "ma2018.csv"), _ACS, scored=False)
    found += _table("ACS Texas", _csv(acs / "tx2018.csv"), _ACS, scored=True)
    retail = pq.read_table(data / "online_retail" / "online_retail.parquet")
    found += _arrow("online_retail, first rows", retail.slice(0, 100_000), _RETAIL, scored=False)
    found += _arrow("online_retail, last rows", retail.slice(441_909), _RETAIL, scored=True)
    found += _table("userdata1", _csv(data / "userdata" / "userdata1.csv"), _USERDATA, scored=False)
    found += _table("userdata2", _csv(data / "userdata" / "userdata2.csv"), _USERDATA, scored=True)
    found += _table("synthea patients", _csv(synthea / "patients.csv"), _PATIENTS, scored=True)
    found += _table("synthea providers", _csv(synthea / "providers.csv"), _PROVIDERS, scored=True)
    found += _table("synthea medications", _csv(synthea / "medications.csv"), _MEDICATIONS, scored=True)
    found += _table("synthea observations", _csv(synthea / "observations.csv"), _OBSERVATIONS, scored=True)
    found += _table(
        "restaurant visits", _csv(data / "restaurant_visits" / "week_data.csv"), _VISITS, scored=True
    )
    found += _table("chinook customers", _sqlite(data, "Customer"), _CUSTOMERS, scored=True)
    found += _table("chinook tracks", _sqlite(data, "Track"), _TRACKS, scored=True)
    return found


def _accepted(label: str) -> frozenset[str]:
    return frozenset(label.split("|"))


def _fake_names(data: Path) -> Iterator[Labelled]:
    """People's columns by name set, addresses by country; every second group is scored."""
    people = _csv(data / "presidio_research" / "FakeNameGenerator.com_3000.csv")
    for group, labels in (("NameSet", _PEOPLE), ("CountryFull", _PLACES)):
        for number, value in enumerate(sorted({row[group] for row in people})):
            rows = [row for row in people if row[group] == value]
            table = f"FakeNameGenerator, {group} {number}"
            for column in _table(table, rows, labels, scored=number % 2 == 1):
                # Some national numbers were damaged by a spreadsheet, as card numbers were: 5.60714E+12.
                texts = [text for text in column.values.to_pylist() if text is None or "E+" not in text]
                if sum(text is not None for text in texts) >= 20:
                    yield Labelled(**{**vars(column), "values": pa.array(texts, pa.string())})


def _spans(data: Path) -> Iterator[Labelled]:
    """The spans of each type as columns without a telling name; the texts themselves as free text."""
    texts = json.loads((data / "presidio_research" / "synth_dataset_v2.json").read_text())
    spans: dict[str, list[str]] = defaultdict(list)
    for text in texts:
        for span in text["spans"]:
            spans[span["entity_type"]].append(span["entity_value"])
    spans["TEXT"] = [text["full_text"] for text in texts]
    for kind, label in {**_SPANS, "TEXT": "free_text"}.items():
        for half in (0, 1):
            values = spans[kind][half::2]
            for part in range(0, max(1, len(values) - 39), 80):
                column = pa.array(values[part : part + 80], pa.string())
                yield Labelled(
                    f"spans, {kind} {half} {part}", "value", column, label, _accepted(label), half == 1
                )


def _table(
    table: str, rows: Sequence[dict[str, Any]], labels: dict[str, str], *, scored: bool
) -> Iterator[Labelled]:
    for name, label in labels.items():
        cells = [row[name] if row[name] not in ("", "N", "?") else None for row in rows]
        text = all(cell is None or isinstance(cell, str) for cell in cells)
        yield Labelled(
            table, name, pa.array(cells, pa.string() if text else None), label, _accepted(label), scored
        )


def _arrow(table: str, rows: pa.Table, labels: dict[str, str], *, scored: bool) -> Iterator[Labelled]:
    for name, label in labels.items():
        yield Labelled(table, name, rows[name].combine_chunks(), label, _accepted(label), scored)


def _csv(path: Path, *, header: Iterable[str] | None = None, strip: bool = False) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file, fieldnames=None if header is None else list(header)))
    return [{key: text.strip() for key, text in row.items()} for row in rows if row] if strip else rows


def _sqlite(data: Path, table: str) -> list[dict[str, Any]]:
    with closing(
        sqlite3.connect(f"file:{data / 'chinook' / 'Chinook_Sqlite.sqlite'}?mode=ro", uri=True)
    ) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute(f"select * from {table}")]


Predicted = dict[tuple[str, str], str]
"""(table, column) to the kind that was told."""


def classified(found: Sequence[Labelled], *, named: bool) -> list[tuple[Labelled, str, float]]:
    """What the classifier tells of each column, with its confidence; table by table, as it is used."""
    from airflow_veil.privacy.classify.service import classify_columns

    told = []
    tables: dict[str, list[Labelled]] = defaultdict(list)
    for column in found:
        tables[column.table].append(column)
    for table in tables.values():
        names = [column.name if named else f"c{place}" for place, column in enumerate(table)]
        suggestions = classify_columns(dict(zip(names, (column.values for column in table), strict=True)))
        told += [(column, s.kind, s.confidence) for column, s in zip(table, suggestions, strict=True)]
    return told


@dataclass(frozen=True)
class Score:
    """Precision and recall of one kind.

    Attributes:
        columns: Columns that hold it.
        found: Those of them for which a right kind was told.
        told: How often the kind was told.
        right: How often that was right.
    """

    columns: int
    found: int
    told: int
    right: int

    @property
    def recall(self) -> float | None:
        """The share of the columns that were found."""
        return self.found / self.columns if self.columns else None

    @property
    def precision(self) -> float | None:
        """The share of what was told that is right."""
        return self.right / self.told if self.told else None


def scores(told: Iterable[tuple[Labelled, str, float]]) -> dict[str, Score]:
    """By kind; a column with several right kinds counts where its first one is listed, or the one that was told."""
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for column, kind, _ in told:
        right = kind in column.accepted
        place = kind if right else column.label.split("|")[0]
        counts[place][0] += 1
        counts[place][1] += right
        counts[kind][2] += 1
        counts[kind][3] += right
    return {kind: Score(*counts[kind]) for kind in sorted(counts)}


def table(data: Path) -> str:
    """Precision and recall of every kind on the scored half, as a table of Markdown."""
    found = [column for column in columns(data) if column.scored]
    named, blind = (scores(classified(found, named=with_name)) for with_name in (True, False))
    lines = [
        "| kind | columns | recall | precision | recall, name hidden | precision, name hidden |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for kind in sorted({*named, *blind} - {NONE}):
        with_name, without = named.get(kind, Score(0, 0, 0, 0)), blind.get(kind, Score(0, 0, 0, 0))
        shares = (with_name.recall, with_name.precision, without.recall, without.precision)
        cells = ("" if share is None else f"{share:.2f}" for share in shares)
        lines.append(f"| `{kind}` | {with_name.columns} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    import sys

    print(table(Path(sys.argv[1])))
