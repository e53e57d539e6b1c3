"""`differential_privacy:` in a policy: budgets of people, and the queries that may be answered from them.

A query is a closed specification. Keys, bounds, bins and candidates are written here, with where they come from, and
never read off the private table; there is no expression to get around them.
"""

from __future__ import annotations

import itertools
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    GetJsonSchemaHandler,
    StringConstraints,
    Tag,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

from airflow_veil.privacy.described import Described
from airflow_veil.privacy.policy.names import Name, Period
from airflow_veil.privacy.policy.one_word import OneWord
from airflow_veil.privacy.transforms.where import Where

Reason = Annotated[str, StringConstraints(min_length=10)]
"""Why, in a sentence; it is recorded."""

Amount = Annotated[Decimal, Field(gt=0, le=1_000_000)]
"""An amount of privacy loss."""

Delta = Annotated[Decimal, Field(gt=0, le=Decimal("0.01"))]
"""A probability with which the bound on the loss may not hold."""

Number = Annotated[float, Field(allow_inf_nan=False)]
"""A finite number."""


def _ascending(numbers: tuple[float, ...]) -> tuple[float, ...]:
    if any(right <= left for left, right in itertools.pairwise(numbers)):
        raise PydanticCustomError("ascending", "the numbers must rise")
    return numbers


Bounds = Annotated[tuple[Number, ...], Field(min_length=2, max_length=2), AfterValidator(_ascending)]
"""The least and the greatest."""

Edges = Annotated[tuple[Number, ...], Field(min_length=2), AfterValidator(_ascending)]
"""The edges of one bin at least."""


class Budget(Described):
    """How much may be learned of each of some people, over all releases that name this budget.

    Its name is known to the ledger, not to one policy: every policy that names it draws on the same budget.
    """

    unit: Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_]*(\.[^.]+)?$")]
    """Whose presence is hidden: `data_set.column`, where the subjects' references end; or `data_set`, one row of it."""
    epsilon: Amount | None = None
    """The bound on the loss: pure differential privacy where no `delta` is named, else approximate."""
    rho: Amount | None = None
    """The bound on the loss in zero-concentrated differential privacy, in place of `epsilon`."""
    delta: Delta | None = None
    """The probability that goes with `epsilon`; with `rho`, what thresholds for unknown keys may use up."""
    per: Period | Literal["total"] = "total"
    """The period that the bound is for, such as P30D; `total` for as long as the ledger lives."""
    starts: date | None = None
    """The first day of the first period."""
    renew: Reason | None = None
    """Why the people may be asked anew each period: their losses of all periods add up."""
    shares_unit: Reason | None = None
    """Why the policy has another budget of the same unit: what is learned of its people is the sum of both."""

    @model_validator(mode="after")
    def _whole(self) -> Budget:
        if (self.epsilon is None) == (self.rho is None):
            raise PydanticCustomError("budget_amount", "a budget names either `epsilon` or `rho`")
        if (self.per == "total") != (self.renew is None) or (self.per == "total") != (self.starts is None):
            raise PydanticCustomError(
                "budget_period", "a budget with a period names `starts` and `renew`, and one for ever neither"
            )
        return self

    @property
    def kind(self) -> Literal["pure", "approx", "zcdp"]:
        """How losses are counted."""
        if self.rho is not None:
            return "zcdp"
        return "pure" if self.delta is None else "approx"


class Spend(Described):
    """What a query takes out of its budget, each time it is answered."""

    epsilon: Amount | None = None
    """Pure differential privacy, by Laplace noise."""
    rho: Amount | None = None
    """Zero-concentrated differential privacy, by Gaussian noise, in place of `epsilon`."""
    delta: Delta | None = None
    """For unknown keys: the probability that a key of a single unit gets out."""

    @model_validator(mode="after")
    def _one(self) -> Spend:
        if (self.epsilon is None) == (self.rho is None):
            raise PydanticCustomError("budget_amount", "a query spends either `epsilon` or `rho`")
        return self


class Contribution(Described):
    """How much of one unit can be in an answer; what is more is left out, drawn at random for each answer."""

    groups_per_unit: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    """In how many groups a unit counts; those of one that is in more are drawn by lot."""
    rows_per_group: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    """For how many rows a unit counts in each of them; more rows weigh less each."""


