"""Kills a worker at work."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path
from typing import Self


class Reaper:
    """Kills the worker that is at an attempt at a release, once, as soon as there is one.

    Attributes:
        killed: The process, once it is killed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.killed: int | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._end.is_set() and self.killed is None:
            for attempt in self._folder.glob(".attempt-*"):
                worker = _holder(attempt)
                if worker is not None:
                    os.kill(worker, signal.SIGKILL)
                    self.killed = worker
                    return
            time.sleep(0.002)


def _holder(folder: Path) -> int | None:
    """The process that holds the attempt's lock."""
    for handle in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if os.readlink(handle) == str(folder):
                return int(handle.parts[2])
        except OSError:
            continue
    return None
