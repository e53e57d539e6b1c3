"""The anonymization of a release: nothing less is staged where readers are, and the recoding serves the next night."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tests.unit.release import crash
from tests.unit.release.conftest import ACTOR, POLICY, Shop, night, people

from airflow_veil.privacy.errors import ReleaseError, TransformError
from airflow_veil.privacy.release import service
from airflow_veil.privacy.release.anonymize import optimum, planned
from airflow_veil.privacy.release.assess import risk_of
from airflow_veil.privacy.release.reference import Reference

WORDS = "anonymize: {k: 5, suppress_at_most: 0.1, quasi_identifiers: {born: born.csv, country: country.csv}}"
QUASI = ["born", "country"]


def hierarchies(folder: Path, *, top: str = "*") -> None:
    """Years by five, by twenty and none; countries."""
    years = [f"{y};{y // 5 * 5};{y // 20 * 20};{top}" for y in range(1940, 2010)]
    (folder / "born.csv").write_text("\n".join(years))
    (folder / "country.csv").write_text("\n".join(f"{each};{top}" for each in ("GB", "FR", "DE")))


@pytest.fixture
def anonymous(shop: Shop) -> Shop:
    """The shop, whose people leave in classes of five."""
    hierarchies(shop.path)
    write(shop)
    shop.supply(people(300))
    return shop


def write(shop: Shop, words: str = WORDS) -> None:
    shop.write(POLICY.replace("subject: id\n", f"subject: id\n    {words}\n"))


def release(shop: Shop, number: int, *, steps: bool = False) -> Reference:
    """A whole night."""
    staged = shop.stage(night(number), steps=steps).reference
    made = service.anonymize(shop.workspace(), staged, actor=ACTOR).reference
    valid = service.validate(shop.workspace(), made, actor=ACTOR).reference
    published = service.publish(shop.workspace(), valid, actor=ACTOR).reference
    service.scrub(shop.workspace(), "people", night(number), orphans_after=0, actor=ACTOR)
    return published


def told(shop: Shop, published: Reference) -> dict[str, Any]:
    found: dict[str, Any] = shop.destination.manifest("people", published.release_id)["anonymization"]
    return found


def rows(shop: Shop, published: Reference) -> pa.Table:
    source = shop.destination.source("people", published.release_id)
    return pa.Table.from_batches(source.batches(source.schema().names, batch_rows=100))


class TestRelease:
    @pytest.mark.parametrize("steps", [False, True], ids=["fused", "stepwise"])
    def test_holds_k(self, anonymous: Shop, steps: bool) -> None:
        """What is published is 5-anonymous by the measures of risk, and its manifest has the recoding and counts."""
        published = release(anonymous, 1, steps=steps)

        table, facts = rows(anonymous, published), told(anonymous, published)
        assert risk_of(anonymous.workspace(), "people").reidentification.k >= 5
        assert table.num_rows == published.rows_out == facts["rows_out"] == 300 - facts["suppressed_rows"]
        assert [table.schema.field(name).type for name in QUASI] == [pa.string()] * 2
        assert facts["recoding"]["levels"].keys() == set(QUASI)
        assert facts["reused"] is False

    def test_without_it_k_is_less(self, anonymous: Shop) -> None:
        """The same rows, treated and not anonymized, are not 5-anonymous."""
        anonymous.write()
        anonymous.release(night(1))

        assert risk_of(anonymous.workspace(), "people").reidentification.k < 5

    def test_people_with_several_rows(self, anonymous: Shop) -> None:
        """Classes count people: one person's many rows make no class of five."""
        table = people(300)
        loner = table.slice(0, 1).set_column(
            4, "born", pa.array([datetime(1945, 1, 1).date()], table.schema.field("born").type)
        )
        anonymous.supply(pa.concat_tables([table, *[loner] * 9]))

        release(anonymous, 1)

        assert risk_of(anonymous.workspace(), "people").reidentification.k >= 5

    def test_an_entry_of_evidence(self, anonymous: Shop) -> None:
        """The evidence has counts and digests."""
        published = release(anonymous, 1)

        subject = anonymous.ledger.release(published.release_id).subject
        (entry,) = anonymous.ledger.evidence_of(subject, "release.anonymized")
        assert '"rows_in":300' in str(entry.payload)
        assert "Canary" not in str(entry.payload)

    def test_lineage(self, anonymous: Shop) -> None:
        """What was generalized is masked from there on; quasi-identifiers decide over rows."""
        staged = anonymous.stage(night(1)).reference

        made = service.anonymize(anonymous.workspace(), staged, actor=ACTOR).lineage

        assert made is not None
        edges = {edge.source: edge.masking for edge in made.edges if edge.target is not None}
        assert edges["born"] is True
        assert {edge.source for edge in made.edges if edge.target is None} == {*QUASI, "id"}


