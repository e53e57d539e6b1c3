"""Fits the model of a synthetic release, once for its specification, the version of the data and the interval.

    note ──► read, without erased people ──► fit ──► seal ──► keep                             without a guarantee
    reserve ──► note ──► read ──► say what is drawn ──► fit, with noise ──► seal ──► keep      differentially private

A kill leaves a model that is noted and never kept, or a sealed file that nobody knows, which is swept. Where noise is
drawn it leaves money spent besides, never noise that nobody paid for. From the keeping on there is one model: whoever
comes again draws rows from that one.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_veil.privacy.errors import StorageError, VeilError
from airflow_veil.privacy.ledger import budget as ledger
from airflow_veil.privacy.ledger.canonical import read_canonical
from airflow_veil.privacy.ledger.lease import held
from airflow_veil.privacy.ledger.models import ModelRecord, ModelState
from airflow_veil.privacy.ledger.record import utc_now
from airflow_veil.privacy.lineage.model import LineageRecord
from airflow_veil.privacy.lineage.synthetic import of_fit
from airflow_veil.privacy.period import after
from airflow_veil.privacy.release.synthetic_names import digest_of, names_of, synthesis_of
from airflow_veil.privacy.release.synthetic_price import Price
from airflow_veil.privacy.release.synthetic_reference import Made, SyntheticReference
from airflow_veil.privacy.release.synthetic_sources import (
    learned_batches,
    sources_of,
    training_of,
    version_of,
)
from airflow_veil.privacy.synthetic.libraries import has_libraries
from airflow_veil.privacy.synthetic.methods import synthesizer_for
from airflow_veil.privacy.synthetic.model_store import ModelStore
from airflow_veil.privacy.synthetic.specification import Specification, compiled

if TYPE_CHECKING:
    from airflow_veil.privacy.release.interval import Interval
    from airflow_veil.privacy.release.workspace import Workspace
    from airflow_veil.privacy.storage.base import Source
    from airflow_veil.privacy.synthetic.marginals import Marginals
    from airflow_veil.privacy.synthetic.private_model import PrivateModel
    from airflow_veil.privacy.synthetic.synthesizer import Model

Progress = Callable[[str], None]

PATIENCE = 3_600.0
"""Seconds to wait for another task that draws the noise of the same model."""


def fit(workspace: Workspace, name: str, interval: Interval, *, actor: str, progress: Progress) -> Made:
    """Fit the model of a synthesis; whoever asks again for the same interval gets the same model.

    Args:
        workspace: The policy and its systems.
        name: The synthesis.
        interval: The interval that the release stands for.
        actor: Who fits.
        progress: Told how far it is: names and counts.

    Raises:
        SyntheticError: There is no such synthesis, the rows do not fit it, or the model has ended while it was fitted.
        ReleaseError: Its releases would have a name that something else has.
        BudgetExhaustedError: The budget does not pay for it; no data was read.
        BudgetError: The budget is not what the ledger knows, or cannot pay this kind of loss.
        AnswerBusyError: Another task fits it, and did not finish in time.
        StorageError: A source cannot be read, changed meanwhile, or the model cannot be kept.
        KeyRingError: The key ring cannot be opened.
        LedgerError: The ledger cannot be used.
    """
    specification = compiled(workspace.loaded.policy, name)
    names_of(workspace.loaded, name)
    has_libraries(specification, evaluated=synthesis_of(workspace, name).evaluate is not None)
    sources = sources_of(workspace, specification)
    asked = _Asked(workspace, specification, sources, version_of(sources), interval, actor, progress)
    record = _private(asked) if specification.method.private else _free(asked)
    identities = {each: source.identity for each, source in sources.items()}
    return Made(
        reference=SyntheticReference(
            policy=workspace.loaded.policy.name,
            dataset=name,
            interval=interval.key,
            specification=digest_of(workspace, specification),
            model_id=record.model_id,
            step="fit",
        ),
        lineage=(of_fit(workspace.loaded, specification, identities, version=record.model_id),),
        summary=f"Model {record.model_id} of {name} is {record.state}, by {specification.word}",
    )


def planned_fit(workspace: Workspace, name: str) -> LineageRecord:
    """The lineage of a fit before it runs."""
    specification = compiled(workspace.loaded.policy, name)
    identities = {each: source.identity for each, source in sources_of(workspace, specification).items()}
    return of_fit(workspace.loaded, specification, identities)


@dataclass(frozen=True)
class _Asked:
    """What is fitted, and to what."""

    workspace: Workspace
    specification: Specification
    sources: Mapping[str, Source]
    version: str
    interval: Interval
    actor: str
    progress: Progress

    @property
    def record(self) -> ModelRecord:
        """A new model, before a row is read."""
        synthesis = synthesis_of(self.workspace, self.specification.name)
        now = utc_now()
        datasets = self.workspace.loaded.policy.datasets
        rules = [rule for name in self.sources if (rule := datasets[name].retention) is not None]
        periods = (synthesis.model_expires_after, *(rule.after for rule in rules))
        return ModelRecord(
            model_id=secrets.token_hex(16),
            policy=self.workspace.loaded.policy.name,
            synthesis=self.specification.name,
            specification=digest_of(self.workspace, self.specification),
            data_version=self.version,
            interval_key=self.interval.key,
            method=self.specification.word,
            learned_from={
                name: {"namespace": source.identity.namespace, "name": source.identity.name}
                for name, source in self.sources.items()
            },
            actor=self.actor,
            begun_at=now,
            expires_at=min(after(now, period) for period in periods),
        )

    @property
    def store(self) -> ModelStore:
        """Where models are kept."""
        return ModelStore(self.workspace.settings.models)


def _free(asked: _Asked) -> ModelRecord:
    """The model that is there; fitted, if there is none yet."""
    record = asked.workspace.ledger.models.begin(asked.record)
    if record.state is ModelState.FITTED:
        return record
    try:
        return _kept(asked, record, _learned(asked), None)
    except BaseException as error:
        _give_up(asked, record, error)
        raise


def _private(asked: _Asked) -> ModelRecord:
    """The model that is paid for; fitted, if there is none yet."""
    price = Price(asked.workspace, asked.specification)
    budgets, models = asked.workspace.ledger.budgets, asked.workspace.ledger.models
    unit = price.unit
    budgets.open(price.account, actor=asked.actor)
    request = ledger.Request(
        budget=price.budget,
        query_digest=digest_of(asked.workspace, asked.specification),
        data_version=asked.version,
        interval_key=asked.interval.key,
        loss=price.loss,
        policy=asked.workspace.loaded.policy.name,
        dataset=asked.specification.only.name,
        query=asked.specification.name,
    )
    claim = budgets.reserve_waiting(request, actor=asked.actor, patience_seconds=PATIENCE)
    if isinstance(claim, ledger.StoredAnswer):
        return models.find(read_canonical(claim.answer.decode())["model"])
    with held(budgets, claim):
        return _drawn(asked, price, claim, unit)


def _drawn(asked: _Asked, price: Price, claim: ledger.Claim, unit: str | None) -> ModelRecord:
    """Count, draw and keep. Money is given back where something fails before anything is drawn."""
    budgets = asked.workspace.ledger.budgets
    record = asked.record
    try:
        record = asked.workspace.ledger.models.begin(record)
        asked.progress("Counting rows")
        batches = learned_batches(asked.workspace, asked.specification, asked.sources, unit)
        exact = price.synthesizer.count(batches, unit=unit)
        _unchanged(asked)
    except BaseException as error:
        with suppress(VeilError):
            budgets.void(claim, f"nothing was drawn: {type(error).__name__}")
        _give_up(asked, record, error)
        raise
    try:
        claim = budgets.drawing(claim, price.events(asked.interval))
        model = draw(price, exact, asked.progress)
        return _kept(asked, record, model, claim)
    except BaseException as error:
        _give_up(asked, record, error)
        raise


def draw(price: Price, exact: Marginals, progress: Progress) -> PrivateModel:
    """Draw the noise; the ledger has been told."""
    progress(f"Drawing by {price.specification.word}")
    return price.synthesizer.draw(exact, progress=progress)


def _learned(asked: _Asked) -> Model:
    """A model without a guarantee."""
    specification = asked.specification
    tables: Mapping[str, Any] = {}
    if asked.sources:
        asked.progress("Reading training rows")
        tables = training_of(asked.workspace, specification, asked.sources).fit
        _unchanged(asked)
    asked.progress(f"Fitting {specification.word}")
    return synthesizer_for(specification).fit(tables, seed=specification.seed, progress=asked.progress)


def _unchanged(asked: _Asked) -> None:
    """What was read is the version that the model is noted with. It is opened anew: open sources know their files."""
    if version_of(sources_of(asked.workspace, asked.specification)) != asked.version:
        raise StorageError(
            "The source changed while it was read",
            where=asked.specification.name,
            fix="run again when nobody writes it; nothing was learned, and nothing is charged",
        )


def _kept(
    asked: _Asked, record: ModelRecord, model: Model | PrivateModel, claim: ledger.Claim | None
) -> ModelRecord:
    """Seal and keep."""
    kept = asked.store.put(record.model_id, model.to_bytes(), asked.workspace.keys)
    there = asked.workspace.ledger.models.keep(
        record.model_id, digest=kept.digest, size=kept.size, key_version=kept.key_version, claim=claim
    )
    if there.model_id != record.model_id:
        asked.store.remove(record.model_id)
    return there


def _give_up(asked: _Asked, record: ModelRecord, error: BaseException) -> None:
    """Say that a model is not going to be kept, and remove what there is of it; the error is the one to be told."""
    with suppress(VeilError):
        why = f"it was not fitted: {type(error).__name__}"
        asked.workspace.ledger.models.end(record.model_id, ModelState.DESTROYED, why, actor=asked.actor)
        asked.store.remove(record.model_id)
