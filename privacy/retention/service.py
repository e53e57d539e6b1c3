"""Retention, as tasks and commands call it: plan in counts, then enforce; and releases, which expire by the policy.

    policy, clock ──► cut-off ──► survey of files or tables ──► plan ──cap, clock──► enforce ──► verify ──► certificate
                                                                              │             │            │
                                                                              └── ledger, evidence ──────┘

A run derives all of it anew, so it can be killed, retried or run twice at once: see `files.py`. The ledger has the plan
before the first row goes, and what was done when the last is gone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from airflow_veil.privacy.errors import ApprovalNeededError, RetentionError, SchemaError
from airflow_veil.privacy.ledger.reason import LONGEST_REASON, SHORTEST_REASON
from airflow_veil.privacy.ledger.record import ReleaseState
from airflow_veil.privacy.lineage.deleting import of_deleting
from airflow_veil.privacy.lineage.model import LineageRecord
from airflow_veil.privacy.policy.retention import Retention
from airflow_veil.privacy.retention.anonymize import Cells, cells_of
from airflow_veil.privacy.retention.archive import Archive, Archived, folder_of
from airflow_veil.privacy.retention.clock import doubt, wall_clock
from airflow_veil.privacy.retention.counts import Counts, Files
from airflow_veil.privacy.retention.cutoff import CutOff, cut_off
from airflow_veil.privacy.retention.files import FileStore
from airflow_veil.privacy.retention.holds import Keeper, keeper_of
from airflow_veil.privacy.retention.models import expire_models_of_rows
from airflow_veil.privacy.retention.postgres_table import PostgresStore
from airflow_veil.privacy.retention.sqlite_table import SqliteStore
from airflow_veil.privacy.retention.survey import Survey
from airflow_veil.privacy.retention.verify import verify

if TYPE_CHECKING:
    from airflow_veil.privacy.release.workspace import Workspace
    from airflow_veil.privacy.storage.base import Source

Store: TypeAlias = FileStore | SqliteStore | PostgresStore

_PUBLISHED = (ReleaseState.CURRENT, ReleaseState.SUPERSEDED, ReleaseState.EXPIRED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """Who looked at a plan and approved it, and why.

    Attributes:
        by: Who.
        reason: Why; kept as evidence, no personal data.
    """

    by: str
    reason: str

    def __post_init__(self) -> None:
        if not SHORTEST_REASON <= len(self.reason.strip()) <= LONGEST_REASON:
            raise RetentionError(
                f"the reason of the approval has {len(self.reason.strip())} characters",
                expected=f"{SHORTEST_REASON} to {LONGEST_REASON}, without personal data",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionPlan:
    """What a run would do to a data set.

    Attributes:
        policy: Name of the policy.
        dataset: Name of the data set.
        cut: The cut-off.
        counts: What becomes of its rows.
        files: What becomes of its files.
        waits_for: The releases that rows wait for.
        objections: Why somebody has to approve it; none where it may be done.
    """

    policy: str
    dataset: str
    cut: CutOff
    counts: Counts
    files: Files
    waits_for: tuple[str, ...]
    objections: tuple[str, ...]

    @property
    def share(self) -> float:
        """Which share of the rows goes, or loses cells."""
        return self.counts.changed / self.counts.rows if self.counts.rows else 0.0

    def as_dict(self) -> dict[str, Any]:
        """The plan for a machine to read: names, times and counts."""
        return {
            "policy": self.policy,
            "dataset": self.dataset,
            "at": self.cut.at.isoformat(timespec="seconds"),
            "cut_off": self.cut.moment.isoformat(timespec="seconds"),
            "due": self.cut.due.isoformat(),
            **self.counts.as_dict(),
            "share": round(self.share, 6),
            "files": self.files.as_dict(),
            "waits_for": list(self.waits_for),
            "objections": list(self.objections),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Enforced:
    """What a run did.

    Attributes:
        run_id: The name of the run.
        plan: What it was going to do.
        counts: What became of the rows.
        files: What became of the files.
        lineage: The same for lineage.
        archived: What it did to the archive; None where the policy has none.
    """

    run_id: str
    plan: RetentionPlan
    counts: Counts
    files: Files
    lineage: LineageRecord
    archived: Archived | None = None

    @property
    def told(self) -> str:
        """What was done, in a sentence for people."""
        counts, dataset = self.counts, self.plan.dataset
        if not counts.changed:
            return f"Nothing of {dataset} is over; {counts.rows:,} rows stay."
        did = "Deleted" if counts.delete else "Archived" if counts.archive else "Anonymized"
        return f"{did} {counts.changed:,} rows of {dataset}; {counts.rows - counts.gone:,} stay."

    def as_dict(self) -> dict[str, Any]:
        """What was done, for XCom, evidence and machines: names, times and counts."""
        cut = self.plan.cut.moment.isoformat(timespec="seconds")
        return {
            "policy": self.plan.policy,
            "dataset": self.plan.dataset,
            "cut_off": cut,
            **self.counts.as_dict(),
            "files": self.files.as_dict(),
            **({} if self.archived is None else {"archived": asdict(self.archived)}),
        }


def plan(workspace: Workspace, dataset: str, now: datetime | None = None) -> RetentionPlan:
    """What a run would delete, in counts; nothing is changed.

    Args:
        workspace: The policy and its systems.
        dataset: The data set.
        now: The time, aware; the wall clock's if not said.

    Raises:
        RetentionError: The data set has no retention.
        SchemaError: There is no such data set, or its source has no such time.
        StorageError: The source cannot be read, or rows cannot be deleted from it.
        LedgerError: The ledger cannot be used.
    """
    rule = rule_of(workspace, dataset)
    cut, waits_for = _cut_off(workspace, rule, now or wall_clock())
    survey = _store(workspace, dataset, rule, cut).survey(cut, keeper_of(workspace, dataset))
    return _plan(workspace, dataset, cut, survey, waits_for)


def enforce(
    workspace: Workspace,
    dataset: str,
    *,
    actor: str,
    now: datetime | None = None,
    approval: Approval | None = None,
) -> Enforced:
    """Do with rows whose time is over what the policy says, and leave evidence; a clean data set is left as it is.

    Args:
        workspace: The policy and its systems.
        dataset: The data set.
        actor: Who runs it.
        now: The time, aware; the wall clock's if not said.
        approval: Who approved the plan, where more goes than may without.

    Raises:
        ApprovalNeededError: More would be deleted than one run may, or the clock cannot be believed.
        RetentionError: The data set has no retention.
        SchemaError: There is no such data set, or its source has no such time.
        StorageError: The source cannot be changed; what was not changed is as it was.
        UnverifiedError: Rows were deleted, and a second look does not find what it should.
        LedgerError: The ledger cannot be used.
    """
    rule = rule_of(workspace, dataset)
    cut, waits_for = _cut_off(workspace, rule, now or wall_clock())
    store, ledger = _store(workspace, dataset, rule, cut), workspace.ledger
    alone = nullcontext() if store.archive is None else store.archive.alone()
    with store.alone(), alone:
        survey = store.survey(cut, keeper_of(workspace, dataset))
        planned = _plan(workspace, dataset, cut, survey, waits_for)
        given = approval if planned.objections else None
        if planned.objections and given is None:
            raise _not_approved(planned)
        run_id = ledger.retention.begin(
            planned.policy,
            dataset,
            cut_off=cut.moment,
            at=cut.at,
            planned=planned.as_dict() | _terms(workspace, dataset, rule),
            actor=actor,
            approved_by=given.by if given else None,
            approval=given.reason if given else None,
        )
        counts, files = survey.counts, survey.files

        @contextmanager
        def frozen() -> Iterator[Keeper]:
            with ledger.holds.frozen(planned.policy, dataset) as held:
                yield keeper_of(workspace, dataset, held)

        archive = None if store.archive is None else replace(store.archive, run=run_id)
        if counts.changed:
            expire_models_of_rows(workspace, dataset, actor=actor)
            counts, files = replace(store, archive=archive).enforce(cut, survey, frozen)
        if archive is not None:
            with frozen() as keeper:
                archive.expire(keeper)
        lineage = of_deleting(
            workspace.loaded,
            dataset,
            workspace.source(dataset).identity,
            rows=counts.rows,
            left=counts.rows - counts.gone,
        )
        done = Enforced(
            run_id=run_id,
            plan=planned,
            counts=counts,
            files=files,
            lineage=lineage,
            archived=None if archive is None else archive.done,
        )
        ledger.retention.finish(run_id, done.as_dict())
        verify(workspace, done, rule.from_, store.cells, archive, actor=actor)
    return done


def _terms(workspace: Workspace, dataset: str, rule: Retention) -> dict[str, Any]:
    """By what a run deletes, and from where: kept with it, since the policy may be another one tomorrow."""
    source = workspace.source(dataset).identity
    return {
        "policy_digest": workspace.loaded.digest,
        "rule": rule.model_dump(mode="json", by_alias=True, exclude_none=True),
        "source": {"namespace": source.namespace, "name": source.name},
    }


def rule_of(workspace: Workspace, dataset: str) -> Retention:
    """The retention of a data set.

    Raises:
        SchemaError: There is no such data set.
        RetentionError: It has none.
    """
    policy = workspace.loaded.policy
    if dataset not in policy.datasets:
        raise SchemaError(f"the policy {policy.name} has no data set {dataset}")
    rule = policy.datasets[dataset].retention
    if rule is None:
        raise RetentionError(
            "the policy says nothing of how long rows are kept",
            where=f"data set {dataset}",
            fix="add `retention: {after: …, from: …}`",
        )
    return rule


def planned_lineage(workspace: Workspace, dataset: str) -> LineageRecord:
    """The lineage of a run before it is known what goes."""
    return of_deleting(workspace.loaded, dataset, workspace.source(dataset).identity)


def _cut_off(workspace: Workspace, rule: Retention, now: datetime) -> tuple[CutOff, tuple[str, ...]]:
    """The cut-off, and the releases that hold it back."""
    if now.utcoffset() is None:
        raise RetentionError("the time has no time zone", fix="give an aware time")
    covered = {name: _covered(workspace, name) for name in rule.after_releases}
    cut = cut_off(rule, now, covered.values())
    zone = cut.zone
    behind = [name for name, end in covered.items() if end is None or end.astimezone(zone).date() < cut.due]
    return cut, tuple(behind)


def _covered(workspace: Workspace, name: str) -> datetime | None:
    """Until when the newest good release of a name covers rows; None where there is none."""
    releases = workspace.ledger.list(workspace.loaded.policy.name, name)
    good = [each for each in releases if each.state in _PUBLISHED and each.published_at is not None]
    return max((each.interval_end or each.published_at for each in good if each.published_at), default=None)


def _plan(
    workspace: Workspace, dataset: str, cut: CutOff, survey: Survey, waits_for: tuple[str, ...]
) -> RetentionPlan:
    rule, policy = rule_of(workspace, dataset), workspace.loaded.policy.name
    counts = survey.counts
    last = workspace.ledger.retention.last(policy, dataset)
    objections = []
    if counts.changed > rule.at_most * counts.rows:
        share = counts.changed / counts.rows
        would, may = ("lose cells", "anonymize") if counts.anonymize else ("go", "delete")
        told = f"{counts.changed:,} of {counts.rows:,} rows would {would}, {share:.1%}"
        objections.append(f"{told}, and one run may {may} {rule.at_most:.1%}")
    if doubted := doubt(cut.at, last.at if last else None):
        objections.append(doubted)
    return RetentionPlan(
        policy=policy,
        dataset=dataset,
        cut=cut,
        counts=counts,
        files=survey.files,
        waits_for=waits_for,
        objections=tuple(objections),
    )


def _not_approved(planned: RetentionPlan) -> ApprovalNeededError:
    return ApprovalNeededError(
        "; ".join(planned.objections),
        where=f"{planned.policy}.{planned.dataset}",
        fix="look at `veil retention plan`; if it is right, `veil retention enforce … --approve REASON`",
    )


def _store(workspace: Workspace, dataset: str, rule: Retention, cut: CutOff) -> Store:
    """The source of a data set, as something that rows can be deleted from, or lose cells."""
    from airflow_veil.privacy.storage.csv import CsvSource
    from airflow_veil.privacy.storage.parquet import ParquetSource
    from airflow_veil.privacy.storage.sql import SqlSource
    from airflow_veil.privacy.storage.sqlite import SqliteSource

    source = workspace.source(dataset)
    cells, archive = _cells(workspace, dataset, rule, source), _archive(workspace, dataset, rule, cut)
    if isinstance(source, ParquetSource | CsvSource):
        if archive is not None:
            _check_apart(archive.folder, source.path)
        return FileStore(source, rule.from_, cells, archive)
    if isinstance(source, SqlSource):
        table = source.table_source
        if isinstance(table, SqliteSource):
            return SqliteStore(table, rule.from_, cells, archive)
        return PostgresStore(table, rule.from_, cells, archive)
    raise RetentionError("rows cannot be deleted from this kind of source", where=dataset)


def _cells(workspace: Workspace, dataset: str, rule: Retention, source: Source) -> Cells | None:
    """What rows lose whose time is over; None where they go."""
    if not rule.treatments:
        return None
    root, where = workspace.loaded.path.parent, f"data set {dataset}"
    return cells_of(rule.treatments, source.schema(), dataset=dataset, root=root, where=where)


def _archive(workspace: Workspace, dataset: str, rule: Retention, cut: CutOff) -> Archive | None:
    """Where rows are copied before they go; None where they are not."""
    if rule.archive is None:
        return None

    def through(run: str) -> bool:
        found = workspace.ledger.retention.find(run)
        return found is not None and found.done is not None

    folder = folder_of(workspace, dataset)
    assert folder is not None  # noqa: S101 - the rule names it
    return Archive(folder, through, rule.archive.expires_after, cut.today)


def _check_apart(folder: Path, source: Path) -> None:
    """Check that what is archived is not read as the source."""
    one, other = folder.resolve(), source.resolve()
    if one.is_relative_to(other) or other.is_relative_to(one):
        raise RetentionError(
            "the archive lies in the source, or the source in it",
            where=str(folder),
            fix="name another folder under `archive: {to:`",
        )
