"""Private synthesizers: what is charged, what is drawn, by which law, and what the model tells."""

from __future__ import annotations

import json
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.dp.laws import ALARM, Law, chi_square, fit, rejects
from tests.unit.synthetic.private_support import (
    RHO,
    adult,
    adult_columns,
    batch,
    categories,
    drawn,
    error,
    fitted,
    quiet,
    synthesizer,
)

from airflow_veil.privacy.dp.conversion import rho_of
from airflow_veil.privacy.dp.loss import Loss
from airflow_veil.privacy.dp.mechanism import Mechanism, selection_loss, vector_loss
from airflow_veil.privacy.errors import BudgetError, InternalError, SchemaError, SyntheticError
from airflow_veil.privacy.policy.synthetic import Constraint
from airflow_veil.privacy.synthetic import mst
from airflow_veil.privacy.synthetic.draws import Candidate, Draws
from airflow_veil.privacy.synthetic.marginals import Marginals
from airflow_veil.privacy.synthetic.planned import Planned, Spending, loss_of
from airflow_veil.privacy.synthetic.private_model import PrivateModel

CANARY = "canary-7f3a"
THREE = {"a": categories(3), "b": categories(4), "c": categories(2)}
METHODS = ["mst", {"aim": {"rounds": 4}}]
pytest.importorskip("mbi", reason="NO MBI: the extra `synthetic` is not installed")


def tied(rows: int, seed: int = 0) -> pa.RecordBatch:
    """Rows in which b follows a and c follows b, mostly."""
    rng = np.random.default_rng(seed)
    a = rng.choice(3, rows, p=[0.6, 0.3, 0.1])
    b = np.where(rng.random(rows) < 0.9, a, 3)
    return batch(a=a, b=b, c=np.where(rng.random(rows) < 0.95, b % 2, 0))


def shares(rows: pa.Table, *names: str) -> Counter[Any]:
    """How often each combination occurs."""
    told = Counter(zip(*(rows.column(name).to_pylist() for name in names), strict=True))
    return Counter({key: count / rows.num_rows for key, count in told.items()})


def far(left: Counter[Any], right: Counter[Any]) -> float:
    """The L1 distance of shares."""
    return sum(abs(left[key] - right[key]) for key in left | right)


@pytest.fixture(scope="module")
def model() -> PrivateModel:
    """A model of a table with all words."""
    columns: dict[str, dict[str, Any]] = {
        "id": {"key": {}, "type": "int64"},
        "name": {"invented": {"provider": "first_name"}, "type": "string"},
        "a": {"categories": {"values": ["x", "y"], "other": "z"}, "type": "string"},
        "n": {"numbers": {"bounds": [0, 99], "bins": 5}, "type": "int32", "nulls": True},
        "f": {"numbers": {"bounds": [0, 1], "bins": 4, "decimals": 2}, "type": "float64"},
        "first": {"dates": {"bounds": ["2024-01-01", "2024-01-31"], "bins": 4}, "type": "date"},
        "last": {"dates": {"bounds": ["2024-01-01", "2024-02-28"], "bins": 4}, "type": "date"},
    }
    held = Constraint.model_validate({"inequality": {"low": "first", "high": "last"}})
    made = synthesizer(columns, "mst", rho=Decimal(50), constraints=(held,), rows=500)
    rng = np.random.default_rng(2)
    days = rng.integers(19_723, 19_753, 3000).astype(np.int32)
    rows = pa.record_batch({
        "a": pa.array(rng.choice(["x", "y", "q"], 3000)),
        "n": pa.array(rng.integers(0, 100, 3000).astype(np.int32), mask=rng.random(3000) < 0.2),
        "f": pa.array(rng.random(3000)),
        "first": pa.array(days).cast(pa.date32()),
        "last": pa.array(days + 20).cast(pa.date32()),
    })  # fmt: skip
    return fitted(made, rows)


