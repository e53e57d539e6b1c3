"""The figures that a gate looks at, read off a manifest or its draft.

What is not there, or is no number, is left out of the result, so that `decide` denies it; None stands for what was
looked at and does not apply. An empty release has no risk of this kind, nor has one without quasi-identifiers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from airflow_veil.privacy.ledger.canonical import canonical_json
from airflow_veil.privacy.policy.check_gate import OF_RISK, OF_SENSITIVE, OF_UTILITY

_READ_BY = ("counts_fused", "counts_minimize")
"""Where the step that read the source has its counts."""
_REIDENTIFICATION = {
    "k": "k",
    "prosecutor_max": "highest",
    "average_max": "average_per_record",
    "unique_max": "uniqueness",
}


def figures_of(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The figures of a release, by the words of the policy; of a synthetic one risk and utility do not apply.

    Args:
        manifest: Its manifest, or what there is of it before it is published.
    """
    if "synthetic" in manifest:
        return {**dict.fromkeys(OF_RISK | OF_UTILITY), "kept_rows": None, **_budget(manifest)}
    return {**_risk(manifest), **_utility(manifest), **_budget(manifest)}


def output_digest(manifest: Mapping[str, Any]) -> str | None:
    """SHA-256 over the names, sizes and digests of what is staged, in hex; None where nothing is."""
    output = manifest.get("output")
    return hashlib.sha256(canonical_json(output).encode()).hexdigest() if output else None


def _risk(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Figures of risk, if they are of what is staged now."""
    if "risk" not in manifest or manifest.get("risk_of") != output_digest(manifest):
        return {}
    risk = manifest["risk"]
    if risk is None or _at(risk, "rows") == 0:
        return dict.fromkeys(OF_RISK)
    told = _at(risk, "reidentification")
    found = {word: _at(told, name) for word, name in _REIDENTIFICATION.items()}
    columns = _at(risk, "diversity")
    if columns == []:
        found |= dict.fromkeys(OF_SENSITIVE)
    elif isinstance(columns, list):
        found["distinct_l"] = _worst([_at(column, "distinct_l") for column in columns], least=True)
        found["t_max"] = _worst([_at(column, "t") for column in columns], least=False)
    # What is not there must not look as if it did not apply.
    return {
        word: found[word]
        for word in found
        if found[word] is not None or (columns == [] and word in OF_SENSITIVE)
    }


def _worst(figures: list[Any], *, least: bool) -> Any:
    """The worst of the columns; None where one has no number."""
    if any(isinstance(each, bool) or not isinstance(each, int | float) for each in figures):
        return None
    return min(figures) if least else max(figures)


def _utility(manifest: Mapping[str, Any]) -> dict[str, Any]:
    return {**_kept(manifest), **_measured(manifest)}


def _measured(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Figures of utility, if they are of what is staged now; what was not measured is left out."""
    told = manifest.get("utility")
    if not isinstance(told, Mapping) or manifest.get("utility_of") != output_digest(manifest):
        return {}
    if told.get("rows") == 0 and told.get("released") == 0:
        return dict.fromkeys(OF_UTILITY)
    if not told.get("rows") or not told.get("released"):
        return {}
    columns, pairs, model = told.get("columns") or [], told.get("pairs"), told.get("score")
    found = {
        "distance_max": _most([_distance(each) for each in columns if _at(each, "compared")]),
        "association_max": _most([_change(pair) for pair in pairs]) if pairs is not None else None,
        "loss_max": _most([_at(each, "loss") for each in columns]),
    }
    if isinstance(model, Mapping):
        found["score_drop_max"] = max(0.0, model["original"] - model["released"])
    return {word: figure for word, figure in found.items() if figure is not None}


def _most(figures: list[Any]) -> Any:
    """The greatest; None where there is none, or where one is not known."""
    return _worst(figures, least=False) if figures else None


def _distance(column: Any) -> Any:
    """How far a column is from the source's: by its values, or by how many are gone."""
    nulls, distance = _at(column, "nulls"), _at(column, "distance")
    if distance is None:
        # No value on one side, so all are gone or none was there; otherwise it could not be compared.
        return nulls if _at(column, "by") == "wasserstein" and nulls else None
    return max(nulls, distance)


def _change(pair: Any) -> float:
    """How much the association of a pair changed; what does not vary goes with nothing."""
    return abs(float(_at(pair, "after") or 0.0) - float(_at(pair, "before") or 0.0))


def _kept(manifest: Mapping[str, Any]) -> dict[str, Any]:
    rows = _at(manifest.get("output"), "rows")
    read = next((_at(manifest[name], "rows_in") for name in _READ_BY if name in manifest), None)
    if not isinstance(rows, int) or not isinstance(read, int):
        return {}
    return {"kept_rows": rows / read if read else None}


def _budget(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The budget as it stood when the gate looked: it is put into the draft for that."""
    return {"budget_max": manifest["budget_spent"]} if "budget_spent" in manifest else {}


def _at(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, Mapping) else None
