"""`treat:` and the row filters: exactly one word of the registry, with its parameters."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler, create_model, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

from airflow_veil.privacy.transforms.base import Transform
from airflow_veil.privacy.transforms.registry import TRANSFORMS


class _OneOf(BaseModel):
    """A mapping with exactly one word; a bare word stands for the word without parameters."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _one_word(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {value: {}}
        if isinstance(value, dict):
            if len(value) != 1:
                words = ", ".join(map(str, value)) or "none"
                raise PydanticCustomError(
                    "treatment_count",
                    "a column takes exactly one treatment, this one names {count} ({words})",
                    {"count": len(value), "words": words},
                )
            return {word: {} if parameters is None else parameters for word, parameters in value.items()}
        raise PydanticCustomError("treatment_count", "a treatment is a word, or a word with its parameters")

    @property
    def transform(self) -> Transform:
        """The one treatment that was named."""
        (word,) = self.model_fields_set
        transform: Transform = getattr(self, word)
        return transform

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        mapping = handler.resolve_ref_schema(handler(core))
        words: dict[str, Any] = dict(mapping.get("properties", {}))
        for word, schema in words.items():
            # A word is written with its parameters, never as null.
            words[word] = next(option for option in schema["anyOf"] if option.get("type") != "null")
        bare: list[str | None] = [word for word, transform in TRANSFORMS.items() if not _required(transform)]
        return {
            "title": "Treatment",
            "anyOf": [
                # YAML reads the bare word `null` as no value at all; `source_map` takes it for the word it is.
                {"enum": [*bare, None]},
                {
                    "type": "object",
                    "properties": words,
                    "minProperties": 1,
                    "maxProperties": 1,
                    "additionalProperties": False,
                },
            ],
        }


def _required(transform: type[Transform]) -> bool:
    return any(field.is_required() for field in transform.model_fields.values())


def _treatment_model() -> type[_OneOf]:
    fields: dict[str, Any] = {
        word: (Annotated[cls | None, Field(description=(cls.__doc__ or "").partition("\n")[0])], None)
        for word, cls in TRANSFORMS.items()
    }
    return create_model("Treatment", __base__=_OneOf, **fields)


Treatment = _treatment_model()
"""The model of `treat:`, one optional field for each word of the registry."""
