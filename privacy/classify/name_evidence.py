"""What a column's name says of it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from airflow_veil.privacy.classify.column_name import words_of
from airflow_veil.privacy.classify.vocabulary import ABOUT, COUNTED, STRONG, THINGS, WEAK

STRONGLY, WEAKLY = 1.0, 0.5
"""How much a phrase counts; a weak one is half of a strong one."""
_PARTLY = 0.85
"""What is left where the phrase is not the whole name, but its end; and half of that where it is not even the end."""


def name_evidence(name: str) -> dict[str, float]:
    """How strongly a column's name speaks for each kind: kind to a number above 0 and up to 1.

    The longest phrase wins at its place: `email address` is an e-mail address and no street. A name that counts
    something, or tells something about it (`email_verified`, `has_phone`, `card_type`), speaks for nothing.
    """
    words = words_of(name)
    if not words or (len(words) > 1 and (words[0] in COUNTED or words[-1] in ABOUT) and not _whole(words)):
        return {}
    found: dict[str, float] = {}
    for start, end, kinds in _longest(words):
        place = _place(len(words), start, end)
        for kind, strength in kinds.items():
            if not _of_a_thing(words, start, kind):
                found[kind] = max(found.get(kind, 0.0), strength * place)
    return found


def _whole(words: tuple[str, ...]) -> bool:
    """Whether the whole name is one phrase, such as `phone number`."""
    return words in _phrases()


def _place(count: int, start: int, end: int) -> float:
    """A phrase tells most as the whole name, and more at its end, where the head of a compound stands."""
    if end - start == count:
        return 1.0
    return _PARTLY if end == count else _PARTLY / 2


def _of_a_thing(words: tuple[str, ...], start: int, kind: str) -> bool:
    """Whether the word before says that it is a thing's and no person's: `product name`."""
    return start > 0 and words[start - 1] in THINGS and kind in _ALSO_OF_THINGS


_ALSO_OF_THINGS = frozenset(
    {"name", "first_name", "username", "street", "phone", "record_id", "url", "job_title", "honorific"}
)


def _longest(words: tuple[str, ...]) -> Iterator[tuple[int, int, dict[str, float]]]:
    """The phrases in a name, from the left, the longest at each place."""
    phrases, start = _phrases(), 0
    while start < len(words):
        ends = range(min(len(words), start + 5), start, -1)
        end = next((end for end in ends if words[start:end] in phrases), 0)
        if end:
            yield start, end, phrases[words[start:end]]
        start = end or start + 1


@lru_cache(maxsize=1)
def _phrases() -> dict[tuple[str, ...], dict[str, float]]:
    """Every phrase, as words, with the kinds that it speaks for; also written as one word."""
    found: dict[tuple[str, ...], dict[str, float]] = {}
    for strength, vocabulary in ((WEAKLY, WEAK), (STRONGLY, STRONG)):
        for kind, phrases in vocabulary.items():
            for phrase in phrases.split(","):
                words = tuple(phrase.split())
                for form in {words, ("".join(words),)}:
                    found.setdefault(form, {})[kind] = strength
    return found
