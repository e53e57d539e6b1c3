"""The evaluation of synthetic rows: everything that is measured, by one call.

    train, holdout, synthetic ──Trio──► fidelity, usefulness, fairness
                                   └──► attacks on train, and on the hold-out ──► Evaluation ──judge──► reasons

Every figure is computed on private rows, so each is a small leak itself, and none has the guarantee of differential
privacy: who publishes them takes from what the synthesizer promised (Ganev and De Cristofaro 2023). They are internal
evidence. `Evaluation.public` is what may be shown without anybody's leave: what was measured, and not what was found.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from airflow_veil.privacy.errors import SchemaError
from airflow_veil.privacy.evaluation.attack_risk import AttackRisk
from airflow_veil.privacy.evaluation.fairness import Fairness, fairness
from airflow_veil.privacy.evaluation.fidelity import Fidelity, fidelity
from airflow_veil.privacy.evaluation.inference import inference
from airflow_veil.privacy.evaluation.linkability import linkability
from airflow_veil.privacy.evaluation.matches import Matches, matches
from airflow_veil.privacy.evaluation.membership import Membership, Refit, membership
from airflow_veil.privacy.evaluation.nearest import Nearest, nearest
from airflow_veil.privacy.evaluation.singling_out import singling_out
from airflow_veil.privacy.evaluation.tables import Trio
from airflow_veil.privacy.evaluation.usefulness import Usefulness, told, usefulness
from airflow_veil.privacy.lazy import np
from airflow_veil.privacy.ledger.canonical import canonical_json
from airflow_veil.privacy.risk.attacks.attack import CONFIDENCE

ATTEMPTS = 5_000
ROWS = 20_000
SHADOWS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What was asked for; nothing here is computed on private rows.

    Attributes:
        columns: The columns of the three tables.
        key_columns: What attackers know of a target; all columns if empty.
        secrets: The columns that are inferred.
        target: The column that models tell; None for no model.
        protected: The column of groups that models may treat differently; None for none.
        shadows: How many shadow models were fitted; 0 without a way to fit them.
        attempts: How many people or predicates each attack tries at most.
        rows: How many rows of a table models and reports look at, at most; None for all. Attacks look at all.
        seed: Of everything that is drawn.
        confidence: How often intervals hold the truth.
    """

    columns: tuple[str, ...]
    key_columns: tuple[str, ...]
    secrets: tuple[str, ...]
    target: str | None
    protected: str | None
    shadows: int
    attempts: int
    rows: int | None
    seed: int
    confidence: float

    def as_dict(self) -> dict[str, Any]:
        """What was asked for, for a machine to read."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in ((name, getattr(self, name)) for name in self.__slots__)
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What was found out of synthetic rows. Internal: all of it but `asked` is computed on private rows.

    Attributes:
        asked: What was asked for.
        rows: Rows of `train`, `holdout` and `synthetic`, before any were drawn.
        fidelity: How like real rows they are.
        usefulness: What a model is worth that learned from them; None without a target.
        fairness: Whether it treats groups differently; None without a protected column.
        singling_out: Predicates of one column, and of several.
        linkability: Two sources joined; None where there are not two columns to know.
        inference: A risk a secret.
        membership: Shadow models; None if there was no way to fit them.
        matches: Values and combinations that are there as they are.
        nearest: Distances, a sanity check.
    """

    asked: Asked
    rows: dict[str, int]
    fidelity: Fidelity
    usefulness: Usefulness | None
    fairness: Fairness | None
    singling_out: tuple[AttackRisk, ...]
    linkability: AttackRisk | None
    inference: tuple[AttackRisk, ...]
    membership: Membership | None
    matches: Matches
    nearest: Nearest

    @property
    def attacks(self) -> tuple[AttackRisk, ...]:
        """All attacks with a control."""
        linked = (self.linkability,) if self.linkability else ()
        return (*self.singling_out, *linked, *self.inference)

    def as_dict(self) -> dict[str, Any]:
        """All figures for a machine to read: names of columns, counts and shares, no value."""
        return {
            "asked": self.asked.as_dict(),
            "rows": dict(self.rows),
            "fidelity": self.fidelity.as_dict(),
            "usefulness": self.usefulness.as_dict() if self.usefulness else None,
            "fairness": self.fairness.as_dict() if self.fairness else None,
            "singling_out": [each.as_dict() for each in self.singling_out],
            "linkability": self.linkability.as_dict() if self.linkability else None,
            "inference": [each.as_dict() for each in self.inference],
            "membership": self.membership.as_dict() if self.membership else None,
            "matches": self.matches.as_dict(),
            "nearest": self.nearest.as_dict(),
        }

    @property
    def digest(self) -> str:
        """The SHA-256 of all figures as canonical JSON, in hexadecimal."""
        return hashlib.sha256(canonical_json(self.as_dict()).encode()).hexdigest()

    def public(self) -> dict[str, Any]:
        """What may be shown without the policy's leave: what was measured and how, no figure."""
        measured = {
            "fidelity": True,
            "usefulness": self.usefulness is not None,
            "fairness": self.fairness is not None,
            "singling_out": True,
            "linkability": self.linkability is not None,
            "inference": bool(self.inference),
            "membership": self.membership is not None,
            "matches": True,
            "nearest": True,
        }
        return {"asked": self.asked.as_dict(), "measured": measured}


