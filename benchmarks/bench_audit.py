"""What the Merkle tree over evidence costs when an entry is written, and what proofs and audits of it take.

Entries are written as a release writes them, a transaction each, flushed to disk, in turns with the tree and without;
then many in one transaction, where the disk takes no part. Proofs and audits are of a ledger of a million entries. To
append these one by one takes a quarter of an hour, so they are inserted in bulk, as the rows that appending writes: the
audit reads all of them, and says so if they are not.
"""

from __future__ import annotations

import hashlib
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, fields
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.figure import Figure, figure

from airflow_veil.privacy.audit.checkpoint import sign
from airflow_veil.privacy.audit.merkle import Frontier, leaf_hash, verify_inclusion
from airflow_veil.privacy.audit.note import SigningKey
from airflow_veil.privacy.audit.record import of_ledger
from airflow_veil.privacy.audit.verify import verify
from airflow_veil.privacy.ledger import evidence, tree
from airflow_veil.privacy.ledger.canonical import canonical_json
from airflow_veil.privacy.ledger.database import writing
from airflow_veil.privacy.ledger.evidence import Entry, Head
from airflow_veil.privacy.ledger.ledger import Ledger

ENTRIES = 1_000_000
BULK = 20_000
TURNS, EACH, TOGETHER = 5, 50, 2_000
PROOFS = 200
_FIELDS = [field.name for field in fields(Entry)]
_ENTRY = f"INSERT INTO evidence ({', '.join(_FIELDS)}) VALUES (:{', :'.join(_FIELDS)})"
PAYLOAD = {"rows_out": 4711, "manifest_digest": "0" * 64}


def run() -> list[Figure]:
    """Measure on SQLite in a temporary folder, of which it needs a gigabyte; takes some minutes."""
    with TemporaryDirectory(prefix="veil-bench-") as folder:
        return [*_appending(Path(folder)), *_proving(Path(folder))]


def _appending(folder: Path) -> list[Figure]:
    """Appends with the tree and without it, in turns."""
    seconds: dict[tuple[str, str], list[float]] = {}
    for turn in range(TURNS):
        for kind, way in {"with": _with_tree, "without": _without_tree}.items():
            with Ledger.open(folder / f"{kind}-{turn}.db") as ledger, way():
                seconds.setdefault((kind, "alone"), []).append(_timed(lambda: _alone(ledger, EACH)) / EACH)
                together = _timed(lambda: _together(ledger, TOGETHER)) / TOGETHER
                seconds.setdefault((kind, "together"), []).append(together)
    best = {key: min(values) for key, values in seconds.items()}
    alone = best["with", "alone"] / best["without", "alone"]
    together = best["with", "together"] / best["without", "together"]
    return [
        figure("Entries with the tree, a transaction each", 1 / best["with", "alone"], "entries/s"),
        figure("Entries without it", 1 / best["without", "alone"], "entries/s"),
        figure("Time with the tree / without, a transaction each", alone, "x", floor=1.5, aim=1.2),
        figure("The same, many in one transaction", together, "x", floor=3, aim=2),
    ]


