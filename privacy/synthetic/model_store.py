"""Where fitted models lie: one sealed file each, whose digest the ledger has.

    <models>/                      mode 0700
    <models>/<model id>.sealed     mode 0600: 12 random bytes, AES-256-GCM of the model, 16 bytes that authenticate it

A model may be a pickle, and reading a pickle runs code. So nothing is read as a model but what the ledger knows by its
digest and the key ring authenticates under the model's own name: who can write to the folder alone, to the ledger alone
or holds the keys alone cannot put another one in its place.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_veil.privacy.erasure.sealed import Sealed, seal, unseal
from airflow_veil.privacy.errors import SyntheticError, TamperedError
from airflow_veil.privacy.storage.durable import remove_leavings, sync_folder, write_whole
from airflow_veil.privacy.storage.failure import storing
from airflow_veil.privacy.storage.names import segment

if TYPE_CHECKING:
    from airflow_veil.privacy.keys.ring import KeyRing
    from airflow_veil.privacy.ledger.models import ModelRecord

PURPOSE = "synthetic-model"
"""What the subkey is for."""
LARGEST = 2**31 - 64
"""How many bytes a model may have: AES-256-GCM takes that many at once here."""
_SUFFIX = ".sealed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What was kept of a model.

    Attributes:
        digest: SHA-256 of the sealed bytes, in hex.
        size: How many there are.
        key_version: The version of the key ring that they are sealed with.
    """

    digest: str
    size: int
    key_version: int


@dataclass(frozen=True)
class ModelStore:
    """A folder of sealed models.

    Attributes:
        folder: The folder; made on first use, for its owner alone.
    """

    folder: Path

    def put(self, model_id: str, content: bytes, ring: KeyRing) -> Kept:
        """Seal a model and keep it, whole or not at all.

        Raises:
            SyntheticError: It is too large.
            StorageError: It cannot be written.
            KeyRingError: The ring has no key to seal it with.
        """
        if len(content) > LARGEST:
            raise SyntheticError(
                "the model is too large to be sealed",
                where=f"model {model_id}",
                expected=f"at most {LARGEST:,} bytes",
                fix="let it learn from fewer rows (`fit_rows`) or columns",
            )
        path = self._path(model_id)
        sealed = seal(content, ring, about=model_id, purpose=PURPOSE)
        with storing("keeping a model", str(self.folder)):
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_whole(path, sealed.content, drafts=self.folder, mode=0o600)
        digest = hashlib.sha256(sealed.content).hexdigest()
        return Kept(digest=digest, size=len(sealed.content), key_version=sealed.key_version)

    def get(self, record: ModelRecord, ring: KeyRing) -> bytes:
        """A model's bytes, as they were kept.

        Raises:
            SyntheticError: It is not fitted, has ended, or its file is gone.
            TamperedError: The file is not what was kept, or was sealed with other keys.
            KeyRingError: The key ring no longer has the version that it is sealed with.
            StorageError: It cannot be read.
        """
        if record.digest is None or record.key_version is None or record.ended_at is not None:
            why = f": {record.reason}" if record.reason else ""
            raise SyntheticError(
                f"the model is {record.state}{why}",
                where=record.where,
                fix="fit it anew, for another interval",
            )
        path = self._path(record.model_id)
        with storing("reading a model", str(self.folder)):
            content = path.read_bytes() if path.is_file() else None
        if content is None:
            raise SyntheticError(
                "the model's file is gone",
                where=record.where,
                expected=str(path),
                fix="let all workers share the folder (`VEIL_MODELS`), or destroy the model and fit it anew",
            )
        if hashlib.sha256(content).hexdigest() != record.digest:
            raise TamperedError(
                "the model's file is not what was kept",
                where=record.where,
                expected="the SHA-256 that the ledger has",
                fix="destroy the model with `veil synthesizers destroy`, fit it anew, and find out who wrote the file",
            )
        return unseal(Sealed(record.key_version, content), ring, about=record.model_id, purpose=PURPOSE)

    def remove(self, model_id: str) -> bool:
        """Remove a model's file, if it is there; its name is gone for good when this returns."""
        path = self._path(model_id)
        with storing("removing a model", str(self.folder)):
            if not path.exists():
                return False
            path.unlink(missing_ok=True)
            sync_folder(self.folder)
        return True

    def there(self) -> tuple[str, ...]:
        """The models whose files are there."""
        with storing("listing models", str(self.folder)):
            if not self.folder.is_dir():
                return ()
            return tuple(sorted(path.name.removesuffix(_SUFFIX) for path in self.folder.glob(f"*{_SUFFIX}")))

    def sweep(self, known: Collection[str], older_than_seconds: float) -> int:
        """Remove what killed fits left: files of models that are not among the known, and drafts, once they are old.

        Returns:
            How many models were removed.
        """
        limit, swept = time.time() - older_than_seconds, 0
        for model_id in set(self.there()) - set(known):
            with suppress(FileNotFoundError):
                if self._path(model_id).stat().st_mtime < limit:
                    swept += self.remove(model_id)
        with storing("sweeping models", str(self.folder)):
            if self.folder.is_dir():
                remove_leavings(self.folder, limit)
        return swept

    def _path(self, model_id: str) -> Path:
        return self.folder / f"{segment(model_id, 'model')}{_SUFFIX}"
