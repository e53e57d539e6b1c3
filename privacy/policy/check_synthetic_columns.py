"""Checks what synthetic columns and constraints mean: what may be learned, of which types, within which bounds.

Each rule is a function, as in `check`; nothing here reads data.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator

from airflow_veil.privacy.errors import SyntheticError
from airflow_veil.privacy.policy.asked import nearest
from airflow_veil.privacy.policy.finding import Finding
from airflow_veil.privacy.policy.load import LoadedPolicy
from airflow_veil.privacy.policy.made import MadeTable, tables
from airflow_veil.privacy.policy.models import Column, ColumnClass
from airflow_veil.privacy.policy.source_map import Path
from airflow_veil.privacy.policy.synthetic import Inequality, Numbers, SyntheticColumn
from airflow_veil.privacy.policy.types import TYPES
from airflow_veil.privacy.synthetic.specification import inequalities_of, type_name_of, values_of
from airflow_veil.privacy.transforms.family import Family

_NEVER_LEARNED = {ColumnClass.DIRECT_IDENTIFIER: "direct identifier", ColumnClass.FREE_TEXT: "free text"}
_FITS = {
    "numbers": (frozenset({Family.INTEGER, Family.FLOATING}), "whole numbers or floats"),
    "dates": (frozenset({Family.DATE, Family.TIMESTAMP}), "dates or times"),
    "categories": (
        frozenset({Family.TEXT, Family.INTEGER, Family.BOOLEAN}),
        "text, whole numbers or booleans",
    ),
}
_OF_VALUES: dict[Family, type] = {Family.TEXT: str, Family.INTEGER: int, Family.BOOLEAN: bool}


def _names(loaded: LoadedPolicy) -> Iterator[Finding]:
    """A synthetic table stands for a data set that is there, and its columns for columns that are named there."""
    for table in tables(loaded):
        if table.data is None:
            fix = nearest(table.name, loaded.policy.datasets)
            yield table.finding((), "synthetic-dataset", f"there is no data set {table.name}", fix)
            continue
        for name, _, declared in table.columns():
            if declared is None:
                message = f"data set {table.name} names no column {name}"
                fix = nearest(name, table.data.columns)
                yield table.finding(("columns", name), "synthetic-column", message, fix)


def _identifiers(loaded: LoadedPolicy) -> Iterator[Finding]:
    """What names people, or was written about them, is never learned: a model may say it again, letter by letter."""
    for table in tables(loaded):
        for name, said, declared in table.columns():
            if declared is not None and said.learned and declared.column_class in _NEVER_LEARNED:
                yield table.finding(
                    ("columns", name),
                    "synthetic-identifier",
                    f"a {_NEVER_LEARNED[declared.column_class]} would be learned, and could be made again",
                    "write `{invented: {provider: …}}` or `key`, or leave the column out",
                )


def _types(loaded: LoadedPolicy) -> Iterator[Finding]:
    """A word is for the types that it makes; of numbers and dates the policy says which."""
    for table in tables(loaded):
        for name, said, declared in table.columns():
            if declared is None or not said.learned:
                continue
            family, (fits, told) = _family(said, declared), _FITS[said.word]
            if family not in fits:
                kind = "no type" if declared.type is None else f"the type {declared.type}"
                yield table.finding(
                    ("columns", name, said.word),
                    "synthetic-type",
                    f"`{said.word}` makes {told}, and the data set declares {kind} for {name}",
                    f"declare the `type` of {name} under `datasets`, or use another word",
                )


def _family(said: SyntheticColumn, declared: Column) -> Family | None:
    name = type_name_of(said, declared)
    return None if name is None else TYPES[name].family


def _values(loaded: LoadedPolicy) -> Iterator[Finding]:
    """Categories are listed in the policy, each once, of the column's type, and among those of the data set."""
    for table in tables(loaded):
        for name, said, declared in table.columns():
            if said.categories is None or declared is None:
                continue
            place: Path = ("columns", name, "categories")
            values = values_of(said, declared)
            if not values:
                message = f"the values of {name} are not listed: they are never looked up in the data"
                fix = "add `values: […]` here, or to the column of the data set"
                yield table.finding(place, "synthetic-values", message, fix)
                continue
            family = _family(said, declared)
            of = _OF_VALUES.get(family) if family is not None else None
            if of is not None and any(type(value) is not of for value in values):
                yield table.finding(
                    place,
                    "synthetic-values",
                    f"{name} has values that are not of its type, {type_name_of(said, declared)}",
                    "write numbers and booleans bare and texts in quotes, in `values:` of `categories`",
                )
            listed = said.categories.values or ()
            if any(count > 1 for count in Counter(map(repr, listed)).values()):
                message = f"a value of {name} is listed twice"
                yield table.finding((*place, "values"), "synthetic-values", message, "list each value once")
            if declared.values is not None and {str(value) for value in listed} - set(declared.values):
                message = f"{name} has values that the data set does not declare"
                fix = "leave out `values` here, or add them to those of the data set"
                yield table.finding((*place, "values"), "synthetic-values", message, fix)


