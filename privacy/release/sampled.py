"""Looks at a policy by a sample: rows are treated in memory, and their risk is held against the gate's bounds.

    sample ──treat, anonymize──► rows as they would leave ──assess──► figures ──decide──► allow, approval, deny

Nothing is written, and nothing but the sample and the policy's files is read: no ledger, no key ring. Keys are made of
a public text: who is found does not depend on them, and nothing that is made with them leaves this process.

What a sample cannot tell is not decided on: what is left of privacy budgets, whether expectations hold, and how figures
compare with the release before. In a sample people look more unlike than in the whole table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from airflow_veil.privacy.gate.decide import Decision, Evidence, Expectations, decide
from airflow_veil.privacy.gate.figures import figures_of, output_digest
from airflow_veil.privacy.keys.derive import hkdf, info_of
from airflow_veil.privacy.plan.bind import bind
from airflow_veil.privacy.policy.gate import Gate
from airflow_veil.privacy.policy.load import LoadedPolicy
from airflow_veil.privacy.release.assess import known_in, measured
from airflow_veil.privacy.release.trial import treated
from airflow_veil.privacy.storage.base import Source
from airflow_veil.privacy.storage.spread import SpreadSource

_VERSION = 1
_PUBLIC = b"airflow-veil: the key of samples, which protects nothing"
_UNKNOWN = "budget_max"
"""The figure that no sample has."""


class SampleKeys:
    """Keys that everybody knows: for rows that never leave, the same from run to run."""

    @property
    def current(self) -> int:
        """The only version."""
        return _VERSION

    def subkey(self, purpose: str, domain: str, *, version: int | None = None, length: int = 32) -> bytes:
        """The key of one purpose and domain; see `KeyRing.subkey`."""
        parts = (purpose.encode(), domain.encode(), bytes([version or _VERSION]), length.to_bytes(4, "big"))
        return hkdf(_PUBLIC, info=info_of(*parts), length=length)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampled:
    """What a sample tells of a policy.

    Attributes:
        rows_in: Rows of the sample.
        rows_out: Rows that would leave.
        figures: Figures by the words of the gate; None where one does not apply.
        decision: What the gate would say; None where the policy has none.
        rule: The bounds that the decision was made by, without those that no sample can tell.
        not_looked_at: Bounds of the policy that no sample can tell.
    """

    rows_in: int
    rows_out: int
    figures: dict[str, Any]
    decision: Decision | None
    rule: Gate | None
    not_looked_at: tuple[str, ...]


def sampled(loaded: LoadedPolicy, dataset: str, source: Source, *, rows: int | None = None) -> Sampled:
    """Apply a policy to a sample of a data set, in memory, and measure what would leave.

    Args:
        loaded: A policy that checks.
        dataset: The data set.
        source: The sample.
        rows: So many rows from all over it; all if not said.

    Raises:
        SchemaError: The sample does not fit the policy.
        TransformError: A column cannot be treated, or no recoding holds what `anonymize` asks.
        StorageError: The sample cannot be read.
    """
    keys = SampleKeys()
    plan = bind(loaded, dataset, source.schema(), key_version=keys.current)
    tried = treated(loaded, plan, source if rows is None else SpreadSource(source, rows), keys)
    known = known_in(loaded.policy.datasets[dataset], tried.release.column_names)
    risk = measured(tried.release, known) if known.quasi_identifiers and tried.release.num_rows else None
    found: dict[str, Any] = {
        "output": {"rows": tried.release.num_rows},
        "counts_fused": {"rows_in": tried.rows_in},
        "risk": risk.as_dict() if risk else None,
    }
    found["risk_of"] = output_digest(found)
    figures = figures_of(found)
    rule, left_out = _told_by_samples(loaded)
    return Sampled(
        rows_in=tried.rows_in,
        rows_out=tried.release.num_rows,
        figures=figures,
        decision=decide(rule, Evidence(figures=figures, expectations=Expectations.HELD)) if rule else None,
        rule=rule,
        not_looked_at=left_out,
    )


def _told_by_samples(loaded: LoadedPolicy) -> tuple[Gate | None, tuple[str, ...]]:
    """The gate without the bounds that no sample can tell, and these."""
    gate = loaded.policy.release.gate if loaded.policy.release else None
    if gate is None:
        return None, ()
    parts = {part: getattr(gate, part) for part in ("deny", "approve", "jump")}
    left_out = [f"{part}.{_UNKNOWN}" for part, bounds in parts.items() if _UNKNOWN in bounds.of()]
    left_out += [f"jump.{word}" for word in parts["jump"].of() if word != _UNKNOWN]
    kept = {part: bounds.model_copy(update={_UNKNOWN: None}) for part, bounds in parts.items()}
    kept["jump"] = type(gate.jump)()
    return gate.model_copy(update=kept), tuple(left_out)
