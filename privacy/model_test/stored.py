"""Rows that lie in a model as they are: nearest neighbours keep all of them, support vectors are some.

Whoever has the artefact reads them, whatever the model says when it is asked; no attack through its answers sees that.
Rows are looked for in every array of the model as it got them: raw, and after each step of a pipeline.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from airflow_veil.privacy.model_test.question import Array

_CELLS = 1 << 27
"""Cells of a sparse matrix that are looked at as a dense one, at most."""


def stored(model: Any, frame: Any, raw: Any) -> Array:
    """Which rows lie in a model.

    Args:
        model: The model.
        frame: The rows as a data frame.
        raw: The rows as the model takes them.

    Returns:
        A bool a row. A model of one feature stores no row: a number alone is nobody.
    """
    kept = [array for array in _arrays(model) if array.ndim == 2 and array.shape[1] > 1 and len(array)]
    found = np.zeros(len(frame), bool)
    for rows in _seen(model, frame, raw):
        keys = _keys(rows)
        held = [_keys(array) for array in kept if array.shape[1] == rows.shape[1]]
        if keys is not None:
            found |= np.isin(
                keys, np.concatenate([np.zeros(0, np.uint64), *(h for h in held if h is not None)])
            )
    return found


def _seen(model: Any, frame: Any, raw: Any) -> Iterator[Array]:
    """The rows as each part of the model sees them."""
    yield frame.to_numpy()
    rows = raw
    for _, step in getattr(model, "steps", ())[:-1]:
        if step is None or isinstance(step, str):
            continue
        rows = step.transform(rows)
        dense = _dense(rows)
        if dense is not None and dense.ndim == 2:
            yield dense


def _arrays(model: Any) -> Iterator[Array]:
    """Every array in a model, at whatever depth."""
    waiting, seen = [model], set()
    while waiting:
        each = waiting.pop()
        if id(each) in seen or isinstance(each, str | bytes | int | float | type(None) | type):
            continue
        seen.add(id(each))
        dense = _dense(each)
        if dense is not None:
            yield dense
            if dense.dtype == object and dense.size < _CELLS and not hasattr(each, "iloc"):
                waiting.extend(dense.ravel().tolist())
        elif isinstance(each, dict):
            waiting.extend(each.values())
        elif isinstance(each, list | tuple | set | frozenset):
            waiting.extend(each)
        else:
            waiting.extend(getattr(each, "__dict__", {}).values())


def _dense(each: Any) -> Array | None:
    if isinstance(each, np.ndarray):
        return each
    if hasattr(each, "toarray") and hasattr(each, "shape"):
        return np.asarray(each.toarray()) if int(np.prod(each.shape)) <= _CELLS else None
    if hasattr(each, "iloc") and hasattr(each, "to_numpy"):
        return np.asarray(each.to_numpy())
    return None


def _keys(rows: Array) -> Array | None:
    """A number a row, the same for the same row; numbers are the same as far as 32 bits tell them."""
    import pandas as pd

    if rows.dtype.kind in "biuf":
        plain = rows.astype(np.float32) + np.float32(0)
        return np.asarray(pd.util.hash_pandas_object(pd.DataFrame(plain), index=False))
    if rows.dtype == object:
        text = pd.DataFrame(rows).astype(str)
        return np.asarray(pd.util.hash_pandas_object(text, index=False))
    return None
