"""Anchoring, the places for it, and proofs that stand by themselves."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from tests.object_store import ObjectStore
from tests.unit.audit.conftest import ANCHORED, ENTRIES, KEY, Log, fill
from tests.unit.audit.test_verify import cut, forked, own

from airflow_veil.privacy.audit import bundle
from airflow_veil.privacy.audit.anchor import anchor, checkpoints, covering, latest
from airflow_veil.privacy.audit.merkle import verify_consistency
from airflow_veil.privacy.audit.note import SigningKey
from airflow_veil.privacy.audit.places import FilePlace, FolderPlace, GitPlace, place
from airflow_veil.privacy.errors import AuditError, StorageError


def a_file(folder: Path) -> Path:
    return folder / "checkpoints.txt"


def a_folder(folder: Path) -> Path:
    (folder / "checkpoints").mkdir()
    return folder / "checkpoints"


def a_repository(folder: Path) -> Path:
    subprocess.run(["git", "init", "-q", str(folder / "work")], check=True)
    return folder / "work"


def a_bare_repository(folder: Path) -> Path:
    subprocess.run(["git", "init", "-q", "--bare", str(folder / "bare.git")], check=True)
    return folder / "bare.git"


KINDS = {a_file: FilePlace, a_folder: FolderPlace, a_repository: GitPlace, a_bare_repository: GitPlace}


@pytest.fixture(params=[*KINDS, "bucket"], ids=lambda made: getattr(made, "__name__", made))
def anchors(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    """A place of each kind."""
    if request.param == "bucket":
        store: ObjectStore = request.getfixturevalue("object_store")
        return store.address(f"{store.bucket()}/evidence/")
    make: Callable[[Path], Path] = request.param
    path = make(tmp_path)
    assert type(place(path)) is KINDS[make]
    return path


class TestAnchor:
    """`anchor.anchor`."""

    def test_adds_a_checkpoint(self, log: Log, anchors: Path | str) -> None:
        """One for each time that there is something new, in order, each consistent with the one before."""
        log = Log(log.ledger, anchors)
        for first in (1, 4, 5, 13):
            fill(log.ledger, first, first + 2)
            done = log.anchor()
            assert done.added
            again = log.anchor()
            assert (again.added, again.checkpoint.note) == (False, done.checkpoint.note)

        found = log.checkpoints()
        assert [each.size for each in found] == [3, 6, 9, 12]
        for one, two in pairwise(found):
            proof = log.ledger.tree.consistency_proof(one.size, two.size)
            verify_consistency(one.size, two.size, one.root, two.root, proof)
        assert (log.verify().anchored, log.verify().checkpoints) == (12, 4)

    def test_of_an_empty_log(self, log: Log) -> None:
        """It is anchored, too: that there was nothing yet."""
        assert log.anchor().checkpoint.size == 0
        fill(log.ledger, 1, 3)
        assert log.anchor().before == 0
        assert log.verify().checkpoints == 2

    @pytest.mark.parametrize("last", range(ANCHORED))
    def test_refuses_a_fork(self, copy: Log, last: int) -> None:
        """What was written anew is never signed, and the place stays as it is."""
        before = copy.anchors.read_bytes()
        forked(copy, last)

        with pytest.raises(AuditError, match="not the ones that were anchored"):
            copy.anchor()
        assert copy.anchors.read_bytes() == before

    def test_refuses_a_shorter_log(self, copy: Log) -> None:
        """A tail that was cut is not signed away."""
        cut(copy, ANCHORED - 1)

        with pytest.raises(AuditError, match="ends at entry 7, and 8 were anchored"):
            copy.anchor()

    @pytest.mark.parametrize(
        ("statement", "told"),
        [
            (f"UPDATE evidence SET actor = 'x' WHERE seq = {ANCHORED + 1}", "entry 9 .* not as it was"),
            (
                f"UPDATE evidence SET digest = prev_digest WHERE seq = {ANCHORED}",
                "entry 9 .* does not follow",
            ),
            (f"UPDATE evidence SET payload = NULL, salt = NULL WHERE seq = {ENTRIES}", "no later entry says"),
            (f"UPDATE evidence_nodes SET hashes = x'00' WHERE seq = {ENTRIES}", "other nodes"),
        ],
    )
    def test_checks_what_is_new(self, copy: Log, statement: str, told: str) -> None:
        """No checkpoint covers an entry that was changed before it was anchored."""
        own(copy, statement)

        with pytest.raises(AuditError, match=told):
            copy.anchor()

    def test_by_a_new_key(self, copy: Log) -> None:
        """A new key of the log goes on where the old one is trusted; auditors give both."""
        new = SigningKey.generate(KEY.name)

        with pytest.raises(AuditError, match="none of the given keys"):
            copy.anchor(new)
        done = anchor(copy.ledger, new, place(copy.anchors), trusted=[KEY.verifier])
        assert (done.added, done.before) == (True, ANCHORED)
        assert len(checkpoints(place(copy.anchors), [KEY.verifier, new.verifier])) == 3

    def test_leaves_a_work_tree_alone(self, log: Log, tmp_path: Path) -> None:
        """A repository with work in it has a branch more, and nothing else."""
        path = a_repository(tmp_path)
        (path / "draft").write_text("mine")
        Log(log.ledger, path).anchor()

        status = subprocess.run(
            ["git", "-C", path, "status", "--short"], capture_output=True, text=True, check=True
        )
        assert status.stdout == "?? draft\n"


class TestPlaces:
    """Where checkpoints are."""

    def test_what_is_no_checkpoint_is_passed_over_in_a_folder(self, log: Log, tmp_path: Path) -> None:
        """A bucket may have other things in it, and what a kill left behind."""
        path = a_folder(tmp_path)
        (path / "README").write_text("hello")
        (path / ".checkpoint-00000000000000000003.txt.new").write_text("half")
        fill(log.ledger, 1, 3)

        assert Log(log.ledger, path).anchor().added
        assert len(Log(log.ledger, path).checkpoints()) == 1

    @pytest.mark.parametrize("bytes_", [1, 20, 120])
    def test_a_file_that_is_cut_off(self, copy: Log, bytes_: int) -> None:
        """Half a checkpoint is told, not passed over."""
        copy.anchors.write_bytes(copy.anchors.read_bytes()[:-bytes_])

        with pytest.raises(AuditError, match=r"cut off|signature|signed"):
            copy.checkpoints()

    def test_a_folder_may_be_new(self, log: Log, tmp_path: Path) -> None:
        """A slash at the end makes it one."""
        assert anchor(log.ledger, KEY, place(f"{tmp_path}/new/")).added
        assert type(place(tmp_path / "new")) is FolderPlace

    def test_that_cannot_be_written(self, log: Log, tmp_path: Path) -> None:
        """The operating system's refusal, in our words."""
        with pytest.raises(StorageError, match="cannot be kept there"):
            anchor(log.ledger, KEY, place(tmp_path / "missing" / "checkpoints.txt"))

    def test_a_broken_repository(self, log: Log, tmp_path: Path) -> None:
        """Git's refusal, too."""
        path = a_repository(tmp_path)
        (path / ".git" / "HEAD").unlink()

        with pytest.raises(StorageError, match=r"git .* failed"):
            Log(log.ledger, path).anchor()


