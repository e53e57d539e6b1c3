"""What a task of a release did, and what it hands on."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_veil.privacy.lineage.model import LineageRecord
from airflow_veil.privacy.release.reference import Reference


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What a task did.

    Attributes:
        reference: What is handed on.
        lineage: What it did to which columns; None where it did nothing.
        summary: The same in a sentence, for the log: names and counts.
        warns: Whether somebody should look at it, although it was done.
    """

    reference: Reference
    lineage: LineageRecord | None
    summary: str
    warns: bool = False


def already(reference: Reference) -> Done:
    """What a task does whose release is out already: nothing."""
    return Done(
        reference=reference,
        lineage=None,
        summary=f"Release {reference.release_id} of {reference.dataset} was published before; there is nothing to do",
    )
