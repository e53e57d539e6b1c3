"""What the releases of a synthesis are called, and the specification that all of its tasks work by."""

from __future__ import annotations

import re
from collections.abc import Iterable

from airflow_veil.privacy.errors import ReleaseError
from airflow_veil.privacy.ledger.canonical import canonical_json, sha256_of
from airflow_veil.privacy.policy.load import LoadedPolicy
from airflow_veil.privacy.policy.synthetic import Synthesis
from airflow_veil.privacy.release.synthetic_reference import SyntheticReference
from airflow_veil.privacy.release.workspace import Workspace
from airflow_veil.privacy.synthetic.specification import Specification, compiled

_SUFFIX = re.compile(r"[a-z][a-z0-9_]{0,39}")


def names_of(loaded: LoadedPolicy, name: str, suffix: str = "") -> dict[str, str]:
    """Table to the name that it is released under: the synthesis's own, and the table's where there are several.

    Args:
        loaded: The policy.
        name: The synthesis.
        suffix: What tells a release of given values from that of the whole; empty for the whole.

    Raises:
        ReleaseError: The suffix is none, or something else of the policy has such a name.
    """
    if suffix and not _SUFFIX.fullmatch(suffix):
        raise ReleaseError(
            "the suffix is no name", where=name, expected="up to 40 lower-case letters, digits and _"
        )
    tables = list(_synthesis(loaded, name).tables)
    whole = "_".join(filter(None, (name, suffix)))
    named = {table: whole if len(tables) == 1 else f"{whole}_{table}" for table in tables}
    if taken := sorted(set(named.values()) & set(_others(loaded, name, suffix))):
        raise ReleaseError(
            f"{', '.join(taken)} is the name of something else in the policy",
            where=f"{loaded.policy.name}, {name}",
            fix="give the synthesis, or its suffix, another name",
        )
    return named


def all_names(loaded: LoadedPolicy) -> tuple[str, ...]:
    """The names that all syntheses of a policy are released under, but for those with a suffix."""
    synthetic = loaded.policy.synthetic
    return tuple(
        each for name in (synthetic.releases if synthetic else ()) for each in names_of(loaded, name).values()
    )


def synthesis_of(workspace: Workspace, name: str) -> Synthesis:
    """What the policy says of a synthesis.

    Raises:
        SyntheticError: It has none of that name.
    """
    compiled(workspace.loaded.policy, name)
    return _synthesis(workspace.loaded, name)


def same_specification(workspace: Workspace, reference: SyntheticReference) -> Specification:
    """The specification of the run; it must be the one that the run began with.

    Raises:
        ReleaseError: The policy changed since.
        SyntheticError: The policy has no such synthesis.
    """
    specification = compiled(workspace.loaded.policy, reference.dataset)
    if digest_of(workspace, specification) != reference.specification:
        raise ReleaseError(
            "The policy changed since the run began",
            where=f"{reference.policy}, {reference.dataset}",
            fix="clear the run from its first task, so that all of it follows one policy",
        )
    return specification


def digest_of(workspace: Workspace, specification: Specification) -> str:
    """SHA-256 of what a model depends on, in hex: the specification, which rows may leave, what a private one spends.

    Raises:
        KeyRingError: Rows are sampled by a key, and the key ring cannot be opened.
    """
    # Here, since it reads rows as well: the names are asked for while a DAG file is parsed.
    from airflow_veil.privacy.release.leaving import rows_told

    rows = rows_told(workspace, specification)
    if not specification.method.private:
        return sha256_of(canonical_json([specification.digest, rows])) if rows else specification.digest
    said = _synthesis(workspace.loaded, specification.name)
    spend = said.spend.model_dump(mode="json", exclude_none=True) if said.spend else None
    told = [specification.name, specification.digest, said.budget, spend, *([rows] if rows else [])]
    return sha256_of(canonical_json(told))


def _synthesis(loaded: LoadedPolicy, name: str) -> Synthesis:
    synthetic = loaded.policy.synthetic
    if synthetic is None or name not in synthetic.releases:
        raise ReleaseError(f"the policy makes up nothing of the name {name}", where=loaded.policy.name)
    return synthetic.releases[name]


def _others(loaded: LoadedPolicy, name: str, suffix: str) -> Iterable[str]:
    """All other names that something is released under."""
    policy = loaded.policy
    yield from policy.datasets
    yield from policy.differential_privacy.queries if policy.differential_privacy else ()
    for other, synthesis in (policy.synthetic.releases if policy.synthetic else {}).items():
        if other == name and not suffix:
            continue
        yield other
        if len(synthesis.tables) > 1:
            yield from (f"{other}_{table}" for table in synthesis.tables)
