"""Check digits over columns against the same checks, one value at a time."""

from __future__ import annotations

import pyarrow as pa
import pytest
from faker import Faker

from airflow_veil.privacy.classify import check_digits
from airflow_veil.privacy.classify.look import looks
from airflow_veil.privacy.classify.shape import Shape


def _changed(text: str) -> str:
    """The same with its last digit changed."""
    return text[:-1] + str((int(text[-1]) + 1) % 10)


class TestIban:
    def test_ibans_of_many_countries_pass_and_changed_ones_do_not(self) -> None:
        """Faker's IBANs, made by its own arithmetic; one digit off leaves another remainder."""
        ibans = []
        for locale in (
            "de_DE",
            "en_GB",
            "fr_FR",
            "it_IT",
            "nl_NL",
            "pl_PL",
            "es_ES",
            "pt_PT",
            "fi_FI",
            "de_CH",
        ):
            faker = Faker(locale)
            faker.seed_instance(1)
            ibans += [faker.iban() for _ in range(50)]
        numbered = [iban for iban in ibans if iban[-1].isdigit()]

        assert check_digits.passes_iban(pa.array(ibans)).all()
        assert check_digits.passes_iban(pa.array([iban.lower() for iban in ibans])).all()
        assert not check_digits.passes_iban(pa.array([_changed(iban) for iban in numbered])).any()

    def test_a_country_that_has_none(self) -> None:
        """US is no country of the registry, and 15 characters are too few for Germany."""
        assert not check_digits.passes_iban(pa.array(["US12345678901234", "DE8937040044053"])).any()


class TestLuhn:
    def test_equal_to_the_check_of_a_single_number(self) -> None:
        """The column's answer is that of the arithmetic by hand, for numbers with separators, too."""
        faker = Faker()
        faker.seed_instance(4)
        good = [faker.credit_card_number() for _ in range(200)]
        numbers = [*good, *map(_changed, good), "4111-1111-1111-1111"]

        passes = check_digits.passes_luhn(pa.array(numbers)).tolist()

        assert passes == [True] * 200 + [False] * 200 + [True]


class TestVerhoeff:
    def test_the_published_example(self) -> None:
        """236 has the check digit 3 (Verhoeff 1969); every other last digit fails."""
        digits = check_digits.digits_of(pa.array([f"236{last}" for last in range(10)]), 4)

        assert check_digits.passes_verhoeff(digits).tolist() == [last == 3 for last in range(10)]


class TestIso7064:
    def test_the_published_example(self) -> None:
        """0794 has the check digit 5 under MOD 11,10 (ISO 7064)."""
        digits = check_digits.digits_of(pa.array(["07945", "07946"]), 5)

        assert check_digits.passes_iso7064_11_10(digits).tolist() == [True, False]


class TestLooks:
    @pytest.mark.parametrize(
        ("look", "yes", "no"),
        [
            (
                "e-mail address",
                ["a.b+c@example.co.uk", "ünï@exämple.org"],
                ["a@b", "@example.org", "two@x.org y@x.org"],
            ),
            (
                "phone number",
                ["+44 20 7946 0958", "(212) 555-1234", "021 259 903", "84 23 30"],
                [
                    "2026-01-02",
                    "1.5",
                    "12345",
                    "078-05-1123",
                    "4111-1111-1111-1111",
                    "10.0.0.1",
                    "3610-114",
                    "25-00703",
                ],
            ),
            (
                "social security number, in an area that is given out",
                ["078-05-1123"],
                ["000-12-3456", "666-12-3456", "078-00-1123", "078-05-0000", "078051123"],
            ),
            (
                "IPv4 address",
                ["10.0.0.1", "255.255.255.255"],
                ["256.1.1.1", "1.2.3", "1.2.3.4.5", "01.2.3.4"],
            ),
            (
                "IPv6 address",
                ["2001:db8::1", "::1", "6e40:4041:c617:e898:c11:40d2:c669:2eb4"],
                ["12:30:45", "a:b", ":::"],
            ),
            (
                "MAC address",
                ["00:1B:44:11:3A:B7", "00-1b-44-11-3a-b7"],
                ["00:1B:44:11:3A", "00:1G:44:11:3A:B7"],
            ),
            (
                "UUID",
                ["6872def5-772f-427c-3053-de6e1c71ce0a"],
                ["6872def5-772f-427c-3053-de6e1c71ce0", "x" * 36],
            ),
            (
                "postcode of a written form",
                ["SW1A 1AA", "K1A 0B1", "1234 AB", "53-320", "3610-114", "12345-678"],
                ["12345", "2020-01-01", "AB"],
            ),
            (
                "card number, with its check digit",
                ["4111 1111 1111 1111", "378282246310005", "6011111111111117"],
                ["4111111111111112", "9999999999999995", "411111111111"],
            ),
        ],
    )
    def test_what_it_is_and_what_it_is_not(self, look: str, yes: list[str], no: list[str]) -> None:
        """Each look by itself, candidates told by characters included."""
        (found,) = [one for one in looks() if one.name == look]

        def count(values: list[str]) -> int:
            return found.count(pa.array(values), Shape.of(pa.array(values)))[1]

        assert [value for value in yes if count([value]) != 1] == []
        assert [value for value in no if count([value]) != 0] == []
