"""Releases the answer to a query: paid for before the data is read, drawn once, published like any release.

    reserve ──► read and bound ──► say what is going to be drawn ──► draw ──► store ──► publish

A kill between two steps leaves money spent, or nothing drawn; never noise that nobody paid for. From the store on there
is one answer for the query, the version of the data and the interval: whoever comes again publishes that one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from airflow_veil.privacy.dp import answer as answers
from airflow_veil.privacy.dp.account import account
from airflow_veil.privacy.dp.loss import fits
from airflow_veil.privacy.dp.measurement import Measurement, loss_of, measurements
from airflow_veil.privacy.dp.mechanism import library
from airflow_veil.privacy.dp.noise import draw
from airflow_veil.privacy.dp.query import Query, compile_query
from airflow_veil.privacy.dp.record import budget_of, record
from airflow_veil.privacy.dp.totals import totals
from airflow_veil.privacy.erasure.suppressing import suppressing
from airflow_veil.privacy.erasure.suppression import suppression_of
from airflow_veil.privacy.errors import StorageError, VeilError
from airflow_veil.privacy.ledger import budget as ledger
from airflow_veil.privacy.ledger.canonical import canonical_json
from airflow_veil.privacy.ledger.lease import held
from airflow_veil.privacy.ledger.record import ReleaseRecord, ReleaseState
from airflow_veil.privacy.lineage.answer import of_answer
from airflow_veil.privacy.lineage.model import LineageRecord
from airflow_veil.privacy.release import manifest, stored
from airflow_veil.privacy.release.done import Done
from airflow_veil.privacy.release.interval import Interval
from airflow_veil.privacy.release.leaving import leaving
from airflow_veil.privacy.release.publish import commit
from airflow_veil.privacy.release.reference import Reference
from airflow_veil.privacy.release.scrub import seconds_of
from airflow_veil.privacy.release.workspace import Workspace

if TYPE_CHECKING:
    from airflow_veil.privacy.storage.base import Source, Written

PATIENCE = 600.0
"""Seconds to wait for another task that is at the same answer."""


def release(
    workspace: Workspace, name: str, interval: Interval, *, actor: str, again: str = "", reason: str = ""
) -> Done:
    """Answer a query and publish the answer; whoever asks again for the same interval gets the same answer.

    Args:
        workspace: The policy and its systems.
        name: The query.
        interval: The interval that the answer stands for.
        actor: Who asks.
        again: A name for asking the same question anew, on purpose; it is charged anew, once a name.
        reason: Why it is asked anew, for the evidence; no personal data.

    Raises:
        SchemaError: There is no such query, or the source does not fit it.
        BudgetExhaustedError: The budget does not pay for it; no data was read.
        BudgetError: The budget is not what the ledger knows, or cannot pay this kind of loss.
        AnswerBusyError: Another task is at it, and did not finish in time.
        StorageError: The source or the destination cannot be used; nothing is published.
        LedgerError: The ledger cannot be used.
    """
    asked = _Asked(workspace, compile_query(workspace.loaded, name), interval)
    answer = _answer(asked, actor=actor, again=again, reason=reason)
    return _publish(asked, answer, actor=actor)


@dataclass(frozen=True)
class _Asked:
    """A query and the interval it is answered for, with what all steps need: planned once, opened once."""

    workspace: Workspace
    query: Query
    interval: Interval

    @cached_property
    def planned(self) -> tuple[Measurement, ...]:
        """Its measurements."""
        return measurements(self.query)

    @cached_property
    def sources(self) -> dict[str, Source]:
        """The data set that is asked, and those that its references lead through."""
        return _sources(self.workspace, self.query)


def request_of(
    workspace: Workspace, query: Query, interval: Interval, *, again: str = "", reason: str = ""
) -> ledger.Request:
    """What is asked of the ledger: which answer, and its price. Of the sources sizes and times are read, no row."""
    return _request(_Asked(workspace, query, interval), again=again, reason=reason)


def _request(asked: _Asked, *, again: str, reason: str) -> ledger.Request:
    query = asked.query
    return ledger.Request(
        budget=query.budget,
        query_digest=query.digest,
        data_version=_data_version(asked.sources),
        interval_key=asked.interval.key,
        loss=loss_of(asked.planned),
        policy=query.policy,
        dataset=query.dataset,
        query=query.name,
        again=again,
        reason=reason,
    )


def account_of(workspace: Workspace, query: Query) -> ledger.Account:
    """The account that pays, as the policy declares it."""
    return account(query.budget, budget_of(workspace.loaded, query))


def _answer(asked: _Asked, *, actor: str, again: str, reason: str) -> ledger.StoredAnswer:
    """The stored answer; drawn, if there is none yet."""
    budgets = asked.workspace.ledger.budgets
    budgets.open(account_of(asked.workspace, asked.query), actor=actor)
    request = _request(asked, again=again, reason=reason)
    claim = budgets.reserve_waiting(request, actor=actor, patience_seconds=PATIENCE)
    if isinstance(claim, ledger.StoredAnswer):
        return claim
    with held(budgets, claim):
        return _draw(asked, claim)


def _draw(asked: _Asked, claim: ledger.Claim) -> ledger.StoredAnswer:
    """Read, draw and store. Money is given back where something fails before anything is drawn."""
    workspace, query, planned = asked.workspace, asked.query, asked.planned
    budgets = workspace.ledger.budgets
    try:
        sources = _that_count(workspace, asked.sources)
        exact = totals(query, sources[query.dataset], joined=sources)
        _unchanged(workspace, query, claim)
    except BaseException as error:
        with suppress(VeilError):
            budgets.void(claim, f"nothing was drawn: {type(error).__name__}")
        raise
    claim = budgets.drawing(claim, [_event(query, one, asked.interval) for one in planned])
    drawn = draw(query, planned, exact.cells)
    keys = [labels.take(pa.array(drawn.groups)) for labels in exact.keys]
    table = answers.answer(query, planned, drawn, keys)
    return budgets.store(claim, stored.to_bytes(table, record(workspace.loaded, query, planned)))


def _event(query: Query, planned: Measurement, interval: Interval) -> ledger.Measurement:
    return ledger.Measurement(
        statistic=planned.name,
        mechanism=planned.mechanism.value,
        noise=query.noise if planned.aim is None else planned.mechanism.value,
        sensitivity=repr(planned.sensitivity),
        scale=repr(planned.scale),
        loss=planned.loss,
        unit=query.unit,
        dataset=query.dataset,
        library=library(),
        window_start=interval.start,
        window_end=interval.end,
    )


def _publish(asked: _Asked, answer: ledger.StoredAnswer, *, actor: str) -> Done:
    """Publish a stored answer; again, where it was, with the same result."""
    workspace, query, interval = asked.workspace, asked.query, asked.interval
    destination = workspace.destination
    # The charge's random name, and nothing of the data, makes the release's. Two queries that ask the same have one
    # answer, and a release each.
    names = (answer.charge_id, destination.name, query.policy, query.name)
    identity = hashlib.sha256("\0".join(names).encode()).hexdigest()
    begun = workspace.ledger.begin_release(
        ReleaseRecord(
            release_id=f"{interval.key.replace(':', '').replace('+', '_')}-{identity[:12]}",
            policy=query.policy,
            dataset=query.name,
            destination=destination.name,
            run_key=f"{interval.key}/{identity[:12]}",
            policy_digest=workspace.loaded.digest,
            plan_digest=query.digest,
            interval_start=interval.start,
            interval_end=interval.end,
        ),
        actor=actor,
    )
    table, told = stored.from_bytes(answer.answer)
    published = begun.state is not ReleaseState.STAGED
    written = None if published else _stage(workspace, begun, table)
    sources = {name: source.identity for name, source in asked.sources.items()}
    target = destination.identity(query.name)
    made = of_answer(
        workspace.loaded, query, sources, target, table.schema, rows=table.num_rows, written=written
    )
    if written is not None:
        facts = {
            # Another query that asks the same may have drawn it.
            **manifest.answered(
                workspace, query, sources[query.dataset], interval, {**told, "query": query.name}
            ),
            "output": manifest.output_of(written),
            "lineage": made.as_dict(),
        }
        final = manifest.final(replace(begun, manifest=facts), workspace.loaded, now=datetime.now(UTC))
        commit(workspace, begun, final, rows_out=table.num_rows, actor=actor)
        destination.sweep(query.name, seconds_of(workspace))
    made = replace(
        made, output=made.output and replace(made.output, version=begun.release_id, published=True)
    )
    said = "was published before" if published else "is published"
    return Done(
        reference=Reference(
            policy=query.policy,
            dataset=query.name,
            release_id=begun.release_id,
            interval=interval.key,
            plan_digest=query.digest,
            step="publish",
            published=True,
            rows_out=table.num_rows,
        ),
        lineage=made,
        summary=f"Answer {begun.release_id} to {query.name} {said}: {table.num_rows} cells",
    )


def _stage(workspace: Workspace, begun: ReleaseRecord, table: pa.Table) -> Written:
    """Write the cells where no reader looks."""
    with workspace.destination.writer(begun.dataset, begun.release_id, table.schema) as writer:
        for batch in table.to_batches():
            writer.write(batch)
        return writer.close()


def _sources(workspace: Workspace, query: Query) -> dict[str, Source]:
    """The data set that is asked, and those that its references lead through."""
    return {name: workspace.source(name) for name in (query.dataset, *(join.dataset for join in query.joins))}


def _that_count(workspace: Workspace, sources: Mapping[str, Source]) -> dict[str, Source]:
    """The sources with the rows that may leave, and without people who were erased, though upstream sends them again.

    Whether a row counts depends on that row, the policy and the list alone, so what a unit changes stays bounded. How
    many rows were left out is an exact figure of private tables, and told nowhere.
    """
    suppression = suppression_of(workspace)
    return {
        name: leaving(workspace, name, suppressing(workspace, name, source, suppression))
        for name, source in sources.items()
    }


def _data_version(sources: Mapping[str, Source]) -> str:
    """One digest of what identifies the rows. It stays in the ledger: who knows it could test guesses."""
    facts: dict[str, Any] = {name: dict(source.fingerprint()) for name, source in sources.items()}
    return hashlib.sha256(canonical_json(facts).encode()).hexdigest()


def _unchanged(workspace: Workspace, query: Query, claim: ledger.Claim) -> None:
    """What was read is the version that is paid for. It is opened anew: an open source knows the files it had."""
    if _data_version(_sources(workspace, query)) != claim.request.data_version:
        raise StorageError(
            "The source changed while it was read",
            where=query.dataset,
            fix="run again when nobody writes it; nothing was drawn, and the money is given back",
        )


def affordable(workspace: Workspace, name: str, interval: Interval) -> bool:
    """Whether a query can be answered now: its answer is stored, or its budget pays. Nothing is set aside.

    Raises:
        SchemaError: There is no such query.
        BudgetError: The budget is not what the ledger knows.
        LedgerError: The ledger cannot be used.
    """
    query = compile_query(workspace.loaded, name)
    budgets = workspace.ledger.budgets
    budgets.open(account_of(workspace, query), actor="veil")
    request = request_of(workspace, query, interval)
    if budgets.answer(request.answer_id) is not None:
        return True
    statement = budgets.statement(query.budget)
    return fits(statement.account.limits, statement.spent + request.loss)


def planned_answer(workspace: Workspace, name: str) -> LineageRecord:
    """The lineage of an answer before it is drawn."""
    query = compile_query(workspace.loaded, name)
    sources = {each: source.identity for each, source in _sources(workspace, query).items()}
    schema = answers.schema_of(query, [pa.string()] * len(query.axes))
    return of_answer(workspace.loaded, query, sources, workspace.destination.identity(name), schema)
