"""A recoding: the level of each quasi-identifier, stored as JSON and applied to any night's rows.

    fit ──► Recoding ──JSON──► decide(table) ──► Decision ──► recode(batch), batch by batch

What is decided anew each night is which rows go: those whose class in that night's table does not hold the criteria.
The decision is checked once more on what leaves, by the labels that leave; nothing leaves if it does not hold.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_veil.privacy.anonymize.criteria import Close, Criteria, Diverse, held
from airflow_veil.privacy.anonymize.groups import Grouping
from airflow_veil.privacy.anonymize.levels import Levels
from airflow_veil.privacy.anonymize.local import suppress_cells
from airflow_veil.privacy.anonymize.quality import Quality
from airflow_veil.privacy.anonymize.table import Coded, read
from airflow_veil.privacy.errors import InternalError, TransformError
from airflow_veil.privacy.lazy import np, pa
from airflow_veil.privacy.risk.codes import Codes

if TYPE_CHECKING:
    from airflow_veil.privacy.storage.base import Source

FORMAT = 1
"""The version of the stored form."""
SUPPRESSED = "*"
"""What stands where a cell is suppressed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """How likely somebody is found again, in figures of classes.

    Attributes:
        rows: Rows, or people and combinations, that are in classes.
        classes: How many classes there are.
        k: The least size.
        unique: How many are alone in their class.
        average: Classes ÷ rows.
    """

    rows: int
    classes: int
    k: int
    unique: int
    average: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Recoding:
    """What a fit found: levels, and figures of the table that it was fitted on; no value of it.

    Attributes:
        levels: The level of each quasi-identifier.
        heights: The highest level that its hierarchy has.
        hierarchies: The digest of its hierarchy.
        criteria: What every class must hold.
        subject: The column that says whose row it is; None if rows count.
        suppress_at_most: The share of rows that may be suppressed.
        quality: The metric.
        local: Whether cells are suppressed in place of rows, where that is enough.
        cost: What the recoding costs by the metric.
        rows: Rows of the table that it was fitted on.
        suppressed: Rows of it in classes that do not hold the criteria.
        nodes: How many nodes the lattice has.
        evaluated: How many of them were looked at.
        before: The risk of the table as it was.
        after: The risk of the classes that are kept.
    """

    levels: dict[str, int]
    heights: dict[str, int]
    hierarchies: dict[str, str]
    criteria: Criteria
    subject: str | None
    suppress_at_most: float
    quality: Quality
    local: bool
    cost: tuple[float, ...]
    rows: int
    suppressed: int
    nodes: int
    evaluated: int
    before: Exposure
    after: Exposure

    @property
    def node(self) -> tuple[int, ...]:
        """The levels alone."""
        return tuple(self.levels.values())

    def as_dict(self) -> dict[str, Any]:
        """The recoding for a machine to read, and to store."""
        return {"format": FORMAT, **asdict(self), "cost": list(self.cost)}

    def to_json(self) -> str:
        """The recoding as JSON text."""
        return json.dumps(self.as_dict(), sort_keys=False, allow_nan=False)

    @staticmethod
    def from_dict(stored: Mapping[str, Any]) -> Recoding:
        """A recoding that was stored.

        Raises:
            TransformError: It is not one, or of another version.
        """
        unreadable = TransformError(
            "the stored recoding cannot be read", expected=f"format {FORMAT}", fix="fit it anew"
        )
        if not isinstance(stored, Mapping):
            raise unreadable
        parts = dict(stored)
        if parts.pop("format", None) != FORMAT:
            raise unreadable
        try:
            wanted = parts.pop("criteria")
            return Recoding(
                **{
                    **parts,
                    "criteria": Criteria(
                        k=wanted["k"],
                        l={name: Diverse(**each) for name, each in wanted["l"].items()},
                        t={name: Close(**each) for name, each in wanted["t"].items()},
                    ),
                    "cost": tuple(parts["cost"]),
                    "before": Exposure(**parts["before"]),
                    "after": Exposure(**parts["after"]),
                }
            )
        except (KeyError, TypeError, AttributeError):
            raise unreadable from None

    @staticmethod
    def from_json(text: str) -> Recoding:
        """A recoding of JSON text.

        Raises:
            TransformError: It is not one.
        """
        try:
            stored = json.loads(text)
        except ValueError:
            raise TransformError("the stored recoding is no JSON", fix="fit it anew") from None
        return Recoding.from_dict(stored)

    def decide(self, data: pa.Table | Source, hierarchies: Mapping[str, Levels]) -> Decision:
        """Which rows and cells of a table go, so that what leaves holds the criteria.

        Args:
            data: The table; a source is read batch by batch, and only codes are kept.
            hierarchies: The hierarchies that the recoding was fitted with.

        Raises:
            TransformError: The hierarchies are others than at the fit, do not cover a value, or more rows would go
                than may.
            SchemaError: A column is not there.
            StorageError: The source cannot be read.
        """
        self._same(hierarchies)
        ordered = {name: hierarchies[name] for name in self.levels}
        coded = read(data, ordered, self.criteria.sensitive, subject=self.subject)
        return decide(self, coded)

    def apply(self, table: pa.Table, hierarchies: Mapping[str, Levels]) -> pa.Table:
        """Recode a whole table: `decide`, and then `recode`.

        Returns:
            The rows that stay, quasi-identifiers as text, other columns as they are.
        """
        decision = self.decide(table, hierarchies)
        return decision.recode(table, 0)

    def _same(self, hierarchies: Mapping[str, Levels]) -> None:
        for name, digest in self.hierarchies.items():
            if name not in hierarchies or hierarchies[name].digest != digest:
                raise TransformError(
                    "the hierarchy is another one than the recoding was fitted with",
                    where=f"column {name}",
                    fix="fit anew",
                )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Decision:
    """What of a table goes.

    Attributes:
        recoding: The recoding.
        levels: The hierarchies, in its order.
        keep: Whether each row stays.
        cells: For each quasi-identifier whether each row's cell is suppressed; None if no cell is.
    """

    recoding: Recoding
    levels: tuple[Levels, ...]
    keep: np.ndarray[Any, Any] = field(repr=False)
    cells: np.ndarray[Any, Any] | None = field(repr=False)

    @property
    def suppressed_rows(self) -> int:
        """How many rows go."""
        return int((~self.keep).sum())

    @property
    def suppressed_cells(self) -> int:
        """How many cells of rows that stay are suppressed."""
        return 0 if self.cells is None else int(self.cells[self.keep].sum())

    def recode(self, batch: Any, start: int) -> Any:
        """Recode the next rows.

        Args:
            batch: Rows, as a batch or a table.
            start: How many rows came before them.

        Returns:
            Those that stay, the quasi-identifiers as text of their level.

        Raises:
            TransformError: The rows are not those that were decided on.
        """
        part = slice(start, start + batch.num_rows)
        if part.stop > len(self.keep):
            raise TransformError(
                "there are more rows than were decided on", fix="decide anew, when nobody writes"
            )
        names = batch.schema.names
        for which, each in enumerate(self.levels):
            column = batch.column(names.index(each.column))
            made = each.decode(each.encode(column), self.recoding.levels[each.column])
            if self.cells is not None:
                gone = pa.array(self.cells[part, which])
                made = pa.compute.if_else(gone, pa.scalar(SUPPRESSED), made)
            batch = batch.set_column(names.index(each.column), pa.field(each.column, pa.string()), made)
        return batch.filter(pa.array(self.keep[part]))


