"""Names in SQL, always quoted: no text of a policy becomes SQL in another way."""

from __future__ import annotations

import re
from dataclasses import dataclass

from airflow_veil.privacy.storage.failure import unfit

_NAME = re.compile(r"[^\x00.]{1,200}")


def quoted(name: str) -> str:
    """An identifier in quotes (SQL-92 delimited identifier; the same in SQLite and PostgreSQL).

    Raises:
        StorageError: It holds a NUL, which no identifier can.
    """
    if "\x00" in name:
        raise unfit("a column's name holds a NUL character", where="SQL")
    return '"' + name.replace('"', '""') + '"'


@dataclass(frozen=True, slots=True)
class TableName:
    """A table, as the database spells it.

    Attributes:
        table: Its name.
        schema: Its schema; None where the database has none (SQLite).
    """

    table: str
    schema: str | None = None

    @classmethod
    def parse(cls, text: str, *, schema: str | None) -> TableName:
        """Read `table` or `schema.table`.

        Args:
            text: The name.
            schema: The schema of a bare name.

        Raises:
            StorageError: It is neither.
        """
        parts = text.split(".")
        if len(parts) > 2 or not all(_NAME.fullmatch(part) for part in parts):
            raise unfit("this is no table's name", where=repr(text[:80]), expected="table or schema.table")
        return cls(parts[-1], parts[0] if len(parts) == 2 else schema)

    @property
    def sql(self) -> str:
        """The quoted name."""
        return quoted(self.table) if self.schema is None else f"{quoted(self.schema)}.{quoted(self.table)}"

    def __str__(self) -> str:
        return self.table if self.schema is None else f"{self.schema}.{self.table}"
