"""Tables that are safe alone and not together."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest

from airflow_veil.privacy.errors import SchemaError
from airflow_veil.privacy.risk.joined import Linked, joined
from airflow_veil.privacy.risk.report import assess

CITIES = pa.table({"t": ["a", "b", "c", "d"], "city": ["x", "x", "y", "y"]})
JOBS = pa.table({"t": ["a", "b", "c", "d"], "job": ["p", "q", "p", "q"]})


def both(**more: Linked) -> dict[str, Linked]:
    return {
        "cities": Linked(data=CITIES, token="t", quasi_identifiers=("city",)),
        "jobs": Linked(data=JOBS, token="t", quasi_identifiers=("job",)),
        **more,
    }


class TestJoined:
    def test_safe_alone_unique_together(self) -> None:
        """Two tables of k = 2 join to k = 1, and the pair of columns is what identifies."""
        risk = joined(both())

        assert assess(CITIES, ["city"]).reidentification.k == 2
        assert assess(JOBS, ["job"]).reidentification.k == 2
        assert (risk.reidentification.k, risk.reidentification.unique) == (1, 4)
        assert risk.uniques.sets[0].columns == ("cities.city", "jobs.job")
        assert (risk.uniques.sets[0].minimal, risk.counts, risk.rows) == (4, "people", 4)

    def test_several_rows(self) -> None:
        """A person is the multiset of their rows: order does not matter, how often does."""
        orders = pa.table({"t": [*"aabbccd"], "day": [1, 2, 2, 1, 1, 1, 1]})

        risk = joined(
            {
                "o": Linked(data=orders, token="t", quasi_identifiers=("day",)),
                "p": Linked(data=CITIES, token="t"),
            }
        )

        # a and b have days 1 and 2; c has day 1 twice; d has it once.
        assert (risk.reidentification.classes, risk.reidentification.unique) == (3, 2)

    def test_which_stand_in_one_row(self) -> None:
        """The same values in other rows are another person."""
        orders = pa.table({"t": [*"aabb"], "day": [1, 2, 1, 2], "shop": [*"mnnm"]})

        risk = joined(
            {
                "o": Linked(data=orders, token="t", quasi_identifiers=("day", "shop")),
                "p": Linked(data=orders, token="t"),
            }
        )

        assert risk.reidentification.unique == 2

    def test_same_as_counters(self) -> None:
        """Classes of random tables are those of multisets by hand; who is missing in a table is known by that."""
        rng = np.random.default_rng(11)
        one = pa.table({"t": rng.integers(0, 60, 150), "a": rng.integers(0, 3, 150)})
        two = pa.table(
            {"t": rng.integers(0, 60, 90), "b": rng.integers(0, 2, 90), "c": rng.integers(0, 2, 90)}
        )

        risk = joined(
            {
                "one": Linked(data=one, token="t", quasi_identifiers=("a",)),
                "two": Linked(data=two, token="t", quasi_identifiers=("b", "c")),
            }
        )

        known: dict[int, tuple[list[object], list[object]]] = {}
        for place, table in enumerate((one, two)):
            for row in table.to_pylist():
                person = row.pop("t")
                known.setdefault(person, ([], []))[place].append(tuple(row.values()))
        sizes = Counter(tuple(tuple(sorted(rows)) for rows in each) for each in known.values())  # type: ignore[type-var]
        assert (risk.rows, risk.reidentification.classes) == (len(known), len(sizes))
        assert risk.reidentification.k == min(sizes.values())
        assert risk.reidentification.unique == sum(size == 1 for size in sizes.values())

    def test_sensitive(self) -> None:
        """What is learned of a sensitive column is of people in one class of the join."""
        ills = pa.table({"t": [*"abcd"], "ill": [*"uuvw"]})
        tables = {
            "cities": Linked(data=CITIES, token="t", quasi_identifiers=("city",)),
            "ills": Linked(data=ills, token="t", sensitive=("ill",)),
        }

        (found,) = joined(tables).diversity

        assert (found.column, found.distinct_l, found.disclosed) == ("ills.ill", 1, 2)

    def test_nobodys_rows(self) -> None:
        """Rows without a token belong to nobody and join nothing."""
        lost = pa.table({"t": ["a", None], "job": ["p", "r"]})

        risk = joined(both(jobs=Linked(data=lost, token="t", quasi_identifiers=("job",))))

        assert risk.rows == 4

    def test_nothing_to_join(self) -> None:
        """One table, or tables of which nothing is known, are not joined."""
        with pytest.raises(SchemaError, match="nothing to join"):
            joined({"cities": both()["cities"]})
        with pytest.raises(SchemaError, match="nothing to join"):
            joined({"a": Linked(data=CITIES, token="t"), "b": Linked(data=JOBS, token="t")})

    def test_missing_column(self) -> None:
        """A column that is not there is named with its table."""
        with pytest.raises(SchemaError, match=r"data set jobs: there is no column u"):
            joined(both(jobs=Linked(data=JOBS, token="u")))