def _bounds(loaded: LoadedPolicy) -> Iterator[Finding]:
    """Bounds are such that there is something between them, of the column's type."""
    for table in tables(loaded):
        for name, said, declared in table.columns():
            if declared is None:
                continue
            place: Path = ("columns", name, said.word)
            if said.dates is not None and said.dates.bounds[0] >= said.dates.bounds[1]:
                message = "the first day is not before the last"
                yield table.finding((*place, "bounds"), "synthetic-bounds", message, "write [first, last]")
            if said.numbers is not None:
                yield from _number_bounds(table, place, said.numbers, declared)


def _number_bounds(table: MadeTable, place: Path, numbers: Numbers, declared: Column) -> Iterator[Finding]:
    low, high = numbers.bounds
    if declared.family is Family.INTEGER and declared.type is not None:
        least, greatest = _range(declared.type)
        if low < least or high > greatest:
            message = f"the type {declared.type} does not hold all numbers between the bounds"
            yield table.finding(
                (*place, "bounds"), "synthetic-bounds", message, f"stay within {least} and {greatest}"
            )
        elif math.ceil(low) > math.floor(high):
            message = "there is no whole number between the bounds"
            yield table.finding((*place, "bounds"), "synthetic-bounds", message, "write whole bounds")
        if numbers.decimals is not None:
            message = "whole numbers have no decimals"
            yield table.finding((*place, "decimals"), "synthetic-unneeded", message, "remove `decimals`")
    elif numbers.decimals is not None and round(low, numbers.decimals) != low:
        message = "the least number has more decimals than are made"
        yield table.finding((*place, "bounds"), "synthetic-bounds", message, "round the bounds")
    elif numbers.decimals is not None and round(high, numbers.decimals) != high:
        message = "the greatest number has more decimals than are made"
        yield table.finding((*place, "bounds"), "synthetic-bounds", message, "round the bounds")
    if numbers.edges is not None and (numbers.edges[0] != low or numbers.edges[-1] != high):
        message = "the edges of the bins do not go from bound to bound"
        fix = "let the first edge be the least number, and the last one the greatest"
        yield table.finding((*place, "edges"), "synthetic-bounds", message, fix)


def _range(type_name: str) -> tuple[int, int]:
    """The whole numbers of a type that a float tells apart, too."""
    bits = int(type_name.removeprefix("u").removeprefix("int"))
    if type_name.startswith("u"):
        return 0, min(2**bits - 1, 2**53)
    return max(-(2 ** (bits - 1)), -(2**53)), min(2 ** (bits - 1) - 1, 2**53)


def _keys(loaded: LoadedPolicy) -> Iterator[Finding]:
    """A table has one key at most; keys and inventions are never empty."""
    for table in tables(loaded):
        for extra in table.of("key")[1:]:
            message = f"table {table.name} has a key already"
            yield table.finding(
                ("columns", extra),
                "synthetic-key",
                message,
                "let one column be the `key`, or invent this one",
            )
        for name, said, _ in table.columns():
            if said.nulls and said.word in ("key", "invented"):
                message = f"`{said.word}` is never empty"
                yield table.finding(
                    ("columns", name, "nulls"), "synthetic-unneeded", message, "remove `nulls`"
                )


def _references(loaded: LoadedPolicy) -> Iterator[Finding]:
    """A reference is to the key of another table that is made up with it."""
    for table in tables(loaded):
        for name, said, _ in table.columns():
            if said.reference is None:
                continue
            place: Path = ("columns", name, "reference")
            target, _, column = said.reference.to.partition(".")
            other = table.made.synthesis.tables.get(target)
            if target == table.name:
                message, fix = "a table cannot refer to itself", "leave the column out"
            elif other is None:
                message = f"there is no table {target} in the synthesis"
                fix = nearest(target, table.made.synthesis.tables)
            elif column not in other.columns or other.columns[column].key is None:
                message = f"{said.reference.to} is not the key of {target}"
                fix = f"declare it as `key` under `{target}`, or refer to the column that is"
            else:
                continue
            yield table.finding(place, "synthetic-reference", message, fix)


