from __future__ import annotations

import pyarrow as pa
import pytest
from tests.unit.transforms.unkeyed_support import treated

from airflow_veil.privacy.transforms.null import Null

KINDS = [
    pa.string(),
    pa.int64(),
    pa.dictionary(pa.int32(), pa.string()),
    pa.timestamp("us", "UTC"),
    pa.list_(pa.int8()),
]


class TestNull:
    @pytest.mark.parametrize("kind", KINDS, ids=str)
    def test_keeps_the_type_and_nothing_else(self, kind: pa.DataType) -> None:
        """Every value becomes null under the column's own type."""
        result = treated(Null(), pa.nulls(2, kind))

        assert (result.null_count, result.type) == (2, kind)

    def test_forgets_which_values_were_null(self) -> None:
        """A column with values gives what a column without any gives."""
        assert treated(Null(), ["a", None]).equals(treated(Null(), [None, "b"]))
