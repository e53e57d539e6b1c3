"""`SyntheticGateOperator`: the tables of a synthetic release go out, are denied, or wait for a person, all together."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_veil.operators.gate import ReleaseGateOperator

if TYPE_CHECKING:
    from airflow_veil.privacy.release.done import Done
    from airflow_veil.privacy.release.reference import Reference
    from airflow_veil.privacy.release.synthetic_reference import SyntheticReference


class SyntheticGateOperator(ReleaseGateOperator):
    """Decide by the policy's `release.gate` whether staged synthetic tables go out.

    Figures of risk and of kept rows are of rows of real people, so they do not apply, and their bounds hold; what
    counts is the evaluation, and the share of the privacy budget that is spent. A person answers for all tables.

    Args:
        synthesis: Name of what is made up, in the policy.
    """

    names: ClassVar[str] = "syntheses"

    def __init__(self, *, synthesis: str, **kwargs: Any) -> None:
        super().__init__(dataset=synthesis, **kwargs)

    @property
    def handed(self) -> SyntheticReference:
        """What the task before handed on."""
        from airflow_veil.privacy.release.synthetic_reference import SyntheticReference

        return SyntheticReference.from_xcom(self.after, dataset=self.dataset)

    @property
    def references(self) -> tuple[Reference, ...]:
        """The releases of all tables."""
        return self.handed.of_tables()

    def hand_on(self, done: list[Done]) -> dict[str, Any]:
        """Hand on the tables together."""
        for each in done:
            self.finish(each)
        return replace(self.handed, step="gate").as_xcom()
