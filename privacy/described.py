"""What policies are made of: models that take no unknown word and tell each field by the docstring under it."""

from __future__ import annotations

import ast
import inspect
import itertools
import textwrap

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema


class Described(BaseModel):
    """A frozen model, strict on unknown words, whose JSON Schema describes fields by the docstrings under them.

    pydantic's own `use_attribute_docstrings` reads the source of every class as it is imported, which Airflow would
    wait for at each parse of a DAG file. Here it is read when a schema is asked for.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        schema = handler(core)
        properties = handler.resolve_ref_schema(schema).get("properties", {})
        for name, text in field_docstrings(cls).items():
            properties[cls.model_fields[name].alias or name]["description"] = text
        return schema


def field_docstrings(model: type[Described]) -> dict[str, str]:
    """The docstring under each field of a model and of those it extends, by the field's name.

    Raises:
        OSError: The source of the model is not at hand.
    """
    bases = [base for base in reversed(model.__mro__) if issubclass(base, Described)]
    told = {name: text for base in bases for name, text in _attribute_docstrings(base)}
    return {name: text for name, text in told.items() if name in model.model_fields}


def _attribute_docstrings(cls: type) -> list[tuple[str, str]]:
    """The annotated names in the body of a class that a text follows, with the text."""
    body = ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0]
    return [
        (name.target.id, inspect.cleandoc(text.value.value))
        for name, text in itertools.pairwise(ast.iter_child_nodes(body))
        if isinstance(name, ast.AnnAssign)
        and isinstance(name.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    ]
