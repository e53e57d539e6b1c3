"""One look at some rows: what they lose, whose they are, and the keys that lead on from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from airflow_veil.privacy.erasure.columns import Columns
from airflow_veil.privacy.erasure.match import Matcher, collected
from airflow_veil.privacy.erasure.store import Tally
from airflow_veil.privacy.erasure.subjects import Known, Owners, Subjects
from airflow_veil.privacy.rewriting.loss import Loss, Mask


@dataclass(frozen=True)
class Look:
    """What one look found.

    Attributes:
        loss: What each row loses.
        tally: Rows by request.
        keys: Key column to its values in the subjects' own rows, with whose they are.
    """

    loss: Loss
    tally: Tally
    keys: Mapping[str, tuple[pa.StringArray, Owners]] = field(default_factory=dict)


def look(matcher: Matcher, columns: Columns, keys: Sequence[str], requests: int) -> Look:
    """Look at some rows.

    A cell that is null already is not lost, so that a row without the cells that it was to lose is clean.

    Args:
        matcher: Tells which rows.
        columns: The rows; no others of their columns are read than are needed.
        keys: The columns whose values lead on.
        requests: How many requests there are.
    """
    matched = matcher(columns, columns.rows)
    cells = {
        name: mask & np.asarray(columns[name].is_valid())
        for name, mask in matched.cells.items()
        if mask.any()
    }
    loss = Loss(matched.delete, {name: mask for name, mask in cells.items() if mask.any()})
    masked = np.zeros(columns.rows, bool)
    for mask in loss.cells.values():
        masked |= mask
    tally = Tally(
        deleted=_counted(matched.owners, matched.delete, requests),
        masked=_counted(matched.owners, masked, requests),
        held=_counted(matched.owners, matched.held, requests),
    )
    found = {}
    if matched.own.any():
        found = {key: collected(matched, columns, key, where=f"{matcher.where} column {key}") for key in keys}
    return Look(loss, tally, found)


def _counted(owners: Owners, rows: Mask, requests: int) -> NDArray[np.int64]:
    return np.bincount(owners[rows], minlength=requests).astype(np.int64)


class Collected:
    """The keys of many looks, each value once."""

    def __init__(self, keys: Sequence[str]) -> None:
        self.keys = tuple(keys)
        self._parts: dict[str, list[tuple[pa.StringArray, Owners]]] = {key: [] for key in keys}

    def add(self, seen: Look) -> None:
        """Take the keys of one look."""
        for key, part in seen.keys.items():
            self._parts[key].append(part)

    def known(self) -> dict[str, Known]:
        """The values of each key; a value that several requests came to is the first one's."""
        return {key: _known(key, parts) for key, parts in self._parts.items()}


def _known(key: str, parts: list[tuple[pa.StringArray, Owners]]) -> Known:
    if not parts:
        return Subjects().of(key)
    texts = pa.concat_arrays([texts.cast(pa.string()) for texts, _ in parts])
    owners = np.concatenate([owners for _, owners in parts])
    return Subjects().with_(key, texts, owners).of(key)