def _proving(folder: Path) -> list[Figure]:
    """Proofs, checkpoints and a whole audit of a long log."""
    key = SigningKey.generate("example.com/bench")
    with Ledger.open(folder / "long.db") as ledger:
        _fill(ledger, ENTRIES)
        wanted = range(0, ENTRIES, ENTRIES // PROOFS)
        proofs = [_timed(lambda at=at: ledger.tree.inclusion_proof(at, ENTRIES)) for at in wanted]
        links = [_timed(lambda at=at: ledger.tree.consistency_proof(at + 1, ENTRIES)) for at in wanted]
        roots = [_timed(lambda: ledger.tree.root(ENTRIES)) for _ in range(PROOFS)]
        root = ledger.tree.root(ENTRIES)
        (entry,) = ledger.evidence(4710, limit=1)
        proof = ledger.tree.inclusion_proof(4710, ENTRIES)
        checks = [
            _timed(lambda: verify_inclusion(4710, ENTRIES, leaf_hash(entry.leaf), proof, root))
            for _ in range(PROOFS)
        ]
        checkpoint = sign(key, ENTRIES, root)
        audit = _timed(lambda: verify(of_ledger(ledger), [checkpoint]))
        told = ledger.evidence_of("thing/4711")
        subject = _timed(lambda: ledger.evidence_of("thing/4711"))
        alone = _timed(lambda: _alone(ledger, EACH)) / EACH
        together = _timed(lambda: _together(ledger, TOGETHER)) / TOGETHER
    assert len(told) == 1
    size = f"{ENTRIES:,} entries"
    return [
        figure(f"Inclusion proof, {size}", _milliseconds(proofs), "ms", floor=100, aim=20),
        figure(f"Consistency proof, {size}", _milliseconds(links), "ms", floor=100, aim=20),
        figure(f"Root, {size}", _milliseconds(roots), "ms", floor=100, aim=20),
        figure("Check of an inclusion proof", _milliseconds(checks), "ms", floor=5, aim=1),
        figure(f"Audit of {size}", ENTRIES / audit / 1_000, "k entries/s", floor=3, aim=10),
        figure(f"Entries of one subject among {size}", subject, "s", floor=5, aim=1),
        figure(f"Appending to {size}, a transaction each", 1 / alone, "entries/s", floor=10, aim=50),
        figure("The same, many in one transaction", 1 / together, "entries/s", floor=300, aim=1_000),
    ]


def _fill(ledger: Ledger, count: int) -> None:
    """Insert the rows that appending so many entries writes: an entry, then its nodes, as the triggers demand."""
    last, frontier = Head(), Frontier()
    payload = canonical_json(PAYLOAD)
    for start in range(0, count, BULK):
        with writing(ledger._engine) as connection:  # noqa: SLF001 - many entries in one transaction
            cursor = connection.connection.cursor()
            for seq in range(start + 1, min(start + BULK, count) + 1):
                salt = f"{seq:064x}"
                draft = Entry(
                    seq=seq,
                    recorded_at=datetime.now(UTC),
                    kind="bench.made",
                    actor="bench",
                    subject=f"thing/{seq}",
                    payload=payload,
                    salt=salt,
                    payload_digest=hashlib.sha256((salt + payload).encode()).hexdigest(),
                    prev_digest=last.digest,
                    digest="",
                )
                leaf = draft.leaf
                last = Head(seq, hashlib.sha256(leaf).hexdigest())
                at = draft.recorded_at.replace(tzinfo=None).isoformat(" ", "microseconds")
                row = {**asdict(draft), "digest": last.digest, "recorded_at": at}
                nodes = b"".join(frontier.append(leaf_hash(leaf)))
                cursor.execute(_ENTRY, row)
                cursor.execute("INSERT INTO evidence_nodes (seq, hashes) VALUES (?, ?)", (seq, nodes))


def _alone(ledger: Ledger, count: int) -> None:
    for number in range(count):
        ledger.append_evidence("bench.made", f"thing/{number}", PAYLOAD, actor="bench")


def _together(ledger: Ledger, count: int) -> None:
    with writing(ledger._engine) as connection:  # noqa: SLF001 - what the ledger does in one transaction
        for number in range(count):
            evidence.append(
                connection, kind="bench.made", subject=f"thing/{number}", payload=PAYLOAD, actor="bench"
            )


@contextmanager
def _with_tree() -> Iterator[None]:
    yield


@contextmanager
def _without_tree() -> Iterator[None]:
    kept = tree.append
    tree.append = lambda *_: None
    try:
        yield
    finally:
        tree.append = kept


def _timed(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def _milliseconds(seconds: list[float]) -> float:
    """The median."""
    return statistics.median(seconds) * 1_000
