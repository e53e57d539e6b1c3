"""Turns what libraries raise into errors that name the place and the kind of failure, never the data."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from airflow_veil.privacy.errors import StorageError
from airflow_veil.privacy.lazy import pa

FIXES = {
    errno.ENOSPC: "free some space, or point the destination elsewhere",
    errno.EDQUOT: "free some space, or raise the quota",
    errno.EFBIG: "raise the limit on the size of a file",
    errno.EACCES: "give the user that runs the task access to it",
    errno.EPERM: "give the user that runs the task access to it",
    errno.ENOENT: "check the path",
    errno.EROFS: "point the destination elsewhere",
}
"""What helps against the failures that are not ours."""


def unfit(what: str, *, where: str, expected: str = "", fix: str = "") -> StorageError:
    """An error of the data itself: trying again with nothing changed cannot succeed."""
    error = StorageError(what, where=where, expected=expected, fix=fix)
    error.retryable = False
    return error


@contextmanager
def storing(doing: str, where: str) -> Iterator[None]:
    """Raise a StorageError for what the system or Arrow raises inside the block.

    Their texts are left out: Arrow quotes the value it could not take, the system may quote a path that is made
    of values.

    Args:
        doing: What is being done, such as `reading`.
        where: The file, folder or table to name.
    """
    try:
        yield
    except OSError as error:
        # Arrow raises plain OSErrors without a number, for a damaged file.
        kind = errno.errorcode.get(error.errno or 0, type(error).__name__)
        raise StorageError(
            f"{doing} failed with {kind}", where=where, fix=FIXES.get(error.errno or 0, "")
        ) from None
    except (pa.ArrowException, UnicodeError, EOFError) as error:
        raise unfit(f"{doing} failed with {type(error).__name__}", where=where) from None
