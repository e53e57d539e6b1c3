"""A policy on a sample: figures and decisions without a ledger, a key ring, or anything written."""

from __future__ import annotations

from datetime import date

import pyarrow as pa
import pytest
from tests.unit.release.conftest import POLICY, Shop, night, people
from tests.unit.release.test_anonymize import WORDS, hierarchies, release

from airflow_veil.privacy.errors import SchemaError, TransformError
from airflow_veil.privacy.gate.decide import Outcome
from airflow_veil.privacy.keys.ring import KeyRing
from airflow_veil.privacy.policy.load import load
from airflow_veil.privacy.release.assess import risk_of
from airflow_veil.privacy.release.sampled import Sampled, SampleKeys, sampled
from airflow_veil.privacy.release.trial import attacks, trial, utility_of

GATE = "  gate: {{deny: {{k: {deny}}}, approve: {{k: {approve}, kept_rows: 0.9}}, jump: {{k: 1}}}}\n"


def look(shop: Shop, *, rows: int | None = None) -> Sampled:
    return sampled(load(shop.policy), "people", shop.workspace().source("people"), rows=rows)


def gated(shop: Shop, *, deny: int, approve: int, anonymize: bool = False) -> None:
    text = POLICY + GATE.format(deny=deny, approve=approve)
    shop.write(text.replace("subject: id\n", f"subject: id\n    {WORDS}\n") if anonymize else text)


