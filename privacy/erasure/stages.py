"""The steps of a batch, in stages: it follows from the policy alone, so that a DAG can be made of it.

Steps of one stage may be done side by side; a stage begins when the one before it is done. Who is erased is suppressed
first, then come sources, leaves before what they refer to, and at last what was released of them, and models that
learned of them.
"""

from __future__ import annotations

from airflow_veil.privacy.erasure.graph import graph_of
from airflow_veil.privacy.policy.models import Policy

SUPPRESS = "suppress"
SOURCE = "source"
RELEASES = "releases"
MODELS = "models"


def stages_of(policy: Policy) -> tuple[tuple[str, ...], ...]:
    """The steps of a batch: `suppress`, `source <data set>`, `releases <data set>`, `models`.

    Raises:
        ErasureError: The policy says nothing of erasure.
    """
    graph = graph_of(policy)
    sources = [tuple(f"{SOURCE} {name}" for name in level if name in graph.touched) for level in graph.levels]
    released = tuple(
        f"{RELEASES} {name}"
        for name, data in policy.datasets.items()
        if policy.release is not None and data.erasure is not None and data.releases_rows
    )
    models = (MODELS,) if policy.synthetic is not None or policy.models else ()
    return tuple(stage for stage in ((SUPPRESS,), *sources, (*released, *models)) if stage)
