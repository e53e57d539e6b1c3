"""Looks at synthetic rows before they are published: attacks on them, on rows that the model never saw besides.

Scores are computed on private rows, and tell something of these. They are kept as evidence, and stand neither in XCom
nor on the card, unless the policy says `show_scores`. What the manifest tells without that is what was measured and
that all bounds held: what does not hold is not published.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_veil.privacy.errors import ReleaseError, StorageError, SyntheticError
from airflow_veil.privacy.gate.figures import output_digest
from airflow_veil.privacy.ledger.canonical import canonical_json
from airflow_veil.privacy.ledger.evidence import LARGEST_PAYLOAD, Note
from airflow_veil.privacy.ledger.record import ReleaseRecord
from airflow_veil.privacy.lineage import record as lineage
from airflow_veil.privacy.lineage.model import LineageRecord
from airflow_veil.privacy.policy.models import ColumnClass
from airflow_veil.privacy.release.synthetic_names import same_specification, synthesis_of
from airflow_veil.privacy.release.synthetic_reference import Made, SyntheticReference
from airflow_veil.privacy.release.synthetic_sample import draft
from airflow_veil.privacy.release.synthetic_sources import sources_of, training_of, version_of

if TYPE_CHECKING:
    import pyarrow as pa

    from airflow_veil.privacy.evaluation.evaluate import Evaluation
    from airflow_veil.privacy.evaluation.judge import Reason
    from airflow_veil.privacy.evaluation.membership import Refit
    from airflow_veil.privacy.evaluation.shown import Declared, Shown
    from airflow_veil.privacy.evaluation.tables import Trio
    from airflow_veil.privacy.policy.synthetic import Evaluate, Synthesis, SyntheticBounds
    from airflow_veil.privacy.release.workspace import Workspace
    from airflow_veil.privacy.synthetic.specification import Specification, TableSpecification
    from airflow_veil.privacy.synthetic.training import Training

Progress = Callable[[str], None]

_ALLOW, _DENY = "allow", "deny"
_HEADROOM = 4_096
"""What an entry of evidence holds besides the figures."""


def evaluate(
    workspace: Workspace,
    reference: SyntheticReference,
    *,
    actor: str,
    progress: Progress,
    charts: Path | None = None,
) -> Made:
    """Measure staged synthetic rows against the rows that the model learned from and a hold-out, and judge them.

    Args:
        workspace: The policy and its systems.
        reference: What the task that draws handed on.
        actor: Who evaluates.
        progress: Told how far it is: names and counts.
        charts: A folder that charts of each table are drawn into, for who answers for the release; they are of private
            rows, and only their owner can read them.

    Returns:
        What is handed on, without a score.

    Raises:
        SyntheticError: A bound does not hold, or cannot be measured; nothing is published.
        ReleaseError: The policy changed, or the rows are not staged.
        StorageError: The source changed since the model was fitted, so what it learned from is not there any more.
        SchemaError: There are too few rows to tell anything.
        LedgerError: The ledger cannot be used.
    """
    from airflow_veil.privacy.evaluation.shown import shown

    specification = same_specification(workspace, reference)
    synthesis = synthesis_of(workspace, reference.dataset)
    done = replace(reference, step="evaluate")
    if reference.published:
        return Made(reference=done, summary=f"The release of {reference.dataset} was published before")
    subject = f"{reference.policy}/{reference.dataset}/{reference.model_id}"
    if not _wanted(synthesis):
        workspace.ledger.append_evidence(
            "synthetic.evaluated", subject, {"outcome": "not asked for"}, actor=actor
        )
        return Made(reference=done, summary="The policy asks for no evaluation")
    rules = synthesis.evaluate
    assert rules is not None  # noqa: S101 - it is wanted
    training = _training(workspace, specification, reference)
    denied: list[str] = []
    for table in specification.tables:
        if not specification.tables[table].learned:
            continue
        progress(f"Evaluating {table}")
        release = workspace.ledger.release(reference.releases[table])
        trio = _trio(workspace, specification, training, table, release)
        found = _measured(workspace, specification, synthesis, training, table, trio)
        if charts is not None:
            _draw(charts, table, shown(trio, found))
        bounds = bounds_of(rules, found, alone=len(specification.tables) == 1)
        reasons = _judged(found, bounds)
        told = _told_of(found, reasons, bounds, release)
        if synthesis.show_scores:
            of_policy = declared_of(specification.tables[table])
            told |= {"figures": found.as_dict(), "charts": shown(trio, found, declared=of_policy).as_dict()}
        _note(workspace, release, found, reasons, told, actor=actor)
        denied += [f"{table}: {_told(reason)}" for reason in reasons]
    if denied:
        raise SyntheticError(
            f"the evaluation does not let it out: {'; '.join(denied)}",
            where=reference.dataset,
            expected="what `evaluate.bounds` of the policy says",
            fix="look at `veil synthesizers show`; learn from more rows, or fewer columns, or with a guarantee",
        )
    read = tuple(_reading(workspace, reference, table) for table in specification.tables)
    return Made(reference=done, lineage=read, summary=f"All bounds on {reference.dataset} hold")


def passed(workspace: Workspace, reference: SyntheticReference, table: str, release: ReleaseRecord) -> None:
    """Let through what was evaluated, and is as it was then; also for a DAG that forgot the task.

    Raises:
        ReleaseError: The evaluation that the policy wants is missing, denied it, or is of other rows.
    """
    specification = same_specification(workspace, reference)
    if not _wanted(synthesis_of(workspace, reference.dataset)) or not specification.tables[table].learned:
        return
    draft = release.manifest or {}
    held = draft.get("evaluation")
    if not held or held["outcome"] != _ALLOW or held["of"] != output_digest(draft):
        raise ReleaseError(
            "the evaluation did not let exactly these rows through",
            where=release.where,
            fix="put the task that evaluates before the publication, and clear the run from the one that draws",
        )


def _wanted(synthesis: Synthesis) -> bool:
    """Whether there is something to look at: where no row was read, nothing can be learned of anybody."""
    return synthesis.evaluate is not None and synthesis.method.word != "faker"


def _training(workspace: Workspace, specification: Specification, reference: SyntheticReference) -> Training:
    """What the model learned from, and what it never saw: the same rows as then, or it is no hold-out."""
    sources = sources_of(workspace, specification)
    training = training_of(workspace, specification, sources)
    known = workspace.ledger.models.find(reference.model_id).data_version
    if version_of(sources_of(workspace, specification)) != known:
        raise StorageError(
            "The source changed since the model was fitted, so what it learned from is not there to be compared with",
            where=specification.name,
            fix="clear the run from its first task",
        )
    return training


def _trio(
    workspace: Workspace, specification: Specification, training: Training, table: str, release: ReleaseRecord
) -> Trio:
    """What the model learned from, what it never saw, and what was drawn."""
    from airflow_veil.privacy.evaluation.tables import Trio

    names = [column.name for column in specification.tables[table].learned]
    return Trio(
        train=training.fit[table].select(names),
        holdout=training.holdout[table].select(names),
        synthetic=_staged(workspace, release, names),
    )


def declared_of(table: TableSpecification) -> dict[str, Declared]:
    """What the policy says that the columns hold which are learned; charts for others tell no more than that."""
    from airflow_veil.privacy.evaluation.shown import Declared

    found = {}
    for column in table.learned:
        said = column.declared
        if said.numbers is not None:
            low, high = said.numbers.bounds
            found[column.name] = Declared(bounds=(float(low), float(high)))
        elif said.dates is not None:
            first, last = (datetime(day.year, day.month, day.day, tzinfo=UTC) for day in said.dates.bounds)
            found[column.name] = Declared(bounds=(first.timestamp(), last.timestamp()))
        else:
            found[column.name] = Declared(values=tuple(_spelled(value) for value in column.values))
    return found


def _spelled(value: object) -> str:
    """A value of a category, as Arrow spells it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _draw(folder: Path, table: str, told: Shown) -> None:
    """Draw the charts of a table, as SVG and as PNG.

    Raises:
        StorageError: They cannot be written.
    """
    from airflow_veil.privacy.evaluation import charts
    from airflow_veil.privacy.pages.chart import png, svg

    drawn = {
        "distributions": charts.distributions(told.distributions),
        "associations": charts.associations(told.associations),
        "attacks": charts.attacks(told.attacks, told.confidence),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name, figure in drawn.items():
            for suffix, content in (("svg", svg(figure, in_page=False).encode()), ("png", png(figure))):
                file = folder / f"{table}-{name}.{suffix}"
                file.unlink(missing_ok=True)
                with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
                    out.write(content)
    except OSError as error:
        raise StorageError(
            f"charts cannot be written: {os.strerror(error.errno or 0)}",
            where=str(folder),
            fix="name a folder that can be written",
        ) from None


def _measured(
    workspace: Workspace,
    specification: Specification,
    synthesis: Synthesis,
    training: Training,
    table: str,
    trio: Trio,
) -> Evaluation:
    from airflow_veil.privacy.evaluation.evaluate import evaluate as measure

    rules = synthesis.evaluate
    assert rules is not None  # noqa: S101 - it is wanted
    names = list(trio.columns)
    declared = workspace.loaded.policy.datasets[table].columns
    of_class = {each: [name for name in names if declared[name].column_class is each] for each in ColumnClass}
    knows = _named(rules.knows, table, names) or of_class[ColumnClass.QUASI_IDENTIFIER]
    secrets = _named(rules.secrets, table, names) or of_class[ColumnClass.SENSITIVE]
    target = _named([rules.target] if rules.target else [], table, names)
    protected = _named([rules.protected] if rules.protected else [], table, names)
    return measure(
        trio,
        key_columns=knows,
        secrets=secrets,
        target=target[0] if target else None,
        protected=protected[0] if protected and target else None,
        refit=_refit(specification, rules, training, table),
        shadows=rules.shadows,
        seed=specification.seed,
    )


def _staged(workspace: Workspace, release: ReleaseRecord, names: list[str]) -> pa.Table:
    import pyarrow as pa

    source = workspace.destination.source(release.dataset, release.release_id)
    batches = list(source.batches(names, batch_rows=1 << 16))
    return pa.Table.from_batches(batches, schema=pa.schema([source.schema().field(name) for name in names]))


def _named(wanted: Any, table: str, names: list[str]) -> list[str]:
    """The columns of a table that are meant: by their names, or by table and column."""
    plain = [each.removeprefix(f"{table}.") for each in wanted]
    return [name for name in plain if name in names]


def _refit(specification: Specification, rules: Evaluate, training: Training, table: str) -> Refit | None:
    """Fits shadow models, where a bound is on them; none of a private method, whose noise would have to be paid."""
    if (
        rules.bounds.membership_tpr_max is None
        or specification.method.private
        or len(specification.tables) > 1
    ):
        return None
    import pyarrow as pa

    from airflow_veil.privacy.synthetic.methods import synthesizer_for

    def refit(rows: pa.Table, seed: int) -> pa.Table:
        whole = training.fit[table].schema
        missing = [field for field in whole if field.name not in rows.column_names]
        for field in missing:
            # Keys are numbers of no meaning, so new ones are as good.
            rows = rows.append_column(field, pa.array(range(1, rows.num_rows + 1), field.type))
        model = synthesizer_for(specification).fit(
            {table: rows.select(whole.names)}, seed=seed, progress=lambda _: None
        )
        batches = [batch for _, batch in model.sample(seed=seed, rows=rows.num_rows)]
        names = [name for name in rows.column_names if name not in {field.name for field in missing}]
        return pa.Table.from_batches(batches).select(names)

    return refit


def _judged(found: Evaluation, bounds: SyntheticBounds) -> tuple[Reason, ...]:
    """Why the evaluation does not keep to what applies to the table."""
    from airflow_veil.privacy.evaluation.judge import Bounds, judge

    said = bounds.model_dump()
    # The word of the policy is for its readers, that of the evaluation says what of matches is bounded.
    said["match_excess_max"] = said.pop("matches_max")
    return tuple(judge(found, Bounds(**{**dict.fromkeys(Bounds.__slots__), **said})))


def bounds_of(rules: Evaluate, found: Evaluation, *, alone: bool) -> SyntheticBounds:
    """The policy's bounds that apply to a table.

    What it has no columns for has no bound: nothing to link, no secret. Of tables that are made together, those without
    the `target` have none on models of it. Of a table that is alone the bound stays, and what was not measured denies.
    """
    bounds, columns = rules.bounds, found.asked.columns
    left: set[str] = set()
    if len(columns) < 2:
        left.add("linkability_max")
    if not found.asked.secrets:
        left.add("inference_max")
    elsewhere = {name for name in (rules.target, rules.protected) if name is not None and name not in columns}
    if not alone and rules.target in elsewhere:
        left.add("usefulness_min")
    if not alone and elsewhere:
        left.add("fairness_gap_max")
    return bounds.model_copy(update=dict.fromkeys(left))


def _told(reason: Reason) -> str:
    """What does not hold, in words of the policy, without its figure."""
    return reason.code if reason.of in ("", reason.code) else f"{reason.code} of {reason.of}"


def _told_of(
    found: Evaluation, reasons: tuple[Reason, ...], bounds: SyntheticBounds, release: ReleaseRecord
) -> dict[str, Any]:
    """The judgement, without a score."""
    return {
        "outcome": _DENY if reasons else _ALLOW,
        "of": output_digest(release.manifest or {}),
        "bounds": bounds.model_dump(mode="json", exclude_none=True),
        **found.public(),
    }


def _note(
    workspace: Workspace,
    release: ReleaseRecord,
    found: Evaluation,
    reasons: tuple[Reason, ...],
    told: dict[str, Any],
    *,
    actor: str,
) -> None:
    """Note the judgement in the draft, and all figures in the evidence, before anybody is told of either."""
    payload = {
        "outcome": told["outcome"],
        "of": told["of"],
        "reasons": [reason.as_dict() for reason in reasons],
        "digest": found.digest,
        "figures": dict(_fitting(found.as_dict())),
    }
    kind = "synthetic.denied" if reasons else "synthetic.evaluated"
    draft(workspace, release, {"evaluation": told}, Note(kind=kind, payload=payload, actor=actor))


def _fitting(figures: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """As many groups of figures as an entry of evidence holds; of the others, that they were left out."""
    left = LARGEST_PAYLOAD - _HEADROOM
    for name, value in figures.items():
        size = len(canonical_json(value))
        if size <= left:
            left -= size
            yield name, value
        else:
            yield name, "too large for an entry; the digest is of all figures"


def _reading(workspace: Workspace, reference: SyntheticReference, table: str) -> LineageRecord:
    manifest = workspace.ledger.release(reference.releases[table]).manifest or {}
    made = LineageRecord.from_dict(manifest["lineage"])
    return replace(lineage.of_reading(made), stage="evaluate")
