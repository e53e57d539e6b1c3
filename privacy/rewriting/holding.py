"""Changes that agree with the holds of the moment at which they are made."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol, TypeVar

from airflow_veil.privacy.ledger.holds import Held


class Keeps(Protocol):
    """Whatever tells which rows are held."""

    @property
    def held(self) -> Held:
        """What the ledger says."""


K = TypeVar("K", bound=Keeps)
T = TypeVar("T")


def under_holds(
    frozen: Callable[[], AbstractContextManager[K]],
    attempt: Callable[[K], AbstractContextManager[tuple[Callable[[], None] | None, T]]],
    keeper: K | None = None,
) -> T:
    """Make a change by what is held at the moment of its one step.

    A change takes long to prepare and no time to make: it is prepared by what was held, and where something else is
    held when it is ready, it is thrown away and prepared anew.

    Args:
        frozen: Gives what is held, and keeps it so for the block.
        attempt: Prepares the change by what is held; gives the step that makes it, None where there is nothing to do,
            and what to return then. At the end of the block all that was prepared and not made is gone.
        keeper: What was held a moment ago, where it is known.

    Returns:
        What the attempt that was made told.
    """
    if keeper is None:
        with frozen() as first:
            keeper = first
    while True:
        with attempt(keeper) as (step, told):
            if step is None:
                return told
            with frozen() as now:
                if now.held == keeper.held:
                    step()
                    return told
        keeper = now
