"""The record of an answer: what was measured, at which loss, under which assumptions, in words and in numbers.

`deployment` has the fields of the public registry of deployments that NIST proposed and OpenDP keeps (Differential
Privacy Deployment Registry, 2025), so that an entry there can be made of it. Nothing in a record comes from the data.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_veil.privacy.dp.measurement import Measurement, loss_of
from airflow_veil.privacy.dp.mechanism import library
from airflow_veil.privacy.dp.query import Query
from airflow_veil.privacy.dp.statistic import Reading, Units
from airflow_veil.privacy.errors import InternalError
from airflow_veil.privacy.policy.differential_privacy import Budget
from airflow_veil.privacy.policy.load import LoadedPolicy

FORMAT = 1
"""The version of the record's form."""


def record(loaded: LoadedPolicy, query: Query, planned: tuple[Measurement, ...]) -> dict[str, Any]:
    """The record of an answer, from the policy and the plan alone."""
    budget = budget_of(loaded, query)
    return {
        "format": FORMAT,
        "query": query.name,
        "query_digest": query.digest,
        "budget": query.budget,
        "loss": loss_of(planned).as_dict(),
        "confidence": query.confidence,
        "library": library(),
        "measurements": [_measurement(measurement) for measurement in planned],
        "words": explain(query, planned, budget),
        "deployment": _deployment(loaded, query, planned, budget),
    }


def budget_of(loaded: LoadedPolicy, query: Query) -> Budget:
    """The budget that pays for a query, as the policy declares it."""
    dp = loaded.policy.differential_privacy
    if dp is None:
        raise InternalError(
            "a query of a policy without the section `differential_privacy`", where=query.name
        )
    return dp.budgets[query.budget]


def explain(query: Query, planned: tuple[Measurement, ...], budget: Budget) -> list[str]:
    """What an answer protects, how, and what that cost, in plain words."""
    return [
        _protects(query),
        *_bounding(query),
        _noise(query, planned),
        _paid(query, planned),
        _composition(budget),
    ]


def _protects(query: Query) -> str:
    if query.by_row:
        return (
            f"Hidden is whether any one row of {query.dataset} is in the table; somebody with several rows is hidden"
            " less, row by row."
        )
    return (
        f"Hidden is whether any one {query.unit} is in the table at all, with all of its rows; tables that differ by"
        " one of them give answers that can hardly be told apart."
    )


def _bounding(query: Query) -> list[str]:
    if query.by_row:
        return []
    within = (
        f" A unit counts in at most {query.reach} groups, drawn by lot anew for each answer, and for at most"
        f" {query.rows_per_group} rows in each; where it has more, each weighs less."
        if query.axes
        else f" A unit counts for at most {query.rows_per_group} rows; where it has more, each weighs less."
    )
    return [
        f"The part of one unit is bounded before anything is measured.{within} Rows without a unit do not count."
    ]


def _noise(query: Query, planned: tuple[Measurement, ...]) -> str:
    law = "discrete Laplace" if query.noise == "laplace" else "discrete Gaussian"
    names = ", ".join(dict.fromkeys(measurement.name for measurement in planned))
    keys = (
        " Keys are told where a noisy number of units passes a threshold; how many did not is not told."
        if query.unknown_keys
        else ""
    )
    return f"Noise of the {law} family is added to whole numbers by {library()}: {names}.{keys}"


def _paid(query: Query, planned: tuple[Measurement, ...]) -> str:
    return (
        f"The answer costs {loss_of(planned)}, set aside from the budget {query.budget} before the data was read, and"
        " is drawn once: whoever asks again for the same interval of the same data gets the same answer."
    )


