"""Loads a policy file: every mistake of form is found in one go, each at its line and column."""

from __future__ import annotations

import difflib
import hashlib
import types
import typing
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from airflow_veil.privacy.errors import PolicyError
from airflow_veil.privacy.policy import source_map
from airflow_veil.privacy.policy.finding import Finding
from airflow_veil.privacy.policy.models import Policy

SCHEMA_ID = "urn:airflow-veil:schema:policy:1"
"""The identity of the JSON Schema of version 1 policies; a name, nothing is fetched from it."""


@dataclass(frozen=True, slots=True, eq=False)
class LoadedPolicy:
    """A policy that has the right form, with what is needed to point back into its file.

    Attributes:
        policy: The policy.
        path: The file it came from.
        digest: SHA-256 of the file's bytes, in hex: the identity that manifests and lineage carry.
        document: Where each word stood.
    """

    policy: Policy
    path: Path
    digest: str
    document: source_map.Document

    def finding(self, path: source_map.Path, rule: str, message: str, fix: str) -> Finding:
        """A finding at a place of this file."""
        return _finding(self.path, self.document, path, rule, message, fix)


def load(path: Path | str) -> LoadedPolicy:
    """Load a policy file and check its form (words, types, one treatment a column).

    Args:
        path: The YAML file.

    Returns:
        The policy, with its digest and places. `check.check` looks at its meaning.

    Raises:
        PolicyError: The file is missing, is not YAML, or has mistakes; it holds all of them.
    """
    path = Path(path)
    return _loaded(path, _read(path))


@lru_cache(maxsize=64)
def _loaded(path: Path, raw: bytes) -> LoadedPolicy:
    """What a file says; while its bytes stay the same, the same one again, since each task of a DAG asks for it."""
    document = _document(path, raw)
    findings = [_duplicate(path, document, duplicate) for duplicate in document.duplicates]
    policy: Policy | None = None
    try:
        policy = Policy.model_validate(document.data)
    except ValidationError as error:
        findings += [_from_pydantic(path, document, item) for item in error.errors(include_input=False)]
    if findings or policy is None:
        raise PolicyError(tuple(_once(findings)))
    return LoadedPolicy(policy, path, hashlib.sha256(raw).hexdigest(), document)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        finding = Finding(
            file=str(path),
            line=1,
            column=1,
            path="",
            rule="file",
            message=f"the policy file cannot be read ({error.strerror})",
            fix="name a file that exists and that this user may read",
        )
        raise PolicyError((finding,)) from None


