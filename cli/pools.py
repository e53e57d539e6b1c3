"""The names, places and sentences that the demo's data set is put together from, drawn with Faker."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from faker import Faker

NAMES: Final = 600
PLACES: Final = 250
STREETS: Final = 250
SENTENCES: Final = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Country:
    """What one country's customers are made of.

    Attributes:
        code: ISO 3166-1 alpha-2.
        share: Its share of the customers, 0 to 1.
        phone: A telephone number, `#` for a digit; ranges kept for fiction where the country has one.
        number_first: Whether the house number stands before the street.
        first_names: Given names.
        last_names: Family names.
        streets: Streets, without a number.
        places: `postcode|city`, which belong together.
    """

    code: str
    share: float
    phone: str
    number_first: bool
    first_names: tuple[str, ...]
    last_names: tuple[str, ...]
    streets: tuple[str, ...]
    places: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pools:
    """All pools.

    Attributes:
        countries: The countries, whose shares add up to 1.
        sentences: Remarks that name nobody.
    """

    countries: tuple[Country, ...]
    sentences: tuple[str, ...]


COUNTRIES: Final[dict[str, dict[str, Any]]] = {
    "en_US": {"code": "US", "share": 0.4, "phone": "+1 ###-555-01##", "number_first": True},
    "de_DE": {"code": "DE", "share": 0.25, "phone": "+49 30 23125###", "number_first": False},
    "en_GB": {"code": "GB", "share": 0.2, "phone": "+44 20 7946 0###", "number_first": True},
    "fr_FR": {"code": "FR", "share": 0.15, "phone": "+33 1 99 00 ## ##", "number_first": True},
}
"""Faker locale to country."""


def draw(seed: int) -> Pools:
    """Draw the pools; the same seed draws the same ones."""
    from faker import Faker

    fakers = {locale: Faker(locale) for locale in COUNTRIES}
    for faker in fakers.values():
        faker.seed_instance(seed)
    return Pools(
        countries=tuple(_country(faker, **COUNTRIES[locale]) for locale, faker in fakers.items()),
        sentences=_pool(fakers["en_US"].sentence, SENTENCES),
    )


def _country(faker: Faker, **fixed: Any) -> Country:
    return Country(
        first_names=_pool(faker.first_name, NAMES),
        last_names=_pool(faker.last_name, NAMES),
        streets=_pool(faker.street_name, STREETS),
        places=_pool(lambda: f"{faker.postcode()}|{faker.city()}", PLACES),
        **fixed,
    )


def _pool(make: Callable[[], str], size: int) -> tuple[str, ...]:
    return tuple(make() for _ in range(size))
