"""The Merkle tree of RFC 6962 (RFC 9162 has the same): roots, inclusion proofs and consistency proofs.

A leaf is SHA-256 of 0x00 and its bytes, a node SHA-256 of 0x01 and its two children; a tree of n leaves splits at
the largest power of two below n. `verify_inclusion` and `verify_consistency` are public and stay as they are.

A full subtree of 2^level leaves never changes once its last leaf is there. It is named by its level and its number
among those of its level; from such nodes every root and every proof is folded, whether they lie in memory (`Tree`)
or in a table.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from airflow_veil.privacy.errors import AuditError

HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256().digest()
"""The root of a tree without leaves."""


class Node(NamedTuple):
    """A full subtree: leaves `number << level` to `(number + 1) << level`, without the last."""

    level: int
    number: int


Range = tuple[int, int]
"""Leaves from a first one to one past the last."""
Fetch = Callable[[Sequence[Node]], Sequence[bytes]]
"""Gives the hashes of full subtrees, in the order in which they are asked for."""


def leaf_hash(leaf: bytes) -> bytes:
    """The hash of a leaf."""
    return hashlib.sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of a node above two others."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def verify_inclusion(
    leaf_index: int, tree_size: int, leaf_hash: bytes, proof: Sequence[bytes], root: bytes
) -> None:
    """Check that a leaf is in a tree (RFC 9162, section 2.1.3.2).

    Args:
        leaf_index: The leaf's index, from 0.
        tree_size: How many leaves the tree has.
        leaf_hash: The leaf's hash.
        proof: The inclusion proof, from the leaf upwards.
        root: The tree's root.

    Raises:
        AuditError: It is not, or the proof does not show it.
    """
    _check_hashes([leaf_hash, root, *proof])
    if not 0 <= leaf_index < tree_size:
        raise AuditError(f"leaf {leaf_index} cannot be in a tree of {tree_size} leaves")
    position, last, found = leaf_index, tree_size - 1, leaf_hash
    for sibling in proof:
        if last == 0:
            raise _wrong("inclusion", "is too long")
        if position & 1 or position == last:
            found = node_hash(sibling, found)
            position, last = _up_to_right_child(position, last)
        else:
            found = node_hash(found, sibling)
        position, last = position >> 1, last >> 1
    if last:
        raise _wrong("inclusion", "is too short")
    if found != root:
        raise _wrong("inclusion", "leads to another root")


def verify_consistency(size1: int, size2: int, root1: bytes, root2: bytes, proof: Sequence[bytes]) -> None:
    """Check that a tree is the beginning of a later one (RFC 9162, section 2.1.4.2).

    Args:
        size1: How many leaves the earlier tree has, at least one: everything begins with nothing.
        size2: How many leaves the later tree has.
        root1: The earlier tree's root.
        root2: The later tree's root.
        proof: The consistency proof.

    Raises:
        AuditError: It is not, or the proof does not show it.
    """
    _check_hashes([root1, root2, *proof])
    if not 0 < size1 <= size2:
        raise AuditError(f"no proof leads from a tree of {size1} leaves to one of {size2}")
    if size1 == size2:
        if proof:
            raise _wrong("consistency", "is too long")
        if root1 != root2:
            raise AuditError(f"there are two different trees of {size1} leaves")
        return
    # A full earlier tree is a node of the later one, and is left out of the proof.
    path = [root1, *proof] if size1 & (size1 - 1) == 0 else list(proof)
    if not path:
        raise _wrong("consistency", "is too short")
    if _both_roots(size1, size2, path) != (root1, root2):
        raise _wrong("consistency", "leads to other roots")


def _both_roots(size1: int, size2: int, path: Sequence[bytes]) -> tuple[bytes, bytes]:
    position, last = size1 - 1, size2 - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    first = second = path[0]
    for sibling in path[1:]:
        if last == 0:
            raise _wrong("consistency", "is too long")
        if position & 1 or position == last:
            first, second = node_hash(sibling, first), node_hash(sibling, second)
            position, last = _up_to_right_child(position, last)
        else:
            second = node_hash(second, sibling)
        position, last = position >> 1, last >> 1
    if last:
        raise _wrong("consistency", "is too short")
    return first, second


def _up_to_right_child(position: int, last: int) -> Range:
    """Up through levels at which the node at the right edge has no sibling, so none is in the proof."""
    while position and not position & 1:
        position, last = position >> 1, last >> 1
    return position, last


def root(size: int, fetch: Fetch) -> bytes:
    """The root of the first `size` leaves."""
    return _folded([(0, size)], fetch)[0] if size else EMPTY_ROOT


def inclusion_proof(leaf_index: int, tree_size: int, fetch: Fetch) -> tuple[bytes, ...]:
    """The proof that a leaf is among the first `tree_size` leaves (RFC 6962, section 2.1.1).

    Raises:
        AuditError: It is not among them.
    """
    if not 0 <= leaf_index < tree_size:
        raise AuditError(f"leaf {leaf_index} is not in a tree of {tree_size} leaves")
    found: list[Range] = []
    first, end = 0, tree_size
    while end - first > 1:
        middle = first + _split(end - first)
        if leaf_index < middle:
            found.append((middle, end))
            end = middle
        else:
            found.append((first, middle))
            first = middle
    return _folded(found[::-1], fetch)


def consistency_proof(size1: int, size2: int, fetch: Fetch) -> tuple[bytes, ...]:
    """The proof that the first `size1` leaves are the beginning of the first `size2` (RFC 6962, section 2.1.2).

    Raises:
        AuditError: The sizes are not in order, or the first is zero.
    """
    if not 0 < size1 <= size2:
        raise AuditError(f"no proof leads from a tree of {size1} leaves to one of {size2}")
    found: list[Range] = []
    first, end = 0, size2
    while end != size1:
        middle = first + _split(end - first)
        if size1 <= middle:
            found.append((middle, end))
            end = middle
        else:
            found.append((first, middle))
            first = middle
    if first:
        found.append((first, end))
    return _folded(found[::-1], fetch)


def completed_by(leaf_index: int) -> tuple[Node, ...]:
    """The full subtrees that end with a leaf, from the leaf itself upwards."""
    found = [Node(0, leaf_index)]
    while found[-1].number & 1:
        found.append(Node(found[-1].level + 1, found[-1].number >> 1))
    return tuple(found)


def subtrees(first: int, end: int) -> list[Node]:
    """The full subtrees that leaves fall into, from left to right, at most one of each size.

    The leaves are a whole tree, or what is at one side of a tree's split.
    """
    found = []
    while first < end:
        level = (end - first).bit_length() - 1
        found.append(Node(level, first >> level))
        first += 1 << level
    return found


class Tree:
    """A tree in memory, by the hashes of its leaves; also a `Fetch` of its nodes.

    Args:
        leaves: The hashes of its first leaves.
    """

    def __init__(self, leaves: Iterable[bytes] = ()) -> None:
        self._levels: list[list[bytes]] = []
        for leaf in leaves:
            self.append(leaf)

    def __len__(self) -> int:
        return len(self._levels[0]) if self._levels else 0

    def __call__(self, nodes: Sequence[Node]) -> list[bytes]:
        """The hashes of full subtrees; see `Fetch`."""
        return [self._levels[node.level][node.number] for node in nodes]

    def append(self, leaf: bytes) -> None:
        """Add the hash of a leaf."""
        found = leaf
        for level, number in completed_by(len(self)):
            if level:
                found = node_hash(self._levels[level - 1][2 * number], found)
            if level == len(self._levels):
                self._levels.append([])
            self._levels[level].append(found)

    def root(self, size: int | None = None) -> bytes:
        """The root of the first `size` leaves, or of all."""
        return root(len(self) if size is None else size, self)

    def inclusion_proof(self, leaf_index: int, tree_size: int | None = None) -> tuple[bytes, ...]:
        """The proof that a leaf is among the first `tree_size` leaves, or all."""
        return inclusion_proof(leaf_index, len(self) if tree_size is None else tree_size, self)

    def consistency_proof(self, size1: int, size2: int | None = None) -> tuple[bytes, ...]:
        """The proof that the first `size1` leaves are the beginning of the first `size2`, or of all."""
        return consistency_proof(size1, len(self) if size2 is None else size2, self)


class Frontier:
    """What of a tree is needed to add to it, and for its root: its full subtrees, at most one of each size.

    Args:
        size: How many leaves it has already.
        hashes: The hashes of `subtrees(0, size)`.
    """

    def __init__(self, size: int = 0, hashes: Iterable[bytes] = ()) -> None:
        self.size = size
        self._hashes = list(hashes)

    @classmethod
    def at(cls, size: int, fetch: Fetch) -> Frontier:
        """That of a tree whose nodes are kept."""
        return cls(size, fetch(subtrees(0, size)))

    def append(self, leaf: bytes) -> list[bytes]:
        """Add the hash of a leaf; gives the hashes of the full subtrees that end with it, itself first."""
        found, joined = [leaf], self.size
        while joined & 1:
            found.append(node_hash(self._hashes.pop(), found[-1]))
            joined >>= 1
        self._hashes.append(found[-1])
        self.size += 1
        return found

    @property
    def root(self) -> bytes:
        """The root of the tree."""
        return _fold(self._hashes) if self._hashes else EMPTY_ROOT


def _folded(ranges: Sequence[Range], fetch: Fetch) -> tuple[bytes, ...]:
    """The hash of each range of leaves, all nodes fetched at once."""
    parts = [subtrees(*leaves) for leaves in ranges]
    hashes = iter(fetch([node for part in parts for node in part]))
    return tuple(_fold([next(hashes) for _ in part]) for part in parts)


def _fold(hashes: Sequence[bytes]) -> bytes:
    """The hash above subtrees of falling sizes: the two smallest are joined first."""
    *others, found = hashes
    for left in reversed(others):
        found = node_hash(left, found)
    return found


def _split(size: int) -> int:
    """The largest power of two below a size of at least two."""
    return 1 << ((size - 1).bit_length() - 1)


def _check_hashes(hashes: Iterable[bytes]) -> None:
    if any(len(each) != HASH_BYTES for each in hashes):
        raise AuditError("something in the proof is no hash", expected=f"{HASH_BYTES} bytes each")


def _wrong(kind: str, problem: str) -> AuditError:
    return AuditError(
        f"the {kind} proof {problem}",
        expected="the proof that belongs to these trees",
        fix="fetch proof and checkpoint anew; if it stays so, something was changed",
    )
