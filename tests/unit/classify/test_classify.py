"""`classify`: what it tells of whole tables, what it must not conclude, and that it shows no value."""

from __future__ import annotations

import datetime as dt
import json
import logging
import socket
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest
from faker import Faker
from pyarrow.csv import write_csv

from airflow_veil.privacy.classify import dictionary
from airflow_veil.privacy.classify.kind import FOUND, KINDS
from airflow_veil.privacy.classify.service import classify, classify_columns
from airflow_veil.privacy.classify.suggestion import Suggestion, suggest
from airflow_veil.privacy.classify.tally import Tally
from airflow_veil.privacy.errors import SchemaError
from airflow_veil.privacy.policy.models import ColumnClass
from airflow_veil.privacy.storage.base import Source
from airflow_veil.privacy.storage.csv import CsvSource
from airflow_veil.privacy.storage.parquet import ParquetSource

CANARY = "zq7canary"
ROWS = 300


def one(values: object, *, name: str = "c") -> Suggestion:
    (told,) = classify_columns({name: values if isinstance(values, pa.Array) else pa.array(values)})
    return told


def people(rows: int = ROWS) -> pa.Table:
    faker = Faker("en_US")
    faker.seed_instance(7)
    return pa.table(
        {
            "id": pa.array(range(1, rows + 1)),
            "given": [faker.first_name() for _ in range(rows)],
            "mail": [f"{CANARY}{n}@example.org" if n % 7 else None for n in range(rows)],
            "phone": [faker.numerify("+44 20 7### ####") for _ in range(rows)],
            "card": [faker.credit_card_number("visa16") for _ in range(rows)],
            "born": [faker.date_of_birth(minimum_age=18, maximum_age=90) for _ in range(rows)],
            "joined": [faker.date_time_between("-3y") for _ in range(rows)],
            "active": [n % 2 == 0 for n in range(rows)],
            "empty": pa.nulls(rows, pa.string()),
        }
    )


class TestClassify:
    def test_tells_kind_class_and_category(self, tmp_path: Path) -> None:
        """Names in the order of the source; the category is the taxonomy's."""
        pq.write_table(people(), tmp_path / "people.parquet")

        told = classify(ParquetSource(tmp_path / "people.parquet", {}))
        kinds = {item.column: item.kind for item in told}

        assert kinds == {
            "id": "record_id",
            "given": "first_name",
            "mail": "email",
            "phone": "phone",
            "card": "credit_card",
            "born": "birth_date",
            "joined": "event_date",
            "active": "none",
            "empty": "none",
        }
        assert told[2].column_class is ColumnClass.DIRECT_IDENTIFIER
        assert told[2].category == "user.contact.email"
        assert told[2].values == ROWS - len(range(0, ROWS, 7))
        assert told[8].values == 0

    def test_chunks_and_encodings_do_not_matter(self) -> None:
        """A dictionary, large text or a slice holds the same as plain text."""
        mail = people()["mail"].combine_chunks()

        expected = one(mail)

        assert one(mail.dictionary_encode()) == expected
        assert one(mail.cast(pa.large_string())) == expected
        assert one(pa.concat_arrays([pa.array(["x"]), mail]).slice(1)) == expected

    def test_sample_rows_bounds_what_is_read(self, tmp_path: Path) -> None:
        """So many rows are looked at, and None looks at all of them."""
        rows = ["plain"] * 1000
        pq.write_table(pa.table({"c": rows}), tmp_path / "rows.parquet")
        source = ParquetSource(tmp_path / "rows.parquet", {})

        assert classify(source, sample_rows=500)[0].values == 500
        assert classify(source, sample_rows=5000)[0].values == 1000
        assert classify(source, sample_rows=None)[0].values == 1000

    @pytest.mark.parametrize("kind", ["parquet", "csv"])
    def test_a_column_that_filled_up_later(self, tmp_path: Path, kind: str) -> None:
        """Personal data that begins in the last row group is found by a sample, and the first rows do not have it."""
        late = [None] * 95_000 + [f"person{n}@example.org" for n in range(5_000)]
        table = pa.table({"extra": pa.array(late, pa.string()), "number": range(100_000)})
        if kind == "parquet":
            pq.write_table(table, tmp_path / "rows.parquet", row_group_size=5_000)
            source: Source = ParquetSource(tmp_path / "rows.parquet", {})
        else:
            write_csv(table, tmp_path / "rows.csv")
            source = CsvSource(tmp_path / "rows.csv")

        found = classify(source, sample_rows=3_200)[0]
        first = classify_columns({"extra": table["extra"].slice(0, 3_200).combine_chunks()})[0]

        assert found.kind == "email"
        assert 100 <= found.values <= 320
        assert first.kind == "none"

    def test_a_column_that_is_not_there(self, tmp_path: Path) -> None:
        """It is named."""
        pq.write_table(people(), tmp_path / "people.parquet")

        with pytest.raises(SchemaError, match="postcode"):
            classify(ParquetSource(tmp_path / "people.parquet", {}), columns=["id", "postcode"])

    def test_a_file_without_a_header_is_refused(self, tmp_path: Path) -> None:
        """Its first row would be shown and kept as names; the error shows none of it."""
        (tmp_path / "rows.csv").write_text(
            f"12345,{CANARY}@example.org,1999-01-01,77\n2,b@example.org,1999-01-01,7\n"
        )

        with pytest.raises(SchemaError, match="looks like a row of data") as caught:
            classify(CsvSource(tmp_path / "rows.csv"))

        assert CANARY not in str(caught.value)