class TestFailsClosed:
    def test_left_out(self, anonymous: Shop) -> None:
        """A DAG that forgot the task can neither validate nor publish; nothing lies beside the destination."""
        staged = anonymous.stage(night(1)).reference

        with pytest.raises(ReleaseError, match="there is no release"):
            service.validate(anonymous.workspace(), staged, actor=ACTOR)
        with pytest.raises(ReleaseError, match="not staged to its end"):
            service.publish(anonymous.workspace(), staged, actor=ACTOR)
        assert not list(anonymous.releases.rglob("*.parquet"))

    def test_an_earlier_one(self, anonymous: Shop) -> None:
        """What was anonymized before the rows were treated again is not what is published."""
        staged = anonymous.stage(night(1)).reference
        service.anonymize(anonymous.workspace(), staged, actor=ACTOR)
        again = anonymous.stage(night(1)).reference

        with pytest.raises(ReleaseError, match="not staged to its end"):
            service.publish(anonymous.workspace(), again, actor=ACTOR)

    def test_twice(self, anonymous: Shop) -> None:
        """A retry stages the same."""
        staged = anonymous.stage(night(1)).reference

        first = service.anonymize(anonymous.workspace(), staged, actor=ACTOR)

        assert service.anonymize(anonymous.workspace(), staged, actor=ACTOR).summary == first.summary

    def test_not_asked_for(self, shop: Shop) -> None:
        """Where the policy does not ask, the task says so."""
        staged = shop.stage(night(1)).reference

        with pytest.raises(ReleaseError, match="does not ask for anonymization"):
            service.anonymize(shop.workspace(), staged, actor=ACTOR)

    def test_too_early(self, anonymous: Shop) -> None:
        """It comes after all of the treatment."""
        workspace = anonymous.workspace()
        begun = service.begin(workspace, "people", night(1), actor=ACTOR)

        with pytest.raises(ReleaseError, match="The step anonymize follows begin"):
            service.anonymize(workspace, begun, actor=ACTOR)

    def test_a_value_that_is_not_covered(self, anonymous: Shop) -> None:
        """A country that no hierarchy has fails the night; the release before stays."""
        before = release(anonymous, 1)
        table = people(300)
        countries = ["Canaria", *table["country"].to_pylist()[1:]]
        anonymous.supply(table.set_column(5, "country", pa.array(countries)))
        staged = anonymous.stage(night(2)).reference

        with pytest.raises(
            TransformError, match="column country: the hierarchy does not cover 1 values"
        ) as caught:
            service.anonymize(anonymous.workspace(), staged, actor=ACTOR)

        assert "Canaria" not in str(caught.value)
        assert anonymous.destination.current("people") == before.release_id


