"""What operators that come after the staging of a release share: they take up what was handed on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_veil.operators.base import VeilOperator

if TYPE_CHECKING:
    from airflow_veil.privacy.release.reference import Reference


class AfterOperator(VeilOperator):
    """A task over a staged release.

    Args:
        after: What the task before handed on: `sanitize.output`.
    """

    template_fields: Sequence[str] = (*VeilOperator.template_fields, "after")

    def __init__(self, *, after: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.after = after

    @property
    def reference(self) -> Reference:
        """The release that was handed on."""
        from airflow_veil.privacy.release.reference import Reference

        return Reference.from_xcom(self.after, dataset=self.dataset)