class TestPlan:
    """What is charged, before any data is read."""

    @given(
        amount=st.decimals("0.000001", "50", places=12),
        columns=st.integers(1, 12),
        rows=st.integers(1, 20),
        noise=st.sampled_from(["gaussian", "laplace"]),
        method=st.sampled_from(["mst", "aim"]),
    )
    @settings(max_examples=60, deadline=None)
    def test_no_plan_overspends(
        self, amount: Decimal, columns: int, rows: int, noise: Any, method: str
    ) -> None:
        """Whatever the amount: all draws together, each rounded up, cost no more; and hardly less."""
        names = {f"c{number}": categories(2) for number in range(columns)}
        spent = {"epsilon" if noise == "laplace" else "rho": amount}
        made = synthesizer(names, method, rows_per_unit=rows, **spent)
        try:
            loss = made.loss
        except BudgetError:
            assert amount < Decimal("0.001")
            return
        limit = Loss.pure(amount) if noise == "laplace" else Loss.zcdp(amount)
        told = (loss.epsilon, limit.epsilon) if noise == "laplace" else (loss.rho, limit.rho)
        assert told[0] <= told[1]
        assert told[0] >= told[1] * 0.999 - 1000

    @pytest.mark.parametrize("method", METHODS, ids=str)
    @pytest.mark.parametrize("noise", ["laplace", "gaussian"])
    def test_the_charge_is_the_sum_of_opendp_s_maps(self, method: Any, noise: Any) -> None:
        """Of the very draws that are going to be made, each rounded up to a whole unit."""
        made = synthesizer(
            THREE, method, rows_per_unit=2, **{"epsilon" if noise == "laplace" else "rho": Decimal("0.7")}
        )
        loss = Loss()
        for one in made.plan():
            bound = selection_loss if one.mechanism is Mechanism.NOISY_MAX else vector_loss
            amount = bound(noise, one.scale, one.sensitivity)
            loss += Loss.pure(amount) if noise == "laplace" else Loss.zcdp(amount)
        assert made.loss == loss
        with pytest.raises(AssertionError):
            assert loss_of(made.plan()[:-1]) == loss

    def test_closed_forms(self) -> None:
        """Scales are those of the papers: k / sqrt(2 rho), and the exponential mechanism at rho = epsilon² / 8."""
        spending = Spending(noise="gaussian", amount=Decimal(1), rows_per_unit=3)
        marginal = spending.marginal("m", Decimal("0.02"))
        assert marginal.scale == pytest.approx(3 / np.sqrt(0.04), rel=1e-9)
        choice = spending.choice("c", Decimal("0.02"), weight=2)
        assert choice.scale == pytest.approx(2 * 16 * 2 * 3 / np.sqrt(8 * 0.02), rel=1e-9)

    def test_one_ulp_is_no_failure(self) -> None:
        """Rho 0.014973 over Adult's six columns, where OpenDP's own MST is short of one part in 1e16 each time."""
        six = {name: categories(4) for name in ("age", "marital", "relationship", "sex", "income", "hours")}
        made = synthesizer(six, "mst", rho=RHO)
        assert made.loss.rho <= int(RHO * 10**12)
        model = made.draw(made.count([batch(**{name: [0, 1, 2, 3] * 50 for name in six})]), progress=quiet)
        assert model.total > 0
        assert Decimal(rho_of(1.0, 1e-9)) >= RHO

    def test_the_plan_says_what_is_drawn(self) -> None:
        """MST: columns, choices, pairs; AIM: columns, then a choice and a marginal a round."""
        names = [one.name for one in synthesizer(THREE, "mst").plan()]
        assert names == [
            "column a",
            "column b",
            "column c",
            "choice 1",
            "choice 2",
            "marginal 1",
            "marginal 2",
        ]
        names = [one.name for one in synthesizer(THREE, {"aim": {"rounds": 2}}).plan()]
        assert names == [
            "column a",
            "column b",
            "column c",
            "choice 1",
            "marginal 1",
            "choice 2",
            "marginal 2",
        ]

    def test_the_ledger_s_entries_cost_what_is_charged(self) -> None:
        """Names, no values; noise by the word that an accountant counts it by."""
        made = synthesizer(THREE, "mst", rho=Decimal("0.5"))
        entries = made.measurements("people.who")
        assert sum((one.loss for one in entries), Loss()) == made.loss
        assert [one.noise for one in entries] == ["gaussian"] * 3 + ["noisy_max"] * 2 + ["gaussian"] * 2
        assert {one.unit for one in entries} == {"people.who"}

    def test_too_small_a_loss_is_refused(self) -> None:
        """Before anything is read, and before a division by nothing."""
        with pytest.raises(BudgetError, match="too small"):
            synthesizer(THREE, "mst", rho=Decimal("1e-12")).plan()

    def test_the_digest_tells_models_apart(self) -> None:
        """By columns, method, loss and rows of a unit."""
        made = [
            synthesizer(THREE, "mst", rho=1), synthesizer(THREE, "mst", rho=2), synthesizer(THREE, "mst", epsilon=1),
            synthesizer(THREE, "mst", rho=1, rows_per_unit=2), synthesizer(THREE, "aim", rho=1),
            synthesizer({**THREE, "c": categories(3)}, "mst", rho=1),
        ]  # fmt: skip
        assert len({one.digest for one in made}) == len(made)


