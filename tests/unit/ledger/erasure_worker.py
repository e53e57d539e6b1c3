"""One of several processes that erase at the same time: `erasure_worker.py <url> <name> <command>`.

It says that it is ready on its output, and begins when it is told to on its input. `begin` begins a batch and tells its
name; `run` does whatever waits, step by step, and tells each step that it begins.
"""

from __future__ import annotations

import sys

from tests.unit.ledger.erasing import COMPLETE, POLICY, frozen

from airflow_veil.privacy.errors import ErasureError
from airflow_veil.privacy.ledger.erasures import Erasures
from airflow_veil.privacy.ledger.ledger import Ledger


def run(erasures: Erasures, name: str) -> None:
    """Do the open batch, or a new one, to its end."""
    while (batch := erasures.begin(POLICY, actor=name)) is not None:
        try:
            frozen(erasures, batch)
            for step in erasures.steps(batch.batch_id):
                erasures.begin_step(batch.batch_id, step.name, actor=name)
                print(step.name, flush=True)
                erasures.finish_step(batch.batch_id, step.name, {"rows": 1}, actor=name)
            erasures.verified(batch.batch_id, {"left": 0}, actor=name)
            erasures.conclude(batch.batch_id, dict.fromkeys(batch.requests, COMPLETE), actor=name)
        except ErasureError:
            # Somebody else was faster.
            if erasures.batch(batch.batch_id).concluded_at is None:
                raise


def main(url: str, name: str, command: str) -> None:
    with Ledger.open(url) as ledger:
        print("ready", flush=True)
        sys.stdin.readline()
        if command == "begin":
            batch = ledger.erasures.begin(POLICY, actor=name)
            print(batch.batch_id if batch else "none", flush=True)
        else:
            run(ledger.erasures, name)


if __name__ == "__main__":
    main(*sys.argv[1:])
