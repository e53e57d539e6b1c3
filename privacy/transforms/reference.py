"""The reference of treatments, written from the registry: `python -m airflow_veil.privacy.transforms.reference`.

What a page says of a treatment is what its class says: the docstring, the fields and their docstrings, and the
properties of the examples. The contract tests run over the same examples.
"""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import yaml

from airflow_veil.privacy.transforms.base import Properties, RowFilter, Transform
from airflow_veil.privacy.transforms.registry import ROW_FILTERS, TRANSFORMS

Parameters = Mapping[str, Any]

EXAMPLES: Mapping[str, tuple[Parameters, ...]] = {
    "keep": ({},),
    "drop": ({},),
    "null": ({},),
    "constant": ({"value": "redacted"}, {"value": 0, "keep_nulls": True}),
    "mask": (
        {},
        {"keep_last": 4},
        {"keep_first": 6, "keep_last": 4, "min_masked": 6},
        {"length": 8, "with": "x"},
        {"style": "email", "keep_first": 1, "keep_domain": True},
        {"style": "name"},
    ),
    "token": ({"domain": "customer"}, {"domain": "email", "reversible": True}),
    "fpe": ({"keep_last": 4, "luhn": True}, {"alphabet": "alphanumeric", "length": 8, "domain": "order"}),
    "generalize": (
        {"width": 10},
        {"width": 5, "bottom": 18, "top": 90, "label": "lower"},
        {"edges": [0, 18, 65]},
        {"round_to": 100},
        {"digits": 1},
        {"top": 90, "label": "interval"},
        {"to": "year"},
        {"to": "month"},
        {"to": "year", "label": "lower"},
        {"prefix": 3, "pad_with": "*"},
        {"network": {"v4": 24, "v6": 48}},
        {"geo": 2},
        {"hierarchy": {"file": "diagnoses.csv", "level": 1}},
    ),
    "date_shift": ({}, {"max_days": 30, "null_subject": "null"}),
    "noise": ({"scale": 5.0}, {"scale": 0.1, "relative": True, "by": "value"}),
    "fake": ({"provider": "name"}, {"provider": "email", "by": "value", "pool": 100}),
    "redact": ({}, {"kinds": ["email", "phone"], "names_from": ["first_name", "last_name"]}),
    "where": ({"expression": "country == 'UK' and age >= 18 and not (status in ['test', 'staff'])"},),
    "sample": ({"fraction": 0.1},),
}
"""Parameters of each word, as a policy could write them."""

_PROPERTIES = ("deterministic", "reversible", "unique", "hides_length", "masks", "nulls")
_KINDS = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false"}
_INTRODUCTION = """\
# Treatments

<!-- Written by `python -m airflow_veil.privacy.transforms.reference > docs/transforms.md`; do not edit. -->

What can become of a column (`treat:`, exactly one) and which rows leave (`where:`, `sample:`). Each treatment
declares what its result still tells:

- **deterministic**: equal values give equal results, whatever the row, so that the column can be joined and
  counted, and frequencies show;
- **reversible**: whoever holds the key can have the value back;
- **unique**: distinct values give distinct results;
- **hides length**: the length of the result tells nothing of the value's;
- **masks**: the result does not hold the value; this is what lineage reports as `masking`;
- **nulls**: nulls are `kept`, `filled`, or `all` becomes null.
"""


def render() -> str:
    """The reference as Markdown."""
    words: dict[str, type[Transform | RowFilter]] = {**TRANSFORMS, **ROW_FILTERS}
    pages = [_INTRODUCTION, *_overview(words)]
    for word, cls in words.items():
        pages += ["", f"## {word}", "", inspect.getdoc(cls) or "", *_fields(cls), *_examples(word, cls)]
    return "\n".join(pages).rstrip() + "\n"


def _overview(words: Mapping[str, type[Transform | RowFilter]]) -> Iterator[str]:
    rows = (
        (f"[`{word}`](#{word})", cls.step.value if issubclass(cls, Transform) else "rows", _first_line(cls))
        for word, cls in words.items()
    )
    yield from _table(("treatment", "step", "what it does"), rows)


def _first_line(cls: type) -> str:
    return (inspect.getdoc(cls) or "").partition("\n")[0]


def _fields(cls: type[Transform | RowFilter]) -> Iterator[str]:
    """The parameters, those of nested mappings with a dot."""
    schema = cls.model_json_schema()
    rows = list(_rows(schema, schema.get("$defs", {}), ""))
    if rows:
        yield ""
        yield from _table(("parameter", "values", "default", "meaning"), rows)


def _rows(schema: Parameters, shared: Parameters, above: str) -> Iterator[tuple[str, ...]]:
    for name, field in schema.get("properties", {}).items():
        needed = name in schema.get("required", ())
        default = "" if needed or field.get("default") is None else f"`{json.dumps(field['default'])}`"
        yield (
            f"`{above}{name}`",
            _values(field, shared),
            "required" if needed else default,
            field["description"],
        )
        for option in field.get("anyOf", [field]):
            if "$ref" in option:
                yield from _rows(shared[option["$ref"].rpartition("/")[2]], shared, f"{above}{name}.")


def _values(field: Parameters, shared: Parameters) -> str:
    """What a parameter takes, in words."""
    if "anyOf" in field:
        options = (_values(option, shared) for option in field["anyOf"] if option.get("type") != "null")
        return " or ".join(dict.fromkeys(options))
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"] if value is not None)
    if "const" in field:
        return f"`{field['const']}`"
    if "$ref" in field:
        return "mapping"
    if field.get("type") == "array":
        items = {_values(item, shared) for item in field.get("prefixItems", [field.get("items", {})])}
        return f"list of {' or '.join(sorted(items))}"
    return _KINDS.get(field.get("type", ""), "text") + _bounds(field)


def _bounds(field: Parameters) -> str:
    """The limits of a number."""
    limits = ("minimum", "from"), ("exclusiveMinimum", "above"), ("maximum", "to")
    return "".join(f" {word} {field[limit]}" for limit, word in limits if limit in field)


def _examples(word: str, cls: type[Transform | RowFilter]) -> Iterator[str]:
    yield ""
    if issubclass(cls, RowFilter):
        yield "```yaml"
        yield from (written(word, example) for example in EXAMPLES[word])
        yield "```"
        return
    rows = (
        (f"`{written(word, example)}`", *_promises(cls.model_validate(example).properties))
        for example in EXAMPLES[word]
    )
    yield from _table(("example", *(name.replace("_", " ") for name in _PROPERTIES)), rows)


def written(word: str, parameters: Parameters) -> str:
    """A treatment as a policy writes it, on one line."""
    if not parameters:
        return f"treat: {word}"
    told = yaml.safe_dump(
        dict(parameters), default_flow_style=True, sort_keys=False, width=sys.maxsize
    ).strip()
    return f"{word}: {told}" if word in ROW_FILTERS else f"treat: {{{word}: {told}}}"


def _promises(properties: Properties) -> Iterator[str]:
    for name in _PROPERTIES:
        value = getattr(properties, name)
        yield value if isinstance(value, str) else ("yes" if value else "no")


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    names = tuple(head)
    for row in (names, ("---",) * len(names), *rows):
        yield f"| {' | '.join(' '.join(cell.split()).replace('|', chr(92) + '|') for cell in row)} |"


if __name__ == "__main__":
    sys.stdout.write(render())
