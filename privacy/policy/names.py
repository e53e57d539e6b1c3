"""The forms of names and periods that policies share."""

from __future__ import annotations

from typing import Annotated

from pydantic import StringConstraints

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_]*$", max_length=64)]
"""A name that is safe in a path, a URI, a task id and a table name."""

Period = Annotated[str, StringConstraints(pattern=r"^P(\d+Y)?(\d+M)?(\d+W)?(\d+D)?$", min_length=3)]
"""A calendar period of ISO 8601: P30D, P1M, P3Y."""
