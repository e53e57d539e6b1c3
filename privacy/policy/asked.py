"""The queries of a policy with their places and what they name, as the rules of `differential_privacy` look at them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from airflow_veil.privacy.policy import differential_privacy as words
from airflow_veil.privacy.policy.finding import Finding
from airflow_veil.privacy.policy.load import LoadedPolicy
from airflow_veil.privacy.policy.models import Column, Dataset, FileSource
from airflow_veil.privacy.policy.source_map import Path
from airflow_veil.privacy.transforms.family import Family

SECTION = "differential_privacy"
_CSV = (".csv", ".csv.gz")


@dataclass(frozen=True, slots=True)
class Read:
    """One column that a query reads.

    Attributes:
        name: The column.
        place: Where the policy says so.
        word: What it is read for: `keys`, the word of a measure, or `subject`.
        of: The keys or the parameters of the measure; None for the subject.
    """

    name: str
    place: Path
    word: str
    of: object


@dataclass(frozen=True, slots=True)
class Asked:
    """One query.

    Attributes:
        loaded: The policy.
        name: The query's name.
        query: The query.
        data: The data set that it asks; None where the policy has none of that name.
        budget: The budget that pays; None where the policy has none of that name.
    """

    loaded: LoadedPolicy
    name: str
    query: words.Query
    data: Dataset | None
    budget: words.Budget | None

    @property
    def path(self) -> Path:
        """Its place."""
        return (SECTION, "queries", self.name)

    @property
    def unknown_keys(self) -> bool:
        """Whether a key is not public."""
        return any(isinstance(keys, words.UnknownKeys) for keys in self.query.keys.values())

    def finding(self, path: Path, rule: str, message: str, fix: str) -> Finding:
        """A finding at a place within the query."""
        return self.loaded.finding((*self.path, *path), rule, message, fix)

    def reads(self) -> Iterator[Read]:
        """The columns that keys and measures read; those of `where` apart."""
        for name, keys in self.query.keys.items():
            column = name if isinstance(keys, words.ValueKeys) else keys.column or name
            yield Read(column, ("keys", name), "keys", keys)
        for name, measure in self.query.measures.items():
            named: str | None = getattr(measure.of, "column", None)
            if named is not None:
                yield Read(named, ("measures", name, measure.word), measure.word, measure.of)

    def column(self, name: str) -> Column | None:
        """A column as the policy names it."""
        return None if self.data is None else self.data.columns.get(name)

    def family(self, name: str) -> Family | None:
        """What the values of a column are; None where the policy does not say. A CSV file's are text unless it does."""
        column = self.column(name)
        if column is None or self.data is None or column.family is not None:
            return None if column is None else column.family
        source = self.data.source
        csv = isinstance(source, FileSource) and (
            source.format == "csv" or (source.format is None and source.uri.endswith(_CSV))
        )
        return Family.TEXT if csv else None


def queries(loaded: LoadedPolicy) -> Iterator[Asked]:
    """The queries of a policy; none where it has no such section."""
    dp = loaded.policy.differential_privacy
    for name, query in (dp.queries if dp else {}).items():
        budget = dp.budgets.get(query.budget) if dp else None
        yield Asked(loaded, name, query, loaded.policy.datasets.get(query.dataset), budget)


def nearest(word: str, known: Iterable[str]) -> str:
    """What to write instead of a name that is not there."""
    known = list(known)
    near = difflib.get_close_matches(word, known, n=1)
    return f"write `{near[0]}`" if near else f"name one of {', '.join(known)}"
