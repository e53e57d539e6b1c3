"""One of several processes that use a ledger at the same time: `worker.py <url> <name> <rounds>`.

It says that it is ready on its output, and begins when it is told to on its input.
"""

from __future__ import annotations

import sys

from airflow_veil.privacy.ledger.ledger import Ledger
from airflow_veil.privacy.ledger.record import ReleaseRecord


def publish(ledger: Ledger, name: str, run: str) -> None:
    """Begin and publish the release of a run, which other processes may do too."""
    digest = "0" * 64
    record = ReleaseRecord(
        release_id=f"{run}-by-{name}",
        policy="retail",
        dataset="customers",
        destination="file:///releases",
        run_key=run,
        policy_digest=digest,
        plan_digest=digest,
    )
    begun = ledger.begin_release(record, actor=name)
    ledger.publish(begun.release_id, {"made by": name}, rows_out=1, actor=name)


def main(url: str, name: str, rounds: int) -> None:
    print("ready", flush=True)
    sys.stdin.readline()
    with Ledger.open(url) as ledger:
        for number in range(rounds):
            publish(ledger, name, f"shared-{number}")
            publish(ledger, name, f"{name}-{number}")
            ledger.append_evidence("test.made", f"{name}/{number}", {"round": number}, actor=name)
            print(number, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
