"""Checks what `differential_privacy` means: whose presence is hidden, who pays, and whether the names are there.

Each rule is a function, as in `check`, and nothing here draws, reads data or imports what does. What queries read is
looked at in `check_dp_columns`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from decimal import Decimal
from math import prod
from pathlib import Path

from airflow_veil.privacy.dp.loss import Limits, Loss, fits, remaining, suits
from airflow_veil.privacy.dp.query import labels_in, statistics_of, unit_path
from airflow_veil.privacy.errors import BudgetError, SchemaError, StorageError
from airflow_veil.privacy.plan.bind import subject_root
from airflow_veil.privacy.policy import check_dp_columns as columns
from airflow_veil.privacy.policy import differential_privacy as words
from airflow_veil.privacy.policy.asked import SECTION, Asked, nearest, queries
from airflow_veil.privacy.policy.finding import Finding
from airflow_veil.privacy.policy.load import LoadedPolicy
from airflow_veil.privacy.policy.models import FileSource
from airflow_veil.privacy.settings import Settings
from airflow_veil.privacy.storage.open import local_path

MOST_CELLS = 10_000_000
"""Cells of one answer: noise is drawn for each, whoever is in the table."""
LEAST_SPEND = Decimal("1e-6")
"""The least that a query can spend: the ledger counts in units of 1e-12, and a query divides what it spends."""


def _names(loaded: LoadedPolicy) -> Iterator[Finding]:
    """A query asks a data set that is there, and is paid for by a budget that is there."""
    for asked in queries(loaded):
        if asked.data is None:
            message = f"there is no data set {asked.query.dataset}"
            fix = nearest(asked.query.dataset, loaded.policy.datasets)
            yield asked.finding(("dataset",), "dp-dataset", message, fix)
        if asked.budget is None:
            known = loaded.policy.differential_privacy.budgets if loaded.policy.differential_privacy else {}
            message = f"there is no budget {asked.query.budget}"
            yield asked.finding(("budget",), "dp-budget", message, nearest(asked.query.budget, known))


def _asked(loaded: LoadedPolicy) -> Iterator[Finding]:
    """Budgets are there to pay for something."""
    policy = loaded.policy
    made = policy.synthetic.releases.values() if policy.synthetic else ()
    paid = any(synthesis.budget is not None for synthesis in made)
    if policy.differential_privacy is not None and not policy.differential_privacy.queries and not paid:
        message = "nothing is asked, and no synthetic table is paid for"
        yield loaded.finding((SECTION,), "dp-queries", message, "add `queries:`")


def _units(loaded: LoadedPolicy) -> Iterator[Finding]:
    """A unit is a column of a data set of the policy, or a data set of it."""
    for name, budget in _budgets(loaded):
        dataset, _, column = budget.unit.partition(".")
        data = loaded.policy.datasets.get(dataset)
        if data is None:
            message, fix = f"there is no data set {dataset}", nearest(dataset, loaded.policy.datasets)
        elif column and column not in data.columns:
            message = f"data set {dataset} names no column {column}"
            fix = nearest(column, data.columns)
        else:
            continue
        yield loaded.finding((SECTION, "budgets", name, "unit"), "dp-unit", message, fix)


def _unit_paths(loaded: LoadedPolicy) -> Iterator[Finding]:
    """The rows that are asked lead to the unit of the budget that pays."""
    for asked in queries(loaded):
        if asked.budget is None or asked.data is None:
            continue
        if not _is_named(loaded, asked.budget.unit) or not _has_root(loaded, asked.query.dataset):
            continue
        try:
            subject, _ = unit_path(loaded.policy, asked.query.dataset, asked.budget.unit)
        except SchemaError as error:
            yield asked.finding(("dataset",), "dp-unit-path", error.what, error.fix)
            continue
        if subject is None and "contribution" in asked.query.model_fields_set:
            message = "the unit is a row, of which there is one in one group: there is nothing to bound"
            yield asked.finding(("contribution",), "dp-unneeded", message, "remove `contribution`")


def _is_named(loaded: LoadedPolicy, unit: str) -> bool:
    """Whether a unit is there; where it is not, that is told at the budget."""
    dataset, _, column = unit.partition(".")
    data = loaded.policy.datasets.get(dataset)
    return data is not None and (not column or column in data.columns)


def _has_root(loaded: LoadedPolicy, dataset: str) -> bool:
    """Whether the references of a data set end somewhere; where they do not, that is told at the data set."""
    try:
        subject_root(loaded.policy, dataset)
    except SchemaError:
        return False
    return True


def _shared_units(loaded: LoadedPolicy) -> Iterator[Finding]:
    """A budget is about people: two for the same ones hide the sum, unless somebody says why there are two."""
    by_unit: dict[str, list[str]] = defaultdict(list)
    for name, budget in _budgets(loaded):
        place = (SECTION, "budgets", name)
        others = by_unit[budget.unit]
        if others and budget.shares_unit is None:
            yield loaded.finding(
                place,
                "dp-shared-unit",
                f"{name} and {' and '.join(others)} are budgets of the same {budget.unit}: what is learned of"
                " them is the sum of all",
                "let one budget pay, or say in `shares_unit` why there are two",
            )
        if not others and budget.shares_unit is not None:
            message = f"no budget before this one has the unit {budget.unit}"
            yield loaded.finding((*place, "shares_unit"), "dp-unneeded", message, "remove `shares_unit`")
        others.append(name)


def _clashes(loaded: LoadedPolicy) -> Iterator[Finding]:
    """Queries and data sets are released under their names, which some places do not tell by upper and lower case."""
    taken = {name.lower(): f"data set {name}" for name in loaded.policy.datasets}
    for asked in queries(loaded):
        other = taken.setdefault(asked.name.lower(), f"query {asked.name}")
        if other != f"query {asked.name}":
            message = f"the query is released under the name of {other}"
            yield asked.finding((), "dp-name", message, "give the query a name of its own")


def _where(loaded: LoadedPolicy) -> Iterator[Finding]:
    """`where` reads named columns; what it compares them with is looked at when the source is met."""
    for asked in queries(loaded):
        for column in asked.query.where.inputs(None) if asked.query.where else ():
            if asked.data is not None and column not in asked.data.columns:
                message = f"`where` reads {column}, which the policy does not name"
                yield asked.finding(("where",), "dp-input", message, columns.unnamed_fix(asked, column))


def _destination(loaded: LoadedPolicy) -> Iterator[Finding]:
    """Answers are released somewhere."""
    if loaded.policy.differential_privacy is not None and loaded.policy.release is None:
        message = "the policy does not say where answers go"
        yield loaded.finding((SECTION,), "dp-destination", message, "add `release: {destination: …}`")


def _deltas(loaded: LoadedPolicy) -> Iterator[Finding]:
    """Unknown keys get out with a probability that somebody has to name; nothing else needs one."""
    for asked in queries(loaded):
        if asked.unknown_keys and asked.query.spend.delta is None:
            message = "a key of a single unit gets out with a probability, which unknown keys have to name"
            yield asked.finding(("spend",), "dp-delta", message, "add `delta: 1e-8` to what is spent")
        if not asked.unknown_keys and asked.query.spend.delta is not None:
            message = "all keys are public, so that nothing is spent of a delta"
            yield asked.finding(("spend", "delta"), "dp-unneeded", message, "remove `delta`")


def _amounts(loaded: LoadedPolicy) -> Iterator[Finding]:
    """Amounts are such that privacy is left, and that they can be counted."""
    for name, budget in _budgets(loaded):
        try:
            limits_of(budget)
        except BudgetError as error:
            yield loaded.finding(
                (SECTION, "budgets", name), "dp-amount", error.what, f"name {error.expected}"
            )
    for asked in queries(loaded):
        spend = asked.query.spend
        if (spend.epsilon or spend.rho or LEAST_SPEND) < LEAST_SPEND:
            message = "so little cannot be divided among measures and still be counted"
            yield asked.finding(("spend",), "dp-amount", message, f"spend at least {LEAST_SPEND:f}")
        try:
            loss_of(spend)
        except BudgetError as error:
            yield asked.finding(("spend",), "dp-amount", error.what, f"spend {error.expected}")


def _paid(loaded: LoadedPolicy) -> Iterator[Finding]:
    """A budget counts losses of the query's kind, and pays for one answer at least.

    A query's measurements never cost more than it spends in all, and hardly less; so what it spends is compared.
    """
    for asked in queries(loaded):
        if asked.budget is None or asked.unknown_keys is not (asked.query.spend.delta is not None):
            continue
        try:
            limits, loss = limits_of(asked.budget), loss_of(asked.query.spend)
        except BudgetError:
            continue
        if not suits(limits, loss):
            yield _unsuited(asked, limits)
        elif not fits(limits, loss):
            yield asked.finding(
                ("spend",),
                "dp-overspent",
                f"one answer costs more than all of the budget {asked.query.budget}",
                f"spend less: there is {remaining(limits, Loss())}",
            )


def _unsuited(asked: Asked, limits: Limits) -> Finding:
    """Why a budget does not count losses of the query's kind."""
    budget = asked.query.budget
    if limits.kind == "pure" and asked.query.spend.rho is not None:
        message = f"the budget {budget} counts epsilon without a delta, which Gaussian noise does not have"
        fix = "spend `epsilon`, or give the budget a `delta`, or a `rho` in place of `epsilon`"
    else:
        message = f"the budget {budget} has no delta, which unknown keys use up"
        fix = "give the budget a `delta`, or name the keys"
    return asked.finding(("spend",), "dp-kind", message, fix)


