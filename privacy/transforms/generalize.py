"""`generalize`: values become coarser, so that many people share each."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Annotated, ClassVar

from pydantic import Field, StrictFloat, StrictInt, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from airflow_veil.privacy.described import Described
from airflow_veil.privacy.lazy import pa
from airflow_veil.privacy.transforms.base import Binding, Kernel, Properties, Step, Transform
from airflow_veil.privacy.transforms.buckets import (
    Buckets,
    Edges,
    Label,
    Range,
    Rounding,
    decimal_step,
    exact_step,
)
from airflow_veil.privacy.transforms.date_parts import DatePart, Unit
from airflow_veil.privacy.transforms.family import Family
from airflow_veil.privacy.transforms.form import Form, Invalid, all_covered
from airflow_veil.privacy.transforms.grid import Grid
from airflow_veil.privacy.transforms.hierarchy import Hierarchy
from airflow_veil.privacy.transforms.networks import Networks
from airflow_veil.privacy.transforms.prefix import Prefix
from airflow_veil.privacy.transforms.text import MaskCharacter, decoded, on_values, plain_type

Finite = StrictInt | Annotated[StrictFloat, Field(allow_inf_nan=False)]
Positive = Annotated[StrictInt, Field(gt=0)] | Annotated[StrictFloat, Field(gt=0, allow_inf_nan=False)]

_WIDEST = 10**18

_FORMS = {
    "width": "numbers",
    "edges": "numbers",
    "round_to": "numbers",
    "digits": "numbers",
    "bottom": "numbers",
    "top": "numbers",
    "to": "dates",
    "prefix": "text",
    "network": "addresses",
    "geo": "coordinates",
    "hierarchy": "a hierarchy",
}
_COMPANIONS = {
    "label": ("width", "edges", "bottom", "top", "to"),
    "pad_with": ("prefix",),
    "invalid": ("network", "geo", "hierarchy"),
}


class NetworkBits(Described):
    """How much of an IP address stays."""

    v4: Annotated[int, Field(ge=1, le=31)] = 24
    """Bits that stay of an IPv4 address."""
    v6: Annotated[int, Field(ge=1, le=127)] = 48
    """Bits that stay of an IPv6 address."""


class HierarchyFile(Described):
    """A generalization hierarchy as ARX writes it: `value;level 1;level 2;…` and no header."""

    file: Annotated[str, StringConstraints(min_length=1)]
    """The file; a relative name starts at the policy's folder."""
    level: Annotated[int, Field(ge=1)]
    """Which level to tell; 1 is the one next to the value."""
    delimiter: Annotated[str, StringConstraints(min_length=1, max_length=1)] = ";"
    """What stands between the levels."""