class TestFigures:
    def test_are_those_of_the_release(self, shop: Shop) -> None:
        """What is measured of all rows is what the published release has, though its keys are others."""
        shop.supply(people(300))
        found = look(shop)
        shop.release(night(1))
        told = risk_of(shop.workspace(), "people").reidentification

        assert found.rows_in == found.rows_out == 300
        assert found.figures["k"] == told.k
        assert found.figures["average_max"] == pytest.approx(told.average_per_record)
        assert found.figures["unique_max"] == pytest.approx(told.uniqueness)
        assert found.decision is None

    def test_after_anonymization(self, shop: Shop) -> None:
        """`anonymize` is done before risk is measured: without it k is less, with it what was asked."""
        shop.supply(people(300))
        before = look(shop)
        hierarchies(shop.path)
        shop.write(POLICY.replace("subject: id\n", f"subject: id\n    {WORDS}\n"))
        after = look(shop)

        assert before.figures["k"] < 5 <= after.figures["k"]
        assert after.figures["kept_rows"] == after.rows_out / 300 >= 0.9

    def test_of_some_rows(self, shop: Shop) -> None:
        """So many rows are taken if that is asked, from all over: people who come late are among them."""
        shop.supply(pa.concat_tables([people(200), people(200)]))
        found = look(shop, rows=220)

        assert found.rows_in == 220
        assert found.figures["unique_max"] < 1

    def test_where_holds_rows_back(self, shop: Shop) -> None:
        """Rows that `where` keeps back were read, and do not leave."""
        shop.supply(people(300))
        shop.write(POLICY.replace("subject: id\n", "subject: id\n    where: \"country == 'GB'\"\n"))
        found = look(shop)

        assert (found.rows_in, found.rows_out) == (300, 100)
        assert found.figures["kept_rows"] == pytest.approx(1 / 3)

    def test_of_nothing(self, shop: Shop) -> None:
        """A sample without rows has no risk, as an empty release has none."""
        shop.supply(people(50).slice(0, 0))
        found = look(shop)

        assert found.rows_out == 0
        assert found.figures["k"] is None

    def test_nothing_is_opened_or_written(self, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
        """There is no ledger and no key ring afterwards, and no folder changed."""
        shop.supply(people(50))
        loaded, source = load(shop.policy), shop.workspace().source("people")
        (shop.path / "home" / "keys.json").unlink(missing_ok=True)
        before = sorted(path for path in shop.path.rglob("*"))
        sampled(loaded, "people", source)

        assert sorted(path for path in shop.path.rglob("*")) == before


class TestGate:
    @pytest.mark.parametrize(
        ("deny", "approve", "outcome", "reasons"),
        [
            (1, 2, Outcome.APPROVAL, ("approve.k",)),
            (2, 3, Outcome.DENY, ("deny.k", "approve.k")),
        ],
    )
    def test_decides(
        self, shop: Shop, deny: int, approve: int, outcome: Outcome, reasons: tuple[str, ...]
    ) -> None:
        """The policy's own bounds decide: here k is 1."""
        shop.supply(people(100))
        gated(shop, deny=deny, approve=approve)
        found = look(shop)

        assert found.decision is not None
        assert (found.decision.outcome, found.decision.reasons) == (outcome, reasons)

    def test_allows_what_is_anonymous(self, shop: Shop) -> None:
        """Anonymized, the same people pass."""
        shop.supply(people(300))
        hierarchies(shop.path)
        gated(shop, deny=2, approve=5, anonymize=True)
        found = look(shop)

        assert found.decision is not None
        assert found.decision.outcome is Outcome.ALLOW

    def test_what_no_sample_tells_is_not_decided_on(self, shop: Shop) -> None:
        """A jump has no release before it, and a budget is the ledger's: they are told, and neither pass nor fail."""
        shop.supply(people(100))
        text = POLICY + (
            "  gate: {deny: {k: 1, budget_max: 0.9}, jump: {k: 1, budget_max: 0.1}}\n"
            "differential_privacy:\n"
            "  budgets: {all: {unit: people.id, epsilon: 3, delta: 1.0e-6}}\n"
            "  queries:\n"
            "    q: {dataset: people, budget: all, spend: {epsilon: 1},\n"
            "        keys: {country: {values: [GB], source: a public list}}, measures: {n: count}}\n"
        )
        shop.write(text)
        found = look(shop)

        assert found.decision is not None
        assert found.decision.outcome is Outcome.ALLOW
        assert found.not_looked_at == ("deny.budget_max", "jump.budget_max", "jump.k")


class TestMistakes:
    def test_a_sample_that_does_not_fit(self, shop: Shop) -> None:
        """A missing column is told by name."""
        shop.supply(people(10).drop_columns(["country"]))

        with pytest.raises(SchemaError, match="country is not in the source"):
            look(shop)

    def test_a_sample_that_cannot_be_anonymous(self, shop: Shop) -> None:
        """Three people are no class of five."""
        shop.supply(people(3))
        hierarchies(shop.path)
        shop.write(POLICY.replace("subject: id\n", f"subject: id\n    {WORDS}\n"))

        with pytest.raises(TransformError):
            look(shop)


class TestKeys:
    def test_are_stable_and_apart(self) -> None:
        """The same key for the same purpose, another for another one, and of the length that is asked."""
        keys = SampleKeys()

        assert keys.subkey("token", "a") == SampleKeys().subkey("token", "a", version=1)
        assert len({keys.subkey(*each) for each in (("token", "a"), ("token", "b"), ("fpe", "a"))}) == 3
        assert len(keys.subkey("token", "a", length=16)) == 16

    def test_are_nobodys(self) -> None:
        """No ring has such keys."""
        ring = KeyRing.generate()

        assert ring.subkey("token", "a") != SampleKeys().subkey("token", "a")


class TestTrial:
    """`veil trial` of a policy with `anonymize`."""

    @pytest.fixture
    def anonymous(self, shop: Shop) -> Shop:
        hierarchies(shop.path)
        shop.write(POLICY.replace("subject: id\n", f"subject: id\n    {WORDS}\n"))
        shop.supply(people(300))
        return shop

    def test_is_what_is_released(self, anonymous: Shop) -> None:
        """The rows that a trial leaves have the classes of the release that is made after it."""
        tried = trial(anonymous.workspace(), "people")
        published = release(anonymous, 1)
        source = anonymous.destination.source("people", published.release_id)
        released = pa.Table.from_batches(source.batches(["born", "country"], batch_rows=1000))

        assert tried.recoding is not None
        assert tried.release.num_rows == tried.source.num_rows == released.num_rows
        assert sorted(tried.release.select(["born", "country"]).to_pylist(), key=str) == sorted(
            released.to_pylist(), key=str
        )

    def test_attacks_are_on_classes(self, anonymous: Shop) -> None:
        """Who knows birth year and country finds one in five at best; before anonymization far more."""
        after = attacks(trial(anonymous.workspace(), "people"))["linkage, exact"]
        anonymous.write()
        before = attacks(trial(anonymous.workspace(), "people"))["linkage, exact"]

        assert after.rate <= 1 / 5 < before.rate

    def test_utility_counts_what_is_coarse(self, anonymous: Shop) -> None:
        """A column that is generalized further loses bits that it did not lose."""
        after = {each.column: each for each in utility_of(trial(anonymous.workspace(), "people")).columns}
        anonymous.write()
        before = {each.column: each for each in utility_of(trial(anonymous.workspace(), "people")).columns}

        assert (after["born"].lost_bits or 0) > (before["born"].lost_bits or 0)

    def test_the_last_recoding_is_taken_up(self, anonymous: Shop) -> None:
        """The stored recoding is used again while the question is the same; of some rows a new one is."""
        release(anonymous, 1)
        anonymous.supply(people(290))
        again = trial(anonymous.workspace(), "people")
        some = trial(anonymous.workspace(), "people", rows=100)

        assert again.recoding is not None
        assert some.recoding is not None
        assert again.recoding.rows == 300
        assert some.recoding.rows == 100

    @pytest.mark.parametrize("local", [True, False])
    def test_suppressed_cells_and_rows(self, anonymous: Shop, local: bool) -> None:
        """Rows that are left out are in neither table; a suppressed cell is in the release alone."""
        hierarchies(anonymous.path, top="any")
        words = WORDS.replace("csv}}", "csv}, local_suppression: true}") if local else WORDS
        anonymous.write(POLICY.replace("subject: id\n", f"subject: id\n    {words}\n"))
        old = people(6, first=1000)
        born = pa.array([date(year, 1, 1) for year in (1941, 1946)] * 3)
        old = old.set_column(old.schema.get_field_index("born"), "born", born)
        old = old.set_column(old.schema.get_field_index("country"), "country", pa.array(["GB"] * 6))
        anonymous.supply(pa.concat_tables([people(300), old]))
        tried = trial(anonymous.workspace(), "people")
        stars = sum(tried.release[name].to_pylist().count("*") for name in ("born", "country"))

        assert (stars > 0) is local
        assert (tried.source.num_rows < 306) is not local
        assert tried.rows_in == 306
        assert tried.source.num_rows == tried.release.num_rows
        assert tried.release.schema.field("born").type == pa.string()
        assert attacks(tried)["linkage, exact"].rate <= 1 / 5
