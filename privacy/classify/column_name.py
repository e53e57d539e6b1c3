"""Column names as words: in any style, without accents."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

_BORDER = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|[^A-Za-z0-9]+")
_NUMBERED = re.compile(r"^([a-z]{3,})\d{1,2}$")
_LATIN = str.maketrans(
    {
        "ß": "ss",
        "ø": "o",
        "Ø": "O",
        "ł": "l",
        "Ł": "L",
        "æ": "ae",
        "Æ": "Ae",
        "\N{LATIN SMALL LETTER DOTLESS I}": "i",
    }
)


@lru_cache(maxsize=4096)
def words_of(name: str) -> tuple[str, ...]:
    """The words of a column name, in lower case and without accents.

    `customerEmail`, `CUSTOMER_EMAIL`, `customer-email 2` and `customer.email` have the same two words.
    """
    plain = unicodedata.normalize("NFKD", name.translate(_LATIN))
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter))
    words = (word.lower() for word in _BORDER.split(plain) if word)
    return tuple(_NUMBERED.sub(r"\1", word) for word in words if not word.isdigit())
