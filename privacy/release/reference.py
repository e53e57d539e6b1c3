"""What tasks hand to each other: which release, and counts. It is all that the suite puts into XCom."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Protocol, Self, TypeVar

from airflow_veil.privacy.errors import ReleaseError


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A release on its way.

    Attributes:
        policy: Name of the policy.
        dataset: Name of the data set.
        release_id: The release.
        interval: Key of the interval that it stands for.
        plan_digest: SHA-256 of the plan, in hex: all tasks of a run must work by one plan.
        step: The last step that was done.
        published: Whether this very release is out already, so that there is nothing left to do.
        rows_in: Rows read from the source.
        rows_out: Rows staged by the last step.
    """

    policy: str
    dataset: str
    release_id: str
    interval: str
    plan_digest: str
    step: str
    published: bool
    rows_in: int = 0
    rows_out: int = 0

    def as_xcom(self) -> dict[str, Any]:
        """The reference as plain data: names, counts and digests."""
        return asdict(self)

    @classmethod
    def from_xcom(cls, value: Any, *, dataset: str) -> Self:
        """Take up what the task before handed on.

        Raises:
            ReleaseError: It is not a reference, or one to another data set.
        """
        return taken_up(cls, value, dataset, release="release", of="data set")


class Handed(Protocol):
    """What tasks hand to each other says what it is of."""

    @property
    def dataset(self) -> str:
        """Name of what it is of."""


H = TypeVar("H", bound=Handed)


def taken_up(kind: type[H], value: Any, dataset: str, *, release: str, of: str) -> H:
    """What the task before handed on.

    Args:
        kind: What it should be.
        value: What came by XCom.
        dataset: Of what it should be.
        release: The word for what is handed on.
        of: The word for what it is of.

    Raises:
        ReleaseError: It is nothing of the kind, or of something else.
    """
    try:
        reference = kind(**value)
    except TypeError:
        raise ReleaseError(
            f"The task before handed on no {release}",
            where=dataset,
            expected=f"the output of a task of a {release}",
            fix="pass `after=<task>.output`",
        ) from None
    if reference.dataset != dataset:
        raise ReleaseError(
            f"The task before handed on a release of {reference.dataset}",
            where=dataset,
            fix=f"chain tasks of one {of}",
        )
    return reference
