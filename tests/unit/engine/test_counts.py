"""What a run counted, and that parts add up."""

from __future__ import annotations

from airflow_veil.privacy.engine.counts import Counts, Nulls


class TestCounts:
    def test_parts_add_up(self) -> None:
        """The counts of two parts are the sums, by filter and by column."""
        first = Counts(rows_in=5, rows_out=3, dropped_rows={"where": 2}, nulls={"age": Nulls(1, 2)})
        second = Counts(rows_in=4, rows_out=3, dropped_rows={"where": 1}, nulls={"age": Nulls(0, 3)})

        assert first + second == Counts(
            rows_in=9, rows_out=6, dropped_rows={"where": 3}, nulls={"age": Nulls(1, 5)}
        )

    def test_a_name_in_one_part_only_counts(self) -> None:
        """A filter or column that one part does not know counts nothing there."""
        first = Counts(dropped_rows={"where": 2}, nulls={"age": Nulls(1, 2)})
        second = Counts(dropped_rows={"sample": 1}, nulls={"name": Nulls(3, 3)})

        assert (first + second).dropped_rows == {"where": 2, "sample": 1}
        assert (first + second).nulls == {"age": Nulls(1, 2), "name": Nulls(3, 3)}

    def test_nothing_adds_nothing(self) -> None:
        """The counts of no rows are neutral."""
        counts = Counts(rows_in=5, rows_out=3, dropped_rows={"where": 2}, nulls={"age": Nulls(1, 2)})

        assert counts + Counts() == counts

    def test_as_dict_holds_plain_figures(self) -> None:
        """Manifests get words and numbers only."""
        counts = Counts(rows_in=5, rows_out=3, dropped_rows={"where": 2}, nulls={"age": Nulls(1, 2)})

        assert counts.as_dict() == {
            "rows_in": 5,
            "rows_out": 3,
            "dropped_rows": {"where": 2},
            "nulls": {"age": {"before": 1, "after": 2}},
        }
