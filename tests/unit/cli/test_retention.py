"""`veil retention` and `veil holds` on a small installation."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.unit.cli.conftest import Installation

from airflow_veil.privacy.keys.file import KeyFile

POLICY = """\
version: 1
name: shop
owner: shop@example.com
datasets:
  visits:
    source: visits
    subject: customer
    retention: {after: P1Y, from: at}
    columns:
      customer: {class: direct_identifier, treat: drop}
      at: {class: none, treat: keep}
release: {destination: releases, expires_after: P1M}
"""


@pytest.fixture
def shop(tmp_path: Path) -> Installation:
    """Visits of now and of three years ago, in two files: a third of the rows is over."""
    now = datetime.now()
    times = {"old": [now - timedelta(days=1000)] * 2 + [now] * 2, "new": [now - timedelta(days=1)] * 2}
    (tmp_path / "data" / "visits").mkdir(parents=True)
    for name, when in times.items():
        table = pa.table({"customer": [f"canary-{name}-{n}" for n in range(len(when))], "at": when})
        pq.write_table(table, tmp_path / "data" / "visits" / f"{name}.parquet")
    (tmp_path / "shop.yaml").write_text(POLICY)
    (tmp_path / "home").mkdir()
    KeyFile(tmp_path / "home" / "keys.json").create()
    return Installation(tmp_path)


class TestRetention:
    def test_plan_enforce_and_again(self, shop: Installation) -> None:
        """The plan says that somebody has to look; with a reason it is done, and then there is nothing to do."""
        policy = shop.root / "shop.yaml"
        shown = shop.ok("retention", "plan", policy)
        (planned,) = json.loads(shop.ok("retention", "plan", policy, "-d", "visits", "--json"))
        refused = shop.veil("retention", "enforce", policy, "-d", "visits")

        assert "visits needs approval: 2 of 6 rows would go, 33.3%" in shown
        assert (planned["delete"], planned["files"]["rewritten"]) == (2, 1)
        assert refused.exit_code == 8
        assert "--approve REASON" in refused.output

        done = shop.ok("retention", "enforce", policy, "-d", "visits", "--approve", "ticket 1: looked at")
        assert "Deleted 2 rows of visits; 4 stay." in done
        assert "Nothing of visits is over" in shop.ok("retention", "enforce", policy, "-d", "visits")
        again = json.loads(shop.ok("retention", "enforce", policy, "-d", "visits", "--json"))
        assert again["delete"] == 0

    def test_certificates(self, shop: Installation) -> None:
        """Filed by the run, told by its name, proven after the next checkpoint, and checked by the key alone."""
        policy, root = shop.root / "shop.yaml", shop.root
        enforce = (
            "retention",
            "enforce",
            policy,
            "-d",
            "visits",
            "--approve",
            "ticket 1: looked at",
            "--json",
        )
        done = json.loads(shop.ok(*enforce))["certificate"]
        assert Path(done["file"]).parent == root / "home" / "certificates"
        (run,) = json.loads(shop.ok("retention", "runs", "-d", "visits", "--json"))
        assert "visits" in shop.ok("retention", "runs")
        assert run["run_id"][:16] in done["file"]

        ask = ("retention", "certificate", "--last", "-d", "visits", "--to", root / "out")
        assert "Not anchored yet" in shop.ok(*ask)
        (root / "veil.vkey").write_text(shop.ok("audit", "keygen", "--name", "example.com/veil"))
        shop.ok("audit", "anchor", "--to", root / "anchors.txt")
        key = ("--key", root / "veil.vkey")
        known = (*key, "--anchors", root / "anchors.txt")
        again = ("retention", "certificate", run["run_id"], "--to", root / "out", *known, "--json")
        told = json.loads(shop.ok(*again))
        assert (told["digest"], told["anchored"]) == (done["digest"], True)
        folder = root / "home" / "certificates"
        assert "Proved 1 certificates; 0 wait" in shop.ok("audit", "certificates", folder, *known)
        assert json.loads(shop.ok("audit", "certificates", folder, *known, "--json"))["proven"] == 0

        elsewhere = Installation(root / "elsewhere")
        for file in (told["file"], done["file"]):
            assert "these are the facts that were issued" in elsewhere.ok("audit", "check", file, *key)
            facts = json.loads(elsewhere.ok("audit", "check", file, *key, "--json"))["certificate"]
            assert facts["done"][0]["rows_deleted"] == 2
        changed = Path(done["file"])
        changed.write_text(changed.read_text().replace('"rows_deleted": 2', '"rows_deleted": 9'))
        assert elsewhere.veil("audit", "check", changed, *key).exit_code == 7

    @pytest.mark.parametrize(
        "said",
        [
            (),
            ("--last",),
            ("--last", "run"),
            ("run", "-d", "visits"),
            ("run", "--anchors", "anchors.txt"),
            ("run", "--key", "veil.vkey"),
        ],
    )
    def test_which_certificate(self, shop: Installation, said: tuple[str, ...]) -> None:
        """A run or the last one, and a proof by both or none."""
        assert shop.veil("retention", "certificate", *said).exit_code == 2

    def test_certificates_that_are_none(self, shop: Installation) -> None:
        """Each says why."""
        last = shop.veil("retention", "certificate", "--last", "-d", "visits")
        unknown = shop.veil("retention", "certificate", "run")

        assert "no run is through" in last.stderr
        assert "no such run of retention" in unknown.stderr

    def test_holds(self, shop: Installation) -> None:
        """Subjects come from standard input, and are shown nowhere."""
        policy = shop.root / "shop.yaml"
        placed = shop.veil(
            *("holds", "place", policy, "-d", "visits", "--reason", "case 2026-17", "--json"),
            stdin="canary-old-0\ncanary-old-1\n",
        )
        hold = json.loads(placed.stdout)
        (planned,) = json.loads(shop.ok("retention", "plan", policy, "--json"))

        assert (hold["subjects"], planned["held"], planned["delete"]) == (2, 2, 0)
        assert "case 2026-17" in shop.ok("holds", "list")
        assert "canary" not in placed.output + shop.ok("holds", "list", "--json")

        shop.ok("holds", "lift", hold["hold_id"], "--reason", "case 2026-17 is closed")
        assert json.loads(shop.ok("holds", "list", "--json")) == []
        assert len(json.loads(shop.ok("holds", "list", "--all", "--json"))) == 1
        assert "all rows of visits" in shop.ok(
            "holds", "place", policy, "-d", "visits", "--all-rows", "--reason", "case 2026-18"
        )

    def test_releases(self, shop: Installation) -> None:
        """None is due yet."""
        ended = json.loads(shop.ok("retention", "enforce", shop.root / "shop.yaml", "--releases", "--json"))

        assert ended == {"releases": [], "current": 0, "elsewhere": 0, "models": []}
        assert "Ended 0 releases" in shop.ok("retention", "enforce", shop.root / "shop.yaml", "--releases")

    def test_what_is_not_understood(self, shop: Installation) -> None:
        """Either rows or releases; and a policy that says how long."""
        policy = shop.root / "shop.yaml"

        assert shop.veil("retention", "enforce", policy).exit_code == 2
        assert shop.veil("retention", "enforce", policy, "-d", "visits", "--releases").exit_code == 2
        policy.write_text(POLICY.replace("    retention: {after: P1Y, from: at}\n", ""))
        assert shop.veil("retention", "plan", policy).exit_code == 8
