"""A recoding that was stored, and another night's rows."""

from __future__ import annotations

import pyarrow as pa
import pytest
from tests.unit.anonymize.tables import drawn

from airflow_veil.privacy.anonymize.criteria import Close, Criteria, Diverse
from airflow_veil.privacy.anonymize.fit import fit
from airflow_veil.privacy.anonymize.levels import levels_of
from airflow_veil.privacy.anonymize.recoding import Recoding
from airflow_veil.privacy.errors import TransformError
from airflow_veil.privacy.risk.report import assess

QUASI = ("age", "city", "sex")
SENTINEL = "Rumpelstilzchen"


class TestStored:
    def test_round_trip(self) -> None:
        """What was stored as JSON is the same recoding."""
        table, levels = drawn(1)
        criteria = Criteria(
            k=2,
            l={"illness": Diverse(at_least=1.2, by="entropy")},
            t={"illness": Close(at_most=0.6, ordered=True)},
        )
        found = fit(table, levels, criteria, suppress_at_most=0.2, local=True, subject="person")

        assert Recoding.from_json(found.to_json()) == found

    @pytest.mark.parametrize("text", ["", "[]", "{}", '"text"', '{"format": 1}', '{"format": 2}'])
    def test_anything_else(self, text: str) -> None:
        """What is no recoding is refused."""
        with pytest.raises(TransformError, match="the stored recoding"):
            Recoding.from_json(text)

    def test_holds_no_value(self) -> None:
        """Neither the stored form nor any repr tells a value of the table or of the hierarchies."""
        levels = {"name": levels_of("name", [[SENTINEL, "R"], ["Rapunzel", "R"]])}
        table = pa.table({"name": [SENTINEL, "Rapunzel"] * 3})

        found = fit(table, levels, Criteria(k=2))

        told = [found.to_json(), repr(found), repr(levels), repr(found.decide(table, levels))]
        assert not [each for each in told if SENTINEL in each or "Rapunzel" in each]


class TestAnotherNight:
    def test_rows_in_small_classes_go(self) -> None:
        """Of another night's rows those go whose class is too small that night; the rest is k-anonymous."""
        found = fit(*drawn(1, rows=400), Criteria(k=4), suppress_at_most=0.3)
        table, levels = drawn(2, rows=150)

        decision = Recoding.from_json(found.to_json()).decide(table, levels)
        released = decision.recode(table, 0)

        assert decision.suppressed_rows > 0
        assert released.num_rows == table.num_rows - decision.suppressed_rows
        assert assess(released, QUASI).reidentification.k >= 4

    def test_batch_by_batch(self) -> None:
        """Recoded in batches, the rows are those of the whole table."""
        table, levels = drawn(1, rows=400)
        decision = fit(table, levels, Criteria(k=4), suppress_at_most=0.3, local=True).decide(table, levels)
        start, parts = 0, []
        for batch in table.to_batches(max_chunksize=37):
            parts.append(decision.recode(batch, start))
            start += batch.num_rows

        assert pa.Table.from_batches(parts).equals(decision.recode(table, 0).combine_chunks())

    def test_other_columns_stay(self) -> None:
        """Columns that are no quasi-identifier are as they were."""
        table, levels = drawn(1)
        found = fit(table, levels, Criteria(k=2))

        released = found.apply(table, levels)

        assert released.column_names == table.column_names
        assert released["illness"].equals(table["illness"])
        assert released.schema.field("age").type == pa.string()

    def test_values_that_no_hierarchy_covers(self) -> None:
        """A new value fails the night with the column's name and a count, and is not told."""
        table, levels = drawn(1)
        found = fit(table, levels, Criteria(k=2))
        cities = [SENTINEL, SENTINEL, *table["city"].to_pylist()[2:]]
        night = table.set_column(1, "city", pa.array(cities))

        with pytest.raises(
            TransformError, match="column city: the hierarchy does not cover 2 values"
        ) as caught:
            found.apply(night, levels)

        assert SENTINEL not in str(caught.value)
        assert SENTINEL not in repr(caught.value.__cause__)

    def test_too_many_would_go(self) -> None:
        """A night of which more rows would go than may is refused."""
        table, levels = drawn(1)
        found = fit(table, levels, Criteria(k=5), suppress_at_most=0.1)

        with pytest.raises(
            TransformError, match=r"rows are in classes that do not hold.*Fix: fit the recoding anew"
        ):
            found.apply(table.slice(0, 7), levels)

    def test_hierarchies_that_changed(self) -> None:
        """A hierarchy that is another one than at the fit is refused."""
        table, levels = drawn(1)
        found = fit(table, levels, Criteria(k=2))
        changed = {**levels, "sex": levels_of("sex", [["f", "-"], ["m", "-"]])}

        with pytest.raises(TransformError, match="column sex: the hierarchy is another one"):
            found.apply(table, changed)

    def test_no_rows(self) -> None:
        """Of a night without rows nothing leaves."""
        table, levels = drawn(1)
        found = fit(table, levels, Criteria(k=2))

        assert found.apply(table.slice(0, 0), levels).num_rows == 0

    def test_more_rows_than_decided(self) -> None:
        """Rows that came after the decision are refused."""
        table, levels = drawn(1)
        decision = fit(table, levels, Criteria(k=2)).decide(table, levels)

        with pytest.raises(TransformError, match="more rows than were decided on"):
            decision.recode(table, 1)
