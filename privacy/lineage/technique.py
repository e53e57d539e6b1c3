"""The technique in words: what lineage says of how a column was treated, and no parameter of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from airflow_veil.privacy.plan.plan import PlannedColumn
from airflow_veil.privacy.transforms.base import Transform

_WORDS: dict[str, Callable[[Any], str]] = {
    "keep": lambda _: "kept as it is",
    "null": lambda _: "replaced by null",
    "constant": lambda _: "replaced by one constant",
    "mask": lambda _: "characters masked",
    "token": lambda treatment: (
        "AES-SIV token (RFC 5297)" if treatment.properties.reversible else "one-way HMAC-SHA-256 token"
    ),
    "fpe": lambda _: "FF1 format-preserving encryption (NIST SP 800-38G)",
    "generalize": lambda _: "generalized",
    "date_shift": lambda _: "dates shifted by one keyed offset per subject",
    "noise": lambda _: "numeric noise, not differential privacy",
    "fake": lambda _: "replaced by a keyed fake",
    "redact": lambda _: "identifiers redacted from free text, best effort",
}


def technique(column: PlannedColumn) -> str:
    """How a column is treated, in words: technique, key domain, key version.

    Args:
        column: The planned column.

    Returns:
        One line such as `AES-SIV token (RFC 5297), domain customer, key version 2`. It names the technique,
        never its parameters: those may hold values, and the plan's digest stands for them.
    """
    parts = [technique_of(column.transform)]
    if column.key_domain is not None:
        parts.append(f"domain {column.key_domain}")
    if column.key_version is not None:
        parts.append(f"key version {column.key_version}")
    return ", ".join(parts)


def technique_of(treatment: Transform) -> str:
    """How a treatment without a key works, in words."""
    describe = _WORDS.get(treatment.word)
    return describe(treatment) if describe else f"treated by `{treatment.word}`"
