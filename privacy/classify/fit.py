"""Whether values can be what a column's name says: a name alone is believed only where they do not contradict it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pyarrow as pa

from airflow_veil.privacy.classify.evidence import Evidence
from airflow_veil.privacy.classify.tally import Tally

Values = Mapping[str, Evidence]


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of the values of a column.

    Attributes:
        tally: Their counts.
        values: What they look like, by kind.
    """

    tally: Tally
    values: Values


_FEW_FORMS = 40
_MARGIN = 4.0


def fit(kind: str, tally: Tally, values: Values) -> float:
    """How well values go with a kind that the name says: from 0, which contradicts it, to 1.

    A column without values contradicts nothing.
    """
    if not tally.valid:
        return 1.0
    return min(1.0, max(0.0, _FITS.get(kind, _anything)(Seen(tally, values))))


def _is_text(seen: Seen) -> bool:
    return bool(seen.tally.words.rows)


def _is_boolean(seen: Seen) -> bool:
    return bool(pa.types.is_boolean(seen.tally.type))


def _share_of(kind: str, seen: Seen) -> float:
    """The share that the values show, where a quarter of them is enough."""
    return _MARGIN * seen.values[kind].share if kind in seen.values else 0.0


def _anything(seen: Seen) -> float:
    return 0.0 if _is_boolean(seen) else 1.0


def _looks_like(kind: str) -> Callable[[Seen], float]:
    """Only values that look like the kind."""
    return lambda seen: _share_of(kind, seen)


def _digits(name: str, *, kind: str) -> Callable[[Seen], float]:
    """So many digits, whether check digits hold or not: data for tests, and masked ones, do not keep them."""
    return lambda seen: max(_share_of(kind, seen), 2 * seen.tally.share(name))


def _letters(seen: Seen) -> float:
    """Mostly words; a number may be part of them."""
    numbers = max(seen.tally.share("digits only"), seen.tally.share("numbers"))
    return 2 * (seen.tally.share("letters") - numbers) if _is_text(seen) else 0.0


def _some_letters(seen: Seen) -> float:
    """Text; what is written in another script counts as letters."""
    return 2 * seen.tally.share("letters") if _is_text(seen) else 0.0


def _not_other(*kinds: str) -> Callable[[Seen], float]:
    """Words that do not look like something else."""

    def test(seen: Seen) -> float:
        if any(kind in seen.values and seen.values[kind].share > 0.5 for kind in kinds):
            return 0.0
        return _letters(seen)

    return test


def _place(seen: Seen) -> float:
    """Words, or the numbers of a list of places."""
    return max(_letters(seen), 0.9 if seen.tally.most_different <= 20 * _FEW_FORMS else 0.0)


def _few(seen: Seen) -> float:
    """Few different values, words or the numbers of a list."""
    few = seen.tally.most_different <= _FEW_FORMS
    return 1.0 if few and not seen.values.get("event_date") else 0.0


def _dates(seen: Seen) -> float:
    dates = seen.tally.years.dates / seen.tally.different if seen.tally.different else 0.0
    years = float(seen.tally.years.counts.sum()) / seen.tally.different if seen.tally.different else 0.0
    return 2 * max(dates, years)


def _events(seen: Seen) -> float:
    """Dates or times; text of other forms may hold one, too."""
    times = pa.types.is_temporal(seen.tally.type) or _dates(seen) >= 1
    return 1.0 if times else 0.0


def _age(seen: Seen) -> float:
    """Whole numbers up to the age of the oldest, or few ranges."""
    if seen.tally.numbers:
        return 1.0 if seen.tally.low >= 0 and seen.tally.high <= 125 else 0.0
    return 1.0 if seen.tally.most_different <= 130 and seen.tally.share("digits") > 0.5 else 0.0


def _amount(seen: Seen) -> float:
    """Numbers, or few classes of them."""
    if _is_boolean(seen) or seen.values.get("event_date"):
        return 0.0
    return 1.0 if seen.tally.numbers or seen.tally.share("digits") > 0.5 else 0.0


def _degrees(seen: Seen) -> float:
    if seen.tally.numbers:
        return (
            1.0
            if seen.tally.low >= -180 and seen.tally.high <= 180 and seen.tally.whole < seen.tally.numbers
            else 0.0
        )
    return 1.0 if "coordinates" in seen.values or seen.tally.share("numbers") > 0.5 else 0.0


def _postal(seen: Seen) -> float:
    if seen.tally.numbers:
        return 1.0 if seen.tally.numbers == seen.tally.whole and seen.tally.high < 1e9 else 0.0
    return min(seen.tally.share("digits"), seen.tally.share("short")) * 2


def _street(seen: Seen) -> float:
    if {"email", "ip_address", "url"} & {kind for kind, found in seen.values.items() if found.share > 0.3}:
        return 0.0
    return _some_letters(seen) if _is_text(seen) else 0.3


def _identity(seen: Seen) -> float:
    """Many different values, none of them words, dates or amounts."""
    if _is_boolean(seen) or seen.values.get("event_date") or seen.values.get("birth_date"):
        return 0.0
    if seen.tally.numbers and seen.tally.whole < seen.tally.numbers:
        return 0.0
    return 1.0 if seen.tally.most_different > 3 or seen.tally.valid <= 3 else 0.3


def _numbered(seen: Seen) -> float:
    """Codes with digits."""
    if seen.tally.numbers:
        return 1.0 if seen.tally.numbers == seen.tally.whole and seen.tally.high >= 1000 else 0.0
    return 2 * seen.tally.share("digits")


def _text(seen: Seen) -> float:
    """Several words; a list of few of them is no free text."""
    if not _is_text(seen):
        return 0.0
    return 2 * seen.tally.share("spaces") * min(1.0, 2 * seen.tally.uniqueness)


def _title(seen: Seen) -> float:
    """A title is one of address or of a job: by the values."""
    return 0.0 if seen.values.get("honorific") and seen.values["honorific"].share > 0.5 else _letters(seen)


_FITS: dict[str, Callable[[Seen], float]] = {
    "email": _looks_like("email"),
    "phone": _digits("7 to 15 digits", kind="phone"),
    "name": _not_other("country", "email", "organization"),
    "first_name": _not_other("email", "country"),
    "last_name": _not_other("email", "country"),
    "username": _identity,
    "street": _street,
    "credit_card": _digits("12 to 19 digits", kind="credit_card"),
    "bank_account": _numbered,
    "us_ssn": _digits("9 to 9 digits", kind="us_ssn"),
    "national_id": _numbered,
    "passport": _numbered,
    "drivers_license": _numbered,
    "vehicle": _numbered,
    "health_id": _identity,
    "ip_address": _looks_like("ip_address"),
    "mac_address": _looks_like("mac_address"),
    "device_id": _identity,
    "url": _looks_like("url"),
    "person_id": _identity,
    "record_id": _identity,
    "coordinates": _degrees,
    "birth_date": _dates,
    "event_date": _events,
    "age": _age,
    "gender": _few,
    "marital_status": _few,
    "ethnicity": _few,
    "religion": _few,
    "honorific": lambda seen: _share_of("honorific", seen),
    "job_title": _title,
    "organization": _letters,
    "nationality": _place,
    "city": _letters,
    "region": _place,
    "country": _place,
    "postal_code": _postal,
    "income": _amount,
    "free_text": _text,
}
"""What is asked of the values, by kind; of other kinds, that they are no yes or no."""
