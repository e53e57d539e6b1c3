"""PAR on sequences: in order, with a context that does not change, within the policy's bounds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from tests.unit.synthetic.making import WHO, categories, column, dates, fitted, numbers, one, training

from airflow_veil.privacy.errors import SyntheticError
from airflow_veil.privacy.synthetic.methods import synthesizer_for

pytest.importorskip("sdv", reason="NOT CHECKED: the extra `synthetic` is not installed")

DATASETS = {
    "visits": {
        "subject": "person",
        "columns": {
            "person": WHO, "name": WHO, "day": column("date"), "sex": column(), "score": column("float64"),
            "kind": column(),
        },
    },
}  # fmt: skip


def synthesis(**more: Any) -> dict[str, Any]:
    columns = {
        "person": "key", "day": dates("2020-01-01", "2021-12-31"), "sex": categories("f", "m"),
        "score": {**numbers(-9, 9), "nulls": True}, "kind": {**categories("u", "v"), "nulls": True},
        "name": {"invented": {"provider": "name"}},
    }  # fmt: skip
    par = {"sequence": "person", "order": "day", "context": ["sex"], "epochs": 2, **more}
    return {"tables": {"visits": {"columns": columns}}, "method": {"par": par}, "evaluate": {}}


def visits(people: int = 40) -> pa.Table:
    draws = np.random.default_rng(0)
    lengths = draws.integers(2, 6, people)
    who = np.repeat(np.arange(people), lengths)
    days = np.concatenate([18_262 + 100 + np.cumsum(draws.integers(1, 20, length)) for length in lengths])
    order = draws.permutation(len(who))
    return pa.table({
        "person": [f"CANARY-{n}" for n in who],
        "day": pa.array(days, pa.int32()).cast(pa.date32()),
        "sex": np.array(["f", "m"])[who % 2],
        "score": pa.array(draws.normal(size=len(who)), mask=draws.random(len(who)) < 0.2),
        "kind": pa.array(draws.choice(["u", "v", None], len(who)).tolist()),
    }).take(pa.array(order))  # fmt: skip


class TestSequences:
    def test_they_are_in_order_and_keep_their_context(self, tmp_path: Path) -> None:
        """As many sequences as were asked for, the same by a seed, and nobody's number in the model."""
        specification, learned = training(tmp_path, DATASETS, synthesis(), {"visits": visits()})
        synthesizer = synthesizer_for(specification)
        told: list[str] = []
        model = synthesizer.fit(learned.fit, seed=0, progress=told.append)

        rows = one(model, seed=1, rows=30)

        assert rows.schema.equals(specification.only.schema)
        frame = rows.to_pandas()
        assert sorted(frame.person.unique()) == list(range(1, 31))
        assert frame.person.is_monotonic_increasing
        assert frame.groupby("person").sex.nunique().max() == 1
        assert frame.groupby("person").day.is_monotonic_increasing.all()
        assert frame.groupby("person").size().max() >= 2
        assert 0 < rows.column("score").null_count < rows.num_rows
        assert pc.max(pc.abs(rows.column("score"))).as_py() <= 9
        assert told[-1] == "fitting par: epochs, 2 of 2"
        assert b"CANARY" not in model.to_bytes()
        assert one(model, seed=1, rows=30).equals(rows)
        assert not one(model, seed=2, rows=30).equals(rows)
        assert one(synthesizer.from_bytes(model.to_bytes()), seed=1, rows=30).equals(rows)
        assert one(fitted(synthesizer, learned), seed=1, rows=30).equals(rows)
        with pytest.raises(SyntheticError, match="not given of sequences"):
            one(model, given={"sex": "f"})

    def test_a_context_that_changes_is_refused(self, tmp_path: Path) -> None:
        """With how often, and not whose: SDV would tell the sequence."""
        specification, learned = training(
            tmp_path, DATASETS, synthesis(context=["sex", "kind"]), {"visits": visits()}
        )

        with pytest.raises(SyntheticError, match="changes within sequences") as caught:
            fitted(synthesizer_for(specification), learned)

        assert "CANARY" not in str(caught.value)
