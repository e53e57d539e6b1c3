"""What the values of a column say: for each kind the largest share of values that look like it."""

from __future__ import annotations

import math
from collections.abc import Iterator

from airflow_veil.privacy.classify.evidence import Evidence
from airflow_veil.privacy.classify.look import looks
from airflow_veil.privacy.classify.tally import Tally

_ENOUGH = 20
"""Different values below which no text is taken for what people write."""
_NUMBERED = 100
"""Different numbers below which none coming twice may be by chance: amounts rarely come twice among a few."""
_NAMES = 8
"""Different values below which words that are names, too, may as well be the words of a status."""
_ALPHA_2 = 0.37
"""How many of all pairs of letters are codes of countries (249 of 676)."""
_OF_EIGHTY = 0.12
"""How many of all pairs of letters are codes of regions somewhere."""


def value_evidence(tally: Tally) -> dict[str, Evidence]:
    """The strongest evidence of the values, for each kind that has some."""
    found: dict[str, Evidence] = {}
    for kind, what, share in _all(tally):
        if share > 0 and (kind not in found or share > found[kind].share):
            found[kind] = Evidence("values", what, min(1.0, share))
    return found


def _all(tally: Tally) -> Iterator[tuple[str, str, float]]:
    if tally.tried:
        for look in looks():
            yield look.kind, look.name, tally.look_share(look.name, look.chance) * look.worth
    for rule in (_dates, _people, _places, _few_words, _other_words, _numbers):
        yield from rule(tally)


def _dates(tally: Tally) -> Iterator[tuple[str, str, float]]:
    dates = tally.years.dates / tally.different if tally.different else 0.0
    if tally.years.births:
        yield "birth_date", "dates spread over a lifetime", dates
    else:
        yield "event_date", "dates", dates


def _share(tally: Tally, name: str) -> float:
    return tally.words.hits[name] / tally.words.tried if tally.words.tried else 0.0


def _people(tally: Tally) -> Iterator[tuple[str, str, float]]:
    if tally.most_different < _NAMES:
        return
    first, last = _share(tally, "first name"), _share(tally, "last name")
    only_first, only_last = _share(tally, "only first name"), _share(tally, "only last name")
    if only_first >= only_last:
        yield "first_name", "words that are given names", first
    else:
        yield "last_name", "words that are family names", last
    yield "name", "given and family names together", _share(tally, "full name")


def _places(tally: Tally) -> Iterator[tuple[str, str, float]]:
    yield "street", "streets and house numbers", _share(tally, "street")
    if tally.most_different >= _NAMES:
        yield "city", "names of cities", _share(tally, "city")
    if tally.most_different >= 2:
        yield "country", "names of countries", _share(tally, "country")
        yield "country", "codes of countries", _beyond(_share(tally, "country code"), _ALPHA_2)
        yield "region", "names of regions", _share(tally, "region")
        yield "region", "codes of regions", _beyond(_share(tally, "region code"), _OF_EIGHTY)


def _beyond(share: float, chance: float) -> float:
    """A share less what chance gives."""
    return max(0.0, share - chance) / (1 - chance)


def _few_words(tally: Tally) -> Iterator[tuple[str, str, float]]:
    has = tally.words.has
    if {"men", "women"} <= has:
        yield "gender", "words for men and women", _share(tally, "gender")
    if tally.words.hits["marital status"] >= 2:
        yield "marital_status", "words for being married or not", _share(tally, "marital status")
    if "groups" in has and tally.words.hits["ethnic group"] >= 2:
        yield "ethnicity", "words for groups of people", _share(tally, "ethnic group")
    if tally.words.hits["honorific"] >= 2:
        yield "honorific", "forms of address", _share(tally, "honorific")


def _other_words(tally: Tally) -> Iterator[tuple[str, str, float]]:
    if tally.most_different >= _NAMES:
        yield "job_title", "words that job titles end with", _share(tally, "job title")
        yield "organization", "forms of companies", _share(tally, "company form")
    if tally.most_different >= _ENOUGH:
        # What many rows share was chosen from a list; what people write hardly comes twice.
        written = min(1.0, 2 * tally.uniqueness)
        yield "free_text", "sentences", _share(tally, "sentence") * written


def _numbers(tally: Tally) -> Iterator[tuple[str, str, float]]:
    unique = tally.uniqueness
    if tally.most_different >= _NUMBERED and unique == 1.0 and tally.numbers == tally.whole:
        if tally.numbers or tally.share("digits only") > 0.9:
            yield "record_id", "whole numbers of which none comes twice", 1.0
        elif tally.share("digits") > 0.9 and tally.share("short") > 0.9 and not tally.share("spaces"):
            yield "record_id", "codes of which none comes twice", 0.8
    if math.isfinite(tally.low) and tally.numbers and tally.low >= -180 and tally.high <= 180:
        fine = tally.fine / tally.numbers
        far = tally.high - tally.low > 0 and max(abs(tally.low), abs(tally.high)) > 2
        yield "coordinates", "numbers like degrees, with many digits after the point", fine * 0.3 * far
