"""A synthetic release from model to publication: fitted once, evaluated before, published whole."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from tests.unit.release.conftest import ACTOR, Shop, night
from tests.unit.release.synthesis import (
    POLICY,
    models,
    orders,
    people,
    published,
    run,
    sealed,
    silent,
    stock,
)

from airflow_veil.privacy.errors import (
    ReleaseError,
    StorageError,
    SyntheticError,
    TamperedError,
)
from airflow_veil.privacy.evaluation.evaluate import evaluate as measure
from airflow_veil.privacy.evaluation.shown import NULL, OTHER
from airflow_veil.privacy.evaluation.tables import Trio
from airflow_veil.privacy.ledger.models import ModelState
from airflow_veil.privacy.ledger.record import ReleaseState
from airflow_veil.privacy.policy.synthetic import Evaluate, SyntheticBounds
from airflow_veil.privacy.release import card, overview, service, synthesize
from airflow_veil.privacy.release.synthetic_evaluate import bounds_of, declared_of
from airflow_veil.privacy.release.synthetic_names import names_of
from airflow_veil.privacy.release.synthetic_reference import SyntheticReference
from airflow_veil.privacy.synthetic import libraries
from airflow_veil.privacy.synthetic.specification import compiled


def useful(**bounds: float) -> str:
    """A policy with bounds on what models learn from made-up rows, and a hold-out whose groups are large enough."""
    said = "".join(f"          {word}: {bound}\n" for word, bound in bounds.items())
    target = "      evaluate:\n        target: tier\n        protected: country\n"
    wide = POLICY.replace("holdout: 0.3", "holdout: 0.6")
    return wide.replace("      evaluate:\n", target).replace("        bounds:\n", f"        bounds:\n{said}")


DENIED = POLICY.replace("singling_out_max: 0.9", "singling_out_max: 0.0")


@pytest.fixture
def made(shop: Shop) -> Shop:
    """A shop that makes up rows."""
    return stock(shop)


def released(shop: Shop, name: str) -> dict[str, object]:
    """The manifest of the current release."""
    return json.loads((shop.releases / name / "current" / "_manifest.json").read_text())


class TestOutOfNothing:
    def test_publishes_tables_that_fit_together(self, made: Shop) -> None:
        """Each table is a release of its own name, and every reference leads to a row."""
        done = run(made)
        tables = {name: published(made, f"nobody_{name}") for name in ("people", "orders")}

        assert done.reference.published
        assert tables["people"].num_rows == 60
        there = pc.is_in(tables["orders"]["person"], value_set=tables["people"]["id"])
        assert pc.all(there).as_py()

    def test_reads_no_row(self, made: Shop) -> None:
        """The sources need not be there."""
        made.people.unlink()
        (made.path / "orders.parquet").unlink()

        assert run(made).reference.rows["people"] == 60
        assert models(made)[0].learned_from == {}

    def test_the_manifest_says_what_it_is(self, made: Shop) -> None:
        """Method, guarantee, specification, model, and that no row was read."""
        run(made)
        told = released(made, "nobody_people")
        (model,) = models(made)

        synthetic = told["synthetic"]
        assert synthetic["method"] == "faker"
        assert synthetic["model"] == {"id": model.model_id, "digest": model.digest}
        assert synthetic["specification"] == model.specification
        assert "No row was read" in synthetic["guarantee"]
        assert (told["source"], told["expires_at"] is None) == (None, False)


class TestLearned:
    def test_is_after_what_was_learned(self, made: Shop) -> None:
        """Older people earn more, as in the source, and no row is one of it."""
        run(made, "someone")
        rows = published(made, "someone").to_pandas()

        assert len(rows) == 300
        assert rows["age"].corr(rows["income"]) > 0.7
        assert not set(rows["name"]) & set(people()["name"].to_pylist())
        assert set(rows["country"]) <= {"GB", "FR", "DE"}

    @pytest.mark.parametrize(("gone", "said"), [("sdv", "SDV is"), ("sdmetrics", "SDMetrics is")])
    def test_a_library_that_is_missing(
        self, made: Shop, monkeypatch: pytest.MonkeyPatch, gone: str, said: str
    ) -> None:
        """It is named before a row is read."""
        monkeypatch.setattr(libraries, "find_spec", lambda name: None if name == gone else name)
        (made.path / "people.parquet").unlink()

        with pytest.raises(SyntheticError, match=f"{said} not installed"):
            run(made, "someone")

    def test_a_second_run_takes_the_model_that_is_there(self, made: Shop) -> None:
        """The same interval is the same model and the same release, to the byte."""
        first = run(made, "someone").reference
        before = {path.name: path.read_bytes() for path in (made.releases / "someone" / "current").iterdir()}
        again = run(made, "someone")

        assert again.reference.releases == first.releases
        assert "was published before" in again.summary
        assert len(models(made)) == 1
        after = {path.name: path.read_bytes() for path in (made.releases / "someone" / "current").iterdir()}
        assert after == before

    def test_another_night_or_other_rows_are_another_model(self, made: Shop) -> None:
        """One for each version of the data and interval."""
        run(made, "someone")
        run(made, "someone", 1)
        made.supply(people(seed=3))
        run(made, "someone", 1)

        assert len(models(made)) == 3
        assert len({record.data_version for record in models(made)}) == 2

    def test_another_policy_is_another_model(self, made: Shop) -> None:
        """What a model depends on is its specification: a bound, not a description."""
        run(made, "someone")
        made.write(POLICY.replace("method: gaussian_copula", "description: x\n      method: gaussian_copula"))
        run(made, "someone")
        assert len(models(made)) == 1
        made.write(POLICY.replace("bounds: [0, 200000]", "bounds: [0, 100000]"))
        run(made, "someone")
        assert len(models(made)) == 2

    def test_values_that_are_given(self, made: Shop) -> None:
        """Conditional sampling is a release of its own, beside the whole one."""
        whole = run(made, "someone").reference
        part = run(made, "someone", rows=80, given={"country": "FR"}, suffix="french").reference

        rows = published(made, "someone_french")
        assert set(rows["country"].to_pylist()) == {"FR"}
        assert rows.num_rows == 80
        assert part.model_id == whole.model_id
        assert made.ledger.current("shop", "someone").release_id == whole.releases["people"]
        assert released(made, "someone_french")["synthetic"]["given"] == ["country"]

    def test_values_and_a_label_go_together(self, made: Shop) -> None:
        """Neither without the other, told before anything is fitted."""
        for how in ({"given": {"country": "FR"}}, {"suffix": "french"}):
            with pytest.raises(ReleaseError, match="go together"):
                run(made, "someone", **how)
        assert models(made) == ()


class TestEvaluation:
    def test_what_is_denied_is_not_published(self, made: Shop) -> None:
        """A bound that does not hold stops it; the figures are evidence, and nothing stays staged."""
        made.write(DENIED)
        with pytest.raises(SyntheticError, match="people: singling_out"):
            run(made, "someone")

        assert not (made.releases / "someone" / "current").exists()
        assert made.staged() == []
        (entry,) = [each for each in made.ledger.evidence() if each.kind == "synthetic.denied"]
        assert entry.content["reasons"][0]["code"] == "singling_out"

    def test_bounds_on_use_fairness_and_detection(self, made: Shop) -> None:
        """Rows go out that keep to them, and the card names the bounds; rows that do not stay, each for its reason."""
        made.write(useful(usefulness_min=0.3, fairness_gap_max=0.6, detection_max=1))
        run(made, "someone")
        told = card.markdown(card.card(released(made, "someone")))
        before = made.ledger.current("shop", "someone")
        made.write(useful(usefulness_min=1, fairness_gap_max=0, detection_max=0.5))
        with pytest.raises(
            SyntheticError, match="detection; people: usefulness of tier; people: fairness_gap of"
        ):
            run(made, "someone", 1)

        assert "model of made-up rows treats groups differently | at most 0.6" in told
        assert "that one of made-up rows tells | at least 0.3" in told
        assert before is not None
        assert made.ledger.current("shop", "someone") == before
        entry = [each for each in made.ledger.evidence() if each.kind == "synthetic.denied"][-1]
        assert {each["code"] for each in entry.content["reasons"]} == {
            "usefulness",
            "fairness_gap",
            "detection",
        }

    @pytest.mark.parametrize("alone", [True, False])
    def test_a_table_without_the_target(self, alone: bool) -> None:
        """Of several tables only those that have it have a bound on models of it; a table alone is denied for it."""
        bounds = SyntheticBounds(usefulness_min=0.5, fairness_gap_max=0.5, detection_max=0.9)
        rules = Evaluate(target="tier", protected="country", bounds=bounds)
        rng = np.random.default_rng(1)
        rows = [
            pa.table({"amount": rng.integers(0, 90, 60), "day": rng.integers(0, 9, 60)}) for _ in range(3)
        ]

        applies = bounds_of(rules, measure(Trio(*rows)), alone=alone)

        assert (applies.usefulness_min, applies.fairness_gap_max) == ((0.5, 0.5) if alone else (None, None))
        assert (applies.detection_max, applies.inference_max, applies.linkability_max) == (0.9, None, 0.1)

    def test_publication_without_it(self, made: Shop) -> None:
        """A DAG that forgets the task publishes nothing."""
        workspace = made.workspace()
        fitted = synthesize.fit(workspace, "someone", night(0), actor=ACTOR, progress=silent)
        drawn = synthesize.sample(workspace, fitted.reference, night(0), actor=ACTOR, progress=silent)

        with pytest.raises(ReleaseError, match="did not let exactly these rows"):
            synthesize.publish(workspace, drawn.reference, actor=ACTOR)
        assert made.ledger.current("shop", "someone") is None

    def test_it_holds_for_the_rows_that_were_looked_at(self, made: Shop) -> None:
        """Rows that were drawn anew after it are looked at anew."""
        workspace = made.workspace()
        fitted = synthesize.fit(workspace, "someone", night(0), actor=ACTOR, progress=silent)
        drawn = synthesize.sample(workspace, fitted.reference, night(0), actor=ACTOR, progress=silent)
        judged = synthesize.evaluate(workspace, drawn.reference, actor=ACTOR, progress=silent)
        synthesize.sample(workspace, fitted.reference, night(0), actor=ACTOR, progress=silent)

        with pytest.raises(ReleaseError, match="did not let exactly these rows"):
            synthesize.publish(workspace, judged.reference, actor=ACTOR)

    def test_scores_stay_inside(self, made: Shop) -> None:
        """They are evidence, and neither in the manifest, on the card, nor in what is handed on."""
        done = run(made, "someone")
        told = released(made, "someone")
        (entry,) = [each for each in made.ledger.evidence() if each.kind == "synthetic.evaluated"]

        assert entry.content["figures"]["fidelity"]
        assert told["evaluation"]["outcome"] == "allow"
        assert not {"figures", "charts"} & told["evaluation"].keys()
        assert "<svg" not in card.html(card.card(told))
        assert "not shown" in card.markdown(card.card(told))
        assert set(done.reference.as_xcom()) == {
            *("policy", "dataset", "interval", "specification", "model_id", "suffix"),
            *("step", "published", "releases", "rows"),
        }

    def test_scores_are_shown_where_the_policy_says_so(self, made: Shop) -> None:
        """And only there."""
        made.write(POLICY.replace("      evaluate:\n", "      show_scores: true\n      evaluate:\n"))
        run(made, "someone")
        told = released(made, "someone")

        assert told["evaluation"]["figures"]
        assert "shown since the policy says so" in card.markdown(card.card(told))

    def test_so_are_charts(self, made: Shop) -> None:
        """On the card as a page: one of each column, of pairs and of attacks; their bins are the policy's."""
        made.write(POLICY.replace("      evaluate:\n", "      show_scores: true\n      evaluate:\n"))
        run(made, "someone")
        told = released(made, "someone")
        page = card.html(card.card(told))
        specification = compiled(made.workspace().loaded.policy, "someone")
        declared = declared_of(specification.tables["people"])

        shown = told["evaluation"]["charts"]["distributions"]
        assert [each["column"] for each in shown] == list(declared)
        assert page.count("<svg") == len(shown) + 2
        assert re.findall(r"<image|<script|href=.http", page) == []
        for each in shown:
            known = declared[each["column"]]
            if known.values is None:
                # Bins of whole numbers hold as many each, so that the last may go beyond the bound.
                assert each["bins"][0] == known.bounds[0]
                assert known.bounds[1] <= each["bins"][-1] < known.bounds[1] + 5
            else:
                assert set(each["bins"]) <= {*known.values, OTHER, NULL}

    def test_no_value_is_on_a_chart(self, made: Shop) -> None:
        """What many people in the source have is neither in the manifest, in the evidence nor on the card."""
        planted = people()
        incomes = planted["income"].to_pylist()
        place = planted.column_names.index("income")
        made.supply(planted.set_column(place, "income", pa.array([*[123_456.78] * 200, *incomes[200:]])))
        made.write(POLICY.replace("      evaluate:\n", "      show_scores: true\n      evaluate:\n"))
        run(made, "someone")
        told = released(made, "someone")

        shown = {each["column"]: each for each in told["evaluation"]["charts"]["distributions"]}
        record = made.ledger.current("shop", "someone")
        evidence = [json.dumps(each.content) for each in made.ledger.evidence()]
        assert max(shown["income"]["holdout"]) > 0.3
        for text in (json.dumps(told), json.dumps(record.manifest), card.html(card.card(told)), *evidence):
            assert re.findall(r"Ca\d+nary|123,?456\.", text) == []

    def test_pages_over_time_have_no_score(self, made: Shop) -> None:
        """Also where the card shows them: figures of risk and utility are not those of made-up rows."""
        made.write(POLICY.replace("      evaluate:\n", "      show_scores: true\n      evaluate:\n"))
        run(made, "someone")

        found = overview.history(made.ledger, "shop", "someone", datetime.now(UTC))

        assert {line.word for line in found.lines} <= {"budget_max"}
        assert {word for word, value in found.releases[0].figures.items() if value is not None} <= {
            "budget_max"
        }

    def test_a_source_that_changed_is_no_hold_out(self, made: Shop) -> None:
        """The rows that the model learned from are not there to be compared with."""
        workspace = made.workspace()
        fitted = synthesize.fit(workspace, "someone", night(0), actor=ACTOR, progress=silent)
        drawn = synthesize.sample(workspace, fitted.reference, night(0), actor=ACTOR, progress=silent)
        made.supply(people(seed=5))

        with pytest.raises(StorageError, match="changed since the model was fitted"):
            synthesize.evaluate(made.workspace(), drawn.reference, actor=ACTOR, progress=silent)