class TestDraws:
    """The draws themselves."""

    @pytest.mark.parametrize("noise", ["laplace", "gaussian"])
    def test_noise_has_the_declared_law(self, noise: Any) -> None:
        """Of whole numbers, at the scale that is charged; a third more or less is rejected."""
        spending = Spending(noise=noise, amount=Decimal(1), rows_per_unit=2)
        planned = spending.marginal("marginal", Decimal("0.05"))
        exact = Marginals((200, 200), [(0, 1)])
        exact.add([np.zeros(50, np.int32)] * 2)
        draws = Draws(exact, (planned,))
        noisy = draws.marginal("marginal", (0, 1), [draws.codes(0), draws.codes(1)]).ravel()
        noise_ = noisy - exact.counts((0, 1)).ravel()
        law = Law(noise, planned.scale)
        assert fit(noise_, law) > ALARM
        assert rejects(lambda other: fit(noise_, other), law)
        assert fit(noise_, law.times(0.5)) < ALARM

    def test_choices_are_those_of_the_exponential_mechanism(self) -> None:
        """Frequencies over many draws, against exp(score epsilon / 2 sensitivity); half the epsilon is rejected."""
        planned = Spending(noise="gaussian", amount=Decimal(1)).choice("choice", Decimal("0.02"))
        exact = Marginals((2, 2, 2), [(0,), (1,), (2,)])
        exact.add([np.repeat([0, 1], [count, 20 - count]).astype(np.int32) for count in (10, 14, 17)])
        candidates = [Candidate((column,), np.full(2, 10.0)) for column in range(3)]
        distances = np.array([0.0, 8.0, 14.0])
        chosen = []
        for _ in range(1500):
            draws = Draws(exact, (planned,))
            chosen.append(draws.choose("choice", candidates, [draws.codes(column) for column in range(3)]))
        counts = np.bincount(chosen, minlength=3)
        weights = np.exp(distances * np.sqrt(8 * 0.02) / 2)
        assert chi_square(counts, weights / weights.sum() * 1500) > ALARM
        weights = np.exp(distances * np.sqrt(8 * 0.02) / 4)
        assert chi_square(counts, weights / weights.sum() * 1500) < ALARM

    def test_what_is_not_planned_is_not_drawn(self) -> None:
        """Not in another order, not twice, not with more weight."""
        spending = Spending(noise="gaussian", amount=Decimal(1))
        planned = (spending.marginal("one", Decimal("0.1")), spending.choice("two", Decimal("0.1")))
        exact = Marginals((2,), [(0,)])
        with pytest.raises(InternalError, match="not planned"):
            Draws(exact, planned).marginal("two", (0,), [np.arange(2)])
        draws = Draws(exact, planned)
        draws.marginal("one", (0,), [np.arange(2)])
        with pytest.raises(InternalError, match="not planned"):
            draws.marginal("one", (0,), [np.arange(2)])
        draws = Draws(exact, planned[1:])
        with pytest.raises(InternalError, match="more than was charged"):
            draws.choose("two", [Candidate((0,), np.ones(2), weight=2)], [np.arange(2)])

    def test_a_map_that_disagrees_draws_nothing(self) -> None:
        """A scale that is too small for its charge never gets to the data."""
        honest = Spending(noise="gaussian", amount=Decimal(1)).marginal("one", Decimal("0.1"))
        cheap = Planned(
            **{name: getattr(honest, name) for name in Planned.__slots__} | {"scale": honest.scale / 2}
        )
        with pytest.raises(InternalError, match="more than it is charged"):
            Draws(Marginals((2,), [(0,)]), (cheap,)).marginal("one", (0,), [np.arange(2)])