class ValueKeys(Described):
    """A public list of a column's values: each is in the answer, whoever is in the table."""

    values: Annotated[tuple[str | int | bool, ...], Field(min_length=1)] | None = None
    """The values."""
    file: Annotated[str, StringConstraints(min_length=1)] | None = None
    """A CSV file with a header and one column of values, beside the policy."""
    source: Annotated[str, StringConstraints(min_length=3)]
    """Where the list comes from; never the private table itself."""

    @model_validator(mode="after")
    def _one(self) -> ValueKeys:
        if (self.values is None) == (self.file is None):
            raise PydanticCustomError("keys", "name either the `values` or the `file` that holds them")
        return self


Day = Annotated[
    str,
    StringConstraints(pattern=r"^\d{4}(-\d{2}){0,2}$"),
    BeforeValidator(lambda value: str(value) if type(value) is int else value),
]
"""A year, a month or a day in ISO 8601; YAML reads a bare year as a number."""


class CalendarKeys(Described):
    """All years, months or days of a date column between two of them, both included."""

    to: Literal["year", "month", "day"]
    """How fine."""
    first: Day
    """The first one, such as 2026, 2026-01 or 2026-01-31."""
    last: Day
    """The last one."""
    column: str | None = None
    """The column, where the key bears another name."""


class UnknownKeys(Described):
    """Values that are not public: those that stand for enough units, by a noisy threshold, are in the answer."""

    unknown: Literal[True]
    """That they are not known."""
    column: str | None = None
    """The column, where the key bears another name."""


class Missing(Described):
    """What becomes of numbers that are none."""

    null: Literal["drop"] | Number = "drop"
    """Nulls: `drop`, or the number to count them as."""
    nan: Literal["drop"] | Number = "drop"
    """NaN: `drop`, or the number to count it as."""
    infinite: Literal["drop", "clamp"] = "clamp"
    """Infinities: `clamp` to the bounds, or `drop`."""


class Count(Described):
    """The number of rows; with a column, of those where it is not null."""

    column: str | None = None
    """The column that must not be null."""


class CountDistinct(Described):
    """The number of units."""


class Bounded(Missing):
    """A measure of a number between bounds."""

    column: str
    """The column."""
    bounds: Bounds
    """The least and the greatest that a value counts as: others are clamped. Known beforehand, never looked up."""
    granularity: Annotated[Decimal, Field(gt=0)] | None = None
    """Values are rounded to multiples of it before anything is added; a millionth of the bounds if left out."""


class Sum(Bounded):
    """The sum of a column."""


class Mean(Bounded):
    """The mean of a column: a noisy sum, about the middle of the bounds, over a noisy count."""


class Variance(Bounded):
    """The variance of a column, of the population: from noisy sums of the values and of their squares."""


class Histogram(Missing):
    """The number of rows in each bin."""

    column: str
    """The column."""
    edges: Edges | None = None
    """The edges of the bins of numbers: a bin holds its left edge, the last one both. Rows beyond are left out."""
    values: Annotated[tuple[str | int | bool, ...], Field(min_length=1)] | None = None
    """The values, a bin each, where the column has few; others are left out."""

    @model_validator(mode="after")
    def _one(self) -> Histogram:
        if (self.edges is None) == (self.values is None):
            raise PydanticCustomError("bins", "a histogram names either `edges` or `values`")
        return self


class Steps(Described):
    """Numbers at equal distances."""

    first: Number
    last: Number
    step: Annotated[Number, Field(gt=0)]


Chosen = Annotated[tuple[Number, ...], Field(min_length=2, max_length=10_000), AfterValidator(_ascending)]
"""Candidates one by one."""

Candidates = Annotated[
    Annotated[Chosen, Tag("numbers")] | Annotated[Steps, Tag("Steps")],
    Discriminator(lambda value: "Steps" if isinstance(value, dict | Steps) else "numbers"),
]
"""Numbers one by one, or at equal distances; told apart first, so that a mistake is told of what was meant."""