class TestGate:
    def test_an_evaluation_stands_in_for_expectations(self, made: Shop) -> None:
        """Bounds on risk do not apply to made-up rows; what was not evaluated is denied."""
        policy = POLICY.replace(
            "  expires_after: P1M\n", "  expires_after: P1M\n  gate: {deny: {kept_rows: 0.9}}\n"
        )
        made.write(policy)
        workspace = made.workspace()
        fitted = synthesize.fit(workspace, "someone", night(0), actor=ACTOR, progress=silent)
        drawn = synthesize.sample(workspace, fitted.reference, night(0), actor=ACTOR, progress=silent)
        (table,) = drawn.reference.of_tables()
        assert service.gate(workspace, table, actor=ACTOR).decision.reasons == ("expectations.missing",)

        assert run(made, "someone").reference.published
        assert run(made, "nobody").reference.published
        assert released(made, "nobody_orders")["gate"]["outcome"] == "allow"


class TestModels:
    def test_is_sealed(self, made: Shop) -> None:
        """One file of mode 0600, in which nothing of the rows or of a pickle stands."""
        run(made, "someone")
        (file,) = sealed(made)

        assert file.stat().st_mode & 0o777 == 0o600
        assert file.parent.stat().st_mode & 0o777 == 0o700
        raw = file.read_bytes()
        assert not any(word in raw for word in (b"sdv", b"income", b"gaussian"))

    def test_a_changed_file_is_never_loaded(self, made: Shop) -> None:
        """The draw fails, and says why."""
        workspace = made.workspace()
        fitted = synthesize.fit(workspace, "someone", night(0), actor=ACTOR, progress=silent)
        (file,) = sealed(made)
        file.write_bytes(file.read_bytes()[:-1] + b"x")

        with pytest.raises(TamperedError):
            synthesize.sample(workspace, fitted.reference, night(0), actor=ACTOR, progress=silent)

    def test_one_that_has_ended_draws_and_publishes_nothing(self, made: Shop) -> None:
        """Also between two tasks."""
        workspace = made.workspace()
        fitted = synthesize.fit(workspace, "nobody", night(0), actor=ACTOR, progress=silent)
        drawn = synthesize.sample(workspace, fitted.reference, night(0), actor=ACTOR, progress=silent)
        made.ledger.models.end(fitted.reference.model_id, ModelState.STALE, "erasure 1", actor=ACTOR)

        with pytest.raises(ReleaseError, match="is stale"):
            synthesize.publish(workspace, drawn.reference, actor=ACTOR)
        with pytest.raises(SyntheticError, match="is stale"):
            synthesize.sample(workspace, fitted.reference, night(0), actor=ACTOR, progress=silent)
        assert not (made.releases / "nobody_people" / "current").exists()

    def test_a_fit_that_fails_leaves_nothing(self, made: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
        """The model is given up in the ledger, and no file is there."""
        from airflow_veil.privacy.release import synthetic_fit

        def broken(*_: object, **__: object) -> None:
            raise MemoryError

        monkeypatch.setattr(synthetic_fit.ModelStore, "put", broken)
        with pytest.raises(MemoryError):
            run(made, "someone")

        (record,) = models(made)
        assert record.state is ModelState.DESTROYED
        assert record.reason == "it was not fitted: MemoryError"
        assert sealed(made) == []

    def test_a_source_that_changes_while_it_is_read(
        self, made: Shop, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Nothing is learned: the model would be noted with another version than it has."""
        from airflow_veil.privacy.release import synthetic_fit

        right = synthetic_fit.training_of

        def late(*how: object) -> object:
            found = right(*how)
            made.supply(people(seed=9))
            return found

        monkeypatch.setattr(synthetic_fit, "training_of", late)
        with pytest.raises(StorageError, match="changed while it was read"):
            run(made, "someone")
        assert models(made)[0].state is ModelState.DESTROYED

    def test_lives_no_longer_than_the_rows_it_learned_from(self, made: Shop) -> None:
        """The shortest of its own time and the retention of its data sets."""
        rule = "    retention: {after: P7D, from: since}\n"
        column = "      since: {class: none, type: timestamp, treat: drop}\n"
        policy = POLICY.replace("people.parquet\n", f"people.parquet\n{rule}")
        made.write(policy.replace("      name: {class", f"{column}      name: {{class"))
        run(made, "someone")
        (record,) = models(made)
        assert (record.expires_at - record.begun_at).days == 7


class TestNames:
    def test_a_policy_that_changed(self, made: Shop) -> None:
        """All tasks of a run work by one specification."""
        fitted = synthesize.fit(made.workspace(), "nobody", night(0), actor=ACTOR, progress=silent)
        made.write(POLICY.replace("bounds: [18, 90]", "bounds: [18, 80]"))
        with pytest.raises(ReleaseError, match="policy changed"):
            synthesize.sample(made.workspace(), fitted.reference, night(0), actor=ACTOR, progress=silent)

    def test_what_is_something_elses_name(self, made: Shop) -> None:
        """A suffix must not make the name of another release."""
        loaded = made.workspace().loaded
        assert names_of(loaded, "nobody") == {"people": "nobody_people", "orders": "nobody_orders"}
        with pytest.raises(ReleaseError, match="no name"):
            names_of(loaded, "someone", "../x")

    def test_what_is_handed_on_is_checked(self) -> None:
        """A task takes a reference to its own synthesis, and nothing else."""
        with pytest.raises(ReleaseError, match="handed on no synthetic release"):
            SyntheticReference.from_xcom({"rows": 1}, dataset="nobody")


class TestScrub:
    def test_removes_what_was_not_published(self, made: Shop) -> None:
        """Of all tables of the run; the ledger's rows stay staged, and a second run goes on."""
        workspace = made.workspace()
        fitted = synthesize.fit(workspace, "nobody", night(0), actor=ACTOR, progress=silent)
        synthesize.sample(workspace, fitted.reference, night(0), actor=ACTOR, progress=silent)
        assert made.staged()

        scrubbed = synthesize.scrub(workspace, "nobody", night(0), actor=ACTOR)

        assert scrubbed.own == 2
        assert made.staged() == []
        assert run(made).reference.published

    def test_the_ledger_has_the_states(self, made: Shop) -> None:
        """A newer night supersedes the one before, table by table."""
        run(made)
        run(made, number=1)
        states = sorted((each.dataset, each.state) for each in made.ledger.list("shop"))

        assert states == [
            ("nobody_orders", ReleaseState.CURRENT),
            ("nobody_orders", ReleaseState.SUPERSEDED),
            ("nobody_people", ReleaseState.CURRENT),
            ("nobody_people", ReleaseState.SUPERSEDED),
        ]


class TestCanary:
    def test_no_value_of_the_source_is_anywhere_but_in_it(self, made: Shop) -> None:
        """Neither a name nor an income to the cent stands in the ledger, the releases or the sealed model."""
        run(made, "someone")
        run(made, "nobody")
        wanted = [name.encode() for name in people()["name"].to_pylist()[:50]]
        wanted += [repr(value).encode() for value in people()["income"].to_pylist()[:50]]
        elsewhere = [
            path
            for path in made.path.rglob("*")
            if path.is_file() and path.name not in ("people.parquet", "orders.parquet")
        ]
        assert len(elsewhere) > 5
        for path in elsewhere:
            raw = path.read_bytes()
            assert not [word for word in wanted if word in raw], path


def test_orders_fit_people() -> None:
    """The sources of these tests fit together themselves."""
    assert pc.all(pc.is_in(orders()["person"], value_set=people()["id"])).as_py()
    assert Path(__file__).exists()
