"""All figures by one call: complete, the same by the same seed, without a value."""

from __future__ import annotations

import datetime as dt
import json
import re
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from tests.unit.evaluation.people import crowd, trio

from airflow_veil.privacy.errors import SchemaError
from airflow_veil.privacy.evaluation.charts import associations, distributions
from airflow_veil.privacy.evaluation.evaluate import Evaluation, evaluate
from airflow_veil.privacy.evaluation.shown import associations_of, distributions_of
from airflow_veil.privacy.evaluation.tables import Trio

ASKED: dict[str, Any] = {
    "key_columns": ["age", "city", "vip"],
    "secrets": ["ill", "income"],
    "target": "ill",
    "protected": "vip",
    "attempts": 200,
}


def evaluated(seed: int = 0, **changes: Any) -> Evaluation:
    """An evaluation of a crowd."""
    return evaluate(trio("half", rows=300), **{**ASKED, "seed": seed, **changes})


def shadow(train: pa.Table, seed: int) -> pa.Table:
    """A synthesizer that gives away one row in two."""
    return pa.concat_tables([train.slice(0, train.num_rows // 2), crowd(100, seed % 1_000)])


class TestEvaluate:
    def test_everything(self) -> None:
        """All that is asked for is there, and can be written as JSON."""
        found = evaluated(refit=shadow, shadows=4)

        whole = json.loads(json.dumps(found.as_dict()))

        assert set(whole) == {
            "asked", "rows", "fidelity", "usefulness", "fairness", "singling_out", "linkability", "inference",
            "membership", "matches", "nearest",
        }  # fmt: skip
        assert all(whole.values())
        assert whole["rows"] == {"train": 300, "holdout": 300, "synthetic": 300}
        assert [each["column"] for each in whole["inference"]] == ["ill", "income"]
        assert whole["membership"]["shadows"] == whole["asked"]["shadows"] == 4

    def test_what_is_not_asked_for(self) -> None:
        """Without a target, secrets and a way to fit shadows, these are not measured, and it shows."""
        found = evaluate(trio("half", rows=300), attempts=100)

        assert found.usefulness is found.fairness is found.membership is None
        assert found.inference == ()
        assert found.asked.shadows == 0
        assert not found.public()["measured"]["membership"]
        assert found.public()["measured"]["matches"]

    def test_same_seed(self) -> None:
        """The same seed has the same digest, another one another."""
        one, again, other = evaluated(1), evaluated(1), evaluated(2, target=None, protected=None)

        assert one.digest == again.digest != other.digest
        assert re.fullmatch("[0-9a-f]{64}", one.digest)

    def test_parts_do_not_depend_on_each_other(self) -> None:
        """What else is asked for changes no figure."""
        whole, less = evaluated(), evaluated(target=None, protected=None, secrets=["ill"])

        assert whole.singling_out == less.singling_out
        assert whole.matches == less.matches
        assert whole.fidelity == less.fidelity
        assert whole.inference[0] == less.inference[0]

    def test_rows_are_drawn(self) -> None:
        """Models and reports look at a part of the rows; attacks at all, so that no leak is lost in a draw."""
        found = evaluate(trio("copy", rows=1_000), target="vip", secrets=["ill"], rows=100)

        assert found.rows["train"] == 1_000
        assert found.usefulness is not None
        assert found.usefulness.tested == 100
        assert found.fidelity.detection.tried == 200
        assert found.matches.rows.rate == found.nearest.train.copies == 1
        assert found.inference[0].risk is not None
        assert found.inference[0].risk > 0.95

    def test_every_type(self) -> None:
        """Columns of all types that tables have are measured."""
        day = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)

        def table(seed: int) -> pa.Table:
            n = np.random.default_rng(seed).integers(0, 50, 200).tolist()
            return pa.table(
                {
                    "date": pa.array([(day + dt.timedelta(days=i)).date() for i in n]),
                    "time": pa.array([dt.time(i % 24, i) for i in n]),
                    "moment": pa.array([day + dt.timedelta(hours=i) for i in n], pa.timestamp("us", "UTC")),
                    "span": pa.array([dt.timedelta(hours=i) for i in n]),
                    "price": pa.array([Decimal(i) / 4 for i in n], pa.decimal128(9, 2)),
                    "word": pa.array([f"w{i % 5}" for i in n]).dictionary_encode(),
                    "bytes": pa.array([bytes([i]) for i in n]),
                    "flag": pa.array([i % 2 == 0 for i in n]),
                    "nothing": pa.array([None] * 200, pa.string()),
                }
            )

        tables = Trio(table(1), table(2), table(3))
        found = evaluate(
            tables,
            secrets=tables.columns,
            target="moment",
            refit=lambda rows, seed: table(seed % 1_000),
            shadows=4,
            attempts=50,
        )

        assert len(found.inference) == len(tables.columns)
        assert found.usefulness is not None
        assert found.usefulness.kind == "number"
        assert found.usefulness.real > 0.9
        told = distributions(distributions_of(tables)), associations(associations_of(tables))
        assert len(told[0].axes) == len(told[1].axes[0].get_xticks()) == 9
        assert len(found.digest) == 64

    def test_no_value(self) -> None:
        """No value of any table is in the figures: words and numbers that occur nowhere else are not found."""
        tables = [
            pa.table(
                {
                    "who": [f"canary-{part}-{i}" for i in range(60)],
                    "code": [7_770_000 + i for i in range(60)],
                    "kind": [f"canary-{i % 2}" for i in range(60)],
                    "of": [f"canary-group-{i % 3}" for i in range(60)],
                }
            )
            for part in "thh"
        ]

        found = evaluate(
            Trio(*tables),
            secrets=["kind"],
            target="kind",
            protected="of",
            refit=lambda rows, seed: rows,
            shadows=4,
        )

        text = json.dumps([found.as_dict(), found.public()]) + repr(found)
        assert "canary" not in text
        assert "777" not in re.sub(r"0\.\d+", "", text)
        assert "who" in text

    def test_public_has_no_figure(self) -> None:
        """What may be shown is the same for other rows of the same columns, however many."""
        found = evaluated(refit=shadow, shadows=4)
        other = evaluate(trio("copy", rows=250, seed=9), **ASKED, refit=shadow, shadows=4)

        assert found.public() == other.public()
        assert found.as_dict() != other.as_dict()

    @pytest.mark.parametrize(
        ("changes", "said"),
        [
            ({"secrets": ["none", "ill"]}, "no column none"),
            ({"key_columns": ["nothing"]}, "no column nothing"),
            ({"target": None}, "needs a target"),
            ({"protected": "ill"}, "needs a target"),
            ({"target": "income"}, "is a number"),
            ({"attempts": 0}, "nothing would be tried"),
            ({"confidence": 1.0}, "nothing would be tried"),
            ({"refit": shadow, "shadows": 3}, "shadow"),
        ],
    )
    def test_mistakes(self, changes: dict[str, Any], said: str) -> None:
        """What cannot be measured is an error that names it."""
        with pytest.raises(SchemaError, match=said):
            evaluated(**changes)
