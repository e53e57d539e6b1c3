"""Which policies `veil ci` looks at, and which samples it has of their data sets."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

import typer

from airflow_veil.privacy.plan.written import SUFFIX, plan_file
from airflow_veil.privacy.policy.load import LoadedPolicy

_YAML = (".yaml", ".yml")
_SKIPPED = ("node_modules", "__pycache__", "site-packages")
_POLICY = (
    re.compile(rb"^(version|owner)[ \t]*:", re.MULTILINE),
    re.compile(rb"^datasets[ \t]*:", re.MULTILINE),
)
"""What a policy has at its left margin. Other YAML files of a repository have not; broken policies have it, too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What is to be looked at.

    Attributes:
        policies: Policy files, each once.
        orphans: Plan files whose policy is gone.
    """

    policies: tuple[Path, ...]
    orphans: tuple[Path, ...]


def find(paths: Sequence[Path], exclude: Sequence[str]) -> Found:
    """The policies that files and folders name.

    A file is taken as it is; below a folder policies are what looks like one, outside of hidden folders and of virtual
    environments.

    Raises:
        BadParameter: A path is not there, or two policies would share a plan file.
    """
    policies: dict[str, Path] = {}
    orphans: dict[str, Path] = {}
    for path in paths:
        if path.is_dir():
            for file in _files(path, exclude):
                if file.name.endswith(SUFFIX):
                    if not _policy_of(file) and _looks_like_a_plan(file):
                        orphans.setdefault(_real(file), file)
                elif plan_file(file).exists() or looks_like_a_policy(file):
                    policies.setdefault(_real(file), file)
        elif path.exists():
            policies.setdefault(_real(path), path)
        else:
            raise typer.BadParameter(f"there is no {path}", param_hint="POLICY")
    _one_plan_each(tuple(policies.values()))
    return Found(policies=tuple(policies.values()), orphans=tuple(orphans.values()))


def _real(path: Path) -> str:
    """Where a path leads; one that leads nowhere is itself."""
    return os.path.realpath(path)


def looks_like_a_policy(file: Path) -> bool:
    """Whether a YAML file has what policies have; one that cannot be read may be one, and is told when it is loaded."""
    try:
        text = file.read_bytes()
    except OSError:
        return True
    return all(pattern.search(text) for pattern in _POLICY)


def _looks_like_a_plan(file: Path) -> bool:
    try:
        text = file.read_bytes()
    except OSError:
        return False
    return b'"datasets"' in text and b'"types_of"' in text


def _policy_of(plan: Path) -> bool:
    stem = plan.name.removesuffix(SUFFIX)
    return any(plan.with_name(stem + suffix).exists() for suffix in _YAML)


def _files(folder: Path, exclude: Sequence[str]) -> Iterator[Path]:
    for here, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if _is_entered(Path(here) / name, folder, exclude))
        for name in sorted(files):
            file = Path(here) / name
            if name.endswith((*_YAML, SUFFIX)) and not _is_excluded(file, folder, exclude):
                yield file


def _is_entered(path: Path, root: Path, exclude: Sequence[str]) -> bool:
    hidden = path.name.startswith(".") or path.name in _SKIPPED or (path / "pyvenv.cfg").exists()
    return not hidden and not _is_excluded(path, root, exclude)


def _is_excluded(path: Path, root: Path, exclude: Sequence[str]) -> bool:
    names = (path.name, path.relative_to(root).as_posix())
    return any(fnmatch(name, pattern.rstrip("/")) for name in names for pattern in exclude)


def _one_plan_each(policies: Sequence[Path]) -> None:
    plans: dict[str, Path] = {}
    for policy in policies:
        other = plans.setdefault(_real(plan_file(policy)), policy)
        if other is not policy:
            raise typer.BadParameter(f"{other} and {policy} would share a plan file; rename one")


@dataclass(frozen=True)
class Samples:
    """Samples of data sets.

    Attributes:
        named: `data_set` or `policy.data_set` to the address that was given for it.
        folder: A folder with a file a data set; None without one.
    """

    named: dict[str, str] = field(default_factory=dict)
    folder: Path | None = None

    @classmethod
    def of(cls, options: Sequence[str], folder: Path | None) -> Samples:
        """What the options say.

        Raises:
            BadParameter: One is not `DATASET=URI`, or is given twice, or the folder is none.
        """
        named: dict[str, str] = {}
        for option in options:
            name, equals, uri = option.partition("=")
            if not (name and equals and uri) or name in named:
                raise typer.BadParameter("write DATASET=URI, each data set once", param_hint="--sample")
            named[name] = uri if "://" in uri else str(Path(uri).absolute())
        if folder is not None and not folder.is_dir():
            raise typer.BadParameter(f"there is no folder {folder}", param_hint="--samples")
        return cls(named, folder.absolute() if folder else None)

    def __bool__(self) -> bool:
        return bool(self.named) or self.folder is not None

    def check(self, loaded: Sequence[LoadedPolicy]) -> None:
        """See that each sample is of one data set.

        Raises:
            BadParameter: A name is of none, or of data sets of several policies.
        """
        owners: dict[str, list[str]] = {}
        for each in loaded:
            for dataset in each.policy.datasets:
                qualified = f"{each.policy.name}.{dataset}"
                for name in (dataset, qualified):
                    owners.setdefault(name, []).append(qualified)
        for name in self.named:
            policies = owners.get(name, [])
            if not policies:
                raise typer.BadParameter(f"no policy has the data set {name}", param_hint="--sample")
            if len(policies) > 1:
                which = " or ".join(policies)
                raise typer.BadParameter(f"{name} may be {which}: write that", param_hint="--sample")

    def uri(self, policy: str, dataset: str) -> str | None:
        """Where the sample of a data set is; None where there is none.

        Raises:
            BadParameter: The folder has two of them.
        """
        for name in (f"{policy}.{dataset}", dataset):
            if name in self.named:
                return self.named[name]
        return self._in_folder(policy, dataset)

    def _in_folder(self, policy: str, dataset: str) -> str | None:
        from airflow_veil.privacy.storage.csv import SUFFIXES as CSV
        from airflow_veil.privacy.storage.parquet import SUFFIXES as PARQUET

        if self.folder is None:
            return None
        policies_own = self.folder / policy
        for start in (policies_own / dataset, self.folder / dataset):
            names = [start.name + suffix for suffix in ("", *PARQUET, *CSV)]
            there = [start.with_name(name) for name in names]
            there = [path for path in there if path.exists() and path != policies_own]
            if len(there) > 1:
                both = " and ".join(path.name for path in there)
                raise typer.BadParameter(f"{both} are both of {dataset}", param_hint="--samples")
            if there:
                return str(there[0])
        return None
