from __future__ import annotations

import subprocess
import sys
from typing import Any, get_args

import pyarrow as pa
import pytest
from pydantic import ValidationError
from tests.unit.transforms.keyed_support import (
    SENTINEL,
    assert_storage_does_not_matter,
    bound,
    refusal,
    ring,
    treat,
)

from airflow_veil.privacy.errors import TransformError
from airflow_veil.privacy.transforms.fake import Fake, Provider

# Small pools, as inventing takes longer than choosing.
NAME = Fake(provider="name", pool=500)
BY_VALUE = Fake(provider="name", pool=500, by="value")
WHO = pa.array(["ada", "grace", "ada", None, "alan", "ada"])
NAMES = pa.array(["Ada", "Grace", "A. Lovelace", "Nobody", None, SENTINEL])
PEOPLE = pa.array([str(number) for number in range(3000)])


class TestFake:
    def test_a_person_has_one_fake_in_all_rows_and_tables(self) -> None:
        """The person decides, not the value, the table, the column or the subject's type."""
        here = treat(NAME, NAMES, WHO).to_pylist()
        assert here[0] == here[2] == here[5]
        numbered = treat(NAME, NAMES[:2], pa.array([1, 2]), column="orders.name")
        assert numbered.equals(treat(NAME, NAMES[1:3], pa.array(["1", "2"]), column="customers.full_name"))

    def test_nulls_and_rows_of_nobody_are_null(self) -> None:
        """A null stays null; without a person there is nobody to invent a value for."""
        assert treat(NAME, NAMES, WHO).is_null().to_pylist() == [False, False, False, True, True, False]

    def test_by_value_equal_values_have_equal_fakes(self) -> None:
        """By value a city or an employer keeps its fake for everybody, and no subject is needed."""
        treated = treat(BY_VALUE, pa.array(["Ada", "Grace", "Ada", None]), subject=None).to_pylist()
        assert treated[0] == treated[2] != treated[1]
        assert treated[3] is None
        assert BY_VALUE.inputs("who") == ()
        assert (BY_VALUE.properties.deterministic, NAME.properties.deterministic) == (True, False)

    def test_needs_a_subject_unless_by_value(self) -> None:
        """The checker asks before a row moves, `prepare` fails if nobody asked."""
        assert (NAME.needs_subject, BY_VALUE.needs_subject) == (True, False)
        assert "subject" in refusal(lambda: NAME.prepare(bound(NAME, subject=None)), TransformError)

    @pytest.mark.parametrize(
        "other", [{"root": "staff.id"}, {"keys": ring(2)}], ids=["population", "key-version"]
    )
    def test_another_population_or_key_has_other_fakes(self, other: dict[str, Any]) -> None:
        """Who a fake stands for cannot be carried over."""
        one, two = treat(NAME, PEOPLE, PEOPLE).to_pylist(), treat(NAME, PEOPLE, PEOPLE, **other).to_pylist()
        assert sum(a == b for a, b in zip(one, two, strict=True)) < 60

    def test_who_shares_one_fake_need_not_share_another(self) -> None:
        """Each provider draws anew: two people with one fake name do not have one fake city as well."""
        names = treat(NAME, PEOPLE, PEOPLE).to_pylist()
        cities = treat(Fake(provider="city", pool=500), PEOPLE, PEOPLE).to_pylist()
        assert len(set(zip(names, cities, strict=True))) > 2900

    def test_the_whole_pool_is_used(self) -> None:
        """3000 people share 500 names: nearly all of them occur, and no others."""
        assert 480 < len(set(treat(NAME, PEOPLE, PEOPLE).to_pylist())) <= 500

    @pytest.mark.parametrize("provider", get_args(Provider))
    @pytest.mark.parametrize("locale", ["en_US", "de_DE", "ru_RU", "ja_JP"])
    def test_all_fakes_are_one_safe_line(self, provider: str, locale: str) -> None:
        """No fake has a line break, is empty, or is taken for a formula by a spreadsheet."""
        fake = Fake.model_validate({"provider": provider, "locale": locale, "pool": 100})
        fakes = treat(fake, PEOPLE[:200], PEOPLE[:200]).to_pylist()
        assert all(text and text[0] not in "=+-@\t\r " and "\n" not in text for text in fakes)
        assert len(set(fakes)) > 10

    def test_mail_addresses_reach_nobody(self) -> None:
        """Invented addresses are at domains that RFC 2606 keeps free."""
        fakes = treat(Fake(provider="email", pool=200), PEOPLE, PEOPLE).to_pylist()
        assert all(text.rpartition("@")[2] in {"example.com", "example.net", "example.org"} for text in fakes)

    def test_is_the_same_in_another_process(self) -> None:
        """Workers that treat parts of a table agree, with any hash seed."""
        code = (
            "from tests.unit.transforms.keyed_support import *\n"
            "from airflow_veil.privacy.transforms.fake import Fake\n"
            "people = pa.array([str(number) for number in range(50)])\n"
            "print('|'.join(treat(Fake(provider='name', pool=500), people, people).to_pylist()))"
        )
        environment = {
            "PYTHONPATH": ":".join(path for path in sys.path if path) or ".",
            "PYTHONHASHSEED": "7",
        }
        printed = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
        )
        assert printed.stdout.strip().split("|") == treat(NAME, PEOPLE[:50], PEOPLE[:50]).to_pylist()

    def test_storage_does_not_matter(self) -> None:
        """Slices, dictionaries and wide offsets give the same."""
        assert_storage_does_not_matter(NAME, NAMES, WHO)
        assert_storage_does_not_matter(BY_VALUE, NAMES, WHO)

    @pytest.mark.parametrize(
        ("provider", "locale"),
        [("phone_number", "en_PH"), ("name", "es_CL"), ("first_name", "vi_VN")],
        ids=["lacking", "broken", "poor"],
    )
    def test_a_locale_that_cannot_invent_it_is_an_error(self, provider: str, locale: str) -> None:
        """Rather an error than everybody under the same two names."""
        fake = Fake.model_validate({"provider": provider, "locale": locale})
        assert locale in refusal(lambda: fake.prepare(bound(fake)), TransformError)

    @pytest.mark.parametrize("locale", ["xx_XX", "english", "EN_us", ""])
    def test_an_unknown_locale_is_refused(self, locale: str) -> None:
        """A mistake in the policy is found with the policy."""
        with pytest.raises(ValidationError):
            Fake(provider="name", locale=locale)

    def test_an_unknown_provider_is_refused(self) -> None:
        """Only what is known to be safe can be invented."""
        with pytest.raises(ValidationError):
            Fake.model_validate({"provider": "ssn"})

    def test_reading_a_policy_does_not_import_faker(self) -> None:
        """Parsing a DAG has no time for it."""
        code = (
            "import sys\nfrom airflow_veil.privacy.transforms.fake import Fake\n"
            "Fake(provider='name')\nassert 'faker' not in sys.modules"
        )
        environment = {"PYTHONPATH": ":".join(path for path in sys.path if path) or "."}
        subprocess.run([sys.executable, "-c", code], env=environment, check=True)
