"""The plan of a policy against the plan file that was committed beside it; or the file is written anew."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_veil.cli.ci_report import Case, Item, Level, Step
from airflow_veil.cli.ci_run import by_dataset, dataset_at, item_at

if TYPE_CHECKING:
    import pyarrow as pa

    from airflow_veil.privacy.plan.difference import Drift
    from airflow_veil.privacy.plan.written import WrittenPlan
    from airflow_veil.privacy.policy.load import LoadedPolicy

_UPDATE = "look at it, write it anew by `veil ci --update`, and commit it"


def compare(
    path: Path, loaded: LoadedPolicy, schemas: dict[str, pa.Schema] | None, *, update: bool
) -> Iterator[Case]:
    """What changed since the plan was committed, by data set.

    Args:
        path: The policy file.
        loaded: The policy, which checks.
        schemas: Schemas of the sources, where they were read.
        update: Whether the file is written anew; what changed is then told as notes.
    """
    from airflow_veil.privacy.plan.written import plan_file, written

    start = time.perf_counter()
    file, now = plan_file(path), written(loaded, schemas)
    committed = _read(path, loaded, file)
    items: list[tuple[str, Item]]
    if isinstance(committed, Item):
        items = [("", committed)]
    else:
        items = [_item(path, loaded, each) for each in _drift(committed[0], now)]
        # With other types in it the file cannot be the same, and need not.
        if not items and committed[0].types_of == now.types_of and committed[1] != now.to_text():
            items = [("", _stale(path, loaded, file))]
    if update and items:
        items = [(where, replace(item, level=Level.NOTE, fix="", broken=False)) for where, item in items]
        was_of = None if isinstance(committed, Item) else committed[0].types_of
        items.append(("", _update(path, loaded, file, now, was_of)))
    seconds = time.perf_counter() - start
    cases = by_dataset(path, loaded, Step.PLAN, items)
    yield from [replace(cases[0], seconds=seconds), *cases[1:]]


def orphan(plan: Path) -> Case:
    """A plan file whose policy is gone."""
    item = Item(
        level=Level.WARNING,
        rule="plan/orphan",
        message="the policy that this is the plan of is gone",
        fix="remove it, or bring the policy back",
        file=plan,
    )
    return Case(policy=plan, step=Step.PLAN, items=(item,))


def _drift(before: WrittenPlan, now: WrittenPlan) -> tuple[Drift, ...]:
    from airflow_veil.privacy.plan.drift import drift

    return drift(before, now)


def _read(path: Path, loaded: LoadedPolicy, file: Path) -> tuple[WrittenPlan, str] | Item:
    """The plan of a file and its text; or why there is none."""
    from airflow_veil.privacy.errors import SchemaError
    from airflow_veil.privacy.plan.written import read_plan

    try:
        # A checkout may have its own ends of lines.
        text = file.read_text(encoding="utf-8")
        return read_plan(text), text
    except FileNotFoundError:
        message = f"there is no {file.name}: nobody can see what a change of the policy changes"
        fix = "write it by `veil ci --update`, and commit it"
        return item_at(path, loaded, (), level=Level.ERROR, rule="plan/missing", message=message, fix=fix)
    except (SchemaError, UnicodeDecodeError):
        message = f"{file.name} is no plan, or one of another version"
        return _of_file(path, loaded, file, "unreadable", message, Level.ERROR, _UPDATE)
    except OSError as error:
        message = f"{file.name} cannot be read ({error.strerror})"
        item = _of_file(path, loaded, file, "could-not-run", message, Level.ERROR, "let this user read it")
        return replace(item, broken=True)


def _item(path: Path, loaded: LoadedPolicy, drift: Drift) -> tuple[str, Item]:
    item = item_at(
        path,
        loaded,
        drift.place,
        level=Level.ERROR,
        rule=f"plan/{drift.rule}",
        message=drift.message,
        fix=_UPDATE,
        strength=drift.strength.value,
    )
    return dataset_at(loaded, ".".join(drift.place)), item


def _stale(path: Path, loaded: LoadedPolicy, file: Path) -> Item:
    message = f"{file.name} says what the policy does, and is not written as `veil ci --update` writes it"
    return _of_file(path, loaded, file, "stale", message, Level.WARNING, "write it by `veil ci --update`")


def _of_file(
    path: Path, loaded: LoadedPolicy, file: Path, rule: str, message: str, level: Level, fix: str
) -> Item:
    """An item at the plan file itself."""
    item = item_at(path, loaded, (), level=level, rule=f"plan/{rule}", message=message, fix=fix)
    return replace(item, file=file, line=1, column=1)


def _update(path: Path, loaded: LoadedPolicy, file: Path, now: WrittenPlan, was_of: str | None) -> Item:
    """Write the plan file, whole or not at all."""
    from airflow_veil.privacy.storage.durable import write_whole

    try:
        write_whole(file, now.to_text().encode(), drafts=file.parent)
    except OSError as error:
        message = f"{file.name} cannot be written ({error.strerror})"
        item = _of_file(path, loaded, file, "could-not-run", message, Level.ERROR, "let this user write it")
        return replace(item, broken=True)
    said = f"{file.name} is written"
    if was_of == "source" != now.types_of:
        said += ", by the declared types: write it with `--against-source` to have those of the source"
    return _of_file(path, loaded, file, "written", said, Level.NOTE, "")
