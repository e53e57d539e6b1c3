"""Tries a release before it is made: the source is treated in memory, attacked, and its utility measured.

Which row became which is known here, as it is to nobody outside, so attacks can be judged. Nothing is written. Both
tables are held in memory, with the columns that the policy names; of a large source take the first rows.

What the policy says of `anonymize` is done, too: classes are as coarse as they would leave, and rows that would be left
out are.

An attacker knows the policy and its recoding. What they know of people is taken through the treatment where that needs
no key and draws nothing, so that a known birth date is looked for as the year that was released. Where it does, raw
values are looked for, as far as they can be compared. A cell that is suppressed is taken to be known as such, which
makes attacks stronger than they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from airflow_veil.privacy.anonymize.recoding import Recoding, decide
from airflow_veil.privacy.engine.beside import beside
from airflow_veil.privacy.errors import ReleaseError, SchemaError
from airflow_veil.privacy.plan.plan import Plan, PlannedColumn
from airflow_veil.privacy.policy.load import LoadedPolicy
from airflow_veil.privacy.policy.models import ColumnClass
from airflow_veil.privacy.release.anonymize import coded_by, fitted, same_question, stored
from airflow_veil.privacy.release.assess import released
from airflow_veil.privacy.release.planning import plan_for
from airflow_veil.privacy.release.workspace import Workspace
from airflow_veil.privacy.risk.attacks.attack import Attack
from airflow_veil.privacy.risk.attacks.differencing import Differences, differencing
from airflow_veil.privacy.risk.attacks.frequency import frequency
from airflow_veil.privacy.risk.attacks.inference import inference
from airflow_veil.privacy.risk.attacks.linkage import TARGETS, linkage, nearest
from airflow_veil.privacy.risk.codes import BATCH_ROWS, codes_of
from airflow_veil.privacy.risk.utility import Utility, utility
from airflow_veil.privacy.storage.base import Source
from airflow_veil.privacy.transforms.base import Keys


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A source and what would be released of it, row by row.

    Attributes:
        plan: What becomes of it.
        source: The rows that leave, as they are.
        release: The same rows as released.
        rows_in: How many rows were read.
        recoding: How classes were made, where the policy asks for it.
    """

    plan: Plan
    source: pa.Table = field(repr=False)
    release: pa.Table = field(repr=False)
    rows_in: int
    recoding: Recoding | None = None

    def known(self, columns: Sequence[str]) -> pa.Table:
        """What an attacker knows of each person, as they would look for it in the release."""
        return pa.table(
            {
                name: (self.release if _public(self.plan.column(name)) else self.source).column(name)
                for name in columns
            }
        )


def trial(workspace: Workspace, dataset: str, *, rows: int | None = None) -> Trial:
    """Treat the source of a data set in memory.

    Args:
        workspace: The policy and its systems.
        dataset: The data set.
        rows: Only the first so many; all if not said.

    Raises:
        SchemaError: The source does not fit the policy, or no row leaves.
        StorageError: The source cannot be read.
        TransformError: A column cannot be treated, or no recoding holds what `anonymize` asks.
        KeyRingError: A key is needed and cannot be had.
    """
    source = workspace.source(dataset)
    plan = plan_for(workspace, dataset, source)
    keys = workspace.keys if plan.needs_keys else None
    words = workspace.loaded.policy.datasets[dataset].anonymize
    # Of some rows only, the levels of the whole table would leave out more than they do.
    before = stored(workspace, dataset) if words and rows is None and words.refit != "always" else None
    tried = treated(workspace.loaded, plan, source, keys, rows=rows, before=before)
    if not tried.release.num_rows:
        raise SchemaError("no row leaves, so there is nothing to try", where=f"data set {dataset}")
    return tried


def treated(
    loaded: LoadedPolicy,
    plan: Plan,
    source: Source,
    keys: Keys | None,
    *,
    rows: int | None = None,
    before: Recoding | None = None,
) -> Trial:
    """Treat rows in memory, as far as `anonymize`; nothing but the source and the policy's files is read.

    Args:
        loaded: The policy.
        plan: What becomes of the rows.
        source: The rows.
        keys: The key ring; None for a plan that needs none.
        rows: Only the first so many; all if not said.
        before: The recoding of the last release, to be used again if the policy asks for the same.

    Raises:
        StorageError: The source cannot be read.
        TransformError: A column cannot be treated, or no recoding holds what `anonymize` asks.
        KeyRingError: A key cannot be had.
    """
    raw, made, rows_in = [], [], 0
    for count, one, other in beside(plan, source, keys, rows=rows, batch_rows=BATCH_ROWS):
        rows_in += count
        raw.append(one)
        made.append(other)
    tables = (
        pa.Table.from_batches(raw, schema=plan.source_schema),
        pa.Table.from_batches(made, schema=plan.output_schema),
    )
    words = loaded.policy.datasets[plan.dataset].anonymize
    if words is None or not tables[1].num_rows:
        return Trial(plan=plan, source=tables[0], release=tables[1], rows_in=rows_in)
    coded = coded_by(loaded, words, plan, tables[1])
    same = before is not None and same_question(before, words, coded)
    recoding = before if before is not None and same else fitted(words, coded)
    decision = decide(recoding, coded)
    return Trial(
        plan=plan,
        source=tables[0].filter(pa.array(decision.keep)),
        release=decision.recode(tables[1], 0),
        rows_in=rows_in,
        recoding=recoding,
    )


