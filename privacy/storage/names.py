"""Names that may become part of a path: one segment of it, never a way out of it."""

from __future__ import annotations

import re

from airflow_veil.privacy.errors import StorageError

SEGMENT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:+@=~-]{0,199}")
"""Letters, digits and what run ids are made of; no slash, no NUL, not hidden, no longer than file systems allow."""


def segment(name: str, what: str) -> str:
    """The name, if it is safe as one segment of a path.

    Args:
        name: The name.
        what: What it names, for the error.

    Raises:
        StorageError: It is not.
    """
    if SEGMENT.fullmatch(name) is None:
        error = StorageError(
            f"the {what} cannot be part of a path",
            where=repr(name[:80]),
            expected="1 to 200 letters, digits and _ . : + @ = ~ -, the first of them a letter, digit or _",
        )
        error.retryable = False
        raise error
    return name
