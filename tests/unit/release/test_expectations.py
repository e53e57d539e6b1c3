"""Expectation suites over staged rows."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.unit.release.conftest import ACTOR, Shop, night

from airflow_veil.privacy.errors import ExpectationsFailedError, ReleaseError, StorageError
from airflow_veil.privacy.release import expectations, service
from airflow_veil.privacy.storage.parquet import ParquetSource

CANARY = "canary-7f3a9"

ROWS = pa.table(
    {
        "id": pa.array([1, 2, 3, 4, None, 6, 7, 8, 9, 9], pa.int64()),
        "country": ["GB", "FR", "DE", "GB", None, CANARY, "FR", "DE", "GB", "FR"],
        "low": pa.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0]),
        "high": pa.array([2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 1.0]),
        "small": pa.array([1, None, 3, 1, 2, 3, 1, 2, 3, 1], pa.int32()),
    }
)


def expect(kind: str, **kwargs: Any) -> dict[str, Any]:
    return {"type": f"expect_{kind}", "kwargs": kwargs}


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> ParquetSource:
    """Ten rows in Parquet."""
    path = tmp_path_factory.mktemp("rows") / "rows.parquet"
    pq.write_table(ROWS, path)
    return ParquetSource(path)


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Three rows at once, so that ten rows are four batches."""
    monkeypatch.setattr(expectations, "BATCH_ROWS", 3)
    return


SUITE = [
    expect("column_values_to_not_be_null", column="id"),
    expect("column_values_to_not_be_null", column="low"),
    expect("column_values_to_be_unique", column="id"),
    expect("column_values_to_be_in_set", column="country", value_set=["GB", "FR", "DE"]),
    expect("column_values_to_be_in_set", column="country", value_set=["GB", "FR", "DE"], mostly=0.8),
    expect("column_values_to_match_regex", column="country", regex="^[A-Z]{2}$", mostly=0.9),
    expect("column_values_to_be_between", column="low", min_value=1, max_value=9),
    expect("column_pair_values_a_to_be_greater_than_b", column_A="high", column_B="low"),
    expect("column_pair_values_a_to_be_greater_than_b", column_A="high", column_B="low", mostly=0.9),
    expect("compound_columns_to_be_unique", column_list=["id", "country"]),
    expect("column_mean_to_be_between", column="low", min_value=5, max_value=6),
    expect("column_mean_to_be_between", column="low", min_value=7, max_value=8),
    expect("column_distinct_values_to_equal_set", column="small", value_set=[1, 2, 3]),
    expect("table_row_count_to_equal", value=10),
    expect("table_row_count_to_equal", value=11),
    expect("table_columns_to_match_set", column_set=["id", "country", "low", "high", "small"]),
    expect("column_to_exist", column="low"),
]
OUTCOMES = [
    *(False, True, False, False, True, False, False, False, True),
    *(True, True, False, True, True, False, True, True),
]


class TestEvaluate:
    def test_each_expectation_has_its_outcome(self, rows: ParquetSource) -> None:
        """Results come in the suite's order, one an expectation."""
        results = expectations.evaluate(SUITE, rows)

        assert [result.success for result in results] == OUTCOMES
        assert [result.type for result in results] == [item["type"] for item in SUITE]
        assert all(result.evaluated for result in results)

    @pytest.mark.usefixtures("small_batches")
    def test_batches_add_up_to_the_whole(self, rows: ParquetSource) -> None:
        """Counts and outcomes are the same whether the rows come at once or a few at a time."""
        in_batches = expectations.evaluate(SUITE, rows)

        assert [result.success for result in in_batches] == OUTCOMES
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(expectations, "BATCH_ROWS", 1 << 18)
            assert expectations.evaluate(SUITE, rows) == in_batches

    @pytest.mark.usefixtures("small_batches")
    def test_a_repetition_in_another_batch_is_found(self, rows: ParquetSource) -> None:
        """Uniqueness is of the column, not of a batch."""
        apart = pa.table({"id": [1, 2, 3, 4, 5, 6, 1]})
        path = rows.path.with_name("apart.parquet")
        pq.write_table(apart, path)
        (result,) = expectations.evaluate(
            [expect("column_values_to_be_unique", column="id")], ParquetSource(path)
        )

        assert not result.success
        assert result.unexpected == 2

    def test_results_are_counts(self, rows: ParquetSource) -> None:
        """How many were looked at and how many do not fit: never which, nor what they hold."""
        results = expectations.evaluate(SUITE, rows)
        in_set = results[3]

        assert (in_set.looked_at, in_set.unexpected) == (10, 1)
        assert str(in_set) == (
            "expect_column_values_to_be_in_set on country: does not hold, 1 of 10 rows do not fit"
        )
        told = json.dumps([result.as_dict() for result in results]) + "".join(map(str, results))
        assert CANARY not in told

    @pytest.mark.parametrize(
        ("mostly", "holds"), [(8 / 9, True), (0.88, True), (0.89, False), (1.0, False)], ids=str
    )
    def test_mostly_is_the_share_of_rows_that_are_there(
        self, rows: ParquetSource, mostly: float, holds: bool
    ) -> None:
        """Nulls do not count: eight of nine countries fit."""
        item = expect("column_values_to_match_regex", column="country", regex="^[A-Z]{2}$", mostly=mostly)

        (result,) = expectations.evaluate([item], rows)

        assert result.success is holds

    def test_nothing_but_nulls_fits(self, tmp_path: Path) -> None:
        """A column without a value breaks no expectation about its values, as the library has it."""
        path = tmp_path / "nulls.parquet"
        pq.write_table(pa.table({"id": pa.array([None, None], pa.string())}), path)
        (result,) = expectations.evaluate(
            [expect("column_values_to_match_regex", column="id", regex="^x$")], ParquetSource(path)
        )

        assert result.success

    def test_an_integer_with_nulls_stays_an_integer(self, rows: ParquetSource) -> None:
        """A null does not turn 3 into 3.0."""
        item = expect("column_values_to_be_in_set", column="small", value_set=[1, 2, 3])

        assert expectations.evaluate([item], rows)[0].success

    def test_an_unknown_expectation_is_an_error(self, rows: ParquetSource) -> None:
        """A name that the library does not know is told; nothing passes for want of a check."""
        with pytest.raises(ReleaseError, match="expect_wonders"):
            expectations.evaluate([expect("wonders", column="id")], rows)

    def test_a_missing_column_is_an_error(self, rows: ParquetSource) -> None:
        """All the columns that a suite names and the release lacks are told at once."""
        suite = [
            expect("column_values_to_not_be_null", column="gone"),
            expect("compound_columns_to_be_unique", column_list=["id", "away"]),
        ]

        with pytest.raises(ReleaseError, match="away, gone"):
            expectations.evaluate(suite, rows)

    def test_what_cannot_be_evaluated_does_not_hold(self, rows: ParquetSource) -> None:
        """An expectation that fails inside the library counts as not met; its text is not kept."""
        items = [
            expect("column_values_to_match_regex", column="country", regex="(["),
            expect("column_mean_to_be_between", column="country", min_value=0, max_value=1),
        ]
        results = expectations.evaluate(items, rows)

        assert [result.success for result in results] == [False, False]
        assert [result.evaluated for result in results] == [False, False]
        assert "could not be evaluated" in str(results[0])
        assert CANARY not in "".join(map(str, results))

    def test_the_library_says_nothing_of_the_rows(
        self, rows: ParquetSource, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
    ) -> None:
        """Neither its logs nor its progress bars show a value."""
        caplog.set_level(logging.DEBUG)
        items = [*SUITE, expect("column_mean_to_be_between", column="country", min_value=0, max_value=1)]
        expectations.evaluate(items, rows)
        said = capfd.readouterr()

        assert CANARY not in said.out + said.err + caplog.text
        assert "Calculating" not in said.err