def attacks(
    tried: Trial, knows: Sequence[str] | None = None, *, targets: int = TARGETS, seed: int = 0
) -> dict[str, Attack]:
    """Attack what would be released.

    Linkage by what is known; inference of each sensitive column that leaves, with half of the people released and the
    other half as those who are not; frequency of each keyed column whose values can be counted.

    Args:
        tried: What would be released.
        knows: The columns that the attacker knows; the quasi-identifiers that leave if not said.
        targets: How many people the nearest attack looks for.
        seed: Of the draws.

    Returns:
        What each attack reached, by its name and column.

    Raises:
        SchemaError: A column does not leave.
    """
    plan = tried.plan
    leaving = [column.name for column in plan.released]
    columns = list(knows or _of(plan, ColumnClass.QUASI_IDENTIFIER))
    missing = [name for name in columns if name not in leaving]
    if missing:
        raise SchemaError(
            f"{', '.join(missing)} does not leave, so it cannot be looked for",
            where=f"data set {plan.dataset}",
            expected=f"some of {', '.join(leaving)}",
        )
    found: dict[str, Attack] = {}
    if columns:
        known, same = tried.known(columns), {name: name for name in columns}
        found["linkage, exact"] = linkage(known, tried.release, same)
        found["linkage, nearest"] = nearest(known, tried.release, same, targets=targets, seed=seed)
        inside = _half(tried, seed)
        for name in _of(plan, ColumnClass.SENSITIVE):
            if name not in columns and _public(plan.column(name)):
                people = known.append_column(name, tried.release.column(name))
                found[f"inference of {name}"] = inference(
                    people.filter(inside),
                    tried.release.filter(inside),
                    columns,
                    name,
                    control=people.filter(pc.invert(inside)),
                )
    for column in plan.released:
        values = tried.source.column(column.name)
        if (
            column.key_domain is not None
            and column.properties.deterministic
            and values.null_count < len(values)
        ):
            found[f"frequency of {column.name}"] = frequency(
                values, tried.release.column(column.name), seed=seed
            )
    return found


def utility_of(tried: Trial, target: str | None = None, *, seed: int = 0) -> Utility:
    """What would be released is still good for; columns that get tokens have no distances that mean anything.

    Args:
        tried: What would be released.
        target: The column that a model is to tell by the others that are no direct identifiers; None for no model.
        seed: Of the draw of rows that the model is tried on.

    Raises:
        SchemaError: The target does not leave.
    """
    columns = [
        column.name
        for column in tried.plan.released
        if column.column_class not in (ColumnClass.DIRECT_IDENTIFIER, ColumnClass.FREE_TEXT)
    ]
    rows = np.arange(tried.source.num_rows)
    return utility(tried.source, tried.release, columns, truth=rows, target=target, seed=seed)


def nights(workspace: Workspace, dataset: str, earlier: str, later: str | None = None) -> Differences:
    """What the rows of two releases tell whoever kept the earlier one, if tokens are taken away.

    Who rows are is told by the subject's token, which stays from night to night: by it all of this is plain to see. The
    figures say how much of it other columns tell, and so what making tokens anew each night would help.

    Args:
        workspace: The policy and its systems.
        dataset: The data set.
        earlier: The release that somebody kept.
        later: The release of today; the current one if not said.

    Raises:
        ReleaseError: One is not there, or nothing in them says whose rows are.
        SchemaError: There is no such data set, or their columns differ.
        StorageError: One cannot be read.
    """
    sources = [released(workspace, dataset, name) for name in (earlier, later)]
    subject = workspace.loaded.policy.datasets[dataset].subject
    names = sources[1].schema().names
    whose = subject.column if subject else None
    if whose is None or whose not in names:
        raise ReleaseError(
            "nothing in the releases says whose rows are", where=dataset, expected="a `subject` that leaves"
        )
    direct = {
        name
        for name, column in workspace.loaded.policy.datasets[dataset].columns.items()
        if column.column_class is ColumnClass.DIRECT_IDENTIFIER
    }
    by = [name for name in names if name not in direct and name != whose]
    if not by:
        raise ReleaseError("there is no column but identifiers", where=dataset)
    wanted = [whose, *by]
    before, after = (
        pa.Table.from_batches(
            source.batches(wanted, batch_rows=BATCH_ROWS),
            schema=pa.schema([source.schema().field(name) for name in wanted]),
        )
        for source in sources
    )
    before, after = (_somebodys(table, whose) for table in (before, after))
    return differencing(before, after, by, was=before[whose], now=after[whose])


def _somebodys(table: pa.Table, subject: str) -> pa.Table:
    """The rows that say whose they are."""
    return table.filter(table[subject].is_valid())


def _of(plan: Plan, kind: ColumnClass) -> tuple[str, ...]:
    return tuple(
        column.name for column in plan.released if column.column_class == kind and column.name != plan.subject
    )


def _public(column: PlannedColumn) -> bool:
    """Whether anybody can treat a value as the policy does."""
    return column.key_domain is None and not column.inputs and column.properties.deterministic


def _half(tried: Trial, seed: int) -> Any:
    """A mask of rows: half of the people, drawn."""
    rows = tried.source.num_rows
    subject = tried.plan.subject
    if subject is None or subject not in tried.source.column_names:
        of, people = np.arange(rows), rows
    else:
        codes = codes_of(tried.source, [subject])[subject]
        of, people = codes.codes, codes.cardinality
    drawn = np.random.default_rng(seed).random(people) < 0.5
    return pa.array(drawn[of])
