"""Validates OpenLineage events offline, against the specification's schemas and our own facet's.

Two traps of the specification are closed here. An event is validated as `#/$defs/RunEvent`: the top of the
core schema also accepts a run event without its run, as an event of another kind. And the core schema says
nothing of what is in a facet: each facet is validated by the schema that its own `_schemaURL` names.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker
from referencing import Registry, Resource

ROOT = Path(__file__).resolve().parents[1]
CORE = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"
# The characters of RFC 3986, after a scheme; percent signs introduce two hex digits.
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:(?:[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+")
PRIVACY_SCHEMA = ROOT / "privacy" / "lineage" / "veil_privacy_facet.json"


def spec_folder() -> Path:
    """The specification's folder, from the shared data beside the repository or at `VEIL_SHARED_DATA`."""
    shared = os.environ.get("VEIL_SHARED_DATA") or ROOT.parent / "shared" / "data"
    return Path(shared) / "openlineage" / "spec"


@cache
def registry() -> Registry[Any]:
    """All schemas by their `$id`; nothing is ever fetched, so an unknown schema is an error."""
    folder = spec_folder()
    files = [folder / "OpenLineage.json", *sorted((folder / "facets").glob("*.json")), PRIVACY_SCHEMA]
    schemas = [json.loads(file.read_text()) for file in files]
    return Registry().with_resources((schema["$id"], Resource.from_contents(schema)) for schema in schemas)


@cache
def _formats() -> FormatChecker:
    """The formats that jsonschema checks, and `uri`, for which it wants another package."""
    formats = FormatChecker()
    formats.checks("uri")(lambda value: _URI.fullmatch(str(value)) is not None)
    return formats


def errors(instance: Any, schema_url: str) -> list[str]:
    """What a schema of the registry has against an instance; where, and by which rule."""
    validator = Draft202012Validator({"$ref": schema_url}, registry=registry(), format_checker=_formats())
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(instance)]


def facets(event: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every facet of an event, with its place."""
    holders = [("run", event.get("run") or {}, ("facets",)), ("job", event.get("job") or {}, ("facets",))]
    for side, own in (("inputs", "inputFacets"), ("outputs", "outputFacets")):
        for number, dataset in enumerate(event.get(side) or ()):
            holders.append((f"{side}[{number}]", dataset, ("facets", own)))
    for place, holder, keys in holders:
        for key in keys:
            for name, facet in (holder.get(key) or {}).items():
                yield f"{place}.{key}.{name}", facet


def event_errors(event: Mapping[str, Any], *, foreign: tuple[str, ...] = ()) -> list[str]:
    """What is wrong with an event and with each of its facets.

    Args:
        event: The event, as JSON.
        foreign: Beginnings of `_schemaURL` that are passed over: facets of others, with schemas not at hand.
    """
    found = errors(event, CORE)
    for place, facet in facets(event):
        url = facet.get("_schemaURL", "")
        if not url.startswith(foreign):
            found += [f"{place} {error}" for error in errors(facet, url)]
    return found
