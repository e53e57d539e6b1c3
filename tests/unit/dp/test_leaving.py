"""Who is not to leave by the policy is in no answer: `where` and `sample` of a data set hold for queries as well."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml
from tests.unit.dp.asking import House, cells

from airflow_veil.privacy.errors import PolicyError
from airflow_veil.privacy.keys.file import KeyFile
from airflow_veil.privacy.lineage.model import Subtype

PEOPLE = 200
COUNT: dict[str, Any] = {"spend": {"epsilon": 100}, "measures": {"n": "count"}}


@pytest.fixture
def house(tmp_path: Path) -> House:
    """Two hundred people, of whom one in four agreed; a key ring."""
    table = pa.table({"id": range(PEOPLE), "agreed": [number % 4 == 0 for number in range(PEOPLE)]})
    made = House(tmp_path, table)
    (tmp_path / "home").mkdir()
    KeyFile(tmp_path / "home" / "keys.json").create()
    return made


def asked(house: House, number: int = 0, **rows: Any) -> int:
    """How many people an answer counts, where the data set says so of its rows."""
    house.write(COUNT)
    policy = yaml.safe_load(house.policy.read_text())
    policy["datasets"]["rows"] |= rows
    policy["datasets"]["rows"]["columns"]["agreed"]["type"] = "bool"
    policy["datasets"]["rows"]["columns"]["id"]["type"] = "int64"
    house.policy.write_text(yaml.safe_dump(policy, sort_keys=False))
    return round(float(cells(house.ask(number=number), "n").iloc[0]))


class TestWhoLeaves:
    def test_all(self, house: House) -> None:
        """Where the data set says nothing, everybody counts."""
        assert asked(house) == PEOPLE

    def test_where(self, house: House) -> None:
        """Who did not agree is not counted."""
        assert asked(house, where="agreed == true") == PEOPLE // 4

    def test_sample(self, house: House) -> None:
        """Nor is who is not in the sample; who is, is by the key."""
        counted = asked(house, sample={"fraction": 0.5})

        assert 0 < counted < PEOPLE
        assert asked(house, number=1, sample={"fraction": 0.5}) == counted

    def test_another_rule_is_another_question(self, house: House) -> None:
        """The answer of before does not stand for it, and it is paid for."""
        asked(house)
        spent = house.spent()

        assert asked(house, where="agreed == true") == PEOPLE // 4
        assert house.spent() == 2 * spent

    def test_lineage_tells_what_decides(self, house: House) -> None:
        """The column that rows are chosen by is read, and hidden by the noise like all others."""
        asked(house, where="agreed == true")
        lineage = house.release().lineage
        house.close()

        assert lineage is not None
        assert [field.name for field in lineage.input.fields] == ["id", "agreed"]
        (edge,) = [edge for edge in lineage.edges if edge.subtype is Subtype.FILTER]
        assert (edge.source, edge.target, edge.masking) == ("agreed", None, True)

    def test_a_rule_that_does_not_fit(self, house: House) -> None:
        """It is refused by the policy's check, before a row is read."""
        with pytest.raises(PolicyError):
            asked(house, where="agreed > 'x'")