class TestNames:
    def test_a_name_needs_values_that_go_with_it(self) -> None:
        """A column `email` of tokens is no e-mail address any more; one without values may be."""
        assert one(["0x1f", "0x2f"] * 20, name="email").kind == "none"
        assert one(pa.nulls(5, pa.string()), name="email").kind == "email"

    @pytest.mark.parametrize(
        ("name", "values"),
        [
            ("birth_date", ["yes", "no"]),
            ("age", [2019, 2020, 35_000]),
            ("phone", ["red", "green"]),
            ("salary", ["a", "b"]),
        ],
    )
    def test_what_values_contradict(self, name: str, values: list[object]) -> None:
        """The name is not believed."""
        assert one(values, name=name).kind == "none"

    def test_name_and_values_together_are_surer_than_either(self) -> None:
        """Two witnesses: 1 - (1 - n) (1 - v)."""
        mail = people()["mail"].combine_chunks()
        named, blind = one(mail, name="email"), one(mail)
        trust = KINDS["email"]

        assert blind.confidence == round(trust.by_value, 2)
        assert named.confidence == min(0.99, round(1 - (1 - trust.by_name) * (1 - trust.by_value), 2))

    def test_a_name_among_people_is_a_persons(self) -> None:
        """`name` says little; in a table with given names and births it is hardly a product's."""
        table = people()
        words = pa.array([f"Zzyx{n} Qqrt{n}" for n in range(ROWS)])

        alone = classify_columns({"name": words, "price": pa.array([1.5] * ROWS)})
        among = classify_columns({"name": words, "first_name": table["given"].combine_chunks()})

        assert (alone[0].kind, among[0].kind) == ("none", "name")