class Quantiles(Missing):
    """Quantiles of a column, each the best of the candidates by noisy scores."""

    column: str
    """The column."""
    quantiles: Annotated[
        tuple[Annotated[Decimal, Field(gt=0, lt=1, max_digits=5, decimal_places=4)], ...], Field(min_length=1)
    ]
    """Which: 0.5 is the median."""
    candidates: Candidates
    """What the answer can be: numbers that rise, or `{first, last, step}`."""


_BARE = ("count", "count_distinct")
"""Words that need no parameters."""


class Measure(OneWord):
    """What is measured of each group: exactly one word."""

    KIND: ClassVar[str] = "measure"

    count: Count | None = None
    count_distinct: CountDistinct | None = None
    sum: Sum | None = None
    mean: Mean | None = None
    variance: Variance | None = None
    histogram: Histogram | None = None
    quantiles: Quantiles | None = None

    @property
    def of(self) -> Count | CountDistinct | Sum | Mean | Variance | Histogram | Quantiles:
        """Its parameters."""
        parameters: Count | CountDistinct | Sum | Mean | Variance | Histogram | Quantiles = getattr(
            self, self.word
        )
        return parameters

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        mapping = handler.resolve_ref_schema(super().__get_pydantic_json_schema__(core, handler))
        # A word is written with its parameters, never as null.
        words = {
            word: next(option for option in schema["anyOf"] if option.get("type") != "null")
            for word, schema in mapping["properties"].items()
        }
        one = {"type": "object", "properties": words, "minProperties": 1, "maxProperties": 1}
        return {
            "title": "Measure",
            "description": mapping["description"],
            "anyOf": [{"enum": list(_BARE)}, {**one, "additionalProperties": False}],
        }


def _keys(value: Any) -> Any:
    """A bare `unknown` is short for `{unknown: true}`."""
    if value == "unknown":
        return {"unknown": True}
    if not isinstance(value, dict | Described):
        raise PydanticCustomError("keys", "keys are a public list, a part of the calendar, or `unknown`")
    return value


def _kind_of_keys(value: Any) -> str:
    """What was meant, so that a mistake is told of it alone."""
    if isinstance(value, Described):
        return type(value).__name__
    words = value if isinstance(value, dict) else {}
    if "unknown" in words:
        return "UnknownKeys"
    return "CalendarKeys" if {"to", "first", "last"} & set(words) else "ValueKeys"


Keys = Annotated[
    Annotated[ValueKeys, Tag("ValueKeys")]
    | Annotated[CalendarKeys, Tag("CalendarKeys")]
    | Annotated[UnknownKeys, Tag("UnknownKeys")],
    Discriminator(_kind_of_keys),
    BeforeValidator(_keys),
]


class Query(Described):
    """One question that is answered anew for each interval, with noise, and paid for."""

    dataset: Name
    """The data set that is asked."""
    budget: Name
    """The budget that pays."""
    spend: Spend
    """What each answer costs."""
    contribution: Contribution = Contribution()
    """How much of one unit can be in an answer."""
    where: Where | None = None
    """Which rows count, by a comparison on columns of the data set."""
    keys: dict[Name, Keys] = Field(default_factory=dict)
    """What the rows are grouped by: a column, or a name with `column:`. None: one group of all rows."""
    measures: Annotated[dict[Name, Measure], Field(min_length=1)]
    """What is measured of each group, by the name it has in the answer."""
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    """How probably a value without noise lies in its interval."""
    consistency: Literal["in_bounds"] | None = None
    """`in_bounds` adds a column where counts are not negative and means lie within their bounds; the raw one stays."""
    description: str = ""
    """What the answer is for, in plain words."""


class DifferentialPrivacy(Described):
    """Budgets of people, and the queries that may be answered from them."""

    budgets: Annotated[dict[Name, Budget], Field(min_length=1)]
    """Budgets, by name. The name is shared with every policy of the same ledger."""
    queries: dict[Name, Query] = Field(default_factory=dict)
    """Queries, by name; each is released under it. None where only synthetic tables are paid for."""
    schedule: str | None = "@daily"
    """When the DAG runs (cron or an Airflow preset); null for runs by hand only."""
