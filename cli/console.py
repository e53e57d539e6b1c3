"""What the command line writes: tables with colours on a terminal, plain text or JSON for machines."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

_PIPE_WIDTH = 1_000
"""In a pipe a row stays a line, however long."""


def out() -> Console:
    """Standard output, for results; made when asked, so that redirections are seen."""
    return _console(stderr=False)


def err() -> Console:
    """Standard error, for errors and progress."""
    return _console(stderr=True)


def _console(*, stderr: bool) -> Console:
    console = Console(stderr=stderr, highlight=False)
    if not console.is_terminal:
        console = Console(stderr=stderr, highlight=False, width=_PIPE_WIDTH)
    return console


def say(message: str, *, style: str = "") -> None:
    """Write one message, as it is: brackets in it are no markup."""
    out().print(Text(message, style=style), soft_wrap=True)


def note(message: str, *, style: str = "") -> None:
    """Write one message to standard error, where it does not mix with results."""
    err().print(Text(message, style=style), soft_wrap=True)


def as_json(value: Any) -> None:
    """Write a value for a machine to read."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


def table(
    title: str, headings: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[str] = ()
) -> None:
    """Write a table.

    Args:
        title: What it shows; empty for none.
        headings: One a column.
        rows: Texts, one a column; brackets in them are no markup.
        right: Headings of columns of numbers.
    """
    console = out()
    frame = Table(title=title or None, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        frame.add_column(heading, justify="right" if heading in right else "left", overflow="fold")
    for row in rows:
        frame.add_row(*(Text(cell) for cell in row))
    console.print(frame)


@contextmanager
def progress(what: str) -> Iterator[Callable[[int, int], None] | None]:
    """A line on a terminal that tells how far something is; nothing in a pipe.

    Yields:
        What to call with rows read and rows written so far; None where nobody looks.
    """
    console = err()
    if not console.is_terminal:
        yield None
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:,} rows"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda rows_in, _rows_out: bar.update(task, completed=rows_in)
