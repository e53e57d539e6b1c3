"""Values that people give, spelled as a column's own type spells them: so they can be compared with its rows."""

from __future__ import annotations

from collections.abc import Sequence

from airflow_veil.privacy.errors import VeilError
from airflow_veil.privacy.lazy import pa
from airflow_veil.privacy.transforms.canonical import canonical


def spelled(texts: Sequence[str], kind: pa.DataType, *, column: str, failure: type[VeilError]) -> pa.Array:
    """Some values as a column would spell them.

    Args:
        texts: The values, as somebody wrote them.
        kind: The plain type of the column.
        column: Its name, for an error.
        failure: What is raised where one is no value of the type; the message does not tell which.

    Returns:
        As many strings; null where the type has no such value, such as NaN.

    Raises:
        VeilError: `failure`.
        TransformError: Values of the type have no canonical spelling.
    """
    try:
        return canonical(pa.array(texts, pa.string()).cast(kind), where=f"column {column}")
    except pa.ArrowException:
        message = f"a subject is no {kind}, which column {column} is of"
    raise failure(message, expected="one value a line, as the source spells it")
