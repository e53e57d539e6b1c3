"""A table as a recoding sees it: codes of its quasi-identifiers, of sensitive columns, and whose row each is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_veil.privacy.anonymize.levels import Levels
from airflow_veil.privacy.errors import SchemaError, TransformError
from airflow_veil.privacy.lazy import np, pa
from airflow_veil.privacy.risk.classes import people
from airflow_veil.privacy.risk.codes import BATCH_ROWS, Codes, Encoder

if TYPE_CHECKING:
    from airflow_veil.privacy.storage.base import Source


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Coded:
    """A table as codes; its values are let go.

    Attributes:
        levels: The hierarchies of the quasi-identifiers.
        codes: Their columns as codes of level 0.
        sensitive: The sensitive columns, in the order of their values.
        subject: Whose row each is; None where rows are nobody's, or each is a person.
    """

    levels: tuple[Levels, ...]
    codes: tuple[np.ndarray[Any, Any], ...] = field(repr=False)
    sensitive: Mapping[str, Codes] = field(repr=False)
    subject: Codes | None = field(repr=False)

    def __len__(self) -> int:
        return len(self.codes[0])

    def counts(self) -> list[np.ndarray[Any, Any]]:
        """For each quasi-identifier how many rows have each value; null is the last."""
        return [
            np.bincount(codes, minlength=each.size + 1)
            for codes, each in zip(self.codes, self.levels, strict=True)
        ]

    def at(self, node: Sequence[int]) -> list[Codes]:
        """The quasi-identifiers, as coarse as a node makes them."""
        return [
            Codes(name=each.column, codes=each.codes[level][codes], cardinality=len(each.labels[level]))
            for each, codes, level in zip(self.levels, self.codes, node, strict=True)
        ]

    def counted(self, columns: Sequence[Codes], rows: np.ndarray[Any, Any] | None = None) -> list[Codes]:
        """Of some rows those that count: all, or one a person and combination."""
        whose = self.subject
        if rows is not None:
            columns = [column.take(rows) for column in columns]
            whose = whose.take(rows) if whose else None
        if whose is None:
            return list(columns)
        kept = people(columns, whose)
        return [column.take(kept) for column in columns]


def read(
    data: pa.Table | Source,
    hierarchies: Mapping[str, Levels],
    sensitive: Sequence[str] = (),
    *,
    subject: str | None = None,
) -> Coded:
    """Read a table; a source batch by batch, so that only codes are kept.

    Args:
        data: The table.
        hierarchies: The quasi-identifiers, and a hierarchy for each.
        sensitive: The columns whose values are to be told within classes.
        subject: The column that says whose row it is.

    Raises:
        SchemaError: A column is not there, or is both a quasi-identifier and sensitive or the subject.
        TransformError: There is no quasi-identifier, or a hierarchy does not cover a value.
        StorageError: The source cannot be read.
    """
    others = tuple(dict.fromkeys([*sensitive, *((subject,) if subject else ())]))
    names = [*hierarchies, *others]
    schema = data.schema if isinstance(data, pa.Table) else data.schema()
    missing = [name for name in names if name not in schema.names]
    if missing:
        raise SchemaError(
            f"there is no column {', '.join(missing)}", expected=f"one of {', '.join(schema.names)}"
        )
    both = [name for name in others if name in hierarchies]
    if both:
        raise SchemaError(
            f"{', '.join(both)} cannot be a quasi-identifier as well as sensitive or the subject",
            fix="name it once",
        )
    if not hierarchies:
        raise TransformError(
            "there is no quasi-identifier", expected="one or more columns, with a hierarchy each"
        )
    encoders = {name: Encoder(name, schema.field(name).type) for name in others}
    codes: dict[str, list[np.ndarray[Any, Any]]] = {name: [np.empty(0, np.int32)] for name in hierarchies}
    batches = (
        (data.select(names),) if isinstance(data, pa.Table) else data.batches(names, batch_rows=BATCH_ROWS)
    )
    for batch in batches:
        for name, levels in hierarchies.items():
            codes[name].append(levels.encode(batch.column(name)))
        for name, encoder in encoders.items():
            encoder.add(batch.column(name))
    coded = {name: encoder.finish(ordered=name in sensitive) for name, encoder in encoders.items()}
    return Coded(
        levels=tuple(hierarchies.values()),
        codes=tuple(np.concatenate(parts) for parts in codes.values()),
        sensitive={name: coded[name] for name in sensitive},
        subject=coded[subject] if subject else None,
    )
