"""A treatment as the policy writes it, on one line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def treatment_text(treatment: Mapping[str, Any]) -> str:
    """A treatment as the policy writes it, on one line: `mask {keep_last: 2}`."""
    ((word, parameters),) = treatment.items()
    texts = (f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in parameters.items())
    inner = ", ".join(text.replace('"', "") for text in texts)
    return f"{word} {{{inner}}}" if inner else word
