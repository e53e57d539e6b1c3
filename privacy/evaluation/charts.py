"""An evaluation as charts: distributions over each other, differences of associations, attacks with their intervals.

All are of private rows, so they are as internal as the figures. None shows a value that fewer than ten people of the
hold-out have: rarer categories are one bar, `other`, and left out where even together they are too few; numbers end at
the hundredths of the hold-out, what lies beyond is in the last bin, and bins of fewer people are empty.

Colours are Okabe's and Ito's, which people with any colour vision tell apart, and no difference is by colour alone.
Figures are made by matplotlib's objects, without a window and without state.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_veil.privacy.errors import SchemaError
from airflow_veil.privacy.evaluation.evaluate import Evaluation
from airflow_veil.privacy.evaluation.tables import Trio, is_number, known, numbers
from airflow_veil.privacy.lazy import np, pa, pc
from airflow_veil.privacy.pages.chart import SERIES
from airflow_veil.privacy.risk.association import cramers_v, pearson
from airflow_veil.privacy.risk.utility import binned

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FEWEST = 10
"""People of the hold-out that a bar stands for at least."""
MOST_BARS = 8
MOST_COLUMNS = 15
BINS = 20
_LONGEST = 16
_BLUE, _VERMILION = SERIES[:2]
_GREY = "#6b6b6b"
_PANELS = 3


def distributions(trio: Trio, columns: Sequence[str] | None = None, *, fewest: int = FEWEST) -> Figure:
    """The distribution of each column: the hold-out's and the synthetic rows' over each other.

    Args:
        trio: The three tables.
        columns: Which columns; the first 15 if not said.
        fewest: People of the hold-out that a bar stands for at least.

    Raises:
        SchemaError: A column is not there.
    """
    names = list(columns or trio.columns[:MOST_COLUMNS])
    missing = [name for name in names if name not in trio.columns]
    if missing:
        raise SchemaError(f"there is no column {', '.join(missing)}", where="chart of distributions")
    holdout, synthetic = known(trio.holdout), known(trio.synthetic)
    high = -(-len(names) // _PANELS)
    figure = _figure(11, 0.9 + 2.3 * high)
    for place, name in enumerate(names):
        axes = figure.add_subplot(high, _PANELS, place + 1)
        sides = (holdout.column(name), synthetic.column(name))
        if all(is_number(side.type) for side in sides):
            _of_numbers(axes, numbers(sides[0]), numbers(sides[1]), fewest)
        else:
            _of_categories(axes, sides[0].cast(pa.string()), sides[1].cast(pa.string()), fewest)
        axes.set_title(name, fontsize=10, parse_math=False)
        axes.set_ylabel("share", fontsize=8)
        _plain(axes)
    figure.legend(
        *_handles(("hold-out", _BLUE), ("synthetic", _VERMILION)),
        loc="outside upper right",
        ncols=2,
        frameon=False,
    )
    figure.suptitle("Distributions of hold-out and synthetic rows", x=0.01, ha="left", fontsize=12)
    return _settled(figure)


def correlations(trio: Trio, columns: Sequence[str] | None = None) -> Figure:
    """How much stronger pairs of columns go together in the synthetic rows than in the hold-out.

    Pearson's correlation of two columns of numbers, Cramér's V of others. Grey where one does not vary.

    Args:
        trio: The three tables.
        columns: Which columns; the first 15 if not said.

    Raises:
        SchemaError: A column is not there.
    """
    names = list(columns or trio.columns[:MOST_COLUMNS])
    gap = np.full((len(names), len(names)), np.nan)
    tables = [_comparable(known(table)) for table in (trio.holdout, trio.synthetic)]
    for one, other in combinations(range(len(names)), 2):
        before, after = (_association(table, names[one], names[other]) for table in tables)
        if before is not None and after is not None:
            gap[one, other] = gap[other, one] = after - before
    side = 2.2 + 0.5 * len(names)
    figure = _figure(side + 1.2, side)
    axes = figure.add_subplot(1, 1, 1)
    axes.set_facecolor("#DDDDDD")
    shown = axes.imshow(gap, cmap="PuOr", vmin=-1, vmax=1)
    for row, column in zip(*np.nonzero(np.isfinite(gap)), strict=True):
        value = gap[row, column]
        axes.text(
            column, row, f"{round(value, 2) + 0.0:.2f}", ha="center", va="center", fontsize=7,
            color="white" if abs(value) > 0.6 else "black",
        )  # fmt: skip
    axes.set_xticks(range(len(names)), names, rotation=60, ha="right", fontsize=8, parse_math=False)
    axes.set_yticks(range(len(names)), names, fontsize=8, parse_math=False)
    bar = figure.colorbar(shown, ax=axes, shrink=0.7)
    bar.set_label("synthetic less hold-out", fontsize=9)
    axes.set_title("Difference of associations", fontsize=12, loc="left")
    return _settled(figure)


def attack_rates(evaluation: Evaluation) -> Figure:
    """How well attacks did, and how much better on the training rows, with intervals.

    Args:
        evaluation: What was found out.

    Raises:
        SchemaError: matplotlib is not installed.
    """
    lines = list(_lines(evaluation))
    figure = _figure(11, 1.7 + 0.42 * len(lines))
    left, right = figure.subplots(1, 2, sharey=True)
    at = np.arange(len(lines))[::-1]
    for values, marker, colour, label in (
        ([line.rate for line in lines], "o", _VERMILION, "training rows"),
        ([line.control for line in lines], "s", _BLUE, "hold-out"),
        ([line.guess for line in lines], "x", _GREY, "guessing"),
    ):
        given = [(value, y) for value, y in zip(values, at, strict=True) if value is not None]
        left.plot(*zip(*given, strict=True), marker, color=colour, label=label, markersize=6, alpha=0.9)
    left.set_xlim(-0.03, 1.03)
    left.set_xlabel("share of guesses that are right")
    left.set_yticks(at, [line.name for line in lines], fontsize=9, parse_math=False)
    left.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, frameon=False, fontsize=9)
    right.axvline(0, color=_GREY, linewidth=1, linestyle="--")
    for line, y in zip(lines, at, strict=True):
        if line.excess is None:
            right.text(0.02, y, "not measured", va="center", fontsize=8, color=_GREY)
            continue
        middle, low, high = line.excess
        right.plot([low, high], [y, y], "-", color=_VERMILION, linewidth=2)
        right.plot([middle], [y], "o", color=_VERMILION, markersize=5)
        right.text(min(high, 1.0) + 0.03, y, f"{middle:.3f}", va="center", fontsize=8)
    right.set_xlim(-0.25, 1.2)
    percent = f"{evaluation.asked.confidence * 100:g} %"
    right.set_xlabel(f"more than the hold-out tells, with {percent} intervals")
    for axes in (left, right):
        _plain(axes)
        axes.grid(axis="x", color="#E5E5E5", linewidth=0.7)
    return _settled(figure)


class _Line(NamedTuple):
    """A line of the chart of attacks."""

    name: str
    rate: float | None
    control: float | None
    guess: float | None
    excess: tuple[float, float, float] | None


def _lines(evaluation: Evaluation) -> Iterator[_Line]:
    for attack in evaluation.attacks:
        name = f"{attack.name}, {attack.column}" if attack.column else attack.name
        excess = None
        if attack.risk is not None and attack.low is not None and attack.high is not None:
            excess = (attack.risk, attack.low, attack.high)
        yield _Line(name, attack.rate, attack.control, attack.baseline, excess)
    for shadowed in evaluation.membership.attacks if evaluation.membership else ():
        for each in shadowed.at:
            name = f"membership, {shadowed.name}, {each.fpr * 100:g} % wrong"
            if each.tpr is None or each.low is None or each.high is None:
                yield _Line(name, None, None, each.fpr, None)
            else:
                excess = (each.tpr - each.fpr, each.low - each.fpr, each.high - each.fpr)
                yield _Line(name, each.tpr, each.fpr, each.fpr, excess)
    found = evaluation.matches
    for name, match in (("match, the worst columns", found.worst), ("match, whole rows", found.rows)):
        yield _Line(name, match.rate, match.control, None, (match.excess, match.low, match.high))


def _of_numbers(
    axes: Axes, holdout: np.ndarray[Any, Any], synthetic: np.ndarray[Any, Any], fewest: int
) -> None:
    real = holdout[np.isfinite(holdout)]
    if len(real) < fewest:
        axes.text(0.5, 0.5, "too few people", ha="center", va="center", transform=axes.transAxes)
        return
    low, high = np.quantile(real, (0.01, 0.99))
    edges = np.linspace(low, high if high > low else low + 1, BINS + 1)
    for values, colour, filled, least in ((real, _BLUE, True, fewest), (synthetic, _VERMILION, False, 1)):
        kept = values[np.isfinite(values)]
        counts = np.histogram(np.clip(kept, edges[0], edges[-1]), edges)[0]
        shares = np.where(counts >= least, counts, 0) / max(len(kept), 1)
        axes.locator_params(axis="x", nbins=5)
        axes.stairs(shares, edges, fill=filled, color=colour, alpha=0.45 if filled else 1, linewidth=1.6)


def _of_categories(axes: Axes, holdout: pa.ChunkedArray, synthetic: pa.ChunkedArray, fewest: int) -> None:
    counts = [
        dict(zip(each.field(0).to_pylist(), each.field(1).to_pylist(), strict=True))
        for each in (
            pc.value_counts(side.fill_null("(null)").combine_chunks()) for side in (holdout, synthetic)
        )
    ]
    frequent = sorted((name for name in counts[0] if counts[0][name] >= fewest), key=lambda n: -counts[0][n])
    shown = frequent[:MOST_BARS]
    bars = [[count.get(name, 0) for name in shown] for count in counts]
    rest = [sum(count.values()) - sum(bar) for count, bar in zip(counts, bars, strict=True)]
    labels = [_short(name) for name in shown]
    if rest[0] >= fewest:
        labels.append("other")
        bars = [[*bar, more] for bar, more in zip(bars, rest, strict=True)]
    if not labels:
        axes.text(0.5, 0.5, "all values are rare", ha="center", va="center", transform=axes.transAxes)
        return
    at = np.arange(len(labels))
    for bar, count, shift, colour, hatch in zip(
        bars, counts, (-0.2, 0.2), (_BLUE, _VERMILION), ("", "///"), strict=True
    ):
        shares = np.array(bar) / max(sum(count.values()), 1)
        axes.bar(
            at + shift, shares, 0.4, color=colour, alpha=0.75, hatch=hatch, edgecolor="white", linewidth=0
        )
    axes.set_xticks(at, labels, rotation=40, ha="right", fontsize=7, parse_math=False)


def _short(name: str) -> str:
    """A value as a label: short, and of characters that can be seen."""
    seen = "".join(letter if letter.isprintable() else "·" for letter in name)
    return seen if len(seen) <= _LONGEST else f"{seen[: _LONGEST - 1]}…"


def _comparable(table: pa.Table) -> pa.Table:
    """Dates and times as numbers, so that they have a correlation."""
    columns = [
        pa.chunked_array([pa.array(numbers(column))]) if is_number(column.type) else column
        for column in table.columns
    ]
    return pa.table(columns, names=table.column_names)


def _association(table: pa.Table, one: str, other: str) -> float | None:
    sides = [table.column(name) for name in (one, other)]
    if all(is_number(side.type) for side in sides):
        return pearson(*(numbers(side) for side in sides))
    return cramers_v(*(binned(table, name) for name in (one, other)))


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _settled(figure: Figure) -> Figure:
    """The chart with its layout fixed, which would go on moving each time that it is saved."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    return figure


def _handles(*labels: tuple[str, str]) -> tuple[list[Any], list[str]]:
    from matplotlib.patches import Patch

    hatches = ("", "///")
    return (
        [
            Patch(facecolor=colour, alpha=0.75, hatch=hatch, edgecolor="white")
            for (_, colour), hatch in zip(labels, hatches, strict=True)
        ],
        [label for label, _ in labels],
    )


def _plain(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)
