"""The kinds of personal data that are told apart: what each means for a policy, and how far its evidence is trusted."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_veil.privacy.policy.models import ColumnClass

_DIRECT, _QUASI = ColumnClass.DIRECT_IDENTIFIER, ColumnClass.QUASI_IDENTIFIER
_SENSITIVE, _FREE = ColumnClass.SENSITIVE, ColumnClass.FREE_TEXT


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of personal data.

    Attributes:
        name: Its word.
        column_class: The class that a policy should give a column of it.
        category: The data category, by the Fides taxonomy.
        by_name: How often a column whose name says so, and whose values do not contradict it, is of this kind.
        by_value: How often a column whose values all look so is of this kind, whatever its name; 0 where values
            alone tell nothing.
        low: The share of values of that look from which on they count; below it they may be there by chance.
        high: The share from which on they count in full.
    """

    name: str
    column_class: ColumnClass
    category: str
    by_name: float
    by_value: float = 0.0
    low: float = 0.2
    high: float = 0.6


# Shares from which on values count. A check digit or a fixed form hardly comes about by chance, and a few e-mail
# addresses among other things are personal data already; words of a dictionary are words of other things, too.
_FORM = (0.02, 0.3)
_CHECKED = (0.05, 0.5)
_WORDS = (0.25, 0.6)

KINDS = {
    kind.name: kind
    for kind in (
        Kind("email", _DIRECT, "user.contact.email", 0.9, 0.98, *_FORM),
        Kind("phone", _DIRECT, "user.contact.phone_number", 0.9, 0.8, 0.2, 0.7),
        Kind("name", _DIRECT, "user.name", 0.9, 0.85, *_WORDS),
        Kind("first_name", _DIRECT, "user.name.first", 0.95, 0.85, *_WORDS),
        Kind("last_name", _DIRECT, "user.name.last", 0.95, 0.75, *_WORDS),
        Kind("username", _DIRECT, "user.account.username", 0.9),
        Kind("password", _DIRECT, "user.authorization.password", 0.95),
        Kind("street", _DIRECT, "user.contact.address.street", 0.85, 0.85, 0.2, 0.6),
        Kind("credit_card", _DIRECT, "user.financial.credit_card", 0.9, 0.95, *_CHECKED),
        Kind("card_detail", _SENSITIVE, "user.financial.credit_card", 0.85),
        Kind("bank_account", _DIRECT, "user.financial.bank_account", 0.9, 0.98, *_CHECKED),
        Kind("us_ssn", _DIRECT, "user.government_id.national_identification_number", 0.95, 0.9, 0.1, 0.6),
        Kind(
            "national_id", _DIRECT, "user.government_id.national_identification_number", 0.9, 0.9, 0.15, 0.6
        ),
        Kind("passport", _DIRECT, "user.government_id.passport_number", 0.95),
        Kind("drivers_license", _DIRECT, "user.government_id.drivers_license_number", 0.95),
        Kind("vehicle", _DIRECT, "user.government_id.vehicle_registration", 0.9),
        Kind("health_id", _DIRECT, "user.health_and_medical.record_id", 0.9),
        Kind("ip_address", _DIRECT, "user.device.ip_address", 0.9, 0.9, 0.1, 0.5),
        Kind("mac_address", _DIRECT, "user.device.device_id", 0.9, 0.95, 0.1, 0.5),
        Kind("device_id", _DIRECT, "user.device.device_id", 0.9),
        Kind("url", _QUASI, "user.contact.url", 0.7, 0.6, 0.1, 0.5),
        Kind("person_id", _DIRECT, "user.unique_id", 0.9),
        Kind("record_id", _DIRECT, "user.unique_id.pseudonymous", 0.6, 0.6, 0.5, 0.9),
        Kind("coordinates", _QUASI, "user.location.precise", 0.9, 0.9, 0.3, 0.8),
        Kind("birth_date", _QUASI, "user.demographic.date_of_birth", 0.95, 0.75, 0.3, 0.8),
        Kind("event_date", _QUASI, "user.behavior", 0.6, 0.55, 0.3, 0.8),
        Kind("age", _QUASI, "user.demographic.age_range", 0.95),
        Kind("gender", _QUASI, "user.demographic.gender", 0.9, 0.9, 0.5, 0.8),
        Kind("marital_status", _QUASI, "user.demographic.marital_status", 0.9, 0.8, 0.5, 0.8),
        Kind("ethnicity", _SENSITIVE, "user.demographic.race_ethnicity", 0.9, 0.75, 0.5, 0.8),
        Kind("nationality", _QUASI, "user.demographic", 0.85),
        Kind("language", _QUASI, "user.demographic.language", 0.7),
        Kind("religion", _SENSITIVE, "user.demographic.religious_belief", 0.95),
        Kind("politics", _SENSITIVE, "user.demographic.political_opinion", 0.95),
        Kind("sexuality", _SENSITIVE, "user.demographic.sexual_orientation", 0.95),
        Kind("health", _SENSITIVE, "user.health_and_medical", 0.8),
        Kind("criminal_record", _SENSITIVE, "user.criminal_history", 0.9),
        Kind("income", _SENSITIVE, "user.financial", 0.9),
        Kind("postal_code", _QUASI, "user.contact.address.postal_code", 0.95, 0.75, 0.3, 0.8),
        Kind("city", _QUASI, "user.contact.address.city", 0.9, 0.7, 0.3, 0.7),
        Kind("region", _QUASI, "user.contact.address.state", 0.75, 0.7, 0.5, 0.9),
        Kind("country", _QUASI, "user.contact.address.country", 0.9, 0.8, 0.3, 0.8),
        Kind("honorific", _QUASI, "user.name", 0.8, 0.85, 0.4, 0.8),
        Kind("job_title", _QUASI, "user.job_title", 0.85, 0.7, 0.3, 0.6),
        Kind("organization", _QUASI, "user.contact.organization", 0.75, 0.6, 0.15, 0.4),
        Kind("education", _QUASI, "user.demographic.profile", 0.85),
        Kind("free_text", _FREE, "user.content", 0.75, 0.85, 0.4, 0.8),
    )
}
"""Every kind, by its word."""

NOTHING = "none"
"""What stands in the place of a kind where nothing was found."""
FOUND = 0.5
"""The confidence from which on a kind is suggested."""
