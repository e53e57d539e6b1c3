"""The Merkle tree over the evidence, as the ledger keeps it: a row an entry, written in the entry's transaction.

The row of an entry holds the hashes of the full subtrees that end with it. To add an entry reads as many rows as
that makes subtrees, one on average; a root or a proof of n entries reads about log n.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from sqlalchemy import Connection, Engine, RowMapping, String, func, insert, select, type_coerce

from airflow_veil.privacy.audit import merkle
from airflow_veil.privacy.audit.merkle import HASH_BYTES, Node
from airflow_veil.privacy.ledger.database import reading
from airflow_veil.privacy.ledger.fault import permanent
from airflow_veil.privacy.ledger.tables import evidence, evidence_nodes


class EvidenceTree:
    """The tree of a ledger; `Ledger.tree`. Each method is one transaction that only reads.

    All raise `LedgerError` where the database refuses or a node that is asked for is missing, and `AuditError` where
    no such root or proof can be.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def size(self) -> int:
        """How many entries there are."""
        with reading(self._engine) as connection:
            return connection.scalar(select(func.max(evidence.c.seq))) or 0

    def root(self, size: int) -> bytes:
        """The root of the tree when it had that many entries."""
        with reading(self._engine) as connection:
            return merkle.root(size, partial(fetch, connection))

    def frontier(self, size: int) -> merkle.Frontier:
        """What is needed to go on from where the tree had that many entries."""
        with reading(self._engine) as connection:
            return merkle.Frontier.at(size, partial(fetch, connection))

    def inclusion_proof(self, leaf_index: int, tree_size: int) -> tuple[bytes, ...]:
        """The proof that the entry with number `leaf_index + 1` is among the first `tree_size`."""
        with reading(self._engine) as connection:
            return merkle.inclusion_proof(leaf_index, tree_size, partial(fetch, connection))

    def consistency_proof(self, size1: int, size2: int) -> tuple[bytes, ...]:
        """The proof that the first `size1` entries are the beginning of the first `size2`."""
        with reading(self._engine) as connection:
            return merkle.consistency_proof(size1, size2, partial(fetch, connection))

    def rows(self, after: int | None = None, *, limit: int) -> Sequence[RowMapping]:
        """Entries as they lie in the database, uninterpreted, with their nodes: for an auditor, who believes nothing.

        Args:
            after: The number of the last entry that was read; None for all from the first on.
            limit: At most so many.
        """
        raw: list[Any] = [
            type_coerce(column, String).label(column.name) if column.name == "recorded_at" else column
            for column in evidence.c
        ]
        nodes = type_coerce(evidence_nodes.c.hashes, String).label("hashes")
        joined = evidence.outerjoin(evidence_nodes, evidence.c.seq == evidence_nodes.c.seq)
        wanted = select(*raw, nodes).select_from(joined).order_by(evidence.c.seq).limit(limit)
        with reading(self._engine) as connection:
            found = connection.execute(wanted if after is None else wanted.where(evidence.c.seq > after))
            return found.mappings().all()


def append(connection: Connection, seq: int, leaf: bytes) -> None:
    """Add the leaf of the entry that was just added, in its transaction."""
    above = merkle.completed_by(seq - 1)[1:]
    hashes = [leaf]
    for left in fetch(connection, [Node(node.level - 1, 2 * node.number) for node in above]):
        hashes.append(merkle.node_hash(left, hashes[-1]))
    connection.execute(insert(evidence_nodes), {"seq": seq, "hashes": b"".join(hashes)})


def fetch(connection: Connection, nodes: Sequence[Node]) -> list[bytes]:
    """The hashes of full subtrees; see `merkle.Fetch`.

    Raises:
        LedgerError: One is missing.
    """
    if not nodes:
        return []
    row = evidence_nodes.c
    wanted = {_last(node) for node in nodes}
    found = connection.execute(select(row.seq, row.hashes).where(row.seq.in_(sorted(wanted))))
    rows: dict[int, bytes] = {line.seq: line.hashes for line in found}
    return [_hash(rows.get(_last(node), b""), node) for node in nodes]


def _last(node: Node) -> int:
    """The number of the entry that completes a subtree."""
    return (node.number + 1) << node.level


def _hash(hashes: bytes, node: Node) -> bytes:
    found = hashes[node.level * HASH_BYTES : (node.level + 1) * HASH_BYTES]
    if len(found) != HASH_BYTES:
        raise permanent(
            f"the tree over the evidence has no node of level {node.level} at entry {_last(node)}",
            expected="the nodes as they were written, a row for each entry",
            fix="run `veil audit verify`, and compare with a backup",
        )
    return found
