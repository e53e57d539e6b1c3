"""What SDV says and raises, kept in bounds: nothing of the data gets out by it, and its progress becomes lines.

SDV, CTGAN and PAR print, warn, log and draw bars as they go, and their exceptions quote rows.
"""

from __future__ import annotations

import io
import logging
import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from importlib import import_module
from typing import Any

from airflow_veil.privacy.errors import SyntheticError, VeilError
from airflow_veil.privacy.synthetic.libraries import EXTRA
from airflow_veil.privacy.synthetic.seeds import seeded
from airflow_veil.privacy.synthetic.synthesizer import Progress

_PACKAGES = ("sdv", "rdt", "copulas", "ctgan", "deepecho")
_BARS = (
    "ctgan.synthesizers.ctgan",
    "ctgan.synthesizers.tvae",
    "deepecho.models.par",
    "sdv.multi_table.base",
    "sdv.multi_table.hma",
)
"""Modules that draw bars by a name `tqdm` of their own."""
_LINES = 10
"""How many lines a loop gives at most."""


def silent(_: str) -> None:
    """No progress is told."""


@contextmanager
def sdv_scope(doing: str, where: str, *, seed: int, progress: Progress = silent) -> Iterator[None]:
    """Let SDV work inside the block.

    What it prints, warns of and logs is dropped, its loops are told to `progress`, random numbers of the process are
    seeded and put back afterwards, and what it raises becomes an error without its text.

    Args:
        doing: What is being done, such as `fitting gaussian_copula`.
        where: The synthesis, for errors.
        seed: Seeds random numbers.
        progress: Takes lines.

    Raises:
        SyntheticError: SDV is not there, or raised.
    """
    try:
        import_module("sdv")
    except ImportError:
        raise SyntheticError("SDV is not installed", where=where, fix=EXTRA) from None
    try:
        with ExitStack() as stack:
            stack.enter_context(seeded(seed))
            stack.enter_context(_told(doing, progress))
            stack.enter_context(_quiet())
            yield
    except VeilError:
        raise
    except MemoryError:
        raise SyntheticError(
            f"{doing} took more memory than there is",
            where=where,
            fix="lower `fit_rows`, or name fewer columns",
        ) from None
    except Exception as error:  # noqa: BLE001 - whatever is raised may quote rows
        raise SyntheticError(
            f"{doing} failed with {_raised(error)}",
            where=where,
            expected="rows that the method can be fitted to",
            fix="name other columns, raise `fit_rows`, or use another method",
        ) from None


def _raised(error: Exception) -> str:
    """The type of an exception, and the last place in the code: nothing of its text."""
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    if place is None:
        return type(error).__name__
    module = place.tb_frame.f_globals.get("__name__", "?")
    return f"{type(error).__name__} at {module}:{place.tb_lineno}"


@contextmanager
def _quiet() -> Iterator[None]:
    """Drop what is printed, warned of and logged by SDV and its parts."""
    names = [name for name in logging.root.manager.loggerDict if _is_sdvs(name)]
    loggers = [logging.getLogger(name) for name in names]
    before = [logger.disabled for logger in loggers]
    for logger in loggers:
        logger.disabled = True
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, disabled in zip(loggers, before, strict=True):
            logger.disabled = disabled


def _is_sdvs(logger: str) -> bool:
    # Those that note how SDV is used are named as its classes are.
    package = logger.partition(".")[0]
    return package in _PACKAGES or logger.endswith(("Synthesizer", "Metadata"))


@contextmanager
def _told(doing: str, progress: Progress) -> Iterator[None]:
    """Let the loops that SDV draws bars for tell how far they are."""
    streams = sys.stdout, sys.stderr

    class Bar:
        """Stands for `tqdm.tqdm`: goes over what it is given, and tells of every tenth part."""

        def __init__(self, over: Iterable[Any] = (), *_: Any, desc: str = "", **__: Any) -> None:
            self._over = list(over)
            self._what = " ".join(desc.split()) or "epochs"

        def __iter__(self) -> Iterator[Any]:
            total = len(self._over)
            every = max(total // _LINES, 1)
            for done, one in enumerate(self._over, start=1):
                yield one
                if done % every == 0 or done == total:
                    with redirect_stdout(streams[0]), redirect_stderr(streams[1]):
                        progress(f"{doing}: {self._what}, {done} of {total}")

        def set_description(self, *_: Any, **__: Any) -> None:
            """Losses are of private rows: nothing of them is told."""

    modules = [import_module(name) for name in _BARS]
    before = [module.tqdm for module in modules]
    for module in modules:
        module.tqdm = Bar  # type: ignore[attr-defined]
    try:
        yield
    finally:
        for module, bar in zip(modules, before, strict=True):
            module.tqdm = bar  # type: ignore[attr-defined]
