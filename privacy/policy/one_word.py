"""What is written as exactly one word of several, with its parameters: a measure, a method."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import model_validator
from pydantic_core import PydanticCustomError

from airflow_veil.privacy.described import Described


class OneWord(Described):
    """A mapping of one word to its parameters; a word that needs none may stand by itself."""

    KIND: ClassVar[str]
    """What it is, to say so where it is not one word."""

    @model_validator(mode="before")
    @classmethod
    def _one_word(cls, value: Any) -> Any:
        if isinstance(value, str):
            value = {value: None}
        if not isinstance(value, dict) or len(value) != 1:
            raise PydanticCustomError(
                f"{cls.KIND}_count", f"a {cls.KIND} is exactly one word, with its parameters"
            )
        return {word: {} if parameters is None else parameters for word, parameters in value.items()}

    @property
    def word(self) -> str:
        """Its word."""
        return next(word for word in type(self).model_fields if getattr(self, word) is not None)
