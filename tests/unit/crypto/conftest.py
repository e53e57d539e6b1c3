"""What the tests of the column ciphers share."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from airflow_veil.privacy.crypto import columns


@pytest.fixture(scope="session")
def only_groups() -> Callable[[], AbstractContextManager[pytest.MonkeyPatch]]:
    """A context in which no row is too rare or too long for a group, whatever the size of the column."""

    class Patch(AbstractContextManager[pytest.MonkeyPatch]):
        def __enter__(self) -> pytest.MonkeyPatch:
            self.patch = pytest.MonkeyPatch()
            self.patch.setattr(columns, "_is_rare", lambda _length, _rows: False)
            return self.patch

        def __exit__(self, *_: object) -> None:
            self.patch.undo()

    return Patch
