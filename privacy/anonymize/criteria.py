"""What every class of a release must be: of k people, with l values, its distribution not further than t.

| criterion | a class holds it if | holds in a coarser node as well | source |
|---|---|---|---|
| k | it has k people, or rows that are nobody's | where both parts hold it, or one | Sweeney (2002) |
| distinct l | it has l distinct values | the same | Machanavajjhala et al. (2007) |
| entropy l | exp(entropy) is l or more | where all parts hold it | ibid. |
| t | its distance from the whole table is t or less | where all parts hold it | Li et al. (2007) |

The last two are no more monotone once classes may be suppressed: one that holds them can merge with one that does not,
and lose it. They prune only where nothing may be suppressed; k and distinct l always do. Entropy l needs as many
distinct values as l, which prunes for it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from airflow_veil.privacy.anonymize.groups import Grouping, Groups
from airflow_veil.privacy.errors import TransformError
from airflow_veil.privacy.lazy import np
from airflow_veil.privacy.risk.diversity import Pairs, distances

_ROUNDING = 1e-12
"""An entropy or a distance may miss its limit by so much: it is a sum of rounded numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Diverse:
    """How many values of a sensitive column each class must have.

    Attributes:
        at_least: l.
        by: `distinct` values, or `entropy`.
    """

    at_least: float
    by: Literal["distinct", "entropy"] = "distinct"


@dataclass(frozen=True, slots=True, kw_only=True)
class Close:
    """How far a class's distribution of a sensitive column may be from the whole table's.

    Attributes:
        at_most: t, from 0 to 1.
        ordered: Whether values have an order that distances go along; else any two are equally far.
    """

    at_most: float
    ordered: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Criteria:
    """What every class must hold.

    Attributes:
        k: The least people of a class, or rows where rows are nobody's.
        l: The least diversity, by sensitive column.
        t: The greatest distance, by sensitive column.

    Raises:
        TransformError: A limit cannot be meant: k below 1, l below 1, t not between 0 and 1.
    """

    k: int
    l: Mapping[str, Diverse] = field(default_factory=dict)  # noqa: E741 - the field's word
    t: Mapping[str, Close] = field(default_factory=dict)

    def __post_init__(self) -> None:
        wrong = [f"k: {self.k}"] if self.k < 1 else []
        wrong += [f"l of {name}: {each.at_least}" for name, each in self.l.items() if not each.at_least >= 1]
        wrong += [
            f"t of {name}: {each.at_most}" for name, each in self.t.items() if not 0 <= each.at_most <= 1
        ]
        if wrong:
            raise TransformError(
                f"no class can be asked for {', '.join(wrong)}", expected="k and l from 1, t between 0 and 1"
            )

    @property
    def sensitive(self) -> tuple[str, ...]:
        """The columns whose values are told within classes."""
        return tuple(dict.fromkeys([*self.l, *self.t]))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Held:
    """Which classes of a node hold the criteria.

    Attributes:
        all: Whether a class holds all of them.
        monotone: Whether it holds those that every coarser class holds as well.
    """

    all: np.ndarray[Any, Any]
    monotone: np.ndarray[Any, Any]


def held(criteria: Criteria, grouping: Grouping, groups: Groups) -> Held:
    """Which classes hold the criteria, of those that are large enough to be asked."""
    monotone = groups.people >= criteria.k
    every = monotone.copy()
    for name in criteria.sensitive:
        pairs = grouping.pairs(groups, name)
        if (wanted := criteria.l.get(name)) is not None:
            monotone &= pairs.distinct >= math.ceil(wanted.at_least)
            every &= monotone
            if wanted.by == "entropy":
                every &= entropy(pairs) >= math.log(wanted.at_least) - _ROUNDING
        if (limit := criteria.t.get(name)) is not None:
            every &= distances(pairs, ordered=limit.ordered) <= limit.at_most + _ROUNDING
    return Held(all=every & monotone, monotone=monotone)


def entropy(pairs: Pairs) -> np.ndarray[Any, Any]:
    """The entropy of each class's values, in nats."""
    q = pairs.share
    return pairs.total(-q * np.log(q))
