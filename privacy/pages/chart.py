"""Where charts are drawn: a figure becomes SVG for a page, or PNG for a file; nothing is fetched, nothing is random.

Drawn by matplotlib's object interface, never by pyplot, which keeps figures in a global. In a page the colours are
those of its style sheet, so that a chart is read on light and dark paper; a marker tells lines apart beside the colour.
"""

from __future__ import annotations

import io
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, SOFT, GRID = "#1b1f24", "#59636e", "#d6dbe1"
SERIES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")
"""Four colours that people with any colour vision tell apart (Okabe and Ito 2008)."""
MARKERS = ("o", "s", "^", "D")
"""A marker each."""
_IN_PAGE = {INK: "--ink", SOFT: "--soft", GRID: "--line", **{c: f"--s{i + 1}" for i, c in enumerate(SERIES)}}
_STYLE = {
    # A name with dollars in it is a name, and no formula.
    "text.parse_math": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "airflow-veil",
    "font.family": "sans-serif",
    "font.size": 9,
    "text.color": INK,
    "axes.edgecolor": GRID,
    "axes.labelcolor": SOFT,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
}
_style = threading.Lock()
"""matplotlib's style is a global: one figure is drawn at a time."""


def figure(*, width: float = 4.6, height: float = 2.2) -> tuple[Figure, Axes]:
    """An empty figure of one axes in the style of the pages.

    Args:
        width: In inches.
        height: In inches.
    """
    from matplotlib.figure import Figure

    with styled():
        made = Figure(figsize=(width, height), layout="constrained")
        return made, made.subplots()


@contextmanager
def styled() -> Iterator[None]:
    """What is made herein has the style of the pages: one figure at a time."""
    import matplotlib as mpl

    with _style, mpl.rc_context(_STYLE):
        yield


def svg(drawn: Figure, *, title: str = "", describe: str = "", in_page: bool = True) -> str:
    """A figure as SVG, the same text for the same figure.

    Args:
        drawn: The figure.
        title: What it shows, for who cannot see it.
        describe: More of it.
        in_page: Whether colours are those of the page that it stands in; else they are fixed, as in a file.
    """
    text = _written(drawn, "svg").decode()
    text = text[text.index("<svg") :]
    if in_page:
        for colour, name in _IN_PAGE.items():
            text = text.replace(colour, f"var({name})")
        # It is as wide as its place.
        text = re.sub(r'(<svg [^>]*?)height="[^"]*" ', r"\1", text, count=1)
        text = re.sub(r'(<svg [^>]*?)width="[^"]*"', r"\1", text, count=1)
    told = f"<title>{_plain(title)}</title>" + (f"<desc>{_plain(describe)}</desc>" if describe else "")
    return re.sub(r"(<svg [^>]*)>", lambda found: f'{found[1]} role="img">{told}', text, count=1)


def png(drawn: Figure) -> bytes:
    """A figure as PNG, 144 dots an inch, on white."""
    return _written(drawn, "png", dpi=144, facecolor="white")


def over_time(
    points: Sequence[tuple[datetime, float]],
    *,
    bounds: Mapping[str, float],
    spelled: Any,
    highest: float | None = None,
    links: Sequence[str] = (),
) -> Figure:
    """A figure over time, with the bounds that it has to keep to.

    Args:
        points: When, aware, and how much; the oldest first.
        bounds: Bounds by what they are; dashed.
        spelled: Spells a value.
        highest: What no value is above; none is below 0.
        links: Where a click on a point leads.
    """
    from matplotlib.dates import date2num
    from matplotlib.ticker import MaxNLocator

    drawn, axes = figure()
    times, values = [float(date2num(at)) for at, _ in points], [value for _, value in points]
    axes.plot(times, values, color=SERIES[0], linewidth=1.6, zorder=2)
    dots = axes.scatter(times, values, color=SERIES[0], marker=MARKERS[0], s=22, zorder=3)
    if links:
        dots.set_urls(list(links))
    for (word, bound), colour, style in zip(
        bounds.items(), (SERIES[1], SERIES[3]), ("--", ":"), strict=False
    ):
        axes.axhline(bound, color=colour, linestyle=style, linewidth=1.2)
        axes.annotate(
            word,
            (1, bound),
            xycoords=("axes fraction", "data"),
            xytext=(4, 0),
            textcoords="offset points",
            color=colour,
            fontsize=8,
            verticalalignment="center",
        )
    axes.yaxis.set_major_formatter(lambda value, _: spelled(value))
    axes.margins(y=0.25)
    least, most = axes.get_ylim()
    room = 0.06 * (most - least)
    axes.set_ylim(max(least, -room), most if highest is None else min(most, highest + room))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=4, prune=None, integer=highest is None))
    _dates(axes, times)
    return drawn


def _dates(axes: Axes, times: Sequence[float]) -> None:
    """Few dates, as short as can be."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, num2date

    locator = AutoDateLocator(minticks=2, maxticks=5)
    axes.xaxis_date()
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    axes.grid(visible=False, axis="x")
    if len(set(times)) == 1:
        axes.set_xticks([times[0]], [f"{num2date(times[0]):%Y-%m-%d}"])


def _written(drawn: Figure, form: str, **more: Any) -> bytes:
    out = io.BytesIO()
    metadata = {"Date": None, "Creator": None} if form == "svg" else {"Software": None}
    with styled():
        drawn.savefig(out, format=form, metadata=metadata, **({"transparent": form == "svg"} | more))
    return out.getvalue()


def _plain(text: str) -> str:
    from html import escape

    return escape(text)