class TestValues:
    @pytest.mark.parametrize(
        "first", [100_000_000, 1_000_000_000, 10_000_000_000, 100_000_000_000, 4_000_000_000_000_000]
    )
    def test_running_numbers_are_no_numbers_with_check_digits(self, first: int) -> None:
        """A tenth of them passes any check digit: chance is taken away, at any length, as number and as text."""
        numbers = np.arange(first, first + 5_000)

        assert one(pa.array(numbers)).kind == "record_id"
        assert one(pa.array(numbers.astype(str))).kind == "record_id"

    def test_a_tenth_of_cards_is_found_among_running_numbers(self) -> None:
        """And what is there beyond chance is not taken away with it."""
        faker = Faker()
        faker.seed_instance(2)
        numbers = [str(4_000_000_000_000_000 + n) for n in range(2_000)]
        cards = [faker.credit_card_number("visa16") for _ in range(2_000)]

        assert one(numbers + cards).kind == "credit_card"

    def test_a_few_addresses_among_other_things_count(self) -> None:
        """Three in ten are enough, whatever the others are."""
        mixed = [f"{n}@example.org" if n % 10 < 4 else f"note {n}" for n in range(200)]

        assert one(mixed).kind == "email"

    def test_births_are_spread_and_events_are_not(self) -> None:
        """The same form of dates; what differs is the years."""
        births = [dt.date(1940 + n % 65, 1 + n % 12, 1 + n % 28) for n in range(ROWS)]
        events = [dt.date(2024 + n % 2, 1 + n % 12, 1 + n % 28) for n in range(ROWS)]

        assert one(births).kind == "birth_date"
        assert one([f"{day:%d/%m/%Y}" for day in births]).kind == "birth_date"
        assert one(events).kind == "event_date"
        assert one([f"{day:%d/%m/%Y}" for day in events]).kind == "event_date"

    def test_colours_are_no_family_names(self) -> None:
        """Brown, Green and White are, but a list of few words is a list."""
        assert one(["Brown", "Green", "White", "Black", "Gray", "Rose"] * 50).kind == "none"

    def test_chosen_texts_are_no_free_text(self) -> None:
        """What comes again and again was chosen from a list."""
        faker = Faker()
        faker.seed_instance(1)
        written = [f"I have called you about my order and it is the {faker.word()} {n}" for n in range(200)]

        assert one(written).column_class is ColumnClass.FREE_TEXT
        assert one(written[:25] * 20).kind == "none"

    def test_confidence_is_a_share(self) -> None:
        """For none it is that nothing was found."""
        assert 0.5 <= one([3.5, 4.5] * 30).confidence <= 1
        assert all(
            FOUND <= item.confidence < 1 for item in classify_columns(_columns(people())) if item.is_personal
        )


def _columns(table: pa.Table) -> dict[str, pa.Array]:
    return {name: table[name].combine_chunks() for name in table.column_names}


class TestNoNetwork:
    def test_nothing_is_asked(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Lists come with the suite: no socket is opened, with every list read anew."""

        def refused(*_: object) -> None:
            raise AssertionError("a socket was asked for")

        for lexicon in (
            dictionary.first_names,
            dictionary.cities,
            dictionary.street_words,
            dictionary.job_heads,
        ):
            lexicon.cache_clear()
        monkeypatch.setattr(socket, "socket", refused)
        monkeypatch.setattr(socket, "getaddrinfo", refused)

        assert classify_columns(_columns(people(30)))[2].kind == "email"

    def test_batches_add_up(self) -> None:
        """Counted batch by batch, in constant memory, a column shows the same shares."""
        mail, whole, parts = people()["mail"].combine_chunks(), Tally(pa.string()), Tally(pa.string())
        whole.add(mail)
        for start in range(0, ROWS, 50):
            parts.add(mail.slice(start, 50))

        assert suggest({"c": parts}) == suggest({"c": whole})


class TestNoValueLeaks:
    def test_no_value_is_told_or_logged(self, caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
        """Suggestions, their repr and their JSON, and all logs: names, words of the suite's own, and shares."""
        table = pa.table(
            {
                "note": [f"{CANARY} wrote to me and you {n}" for n in range(50)],
                "mail": [f"{CANARY}{n}@x.org" for n in range(50)],
            }
        )
        pacsv.write_csv(table, tmp_path / "rows.csv")

        with caplog.at_level(logging.DEBUG):
            told = classify(CsvSource(tmp_path / "rows.csv"))

        shown = (
            repr(told)
            + json.dumps([item.as_dict() for item in told])
            + "".join(map(str, told[0].evidence))
            + caplog.text
        )
        assert {item.kind for item in told} == {"free_text", "email"}
        assert CANARY not in shown

    def test_evidence_is_words_of_the_suite(self) -> None:
        """Whatever the values are, evidence is made of a fixed list of words."""
        told = classify_columns(_columns(people()))
        words = {item.what for suggestion in told for item in suggestion.evidence}

        assert not {word for word in words if any(letter.isdigit() for letter in word.replace("IPv4", ""))}
