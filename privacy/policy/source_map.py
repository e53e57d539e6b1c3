"""Reads YAML into plain data and remembers where every word stood.

Safe by construction: only mappings, sequences, strings, numbers, booleans and null. `true` and `false` are the only
booleans, so that the country `NO` stays a text; a key that stands twice is a mistake, not a silent overwrite.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import yaml

Path = tuple[str | int, ...]
"""The way to a place in the document: keys and indexes from the root."""


class _Loader(yaml.SafeLoader):
    """YAML 1.2's core schema for booleans and null, and no dates: a policy's texts stay texts."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag.rpartition(":")[2] in {"int", "float"}]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(true|false)$"), list("tf"))
_Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"^(null|~|)$"), ["n", "~", ""])

_RULES = {"yaml_implicit_resolvers": _Loader.yaml_implicit_resolvers}
_LibyamlLoader: Any = (
    type("_LibyamlLoader", (yaml.CSafeLoader,), _RULES) if yaml.__with_libyaml__ else _Loader
)
"""The same rules over libyaml, which reads ten times as fast: Airflow waits for it at each parse of a DAG file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A place in the file, both from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A key that stands twice in one mapping."""

    path: Path
    mark: Mark


@dataclass(frozen=True, slots=True)
class Document:
    """The data, and where each part of it stood.

    Attributes:
        data: Plain data.
        keys: Place of each key or item.
        duplicates: Keys that stand twice.
    """

    data: Any
    keys: dict[Path, Mark] = field(default_factory=dict)
    duplicates: list[Duplicate] = field(default_factory=list)

    def mark(self, path: Path) -> Mark:
        """The place of a path, or of the nearest part of it that stands in the file."""
        while path and path not in self.keys:
            path = path[:-1]
        return self.keys.get(path, Mark(line=1, column=1))


def read(text: str) -> Document:
    """Read one YAML document.

    Raises:
        yaml.YAMLError: The text is not YAML, or uses a tag beyond plain data.
    """
    try:
        return _read(_LibyamlLoader(text))
    except yaml.YAMLError:
        # libyaml takes a little less (`{treat:}`), and tells some mistakes at the end of the file.
        return _read(_Loader(text))


def _read(loader: _Loader) -> Document:
    try:
        node = loader.get_single_node()
        document = Document(data=None)
        data = None if node is None else _plain(node, (), loader, document)
        return Document(data=data, keys=document.keys, duplicates=document.duplicates)
    finally:
        loader.dispose()


def _plain(node: yaml.Node, path: Path, loader: _Loader, document: Document) -> Any:
    """Turn a node into plain data, noting where it stood."""
    document.keys.setdefault(path, _mark(node))
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, path, loader, document)
    if isinstance(node, yaml.SequenceNode):
        return [_plain(child, (*path, index), loader, document) for index, child in enumerate(node.value)]
    return loader.construct_object(node, deep=True)


def _mapping(node: yaml.MappingNode, path: Path, loader: _Loader, document: Document) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key_node, value_node in node.value:
        # Keys are words as written: `null:` is the treatment of that name, `2024:` a column of that name.
        key = str(key_node.value)
        here = (*path, key)
        if key in result:
            document.duplicates.append(Duplicate(here, _mark(key_node)))
        document.keys[here] = _mark(key_node)
        result[key] = _treat_word(here, value_node, _plain(value_node, here, loader, document))
    return result


def _treat_word(place: Path, node: yaml.Node, value: Any) -> Any:
    """`treat: null` names the treatment of that name; a `treat:` with nothing after it names none."""
    treats = place[-1] == "treat" or place[-3:-1] == ("anonymize", "columns")
    return "null" if treats and value is None and node.value == "null" else value


def _mark(node: yaml.Node) -> Mark:
    return Mark(line=node.start_mark.line + 1, column=node.start_mark.column + 1)