def evaluate(
    trio: Trio,
    *,
    key_columns: Sequence[str] = (),
    secrets: Sequence[str] = (),
    target: str | None = None,
    protected: str | None = None,
    refit: Refit | None = None,
    shadows: int = SHADOWS,
    seed: int = 0,
    attempts: int = ATTEMPTS,
    rows: int | None = ROWS,
    confidence: float = CONFIDENCE,
) -> Evaluation:
    """Measure what synthetic rows are good for, and what they leak.

    Args:
        trio: The training rows, the hold-out and the synthetic rows.
        key_columns: What attackers know of a target, for linkability and inference; all columns if none is named.
        secrets: The columns that they infer.
        target: The column that models are to tell by the others.
        protected: The column of groups that these models may treat differently; needs a target of classes.
        refit: Fits the same synthesizer on other rows by a seed, and returns its synthetic rows, for shadow models.
            Without it membership is not measured.
        shadows: How many shadow models are fitted.
        seed: Of everything that is drawn: the same seed has the same figures.
        attempts: How many people or predicates each attack tries at most; half the width of intervals takes four times
            as many.
        rows: How many rows of a table models and reports look at; of more, so many are drawn. Attacks look at all: of
            a leaked row and its copy, draws seldom have both. Their time grows with rows times attempts.
        confidence: How often intervals hold the truth.

    Raises:
        SchemaError: A column is not there, cannot be compared, or tells nothing; or there are too few shadows.
    """
    asked = Asked(
        columns=trio.columns,
        key_columns=tuple(dict.fromkeys(key_columns)),
        secrets=tuple(dict.fromkeys(secrets)),
        target=target,
        protected=protected,
        shadows=shadows if refit else 0,
        attempts=attempts,
        rows=rows,
        seed=seed,
        confidence=confidence,
    )
    _check(asked)
    few = trio.drawn(rows, seed)
    tables = trio.encoded()
    some = tables if few is trio else few.encoded()
    names = list(trio.columns)
    known = list(asked.key_columns) or names
    # Each part draws from a stream of its own, so that no figure depends on what else is asked for.
    streams = dict(zip(_PARTS, np.random.default_rng(seed).spawn(len(_PARTS)), strict=True))
    common: dict[str, Any] = {"attempts": attempts, "confidence": confidence}
    found = told(some, target, seed=seed, rng=streams["usefulness"]) if target else None
    secret_streams = streams["inference"].spawn(len(asked.secrets))
    return Evaluation(
        asked=asked,
        rows={part: getattr(trio, part).num_rows for part in ("train", "holdout", "synthetic")},
        fidelity=fidelity(few, some, rng=streams["fidelity"], confidence=confidence),
        usefulness=usefulness(found, target) if found and target else None,
        fairness=fairness(some, found, target, protected) if found and target and protected else None,
        singling_out=(
            singling_out(tables, "univariate", names, rng=streams["univariate"], **common),
            singling_out(tables, "multivariate", names, rng=streams["multivariate"], **common),
        ),
        linkability=(
            linkability(tables, (known[::2], known[1::2]), rng=streams["linkability"], **common)
            if len(known) > 1
            else None
        ),
        inference=tuple(
            inference(tables, secret, [name for name in known if name != secret], rng=rng, **common)
            for secret, rng in zip(asked.secrets, secret_streams, strict=True)
        ),
        membership=(
            membership(
                trio,
                refit,
                shadows=shadows,
                attempts=attempts,
                seed=int(streams["membership"].integers(1 << 31)),
                confidence=confidence,
            )
            if refit
            else None
        ),
        matches=matches(tables, names, rng=streams["matches"], confidence=confidence),
        nearest=nearest(tables, names, rng=streams["nearest"], **common),
    )


_PARTS = (
    "fidelity",
    "usefulness",
    "univariate",
    "multivariate",
    "linkability",
    "inference",
    "membership",
    "matches",
    "nearest",
)


def _check(asked: Asked) -> None:
    named = (*asked.key_columns, *asked.secrets, *(each for each in (asked.target, asked.protected) if each))
    missing = sorted({name for name in named if name not in asked.columns})
    if missing:
        raise SchemaError(f"there is no column {', '.join(missing)}", where="evaluation")
    if asked.protected and (not asked.target or asked.protected == asked.target):
        raise SchemaError(
            "fairness is of a model, which needs a target other than the protected column",
            where="evaluation",
        )
    if asked.attempts < 1 or not 0 < asked.confidence < 1:
        raise SchemaError(
            "nothing would be tried",
            where="evaluation",
            expected="one attempt or more, and a confidence below 1",
        )
