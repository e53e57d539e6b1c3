"""What names of columns say: in several styles and languages, and where they say something else."""

from __future__ import annotations

import pytest

from airflow_veil.privacy.classify.column_name import words_of
from airflow_veil.privacy.classify.kind import KINDS
from airflow_veil.privacy.classify.name_evidence import name_evidence
from airflow_veil.privacy.classify.vocabulary import STRONG, WEAK


def strongest(name: str) -> str | None:
    found = name_evidence(name)
    return max(found, key=lambda kind: found[kind]) if found else None


class TestWords:
    @pytest.mark.parametrize(
        "name",
        [
            "customerEmail",
            "CUSTOMER_EMAIL",
            "customer-email 2",
            "Customer.Email",
            "CustomerEMail"[:8] + "_email",
        ],
    )
    def test_styles_do_not_matter(self, name: str) -> None:
        """Camel, snake, kebab and shouted names have the same words."""
        assert words_of(name) == ("customer", "email")

    def test_accents_do_not_matter(self) -> None:
        """Letters that do not decompose are spelt as people do without them."""
        assert words_of("Prénom_Straße_Łódź") == ("prenom", "strasse", "lodz")


class TestNameEvidence:
    @pytest.mark.parametrize(
        ("name", "kind"),
        [
            ("email_address", "email"), ("ip_address", "ip_address"), ("billing_address", "street"),
            ("vorname", "first_name"), ("Nachname", "last_name"), ("apellidos", "last_name"), ("cognome", "last_name"),
            ("fecha_de_nacimiento", "birth_date"), ("Geburtsdatum", "birth_date"), ("dateOfBirth", "birth_date"),
            ("codice_fiscale", "national_id"), ("cust_phone_no", "phone"),
            ("CCNumber", "credit_card"), ("PLZ", "postal_code"),
            ("home_city", "city"), ("hasło", "password"), ("customer_id", "person_id"), ("Salary", "income"),
            ("phone_number", "phone"), ("account_number", "bank_account"), ("userName", "username"),
        ],
    )  # fmt: skip
    def test_says_the_kind(self, name: str, kind: str) -> None:
        """The longest phrase wins: an e-mail address is no street."""
        assert strongest(name) == kind

    @pytest.mark.parametrize(
        "name",
        [
            "email_verified",
            "has_phone",
            "card_type",
            "phone_count",
            "num_emails",
            "address_status",
            "quantity",
            "sku",
            "",
        ],
    )
    def test_about_a_thing_is_not_the_thing(self, name: str) -> None:
        """Flags, counts and types of personal data are none themselves."""
        assert name_evidence(name) == {}

    @pytest.mark.parametrize(
        "name", ["product_name", "file_name", "host_name", "table_name", "vendor_address"]
    )
    def test_things_have_names_too(self, name: str) -> None:
        """The word before says whose name it is."""
        assert not {"name", "street"} & set(name_evidence(name))

    def test_vocabulary_names_known_kinds(self) -> None:
        """No phrase leads to a kind that is not there."""
        assert set(STRONG) | set(WEAK) <= set(KINDS)
