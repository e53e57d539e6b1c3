"""The bytes of a model: a line that says what it is, which is looked at first, and what its method reads.

The rest may be a pickle, which runs code as it is read. So bytes are only for content that was authenticated before,
such as what comes out of the sealed store; the line keeps apart models that do not belong together, and attackers not.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from airflow_veil.privacy.errors import SyntheticError
from airflow_veil.privacy.synthetic.specification import Specification

_MAGIC = b"airflow-veil synthetic model 1\n"


def wrapped(specification: Specification, payload: bytes = b"", **facts: Any) -> bytes:
    """The bytes of a model.

    Args:
        specification: What it was fitted for.
        payload: What only its method can read.
        facts: Plain values that it needs beside.
    """
    header = {"method": specification.word, "specification": specification.digest, "facts": facts}
    return b"".join((_MAGIC, json.dumps(header, sort_keys=True).encode(), b"\n", payload))


def unwrapped(specification: Specification, content: bytes) -> tuple[Mapping[str, Any], bytes]:
    """The facts and the payload of a model's bytes.

    Raises:
        SyntheticError: The bytes are no model's, or that of another method or specification.
    """
    line, _, payload = content.removeprefix(_MAGIC).partition(b"\n")
    try:
        header = json.loads(line) if content.startswith(_MAGIC) else None
    except ValueError:
        header = None
    if not isinstance(header, dict):
        raise SyntheticError("these bytes are no model", where=specification.name, fix="fit the model anew")
    if (header.get("method"), header.get("specification")) != (specification.word, specification.digest):
        raise SyntheticError(
            "the model was fitted for another method or specification",
            where=specification.name,
            fix="fit the model anew",
        )
    return header["facts"], payload


def versions(*packages: str) -> dict[str, str]:
    """The versions of packages, for `facts`: a pickle is read by what wrote it."""
    return {package: version(package) for package in packages}


def same_versions(specification: Specification, facts: Mapping[str, Any]) -> None:
    """Look whether the packages that a model needs are those that it was made with.

    Raises:
        SyntheticError: One is another.
    """
    for package, then in facts.get("versions", {}).items():
        if version(package) != then:
            raise SyntheticError(
                f"the model was fitted with {package} {then}, and there is {version(package)}",
                where=specification.name,
                fix="fit the model anew",
            )
