"""Several processes that erase, and killed ones."""

from __future__ import annotations

from collections import Counter

from tests.unit.at_once import Ready
from tests.unit.ledger.erasing import POLICY, STEPS, asked

from airflow_veil.privacy.ledger.erasures import RequestState
from airflow_veil.privacy.ledger.ledger import Ledger

WORKER = "tests.unit.ledger.erasure_worker"
PROCESSES = 8


def at_once(url: str, command: str, processes: int) -> list[str]:
    """Let processes do the same at the same time; gives what they tell."""
    workers = [Ready(WORKER, url, f"worker-{number}", command) for number in range(processes)]
    for worker in workers:
        worker.go()
    return [worker.ended() for worker in workers]


def journal(ledger: Ledger) -> Counter[str]:
    """What evidence tells of batches, and how often."""
    found = [entry for entry in ledger.evidence() if entry.kind.startswith("erasure.")]
    return Counter(
        f"{entry.kind} {entry.content.get('step', '')} {entry.content.get('now', '')}".strip()
        for entry in found
        if entry.kind != "erasure.requested"
    )


ONE_BATCH = Counter(
    ["erasure.begun", "erasure.planned", "erasure.verified", "erasure.concluded"]
    + [f"erasure.step {name} {now}" for name in STEPS for now in ("begun", "done")]
)


class TestProcessesAtOnce:
    def test_begin_one_batch(self, url: str) -> None:
        """Eight workers that begin get the same batch, and each request is in it once."""
        with Ledger.open(url) as ledger:
            requests = [asked(ledger.erasures, str(number)).request_id for number in range(5)]
            told = at_once(url, "begin", PROCESSES)

            assert len(set(told)) == 1
            batch = ledger.erasures.open(POLICY)
            assert batch is not None
            assert told[0].strip() == batch.batch_id
            assert sorted(batch.requests) == sorted(requests)
            assert journal(ledger) == {"erasure.begun": 1}

    def test_run_one_batch(self, url: str) -> None:
        """Workers that do the same batch side by side leave one journal, as one alone does."""
        with Ledger.open(url) as ledger:
            request = asked(ledger.erasures)
            at_once(url, "run", 4)

            assert journal(ledger) == ONE_BATCH
            assert ledger.erasures.find(request.request_id).state is RequestState.COMPLETE
            assert ledger.verify_chain() == ledger.evidence()[-1].head


class TestKilledProcess:
    def test_goes_on(self, url: str) -> None:
        """Killed at each step in turn, the next process goes on with the same batch, to the same journal."""
        with Ledger.open(url) as ledger:
            request = asked(ledger.erasures)
            for number in range(len(STEPS)):
                worker = Ready(WORKER, url, f"killed-{number}", "run")
                worker.go()
                # Those that are done before are passed without a word being lost.
                worker.told(number + 1)
                worker.kill()
                worker.communicate()
            assert len({entry.subject for entry in ledger.evidence() if entry.kind == "erasure.begun"}) == 1
            at_once(url, "run", 1)

            assert journal(ledger) == ONE_BATCH
            assert ledger.erasures.find(request.request_id).state is RequestState.COMPLETE
            assert ledger.erasures.open(POLICY) is None
