"""Whether a model may be shared: a pure function of the policy's bounds and of what attacks reached.

Of several attacks the best one counts, by the upper end of its interval: a model passes where it is known to be safe,
not where too few people were asked. What was not measured and has a bound is denied. Codes are as those of the gate.

| code | what it says |
|---|---|
| `missing.<figure>` | a bound is on it, and it was not measured |
| `deny.<figure>` | it is beyond the bound |
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from math import isfinite
from typing import Any

from airflow_veil.privacy.model_test.report import Attacked
from airflow_veil.privacy.policy.model_release import ModelBounds


class Outcome(StrEnum):
    """What is decided."""

    PASSED = "passed"
    DENIED = "denied"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What was decided.

    Attributes:
        outcome: Whether the model may be shared.
        reasons: Codes that say why not; none where it may.
        figures: The figures that bounds were on; None for one that was not measured.
    """

    outcome: Outcome
    reasons: tuple[str, ...]
    figures: dict[str, float | None]

    def as_dict(self) -> dict[str, Any]:
        """The verdict for a machine to read."""
        return {"outcome": self.outcome.value, "reasons": list(self.reasons), "figures": self.figures}


def figures_of(tested: Attacked) -> dict[str, float | None]:
    """The figures by the words of the policy; None for what was not measured.

    A model that cannot be fitted anew has none of membership: the loss alone misses what it is looked for.
    """
    strong = tested.refitted
    attacks = tested.membership if strong else ()
    return {
        "membership_tpr_max": _worst([each.tpr.high if each.tpr else None for each in attacks]),
        "membership_tpr_strict_max": _worst(
            [each.tpr_strict.high if each.tpr_strict else None for each in attacks]
        ),
        "membership_advantage_max": _worst([each.advantage.high for each in attacks]),
        "inference_max": _worst([each.members.high for each in tested.inference]),
        "stored_rows_max": tested.stored_rows,
    }


def judge(bounds: ModelBounds, figures: Mapping[str, float | None], *, sensitive: bool) -> Verdict:
    """Decide on a model.

    Args:
        bounds: What attacks may reach.
        figures: What they reached.
        sensitive: Whether the policy names values that an attacker wants; if not, `inference_max` has nothing to bound.

    Returns:
        The verdict; the same one for the same arguments.
    """
    wanted = {word: bound for word, bound in bounds.of().items() if sensitive or word != "inference_max"}
    reasons = []
    for word, bound in wanted.items():
        figure = figures.get(word)
        if figure is None or not isfinite(figure):
            reasons.append(f"missing.{word}")
        elif figure > bound:
            reasons.append(f"deny.{word}")
    outcome = Outcome.DENIED if reasons else Outcome.PASSED
    return Verdict(
        outcome=outcome, reasons=tuple(reasons), figures={word: figures.get(word) for word in wanted}
    )


def _worst(figures: list[float | None]) -> float | None:
    """The greatest; None where one was not measured, or there is none."""
    known = [each for each in figures if each is not None]
    return max(known) if known and len(known) == len(figures) else None
