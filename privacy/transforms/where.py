"""`where`: which rows leave, by a comparison on columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from airflow_veil.privacy.lazy import pa, pc
from airflow_veil.privacy.transforms.base import Binding, RowFilter, RowKernel


def _is_expression(text: str) -> str:
    from airflow_veil.privacy.transforms.expression import ExpressionError, parse

    try:
        parse(text)
    except ExpressionError as error:
        # A brace in the message would be taken for a parameter of it.
        message = str(error).replace("{", "(").replace("}", ")")
        raise PydanticCustomError("where_expression", message) from None
    return text


class Where(RowFilter):
    """Release only the rows for which an expression is true.

    Columns are compared with constants or with each other (`==`, `!=`, `<`, `<=`, `>`, `>=`, `in [...]`, `is null`)
    and comparisons joined by `and`, `or`, `not` and parentheses:
    `country == 'UK' and age >= 18 and not (status in ['test', 'staff']) and email is not null`.

    Input: columns of text, numbers, booleans, dates and times, as the source delivers them. Dates and times are
    written in ISO 8601 (`'2024-01-31'`); text is ordered by code point. Nulls: as in SQL, a comparison with null is
    null, and a row for which the expression is null does not leave; NaN counts as null. Guarantee: no code is run;
    text is never compared with a number, that is an error before a row moves.
    """

    word: ClassVar[str] = "where"

    expression: Annotated[
        str, StringConstraints(min_length=1, max_length=10_000), AfterValidator(_is_expression)
    ]
    """The expression; a row leaves if it is true. `where: "…"` is short for `where: {expression: "…"}`."""

    @model_validator(mode="before")
    @classmethod
    def _bare_text(cls, value: Any) -> Any:
        return {"expression": value} if isinstance(value, str) else value

    def inputs(self, subject: str | None) -> tuple[str, ...]:
        from airflow_veil.privacy.transforms.expression import columns, parse

        return tuple(dict.fromkeys(columns(parse(self.expression))))

    def check_types(self, types: Mapping[str, pa.DataType], *, where: str = "") -> None:
        """Look whether the expression fits the columns.

        Args:
            types: The type of each column that the source delivers.
            where: The place to name in an error.

        Raises:
            TransformError: A column is missing, or is compared with something of another kind.
        """
        from airflow_veil.privacy.transforms import predicate
        from airflow_veil.privacy.transforms.expression import parse

        predicate.compiled(parse(self.expression), types, where=where)

    def prepare(self, binding: Binding, types: Mapping[str, pa.DataType]) -> RowKernel:
        from airflow_veil.privacy.transforms import predicate
        from airflow_veil.privacy.transforms.expression import parse

        decide = predicate.compiled(parse(self.expression), types, where=f"{binding.dataset}, `where`")
        return lambda inputs: pc.fill_null(decide(inputs), fill_value=False)
