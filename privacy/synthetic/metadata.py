"""SDV's metadata, written from the policy: what a column is, is never guessed from what is in it.

SDV sees learned columns as plain numbers or as codes of categories (see `coordinates`), and of the rest keys and
references alone. It is told nothing of inventions, which it does not make.
"""

from __future__ import annotations

from typing import Any

from airflow_veil.privacy.synthetic.specification import Specification, TableSpecification


def sdv_metadata(specification: Specification) -> dict[str, Any]:
    """The metadata of a synthesis, as `sdv.metadata.Metadata.load_from_dict` takes it.

    Keys and references are in it where tables are related, and where rows are of sequences.
    """
    related = specification.method.hma is not None
    tables: dict[str, Any] = {}
    relationships = []
    for name, table in specification.tables.items():
        columns = {column.name: {"sdtype": _sdtype(column.word)} for column in table.learned}
        keys: dict[str, str] = {}
        if related:
            columns |= {column.name: {"sdtype": "id"} for column in table.of("key", "reference")}
            keys = {} if table.key is None else {"primary_key": table.key}
            relationships += [
                {
                    "parent_table_name": column.target[0],
                    "parent_primary_key": column.target[1],
                    "child_table_name": name,
                    "child_foreign_key": column.name,
                }
                for column in table.references
            ]
        elif specification.method.par is not None:
            par = specification.method.par
            columns[par.sequence] = {"sdtype": "id"}
            keys = {"sequence_key": par.sequence, "sequence_index": par.order}
        tables[name] = {"columns": columns, **keys}
    return {"METADATA_SPEC_VERSION": "V1", "tables": tables, "relationships": relationships}


def sdv_constraints(table: TableSpecification) -> list[Any]:
    """The constraints of a table, as SDV takes them.

    What a model draws is looked at once more, after bounds and rounding: see `constraints`.
    """
    from sdv.cag import FixedCombinations, Inequality

    constraints: list[Any] = []
    for constraint in table.constraints:
        if constraint.inequality is not None:
            one = constraint.inequality
            constraints.append(
                Inequality(
                    low_column_name=one.low,
                    high_column_name=one.high,
                    strict_boundaries=one.strict,
                    table_name=table.name,
                )
            )
        elif constraint.combinations is not None:
            constraints.append(FixedCombinations(list(constraint.combinations), table_name=table.name))
    return constraints


def _sdtype(word: str) -> str:
    return "categorical" if word == "categories" else "numerical"
