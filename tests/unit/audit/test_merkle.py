"""The Merkle tree, against the vectors of transparency-dev/merkle and against its definition."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_veil.privacy.audit import merkle
from airflow_veil.privacy.audit.merkle import (
    EMPTY_ROOT,
    Frontier,
    Tree,
    leaf_hash,
    node_hash,
    verify_consistency,
    verify_inclusion,
)
from airflow_veil.privacy.errors import AuditError

CASES = 98
SIZES = st.integers(1, 130)
TREE = Tree(leaf_hash(f"leaf {number}".encode()) for number in range(130))


def by_definition(leaves: list[bytes]) -> bytes:
    """RFC 6962, section 2.1, word by word."""
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return leaf_hash(leaves[0])
    half = 1
    while half * 2 < len(leaves):
        half *= 2
    return node_hash(by_definition(leaves[:half]), by_definition(leaves[half:]))


class TestReferenceVectors:
    """What others have computed."""

    def test_inclusion_proofs(self, shared_data: Path) -> None:
        """Every case passes or fails as it should."""
        files = sorted((shared_data / "rfc6962_merkle" / "inclusion").rglob("*.json"))
        verdicts = {str(path): self._is_wrong(path) for path in files}

        assert len(files) == CASES
        assert {path for path, (told, should) in verdicts.items() if told != should} == set()
        assert {should for _, should in verdicts.values()} == {True, False}

    def _is_wrong(self, path: Path) -> tuple[bool, bool]:
        case = json.loads(path.read_text())
        leaf, root = (base64.b64decode(case[name] or "") for name in ("leafHash", "root"))
        proof = [base64.b64decode(each) for each in case["proof"] or []]
        try:
            verify_inclusion(case["leafIdx"], case["treeSize"], leaf, proof, root)
        except AuditError:
            return True, case["wantErr"]
        return False, case["wantErr"]

    def test_reference_tree(self, shared_data: Path) -> None:
        """Leaves, nodes and roots of the tree of eight leaves."""
        told = json.loads((shared_data / "rfc6962_merkle" / "reference_tree_8_leaves.json").read_text())
        leaves = [leaf_hash(bytes.fromhex(leaf)) for leaf in told["leaf_inputs_hex"]]
        tree, frontier = Tree(leaves), Frontier()
        roots = [frontier.root]
        for leaf in leaves:
            frontier.append(leaf)
            roots.append(frontier.root)

        nodes = [[node.hex() for node in level] for level in tree._levels]
        assert nodes == told["node_hashes_by_level"]
        assert [root.hex() for root in roots] == told["root_by_tree_size"]
        assert [tree.root(size).hex() for size in range(9)] == told["root_by_tree_size"]


class TestRoot:
    """Roots, whichever way they are computed."""

    @given(st.lists(st.binary(max_size=4), max_size=70))
    def test_is_that_of_the_definition(self, leaves: list[bytes]) -> None:
        """Tree and frontier agree with the definition."""
        hashes, frontier = [leaf_hash(leaf) for leaf in leaves], Frontier()
        for leaf in hashes:
            frontier.append(leaf)

        assert Tree(hashes).root() == frontier.root == by_definition(leaves)

    @given(SIZES, st.integers(0, 130))
    def test_can_be_gone_on_from(self, size: int, more: int) -> None:
        """A frontier that is made of kept nodes goes on as if it had seen all leaves."""
        frontier = Frontier.at(size, TREE)
        for number in range(size, min(size + more, len(TREE))):
            completed = frontier.append(TREE([merkle.Node(0, number)])[0])
            assert completed == TREE(merkle.completed_by(number))

        assert frontier.root == TREE.root(frontier.size)

    def test_of_nothing(self) -> None:
        """The root of no leaves is the hash of nothing."""
        assert Tree().root() == Frontier().root == EMPTY_ROOT == by_definition([])


class TestInclusion:
    """Inclusion proofs."""

    @settings(deadline=None)
    @given(SIZES, st.data())
    def test_a_proof_proves_its_leaf_only(self, size: int, data: st.DataObject) -> None:
        """It holds for its leaf, tree and root, and for nothing that differs in one of them."""
        index = data.draw(st.integers(0, size - 1))
        leaf, root = TREE([merkle.Node(0, index)])[0], TREE.root(size)
        proof = TREE.inclusion_proof(index, size)
        verify_inclusion(index, size, leaf, proof, root)

        others = [
            (index, size, leaf_hash(b"other"), proof, root),
            (index, size, leaf, proof, leaf_hash(b"other")),
            (index, size, leaf, (*proof, leaf), root),
            (index, size, leaf, (leaf, *proof), root),
            (index + 1, size, leaf, proof, root),
            (index - 1, size, leaf, proof, root),
            (index + size, size, leaf, proof, root),
        ]
        if proof:
            others += [(index, size, leaf, proof[:-1], root), (index, size, leaf, proof[1:], root)]
        for other in others:
            with pytest.raises(AuditError):
                verify_inclusion(*other)

    @settings(deadline=None)
    @given(SIZES, st.data())
    def test_every_bit_counts(self, size: int, data: st.DataObject) -> None:
        """A proof with one bit turned does not hold."""
        index = data.draw(st.integers(0, size - 1))
        proof = list(TREE.inclusion_proof(index, size))
        if not proof:
            return
        place, bit = data.draw(st.integers(0, len(proof) - 1)), data.draw(st.integers(0, 255))
        proof[place] = (int.from_bytes(proof[place]) ^ 1 << bit).to_bytes(32)

        with pytest.raises(AuditError, match="leads to another root"):
            verify_inclusion(index, size, TREE([merkle.Node(0, index)])[0], proof, TREE.root(size))

    def test_of_what_is_not_there(self) -> None:
        """There is no proof of a leaf beyond the end."""
        with pytest.raises(AuditError, match="leaf 5 is not in a tree of 5"):
            TREE.inclusion_proof(5, 5)


class TestConsistency:
    """Consistency proofs."""

    @settings(deadline=None)
    @given(SIZES, SIZES, st.integers(0, 255), st.data())
    def test_a_proof_proves_its_trees_only(self, one: int, two: int, bit: int, data: st.DataObject) -> None:
        """It holds for its two trees, and not if a bit, a root or a size differs."""
        size1, size2 = sorted((one, two))
        root1, root2 = TREE.root(size1), TREE.root(size2)
        proof = TREE.consistency_proof(size1, size2)
        verify_consistency(size1, size2, root1, root2, proof)

        other = leaf_hash(b"other")
        wrong = [
            (size1, size2, other, root2, proof),
            (size1, size2, root1, other, proof),
            (size1, size2, root1, root2, (*proof, other)),
            (0, size2, root1, root2, proof),
            (size2 + 1, size2, root1, root2, proof),
        ]
        if proof:
            place = data.draw(st.integers(0, len(proof) - 1))
            turned = (int.from_bytes(proof[place]) ^ 1 << bit).to_bytes(32)
            wrong += [
                (size1, size2, root1, root2, (*proof[:place], turned, *proof[place + 1 :])),
                (size1, size2, root1, root2, proof[:-1]),
                (size1, size2, root2, root1, proof),
            ]
        for each in wrong:
            with pytest.raises(AuditError):
                verify_consistency(*each)

    def test_two_trees_of_one_size(self) -> None:
        """They are one tree, or a fork."""
        with pytest.raises(AuditError, match="two different trees of 5 leaves"):
            verify_consistency(5, 5, TREE.root(5), TREE.root(6), ())

    @pytest.mark.parametrize("sizes", [(0, 5), (6, 5), (0, 0)])
    def test_what_has_no_proof(self, sizes: tuple[int, int]) -> None:
        """From nothing, or backwards, nothing is proven."""
        with pytest.raises(AuditError, match="no proof leads"):
            TREE.consistency_proof(*sizes)
