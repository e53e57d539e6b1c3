from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from tests.unit.transforms.unkeyed_support import refused, treated

from airflow_veil.privacy.transforms.constant import Constant


class TestConstant:
    @pytest.mark.parametrize(
        ("value", "kind"),
        [("x", pa.string()), (7, pa.int64()), (7.0, pa.float64()), (True, pa.bool_()), ("7", pa.string())],
        ids=["text", "integer", "float", "boolean", "digits"],
    )
    def test_has_the_type_of_the_value(self, value: Any, kind: pa.DataType) -> None:
        """The policy's spelling of the value decides the type, whatever the column's was."""
        result = treated(Constant(value=value), [1, None], pa.int32())

        assert result.equals(pa.array([value, value], kind))

    @pytest.mark.parametrize("encoded", [False, True], ids=["plain", "dictionary"])
    def test_keeps_nulls_if_asked(self, encoded: bool) -> None:
        """`keep_nulls` leaves nulls, also those that are a value of a dictionary."""
        column = pa.array(["a", None, "b"])
        if encoded:
            column = pa.DictionaryArray.from_arrays(pa.array([0, 1, 0]), pa.array(["a", None]))

        assert treated(Constant(value=0, keep_nulls=True), column).to_pylist() == [0, None, 0]

    @pytest.mark.parametrize("value", [2**63, float("nan"), float("inf"), None, [1]], ids=str)
    def test_refuses_what_no_column_holds(self, value: Any) -> None:
        """A number beyond 64 bits, a number that is none, and what is no single value are refused."""
        assert refused(Constant, {"value": value})
