"""One difference between two plans."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_veil.privacy.plan.strength import Judged, Strength

Place = tuple[str, ...]
"""A place in the policy: keys from the root."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """One difference between two plans.

    Attributes:
        rule: A stable name of what changed.
        strength: Whether it shows more of people than before.
        place: The place in the policy, or of what stood there.
        message: What changed, in plain words.
    """

    rule: str
    strength: Strength
    place: Place
    message: str


def changed(rule: str, place: Place, message: str, strength: Strength | Judged = Strength.CHANGED) -> Drift:
    """A difference; why it is weaker or stricter follows the message."""
    judged = strength if isinstance(strength, Judged) else Judged(strength)
    return Drift(
        rule=rule,
        strength=judged.strength,
        place=place,
        message=f"{message}: {judged.why}" if judged.why else message,
    )