def decide(recoding: Recoding, coded: Coded) -> Decision:
    """Which rows and cells of a coded table go.

    Raises:
        TransformError: More rows would go than may.
        InternalError: What would leave does not hold the criteria.
    """
    rows = len(coded)
    if not rows:
        return Decision(recoding=recoding, levels=coded.levels, keep=np.zeros(0, bool), cells=None)
    grouping = Grouping(coded.levels, coded.codes, coded.sensitive, coded.subject)
    groups = grouping.at(recoding.node)
    keep = held(recoding.criteria, grouping, groups).all[grouping.class_of_rows(groups)]
    cells = None
    if recoding.local and not keep.all():
        gone = np.flatnonzero(~keep)
        there = suppress_cells(coded, recoding.node, gone, recoding.criteria, grouping.totals)
        cells = np.zeros((rows, len(coded.levels)), bool)
        cells[gone] = there
        keep = ~cells.all(axis=1)
    if int((~keep).sum()) > most_rows(recoding.suppress_at_most, rows):
        raise TransformError(
            f"{int((~keep).sum()):,} of {rows:,} rows are in classes that do not hold the criteria",
            expected=f"{recoding.suppress_at_most:.2%} at most",
            fix="fit the recoding anew",
        )
    _check(recoding, coded, keep, cells, grouping.totals)
    return Decision(recoding=recoding, levels=coded.levels, keep=keep, cells=cells)


def most_rows(share: float, rows: int) -> int:
    """How many rows a share of them is, rounded down."""
    return int(share * rows + 1e-9)


def released(
    recoding: Recoding, coded: Coded, keep: np.ndarray[Any, Any], cells: np.ndarray[Any, Any] | None
) -> list[Codes]:
    """The quasi-identifiers of the rows that stay, by the labels that leave."""
    columns = []
    for which, (column, levels) in enumerate(zip(coded.at(recoding.node), coded.levels, strict=True)):
        codes, cardinality = column.codes[keep], column.cardinality
        if cells is not None:
            labels = levels.labels[recoding.node[which]]
            star = pa.compute.index(labels, SUPPRESSED).as_py()
            codes = np.where(cells[keep, which], cardinality if star < 0 else star, codes)
            cardinality += 1
        columns.append(Codes(name=column.name, codes=codes, cardinality=cardinality))
    return columns


def _check(
    recoding: Recoding,
    coded: Coded,
    keep: np.ndarray[Any, Any],
    cells: np.ndarray[Any, Any] | None,
    totals: Mapping[str, np.ndarray[Any, Any]],
) -> None:
    """Whether the rows that leave hold the criteria, by what leaves of them.

    Raises:
        InternalError: They do not.
    """
    if not keep.any():
        return
    from airflow_veil.privacy.anonymize.levels import levels_of

    columns = released(recoding, coded, keep, cells)
    grouping = Grouping(
        [levels_of(each.name, [[str(code)] for code in range(each.cardinality)]) for each in columns],
        [each.codes for each in columns],
        {name: each.take(keep) for name, each in coded.sensitive.items()},
        coded.subject.take(keep) if coded.subject else None,
        totals,
    )
    groups = grouping.at(tuple(0 for _ in columns))
    if not held(recoding.criteria, grouping, groups).all.all():
        raise InternalError("what would leave does not hold the criteria", where="recoding")