class TestNextNight:
    def test_used_again(self, anonymous: Shop) -> None:
        """The next night has the same levels; rows in classes that are too small that night are left out."""
        first = release(anonymous, 1)
        anonymous.supply(people(303, first=40))

        second = release(anonymous, 2)

        assert told(anonymous, second)["reused"] is True
        assert told(anonymous, second)["recoding"] == told(anonymous, first)["recoding"]
        assert risk_of(anonymous.workspace(), "people").reidentification.k >= 5

    def test_fewer_rows(self, anonymous: Shop) -> None:
        """Where more rows would be left out than may, the night fails, and says to fit anew."""
        release(anonymous, 1)
        anonymous.supply(people(12))
        staged = anonymous.stage(night(2)).reference

        with pytest.raises(TransformError, match="of 12 rows are in classes that do not hold"):
            service.anonymize(anonymous.workspace(), staged, actor=ACTOR)

    def test_always_anew(self, anonymous: Shop) -> None:
        """`refit: always` finds the levels of each night."""
        write(anonymous, WORDS.replace("k: 5", "k: 5, refit: always"))
        first = release(anonymous, 1)
        anonymous.supply(people(60))

        second = release(anonymous, 2)

        assert told(anonymous, second)["reused"] is False
        assert told(anonymous, second)["recoding"]["levels"] != told(anonymous, first)["recoding"]["levels"]

    @pytest.mark.parametrize("change", ["k", "hierarchy"])
    def test_what_is_asked_changed(self, anonymous: Shop, change: str) -> None:
        """Other words, or another hierarchy, are another question."""
        release(anonymous, 1)
        anonymous.supply(people(300, first=2))
        if change == "k":
            write(anonymous, WORDS.replace("k: 5", "k: 6"))
        else:
            hierarchies(anonymous.path, top="any")

        assert told(anonymous, release(anonymous, 2))["reused"] is False


class TestOptimum:
    def test_is_that_of_the_release(self, anonymous: Shop) -> None:
        """What `veil anonymize fit` finds is what the release is fitted with; it writes nothing."""
        found = optimum(anonymous.workspace(), "people")

        assert not anonymous.releases.exists()
        assert told(anonymous, release(anonymous, 1))["recoding"] == json.loads(found.to_json())
        assert found.after.k >= 5


def work(folder: Path, number: int, moment: int) -> None:
    """A night, until the moment of death."""
    killed = Shop(folder)
    crash.dies_at(moment)
    release(killed, number)


class TestKill:
    @pytest.mark.slow
    def test_at_any_moment(self, anonymous: Shop) -> None:
        """Killed anywhere, what readers see is anonymous and whole; a second run ends in one good release."""
        release(anonymous, 0)

        for moment in range(0, 400, 7):
            number = moment + 1
            anonymous.supply(people(300 + number))
            code = crash.in_own_process(work, anonymous.path, number, moment)
            assert smallest(anonymous.current()) >= 5, f"killed at moment {moment}"

            published = release(anonymous, number)

            assert anonymous.destination.current("people") == published.release_id
            assert smallest(anonymous.current()) >= 5
            assert anonymous.current().num_rows == told(anonymous, published)["rows_out"]
            assert anonymous.staged() == []
            anonymous.close()
            if code == 0:
                break
            assert code == crash.KILLED
        else:
            pytest.fail("the night never came to its end")
        assert moment > 20, "too few moments: were they counted?"


def smallest(table: pa.Table) -> int:
    """The size of the smallest class."""
    return min(table.group_by(QUASI).aggregate([([], "count_all")])["count_all"].to_pylist())


class TestLineage:
    @pytest.mark.parametrize("steps", [False, True], ids=["fused", "stepwise"])
    def test_as_planned(self, anonymous: Shop, steps: bool) -> None:
        """Before a row is read it is known which column is of which, and by which rows may be left out."""
        staged = anonymous.stage(night(1), steps=steps).reference

        plan = planned(anonymous.workspace(), staged)
        done = service.anonymize(anonymous.workspace(), staged, actor=ACTOR).lineage

        assert done is not None
        assert done.output is not None
        assert plan.output is not None
        assert [field.name for field in plan.output.fields] == [field.name for field in done.output.fields]
        assert (plan.input.identity, plan.output.identity) == (done.input.identity, done.output.identity)
        assert {(edge.source, edge.target) for edge in plan.edges} == {
            (edge.source, edge.target) for edge in done.edges
        } - {("id", None)}