def _providers(loaded: LoadedPolicy) -> Iterator[Finding]:
    """Faker knows what is to be invented, in the language that is asked for."""
    from airflow_veil.privacy.synthetic.invented import is_known

    for table in tables(loaded):
        for name, said, _ in table.columns():
            if said.invented is not None and not is_known(said.invented.provider, said.invented.locale):
                message = f"Faker's locale {said.invented.locale} does not invent {said.invented.provider}"
                fix = "name one of Faker's providers, such as `name`, `safe_email` or `street_address`"
                yield table.finding(("columns", name, "invented"), "synthetic-provider", message, fix)


def _constraints(loaded: LoadedPolicy) -> Iterator[Finding]:
    """A constraint is about learned columns of one kind, and there are rows that meet it."""
    for table in tables(loaded):
        for index, constraint in enumerate(table.table.constraints):
            place: Path = ("constraints", index)
            if constraint.inequality is not None:
                yield from _inequality(table, (*place, "inequality"), constraint.inequality)
            else:
                yield from _combinations(table, (*place, "combinations"), constraint.combinations or ())
        try:
            inequalities_of(table.table.constraints, where=table.name)
        except SyntheticError as error:
            yield table.finding(("constraints",), "synthetic-constraint", error.what, "leave one of them out")


def _inequality(table: MadeTable, place: Path, inequality: Inequality) -> Iterator[Finding]:
    families = []
    for name in (inequality.low, inequality.high):
        said = table.table.columns.get(name)
        if said is None or said.word not in ("numbers", "dates"):
            message = f"{name} is no column of numbers or dates of table {table.name}"
            fix = nearest(name, table.of("numbers", "dates") or ("columns of numbers or dates",))
            yield table.finding(place, "synthetic-constraint", message, fix)
            return
        declared = table.data.columns.get(name) if table.data else None
        families.append(None if declared is None else declared.type)
    low, high = (table.table.columns[name] for name in (inequality.low, inequality.high))
    if inequality.low == inequality.high or low.word != high.word:
        message = f"{inequality.low} and {inequality.high} are nothing to compare"
        yield table.finding(place, "synthetic-constraint", message, "name two columns of numbers or of dates")
    elif len({_unit(name) for name in families}) > 1:
        message = f"{inequality.low} and {inequality.high} are of types that are not compared"
        yield table.finding(place, "synthetic-constraint", message, "declare the same type for both")
    elif not _room(low, high, strict=inequality.strict):
        yield table.finding(
            place,
            "synthetic-constraint",
            f"{inequality.high} has no room above {inequality.low}",
            f"let the upper bound of {inequality.high} be {'greater than' if inequality.strict else 'at least'}"
            f" that of {inequality.low}",
        )


def _unit(type_name: str | None) -> str | None:
    """Types that are compared with one another."""
    if type_name is None:
        return None
    family = TYPES[type_name].family
    return type_name if family is Family.TIMESTAMP else family.value


def _room(low: SyntheticColumn, high: SyntheticColumn, *, strict: bool) -> bool:
    """Whether the greater column can be above whatever the other one is."""
    if low.numbers is not None and high.numbers is not None:
        ends: tuple[float, float] = low.numbers.bounds[1], high.numbers.bounds[1]
    elif low.dates is not None and high.dates is not None:
        ends = low.dates.bounds[1].toordinal(), high.dates.bounds[1].toordinal()
    else:
        return False
    return ends[1] > ends[0] if strict else ends[1] >= ends[0]


def _combinations(table: MadeTable, place: Path, names: tuple[str, ...]) -> Iterator[Finding]:
    if table.made.method in ("mst", "aim", "faker", "par"):
        message = f"`{table.made.method}` does not know which combinations there are in the data"
        fix = "remove it, or make one column of the combinations beforehand"
        yield table.finding(place, "synthetic-constraint", message, fix)
        return
    for name in names:
        if name not in table.of("categories"):
            message = f"{name} is no column of categories of table {table.name}"
            fix = nearest(name, table.of("categories") or ("columns of categories",))
            yield table.finding(place, "synthetic-constraint", message, fix)
    if len(set(names)) < len(names):
        message = "a column is named twice"
        yield table.finding(place, "synthetic-constraint", message, "name each column once")


RULES: tuple[Callable[[LoadedPolicy], Iterator[Finding]], ...] = (
    _names,
    _identifiers,
    _types,
    _values,
    _bounds,
    _keys,
    _references,
    _providers,
    _constraints,
)
"""What `check` runs of columns."""
