"""Keeps the lease of a claim while its answer is made."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from airflow_veil.privacy.errors import AnswerBusyError, LedgerError
from airflow_veil.privacy.ledger.budget import Claim
from airflow_veil.privacy.ledger.budgets import Budgets
from airflow_veil.privacy.ledger.database import LOCK_SECONDS

_A_LEASE = 4
"""Renewals a lease: some may fail, and it is kept."""


@contextmanager
def held(budgets: Budgets, claim: Claim) -> Iterator[Claim]:
    """Renew the lease of a claim for as long as the block runs.

    A renewal that fails is no error here: the next one may work, and if another takes over the claim, then `drawing`
    tells; so the block's own error is never hidden by one of these.

    Args:
        budgets: The accounts; they are used from a thread.
        claim: The claim.
    """
    done = threading.Event()
    keeper = threading.Thread(target=_renew, args=(budgets, claim, done), name="veil-lease", daemon=True)
    keeper.start()
    try:
        yield claim
    finally:
        done.set()
        # A renewal that is under way waits for the writer before it at most.
        keeper.join(LOCK_SECONDS)


def _renew(budgets: Budgets, claim: Claim, done: threading.Event) -> None:
    while not done.wait(claim.lease_seconds / _A_LEASE):
        try:
            budgets.renew_lease(claim)
        except AnswerBusyError:
            return
        except LedgerError:
            continue
