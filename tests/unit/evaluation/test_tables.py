"""Three tables become comparable, and what cannot be compared is refused."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest
from tests.unit.evaluation.people import crowd

from airflow_veil.privacy.errors import SchemaError
from airflow_veil.privacy.evaluation.tables import REACH, Trio


def three(train: pa.Array, holdout: pa.Array, synthetic: pa.Array) -> Trio:
    """Tables of one column, repeated until there are enough rows."""

    def table(values: pa.Array) -> pa.Table:
        return pa.concat_tables([pa.table({"c": values})] * 20)

    return Trio(table(train), table(holdout), table(synthetic))


class TestTrio:
    def test_other_columns(self) -> None:
        """A column that one table lacks, or has besides, is named."""
        people = crowd(50, 1)

        for other in (people.drop_columns(["age"]), people.append_column("more", people["age"])):
            with pytest.raises(SchemaError, match=r"age|more") as raised:
                Trio(people, other, people)
            assert raised.value.where == "evaluation, holdout"

    def test_too_few_rows(self) -> None:
        """A few rows tell nothing, and it is said of which table."""
        people = crowd(50, 1)

        with pytest.raises(SchemaError, match="19 rows") as raised:
            Trio(people, people, people.slice(0, 19))

        assert raised.value.where == "evaluation, synthetic"

    def test_columns_in_another_order(self) -> None:
        """The order of columns does not matter."""
        people, others = crowd(50, 1), crowd(50, 2)

        turned = Trio(people, others.select(others.column_names[::-1]), people).encoded().holdout
        straight = Trio(people, others, people).encoded().holdout

        for name in people.column_names:
            assert (turned.codes[name].codes == straight.codes[name].codes).all()

    def test_drawn(self) -> None:
        """At most so many rows of each are drawn, the same by the same seed."""
        whole = Trio(crowd(50, 1), crowd(30, 2), crowd(60, 3))

        few, again, others = whole.drawn(40, 1), whole.drawn(40, 1), whole.drawn(40, 2)

        assert [few.train.num_rows, few.holdout.num_rows, few.synthetic.num_rows] == [40, 30, 40]
        assert few.train.equals(again.train)
        assert not few.train.equals(others.train)


class TestEncoded:
    def test_same_value_same_code(self) -> None:
        """Codes are equal where values are, whatever they are stored as; nulls and NaN are one value."""
        found = three(
            pa.array([1, 2, None]), pa.array([2, 3, None]), pa.array([2.0, float("nan"), 1.0])
        ).encoded()

        train, holdout, synthetic = (part.codes["c"].codes[:3].tolist() for part in found)
        assert train[1] == holdout[0] == synthetic[0]
        assert train[2] == holdout[2] == synthetic[1]
        assert train[0] == synthetic[2] < train[1] < holdout[1] < train[2]

    def test_scaled_by_training_range(self) -> None:
        """The least and greatest of the training rows are 0 and 1; what is far beyond is set at the end."""
        found = three(pa.array([10, 20]), pa.array([15, None]), pa.array([30, 1_000])).encoded()

        assert found.train.scaled["c"][:2].tolist() == [0, 1]
        assert found.holdout.scaled["c"][0] == 0.5
        assert np.isnan(found.holdout.scaled["c"][1])
        assert found.synthetic.scaled["c"][:2].tolist() == [2, 1 + REACH]

    @pytest.mark.parametrize(
        "values",
        [
            pa.array([dt.date(2020, 1, 1), dt.date(2020, 1, 3)]),
            pa.array([dt.datetime(2020, 1, 1), dt.datetime(2020, 1, 3)]),
            pa.array([dt.time(1), dt.time(3)]),
            pa.array([1, 3], pa.decimal128(5, 2)),
        ],
    )
    def test_times_and_decimals_are_numbers(self, values: pa.Array) -> None:
        """Dates, times and decimals have distances."""
        assert three(values, values, values).encoded().train.scaled["c"][:2].tolist() == [0, 1]

    def test_one_value(self) -> None:
        """A column that does not vary is nothing apart from itself."""
        assert (three(*[pa.array([7, 7])] * 3).encoded().train.scaled["c"] == 0).all()

    def test_all_null(self) -> None:
        """A column of nulls has codes, and no number."""
        found = three(*[pa.array([None, None], pa.int64())] * 3).encoded()

        assert (found.train.codes["c"].codes == found.synthetic.codes["c"].codes[0]).all()
        assert np.isnan(found.train.scaled["c"]).all()

    def test_dictionaries(self) -> None:
        """Categories are their values, in whatever order a dictionary has them."""
        one, other = pa.array(["a", "b"]), pa.array(["b", "a"])
        found = three(one.dictionary_encode(), other.dictionary_encode(), one).encoded()

        assert found.train.codes["c"].codes[:2].tolist() == found.synthetic.codes["c"].codes[:2].tolist()
        assert found.holdout.codes["c"].codes[:2].tolist() == found.train.codes["c"].codes[:2].tolist()[::-1]

    def test_nested_values(self) -> None:
        """Lists are not compared, and the column is named."""
        with pytest.raises(SchemaError, match="no equivalence classes"):
            three(*[pa.array([[1], [2]])] * 3).encoded()
