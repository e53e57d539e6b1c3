"""Checkpoints in an object store: Amazon S3, or whatever speaks its protocol."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cached_property
from typing import Final
from urllib.parse import urlsplit

import pyarrow as pa
from pyarrow import fs

from airflow_veil.privacy.audit.places import CHECKPOINT, Place, checkpoint_name
from airflow_veil.privacy.errors import StorageError

_REFUSED: Final = re.compile(r"AWS Error ([A-Z_]+)")
_TEXT: Final = {"Content-Type": "text/plain; charset=utf-8"}


class BucketPlace(Place):
    """A prefix of a bucket with an object for each checkpoint, named by its size and never replaced.

    An object is there whole or not at all. Two that anchor at once need no lock: checkpoints of one size are the same
    bytes, since Ed25519 signs without chance (RFC 8032 section 5.1.6), and those of other sizes are other objects. That
    nobody replaces or deletes them is the bucket's to hold: object lock, or versions and a role that may only put.

    Credentials are those that the AWS SDK finds: the environment, a profile, the machine's role.

    Args:
        address: `s3://BUCKET/PREFIX/`; behind `?` may be `region`, `endpoint_override` and `scheme`, as Arrow reads
            them.

    Raises:
        StorageError: The address names credentials.
    """

    def __init__(self, address: str) -> None:
        parts = urlsplit(address)
        super().__init__(f"s3://{parts.hostname or ''}{parts.path}")
        self._address = address
        if "@" in parts.netloc:
            raise StorageError(
                "an address must not name credentials",
                where=self.where,
                expected="s3://BUCKET/PREFIX/",
                fix="give them in the environment or a profile, as the AWS SDK reads them",
            )

    def read(self) -> list[str]:
        """All checkpoints, by size."""
        with self._told():
            store, prefix = self._there
            found = store.get_file_info(fs.FileSelector(prefix, allow_not_found=True))
            names = sorted(each.path for each in found if CHECKPOINT.fullmatch(each.base_name))
            return [self._content(name) for name in names]

    def add(self, note: str, size: int) -> None:
        """Keep one more; one that is there is never replaced."""
        with self._told():
            store, prefix = self._there
            name = f"{prefix}/{checkpoint_name(size)}"
            if store.get_file_info(name).type is not fs.FileType.NotFound:
                if self._content(name) == note:
                    return  # by somebody else, at the same time
                raise StorageError("there is another checkpoint of this size", where=f"s3://{name}")
            stream = store.open_output_stream(name, metadata=_TEXT)
            # Closed only when all of it is written: closing is what makes the object.
            stream.write(note.encode())
            stream.close()

    def locked(self) -> AbstractContextManager[None]:
        """Nothing has to be locked."""
        return nullcontext()

    def _content(self, name: str) -> str:
        store, _ = self._there
        with store.open_input_stream(name) as stream:
            return bytes(stream.read()).decode("utf-8", "replace")

    @cached_property
    def _there(self) -> tuple[fs.FileSystem, str]:
        """The store, and the prefix with its bucket, which has to be there."""
        try:
            store, path = fs.FileSystem.from_uri(self._address)
        except pa.ArrowInvalid:
            raise StorageError(
                "the address is none of an object store",
                where=self.where,
                expected="s3://BUCKET/PREFIX/, and behind `?` region, endpoint_override or scheme",
            ) from None
        prefix = path.strip("/")
        # A bucket that is missing must not pass for one that has no checkpoint.
        if not prefix or store.get_file_info(prefix.partition("/")[0]).type is not fs.FileType.Directory:
            raise StorageError(
                "there is no such bucket", where=self.where, fix="make it, with object lock, and try again"
            )
        return store, prefix

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Say what the store refused, without what it says of requests and keys."""
        try:
            yield
        except OSError as error:
            code = _REFUSED.search(str(error))
            raise StorageError(
                f"checkpoints cannot be kept there: {code[1] if code else type(error).__name__}",
                where=self.where,
                fix="let the credentials of this process list, read and put objects there",
            ) from None
