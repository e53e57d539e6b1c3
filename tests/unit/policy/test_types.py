"""The types that a policy can declare."""

from __future__ import annotations

import pytest

from airflow_veil.privacy.policy.types import TYPES
from airflow_veil.privacy.transforms.family import family_of


class TestTypes:
    @pytest.mark.parametrize("name", TYPES)
    def test_the_family_is_that_of_the_arrow_type(self, name: str) -> None:
        """What a policy is checked by is what a source is met with."""
        assert TYPES[name].family is family_of(TYPES[name].arrow)

    def test_each_name_is_a_type_of_its_own(self) -> None:
        """No two names stand for one type."""
        assert len({declarable.arrow for declarable in TYPES.values()}) == len(TYPES)

    @pytest.mark.parametrize(
        ("name", "arrow"),
        [
            ("string", "string"),
            ("bool", "bool"),
            ("uint64", "uint64"),
            ("float64", "double"),
            ("date", "date32[day]"),
            ("timestamp", "timestamp[us]"),
            ("timestamp_ns", "timestamp[ns]"),
            ("timestamp_utc", "timestamp[us, tz=UTC]"),
            ("binary", "binary"),
        ],
    )
    def test_names_stand_for_arrow_types(self, name: str, arrow: str) -> None:
        """The documented names give the documented types."""
        assert str(TYPES[name].arrow) == arrow
