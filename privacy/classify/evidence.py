"""What speaks for a kind, by name and share; never a value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Evidence:
    """One thing that speaks for a kind, or against it.

    Attributes:
        source: Whether the column's name, its values or their type says so.
        what: What was looked for, in words of the suite's own.
        share: The share of the different values, or how strongly the name says so; two digits.
    """

    source: Literal["name", "values", "type"]
    what: str
    share: float

    def __str__(self) -> str:
        if self.source == "name":
            return f"its name ({self.share:.0%})"
        return f"{self.what} ({self.share:.0%})"

    def as_dict(self) -> dict[str, Any]:
        """The evidence as plain data."""
        return {"source": self.source, "what": self.what, "share": self.share}