class TestFit:
    """Models."""

    @pytest.mark.parametrize("method", METHODS, ids=str)
    @pytest.mark.parametrize(
        "spent", [{"rho": Decimal(2000)}, {"epsilon": Decimal(500)}], ids=["gaussian", "laplace"]
    )
    def test_much_loss_is_near_exact(self, method: Any, spent: dict[str, Decimal]) -> None:
        """With hardly any noise rows are as in the data, pairs included."""
        real = tied(20_000)
        fake = drawn(fitted(synthesizer(THREE, method, **spent), real), rows=20_000)
        for names in (("a",), ("a", "b"), ("b", "c")):
            assert far(shares(pa.Table.from_batches([real]), *names), shares(fake, *names)) < 0.01
        other = drawn(fitted(synthesizer(THREE, method), batch(a=[0], b=[0], c=[0])), rows=20_000)
        assert far(shares(fake, "a", "b"), shares(other, "a", "b")) > 0.1

    @pytest.mark.parametrize("method", METHODS, ids=str)
    def test_little_loss_tells_nothing(self, method: Any) -> None:
        """All rows alike in the data, and the model is near uniform: nothing passes through but noise."""
        one = batch(a=[0] * 1000, b=[0] * 1000, c=[0] * 1000)

        def told(rho: str, times: int) -> float:
            made = synthesizer(THREE, method, rho=Decimal(rho))
            return float(np.mean([shares(drawn(fitted(made, one)), "a").get((0,), 0) for _ in range(times)]))

        fits = 30
        # One fit's share of a value strays by 0.2; the bound is six times what the mean of so many does.
        assert abs(told("1e-9", fits) - 1 / 3) < 6 * 0.2 / np.sqrt(fits)
        assert told("0.1", 1) > 0.9

    @pytest.mark.parametrize("method", METHODS, ids=str)
    def test_noise_is_new_and_sampling_is_seeded(self, method: Any) -> None:
        """Two fits differ, whatever the seed; two drawings of one model with one seed do not."""
        made = synthesizer(THREE, method, rho=Decimal("0.1"), drawing=lambda planned: None)
        tables = {"people": pa.Table.from_batches([tied(2000)])}
        left, right = (made.fit(tables, seed=1, progress=quiet) for _ in range(2))
        assert left.total != right.total or not all(map(np.array_equal, left.tree.tables, right.tree.tables))
        assert drawn(left, seed=3).equals(drawn(left, seed=3))
        assert not drawn(left, seed=3).equals(drawn(left, seed=4))

    def test_the_ledger_is_told_before_anything_is_drawn(self) -> None:
        """Of all draws, with the plan; where it refuses, nothing is drawn. Without it nothing is read."""
        told: list[tuple[Planned, ...]] = []

        def refuse(planned: tuple[Planned, ...]) -> None:
            told.append(planned)
            raise RuntimeError("the ledger is away")

        made = synthesizer(THREE, "mst", drawing=refuse)
        with pytest.raises(RuntimeError, match="away"):
            made.fit({"people": pa.Table.from_batches([tied(100)])}, seed=0, progress=quiet)
        assert told == [made.plan()]
        with pytest.raises(SyntheticError, match="ledger"):
            synthesizer(THREE, "mst").fit({}, seed=0, progress=quiet)

    def test_the_tree_is_found(self) -> None:
        """Of three columns in a chain, the pairs that are tied."""
        made = synthesizer(THREE, "mst", rho=Decimal(10))
        names = tuple(domain.name for domain in made.domains)
        draws = Draws(made.count([tied(20_000)]), made.plan())
        model, _ = mst.fit(names, made.plan(), draws, quiet)
        assert {one.clique for one in model.measured if len(one.clique) == 2} == {(0, 1), (1, 2)}

    def test_a_single_column(self) -> None:
        """There is no pair to choose; all of the loss goes to the column."""
        for method in METHODS:
            made = synthesizer({"a": categories(3)}, method, rho=Decimal(100))
            assert [one.name for one in made.plan()] == ["column a"]
            fake = drawn(fitted(made, batch(a=[0] * 600 + [2] * 400)), rows=1000)
            assert shares(fake, "a")[0,] == pytest.approx(0.6, abs=0.01)

    def test_rare_values_are_counted_together_and_come_back(self) -> None:
        """What noise drowns is one group in pairs; what is frequent is not changed by it."""
        rng = np.random.default_rng(1)
        a = np.concatenate([np.zeros(5000, int), np.full(4000, 1), rng.integers(2, 50, 400)])
        made = synthesizer({"a": categories(50), "b": categories(2)}, "mst", rho=Decimal("0.005"))
        model = fitted(made, batch(a=a, b=a % 2))
        assert model.codes[0].size < 10
        told = shares(drawn(model, rows=20_000), "a")
        assert told[0,] == pytest.approx(5000 / 9400, abs=0.05)
        assert sum(told[value,] > 0 for value in range(2, 50)) > 10


