"""Whether an evaluation is good enough: figures against bounds. No reason means that it is.

A bound on an attack is on the **upper** end of its interval, so that a release is not let through for want of rows: who
tries few people has wide intervals, and is told to try more. Bounds are therefore wider than a release that leaks
nothing reaches with the attempts that are the default. What has a bound and was not measured is a reason as well.

A `weak` attack is none: it says that the attacker did no better than guessing, which is what a good release brings
about; whether another attacker would is what the other attacks are for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from airflow_veil.privacy.evaluation.evaluate import Evaluation
from airflow_veil.privacy.evaluation.fairness import Gaps
from airflow_veil.privacy.evaluation.membership import Membership

MEMBERSHIP_FPR = 0.01
"""The rate of wrong accusations at which true positives have a bound."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What an evaluation has to keep to; None for no bound.

    Attributes:
        singling_out_max: The most risk of being singled out, of either kind of predicates: the interval's upper end.
        linkability_max: The most risk of being linked: the upper end.
        inference_max: The most risk of any secret: the upper end. Wider, since of a secret of two values the control
            is right so often that little is left to be told, and intervals are wide.
        membership_tpr_max: The most members found at 1 % wrong accusations, by the better attack: the upper end.
            Guessing finds 1 %, differential privacy with epsilon 1 bounds it by 2.7 %.
        match_excess_max: The most that the training rows match more often than the hold-out, of the set of columns
            that tells most and of whole rows: the upper end.
        quality_min: The least quality of SDMetrics: the figure.
        diagnostic_min: The least diagnostic of SDMetrics: the figure.
        detection_max: The most area under the curve of telling synthetic rows apart: the upper end.
        usefulness_loss_max: The most that a model loses that learned from synthetic rows: the figure.
        usefulness_min: The least share of what a model of real rows tells beyond a constant that one of synthetic rows
            tells: the figure; there is none where the model of real rows tells nothing beyond it.
        fairness_max: The largest of both differences, of that model: the figure.
        fairness_gap_max: By how much they may be larger than those of the model of real rows: the figures.
    """

    singling_out_max: float | None = 0.1
    linkability_max: float | None = 0.1
    inference_max: float | None = 0.2
    membership_tpr_max: float | None = 0.05
    match_excess_max: float | None = 0.1
    quality_min: float | None = 0.7
    diagnostic_min: float | None = 0.9
    detection_max: float | None = None
    usefulness_loss_max: float | None = None
    usefulness_min: float | None = None
    fairness_max: float | None = None
    fairness_gap_max: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why an evaluation is not good enough.

    Attributes:
        code: The figure, and `missing.` before it if it was not measured.
        of: Which of several: the attack, and the column if there is one.
        figure: What it is compared by; None if it was not measured.
        bound: What it has to keep to.
    """

    code: str
    of: str
    figure: float | None
    bound: float

    def as_dict(self) -> dict[str, Any]:
        """The reason for a machine to read."""
        return asdict(self)


def judge(evaluation: Evaluation, bounds: Bounds | None = None) -> tuple[Reason, ...]:
    """Compare an evaluation with bounds.

    Args:
        evaluation: What was found out.
        bounds: What it has to keep to; the defaults if not said.

    Returns:
        Why it is not good enough, in the order of the bounds; nothing if it is.
    """
    bounds = bounds or Bounds()
    found = _figures(evaluation)
    reasons: list[Reason] = []
    for word in Bounds.__slots__:
        bound = getattr(bounds, word)
        if bound is None:
            continue
        name, most = word.rsplit("_", 1)
        reasons += _reasons(name, bound, found[name], at_most=most == "max")
    return tuple(reasons)


def _reasons(
    name: str, bound: float, figures: Iterable[tuple[str, float | None]], *, at_most: bool
) -> Iterator[Reason]:
    several = list(figures) or [("", None)]
    for of, figure in several:
        if figure is None:
            yield Reason(code=f"missing.{name}", of=of, figure=None, bound=bound)
        # Written so that what is no number does not pass.
        elif not (figure <= bound if at_most else figure >= bound):
            yield Reason(code=name, of=of, figure=figure, bound=bound)


def _figures(evaluation: Evaluation) -> dict[str, list[tuple[str, float | None]]]:
    """What each bound is on, by its name without `_max` or `_min`."""
    linked, useful, fair = evaluation.linkability, evaluation.usefulness, evaluation.fairness
    worst, rows = evaluation.matches.worst, evaluation.matches.rows
    likeness = evaluation.fidelity
    return {
        "singling_out": [(each.name, each.high) for each in evaluation.singling_out],
        "linkability": [(linked.name, linked.high)] if linked else [],
        "inference": [(each.column, each.high) for each in evaluation.inference],
        "membership_tpr": list(_members(evaluation.membership)),
        "match_excess": [(", ".join(worst.columns), worst.high), ("whole rows", rows.high)],
        "quality": [("", likeness.quality)],
        "diagnostic": [("", likeness.diagnostic)],
        "detection": [("", likeness.detection.high)],
        "usefulness_loss": [(useful.target, useful.loss)] if useful else [],
        "usefulness": [(useful.target, useful.share)] if useful else [],
        "fairness": list(_differences(fair.synthetic)) if fair else [],
        "fairness_gap": list(_differences(fair.added)) if fair else [],
    }


def _differences(gaps: Gaps) -> Iterator[tuple[str, float | None]]:
    yield "demographic parity", gaps.demographic_parity
    yield "equalized odds", gaps.equalized_odds


def _members(found: Membership | None) -> Iterator[tuple[str, float | None]]:
    for attack in found.attacks if found else ():
        for each in attack.at:
            if each.fpr == MEMBERSHIP_FPR:
                yield attack.name, each.high