class TestLoadSuite:
    @pytest.mark.parametrize(
        "text",
        [
            None,
            "",
            "no JSON",
            "[]",
            "{}",
            '{"expectations": []}',
            '{"expectations": [{}]}',
            '{"expectations": 3}',
        ],
        ids=str,
    )
    def test_anything_but_a_suite_is_an_error(self, tmp_path: Path, text: str | None) -> None:
        """A suite that is missing, is no JSON of that form, or is empty stops the release: it would check nothing."""
        path = tmp_path / "suite.json"
        if text is not None:
            path.write_text(text)

        with pytest.raises(ReleaseError, match=r"suite\.json"):
            expectations.load_suite(path)


class TestValidate:
    def test_expectations_that_hold_are_in_the_manifest(self, shop: Shop) -> None:
        """Which suite was run, and what came of each expectation, is published with the release."""
        shop.suite(expect("column_values_to_not_be_null", column="id"))
        reference = shop.release(night(0))
        manifest = shop.ledger.release(reference.release_id).manifest or {}

        assert manifest["expectations"]["suite"] == "people"
        (result,) = manifest["expectations"]["results"]
        assert (result["looked_at"], result["unexpected"], result["success"]) == (50, 0, True)

    def test_what_does_not_hold_is_not_published(self, shop: Shop) -> None:
        """A failing suite fails the release: the one before stays current, and the error holds counts."""
        first = shop.release(night(0))
        shop.suite(
            expect("column_values_to_not_be_null", column="email"),
            expect("column_values_to_be_in_set", column="country", value_set=["GB"]),
        )
        staged = shop.stage(night(1)).reference

        with pytest.raises(ExpectationsFailedError, match="2 of 2 expectations of people") as failed:
            service.validate(shop.workspace(), staged, actor=ACTOR)
        assert "5 of 50 rows do not fit" in str(failed.value)
        with pytest.raises(ReleaseError, match="were not run"):
            service.publish(shop.workspace(), staged, actor=ACTOR)
        assert shop.destination.current("people") == first.release_id
        assert shop.ledger.current("shop", "people") == shop.ledger.release(first.release_id)

    def test_without_a_suite_the_schema_is_checked(self, shop: Shop) -> None:
        """Columns and types of what is staged are the plan's, also where no suite is named."""
        staged = shop.stage(night(0)).reference
        attempt = (shop.releases / "people" / f".staged-{staged.release_id}").resolve()
        table = pq.read_table(attempt)
        for file in attempt.iterdir():
            if not file.name.startswith("_"):
                file.unlink()
        pq.write_table(table.append_column("stowaway", table.column("id")), attempt / "data-00000.parquet")

        with pytest.raises(StorageError, match="no longer those that were written"):
            service.validate(shop.workspace(), staged, actor=ACTOR)

    def test_a_missing_suite_is_an_error(self, shop: Shop) -> None:
        """A suite that the policy names and nobody wrote stops the release."""
        shop.suite(expect("column_values_to_not_be_null", column="id"))
        staged = shop.stage(night(0)).reference
        (shop.path / "expectations" / "people.json").unlink()

        with pytest.raises(ReleaseError, match="cannot be read"):
            service.validate(shop.workspace(), staged, actor=ACTOR)
