"""Figures and reasons in words, for people who approve a release or read its card."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_veil.privacy.gate.decide import Decision
    from airflow_veil.privacy.policy.gate import Gate
    from airflow_veil.privacy.release.reference import Reference

WORDS = {
    "k": "Size of the smallest group of look-alikes",
    "distinct_l": "Fewest different sensitive values in such a group",
    "prosecutor_max": "Highest risk that a known person is found again",
    "average_max": "Average risk that a person is found again",
    "unique_max": "Share of people who are alone with what others know of them",
    "t_max": "Largest distance of a group's sensitive values from everybody's (t)",
    "kept_rows": "Share of the source's rows that are kept",
    "distance_max": "Largest distance of a column's values from the source's",
    "association_max": "Largest change of how two columns go together",
    "loss_max": "Largest share of its detail that a column lost",
    "score_drop_max": "Share of rows that a model tells right no more",
    "budget_max": "Share of the privacy budget that is spent",
}
"""What each figure is."""
SHORT = {
    "k": "k",
    "distinct_l": "l",
    "prosecutor_max": "Highest risk",
    "average_max": "Average risk",
    "unique_max": "Alone",
    "t_max": "t",
    "kept_rows": "Kept rows",
    "distance_max": "Distance",
    "association_max": "Associations",
    "loss_max": "Loss",
    "score_drop_max": "Score drop",
    "budget_max": "Budget spent",
}
"""The same, as the heading of a column."""
WHOLE = ("k", "distinct_l")
"""Figures that are whole numbers; all others are shares, from 0 to 1, or as t is."""
_PLAIN = ("t_max", "distance_max", "association_max")
_PARTS = {
    "missing": "it was not measured",
    "unreadable": "it is no number",
    "deny": "it is beyond what may ever go out",
    "approve": "it is beyond what goes out without approval",
    "jump": "it is much worse than in the release before",
    "jump_unknown": "the release before has no such figure to compare with",
}
_OTHERS = {
    "expectations.missing": "The release was not validated.",
    "expectations.failed": "The release does not hold its expectations.",
}


def figure(word: str, value: Any) -> str:
    """A figure as people write it: `5`, `20 %`."""
    if value is None:
        return "does not apply"
    if word in WHOLE:
        return f"{value:,}"
    if word in _PLAIN:
        return f"{value:.3g}"
    return "below 0.01 %" if 0 < value < 0.0001 else f"{100 * value:.3g} %"


def reason(code: str) -> str:
    """What a code says, as a sentence."""
    if code in _OTHERS:
        return _OTHERS[code]
    part, _, word = code.partition(".")
    return f"{WORDS.get(word, word)}: {_PARTS.get(part, part)}."


def asking(decision: Decision, rule: Gate, *, reference: Reference, person: int) -> str:
    """What somebody is shown who has to approve, as Markdown."""
    release = f"Release `{reference.release_id}` of **{reference.dataset}** ({reference.policy})"
    lines = [
        f"{release}, {reference.rows_out:,} rows, waits for person {person} of {rule.people}.",
        "",
        *(f"- {reason(code)} (`{code}`)" for code in decision.reasons),
        "",
        "| figure | of this release |",
        "|---|---|",
        *(f"| {WORDS[word]} | {figure(word, value)} |" for word, value in decision.figures.items()),
        "",
        f"An approval holds for {rule.valid}. Write why; it is kept as evidence, so it must not hold personal data.",
    ]
    return "\n".join(lines)