def _document(path: Path, raw: bytes) -> source_map.Document:
    try:
        return source_map.read(raw.decode("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or "the file is not UTF-8 text without control characters"
        finding = Finding(
            file=str(path),
            line=mark.line + 1 if mark else 1,
            column=mark.column + 1 if mark else 1,
            path="",
            rule="yaml",
            message=f"not YAML: {problem}",
            fix="mend the syntax at this place",
        )
        raise PolicyError((finding,)) from None


def _duplicate(path: Path, document: source_map.Document, duplicate: source_map.Duplicate) -> Finding:
    finding = _finding(
        path,
        document,
        duplicate.path,
        "duplicate",
        "this word stands twice in the same place",
        "keep one of them",
    )
    return Finding(**{**finding.as_dict(), "line": duplicate.mark.line, "column": duplicate.mark.column})  # type: ignore[arg-type]


def _once(findings: list[Finding]) -> list[Finding]:
    """One finding a place and rule, in file order: a union of types reports the same mistake once a branch."""
    by_place = {(f.line, f.column, f.rule, f.message): f for f in findings}
    return sorted(by_place.values(), key=lambda f: (f.line, f.column))


def _finding(
    path: Path, document: source_map.Document, place: source_map.Path, rule: str, message: str, fix: str
) -> Finding:
    mark = document.mark(place)
    return Finding(
        file=str(path),
        line=mark.line,
        column=mark.column,
        path=".".join(map(str, place)),
        rule=rule,
        message=message,
        fix=fix,
    )


def _from_pydantic(path: Path, document: source_map.Document, error: Any) -> Finding:
    """Place one error of pydantic in the file; its message never repeats an input."""
    place, kind = _place(error["loc"], document), error["type"]
    word = str(error["loc"][-1]) if error["loc"] else ""
    if kind == "extra_forbidden":
        message = f"`{word}` is not a word of the policy"
        return _finding(path, document, place, "unknown-word", message, _nearest(word, error["loc"]))
    if kind == "missing":
        return _finding(path, document, place, "missing", f"`{word}` is missing", f"add `{word}:` here")
    fix = _FIXES.get(kind, "see `veil schema` for what fits here")
    return _finding(path, document, place, kind.replace("_", "-"), _lower_first(error["msg"]), fix)


def _nearest(word: str, loc: tuple[int | str, ...]) -> str:
    """What to write instead of an unknown word: the nearest known one, or all that fit there."""
    known = _known_words(loc[:-1])
    near = difflib.get_close_matches(word, known, n=1)
    if near:
        return f"write `{near[0]}`"
    return f"use one of {', '.join(sorted(known))}" if known else "remove it"


_FIXES = {
    "treatment_count": "name one treatment, such as `treat: drop` or `treat: {mask: {keep_last: 4}}`",
    "unknown_type": "write one of the known types",
    "enum": "write one of the words that are expected",
    "literal_error": "write what is expected",
    "retention_action": "write `action: delete`, `action: {anonymize: {columns: …}}` or `action: {archive: {to: …}}`",
    "subject": "write `subject: <column>`, or `subject: {none: <why the rows are nobody's>}`",
    "budget_amount": "write `epsilon: …` or `rho: …`",
    "budget_period": "write `per: P1Y` with `starts: '2026-01-01'` and `renew: <why the people may be asked anew>`",
    "keys": "write `{values: […], source: …}`, `{file: …, source: …}`, `{to: month, first: …, last: …}` or `unknown`",
    "bins": "write `edges: […]` for numbers or `values: […]` for a column with few values",
    "ascending": "write the numbers in rising order, each once",
    "measure_count": "write one measure, such as `count` or `sum: {column: …, bounds: […, …]}`",
    "model_rows": "write `{dataset: <name>}` or `{uri: <file>}`",
    "key_source": "write `keys: {connection: <id>}` or `keys: {file: <path>}`",
}
"""What to write instead, by the kind of error; the message itself tells the rest."""


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]


def _place(loc: tuple[int | str, ...], document: source_map.Document) -> source_map.Path:
    """Keep the parts of pydantic's location that stand in the file; it adds names of union branches."""
    place: tuple[int | str, ...] = ()
    for part in loc:
        if (*place, part) in document.keys:
            place = (*place, part)
        elif part == loc[-1]:
            return (*place, part)
    return place


def _known_words(loc: tuple[int | str, ...]) -> list[str]:
    """The words that a policy may use at a place, by walking the models."""
    here: list[Any] = [Policy]
    for part in loc:
        here = [step for annotation in here for step in _descend(annotation, part)] or here
    models = [model for annotation in here for model in _models(annotation)]
    return [field.alias or name for model in models for name, field in model.model_fields.items()]


def _descend(annotation: Any, part: int | str) -> list[Any]:
    """The annotations that a key leads to; a branch name of a union leads to that branch."""
    for model in _models(annotation):
        for name, field in model.model_fields.items():
            if part in (name, field.alias):
                return [field.annotation]
        if part == model.__name__:
            return [model]
    if typing.get_origin(_bare(annotation)) is dict:
        return [typing.get_args(_bare(annotation))[1]]
    return []


def _models(annotation: Any) -> list[type[BaseModel]]:
    """The models among an annotation's alternatives."""
    bare = _bare(annotation)
    if isinstance(bare, type) and issubclass(bare, BaseModel):
        return [bare]
    if typing.get_origin(bare) in (typing.Union, types.UnionType):
        return [model for option in typing.get_args(bare) for model in _models(option)]
    return []


def _bare(annotation: Any) -> Any:
    """An annotation without its `Annotated` wrapper and without None."""
    while typing.get_origin(annotation) is typing.Annotated:
        annotation = typing.get_args(annotation)[0]
    options = [option for option in typing.get_args(annotation) if option is not type(None)]
    if typing.get_origin(annotation) in (typing.Union, types.UnionType) and len(options) == 1:
        return _bare(options[0])
    return annotation