class TestUnits:
    """Units with several rows."""

    def test_a_unit_with_many_rows_counts_as_few(self) -> None:
        """A thousand rows of one unit are two of them; without the unit they are all there."""
        made = synthesizer(THREE, "mst", rho=Decimal(2000), rows_per_unit=2)
        rows = batch(
            who=[1] * 1000 + list(range(2, 502)), a=[2] * 1000 + [0] * 500, b=[0] * 1500, c=[0] * 1500
        )
        assert made.count([rows], unit="who").counts((0,)).tolist() == [500, 0, 2]
        assert made.count([rows]).counts((0,)).tolist() == [500, 0, 1000]
        model = fitted(made, rows, unit="who")
        assert shares(drawn(model, rows=2000), "a")[2,] < 0.02

    def test_units_go_over_batches(self) -> None:
        """A unit is the same in each."""
        made = synthesizer(THREE, "mst", rows_per_unit=2)
        one = batch(who=[1, 1], a=[0, 0], b=[0, 0], c=[0, 0])
        assert made.count([one, one, one], unit="who").counts((0,)).tolist() == [2, 0, 0]

    def test_more_rows_of_a_unit_need_more_noise(self) -> None:
        """In proportion."""
        one, ten = (synthesizer(THREE, "mst", rows_per_unit=rows).plan() for rows in (1, 10))
        assert [b.scale / a.scale for a, b in zip(one, ten, strict=True)] == pytest.approx([10.0] * len(one))


class TestModel:
    """Rows, conditions and bytes."""

    def test_rows_are_of_the_schema(self, model: PrivateModel) -> None:
        """As many as the policy says; keys count up, nulls are there, values are of the domain, constraints hold."""
        rows = drawn(model)
        assert rows.schema.equals(model.specification.only.schema)
        assert rows.num_rows == 500
        assert rows.column("id").to_pylist() == list(range(1, 501))
        assert set(rows.column("a").to_pylist()) == {"x", "y", "z"}
        assert 0 < rows.column("n").null_count < 250
        assert all(value == round(value, 2) for value in rows.column("f").to_pylist())
        first, last = (rows.column(name).to_numpy() for name in ("first", "last"))
        assert (first <= last).all()

    def test_what_is_given_is_in_every_row(self, model: PrivateModel) -> None:
        """A value, a number within a bin, and the rest by the model."""
        rows = drawn(model, given={"a": "z", "n": 7})
        assert set(rows.column("a").to_pylist()) == {"z"}
        assert set(rows.column("n").to_pylist()) == {7}
        assert len(set(rows.column("f").to_pylist())) > 50

    def test_what_cannot_be_given_is_refused(self, model: PrivateModel) -> None:
        """A value that is not declared, one beyond the bounds, a column that is not learned: without the value."""
        for given_ in ({"a": CANARY}, {"n": 100}, {"n": CANARY}, {"name": CANARY}, {"first": CANARY}):
            with pytest.raises(SyntheticError) as caught:
                drawn(model, given=given_)
            assert CANARY not in str(caught.value)
            assert "100" not in str(caught.value)

    def test_bytes_come_back(self, model: PrivateModel) -> None:
        """The same rows; no pickle in it, and nothing but arrays and a line."""
        made = synthesizer(THREE, "mst", rho=Decimal(50))
        content = model.to_bytes()
        back = PrivateModel.from_bytes(model.specification, model.domains, content)
        assert drawn(back, seed=9).equals(drawn(model, seed=9))
        with pytest.raises(SyntheticError):
            made.from_bytes(content)
        for broken in (content[:-50], content.replace(b"PK", b"XX", 1), b"", content[: content.index(b"PK")]):
            with pytest.raises(SyntheticError, match="no model"):
                PrivateModel.from_bytes(model.specification, model.domains, broken)

    def test_a_pickle_is_not_read(self, model: PrivateModel) -> None:
        """An array of objects is refused rather than run."""
        import io

        head, _, _ = model.to_bytes().partition(b"PK")
        stored = io.BytesIO()
        np.savez(stored, table0=np.array([object()], dtype=object), group0=np.zeros(1), share0=np.zeros(1))
        with pytest.raises(SyntheticError, match="no model"):
            PrivateModel.from_bytes(model.specification, model.domains, head + stored.getvalue())