def _sizes(loaded: LoadedPolicy, *, in_files: bool = False) -> Iterator[Finding]:
    """Noise is drawn for every cell of every public group, whoever is in the table: there is an end to that."""
    for asked in queries(loaded):
        named = asked.query.keys
        if any(isinstance(keys, words.ValueKeys) and keys.file for keys in named.values()) is not in_files:
            continue
        sizes = [columns.labels_of(keys, _folder(loaded)) for keys in named.values()]
        cells = prod(size or 1 for size in sizes) * _cells(asked)
        if cells > MOST_CELLS:
            message = (
                f"the answer has {cells:,} cells, each with noise of its own; {MOST_CELLS:,} are the most"
            )
            yield asked.finding(("keys",), "dp-size", message, "name fewer keys, bins or candidates")


def _cells(asked: Asked) -> int:
    """Cells of one group."""
    statistics = {
        statistic
        for measure in asked.query.measures.values()
        if not isinstance(measure.of, words.Quantiles)
        for statistic in statistics_of(measure)
    }
    quantiles = [m.of for m in asked.query.measures.values() if isinstance(m.of, words.Quantiles)]
    return sum(s.width for s in statistics) + sum(2 * columns.candidates(of) + 1 for of in quantiles)


def files(loaded: LoadedPolicy) -> Iterator[Finding]:
    """What files of keys say, each time anew: they may change while the policy does not.

    A list of keys is public. The private table is none, wherever in it the column stands.
    """
    for asked in queries(loaded):
        for name, keys in asked.query.keys.items():
            if isinstance(keys, words.ValueKeys) and keys.file is not None:
                yield from _file(asked, name, keys.file)
    yield from _sizes(loaded, in_files=True)


