"""`synthetic:` in a policy: tables that are made up, after what was learned of the real ones or of nothing at all.

What a column may hold is written here, never looked up in the private table. A column that is not named is not made.
Direct identifiers and free text are never learned: they are invented, or left out.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, ClassVar, Self

from pydantic import BeforeValidator, Field, GetJsonSchemaHandler, StringConstraints, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

from airflow_veil.privacy.described import Described
from airflow_veil.privacy.policy.differential_privacy import Bounds, Edges, Spend
from airflow_veil.privacy.policy.erasure import Exempt
from airflow_veil.privacy.policy.gate import Share
from airflow_veil.privacy.policy.names import Name, Period
from airflow_veil.privacy.policy.one_word import OneWord

_BARE_COLUMNS = ("key", "categories")
"""What a column may be without parameters."""
_BARE_METHODS = ("gaussian_copula", "ctgan", "tvae", "hma", "mst", "aim", "faker")
"""Methods that need none."""


def _or_bare(schema: JsonSchemaValue, handler: GetJsonSchemaHandler, *words: str) -> JsonSchemaValue:
    """The schema of a mapping that may be a bare word instead."""
    mapping = dict(handler.resolve_ref_schema(schema))
    told: JsonSchemaValue = {word: mapping.pop(word) for word in ("title", "description") if word in mapping}
    return {**told, "anyOf": [{"enum": list(words)}, mapping]}


class Numbers(Described):
    """Numbers between two bounds."""

    bounds: Bounds
    """The least and the greatest: others are clamped. Known beforehand, never looked up."""
    bins: Annotated[int, Field(ge=2, le=256)] = 32
    """Into how many bins of equal width a method that counts divides them."""
    edges: Edges | None = None
    """The edges of the bins, in place of `bins`: from the least to the greatest."""
    decimals: Annotated[int, Field(ge=0, le=15)] | None = None
    """How many decimals there are, of a type that has some; all that it can hold if left out."""


class Categories(Described):
    """One of a few values, all of them public."""

    values: Annotated[tuple[str | int | bool, ...], Field(min_length=1)] | None = None
    """The values; those of the column in the data set if left out."""
    other: str | int | None = None
    """What a value counts as that is not in the list; without it, nothing is learned from a table that has one."""


class Dates(Described):
    """Days between two of them."""

    bounds: Annotated[tuple[date, ...], Field(min_length=2, max_length=2)]
    """The first and the last."""
    bins: Annotated[int, Field(ge=2, le=256)] = 32
    """Into how many parts of equal length a method that counts divides them."""


class Invented(Described):
    """Made up by Faker, without a look at the data; never empty."""

    provider: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
    """Faker's name for it, such as `name` or `street_address`."""
    locale: Annotated[str, StringConstraints(pattern=r"^[a-z]{2}_[A-Z]{2}$")] = "en_US"
    """The locale that it is made up for."""
    unique: bool = False
    """Whether no two rows have the same."""


class Key(Described):
    """Numbers from 1, by which other tables refer to the row, or, with `par`, which all rows of a sequence have."""


class Reference(Described):
    """The key of a row of another synthetic table."""

    to: Annotated[str, StringConstraints(pattern=r"^[^.]+\.[^.]+$")]
    """table.column"""


class SyntheticColumn(Described):
    """What a synthetic column holds: exactly one word."""

    numbers: Numbers | None = None
    categories: Categories | None = None
    dates: Dates | None = None
    invented: Invented | None = None
    key: Key | None = None
    reference: Reference | None = None
    nulls: bool = False
    """Whether it can be empty; without, nothing is learned from a table in which it is."""

    WORDS: ClassVar[tuple[str, ...]] = (
        "numbers", "categories", "dates", "invented", "key", "reference",
    )  # fmt: skip

    @model_validator(mode="before")
    @classmethod
    def _bare(cls, value: Any) -> Any:
        """A bare `key` or `categories` needs no parameters."""
        return {value: {}} if value in _BARE_COLUMNS else value

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(getattr(self, word) is not None for word in self.WORDS) != 1:
            raise PydanticCustomError("synthetic_column", "a synthetic column holds exactly one of {words}", {
                "words": ", ".join(self.WORDS)
            })  # fmt: skip
        return self

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return _or_bare(super().__get_pydantic_json_schema__(core, handler), handler, *_BARE_COLUMNS)

    @property
    def word(self) -> str:
        """Its word."""
        return next(word for word in self.WORDS if getattr(self, word) is not None)

    @property
    def learned(self) -> bool:
        """Whether a model learns it from the data."""
        return self.word in ("numbers", "categories", "dates")


class Inequality(Described):
    """A column is never greater than another."""

    low: str
    high: str
    strict: bool = False
    """Whether they are never equal."""


class Constraint(Described):
    """What holds in every row: exactly one word."""

    inequality: Inequality | None = None
    """A column is never greater than another."""
    combinations: Annotated[tuple[str, ...], Field(min_length=2)] | None = None
    """Learned categories that occur together only as they do in the data; for SDV's methods."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.inequality is None) == (self.combinations is None):
            raise PydanticCustomError("constraint", "a constraint is exactly one of inequality, combinations")
        return self


class SyntheticTable(Described):
    """One table that is made up; it is named as the data set that it stands for."""

    columns: Annotated[dict[str, SyntheticColumn], Field(min_length=1)]
    """Its columns. One that is not named is not made."""
    constraints: tuple[Constraint, ...] = ()
    """What holds in every row."""
    rows: Annotated[int, Field(ge=1, le=1_000_000_000)] | None = None
    """How many rows are made, with `par` how many sequences; as many as were learned from if left out.

    Of a table that refers to another, as many as the model gives each of its rows; `faker` gives each the same few."""


class Copula(Described):
    """SDV's Gaussian copula: one table, fast, no guarantee."""


