"""Sealed models: read only where the ledger, the key ring and the file agree; unreadable without the key."""

from __future__ import annotations

import os
import pickle
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from airflow_veil.privacy.errors import KeyRingError, SyntheticError, TamperedError
from airflow_veil.privacy.keys.file import KeyFile
from airflow_veil.privacy.keys.ring import KeyRing
from airflow_veil.privacy.ledger.models import ModelRecord, ModelState
from airflow_veil.privacy.synthetic import model_store
from airflow_veil.privacy.synthetic.files_left import files_left
from airflow_veil.privacy.synthetic.model_store import ModelStore

NOW = datetime(2026, 3, 15, 12, tzinfo=UTC)
CONTENT = b"canary-of-a-person " * 1_000


@pytest.fixture
def keys(tmp_path: Path) -> KeyFile:
    """A key file with one version."""
    file = KeyFile(tmp_path / "keys.json")
    file.create()
    return file


@pytest.fixture
def ring(keys: KeyFile) -> KeyRing:
    return keys.load()


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "home" / "models")


def kept(store: ModelStore, ring: KeyRing, model_id: str = "a1", content: bytes = CONTENT) -> ModelRecord:
    """A model that is kept, as the ledger has it."""
    told = store.put(model_id, content, ring)
    return ModelRecord(
        model_id=model_id,
        policy="shop",
        synthesis="shoppers",
        specification="5" * 64,
        data_version="v" * 64,
        interval_key="night",
        method="faker",
        learned_from={},
        state=ModelState.FITTED,
        digest=told.digest,
        bytes=told.size,
        key_version=told.key_version,
        actor="tester",
        begun_at=NOW,
        fitted_at=NOW,
        expires_at=NOW + timedelta(days=30),
    )


def file_of(store: ModelStore, model_id: str = "a1") -> Path:
    return store.folder / f"{model_id}.sealed"


class TestKeeping:
    def test_gives_back_what_was_kept(self, store: ModelStore, ring: KeyRing) -> None:
        """The very bytes."""
        assert store.get(kept(store, ring), ring) == CONTENT

    def test_is_for_its_owner_alone(self, store: ModelStore, ring: KeyRing) -> None:
        """Folder and file, whatever the umask."""
        before = os.umask(0)
        try:
            kept(store, ring)
        finally:
            os.umask(before)
        assert store.folder.stat().st_mode & 0o777 == 0o700
        assert file_of(store).stat().st_mode & 0o777 == 0o600

    def test_is_unreadable_without_the_key(self, store: ModelStore, ring: KeyRing) -> None:
        """No part of it stands in the file, and twice the same is sealed differently."""
        kept(store, ring)
        first = file_of(store).read_bytes()
        kept(store, ring)

        assert b"canary" not in first
        assert file_of(store).read_bytes() != first

    def test_what_is_too_large(
        self, store: ModelStore, ring: KeyRing, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Is told with what helps, and nothing is written."""
        monkeypatch.setattr(model_store, "LARGEST", 10)
        with pytest.raises(SyntheticError, match="fit_rows"):
            kept(store, ring)
        assert not store.folder.exists()

    def test_a_name_never_leads_out(self, store: ModelStore, ring: KeyRing) -> None:
        """A model's name is one segment of a path."""
        from airflow_veil.privacy.errors import StorageError

        with pytest.raises(StorageError):
            store.put("../keys", CONTENT, ring)


class TestTampering:
    @pytest.mark.parametrize("place", [0, 20, -1])
    def test_a_changed_byte(self, store: ModelStore, ring: KeyRing, place: int) -> None:
        """The nonce, the content or the tag: nothing is given."""
        record = kept(store, ring)
        raw = bytearray(file_of(store).read_bytes())
        raw[place] ^= 1
        file_of(store).write_bytes(bytes(raw))

        with pytest.raises(TamperedError, match="not what was kept"):
            store.get(record, ring)

    def test_who_has_the_keys_and_not_the_ledger(self, store: ModelStore, ring: KeyRing) -> None:
        """A file that is sealed rightly, and is not the one that was kept."""
        record = kept(store, ring)
        store.put("a1", pickle.dumps(os.getcwd), ring)

        with pytest.raises(TamperedError, match="not what was kept"):
            store.get(record, ring)

    def test_who_has_the_ledger_and_not_the_keys(
        self, store: ModelStore, ring: KeyRing, tmp_path: Path
    ) -> None:
        """A digest that fits, over what another key sealed."""
        other = KeyFile(tmp_path / "other.json")
        other.create()
        record = kept(store, other.load())

        with pytest.raises(TamperedError, match="does not authenticate"):
            store.get(record, ring)

    def test_another_models_file(self, store: ModelStore, ring: KeyRing) -> None:
        """A model is sealed under its own name: digest and file of another do not make it that one."""
        record, other = kept(store, ring), kept(store, ring, "b2", b"another")
        file_of(store).write_bytes(file_of(store, "b2").read_bytes())

        with pytest.raises(TamperedError, match="does not authenticate"):
            store.get(replace(record, digest=other.digest), ring)

    def test_a_file_that_is_gone(self, store: ModelStore, ring: KeyRing) -> None:
        """Is told as that."""
        record = kept(store, ring)
        file_of(store).unlink()
        with pytest.raises(SyntheticError, match="file is gone"):
            store.get(record, ring)

    def test_a_key_version_that_is_destroyed(self, store: ModelStore, ring: KeyRing, keys: KeyFile) -> None:
        """Makes the model unreadable for good."""
        record = kept(store, ring)
        keys.rotate()
        keys.destroy(1)
        with pytest.raises(KeyRingError):
            store.get(record, keys.load())

    @pytest.mark.parametrize("state", [ModelState.STALE, ModelState.EXPIRED, ModelState.DESTROYED])
    def test_one_that_has_ended(self, store: ModelStore, ring: KeyRing, state: ModelState) -> None:
        """Nothing is read, though the file be there."""
        record = replace(kept(store, ring), state=state, ended_at=NOW, reason="erasure 1")
        with pytest.raises(SyntheticError, match=f"{state}: erasure 1"):
            store.get(record, ring)


class TestRemoving:
    def test_is_gone(self, store: ModelStore, ring: KeyRing) -> None:
        """Once; a second call finds nothing."""
        kept(store, ring)
        assert store.there() == ("a1",)
        assert store.remove("a1")
        assert not store.remove("a1")
        assert store.there() == ()

    def test_sweeps_what_nobody_knows(self, store: ModelStore, ring: KeyRing) -> None:
        """Old files that are not known, and drafts; what is known, or new, stays."""
        for model_id in ("known", "old", "new"):
            kept(store, ring, model_id)
        draft = store.folder / ".draft-0"
        draft.write_bytes(b"half")
        for path in (file_of(store, "known"), file_of(store, "old"), draft):
            os.utime(path, (0, 0))

        assert store.sweep({"known"}, 3_600) == 1
        assert store.there() == ("known", "new")
        assert not draft.exists()

    def test_a_second_look_finds_what_is_left(self, store: ModelStore, ring: KeyRing) -> None:
        """Also a copy by another name."""
        kept(store, ring)
        (store.folder / "a1.sealed.bak").write_bytes(b"copy")

        assert files_left(store.folder, ["a1"]) == ("a1.sealed", "a1.sealed.bak")
        assert files_left(store.folder, ["b2"]) == ()
        assert files_left(store.folder / "nowhere", ["a1"]) == ()