class TestBundle:
    """Proofs of one entry."""

    @pytest.mark.parametrize("seq", range(1, ANCHORED + 1))
    def test_proves_an_entry(self, made: Log, seq: int) -> None:
        """By the key alone, after a journey as JSON."""
        proof = json.loads(json.dumps(bundle.prove(made.ledger, seq, covering(made.checkpoints(), seq))))

        proven = bundle.check(proof, [KEY.verifier])
        assert proven.record.digest == made.ledger.evidence()[seq - 1].digest
        assert proven.checkpoint.size == ANCHORED
        assert proven.record.erased == (seq == 2)

    def test_without_its_payload(self, made: Log) -> None:
        """What it says can be left out."""
        proof = bundle.prove(made.ledger, 4, covering(made.checkpoints(), 4), payload=False)

        assert bundle.check(proof, [KEY.verifier]).record.payload is None

    @pytest.mark.parametrize("seq", [0, ANCHORED + 1])
    def test_of_what_is_not_anchored(self, made: Log, seq: int) -> None:
        """An entry that no checkpoint covers has no proof yet."""
        with pytest.raises(AuditError, match=f"entry {seq} is not anchored"):
            covering(made.checkpoints(), seq)
        with pytest.raises(AuditError, match="Expected: a checkpoint"):
            covering((), seq)

    def test_is_not_made_of_a_changed_entry(self, copy: Log) -> None:
        """What does not hold is not handed out."""
        last = latest(copy.checkpoints())
        assert last is not None
        own(copy, "UPDATE evidence SET actor = 'x' WHERE seq = 4")

        with pytest.raises(AuditError, match=r"entry 4 .* not as it was"):
            bundle.prove(copy.ledger, 4, last)

    def test_every_change_is_found(self, made: Log) -> None:
        """Whatever of it is another, it proves nothing."""
        good = bundle.prove(made.ledger, 4, covering(made.checkpoints(), 4))
        other = bundle.prove(made.ledger, 5, covering(made.checkpoints(), 5))
        bad: list[object] = [None, [], {}, "x", {**good, "format": "x"}, {**good, "leaf_index": 4}]
        bad += [{**good, name: value} for name in good for value in (None, 7, "x", ["x"], [7], other[name])
                if value != good[name]]  # fmt: skip
        for name, value in good["entry"].items():
            different = [other["entry"][name], None, "x", 7]
            bad += [{**good, "entry": {**good["entry"], name: each}} for each in different if each != value]
        bad += [{**good, "proof": good["proof"][:-1]}, {**good, "proof": good["proof"][::-1]}]

        for each in bad:
            with pytest.raises(AuditError):
                bundle.check(each, [KEY.verifier])
