"""The card of a release: what it is, what was done and what is left of risk, for people who are no engineers.

Markdown and HTML are two spellings of one record, which is read off the manifest alone. It holds names, counts and
figures, and no value of the data.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from airflow_veil.privacy.gate import said
from airflow_veil.privacy.gate.figures import figures_of
from airflow_veil.privacy.pages import chart
from airflow_veil.privacy.pages.frame import template
from airflow_veil.privacy.policy.check_gate import OF_RISK, OF_UTILITY

if TYPE_CHECKING:
    from jinja2 import Template
    from matplotlib.figure import Figure

DONE = {
    "keep": "left as it is",
    "drop": "left out",
    "null": "emptied",
    "constant": "replaced by the same value for everybody",
    "mask": "covered in part",
    "token": "replaced by a token; only the key tells which value it stands for",
    "fpe": "replaced, by a key, by another value of the same form",
    "generalize": "made coarser",
    "date_shift": "moved in time, by as much for all dates of a person",
    "noise": "changed at random",
    "fake": "replaced by an invented value",
    "redact": "names and numbers in the text covered",
}
"""What each treatment does, in plain words."""
CLASSES = {
    "direct_identifier": "names a person",
    "quasi_identifier": "may tell who somebody is, together with others",
    "sensitive": "sensitive",
    "free_text": "free text",
    "none": "tells nothing of who somebody is",
}
"""What each class of columns is, in plain words."""
LIMITS = (
    "Figures of risk are of this release alone, and of somebody who knows what the policy says that others may know.",
    "Who knows more finds more, and several releases together may tell more than one.",
    "A low risk is no proof that nobody can be found.",
    "What a token stands for can be found by who holds the key.",
    "Use it for what it was made for, and until it expires.",
)
"""What holds for every release."""
_GATE = {
    "allow": "It kept to all bounds of the policy, so it went out by itself.",
    "approval": "It needed approval, and was approved.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A chart of a card.

    Attributes:
        title: What it shows.
        describe: The same in a sentence, for who cannot see it.
        draw: Draws it, when a page is made; matplotlib is imported by then only.
        wide: Whether it needs the width of the page.
    """

    title: str
    describe: str
    draw: Callable[[], Figure]
    wide: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A part of a card.

    Attributes:
        title: Its heading.
        said: What it says, a paragraph each.
        columns: Headings of its table; none where it has no table.
        rows: The table.
        pictures: Charts, which pages alone have.
    """

    title: str
    said: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    pictures: tuple[Picture, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """What is told of a release.

    Attributes:
        title: Its data set and policy.
        release_id: Its name.
        sections: Its parts, in order.
    """

    title: str
    release_id: str
    sections: tuple[Section, ...]


def card(manifest: Mapping[str, Any]) -> Card:
    """The card of a published release, from its manifest."""
    if "synthetic" in manifest:
        from airflow_veil.privacy.release.synthetic_card import card_of

        return card_of(manifest)
    figures = figures_of(manifest)
    return Card(
        title=f"{manifest['dataset']} of {manifest['policy']['name']}",
        release_id=manifest["release_id"],
        sections=(
            _origin(manifest),
            _columns(manifest),
            _risk(figures),
            _utility(manifest, figures),
            _budget(manifest, figures),
            _gate(manifest),
            time_of(manifest),
            Section(title="Limits", said=LIMITS),
        ),
    )


def markdown(told: Card) -> str:
    """The card as Markdown."""
    lines = [f"# Release card: {plain(told.title)}", f"Release `{told.release_id}`", ""]
    for section in told.sections:
        lines += [f"## {section.title}", *(f"{plain(text)}\n" for text in section.said)]
        if section.columns:
            lines += [_row(section.columns), _row(("---",) * len(section.columns))]
            lines += [*map(_row, section.rows), ""]
    return "\n".join(lines).rstrip() + "\n"


def html(told: Card, *, back: str | None = None) -> str:
    """The card as a page: one file that loads nothing, and prints.

    Args:
        told: The card.
        back: Where a link leads back to, if there is a page that it was opened from.
    """
    return _template().render(card=told, back=back)


def _origin(manifest: Mapping[str, Any]) -> Section:
    interval, source = manifest["interval"], manifest["source"]
    rows = [
        ("Source", f"{source['namespace']} {source['name']}"),
        ("Answers for it", manifest["policy"]["owner"]),
        ("Made by", manifest["made_by"]),
    ]
    if interval["start"] and interval["end"]:
        rows.insert(1, ("Data of", f"{moment(interval['start'])} to {moment(interval['end'])}"))
    return Section(title="Where it comes from", columns=("What", "Which"), rows=tuple(rows))


def _columns(manifest: Mapping[str, Any]) -> Section:
    columns = manifest.get("plan", {}).get("columns", ())
    rows = tuple(
        (column["name"], CLASSES.get(column["class"], column["class"]), _done(column)) for column in columns
    )
    unnamed = len(manifest.get("plan", {}).get("unnamed", ()))
    text = (
        f"Columns of the source that the policy does not name, and that stay behind: {unnamed}.",
        *_anonymized(manifest),
    )
    if not columns:
        return Section(
            title="What was done to each column", said=("No row leaves: this is the answer to a query.",)
        )
    return Section(
        title="What was done to each column",
        said=text,
        columns=("Column", "What it is", "What was done"),
        rows=rows,
    )


def _anonymized(manifest: Mapping[str, Any]) -> tuple[str, ...]:
    """What was done to columns together, after each was treated for itself."""
    done = manifest.get("anonymization")
    if not done:
        return ()
    levels, heights = done["recoding"]["levels"], done["recoding"]["heights"]
    told = ", ".join(f"{name} by {level} of {heights[name]} steps" for name, level in levels.items())
    coarser = f"Then columns were made coarser together, until enough people look alike: {told}."
    lost = f"Rows left out for it: {done['suppressed_rows']:,}; cells emptied: {done['suppressed_cells']:,}."
    return (f"{coarser} {lost}",)


def _done(column: Mapping[str, Any]) -> str:
    ((word, parameters),) = column["treat"].items()
    text = DONE.get(word, word)
    if word == "generalize":
        text += f" ({json.dumps(parameters, sort_keys=True)[1:-1].replace(chr(34), '')})"
    if column["properties"]["reversible"] and column["key_domain"]:
        text += "; who holds the key can turn it back"
    return f"{text}. Left so because: {column['unsafe_reason']}" if column["unsafe_reason"] else text


def _risk(figures: Mapping[str, Any]) -> Section:
    title = "How likely somebody is found"
    words = [word for word in said.WORDS if word in OF_RISK and word in figures]
    if not words:
        return Section(title=title, said=("This was not measured.",))
    if all(figures[word] is None for word in words):
        return Section(
            title=title, said=("Nothing leaves by which people could be told from their neighbours.",)
        )
    rows = tuple((said.WORDS[word], said.figure(word, figures[word])) for word in words)
    return Section(title=title, columns=("Figure", "Of this release"), rows=rows)


def _utility(manifest: Mapping[str, Any], figures: Mapping[str, Any]) -> Section:
    rows = manifest.get("output", {}).get("rows")
    text = [f"It has {rows:,} rows."] if isinstance(rows, int) else []
    if figures.get("kept_rows") is not None:
        text.append(f"{said.figure('kept_rows', figures['kept_rows'])} of the source's rows are kept.")
    title, told = "What it is still good for", manifest.get("utility")
    if not told or not OF_UTILITY & set(figures):
        return Section(title=title, said=tuple(text) or ("This was not measured.",))
    text += [
        f"{said.WORDS[word]}: {said.figure(word, figures[word])}."
        for word in said.WORDS
        if word in OF_UTILITY and word in figures
    ]
    columns = tuple(
        (each["column"], _share(each["distance"], "other values"), _share(each["loss"], "not known"))
        for each in told["columns"]
    )
    headings = ("Column", "Distance from the source's values", "Detail that was lost")
    return Section(title=title, said=tuple(text), columns=headings, rows=columns)


def _share(figure: float | None, otherwise: str) -> str:
    return otherwise if figure is None else f"{figure:.3g}"


def _budget(manifest: Mapping[str, Any], figures: Mapping[str, Any]) -> Section:
    words = manifest.get("differential_privacy", {}).get("words")
    if words:
        return Section(title="Privacy budget", said=tuple(words))
    text = ["It spends no privacy budget: it is rows, and no noisy statistic."]
    if figures.get("budget_max") is not None:
        spent = said.figure("budget_max", figures["budget_max"])
        text.append(f"When it was decided on, {spent} of the policy's budget for statistics was spent.")
    return Section(title="Privacy budget", said=tuple(text))


def _gate(manifest: Mapping[str, Any]) -> Section:
    title, held = "Who let it out", manifest.get("gate")
    if not held:
        return Section(title=title, said=("The policy has no gate: nobody had to decide.",))
    text = (_GATE.get(held["outcome"], held["outcome"]), *map(said.reason, held["reasons"]))
    rows = tuple(
        (each["name"] or each["by"], moment(each["at"]), moment(each["until"]), each["reason"])
        for each in held["approvals"]
    )
    return Section(title=title, said=text, columns=("Who", "When", "Until", "Why") if rows else (), rows=rows)


def time_of(manifest: Mapping[str, Any]) -> Section:
    """How long a release may be used."""
    expires = manifest.get("expires_at")
    until = (
        f"Do not use it after {moment(expires)}." if expires else "The policy says no time when it expires."
    )
    return Section(title="How long", said=(f"Published on {moment(manifest['published_at'])}.", until))


def moment(text: str) -> str:
    """A time as people write it."""
    told = datetime.fromisoformat(text)
    return f"{told.day} {told:%B %Y, %H:%M} {told.tzname() or ''}".strip()


def _row(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(map(plain, cells))} |"


def plain(text: str) -> str:
    """Somebody's text, of which nothing is markup."""
    one_line = " ".join(text.split())
    return "".join(f"\\{each}" if each in "\\`*[]<>|#" else each for each in one_line)


@cache
def _template() -> Template:
    return template(__package__, "card.html", {"svg": _svg})


def _svg(picture: Picture) -> Markup:
    return Markup(chart.svg(picture.draw(), title=picture.title, describe=picture.describe))  # noqa: S704 - ours