def _composition(budget: Budget) -> str:
    how = {
        "pure": "The epsilons of all answers add up (basic composition; Rogers et al. 2016 for questions that depend on"
        " answers before).",
        "zcdp": "The rhos of all answers add up (zero-concentrated differential privacy; Whitehouse et al. 2023 for"
        " questions that depend on answers before).",
        "approx": "The rhos of all answers add up, and their sum is told as epsilon at the budget's delta"
        " (zero-concentrated differential privacy; Whitehouse et al. 2023; Canonne, Kamath and Steinke 2020).",
    }[budget.kind]
    again = (
        ""
        if budget.per == "total"
        else f" The budget is renewed every {budget.per}; the losses of all periods add up."
    )
    return (
        f"{how}{again} Answers for different nights add up too: the same people are in them, so nothing is gained by"
        " the nights being apart."
    )


def _measurement(measurement: Measurement) -> dict[str, Any]:
    distance = {"discrete_laplace": "L1", "discrete_gaussian": "L2", "noisy_max": "L-infinity"}
    return {
        "name": measurement.name,
        "mechanism": measurement.mechanism.value,
        "sensitivity": repr(measurement.sensitivity),
        "distance": distance[measurement.mechanism.value.removesuffix("_threshold")],
        "scale": repr(measurement.scale),
        "step": str(getattr(measurement.statistic, "step", 1)),
        "times": measurement.times,
        "threshold": measurement.threshold,
        "aims_out": measurement.out or None,
        "loss": measurement.loss.as_dict(),
        "missing": _missing(measurement),
    }


def _missing(measurement: Measurement) -> dict[str, Any] | None:
    """What became of numbers that were none."""
    if isinstance(measurement.statistic, Units) or measurement.statistic.of is None:
        return None
    reading: Reading = measurement.statistic.of
    return {
        "null": "drop" if reading.null is None else repr(reading.null),
        "nan": "drop" if reading.nan is None else repr(reading.nan),
        "infinite": "clamp" if reading.clamp_infinite else "drop",
    }


def _deployment(
    loaded: LoadedPolicy, query: Query, planned: tuple[Measurement, ...], budget: Budget
) -> Mapping[str, Any]:
    words = explain(query, planned, budget)
    policy = loaded.policy
    described = (
        policy.differential_privacy.queries[query.name].description if policy.differential_privacy else ""
    )
    return {
        "product": {
            "name": f"{policy.name}.{query.name}",
            "data_curators": [policy.owner],
            "intended_use": described or policy.description,
            "data_product_type": "Summary statistics",
            "description": ", ".join(f"{name}: {measure.word}" for name, measure in query.measures.items()),
        },
        "dp_flavor": {
            "name": _flavor(query),
            "input_metric": f"symmetric distance over {query.unit}" + (" (rows)" if query.by_row else ""),
            "bound_on_input_distance": 1,
            "output_measure": "max divergence"
            if query.noise == "laplace"
            else "zero-concentrated divergence",
            "bound_on_output_distance": loss_of(planned).as_dict(),
            "data_domain": f"rows of {query.dataset}",
            "unprotected_quantities": "none are read off the private table: keys, bounds, bins and candidates stand in"
            " the policy",
        },
        "privacy_loss": {
            "privacy_unit": query.unit,
            "privacy_unit_description": words[0],
            "privacy_parameters": loss_of(planned).as_dict(),
        },
        "model": {
            "model_name": "Central",
            "actors": f"{policy.owner} sees the data and is trusted; who reads answers is not",
            "release_type": "Many releases",
            "data_source_type": "Dynamic",
            "access_type": "Non-interactive",
        },
        "accounting": {
            "post_processing": "means, variances and intervals are computed from noisy sums and counts; a quantile's"
            " interval is measured like the quantile itself, and widened where that lies beyond it",
            "composition": words[-1],
        },
        "implementation": {
            "pre_processing_eda_hyperparameter_tuning": "; ".join(
                f"{axis.name}: {axis.source or 'unknown keys, by a noisy threshold'}" for axis in query.axes
            ),
            "mechanisms": " ".join(words[1:3]),
            "justification": "",
        },
    }


def _flavor(query: Query) -> str:
    if query.noise == "laplace":
        return "Approximate DP" if query.delta else "Pure DP"
    return "Approximate zero-concentrated DP" if query.delta else "Zero-concentrated DP"
