"""Anchors in an object store: whole, never replaced, and refused in our words."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pyarrow import fs
from tests.object_store import ObjectStore
from tests.unit.audit.conftest import KEY, Log, fill

from airflow_veil.privacy.audit.anchor import anchor
from airflow_veil.privacy.audit.places import place
from airflow_veil.privacy.errors import AuditError, StorageError
from airflow_veil.privacy.ledger.ledger import Ledger

SECRET = "wJalrXUtnFEMI"


@pytest.fixture
def prefix(object_store: ObjectStore) -> str:
    """A bucket and a prefix of it, with nothing there."""
    return f"{object_store.bucket()}/evidence"


@pytest.fixture
def stored(log: Log, object_store: ObjectStore, prefix: str) -> Log:
    """A log that is anchored there once."""
    fill(log.ledger, 1, 3)
    found = Log(log.ledger, object_store.address(prefix))
    assert found.anchor().added
    return found


def objects(store: ObjectStore, prefix: str) -> list[str]:
    return [each.base_name for each in store.files.get_file_info(fs.FileSelector(prefix))]


class TestBucket:
    def test_an_object_a_checkpoint(self, stored: Log, object_store: ObjectStore, prefix: str) -> None:
        """Named by its size; auditors read the signed note itself."""
        name = "checkpoint-00000000000000000003.txt"

        assert objects(object_store, prefix) == [name]
        with object_store.files.open_input_stream(f"{prefix}/{name}") as stream:
            assert stream.read().decode() == stored.checkpoints()[0].note
        assert stored.verify().anchored == 3

    def test_a_bucket_as_a_whole(self, log: Log, object_store: ObjectStore) -> None:
        """Without a prefix, too."""
        bucket = object_store.bucket()

        assert Log(log.ledger, object_store.address(bucket)).anchor().added
        assert objects(object_store, bucket) == ["checkpoint-00000000000000000000.txt"]

    def test_other_objects_are_passed_over(self, stored: Log, object_store: ObjectStore, prefix: str) -> None:
        """Of other names, and deeper down."""
        for name in ("README", "checkpoint-3.txt", "old/checkpoint-00000000000000000009.txt"):
            with object_store.files.open_output_stream(f"{prefix}/{name}") as stream:
                stream.write(b"hello")

        assert len(stored.checkpoints()) == 1

    def test_none_is_replaced(self, stored: Log) -> None:
        """The same one again is nothing new; another one of its size is refused, and the first stays."""
        (first,) = stored.checkpoints()
        there = place(stored.anchors)

        there.add(first.note, first.size)
        with pytest.raises(StorageError, match="another checkpoint of this size"):
            there.add("forged", first.size)
        assert stored.checkpoints() == (first,)

    def test_one_that_was_changed_is_found(self, stored: Log, object_store: ObjectStore, prefix: str) -> None:
        """Whoever may write there cannot make it say something else."""
        (first,) = stored.checkpoints()
        with object_store.files.open_output_stream(f"{prefix}/checkpoint-{3:020}.txt") as stream:
            stream.write(first.note.replace("\n3\n", "\n2\n").encode())

        with pytest.raises(AuditError):
            stored.verify()

    def test_two_at_once(self, tmp_path: Path, object_store: ObjectStore, prefix: str) -> None:
        """Without a lock: each finds or makes checkpoints of the one log."""
        with Ledger.open(tmp_path / "ledger.db") as ledger:
            fill(ledger, 1, 5)
        address = object_store.address(prefix)

        def night(_: int) -> int:
            with Ledger.open(tmp_path / "ledger.db") as ledger:
                return anchor(ledger, KEY, place(address), actor="tester").checkpoint.size

        with ThreadPoolExecutor(4) as pool:
            sizes = list(pool.map(night, range(8)))
        with Ledger.open(tmp_path / "ledger.db") as ledger:
            report = Log(ledger, address).verify()
        assert report.anchored == report.size == max(sizes)


class TestRefusals:
    def test_a_bucket_that_is_not_there(self, log: Log, object_store: ObjectStore) -> None:
        """It does not pass for one without checkpoints, neither to write nor to read."""
        missing = Log(log.ledger, object_store.address("nothing/evidence"))

        for what in (missing.anchor, missing.checkpoints):
            with pytest.raises(StorageError, match="no such bucket"):
                what()

    def test_a_store_that_does_not_answer(self, log: Log) -> None:
        """By what the SDK calls it."""
        away = "s3://bucket/evidence?endpoint_override=127.0.0.1:9&scheme=http&region=us-east-1"

        with pytest.raises(StorageError, match="NETWORK_CONNECTION") as caught:
            Log(log.ledger, away).anchor()
        assert "s3://bucket/evidence" in str(caught.value)

    @pytest.mark.parametrize(
        "address",
        [f"s3://AKIA:{SECRET}@bucket/x", "s3://AKIA@bucket/x", f"s3://bucket/x?secret={SECRET}"],
    )
    def test_credentials_in_an_address(self, log: Log, address: str) -> None:
        """They would be told wherever the address is; so the message does not."""
        with pytest.raises(StorageError) as caught:
            Log(log.ledger, address).anchor()
        assert SECRET not in str(caught.value)
        assert "AKIA" not in str(caught.value)

    @pytest.mark.parametrize(
        "address", ["s3://", "s3:///evidence", "s3://bucket/x?scheme=ftp&region=us-east-1"]
    )
    def test_an_address_of_nothing(self, log: Log, address: str) -> None:
        with pytest.raises(StorageError):
            Log(log.ledger, address).anchor()

    @pytest.mark.parametrize("address", ["gs://bucket/x/", "abfss://c@a/x/", "https://host/x", "file:///x/"])
    def test_another_kind_of_address(self, address: str) -> None:
        """It is not taken for a path of that name."""
        with pytest.raises(StorageError, match="not kept at"):
            place(address)
