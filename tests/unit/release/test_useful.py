"""What a staged release is still good for: measured against its source, bound to its files, and decided on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.unit.release.conftest import ACTOR, POLICY, Shop, night, people

from airflow_veil.privacy.gate.decide import Outcome
from airflow_veil.privacy.gate.figures import figures_of
from airflow_veil.privacy.policy.check import check
from airflow_veil.privacy.policy.load import load
from airflow_veil.privacy.release import service
from airflow_veil.privacy.release.card import card, markdown
from airflow_veil.privacy.release.reference import Reference

COLUMNS = """\
      segment: {class: sensitive, treat: keep}
      spent: {class: sensitive, type: float64, treat: SPENT}
"""
UTILITY = "  utility: {targets: {people: segment}}\n"
GATE = "{deny: {distance_max: 0.1, association_max: 0.1, loss_max: 0.999, score_drop_max: 0.1}}"


def buyers(rows: int = 2000) -> pa.Table:
    """People whose segment tells what they spent."""
    random = np.random.default_rng(0)
    segment = random.integers(0, 3, rows)
    table = people(rows).append_column("segment", pa.array([("low", "mid", "Canary")[i] for i in segment]))
    return table.append_column("spent", pa.array(segment * 100 + random.normal(0, 10, rows)))


def staged(shop: Shop, *, spent: str = "keep", gate: str = GATE, utility: str = UTILITY) -> Reference:
    columns = COLUMNS.replace("SPENT", spent)
    head, tail = POLICY.split("release:\n")
    shop.write(f"{head}{columns}release:\n{tail}  staging_expires_after: P3D\n{utility}  gate: {gate}\n")
    shop.supply(buyers())
    reference = shop.stage(night(1)).reference
    return service.validate(shop.workspace(), reference, actor=ACTOR).reference


def measured(shop: Shop, reference: Reference) -> dict[str, Any]:
    service.assess_staged(shop.workspace(), reference, actor=ACTOR)
    return dict(shop.ledger.release(reference.release_id).manifest or {})


def overwrite(shop: Shop, reference: Reference, column: str, values: pa.Array) -> None:
    """What a wrong treatment would have staged."""
    (file,) = [f for f in Path(shop.path).rglob("*.parquet") if reference.release_id in str(f)]
    table = pq.read_table(file)
    pq.write_table(
        table.set_column(table.schema.get_field_index(column), table.schema.field(column), values), file
    )


class TestUtility:
    def test_what_is_kept(self, shop: Shop) -> None:
        """Kept columns lost nothing; coarser and keyed ones have no distance; no value is in any of it."""
        draft = measured(shop, staged(shop))

        figures = figures_of(draft)
        assert figures["distance_max"] == 0
        assert figures["association_max"] < 0.1
        assert 0 < figures["loss_max"] < 1
        assert figures["score_drop_max"] <= 0.02
        told = {each["column"]: each for each in draft["utility"]["columns"]}
        assert set(told) == {"born", "country", "segment", "spent"}
        assert told["born"]["distance"] is None
        assert draft["utility"]["same_rows"]
        assert "Canary" not in json.dumps(draft["utility"])

    def test_through_the_gate_to_the_card(self, shop: Shop) -> None:
        """What holds goes out, and the card tells what it is good for."""
        reference = staged(shop)
        measured(shop, reference)

        found = service.gate(shop.workspace(), reference, actor=ACTOR)
        assert found.decision.outcome is Outcome.ALLOW, found.decision
        service.publish(shop.workspace(), found.done.reference, actor=ACTOR)

        text = markdown(card(shop.destination.manifest("people", reference.release_id)))
        assert "Largest distance of a column's values from the source's: 0." in text
        assert "| spent | 0 | 0 |" in text
        assert "| born | other values |" in text

    def test_a_shuffled_column_is_seen(self, shop: Shop) -> None:
        """Its distribution is as before, but it goes with nothing, and tells nothing."""
        reference = staged(shop)
        values = np.random.default_rng(1).permutation(buyers()["spent"].to_numpy())
        overwrite(shop, reference, "spent", pa.array(values))

        figures = figures_of(measured(shop, reference))

        assert figures["distance_max"] < 1e-9
        assert figures["association_max"] > 0.5
        assert figures["score_drop_max"] > 0.3
        reasons = service.gate(shop.workspace(), reference, actor=ACTOR).decision.reasons
        assert {"deny.association_max", "deny.score_drop_max"} <= set(reasons)

    @pytest.mark.parametrize(
        ("column", "values"),
        [
            ("spent", pa.array([7.0] * 2000)),
            ("segment", pa.array(["low"] * 2000)),
            ("spent", pa.nulls(2000, pa.float64())),
        ],
    )
    def test_an_overwritten_column_is_seen(self, shop: Shop, column: str, values: pa.Array) -> None:
        """By one value for everybody, or none."""
        reference = staged(shop)
        overwrite(shop, reference, column, values)

        figures = figures_of(measured(shop, reference))

        assert figures["distance_max"] > 0.3
        assert figures["loss_max"] == 1

    def test_figures_of_other_files(self, shop: Shop) -> None:
        """What is staged anew was not measured."""
        reference = staged(shop)
        draft = measured(shop, reference)
        output = json.loads(json.dumps(draft["output"]))
        output["files"][0]["sha256"] = "0" * 64
        shop.ledger.draft(reference.release_id, {"output": output})

        reasons = service.gate(shop.workspace(), reference, actor=ACTOR).decision.reasons

        assert set(reasons) == {
            f"missing.{w}" for w in ("distance_max", "association_max", "loss_max", "score_drop_max")
        }

    def test_a_source_that_changed(self, shop: Shop) -> None:
        """It is not what was released, so nothing is known."""
        reference = staged(shop)
        shop.supply(buyers(1999))

        assert measured(shop, reference)["utility"] is None
        assert "missing.loss_max" in service.gate(shop.workspace(), reference, actor=ACTOR).decision.reasons

    def test_a_draw(self, shop: Shop) -> None:
        """Of a part of the rows, and of the same on both sides: what is kept has no distance still."""
        draft = measured(shop, staged(shop, utility="  utility: {rows: 500, targets: {people: segment}}\n"))

        assert draft["utility"]["measured"] == [500, 500]
        assert figures_of(draft)["distance_max"] == 0

    def test_not_asked_for(self, shop: Shop) -> None:
        """Without a bound or the policy's word the source is not read again."""
        assert "utility" not in measured(shop, staged(shop, gate="{deny: {k: 1}}", utility=""))


class TestCheck:
    @pytest.mark.parametrize(
        ("utility", "code"),
        [
            ("", "gate-figure"),
            ("  utility: {pairs: false, targets: {people: segment}}\n", "gate-figure"),
            ("  utility: {targets: {people: name}}\n", "utility-target"),
            ("  utility: {targets: {people: nobody}}\n", "utility-target"),
            ("  utility: {targets: {strangers: segment}}\n", "utility-target"),
        ],
    )
    def test_mistakes(self, tmp_path: Path, utility: str, code: str) -> None:
        """A score needs a target that leaves, and a bound on pairs needs pairs."""
        head, tail = POLICY.split("release:\n")
        text = f"{head}{COLUMNS.replace('SPENT', 'keep')}release:\n{tail}{utility}  gate: {GATE}\n"
        (tmp_path / "shop.yaml").write_text(text)

        assert code in {finding.rule for finding in check(load(tmp_path / "shop.yaml"))}
