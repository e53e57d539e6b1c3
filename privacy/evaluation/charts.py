"""An evaluation as charts: distributions over each other, differences of associations, attacks with their intervals.

They draw what `shown` tells, and nothing else: for a file, where all columns are one picture, or for a page, where each
has its own. Colours are those of the pages, and no difference is by colour alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_veil.privacy.evaluation.shown import Associations, Attack, Distribution
from airflow_veil.privacy.lazy import np
from airflow_veil.privacy.pages.chart import GRID, SERIES, SOFT, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LONGEST = 16
_BLUE, _VERMILION = SERIES[:2]
_PANELS = 3
_DAY = 86_400
_NO_GAP = "#dddddd"
"""Where there is no difference; the cells beside it have colours of their own on any paper."""


def distributions(told: Sequence[Distribution]) -> Figure:
    """The distributions of columns, three beside each other."""
    with styled():
        high = -(-len(told) // _PANELS)
        figure = _figure(11, 0.9 + 2.3 * high)
        for place, each in enumerate(told):
            axes = figure.add_subplot(high, _PANELS, place + 1)
            _draw(axes, each)
            axes.set_title(each.column, fontsize=10)
        figure.legend(handles=_handles(), loc="outside upper right", ncols=2, frameon=False)
        figure.suptitle("Distributions of hold-out and synthetic rows", x=0.01, ha="left", fontsize=12)
        return _settled(figure)


def distribution(told: Distribution) -> Figure:
    """The distribution of one column, for a page that names it."""
    with styled():
        figure = _figure(4.6, 2.4)
        _draw(figure.add_subplot(), told)
        figure.legend(handles=_handles(), loc="outside upper right", ncols=2, frameon=False, fontsize=8)
        return _settled(figure)


def associations(told: Associations) -> Figure:
    """How much stronger pairs of columns go together in the synthetic rows; no colour where nothing is known."""
    with styled():
        names = [_short(name) for name in told.columns]
        gap = np.array(
            [[np.nan if each is None else each for each in row] for row in told.gaps], np.float64
        ).reshape(len(names), len(names))
        side = 2.2 + 0.5 * len(names)
        figure = _figure(side + 1.2, side)
        axes = figure.add_subplot()
        axes.set_facecolor(_NO_GAP)
        axes.grid(visible=False)
        # Cells as shapes: a page takes no picture within a drawing.
        image = axes.pcolormesh(gap, cmap="PuOr", vmin=-1, vmax=1)
        axes.invert_yaxis()
        for row, column in zip(*np.nonzero(np.isfinite(gap)), strict=True):
            value = gap[row, column]
            axes.text(
                column + 0.5, row + 0.5, f"{round(value, 2) + 0.0:.2f}", ha="center", va="center", fontsize=7,
                color="white" if abs(value) > 0.6 else "black",
            )  # fmt: skip
        middles = np.arange(len(names)) + 0.5
        axes.set_xticks(middles, names, rotation=60, ha="right", fontsize=8)
        axes.set_yticks(middles, names, fontsize=8)
        axes.set_aspect("equal")
        bar = figure.colorbar(image, ax=axes, shrink=0.7)
        if bar.solids is not None:
            bar.solids.set_rasterized(False)
            bar.solids.set_edgecolor("face")
        bar.set_label("synthetic less hold-out", fontsize=9)
        axes.set_title("Difference of associations", fontsize=12, loc="left")
        return _settled(figure)


def attacks(told: Sequence[Attack], confidence: float) -> Figure:
    """How well attacks did, and how much better on the training rows, with intervals.

    Args:
        told: The attacks, the first at the top.
        confidence: Of the intervals.
    """
    with styled():
        figure = _figure(11, 1.7 + 0.42 * len(told))
        left, right = figure.subplots(1, 2, sharey=True)
        at = np.arange(len(told))[::-1]
        _rates(left, told, at)
        left.set_yticks(at, [each.name for each in told], fontsize=9)
        _excess(right, told, at)
        right.set_xlabel(f"more than the hold-out tells, with {confidence * 100:g} % intervals")
        for axes in (left, right):
            axes.grid(visible=False, axis="y")
        return _settled(figure)


def _rates(axes: Axes, told: Sequence[Attack], at: Any) -> None:
    for values, marker, colour, label in (
        ([each.rate for each in told], "o", _VERMILION, "training rows"),
        ([each.control for each in told], "s", _BLUE, "hold-out"),
        ([each.guess for each in told], "x", SOFT, "guessing"),
    ):
        given = [(value, y) for value, y in zip(values, at, strict=True) if value is not None]
        axes.plot(
            [value for value, _ in given], [y for _, y in given],
            marker, color=colour, label=label, markersize=6, alpha=0.9,
        )  # fmt: skip
    axes.set_xlim(-0.03, 1.03)
    axes.set_xlabel("share of guesses that are right")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, frameon=False, fontsize=9)


def _excess(axes: Axes, told: Sequence[Attack], at: Any) -> None:
    axes.axvline(0, color=SOFT, linewidth=1, linestyle="--")
    for each, y in zip(told, at, strict=True):
        if each.excess is None:
            axes.text(0.02, y, "not measured", va="center", fontsize=8, color=SOFT)
            continue
        middle, low, high = each.excess
        axes.plot([low, high], [y, y], "-", color=_VERMILION, linewidth=2)
        axes.plot([middle], [y], "o", color=_VERMILION, markersize=5)
        axes.text(min(high, 1.0) + 0.03, y, f"{middle:.3f}", va="center", fontsize=8)
    axes.set_xlim(-0.25, 1.2)


def _draw(axes: Axes, told: Distribution) -> None:
    axes.set_ylabel("share", fontsize=8)
    axes.tick_params(labelsize=8)
    axes.grid(visible=False, axis="x")
    if not told.bins:
        word = "all values are rare" if told.kind == "categories" else "too few people"
        axes.text(0.5, 0.5, word, ha="center", va="center", transform=axes.transAxes)
    elif told.kind == "categories":
        _bars(axes, told)
    else:
        _stairs(axes, told)


def _bars(axes: Axes, told: Distribution) -> None:
    at = np.arange(len(told.bins))
    for shares, shift, colour, hatch in (
        (told.holdout, -0.2, _BLUE, ""),
        (told.synthetic, 0.2, _VERMILION, "///"),
    ):
        axes.bar(at + shift, shares, 0.4, color=colour, alpha=0.75, hatch=hatch, edgecolor=GRID, linewidth=0)
    axes.set_xticks(at, [_short(str(label)) for label in told.bins], rotation=40, ha="right", fontsize=7)


def _stairs(axes: Axes, told: Distribution) -> None:
    edges = np.array(told.bins, np.float64)
    if told.kind == "times":
        from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

        edges /= _DAY
        locator = AutoDateLocator(minticks=2, maxticks=5)
        axes.xaxis_date()
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    else:
        axes.locator_params(axis="x", nbins=5)
    axes.stairs(told.holdout, edges, fill=True, color=_BLUE, alpha=0.45)
    axes.stairs(told.synthetic, edges, fill=False, color=_VERMILION, linewidth=1.6)


def _short(name: str) -> str:
    """A value as a label: short, and of characters that can be seen."""
    seen = "".join(letter if letter.isprintable() else "·" for letter in name)
    return seen if len(seen) <= _LONGEST else f"{seen[: _LONGEST - 1]}…"


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _settled(figure: Figure) -> Figure:
    """The chart with its layout fixed, which would go on moving each time that it is saved."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    return figure


def _handles() -> list[Any]:
    from matplotlib.patches import Patch

    return [
        Patch(facecolor=_BLUE, alpha=0.75, label="hold-out"),
        Patch(facecolor=_VERMILION, alpha=0.75, hatch="///", edgecolor=GRID, label="synthetic"),
    ]
