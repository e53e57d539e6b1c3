"""What a staged release is still good for: its rows beside those of the source that it was made of.

Both sides are drawn by the same random numbers, without bias, at most so many rows as the policy says. Which row
became which is known only where no row was left out and files keep rows in order; then both draws are of the same rows.
Otherwise losses are not known, and each draw stands for a whole distribution.

Distances are of columns whose values are meant to stay what they are. Tokens, covered text, coarser categories are
other values: they have none, nor have pairs with them; losses and the model's score tell of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from airflow_veil.privacy.errors import SchemaError
from airflow_veil.privacy.plan.plan import Plan, PlannedColumn
from airflow_veil.privacy.policy.check_gate import OF_UTILITY
from airflow_veil.privacy.policy.types import same_type
from airflow_veil.privacy.policy.utility import NOT_MEASURED, SAME_VALUES, UtilityMeasure
from airflow_veil.privacy.release.workspace import Workspace
from airflow_veil.privacy.risk.sample import sample
from airflow_veil.privacy.risk.utility import ColumnUtility, Utility, score, utility
from airflow_veil.privacy.storage.base import Source

_SEED = 0


def wanted(workspace: Workspace) -> UtilityMeasure | None:
    """How utility is to be measured; None where neither the policy asks for it nor a bound of its gate is on it."""
    release = workspace.loaded.policy.release
    if release is None or release.utility is not None:
        return release.utility if release else None
    gate = release.gate
    words = {**gate.deny.of(), **gate.approve.of(), **gate.jump.of()} if gate else {}
    return UtilityMeasure() if OF_UTILITY & set(words) else None


def utility_staged(
    workspace: Workspace, plan: Plan, staged: Source, draft: Mapping[str, Any], how: UtilityMeasure
) -> dict[str, Any] | None:
    """Measure what is staged against its source.

    Args:
        workspace: The policy and its systems.
        plan: What became of the source.
        staged: What is staged.
        draft: The draft of its manifest.
        how: What is measured, on how many rows.

    Returns:
        Figures by names of columns, no value; None where the source is not what it was when it was read.

    Raises:
        StorageError: One cannot be read.
    """
    source = workspace.source(plan.dataset)
    made_of = draft.get("source", {}).get("fingerprint")
    if not made_of or source.fingerprint() != made_of:
        return None
    columns = [column.name for column in plan.released if column.column_class not in NOT_MEASURED]
    target = how.targets.get(plan.dataset)
    names = list(dict.fromkeys([*columns, *([target] if target else [])]))
    before, rows = sample(source, names, how.rows, seed=_SEED)
    after, released = sample(staged, names, how.rows, seed=_SEED)
    if source.fingerprint() != made_of:
        return None
    in_order = bool(draft.get("output", {}).get("files")) and "anonymization" not in draft
    truth = np.arange(before.num_rows) if in_order and rows == released else None
    found = utility(before, after, columns, truth=truth, pairs=how.pairs)
    compared = {column.name: _is_compared(column, draft) for column in plan.released}
    return {
        **_with_score(found, before, after, target, truth).as_dict(),
        "rows": rows,
        "released": released,
        "measured": [before.num_rows, after.num_rows],
        "same_rows": truth is not None,
        "columns": [
            _column(column, before, after, compared=compared[column.column]) for column in found.columns
        ],
        # Totals of combinations grow with the draw alone where values are many, so a pair has its association only.
        "pairs": [
            {"columns": list(pair.columns), "by": pair.by, "before": pair.before, "after": pair.after}
            for pair in found.pairs
            # Between rare values, as birthdays, Cramér's V is near 1 by chance: coarser ones cannot be compared.
            if all(compared[name] for name in pair.columns)
        ]
        if how.pairs
        else None,
    }


def _with_score(
    found: Utility, before: pa.Table, after: pa.Table, target: str | None, truth: np.ndarray[Any, Any] | None
) -> Utility:
    """With a model's score, if there is a target and something to learn from."""
    if target is None:
        return found
    features = [column.column for column in found.columns if column.column != target]
    try:
        return replace(found, score=score(before, after, target, features, truth=truth, seed=_SEED))
    except SchemaError:
        # Values that cannot be compared, or too few rows: the score is not known, which a bound on it denies.
        return found


def _is_compared(column: PlannedColumn, draft: Mapping[str, Any]) -> bool:
    """Whether a column's values are to be read as the source's are."""
    levels = draft.get("anonymization", {}).get("recoding", {}).get("levels", {})
    number = pa.types.is_integer(column.source_type) or pa.types.is_floating(column.source_type)
    kept = column.transform.word in SAME_VALUES or (column.transform.word == "generalize" and number)
    return (
        kept
        and not levels.get(column.name)
        and column.output_type is not None
        and same_type(column.source_type, column.output_type)
    )


def _column(told: ColumnUtility, before: pa.Table, after: pa.Table, *, compared: bool) -> dict[str, Any]:
    nulls = abs(_nulls(before, told.column) - _nulls(after, told.column))
    empty = all(_nulls(table, told.column) == 1 for table in (before, after))
    return {
        "column": told.column,
        "compared": compared,
        "distance": (0.0 if empty else told.distance) if compared else None,
        "by": told.by,
        "nulls": nulls,
        "loss": told.loss,
        "lost_bits": told.lost_bits,
    }


def _nulls(table: pa.Table, name: str) -> float:
    return float(table.column(name).null_count / max(table.num_rows, 1))
