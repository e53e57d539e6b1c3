"""What the tests of treatments without a key share: a short way to treat, and to look at a refusal."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pydantic import ValidationError

from airflow_veil.privacy.transforms.base import Binding, Transform


def treated(
    transform: Transform,
    values: list[Any] | pa.Array,
    kind: pa.DataType | None = None,
    *,
    inputs: Mapping[str, pa.Array] | None = None,
    root: Path = Path(),
) -> pa.Array:
    """Treat one column, and look that its declared type is its type."""
    column = values if isinstance(values, pa.Array) else pa.array(values, kind or pa.string())
    assert transform.accepts(column.type)
    binding = Binding(dataset="people", column="it", type=column.type, root=root)
    result = transform.prepare(binding)(column, inputs or {})
    assert result.type == transform.output_type(column.type)
    assert len(result) == len(column)
    result.validate(full=True)
    return result


def refused(cls: type[Transform], parameters: Mapping[str, Any]) -> str:
    """The message that parameters are refused with."""
    with pytest.raises(ValidationError) as caught:
        cls.model_validate(parameters)
    return "; ".join(error["msg"] for error in caught.value.errors())
