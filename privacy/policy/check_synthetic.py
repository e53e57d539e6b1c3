"""Checks what `synthetic` means: methods that can make these tables, who pays, and how what is made is looked at.

Each rule is a function, as in `check`; nothing here reads data. Columns are looked at in `check_synthetic_columns`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from airflow_veil.privacy.errors import BudgetError, SchemaError, SyntheticError
from airflow_veil.privacy.period import after
from airflow_veil.privacy.policy import check_synthetic_columns as columns
from airflow_veil.privacy.policy.asked import nearest
from airflow_veil.privacy.policy.finding import Finding
from airflow_veil.privacy.policy.load import LoadedPolicy
from airflow_veil.privacy.policy.made import SECTION, Made, MadeTable, refers, syntheses
from airflow_veil.privacy.policy.source_map import Path
from airflow_veil.privacy.policy.synthetic import Evaluate, Par
from airflow_veil.privacy.synthetic.specification import owner_of, parents_first, parents_of

RELATED = ("hma", "faker")
"""Methods that make several tables."""
HMA_TABLES, HMA_LEVELS = 5, 2
"""SDV refuses more for HMA: its time and memory grow out of hand."""
_DAY = datetime(2024, 1, 1, tzinfo=UTC)


def _clashes(loaded: LoadedPolicy) -> Iterator[Finding]:
    """Syntheses, queries and data sets are released under their names, which some places do not tell by case."""
    policy = loaded.policy
    queries = policy.differential_privacy.queries if policy.differential_privacy else {}
    taken = {name.lower(): f"data set {name}" for name in policy.datasets}
    taken |= {name.lower(): f"query {name}" for name in queries}
    for made in syntheses(loaded):
        other = taken.setdefault(made.name.lower(), f"synthesis {made.name}")
        if other != f"synthesis {made.name}":
            message = f"the synthesis is released under the name of {other}"
            yield made.finding((), "synthetic-name", message, "give the synthesis a name of its own")


def _destination(loaded: LoadedPolicy) -> Iterator[Finding]:
    """What is made is released somewhere."""
    if loaded.policy.synthetic is not None and loaded.policy.release is None:
        message = "the policy does not say where synthetic tables go"
        yield loaded.finding((SECTION,), "synthetic-destination", message, "add `release: {destination: …}`")


def _tables(loaded: LoadedPolicy) -> Iterator[Finding]:
    """A method makes as many tables as it can."""
    for made in syntheses(loaded):
        count = len(made.synthesis.tables)
        if count > 1 and made.method not in RELATED:
            message = f"`{made.method}` makes one table, and these are {count}"
            yield made.finding(("method",), "synthetic-method", message, "use `hma`, or a synthesis a table")
        elif made.method == "hma":
            yield from _related(made)


def _related(made: Made) -> Iterator[Finding]:
    """HMA learns how many rows of one table a row of another has: such tables there must be, and not too many."""
    tables = made.synthesis.tables
    if len(tables) == 1:
        message = "`hma` makes related tables, and this is one"
        yield made.finding(("method",), "synthetic-method", message, "use `gaussian_copula`")
        return
    related = {parent for table in tables.values() for parent in parents_of(table)}
    for name, table in tables.items():
        if name not in related and not refers(table):
            message = f"{name} refers to no table, and none refers to it"
            fix = "make it up in a synthesis of its own"
            yield made.finding(("tables", name), "synthetic-method", message, fix)
    if len(tables) > HMA_TABLES or _levels(made) > HMA_LEVELS:
        yield made.finding(
            ("method",),
            "synthetic-method",
            f"`hma` takes {HMA_TABLES} tables at most, and tables that refer to tables that refer to none",
            "leave tables out, or make two syntheses",
        )


def _levels(made: Made) -> int:
    """How many tables the longest way along references has."""
    levels: dict[str, int] = {}
    try:
        for name in parents_first(made.synthesis.tables, where=made.name):
            parents = parents_of(made.synthesis.tables[name])
            levels[name] = 1 + max((levels[parent] for parent in parents), default=0)
    except SyntheticError:
        return 0  # `_circles` tells why.
    return max(levels.values(), default=0)


def _circles(loaded: LoadedPolicy) -> Iterator[Finding]:
    """References end at tables that refer to none."""
    for made in syntheses(loaded):
        tables = made.synthesis.tables
        inside = all(parents_of(table) <= tables.keys() - {name} for name, table in tables.items())
        try:
            parents_first(tables, where=made.name)
        except SyntheticError:
            if inside:  # Otherwise the reference itself is told of.
                message = "the references of the tables run in a circle"
                yield made.finding(
                    ("tables",),
                    "synthetic-circle",
                    message,
                    "leave a reference out, so that one table has none",
                )


def _learned(loaded: LoadedPolicy) -> Iterator[Finding]:
    """A method that learns has something to learn in every table."""
    for made in syntheses(loaded):
        for table in made.tables():
            if made.learns and not table.of("numbers", "categories", "dates"):
                message = f"nothing of table {table.name} is learned"
                fix = "name columns of numbers, categories or dates, or use `faker`"
                yield table.finding(("columns",), "synthetic-nothing", message, fix)


def _sequences(loaded: LoadedPolicy) -> Iterator[Finding]:
    """PAR knows which rows are a sequence, what orders them, and what does not change within one."""
    for made in syntheses(loaded):
        par = made.synthesis.method.par
        if par is not None and len(made.synthesis.tables) == 1:
            yield from _sequence(made, next(made.tables()), par)


def _sequence(made: Made, table: MadeTable, par: Par) -> Iterator[Finding]:
    place: Path = ("method", "par")
    if par.sequence not in table.of("key"):
        message = f"{par.sequence} is not the key of table {table.name}"
        fix = f"declare the column that says which sequence a row is of as `key` under `{table.name}`"
        yield made.finding((*place, "sequence"), "synthetic-sequence", message, fix)
    said = table.table.columns.get(par.order)
    if said is None or said.word not in ("numbers", "dates") or said.nulls:
        message = f"{par.order} is no column of numbers or dates that is never empty"
        fix = nearest(par.order, table.of("numbers", "dates") or ("such a column",))
        yield made.finding((*place, "order"), "synthetic-sequence", message, fix)
    for name in par.context:
        if name not in table.of("numbers", "categories", "dates") or name == par.order:
            message = f"{name} is no learned column beside the order"
            known = [one for one in table.of("numbers", "categories", "dates") if one != par.order]
            yield made.finding(
                (*place, "context"), "synthetic-sequence", message, nearest(name, known or ("other columns",))
            )
    if not set(table.of("numbers", "categories", "dates")) - {par.order, *par.context}:
        message = "nothing changes within a sequence"
        fix = "name a learned column that is neither the order nor of the context"
        yield made.finding(place, "synthetic-sequence", message, fix)


def _people(loaded: LoadedPolicy) -> Iterator[Finding]:
    """Whose a row is can be told while it is read: people are drawn whole, and kept from a model whole."""
    for made in syntheses(loaded):
        for table in made.tables() if made.learns and not made.synthesis.method.private else ():
            data = table.data
            owner = None if data is None else owner_of(loaded.policy, table.name)
            if owner is None or data is None or data.subject is None or data.subject.column is None:
                continue
            said = table.table.columns.get(data.subject.column)
            if said is None or said.reference is None or said.reference.to != data.subject.references:
                message = (
                    f"only {owner} says whose the rows of {table.name} are, and it is not made up with them"
                )
                fix = f"make up {owner} with a `key`, and let {data.subject.column} be a `reference` to it"
                yield table.finding((), "synthetic-people", message, fix)


def _rows(loaded: LoadedPolicy) -> Iterator[Finding]:
    """Where nothing or not too much is to be told of the rows, their number is not, either."""
    for made in syntheses(loaded):
        for table in made.tables():
            if refers(table.table):
                if table.table.rows is not None:
                    message = f"each row of what {table.name} refers to has rows of it"
                    yield table.finding(("rows",), "synthetic-unneeded", message, "remove `rows`")
            elif table.table.rows is None and (made.synthesis.method.private or not made.learns):
                why = "how many were learned from would tell of them" if made.learns else "none are read"
                message = f"the policy does not say how many rows are made: {why}"
                yield table.finding((), "synthetic-rows", message, "add `rows: …`")


def _paid(loaded: LoadedPolicy) -> Iterator[Finding]:
    """What protects people is paid for, from a budget that is there and pays it; nothing else is."""
    for made in syntheses(loaded):
        private = made.synthesis.method.private
        for word in ("budget", "spend"):
            said = getattr(made.synthesis, word) is not None
            if private and not said:
                message = f"`{made.method}` is differentially private, and `{word}` is missing"
                fix = (
                    "add `spend: {rho: …}`" if word == "spend" else "name a budget of `differential_privacy`"
                )
                yield made.finding((), "synthetic-budget", message, fix)
            elif said and not private:
                message = f"`{made.method}` is not differentially private: no budget makes it so"
                yield made.finding((word,), "synthetic-unneeded", message, f"remove `{word}`")
        if private and made.synthesis.budget is not None and made.synthesis.spend is not None:
            yield from _budget(made)


def _budget(made: Made) -> Iterator[Finding]:
    from airflow_veil.privacy.dp.loss import Loss, fits, remaining, suits
    from airflow_veil.privacy.policy.check_dp import limits_of, loss_of

    policy, budget, spend = made.loaded.policy, made.synthesis.budget, made.synthesis.spend
    budgets = policy.differential_privacy.budgets if policy.differential_privacy else {}
    if budget is None or spend is None:
        return
    if budget not in budgets:
        fix = nearest(budget, budgets) if budgets else "add it under `differential_privacy: {budgets: …}`"
        yield made.finding(("budget",), "synthetic-budget", f"there is no budget {budget}", fix)
        return
    yield from _unit(made, budgets[budget].unit)
    try:
        limits, loss = limits_of(budgets[budget]), loss_of(spend)
    except BudgetError as error:
        # Of the budget itself it is told there.
        yield made.finding(("spend",), "synthetic-budget", error.what, f"spend {error.expected}")
        return
    if not suits(limits, loss):
        message = f"the budget {budget} does not count losses of this kind"
        yield made.finding(
            ("spend",),
            "synthetic-budget",
            message,
            "spend `epsilon`, or give the budget a `rho` or a `delta`",
        )
    elif not fits(limits, loss):
        message = f"one model costs more than all of the budget {budget}"
        fix = f"spend less: there is {remaining(limits, Loss())}"
        yield made.finding(("spend",), "synthetic-budget", message, fix)


def _unit(made: Made, unit: str) -> Iterator[Finding]:
    """The rows that are learned from lead to the unit of the budget."""
    from airflow_veil.privacy.dp.query import unit_path

    policy = made.loaded.policy
    dataset, _, column = unit.partition(".")
    named = dataset in policy.datasets and (not column or column in policy.datasets[dataset].columns)
    for table in made.synthesis.tables:
        if named and table in policy.datasets:
            try:
                owner, _ = unit_path(policy, table, unit)
                counted = made.synthesis.method.counted
                if owner is None and counted is not None and counted.rows_per_unit > 1:
                    message = f"a unit of the budget is a row of {unit}, and has no more of them"
                    place: Path = ("method", made.method, "rows_per_unit")
                    yield made.finding(place, "synthetic-unneeded", message, "remove `rows_per_unit`")
            except SchemaError as error:
                yield made.finding(("budget",), "synthetic-unit", error.what, error.fix)


def _evaluated(loaded: LoadedPolicy) -> Iterator[Finding]:
    """What was learned of people without a guarantee is looked at before it goes out, on columns that are made."""
    for made in syntheses(loaded):
        evaluate = made.synthesis.evaluate
        if evaluate is None:
            if made.learns and not made.synthesis.method.private:
                message = f"`{made.method}` learns of people and guarantees them nothing"
                yield made.finding((), "synthetic-evaluate", message, "add `evaluate:`")
            continue
        if not made.learns:
            message = "nothing is learned that could be told"
            yield made.finding(("evaluate",), "synthetic-unneeded", message, "remove `evaluate`")
            continue
        learned = [name for name, column in made.root.columns.items() if column.learned]
        named = [("target", evaluate.target), ("protected", evaluate.protected)]
        named += [(word, name) for word in ("knows", "secrets") for name in getattr(evaluate, word)]
        for word, name in named:
            if name is not None and name not in learned:
                message = f"{name} is no learned column of the table that refers to no other"
                fix = nearest(name, learned or ("learned columns",))
                yield made.finding(("evaluate", word), "synthetic-evaluated", message, fix)
        if evaluate.protected is not None and evaluate.target is None:
            message = "a model is fair in what it tells, and there is no `target`"
            yield made.finding(("evaluate", "protected"), "synthetic-evaluated", message, "add `target`")
        yield from _measurable(made, evaluate)


def _measurable(made: Made, evaluate: Evaluate) -> Iterator[Finding]:
    """What a bound is on can be measured: otherwise every release would be denied."""
    bounds = evaluate.bounds
    needed = [("usefulness_min", "target"), ("fairness_gap_max", "target"), ("fairness_gap_max", "protected")]
    for bound, word in needed:
        if getattr(bounds, bound) is not None and getattr(evaluate, word) is None:
            message = f"`{bound}` is a bound on a model, and there is no `{word}`"
            fix = f"add `{word}`, or remove the bound"
            yield made.finding(("evaluate", "bounds", bound), "synthetic-bound", message, fix)
    target = made.root.columns.get(evaluate.target or "")
    if bounds.fairness_gap_max is not None and target is not None and target.word in ("numbers", "dates"):
        message = f"fairness is measured of classes, and {evaluate.target} is told as {target.word}"
        fix = f"declare {evaluate.target} as `categories`, or remove the bound"
        yield made.finding(("evaluate", "bounds", "fairness_gap_max"), "synthetic-bound", message, fix)
    if bounds.membership_tpr_max is not None and (
        made.synthesis.method.private or len(made.synthesis.tables) > 1
    ):
        why = (
            "their noise would have to be paid for" if made.synthesis.method.private else "of one table only"
        )
        message = f"no models are fitted anew for the membership attack on `{made.method}`: {why}"
        fix = "remove the bound"
        yield made.finding(("evaluate", "bounds", "membership_tpr_max"), "synthetic-bound", message, fix)


def _periods(loaded: LoadedPolicy) -> Iterator[Finding]:
    """A model is kept for a while."""
    for made in syntheses(loaded):
        period = made.synthesis.model_expires_after
        try:
            long_enough = after(_DAY, period) > _DAY
        except (ValueError, OverflowError):
            long_enough = False
        if not long_enough:
            message = f"{period} is no time that a model can be kept"
            yield made.finding(
                ("model_expires_after",), "synthetic-period", message, "write a period such as P30D"
            )


RULES: tuple[Callable[[LoadedPolicy], Iterator[Finding]], ...] = (
    _clashes,
    _destination,
    _tables,
    _circles,
    _learned,
    _sequences,
    _people,
    _rows,
    _paid,
    _evaluated,
    _periods,
    *columns.RULES,
)
"""What `check` runs of this section."""