class Generalize(Transform):
    """Make values coarser: buckets, rounding, date parts, prefixes, networks, map grids, hierarchies.

    Exactly one form is used: for numbers (`width`, `edges`, `round_to` or `digits`, with or without `bottom`
    and `top`), dates (`to`), text (`prefix`), IP addresses (`network`), degrees (`geo`) or any values
    (`hierarchy`).

    Input: what the form takes. Output: text, int32, int64, float64, date or timestamp, by the form. Nulls:
    kept; NaN, and an infinity that no end or edge takes, become null. Guarantee: a value leaves only as its
    group, except for values between `bottom` and `top` where these stand alone. A value that a network, grid
    or hierarchy does not cover fails the run.
    """

    word: ClassVar[str] = "generalize"
    step: ClassVar[Step] = Step.GENERALIZE

    width: Positive | None = None
    """Buckets of this width: 37 becomes `[30, 40)` with width 10. Over integers, more than 1."""
    edges: Annotated[tuple[Finite, ...], Field(min_length=1)] | None = None
    """Buckets between these borders: `[18, 65]` gives `< 18`, `[18, 65)` and `>= 65`."""
    round_to: Positive | None = None
    """Round to the nearest multiple of this number, halves to the even one. Over integers, a whole number over 1."""
    digits: Annotated[int, Field(ge=-18, le=15)] | None = None
    """Round to so many decimal places; -3 rounds to thousands. Over integers, below 0."""
    bottom: Finite | None = None
    """Tell smaller values as this one (bottom coding)."""
    top: Finite | None = None
    """Tell larger values as this one (top coding)."""
    label: Label | None = None
    """What is told of a bucket: `interval` (text, the default of `width`), `lower` border or `midpoint`
    (numbers). With `bottom` or `top`, `interval` writes `< 18` and `>= 90`. With `to`, `lower` tells the day or
    time at which the unit starts, in the column's own type: 1987-01-01."""
    to: Unit | None = None
    """The unit a date or time is cut to: decade, year (int32), quarter, month, week (text), day (date) or hour."""
    prefix: Annotated[int, Field(ge=1)] | None = None
    """How many characters of a text stay; always at least one less than it has."""
    pad_with: MaskCharacter | None = None
    """Write this for each character that a prefix leaves out."""
    network: NetworkBits | None = None
    """Cut IP addresses to networks of this size."""
    geo: Annotated[int, Field(ge=0, le=4)] | None = None
    """Round degrees to so many decimal places: 2 is a grid of about 1.1 km, 1 of 11 km."""
    hierarchy: HierarchyFile | None = None
    """Look values up in a hierarchy."""
    invalid: Invalid = "fail"
    """What becomes of a value that `network`, `geo` or `hierarchy` does not cover: fail the run, or null."""

    @model_validator(mode="after")
    def _one_form(self) -> Generalize:
        given = [name for name in _FORMS if getattr(self, name) is not None]
        kinds = sorted({_FORMS[name] for name in given})
        if len(kinds) != 1:
            named = ", ".join(given) or "none"
            msg = f"`generalize` takes exactly one form, this one names {named}; forms: {', '.join(_FORMS)}"
            raise _wrong(msg)
        for companion, of in _COMPANIONS.items():
            unset = type(self).model_fields[companion].default
            if getattr(self, companion) != unset and not set(of) & set(given):
                msg = f"`{companion}` goes with {' or '.join(f'`{name}`' for name in of)} only"
                raise _wrong(msg)
        self._check_numbers(given)
        return self

    def _check_numbers(self, given: list[str]) -> None:
        if sum(name in given for name in ("width", "edges", "round_to", "digits")) > 1:
            raise _wrong("`width`, `edges`, `round_to` and `digits` do not go together; choose one")
        if max(self.width or 0, self.round_to or 0) > _WIDEST:
            raise _wrong("`width` and `round_to` are at most 10^18")
        if self.edges is not None:
            if list(self.edges) != sorted(set(self.edges)):
                raise _wrong("`edges` must ascend")
            if self.bottom is not None or self.top is not None:
                raise _wrong("`edges` have open ends already; leave `bottom` and `top` out")
        if self.bottom is not None and self.top is not None and self.bottom >= self.top:
            raise _wrong("`bottom` must be below `top`")
        if self.to is not None and self.label not in (None, "lower"):
            msg = f"`label: {self.label}` goes with numbers only"
            raise _wrong(msg)
        if self.label in ("lower", "midpoint") and self.width is None and self.to is None:
            msg = f"`label: {self.label}` goes with `width` only"
            raise _wrong(msg)
        if self.label is not None and (self.round_to is not None or self.digits is not None):
            raise _wrong("a rounded number is a number; leave `label` out")

    @property
    def form(self) -> Form:
        """The one form that the parameters choose."""
        if self.to is not None:
            return DatePart(self.to, lower=self.label == "lower")
        if self.prefix is not None:
            return Prefix(keep=self.prefix, pad=self.pad_with)
        if self.network is not None:
            return Networks(v4=self.network.v4, v6=self.network.v6)
        if self.geo is not None:
            return Grid(step=decimal_step(self.geo))
        if self.hierarchy is not None:
            return Hierarchy(**self.hierarchy.model_dump())
        return self._numbers()

    def _numbers(self) -> Form:
        ends = Range(bottom=self.bottom, top=self.top, label=self.label)
        if self.width is not None:
            return Buckets(width=self.width, ends=ends, label=self.label or "interval")
        if self.edges is not None:
            return Edges(edges=self.edges)
        if self.round_to is not None:
            return Rounding(step=exact_step(self.round_to), ends=ends)
        if self.digits is not None:
            return Rounding(step=decimal_step(self.digits), ends=ends)
        return ends

    @property
    def properties(self) -> Properties:
        return Properties(
            deterministic=True,
            reversible=False,
            unique=False,
            hides_length=self.form.hides_length,
            masks=self.form.masks,
        )

    @property
    def takes(self) -> frozenset[Family]:
        return self.form.takes

    @property
    def settles(self) -> frozenset[Family]:
        return self.form.settles

    def files(self) -> tuple[str, ...]:
        return () if self.hierarchy is None else (self.hierarchy.file,)

    def output_type(self, source: pa.DataType) -> pa.DataType:
        return self.form.output_type(plain_type(source))

    def prepare(self, binding: Binding) -> Kernel:
        form = self.form
        coarsen = form.prepare(replace(binding, type=plain_type(binding.type)))
        if form.covers is None or self.invalid == "null":
            return lambda column, _inputs: on_values(coarsen, column)
        check = partial(all_covered, where=binding.where, expected=form.covers)
        return lambda column, _inputs: check(decoded(column), on_values(coarsen, column))


def _wrong(message: str) -> PydanticCustomError:
    return PydanticCustomError("generalize_form", message)
