"""Models of synthetic data end when their time is over, or that of rows that they learned from."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from tests.unit.release.conftest import ACTOR, Shop
from tests.unit.release.synthesis import POLICY, models, open_shop, people, run, sealed

from airflow_veil.privacy.errors import UnverifiedError
from airflow_veil.privacy.ledger.models import ModelState
from airflow_veil.privacy.retention import models as retained
from airflow_veil.privacy.retention import service, staging

KEPT = POLICY.replace(
    "    source: people.parquet\n",
    "    source: people.parquet\n    retention: {after: P1Y, from: since, at_most: 0.5}\n",
).replace(
    "      name: {class", "      since: {class: none, type: timestamp, treat: drop}\n      name: {class"
)


@pytest.fixture
def shop(tmp_path: Path, empty_ledger: Path) -> Iterator[Shop]:
    """A shop that makes up rows."""
    made = open_shop(tmp_path / "shop", empty_ledger)
    yield made
    made.close()


class TestExpiry:
    def test_those_past_their_time_are_destroyed(self, shop: Shop) -> None:
        """The bytes go, the ledger says why; those of today stay."""
        run(shop, "nobody")
        assert retained.expire_models(shop.workspace(), actor=ACTOR) == ()

        later = datetime.now(UTC) + timedelta(days=31)
        (ended,) = retained.expire_models(shop.workspace(), actor=ACTOR, now=later)
        (record,) = models(shop)
        assert (record.model_id, record.state) == (ended, ModelState.EXPIRED)
        assert sealed(shop) == []
        assert retained.expire_models(shop.workspace(), actor=ACTOR, now=later) == ()

    def test_what_it_published_stays_until_it_expires_itself(self, shop: Shop) -> None:
        """A release has a time of its own; asked for again, it is the one that is there."""
        first = run(shop, "nobody").reference
        later = datetime.now(UTC) + timedelta(days=31)
        retained.expire_models(shop.workspace(), actor=ACTOR, now=later)

        assert shop.destination.current("nobody_people") == first.releases["people"]

    def test_a_file_that_stays_is_told(self, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
        """Other code looks whether it is gone."""
        run(shop, "nobody")
        monkeypatch.setattr(retained.ModelStore, "remove", lambda *_: True)
        later = datetime.now(UTC) + timedelta(days=31)
        with pytest.raises(UnverifiedError, match="1 files of models"):
            retained.expire_models(shop.workspace(), actor=ACTOR, now=later)

    def test_rows_that_go_take_their_models_along(self, shop: Shop) -> None:
        """Retention deletes rows of the data set: what may have learned from them is expired before."""
        shop.write(KEPT)
        now = datetime.now(UTC).replace(tzinfo=None)
        since = [now - timedelta(days=800 if number % 10 == 0 else 10) for number in range(400)]
        shop.supply(people().append_column("since", pa.array(since, pa.timestamp("us"))))
        run(shop, "someone")
        run(shop, "nobody")

        done = service.enforce(shop.workspace(), "people", actor=ACTOR)

        assert done.counts.delete == 40
        states = {record.synthesis: record.state for record in models(shop)}
        assert states == {"someone": ModelState.EXPIRED, "nobody": ModelState.FITTED}
        assert len(sealed(shop)) == 1

    def test_where_nothing_goes_nothing_ends(self, shop: Shop) -> None:
        """A night on which no row is over."""
        shop.write(KEPT)
        since = [datetime.now(UTC).replace(tzinfo=None)] * 400
        shop.supply(people().append_column("since", pa.array(since, pa.timestamp("us"))))
        run(shop, "someone")
        service.enforce(shop.workspace(), "people", actor=ACTOR)

        assert models(shop)[0].state is ModelState.FITTED


class TestSweep:
    def test_files_that_nobody_knows_go(self, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
        """What killed fits sealed, once it is old; the model that is fitted stays."""
        run(shop, "nobody")
        (known,) = sealed(shop)
        (known.parent / "dead.sealed").write_bytes(b"left behind")
        monkeypatch.setattr(staging, "seconds_of", lambda *_: -1.0)

        swept = staging.sweep(shop.workspace(), actor=ACTOR)

        assert swept.models == 1
        assert sealed(shop) == [known]


class TestByHand:
    def test_destroys_for_a_reason(self, shop: Shop) -> None:
        """Somebody destroys one; the reason is evidence."""
        run(shop, "nobody")
        (record,) = models(shop)
        retained.destroy(shop.workspace(), record.model_id, reason="ticket 4711: wrong table", actor=ACTOR)

        assert sealed(shop) == []
        (entry,) = shop.ledger.evidence_of(record.subject, "model.destroyed")
        assert entry.content["reason"] == "ticket 4711: wrong table"