def _file(asked: Asked, key: str, file: str) -> Iterator[Finding]:
    place = ("keys", key, "file")
    path = (_folder(asked.loaded) / file).resolve()
    for name, source in _private_files(asked.loaded):
        if path == source or source in path.parents:
            message = f"the keys are read off the private data set {name}: who is in it would show"
            fix = "keep a public list in a file of its own, or write `unknown`"
            yield asked.finding(place, "dp-private-keys", message, fix)
            return
    try:
        labels = labels_in(_folder(asked.loaded), file)
    except SchemaError as error:
        yield asked.finding(place, "dp-keys-file", error.what, f"write {error.expected}")
        return
    if any(count > 1 for count in Counter(labels).values()):
        message = "the file names a value twice"
        yield asked.finding(place, "dp-duplicate", message, "name each value once")
    yield from columns.unfit_labels(asked, key, labels, ("keys", key, "file"))


def _private_files(loaded: LoadedPolicy) -> Iterator[tuple[str, Path]]:
    """The files and folders of data sets, by name."""
    root = Settings.from_env().root_for(loaded.path)
    for name, data in loaded.policy.datasets.items():
        if isinstance(data.source, FileSource):
            try:
                yield name, local_path(data.source.uri, root=root).resolve()
            except StorageError:
                continue


def _folder(loaded: LoadedPolicy) -> Path:
    """Where files of keys lie."""
    return loaded.path.resolve().parent


def _budgets(loaded: LoadedPolicy) -> Iterator[tuple[str, words.Budget]]:
    dp = loaded.policy.differential_privacy
    yield from (dp.budgets if dp else {}).items()


def limits_of(budget: words.Budget) -> Limits:
    """What a budget allows, as the ledger counts it.

    Raises:
        BudgetError: It is more than makes sense.
    """
    return Limits(epsilon=budget.epsilon, rho=budget.rho, delta=budget.delta)


def loss_of(spend: words.Spend) -> Loss:
    """What an answer may cost.

    Raises:
        BudgetError: It is more than makes sense.
    """
    delta = spend.delta or Decimal(0)
    if spend.rho is not None:
        return Loss.zcdp(spend.rho, delta)
    return Loss.approx_pure(spend.epsilon or Decimal(0), delta)


RULES: tuple[Callable[[LoadedPolicy], Iterator[Finding]], ...] = (
    _names,
    _asked,
    _units,
    _unit_paths,
    _shared_units,
    _clashes,
    _where,
    _destination,
    _deltas,
    _amounts,
    _paid,
    _sizes,
    *columns.RULES,
)
"""The rules that need nothing but the policy."""