class Ctgan(Described):
    """SDV's CTGAN (Xu et al. 2019): one table, no guarantee."""

    epochs: Annotated[int, Field(ge=1, le=10_000)] = 300


class Tvae(Described):
    """SDV's TVAE (Xu et al. 2019): one table, no guarantee."""

    epochs: Annotated[int, Field(ge=1, le=10_000)] = 300


class Hma(Described):
    """SDV's HMA: related tables, no guarantee."""


class Par(Described):
    """SDV's PAR: sequences of rows, such as the visits of a patient, no guarantee."""

    sequence: str
    """The column that says which sequence a row is of: the key, which all of its rows have."""
    order: str
    """The column of numbers or dates that orders the rows of a sequence; it is never empty."""
    context: tuple[str, ...] = ()
    """Columns that do not change within a sequence."""
    epochs: Annotated[int, Field(ge=1, le=10_000)] = 128


class Counted(Described):
    """A method that counts rows, differentially private."""

    rows_per_unit: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    """How many rows of a unit of the budget count at most, drawn by lot for each model; noise grows as they do."""


class Mst(Counted):
    """MST (McKenna, Miklau, Sheldon 2021): noisy marginals on a tree, differentially private."""


class Aim(Counted):
    """AIM (McKenna et al. 2022): noisy marginals chosen round by round, differentially private."""

    rounds: Annotated[int, Field(ge=1, le=200)] = 10
    """How many marginals are chosen."""


class Nothing(Described):
    """Columns by their specification alone; no row is read. For test environments."""


class Method(OneWord):
    """How tables are made: exactly one word."""

    KIND: ClassVar[str] = "method"

    gaussian_copula: Copula | None = None
    ctgan: Ctgan | None = None
    tvae: Tvae | None = None
    hma: Hma | None = None
    par: Par | None = None
    mst: Mst | None = None
    aim: Aim | None = None
    faker: Nothing | None = None

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return _or_bare(super().__get_pydantic_json_schema__(core, handler), handler, *_BARE_METHODS)

    @property
    def private(self) -> bool:
        """Whether it is differentially private, and paid for."""
        return self.counted is not None

    @property
    def counted(self) -> Counted | None:
        """Its parameters where it is differentially private."""
        return self.mst or self.aim


class SyntheticBounds(Described):
    """What the evaluation of a synthetic release must keep to; what was not measured does not."""

    singling_out_max: Share | None = 0.1
    linkability_max: Share | None = 0.1
    inference_max: Share | None = 0.1
    membership_tpr_max: Share | None = None
    """True positives of a membership attack at 1 % false ones; it needs models that are fitted anew, so it is slow."""
    matches_max: Share | None = 0.05
    """By how much more often values and rows of the training data occur than those of the hold-out."""
    quality_min: Share | None = None
    """SDMetrics' quality."""
    detection_max: Annotated[float, Field(ge=0.5, le=1)] | None = None
    """How well a model tells synthetic rows from real ones: the area under the curve, 0.5 if it cannot."""
    usefulness_min: Share | None = None
    """Of what a model of real rows tells of `target` beyond a constant, the share that one of synthetic rows tells."""
    fairness_gap_max: Share | None = None
    """By how much more than a model of real rows one of synthetic rows treats the groups of `protected` differently."""


class Evaluate(Described):
    """How a synthetic release is looked at before it is published, on rows that the model never saw."""

    holdout: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """The share of people who are kept from the model."""
    knows: tuple[str, ...] = ()
    """What an attacker knows; the quasi-identifiers if left out."""
    secrets: tuple[str, ...] = ()
    """What an attacker wants to know; the sensitive columns if left out."""
    target: str | None = None
    """The column that a model is to tell by the others."""
    protected: str | None = None
    """The column across which that model should be fair."""
    shadows: Annotated[int, Field(ge=4, le=256)] = 16
    """How many models the membership attack fits."""
    bounds: SyntheticBounds = SyntheticBounds()
    """What must hold, or the release is denied."""


def _evaluate(value: Any) -> Any:
    """A bare `evaluate:` needs no parameters."""
    return {} if value is None else value


class Synthesis(Described):
    """Tables that are made up together."""

    tables: Annotated[dict[Name, SyntheticTable], Field(min_length=1)]
    """The tables, by the data sets that they stand for."""
    method: Method
    """How they are made."""
    fit_rows: Annotated[int, Field(ge=100, le=100_000_000)] = 100_000
    """How many rows of a table are read into memory at most, drawn at random by people, the hold-out among them."""
    budget: Name | None = None
    """The budget that pays, where the method is differentially private."""
    spend: Spend | None = None
    """What each fitted model costs."""
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    """Makes a run repeatable, but for noise that protects people."""
    evaluate: Annotated[Evaluate | None, BeforeValidator(_evaluate)] = None
    """How it is looked at before it is published; needed where a method without a guarantee learns from people."""
    model_expires_after: Period = "P30D"
    """How long a fitted model is kept: it is personal data."""
    after_erasure: Exempt | None = None
    """Why what was published may stay when somebody is erased whom a model without a guarantee may have learned of.

    `{exempt: reason}`; without it, it is withdrawn until the next run."""
    show_scores: bool = False
    """Whether scores that were computed on private rows stand on the card. They tell something of these rows."""
    description: str = ""
    """What it is for, in plain words."""


class Synthetic(Described):
    """Synthetic tables, each released under its name."""

    releases: Annotated[dict[Name, Synthesis], Field(min_length=1)]
    """What is made up, by name."""
    schedule: str | None = "@weekly"
    """When the DAG runs (cron or an Airflow preset); null for runs by hand only."""
