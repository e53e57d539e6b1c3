"""Checks what `release: {classify: true}` means: there must be a column that leaves, to be looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from airflow_veil.privacy.policy.finding import Finding
from airflow_veil.privacy.policy.load import LoadedPolicy


def looks(loaded: LoadedPolicy) -> bool:
    """Whether each release looks at its columns first."""
    return loaded.policy.release is not None and loaded.policy.release.classify


def _nothing_to_look_at(loaded: LoadedPolicy) -> Iterator[Finding]:
    """A word that does nothing lets its reader believe that something is watched."""
    if looks(loaded) and not any(data.releases_rows for data in loaded.policy.datasets.values()):
        yield loaded.finding(
            ("release", "classify"),
            "classify-nothing",
            "no row of any data set is released, so there is nothing to classify",
            "remove `classify`; answers to queries are protected by their noise",
        )


RULES: tuple[Callable[[LoadedPolicy], Iterator[Finding]], ...] = (_nothing_to_look_at,)
