"""Fits a recoding: the levels that cost least, over all nodes, with no more rows suppressed than may be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_veil.privacy.anonymize.criteria import Criteria
from airflow_veil.privacy.anonymize.groups import Grouping
from airflow_veil.privacy.anonymize.lattice import Lattice
from airflow_veil.privacy.anonymize.levels import Levels
from airflow_veil.privacy.anonymize.metrics import metric
from airflow_veil.privacy.anonymize.quality import Quality
from airflow_veil.privacy.anonymize.recoding import Exposure, Recoding, most_rows
from airflow_veil.privacy.anonymize.search import Search
from airflow_veil.privacy.anonymize.table import Coded, read
from airflow_veil.privacy.errors import TransformError
from airflow_veil.privacy.lazy import np, pa
from airflow_veil.privacy.risk.classes import classes
from airflow_veil.privacy.risk.reidentification import reidentification

if TYPE_CHECKING:
    from airflow_veil.privacy.storage.base import Source


def fit(
    data: pa.Table | Source,
    hierarchies: Mapping[str, Levels],
    criteria: Criteria,
    *,
    suppress_at_most: float = 0.0,
    quality: Quality = "loss",
    subject: str | None = None,
    local: bool = False,
) -> Recoding:
    """Find the recoding that costs least of those that hold the criteria.

    Args:
        data: The table; of a source only codes are kept, four bytes a cell.
        hierarchies: The quasi-identifiers, and a hierarchy for each.
        criteria: What every class must hold.
        suppress_at_most: The share of rows that may be suppressed, 0 to 1.
        quality: What a recoding costs: see `metrics.py`.
        subject: The column that says whose row it is. Classes then count people: who has many rows alike is one.
        local: Whether cells are suppressed in place of rows, where that is enough. Levels are the same.

    Returns:
        The optimum. Of recodings that cost the same, the one that suppresses less, and then the one of lower levels.

    Raises:
        TransformError: No recoding holds the criteria; the table has no rows; a hierarchy does not cover a value; the
            lattice is too large.
        SchemaError: A column is not there.
        StorageError: The source cannot be read.
    """
    if not 0 <= suppress_at_most <= 1:
        raise TransformError("`suppress_at_most` is a share of rows", expected="a number from 0 to 1")
    return fit_coded(
        read(data, hierarchies, criteria.sensitive, subject=subject),
        criteria,
        suppress_at_most=suppress_at_most,
        quality=quality,
        local=local,
    )


def fit_coded(
    coded: Coded, criteria: Criteria, *, suppress_at_most: float, quality: Quality, local: bool
) -> Recoding:
    """`fit`, of a table that is coded already."""
    rows = len(coded)
    if not rows:
        raise TransformError("there are no rows to fit a recoding on", expected="a table with rows")
    grouping = Grouping(coded.levels, coded.codes, coded.sensitive, coded.subject)
    search = Search(
        grouping, criteria, metric(quality, grouping, coded.counts()), most_rows(suppress_at_most, rows)
    )
    best = search.run()
    if best is None:
        raise TransformError(
            f"no recoding of {', '.join(each.column for each in coded.levels)} holds the criteria",
            expected=f"one that suppresses {suppress_at_most:.2%} of {rows:,} rows at most",
            fix="ask for less, allow more rows to be suppressed, or give the hierarchies coarser levels",
        )
    keep = best.kept[grouping.class_of_rows(best.groups)]
    return Recoding(
        levels={each.column: level for each, level in zip(coded.levels, best.node, strict=True)},
        heights={each.column: each.height for each in coded.levels},
        hierarchies={each.column: each.digest for each in coded.levels},
        criteria=criteria,
        subject=coded.subject.name if coded.subject else None,
        suppress_at_most=suppress_at_most,
        quality=quality,
        local=local,
        cost=best.cost,
        rows=rows,
        suppressed=best.suppressed,
        nodes=Lattice(tuple(each.height for each in coded.levels)).size,
        evaluated=best.evaluated,
        before=_exposure(coded, tuple(0 for _ in coded.levels), np.arange(rows)),
        after=_exposure(coded, best.node, np.flatnonzero(keep)),
    )


def _exposure(coded: Coded, node: tuple[int, ...], rows: np.ndarray[Any, Any]) -> Exposure:
    """The risk of some rows, as coarse as a node makes them."""
    found = reidentification(classes(coded.counted(coded.at(node), rows)))
    return Exposure(
        rows=found.rows,
        classes=found.classes,
        k=found.k,
        unique=found.unique,
        average=found.average_per_record,
    )
