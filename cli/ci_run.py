"""The steps of `veil ci`: check, plan drift, risk on a sample; each gives a case of every data set."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_veil.cli.ci_report import Case, Item, Level, Step
from airflow_veil.privacy.errors import InternalError, PolicyError, VeilError

if TYPE_CHECKING:
    import pyarrow as pa

    from airflow_veil.cli.ci_find import Samples
    from airflow_veil.privacy.policy.finding import Finding
    from airflow_veil.privacy.policy.load import LoadedPolicy
    from airflow_veil.privacy.release.sampled import Sampled
    from airflow_veil.privacy.storage.base import Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is to be done.

    Attributes:
        plan: Whether plans are compared.
        update: Whether plan files are written in place of being compared.
        against_source: Whether the schemas of sources are read.
        rows: How many rows of each source risk is measured on; None for none.
        samples: Samples that risk is measured on.
    """

    plan: bool
    update: bool
    against_source: bool
    rows: int | None
    samples: Samples

    @property
    def risk(self) -> bool:
        """Whether risk is measured."""
        return self.rows is not None or bool(self.samples)


def load_policy(path: Path) -> LoadedPolicy | tuple[Finding, ...]:
    """A policy, or what is wrong with its form."""
    from airflow_veil.privacy.policy.load import load

    try:
        return load(path)
    except PolicyError as error:
        return error.findings


def run(path: Path, loaded: LoadedPolicy | tuple[Finding, ...], wanted: Wanted) -> Iterator[Case]:
    """All cases of a policy."""
    if isinstance(loaded, tuple):
        # A file that cannot be read is not wrong: nothing is known of it.
        items = [_finding(path, each, level=Level.ERROR, broken=each.rule == "file") for each in loaded]
        yield Case(policy=path, step=Step.CHECK, items=tuple(items))
        yield from _skipped(path, wanted, "the policy cannot be read")
        return
    cases, schemas = _check(path, loaded, wanted)
    yield from cases
    found = [item for case in cases for item in case.items]
    if found:
        broken = all(item.broken for item in found)
        why = "a source could not be looked at" if broken else "the policy does not check"
        yield from _skipped(path, wanted, why)
        return
    if wanted.plan:
        from airflow_veil.cli.ci_plan import compare

        yield from compare(path, loaded, schemas, update=wanted.update)
    if wanted.risk:
        yield from (_risk(path, loaded, dataset, wanted) for dataset in loaded.policy.datasets)


def _skipped(path: Path, wanted: Wanted, why: str) -> Iterator[Case]:
    if wanted.plan:
        yield Case(policy=path, step=Step.PLAN, skipped=why)
    if wanted.risk:
        yield Case(policy=path, step=Step.RISK, skipped=why)


def _check(
    path: Path, loaded: LoadedPolicy, wanted: Wanted
) -> tuple[list[Case], dict[str, pa.Schema] | None]:
    """What `veil check` finds; and the schemas of the sources, where they are looked at."""
    from airflow_veil.privacy.policy.check import check

    start = time.perf_counter()
    schemas: dict[str, pa.Schema] = {}
    items: list[tuple[str, Item]] = []
    if wanted.against_source:
        for dataset in loaded.policy.datasets:
            try:
                schemas[dataset] = _source(loaded, dataset).schema()
            except InternalError:
                raise
            except VeilError as error:
                items.append((dataset, _failure(path, loaded, Step.CHECK, dataset, error)))
    items += [
        (dataset_at(loaded, finding.path), _finding(path, finding, level=Level.ERROR))
        for finding in check(loaded, schemas)
    ]
    seconds = time.perf_counter() - start
    cases = by_dataset(path, loaded, Step.CHECK, items)
    return [replace(cases[0], seconds=seconds), *cases[1:]], schemas if wanted.against_source else None


def by_dataset(path: Path, loaded: LoadedPolicy, step: Step, items: list[tuple[str, Item]]) -> list[Case]:
    """A case of the policy as a whole, and one a data set, with what was found in each."""
    return [
        Case(
            policy=path,
            step=step,
            dataset=dataset,
            items=tuple(item for where, item in items if where == dataset),
        )
        for dataset in ("", *loaded.policy.datasets)
    ]


def dataset_at(loaded: LoadedPolicy, place: str) -> str:
    """The data set that a dotted place is in; empty where it is in none."""
    first, _, rest = place.partition(".")
    name = rest.partition(".")[0]
    return name if first == "datasets" and name in loaded.policy.datasets else ""


