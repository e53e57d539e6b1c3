"""A first policy for a source: what was found, treated as its class asks for; what is unsure does not leave."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from airflow_veil.privacy.classify.suggestion import Suggestion
from airflow_veil.privacy.policy.models import ColumnClass
from airflow_veil.privacy.policy.types import TYPES, same_type
from airflow_veil.privacy.transforms.family import Family, family_of

_SIMPLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_YAML_WORDS = frozenset("y n yes no on off true false null none".split())  # noqa: SIM905 - a list of words
_WIDTH = 116
_NOTHING_FOUND = 0.9
_FEW = 0.1
"""Columns of which at most so many values differ hold categories rather than people."""


@dataclass(frozen=True, slots=True)
class _Place:
    """A column, and what its treatment has to know.

    Attributes:
        suggestion: What was found.
        type: The column's type at the source.
        subject: The column that names the person, or None.
    """

    suggestion: Suggestion
    type: pa.DataType
    subject: str | None

    @property
    def family(self) -> Family:
        return family_of(self.type)


@dataclass(frozen=True, slots=True)
class _Line:
    """What is written for a column: its treatment, and why."""

    treat: str
    why: str = ""


def policy_stub(suggestions: Sequence[Suggestion], schema: pa.Schema, *, uri: str, name: str) -> str:
    """The text of a policy that passes `veil check`.

    Args:
        suggestions: What was found, in the order of the columns.
        schema: The source's schema.
        uri: Where the source is.
        name: A name for the policy and its one data set: letters, digits and underscores.

    Returns:
        YAML. Every column is named; those of which it is unsure what they hold are dropped, and a comment says so.
    """
    subject = _subject(suggestions, schema)
    places = [_Place(item, schema.field(item.column).type, subject) for item in suggestions]
    return "\n".join([*_head(uri, name, subject, suggestions), *map(_column, places), *_foot(name)]) + "\n"


def _head(uri: str, name: str, subject: str | None, suggestions: Sequence[Suggestion]) -> Iterator[str]:
    yield "# A first policy, made of what the columns look like: read every line, for it is you who answers for it."
    yield "# What is unsure is dropped. `veil check` finds mistakes, `veil plan` shows what becomes of each column."
    yield "version: 1"
    yield f"name: {name}"
    yield "owner: you@example.com    # who answers for this policy"
    yield ""
    yield "datasets:"
    yield f"  {name}:"
    yield f"    source: {json.dumps(uri, ensure_ascii=False)}"
    if subject is not None:
        yield f"    subject: {_quoted(subject)}    # whose data a row is: looks most like it"
    elif any(item.is_personal for item in suggestions):
        yield "    # No column was found that names the person. Name it here, or say why the rows are nobody's."
        yield '    subject: {none: "not decided yet: no column was found that names the person"}'
    else:
        yield "    # Nothing personal was found. Say why the rows are nobody's, or name the column of the person."
        yield '    subject: {none: "not decided yet: no personal data was found in a sample of the rows"}'
    yield "    columns:"


def _foot(name: str) -> Iterator[str]:
    yield ""
    yield "release:"
    yield f"  destination: releases/{name}"
    yield "  classify: true    # stops a release that finds personal data where this policy says none"


def _column(place: _Place) -> str:
    suggestion = place.suggestion
    line = _treated(place)
    words = [f"class: {suggestion.column_class.value}"]
    if suggestion.category is not None:
        words.append(f"category: {suggestion.category}")
    declared = _declared(place.type)
    if declared is not None:
        words.append(f"type: {declared}")
    words.append(f"treat: {line.treat}")
    why = "; ".join(part for part in (_found(suggestion), line.why) if part)
    text = f"      {_quoted(suggestion.column)}: {{{', '.join(words)}}}"
    if not why:
        return text
    return f"{text}    # {why}" if len(text) + len(why) <= _WIDTH else f"      # {why}\n{text}"


def _found(suggestion: Suggestion) -> str:
    if not suggestion.is_personal:
        return ""
    reasons = " and ".join(map(str, suggestion.evidence))
    return f"{suggestion.kind.replace('_', ' ')}, by {reasons}"


def _quoted(name: str) -> str:
    """A column name as a key of YAML."""
    simple = _SIMPLE.fullmatch(name) and name.lower() not in _YAML_WORDS
    return name if simple else json.dumps(name, ensure_ascii=False)


def _declared(kind: pa.DataType) -> str | None:
    """The word that declares a type; None for text, which needs none, and for types that have no word."""
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_dictionary(kind):
        return None
    return next((word for word, known in TYPES.items() if same_type(known.arrow, kind)), None)


def _subject(suggestions: Sequence[Suggestion], schema: pa.Schema) -> str | None:
    """The column that most looks like the person's number, or else like what is a person's alone."""
    for kinds in (
        ("person_id",),
        ("record_id",),
        ("email", "us_ssn", "national_id", "username", "health_id"),
    ):
        able = [s for s in suggestions if s.kind in kinds and _tokens(schema.field(s.column).type)]
        if able:
            return max(able, key=lambda item: (item.different, item.confidence)).column
    return None


def _tokens(kind: pa.DataType) -> bool:
    """Whether `token` takes the type."""
    return family_of(kind) in (Family.TEXT, Family.INTEGER)


def _treated(place: _Place) -> _Line:
    suggestion = place.suggestion
    if suggestion.column == place.subject:
        return _Line("{token: {domain: person}}", "equal numbers stay equal, in every table with this domain")
    if suggestion.kind in _BY_KIND:
        return _BY_KIND[suggestion.kind](place)
    if suggestion.column_class is ColumnClass.NONE:
        return _nothing(place)
    return _Line("drop", "deny by default")


def _nothing(place: _Place) -> _Line:
    """Nothing was found: kept only where there is little that could have been overlooked."""
    suggestion = place.suggestion
    if not suggestion.values:
        return _Line("drop", "empty in the sample: look before you keep it")
    if suggestion.confidence < _NOTHING_FOUND:
        return _Line("drop", "unsure: something speaks for personal data, and not enough")
    if place.family is Family.TEXT and suggestion.different > _FEW:
        return _Line("drop", "nothing was found, but most values differ: look before you keep it")
    if place.family not in (Family.TEXT, Family.BOOLEAN, Family.INTEGER, Family.FLOATING):
        return _Line("drop", "a type that nothing is known of")
    return _Line("keep")


def _only(family: tuple[Family, ...], treat: str, why: str = "") -> Callable[[_Place], _Line]:
    """A treatment where the type is right; dropped where it is not."""
    return lambda place: _Line(treat, why) if place.family in family else _Line("drop", "deny by default")


def _date(place: _Place) -> _Line:
    if place.family not in (Family.DATE, Family.TIMESTAMP):
        return _Line("drop", "declare `type: date` to treat it as a date")
    if place.subject is None:
        return _Line("{generalize: {to: month}}")
    return _Line("{date_shift: {max_days: 30}}", "distances between one person's dates stay")


_TEXT, _WHOLE = (Family.TEXT,), (Family.INTEGER,)
_NUMBER = (Family.INTEGER, Family.FLOATING)
_KEPT = _only((Family.TEXT, Family.INTEGER), "keep", "one of few; with others it can single people out")

_BY_KIND: dict[str, Callable[[_Place], _Line]] = {
    "person_id": _only((Family.TEXT, Family.INTEGER), "{token: {domain: person}}"),
    "record_id": _only((Family.TEXT, Family.INTEGER), "{token: {domain: record}}"),
    "email": _only(_TEXT, "{token: {domain: email}}", "equal addresses stay equal"),
    "first_name": _only(_TEXT, "{fake: {provider: first_name}}"),
    "last_name": _only(_TEXT, "{fake: {provider: last_name}}"),
    "birth_date": _only((Family.DATE, Family.TIMESTAMP), "{generalize: {to: year}}"),
    "event_date": _date,
    "age": _only(_WHOLE, "{generalize: {width: 10}}"),
    "postal_code": _only(_TEXT, "{generalize: {prefix: 2}}"),
    "coordinates": _only((Family.FLOATING,), "{generalize: {geo: 1}}"),
    "income": _only(_NUMBER, "{generalize: {round_to: 1000}}"),
    "gender": _KEPT,
    "marital_status": _KEPT,
    "country": _KEPT,
    "region": _KEPT,
    "education": _KEPT,
    "free_text": _only(_TEXT, "drop", "or `redact`, which finds most of what people write about others"),
}
"""What is suggested by kind; what is not listed does not leave."""
