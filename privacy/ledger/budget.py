"""What the ledger knows of privacy budgets, as records: accounts, charges, measurements, answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from enum import StrEnum

from airflow_veil.privacy.dp.loss import Limits, Loss, Remaining
from airflow_veil.privacy.errors import BudgetError
from airflow_veil.privacy.ledger.canonical import canonical_json, sha256_of
from airflow_veil.privacy.period import around

TOTAL = "total"
"""The key of the only period of an account without periods."""
SHORTEST_REASON = 10
"""Characters of a reason: a sentence, not a letter."""
_LONGEST_REASON = 1_000


class ChargeState(StrEnum):
    """Where a charge is in its life."""

    RESERVED = "reserved"
    """The money is set aside, and nothing was drawn."""
    DRAWING = "drawing"
    """Noise is drawn, or was: the money is spent, whether or not there is an answer."""
    STORED = "stored"
    """The answer is in the ledger."""
    VOID = "void"
    """Given back: nothing was drawn, and nothing can be any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """A stretch of time for which an account's limits hold.

    Attributes:
        key: Its name: the day it starts, or `total`.
        start: When it starts, UTC; None where the account has no periods.
        end: When the next one starts, UTC; None where there is none.
    """

    key: str = TOTAL
    start: datetime | None = None
    end: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A budget: how much may be learned of each of some people, whoever asks.

    Attributes:
        name: Its name, the same for all policies that draw on it.
        unit: Whose presence is hidden: `data_set.column`, the root of the population.
        limits: What it allows in a period.
        per: How long a period is, as P30D or P1M; None where the limits hold for ever.
        starts: The first day of the first period, UTC; with `per` only.
        renewal: Why the people may be asked anew each period; with `per` only.

    Raises:
        BudgetError: A name is missing or too long, or the period is none.
    """

    name: str
    unit: str
    limits: Limits
    per: str | None = None
    starts: date | None = None
    renewal: str | None = None

    def __post_init__(self) -> None:
        check_lengths(self.name or "budget", name=(self.name, 128), unit=(self.unit, 512))
        if len({self.per is None, self.starts is None, self.renewal is None}) > 1:
            raise BudgetError(
                "a budget with a period says when the first one starts and why it is renewed",
                where=self.where,
                expected="`per`, `starts` and `renewal`, or none of them",
            )
        if self.renewal is not None:
            checked_reason(self.renewal, where=self.where)
        self.first_period()

    @property
    def where(self) -> str:
        """The place to name in an error."""
        return f"budget {self.name}"

    def first_period(self) -> Period:
        """The first period.

        Raises:
            BudgetError: The account's period is none.
        """
        return Period() if self.starts is None else self._period_of(_midnight(self.starts))

    def period_at(self, now: datetime) -> Period:
        """The period that a moment is in, by the wall clock.

        Raises:
            BudgetError: The first one has not started.
        """
        if self.starts is not None and now < _midnight(self.starts):
            raise BudgetError(
                "the first period of the budget has not started",
                where=self.where,
                fix=f"wait until {self.starts}, or name an earlier day in another budget",
            )
        return Period() if self.starts is None else self._period_of(now)

    def _period_of(self, now: datetime) -> Period:
        try:
            start, end = around(now, _midnight(self.starts or now.date()), self.per or "")
        except ValueError:
            raise BudgetError(
                "the period of the budget is none", where=self.where, expected="a period such as P30D or P1M"
            ) from None
        return Period(key=start.date().isoformat(), start=start, end=end)


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """How an account stands.

    Attributes:
        account: The account.
        period: The period that it is in, or its first one where that has not started.
        spent: What is spent in the period, or set aside.
        spent_ever: The same of all periods.
        remaining: What is left in the period.
        answers: Answers stored in the period.
        unanswered: Charges of the period without an answer: set aside, being drawn, or lost in a crash.
    """

    account: Account
    period: Period
    spent: Loss
    spent_ever: Loss
    remaining: Remaining
    answers: int
    unanswered: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """An answer that is wanted, and what pays for it. The same answer has the same five names, and is drawn once.

    Attributes:
        budget: Name of the account that pays.
        query_digest: Digest of the compiled query: all that makes the answer but the rows.
        data_version: Digest of what identifies the rows.
        interval_key: The interval or run it is for.
        loss: What it costs.
        policy: Name of the policy.
        dataset: Name of the data set.
        query: Name of the query.
        again: Tells a further answer to the same question from the first; empty for the first.
        reason: Why it is asked again; no personal data.

    Raises:
        BudgetError: A name is missing or too long, or there is no reason for asking again.
    """

    budget: str
    query_digest: str
    data_version: str
    interval_key: str
    loss: Loss
    policy: str
    dataset: str
    query: str
    again: str = ""
    reason: str = ""

    def __post_init__(self) -> None:
        named = {word: (getattr(self, word), 128) for word in ("query_digest", "data_version", "query")}
        named |= {word: (getattr(self, word), 128) for word in ("policy", "dataset", "budget")}
        check_lengths(self.where, interval_key=(self.interval_key, 512), **named)
        if self.again:
            check_lengths(self.where, again=(self.again, 128))
        if self.again or self.reason:
            checked_reason(self.reason, where=self.where)

    @property
    def answer_id(self) -> str:
        """SHA-256 over what identifies the answer."""
        words = ("budget", "query_digest", "data_version", "interval_key", "again")
        return sha256_of(canonical_json({word: getattr(self, word) for word in words}))

    @property
    def where(self) -> str:
        """The place to name in an error."""
        return f"query {self.policy}.{self.query}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The right to make an answer, until somebody else has taken it over.

    Attributes:
        request: What is to be answered.
        charge_id: The charge that pays.
        token: Shows that the right is still this one; random.
        period_key: The period that is charged.
        actor: Who has it.
        lease_seconds: How long it lasts unless renewed.
    """

    request: Request
    charge_id: str
    token: str
    period_key: str
    actor: str
    lease_seconds: float

    @property
    def answer_id(self) -> str:
        """The answer's id."""
        return self.request.answer_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """What is charged to an account for an answer.

    Attributes:
        charge_id: Its name, unique in the ledger.
        budget: Name of the account.
        period_key: The period it counts in.
        answer_id: The answer that it pays for.
        state: Where it is in its life.
        loss: How much.
        policy: Name of the policy.
        dataset: Name of the data set.
        query: Name of the query.
        interval_key: The interval or run it is for.
        reason: Why it was asked again, if it was.
        claim: The token of who may go on with it.
        lease_until: When another may take it over, as long as nothing was drawn.
        actor: Who asked.
        created_at: When, UTC.
    """

    charge_id: str
    budget: str
    period_key: str
    answer_id: str
    state: ChargeState
    loss: Loss
    policy: str
    dataset: str
    query: str
    interval_key: str
    reason: str | None
    claim: str
    lease_until: datetime
    actor: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One draw of noise, with what is needed to count it anew by another accountant.

    Attributes:
        statistic: What was measured: names only.
        mechanism: How, such as `laplace threshold`.
        noise: `laplace` or `gaussian`, both of whole numbers; `continuous_laplace`; any other is counted by its loss.
        sensitivity: The most that one unit changes the statistic by, in the steps that it is counted in: in sum over
            all its cells with Laplace noise, by root of the sum of squares with Gaussian.
        scale: Of the noise, in the same steps.
        loss: What it costs.
        unit: The privacy unit.
        dataset: Name of the data set.
        library: What drew the noise, with its version.
        window_start: Start of the interval of the rows, aware; None where there is none.
        window_end: Its end, aware.
    """

    statistic: str
    mechanism: str
    noise: str
    sensitivity: str
    scale: str
    loss: Loss
    unit: str
    dataset: str
    library: str
    window_start: datetime | None = None
    window_end: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A measurement as the ledger has it.

    Attributes:
        charge_id: The charge that paid.
        ordinal: Its number among those of the charge, from 1.
        budget: Name of the account.
        period_key: The period it counts in.
        measurement: What was measured.
        drawn_at: When the ledger was told, before the draw, UTC.
    """

    charge_id: str
    ordinal: int
    budget: str
    period_key: str
    measurement: Measurement
    drawn_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAnswer:
    """An answer that was drawn, and is the answer from then on.

    Attributes:
        answer_id: SHA-256 over what identifies it.
        charge_id: The charge that paid.
        query_digest: Digest of the compiled query.
        data_version: Digest of what identifies the rows.
        interval_key: The interval or run it is for.
        again: Tells a further answer to the same question from the first.
        answer: The answer.
        answer_digest: Its SHA-256, in hex.
        stored_at: When it was stored, UTC.
    """

    answer_id: str
    charge_id: str
    query_digest: str
    data_version: str
    interval_key: str
    again: str
    answer: bytes = field(repr=False)
    answer_digest: str
    stored_at: datetime


def checked_reason(reason: str, *, where: str) -> str:
    """A reason without white space around it.

    Raises:
        BudgetError: It says too little, or too much.
    """
    text = reason.strip()
    if not SHORTEST_REASON <= len(text) <= _LONGEST_REASON:
        raise BudgetError(
            "there is no reason given",
            where=where,
            expected=f"{SHORTEST_REASON} to {_LONGEST_REASON} characters, without personal data",
        )
    return text


def check_lengths(where: str, **named: tuple[str, int]) -> None:
    """Check that names are there and fit their columns.

    Raises:
        BudgetError: One does not.
    """
    for word, (text, longest) in named.items():
        if not 0 < len(text) <= longest or not text.isprintable():
            raise BudgetError(
                f"the {word} is no name", where=where, expected=f"1 to {longest} printable characters"
            )


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), tzinfo=UTC)
