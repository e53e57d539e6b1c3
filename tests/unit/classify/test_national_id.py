"""National numbers: Faker's generators, written by others, pass; numbers drawn at random pass as seldom as said."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from faker import Faker

from airflow_veil.privacy.classify.look import Look, looks
from airflow_veil.privacy.classify.shape import Shape

FORMS = {look.name: look for look in looks() if look.kind == "national_id"}
NUMBERS = 400
DRAWN = 30_000


def passing(look: Look, numbers: list[str]) -> float:
    values = pa.array(numbers)
    return look.count(values, Shape.of(values))[1] / len(numbers)


class TestForms:
    @pytest.mark.parametrize(
        ("form", "locale", "maker", "share"),
        [
            ("DNI or NIE (ES)", "es_ES", "nie", 1.0),
            ("DNI or NIE (ES)", "es_ES", "nif", 1.0),
            ("codice fiscale (IT)", "it_IT", "ssn", 1.0),
            ("NIR (FR)", "fr_FR", "ssn", 0.95),  # Faker knows departments that the form does not
            ("tax number or OIB (DE HR)", "hr_HR", "ssn", 1.0),
            ("BSN (NL)", "nl_NL", "ssn", 1.0),
            ("PESEL (PL)", "pl_PL", "pesel", 1.0),
            ("personnummer (SE)", "sv_SE", "ssn", 1.0),
            ("henkilotunnus (FI)", "fi_FI", "ssn", 1.0),
            ("fodselsnummer (NO)", "no_NO", "ssn", 1.0),
            ("CPF (BR)", "pt_BR", "cpf", 1.0),
            ("rodne cislo (CZ SK)", "cs_CZ", "birth_number", 0.5),  # before 1954 there was no check digit
            ("national register number (BE)", "nl_BE", "ssn", 1.0),
            ("isikukood or asmens kodas (EE LT)", "et_EE", "ssn", 1.0),
            ("SIN (CA)", "en_CA", "ssn", 1.0),
            ("AHV number (CH)", "de_CH", "ssn", 1.0),
        ],
    )
    def test_numbers_of_the_form_pass(self, form: str, locale: str, maker: str, share: float) -> None:
        """What another implementation makes is recognized."""
        faker = Faker(locale)
        faker.seed_instance(20260101)

        numbers = [getattr(faker, maker)() for _ in range(NUMBERS)]

        assert passing(FORMS[form], numbers) >= share

    @pytest.mark.parametrize(
        ("form", "number"),
        [
            ("NHS number (GB)", "943 476 5919"),  # the example of the NHS Data Dictionary
            ("Aadhaar (IN)", "2341 2341 2346"),
            ("identity number (ZA)", "8001015009087"),
            ("EMSO or JMBG (SI RS)", "0101006500006"),
            ("kennitala (IS)", "120174-3399"),
            ("national insurance number (GB)", "AB 12 34 56 C"),
            ("CPR number (DK)", "140842-8978"),
        ],
    )
    def test_published_examples_pass(self, form: str, number: str) -> None:
        """The examples that their issuers print."""
        assert passing(FORMS[form], [number]) == 1.0

    @pytest.mark.parametrize("digits", [9, 10, 11, 12, 13, 15])
    def test_chance_is_not_understated(self, digits: int) -> None:
        """Numbers drawn at random pass no oftener than each form says; the look then counts none of them."""
        random = np.random.default_rng(digits)
        values = pa.array([str(n) for n in random.integers(10 ** (digits - 1), 10**digits, DRAWN)])
        shape = Shape.of(values)

        for look in FORMS.values():
            candidates, hits = look.count(values, shape)
            assert hits <= candidates * look.chance * 1.05 + 3, look.name

    def test_one_wrong_digit_fails(self) -> None:
        """A check digit that took everything would pass the tests above."""
        faker = Faker("nl_NL")
        faker.seed_instance(3)
        wrong = [number[:-1] + str((int(number[-1]) + 1) % 10) for number in (faker.ssn() for _ in range(99))]

        assert passing(FORMS["BSN (NL)"], wrong) == 0.0
