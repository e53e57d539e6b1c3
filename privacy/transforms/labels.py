"""Text labels for numbered groups: written once for each group that occurs, however many rows are in it."""

from __future__ import annotations

from collections.abc import Callable

from airflow_veil.privacy.lazy import pa


def labelled(groups: pa.Array, label: Callable[[int], str | None]) -> pa.StringArray:
    """Turn group numbers into their labels.

    Args:
        groups: n integers. Nulls stay null.
        label: The text of one group; None makes its rows null.
    """
    coded = groups.dictionary_encode()
    return pa.array([label(group) for group in coded.dictionary.to_pylist()], pa.string()).take(coded.indices)
