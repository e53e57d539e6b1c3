"""Real tables, asked through the public path: people with several rows, visitors of a restaurant by day."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from scipy import stats
from tests.unit.dp.asking import SURE, House, cells
from tests.unit.dp.laws import ALARM, Law, fit, rejects

EDGES = [number / 8 for number in range(16_001)]
"""Ages are in 0 to 100; the other bins are empty, and each is a draw."""
DAYS = {"Day": {"values": [1, 2, 3, 4, 5, 6, 7], "source": "the calendar"}}


def house(folder: Path, frame: pd.DataFrame, unit: str | None) -> House:
    return House(folder, pa.Table.from_pandas(frame, preserve_index=False), unit=unit)


@pytest.fixture(scope="module")
def census(shared_data: Path) -> pd.DataFrame:
    """PUMS_dup: persons, many of them in several rows."""
    return pd.read_csv(shared_data / "opendp" / "PUMS_dup.csv")


@pytest.fixture(scope="module")
def visits(shared_data: Path) -> pd.DataFrame:
    """A week of visits, with the same visitors on several days."""
    frame = pd.read_csv(shared_data / "restaurant_visits" / "week_data.csv")
    return frame.rename(columns={"Time spent (minutes)": "minutes", "Money spent (euros)": "euros"})


class TestCensus:
    @pytest.mark.parametrize(("unit", "rows"), [("pid", 4), (None, 1)])
    def test_persons_cost_more_than_rows(
        self, tmp_path: Path, census: pd.DataFrame, unit: str | None, rows: int
    ) -> None:
        """To hide a person in four rows takes four times the noise of hiding a row."""
        assert census["pid"].value_counts().max() == 4
        at = house(tmp_path, census, unit)
        query: dict[str, Any] = {"spend": {"epsilon": 0.5}}
        query["measures"] = {"h": {"histogram": {"column": "age", "edges": EDGES}}}
        if unit:
            query["contribution"] = {"rows_per_group": 4}

        answer = at.ask(query)

        noise = cells(answer, "h") - np.histogram(census["age"], EDGES)[0]
        law = Law("laplace", rows / 0.5)
        assert fit(noise, law) > ALARM
        assert rejects(lambda other: fit(noise, other), law)

    def test_one_row_a_person(self, tmp_path: Path, census: pd.DataFrame) -> None:
        """Where a person counts for one row, there are as many rows as persons, and incomes are weighed."""
        measures = {
            "rows": "count",
            "persons": "count_distinct",
            "income": {"sum": {"column": "income", "bounds": [0, 100_000], "granularity": 10_000}},
        }

        answer = house(tmp_path, census, "pid").ask({"spend": SURE, "measures": measures})

        persons = census["pid"].nunique()
        rows, counted, income = answer["value"]
        assert (rows, counted) == (persons, persons)
        # A person's rows weigh one in all: the mean, rounded down to whole steps.
        steps = (census["income"].clip(0, 100_000) / 10_000).round()
        sums = steps.groupby(census["pid"]).agg(["sum", "count"])
        assert income == (sums["sum"] // sums["count"]).sum() * 10_000

    def test_groups_of_people(self, tmp_path: Path, census: pd.DataFrame) -> None:
        """Education by marriage: exact with next to no noise, where all rows of a person are allowed."""
        keys = {
            "educ": {"values": list(range(1, 17)), "source": "the census' own list"},
            "married": {"values": [0, 1], "source": "the census' own list"},
        }
        bound = {"groups_per_unit": 2, "rows_per_group": 4}

        answer = house(tmp_path, census, "pid").ask(
            {"spend": SURE, "keys": keys, "contribution": bound, "measures": {"n": "count"}}
        )

        pairs = list(zip(answer["educ"].astype(int), answer["married"].astype(int), strict=True))
        true = census.groupby(["educ", "married"]).size().reindex(pairs, fill_value=0)
        assert list(answer["value"]) == list(true)


class TestRestaurant:
    @pytest.mark.parametrize("days", [1, 3, 7])
    def test_days_of_a_visitor(self, tmp_path: Path, visits: pd.DataFrame, days: int) -> None:
        """A visitor counts on so many days; which ones is drawn, and no visitor is lost."""
        query = {
            "spend": SURE,
            "keys": DAYS,
            "contribution": {"groups_per_unit": days},
            "measures": {"visitors": "count_distinct"},
        }

        answer = house(tmp_path, visits, "VisitorId").ask(query)

        by_visitor = visits.groupby("VisitorId")["Day"].nunique()
        assert answer["value"].sum() == by_visitor.clip(upper=days).sum()
        true = visits.groupby("Day")["VisitorId"].nunique()
        if days == 7:
            assert list(answer["value"]) == list(true)
        else:
            # Each day is as probable as any other of a visitor's: in proportion, but for what is drawn.
            chance = (by_visitor.clip(upper=days) / by_visitor).reindex(visits["VisitorId"])
            once = visits.drop_duplicates(["VisitorId", "Day"])
            share = chance.groupby(level=0).first().reindex(once["VisitorId"]).to_numpy()
            expected = pd.Series(share).groupby(once["Day"].to_numpy()).sum()
            variance = pd.Series(share * (1 - share)).groupby(once["Day"].to_numpy()).sum()
            off = (answer["value"].to_numpy() - expected.to_numpy()) / np.sqrt(variance.to_numpy() + 1)
            assert 2 * stats.norm.sf(np.abs(off).max()) > ALARM

    @pytest.mark.parametrize(
        ("days", "visits_a_day", "scale"), [(1, 1, 2), (3, 1, 6), (3, 2, 12), (7, 1, 14)]
    )
    def test_scales(
        self, tmp_path: Path, visits: pd.DataFrame, days: int, visits_a_day: int, scale: float
    ) -> None:
        """A visitor's days times visits a day, over epsilon; a spending of 50 euros at most is fifty times that."""
        query = {
            "spend": {"epsilon": 1},
            "keys": DAYS,
            "contribution": {"groups_per_unit": days, "rows_per_group": visits_a_day},
            "measures": {
                "n": "count",
                "euros": {"sum": {"column": "euros", "bounds": [0, 50], "granularity": 1}},
            },
        }

        answer = house(tmp_path, visits, "VisitorId").ask(query).set_index("measure")

        assert set(answer.loc["n", "noise_scale"]) == {scale}
        assert set(answer.loc["euros", "noise_scale"]) == {50 * scale}

    def test_a_useful_answer(self, tmp_path: Path, visits: pd.DataFrame) -> None:
        """Money by day: each interval holds the bounded truth, and is a small part of it."""
        query = {
            "spend": {"rho": 0.5},
            "keys": DAYS,
            "contribution": {"groups_per_unit": 7, "rows_per_group": 1},
            "confidence": 1 - 1e-9,
            "measures": {"euros": {"sum": {"column": "euros", "bounds": [0, 50]}}},
        }

        answer = house(tmp_path, visits, "VisitorId").ask(query)

        assert visits.groupby(["VisitorId", "Day"]).size().max() == 1
        true = visits["euros"].clip(0, 50).groupby(visits["Day"]).sum().to_numpy()
        assert ((answer["low"] <= true) & (true <= answer["high"])).all()
        assert ((answer["high"] - answer["low"]) < true / 2).all()
