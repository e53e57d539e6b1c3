"""Columns that Faker invents: of a seed and the policy's words alone, whoever is in the data."""

from __future__ import annotations

from typing import get_args

from airflow_veil.privacy.errors import SyntheticError
from airflow_veil.privacy.lazy import pa
from airflow_veil.privacy.policy.synthetic import Invented
from airflow_veil.privacy.synthetic.seeds import seed_of
from airflow_veil.privacy.transforms.fake import Provider

_COMMON = frozenset(get_args(Provider)) | {"safe_email", "sentence"}
"""Providers that Faker need not be asked for, which takes it a third of a second."""
_DEFAULT_LOCALE = "en_US"
_SAFE = {"email": "safe_email", "text": "sentence"}
"""Where Faker's own word is not the safe one: `email` may name a real provider, and `text` has several lines."""
_FORMULA_STARTS = "=+-@\t\r\n "
"""A spreadsheet takes a text that begins with one of these for a formula."""
_TRIES = 1000
"""How often one that was not there before is looked for."""


def is_known(provider: str, locale: str) -> bool:
    """Whether Faker invents this in a locale."""
    if provider in _COMMON and locale == _DEFAULT_LOCALE:
        return True
    from faker import Faker
    from faker.config import AVAILABLE_LOCALES

    if locale not in AVAILABLE_LOCALES:
        return False
    (generator,) = Faker(locale).factories
    return any(callable(getattr(one, provider, None)) for one in generator.providers)


class Inventor:
    """Invents the values of one column, one batch after the other.

    Args:
        said: What the policy says of the column.
        seed: The same seed gives the same values, with one version of Faker.
        where: The column's name with its table's; it goes into the seed, and into errors.

    Where they are to be unique, all that were invented are kept in memory.
    """

    def __init__(self, said: Invented, *, seed: int, where: str) -> None:
        from faker import Faker

        self._faker = Faker(said.locale)
        self._faker.seed_instance(seed_of(seed, "invented", where))
        self._provider = _SAFE.get(said.provider, said.provider)
        self._before: set[str] | None = set() if said.unique else None
        self._where = where

    def take(self, count: int) -> pa.Array:
        """Invent values.

        Args:
            count: How many.

        Returns:
            Texts of one line each, none of them null or what a spreadsheet takes for a formula.

        Raises:
            SyntheticError: The locale lacks the provider, or has no more different values.
        """
        return pa.array([self._one() for _ in range(count)], pa.string())

    def _one(self) -> str:
        if self._before is None:
            return self._draw()
        for _ in range(_TRIES):
            text = self._draw()
            if text not in self._before:
                self._before.add(text)
                return text
        raise SyntheticError(
            f"Faker has no more different values after {len(self._before)}",
            where=self._where,
            fix="make fewer rows, leave out `unique`, or use a provider with more values",
        )

    def _draw(self) -> str:
        try:
            text = str(getattr(self._faker, self._provider)())
        except (AttributeError, AssertionError, TypeError, ValueError) as error:
            raise SyntheticError(
                f"Faker does not invent {self._provider}: {type(error).__name__}",
                where=self._where,
                fix="use another provider or locale",
            ) from None
        return " ".join(text.split()).lstrip(_FORMULA_STARTS)
