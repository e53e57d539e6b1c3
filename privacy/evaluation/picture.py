"""A chart as a file: the same bytes for the same figure, text as text, no script."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DOTS = 110
"""Dots an inch of a PNG."""


def svg(figure: Figure) -> str:
    """A chart as SVG."""
    return _saved(figure, "svg", metadata={"Date": None, "Creator": None}).decode()


def png(figure: Figure) -> bytes:
    """A chart as PNG."""
    return _saved(figure, "png", dpi=DOTS, metadata={"Software": None})


def _saved(figure: Figure, kind: str, **options: Any) -> bytes:
    from matplotlib import rc_context

    buffer = io.BytesIO()
    # Without a salt the names of parts of an SVG are drawn anew each time.
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "veil"}):
        figure.savefig(buffer, format=kind, **options)
    return buffer.getvalue()
