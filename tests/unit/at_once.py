"""Processes that are ready and wait to be told, so that all of them begin at the same time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class Ready(subprocess.Popen[str]):
    """A module in a process of its own, which said that it is ready and waits for a line."""

    def __init__(self, module: str, *arguments: str) -> None:
        command = [sys.executable, "-m", module, *arguments]
        super().__init__(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        assert self.stdout is not None
        assert self.stdout.readline() == "ready\n"

    def go(self) -> None:
        """Tell it to begin."""
        assert self.stdin is not None
        self.stdin.write("go\n")

    def told(self, lines: int) -> None:
        """Wait for so many lines of it."""
        assert self.stdout is not None
        for _ in range(lines):
            assert self.stdout.readline()

    def ended(self) -> str:
        """Wait for its end, which is a good one; gives what it told."""
        told, _ = self.communicate(timeout=300)
        assert self.returncode == 0
        return told
