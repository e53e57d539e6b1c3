"""One of several processes that append to a log at the same time: `appender.py <url> <name> <entries>`.

It says that it is ready on its output. For each line on its input it appends so many, and tells of each.
"""

from __future__ import annotations

import sys

from airflow_veil.privacy.ledger.ledger import Ledger


def main(url: str, name: str, entries: int) -> None:
    print("ready", flush=True)
    for _ in sys.stdin:
        with Ledger.open(url) as ledger:
            for number in range(entries):
                ledger.append_evidence("test.made", f"{name}/{number}", {"round": number}, actor=name)
                print(number, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
