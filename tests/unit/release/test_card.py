"""The card of a release: both spellings say the same, in words, and nothing in it is markup or a value."""

from __future__ import annotations

import html as html_module
import re

from tests.unit.release.conftest import Shop
from tests.unit.release.test_gate import ASK, LET, approve, gated, publish

from airflow_veil.privacy.policy.models import ColumnClass
from airflow_veil.privacy.release.card import CLASSES, DONE, Card, card, html, markdown
from airflow_veil.privacy.transforms.registry import TRANSFORMS


def of(shop: Shop, gate: str, *people: str, reason: str = "ticket 4711") -> Card:
    """The card of a release that went through a gate."""
    reference, _ = gated(shop, gate)
    for by in people:
        approve(shop, reference, by, reason=reason)
    return card(shop.destination.manifest("people", publish(shop, reference).release_id))


def test_every_word_is_told() -> None:
    """A treatment or class that is added needs its words."""
    assert DONE.keys() == TRANSFORMS.keys()
    assert CLASSES.keys() == set(ColumnClass)


def test_both_spellings_say_the_same(shop: Shop) -> None:
    """Every cell and paragraph of the record is in the Markdown and on the page."""
    told = of(shop, LET)

    page, text = html_module.unescape(html(told)), markdown(told).replace("\\", "")
    parts = [
        p for s in told.sections for p in (s.title, *s.said, *s.columns, *(c for r in s.rows for c in r))
    ]
    assert len(parts) > 40
    assert not [part for part in parts if part not in page or part not in text]


def test_what_a_reader_looks_for(shop: Shop) -> None:
    """Each part of a card, by what the manifest says."""
    text = markdown(of(shop, LET))

    for line in (
        "| born | may tell who somebody is, together with others | made coarser (to: year) |",
        "| name | names a person | left out |",
        "| Size of the smallest group of look-alikes | 1 |",
        # What was never treated has no key that turns it back.
        "| country | may tell who somebody is, together with others | left as it is |",
        "It has 50 rows.",
        "100 % of the source's rows are kept.",
        "It kept to all bounds of the policy, so it went out by itself.",
    ):
        assert line in text
    assert "turn it back" in text
    assert "Do not use it after" in text


def test_reasons_are_no_markup(shop: Shop) -> None:
    """What somebody wrote stays text, on the page and in a table of Markdown."""
    told = of(shop, ASK, "anna", "ben", reason="<script>x</script> | [a](b)\n# c")

    assert "<script" not in html(told)
    assert re.search(r"\| Anna \|.*\\<script\\>x\\</script\\> \\\| \\\[a\\\]\(b\) \\# c \|", markdown(told))


def test_no_value(shop: Shop) -> None:
    """Names, counts and figures only."""
    told = of(shop, LET)

    assert "Canary" not in html(told) + markdown(told)


def test_anonymizing_is_told(shop: Shop) -> None:
    """What was done to columns together stands beside what was done to each."""
    reference, _ = gated(shop, LET)
    manifest = shop.destination.manifest("people", publish(shop, reference).release_id)
    recoding = {"levels": {"born": 1, "country": 0}, "heights": {"born": 2, "country": 1}}
    done = {"recoding": recoding, "suppressed_rows": 1200, "suppressed_cells": 0}

    text = markdown(card({**manifest, "anonymization": done}))

    assert (
        "born by 1 of 2 steps, country by 0 of 1 steps. Rows left out for it: 1,200; cells emptied: 0."
        in text
    )
