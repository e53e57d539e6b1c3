"""The decision on a release: a pure function of the policy's rule and of what was found out.

It allows, denies, or asks for approval, each with codes that say why. What is missing or cannot be read denies. A
figure that gets worse never makes the outcome better: bounds are compared one by one, and the worst answer counts.

| code | outcome | what it says |
|---|---|---|
| `missing.<figure>`, `unreadable.<figure>` | deny | a bound is on it, and there is no such number |
| `expectations.missing`, `expectations.failed` | deny | the release was not validated, or does not hold |
| `deny.<figure>` | deny | it is beyond the bound under `deny` |
| `approve.<figure>` | approval | it is beyond the bound under `approve` |
| `jump.<figure>` | approval | it is worse than in the release before, by more than the bound |
| `jump_unknown.<figure>` | approval | the release before has no such number to compare with |
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeGuard

from airflow_veil.privacy.gate.trend import worse_by
from airflow_veil.privacy.policy.check_gate import AT_LEAST
from airflow_veil.privacy.policy.gate import Gate

Figures = Mapping[str, Any]
"""Figures by the words of the policy; None where one does not apply, as risk where no quasi-identifier leaves."""


class Outcome(StrEnum):
    """What is decided, from good to bad."""

    ALLOW = "allow"
    APPROVAL = "approval"
    DENY = "deny"


class Expectations(StrEnum):
    """What became of the expectations."""

    HELD = "held"
    FAILED = "failed"
    MISSING = "missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What was found out of a release.

    Attributes:
        figures: Its figures of risk, utility and budget.
        expectations: Whether its expectations hold; a release that was not validated has none that do.
        before: The figures of the release before; None where this is the first one.
    """

    figures: Figures
    expectations: Expectations
    before: Figures | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What was decided.

    Attributes:
        outcome: Whether the release goes out, does not, or is waited for.
        reasons: Codes that say why, those that deny first; none where it is allowed.
        figures: The figures that bounds were on, as far as they are numbers.
    """

    outcome: Outcome
    reasons: tuple[str, ...]
    figures: dict[str, float | None]

    def as_dict(self) -> dict[str, Any]:
        """The decision for a machine to read."""
        return {"outcome": self.outcome.value, "reasons": list(self.reasons), "figures": self.figures}


def decide(rule: Gate, evidence: Evidence) -> Decision:
    """Decide on a release.

    Args:
        rule: The policy's rule.
        evidence: What was found out.

    Returns:
        The decision; the same one for the same arguments.
    """
    denied = [*_not_validated(evidence), *_not_there(rule, evidence)]
    denied += _beyond("deny", rule.deny.of(), evidence.figures)
    asked = [*_beyond("approve", rule.approve.of(), evidence.figures), *_jumps(rule, evidence)]
    outcome = Outcome.DENY if denied else Outcome.APPROVAL if asked else Outcome.ALLOW
    figures = {word: evidence.figures[word] for word in _bound(rule) if _known(evidence.figures, word)}
    return Decision(outcome=outcome, reasons=(*denied, *asked), figures=figures)


def _bound(rule: Gate) -> tuple[str, ...]:
    """The figures that a bound is on, in the order of the words."""
    words = {**rule.deny.of(), **rule.approve.of(), **rule.jump.of()}
    return tuple(word for word in type(rule.deny).model_fields if word in words)


def _not_validated(evidence: Evidence) -> Iterator[str]:
    if evidence.expectations is not Expectations.HELD:
        yield f"expectations.{Expectations(evidence.expectations).value}"


def _not_there(rule: Gate, evidence: Evidence) -> Iterator[str]:
    for word in _bound(rule):
        if not _known(evidence.figures, word):
            yield f"{'unreadable' if word in evidence.figures else 'missing'}.{word}"


def _beyond(part: str, bounds: Mapping[str, float], figures: Figures) -> Iterator[str]:
    for word, bound in bounds.items():
        figure = figures.get(word)
        if not _is_number(figure):
            continue
        if figure < bound if word in AT_LEAST else figure > bound:
            yield f"{part}.{word}"


def _jumps(rule: Gate, evidence: Evidence) -> Iterator[str]:
    if evidence.before is None:
        return
    for word, bound in rule.jump.of().items():
        now, then = evidence.figures.get(word), evidence.before.get(word)
        if not _is_number(now):
            continue
        if not _is_number(then):
            # Nothing, or what cannot be compared, is not taken for "as before".
            yield f"jump_unknown.{word}"
        elif worse_by(word, now, then) > bound:
            yield f"jump.{word}"


def _known(figures: Figures, word: str) -> bool:
    return word in figures and (figures[word] is None or _is_number(figures[word]))


def _is_number(figure: Any) -> TypeGuard[float]:
    return (
        isinstance(figure, int | float)
        and not isinstance(figure, bool)
        and math.isfinite(figure)
        and figure >= 0
    )
