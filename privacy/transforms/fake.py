"""`fake`: an invented value in place of a real one, the same for the same person everywhere."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, ClassVar, Literal, get_args

from pydantic import Field, StringConstraints, field_validator
from pydantic_core import PydanticCustomError

from airflow_veil.privacy.errors import TransformError
from airflow_veil.privacy.lazy import np, pa, pc
from airflow_veil.privacy.transforms.base import Binding, Kernel, Properties, Step, Transform
from airflow_veil.privacy.transforms.canonical import canonical
from airflow_veil.privacy.transforms.family import SPELLED, Family
from airflow_veil.privacy.transforms.keyed import subject_of, subjects, subkey
from airflow_veil.privacy.transforms.text import decoded

Provider = Literal[
    "name",
    "first_name",
    "last_name",
    "email",
    "user_name",
    "phone_number",
    "street_address",
    "city",
    "postcode",
    "country",
    "company",
    "job",
    "text",
]
"""What can be invented. All give one line of text."""

# Where Faker's own word is not the safe one: `email` may name a real provider, `safe_email` is example.com,
# .net or .org, which RFC 2606 keeps free; `text` has several lines.
_METHODS = {word: word for word in get_args(Provider)} | {"email": "safe_email", "text": "sentence"}

# A spreadsheet takes a text that begins with one of these for a formula.
_FORMULA_STARTS = "=+-@\t\r\n "

# Providers with few values, such as countries, run out before the pool is full.
_DRAWS_PER_VALUE = 3
_LEAST_POOL = 10

_DEFAULT_LOCALE = "en_US"


class Fake(Transform):
    """Replace a value by one that Faker invents, chosen by key: the same person gets the same one everywhere.

    Input: any type with a canonical spelling. Output: text. Nulls: kept; a value whose subject is null
    becomes null. Guarantee: by subject, the result tells nothing of the value, only of which rows are one
    person's; by value, equal values give equal results. Two persons may share a result: there are at most
    `pool` of them. A result may by chance be somebody's real name or number. The results stay the same for
    one key, one set of parameters and one version of Faker. Source: Faker; AES-CMAC (RFC 4493) as a
    pseudo-random function.
    """

    word: ClassVar[str] = "fake"
    step: ClassVar[Step] = Step.TOKENIZE

    provider: Provider
    """What to invent."""
    locale: Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}_[A-Z]{2}$")] = _DEFAULT_LOCALE
    """The language and country to invent for, as Faker names them."""
    by: Literal["subject", "value"] = "subject"
    """What chooses the result: whose row it is, or the value. Two columns of one kind, such as the names of
    sender and receiver, are chosen by value."""
    pool: Annotated[int, Field(ge=100, le=1_000_000)] = 10_000
    """How many different results there may be; each takes some 20 microseconds, once a run."""

    @field_validator("locale")
    @classmethod
    def _known(cls, locale: str) -> str:
        # Faker takes a third of a second to import, which parsing a DAG does not have for the common case.
        if locale != _DEFAULT_LOCALE and locale not in _locales():
            raise PydanticCustomError("locale", "Faker has no locale {locale}", {"locale": locale})
        return locale

    @property
    def needs_subject(self) -> bool:  # type: ignore[override]
        """Whether the data set must say whose rows they are."""
        return self.by == "subject"

    @property
    def properties(self) -> Properties:
        return Properties(
            deterministic=self.by == "value", reversible=False, unique=False, hides_length=True, masks=True
        )

    @property
    def takes(self) -> frozenset[Family]:
        return SPELLED

    def output_type(self, source: pa.DataType) -> pa.DataType:
        return pa.string()

    def inputs(self, subject: str | None) -> tuple[str, ...]:
        return () if subject is None or self.by == "value" else (subject,)

    def key_domain(self, *, column: str, subject: str) -> str | None:
        return (subject or column) if self.by == "value" else (subject or None)

    def prepare(self, binding: Binding) -> Kernel:
        from airflow_veil.privacy.crypto import prf

        subject = subject_of(binding, self.word) if self.by == "subject" else ""
        # The provider is part of the purpose: who shares a first name with another need not share the rest.
        key = subkey(binding, f"fake/{self.provider}/{self.locale}", length=64)
        names = _pool(self.provider, self.locale, self.pool, key[32:])

        def kernel(column: pa.Array, inputs: Mapping[str, pa.Array]) -> pa.Array:
            column = decoded(column)
            chosen_by = (
                subjects(binding, subject, inputs) if subject else canonical(column, where=binding.where)
            )
            index = (prf.uint64(chosen_by, key=key[:32]) % np.uint64(len(names))).astype(np.int32)
            filled = pc.and_(column.is_valid(), chosen_by.is_valid())
            return names.take(pc.if_else(filled, pa.array(index), pa.scalar(None, pa.int32())))

        return kernel


def _locales() -> frozenset[str]:
    from faker.config import AVAILABLE_LOCALES

    return frozenset(AVAILABLE_LOCALES)


@lru_cache(maxsize=32)
def _pool(provider: str, locale: str, size: int, seed: bytes) -> pa.StringArray:
    """At most `size` different inventions, in an order that the seed decides.

    They are one line each, and no spreadsheet takes them for a formula.

    Raises:
        TransformError: The locale cannot invent this, or next to nothing of it.
    """
    from faker import Faker

    # Names as rare as they come use up the pool more evenly, and are found five times as fast.
    faker = Faker(locale, use_weighting=False)
    faker.seed_instance(int.from_bytes(seed))
    found: dict[str, None] = {}
    try:
        draw = getattr(faker, _METHODS[provider])
        for _ in range(size * _DRAWS_PER_VALUE):
            found[" ".join(draw().split()).lstrip(_FORMULA_STARTS)] = None
            if len(found) == size:
                break
    except (AttributeError, AssertionError):
        # Some locales lack a provider, and some have lists that cannot be drawn from.
        found.clear()
    found.pop("", None)
    if len(found) < _LEAST_POOL:
        msg = f"Faker's locale {locale} has {len(found)} different inventions for {provider}"
        raise TransformError(msg, expected=f"at least {_LEAST_POOL}", fix="choose another locale")
    return pa.array(found, pa.string())