def item_at(
    path: Path,
    loaded: LoadedPolicy,
    place: tuple[str, ...],
    *,
    level: Level,
    rule: str,
    message: str,
    fix: str = "",
    strength: str = "",
) -> Item:
    """An item at a place of a policy, or at what is nearest to it."""
    finding = loaded.finding(place, rule, message, fix)
    return replace(_finding(path, finding, level=level), rule=rule, strength=strength)


def _finding(path: Path, finding: Finding, *, level: Level, broken: bool = False) -> Item:
    return Item(
        level=level,
        rule=f"{Step.CHECK.value}/{finding.rule}",
        message=finding.message,
        fix=finding.fix,
        file=path,
        line=finding.line,
        column=finding.column,
        place=finding.path,
        broken=broken,
    )


def _failure(path: Path, loaded: LoadedPolicy, step: Step, dataset: str, error: VeilError) -> Item:
    """What kept something from being looked at."""
    said = f"{dataset} could not be looked at"
    return replace(_wrong(path, loaded, f"{step.value}/could-not-run", dataset, said, error), broken=True)


def _wrong(path: Path, loaded: LoadedPolicy, rule: str, dataset: str, said: str, error: VeilError) -> Item:
    """What an error says of a data set."""
    where = f"{error.where}: " if error.where else ""
    return item_at(
        path,
        loaded,
        ("datasets", dataset),
        level=Level.ERROR,
        rule=rule,
        message=f"{said}: {where}{error.what.rstrip('.')}",
        fix=error.fix or error.expected,
    )


def _source(loaded: LoadedPolicy, dataset: str, uri: str | None = None) -> Source:
    from airflow_veil.cli.workspace import of_loaded

    return of_loaded(loaded, source=uri).source(dataset)


def _risk(path: Path, loaded: LoadedPolicy, dataset: str, wanted: Wanted) -> Case:
    """The risk of a sample of a data set, against the policy's gate."""
    case = Case(policy=path, step=Step.RISK, dataset=dataset)
    if not loaded.policy.datasets[dataset].releases_rows:
        return replace(case, skipped="no row of it is released")
    uri = wanted.samples.uri(loaded.policy.name, dataset)
    if uri is None and wanted.rows is None:
        return replace(case, skipped="there is no sample of it")
    start = time.perf_counter()
    items = _measured(path, loaded, dataset, lambda: _source(loaded, dataset, uri), wanted.rows)
    return replace(case, items=items, seconds=time.perf_counter() - start)


def _measured(
    path: Path, loaded: LoadedPolicy, dataset: str, opened: Callable[[], Source], rows: int | None
) -> tuple[Item, ...]:
    from airflow_veil.privacy.errors import SchemaError, TransformError
    from airflow_veil.privacy.release.sampled import sampled

    try:
        return tuple(_told(path, loaded, dataset, sampled(loaded, dataset, opened(), rows=rows)))
    except (SchemaError, TransformError) as error:
        kind = "schema" if isinstance(error, SchemaError) else "treatment"
        said = f"the sample of {dataset} cannot be released"
        return (_wrong(path, loaded, f"risk/{kind}", dataset, said, error),)
    except InternalError:
        raise
    except VeilError as error:
        return (_failure(path, loaded, Step.RISK, dataset, error),)


def _told(path: Path, loaded: LoadedPolicy, dataset: str, found: Sampled) -> Iterator[Item]:
    """What the gate would say, and the figures."""
    from airflow_veil.privacy.gate.said import WORDS, figure, reason

    place = ("datasets", dataset)
    for code in found.decision.reasons if found.decision else ():
        part, _, word = code.partition(".")
        denied = part != "approve"
        bound = getattr(getattr(found.rule, part, None), word, None)
        bounded = f" (it is {figure(word, found.figures.get(word))}, the bound {figure(word, bound)})"
        yield item_at(
            path,
            loaded,
            place,
            level=Level.ERROR if denied else Level.WARNING,
            rule=f"risk/{code}",
            message=f"{dataset}, {reason(code).rstrip('.')}{bounded if bound is not None else ''}",
            fix="treat quasi-identifiers more coarsely, or ask for `anonymize`",
        )
    told = {word: found.figures[word] for word in WORDS if found.figures.get(word) is not None}
    figures = ", ".join(f"{word} {figure(word, value)}" for word, value in told.items())
    if found.figures.get("k") is None:
        figures = ", ".join(filter(None, (figures, "no quasi-identifier leaves, so risk does not apply")))
    unknown = f"; not looked at: {', '.join(found.not_looked_at)}" if found.not_looked_at else ""
    yield item_at(
        path,
        loaded,
        place,
        level=Level.NOTE,
        rule="risk/figures",
        message=f"{dataset}, {found.rows_in:,} rows in, {found.rows_out:,} out: {figures}{unknown}",
    )
