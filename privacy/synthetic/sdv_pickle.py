"""Fitted synthesizers of SDV as bytes: pickles, which only what wrote them reads, and only authenticated ones."""

from __future__ import annotations

import pickle
from typing import Any

from airflow_veil.privacy.synthetic.envelope import same_versions, unwrapped, versions, wrapped
from airflow_veil.privacy.synthetic.sdv_scope import sdv_scope
from airflow_veil.privacy.synthetic.specification import Specification

PICKLED = ("sdv", "rdt", "copulas", "ctgan", "deepecho")
"""Packages that read the pickle of a model; each as it was when it was written."""


def pickled(specification: Specification, synthesizer: Any, fitted: Any) -> bytes:
    """A fitted synthesizer, with the versions of what wrote it.

    Args:
        specification: What it was fitted for.
        synthesizer: SDV's fitted synthesizer.
        fitted: How much it was fitted to, as JSON.
    """
    import cloudpickle

    return wrapped(specification, cloudpickle.dumps(synthesizer), rows=fitted, versions=versions(*PICKLED))


def unpickled(specification: Specification, content: bytes) -> tuple[Any, Any]:
    """The synthesizer that `pickled` gave, and how much it was fitted to. Only for authenticated bytes.

    Raises:
        SyntheticError: It is of another specification, or was written by other versions.
    """
    facts, payload = unwrapped(specification, content)
    same_versions(specification, facts)
    with sdv_scope("reading the model", specification.name, seed=0):
        return pickle.loads(payload), facts["rows"]  # noqa: S301 - authenticated by the store, see `envelope`