class TestFailures:
    """What is wrong is told without a value."""

    def test_another_type_and_a_missing_column(self) -> None:
        """By name and type."""
        made = synthesizer(THREE, "mst")
        with pytest.raises(SchemaError, match="type string"):
            made.count([pa.record_batch({"a": [CANARY], "b": [CANARY], "c": [CANARY]})])
        with pytest.raises(SchemaError, match="no column c") as caught:
            made.count([pa.record_batch({"a": [CANARY], "b": [CANARY]})])
        assert CANARY not in str(caught.value)

    def test_a_method_without_a_guarantee_is_refused(self) -> None:
        """It is none of these."""
        with pytest.raises(SyntheticError, match="not differentially private"):
            synthesizer(THREE, "gaussian_copula")


class TestRealTables:
    """Adult and the census, against figures of others."""

    def test_mst_of_adult(self, shared_data: Path) -> None:
        """13 columns at epsilon 1, delta 1e-9: sampled threes are off by 0.17 or so; independent columns by 0.335."""
        rows = adult(shared_data)
        made = synthesizer(adult_columns(rows), "mst", rho=RHO)
        fake = drawn(fitted(made, *rows.to_batches()), rows=rows.num_rows)
        # Two trees are nearly equal by the score they are chosen by: 0.168 to 0.186 were seen.
        assert error(made, rows, fake, 3) < 0.2
        rng = np.random.default_rng(0)
        names = made.specification.only.schema.names
        loose = pa.table(
            {name: rows.column(name).take(pa.array(rng.permutation(rows.num_rows))) for name in names}
        )
        assert error(made, rows, loose, 3) > 0.3

    def test_aim_is_nearer_than_mst(self, shared_data: Path) -> None:
        """Six columns in ten rounds: 0.054 is what OpenDP's own reaches on half as many rows more."""
        rows = adult(shared_data)
        columns = adult_columns(rows, ["age", "marital", "relationship", "sex", "income", "hours"])
        errors = {}
        for name, method in (("mst", "mst"), ("aim", {"aim": {"rounds": 10}})):
            made = synthesizer(columns, method, rho=RHO)
            errors[name] = error(made, rows, drawn(fitted(made, *rows.to_batches()), rows=rows.num_rows), 3)
        assert errors["aim"] < 0.085 < 0.14 < errors["mst"]

    @pytest.mark.slow
    def test_mst_of_the_census(self, shared_data: Path) -> None:
        """All 24 columns of the Massachusetts excerpt, missing values among them, come to an end."""
        folder = shared_data / "nist_acs"
        import pyarrow.csv

        rows = pyarrow.csv.read_csv(
            folder / "ma2018.csv", convert_options=pyarrow.csv.ConvertOptions(strings_can_be_null=False)
        )
        named = json.loads((folder / "data_dictionary.json").read_text())
        assert set(rows.schema.names) <= {*named, *rows.schema.names}
        text = {name: rows.column(name).cast(pa.string()) for name in rows.schema.names}
        columns: dict[str, dict[str, Any]] = {}
        for name, column in text.items():
            values = Counter(column.to_pylist()).most_common(40)
            columns[name] = {
                "categories": {"values": [one for one, _ in values], "other": "other"},
                "type": "string",
            }
        made = synthesizer(columns, "mst", rho=Decimal("0.1"))
        real = pa.table(text)
        fake = drawn(fitted(made, *real.to_batches()), rows=real.num_rows)
        assert fake.num_columns == rows.num_columns
        assert error(made, real, fake, 1) < 0.1
