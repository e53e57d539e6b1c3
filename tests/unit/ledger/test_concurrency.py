"""Several processes, and killed ones."""

from __future__ import annotations

from collections import Counter

from tests.unit.at_once import Ready

from airflow_veil.privacy.ledger.ledger import Ledger

WORKER = "tests.unit.ledger.worker"
PROCESSES = 8
ROUNDS = 4


def used_by(url: str, names: list[str], rounds: int) -> None:
    """Let processes use the ledger at the same time, from its very first opening."""
    workers = [Ready(WORKER, url, name, str(rounds)) for name in names]
    for worker in workers:
        worker.go()
    for worker in workers:
        worker.ended()


def assert_in_order(ledger: Ledger) -> None:
    """What must hold whatever happened: one chain, one current release, an entry for each published one."""
    entries = ledger.evidence()
    released = [release for release in ledger.list() if release.published_seq]
    publications = [entry for entry in entries if entry.kind == "release.published"]

    assert [entry.seq for entry in entries] == list(range(1, len(entries) + 1))
    assert ledger.verify_chain() == entries[-1].head
    assert {release.published_seq for release in released} == {entry.seq for entry in publications}
    assert Counter(release.state for release in released)["current"] == 1
    current = ledger.current("retail", "customers")
    assert current is not None
    assert current.published_seq == publications[-1].seq


class TestProcessesAtOnce:
    """Processes that use one ledger at the same time."""

    def test_end_in_one_order(self, url: str) -> None:
        """No entry is lost or forked off, and a run that all of them publish has one release."""
        names = [f"worker-{number}" for number in range(PROCESSES)]
        used_by(url, names, ROUNDS)

        with Ledger.open(url) as ledger:
            assert_in_order(ledger)
            runs = [release.run_key for release in ledger.list()]
            own = [f"{name}-{number}" for name in names for number in range(ROUNDS)]
            assert sorted(runs) == sorted(own + [f"shared-{number}" for number in range(ROUNDS)])
            made = Counter(entry.kind for entry in ledger.evidence())
            per_run = {"release.begun": len(runs), "release.published": len(runs)}
            assert made == {**per_run, "test.made": PROCESSES * ROUNDS}


class TestKilledProcess:
    """A process that is killed while it writes."""

    def test_leaves_the_ledger_in_order(self, url: str) -> None:
        """Whenever it is killed, the ledger is as after its last whole step, and the next process goes on."""
        for number in range(5):
            worker = Ready(WORKER, url, f"killed-{number}", str(1_000_000))
            worker.go()
            worker.told(3)
            worker.kill()
            worker.communicate()
            with Ledger.open(url) as ledger:
                assert_in_order(ledger)

        used_by(url, ["next"], 1)
        with Ledger.open(url) as ledger:
            assert_in_order(ledger)
