"""The rules of `retention`: each finds its mistake, where it stands, and only its mistake."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_veil.privacy.errors import PolicyError
from airflow_veil.privacy.policy.check import check
from airflow_veil.privacy.policy.finding import Finding
from airflow_veil.privacy.policy.load import load

GOOD = """\
version: 1
name: shop
owner: shop@example.com
datasets:
  visits:
    source: visits.parquet
    subject: customer
    retention: {after: P3Y, from: at, time_zone: Europe/Vienna, grace: P7D, at_most: 0.2}
    columns:
      customer: {class: direct_identifier, treat: drop}
      at: {class: none, type: timestamp, treat: keep}
      note: {class: none, type: string, treat: keep}
release: {destination: out}
"""


def findings(tmp_path: Path, text: str) -> tuple[Finding, ...]:
    path = tmp_path / "shop.yaml"
    path.write_text(text)
    try:
        return check(load(path))
    except PolicyError as error:
        return error.findings


WAITS = "after_releases: [visits], at_the_latest: P4Y"


class TestRules:
    @pytest.mark.parametrize(
        "text",
        [
            GOOD,
            GOOD.replace("type: timestamp, ", ""),
            GOOD.replace("grace: P7D", WAITS),
            GOOD.replace("at_most: 0.2", "action: delete"),
            GOOD.replace("at_most: 0.2", "action: {archive: {to: out/old}}"),
            GOOD.replace("at_most: 0.2", "action: {archive: {to: 'file:///old', expires_after: P10Y}}"),
            GOOD.replace("visits.parquet", "visits.csv"),
            GOOD.replace("grace: P7D", "backups_expire_after: P35D"),
            GOOD.replace("destination: out", "destination: out, staging_expires_after: P2D"),
        ],
    )
    def test_good_ones_have_no_findings(self, tmp_path: Path, text: str) -> None:
        """Nothing is found where nothing is wrong."""
        assert findings(tmp_path, text) == ()

    @pytest.mark.parametrize(
        ("old", "new", "rule", "word"),
        [
            ("from: at", "from: when", "retention-column", "when"),
            ("from: at", "from: note", "retention-type", "note"),
            ("Europe/Vienna", "Europe/Wien", "retention-zone", "Europe/Wien"),
            ("Europe/Vienna", "../etc/passwd", "retention-zone", "../etc/passwd"),
            ("after: P3Y", "after: P0D", "retention-period", "P0D"),
            ("after: P3Y", "after: P9999Y", "retention-period", "P9999Y"),
            ("after: P3Y", "after: 3 years", "string-pattern-mismatch", "3 years"),
            ("at_most: 0.2", "at_most: 0", "greater-than", "0}"),
            ("at_most: 0.2", "at_most: 1.5", "less-than-equal", "1.5"),
            ("at_most: 0.2", "action: anonymize", "retention-action", "anonymize"),
            ("at_most: 0.2", "action: {erase: now}", "retention-action", "erase"),
            ("at_most: 0.2", "action: {archive: {}}", "missing", "archive"),
            ("at_most: 0.2", "action: {archive: {to: out, untl: P1Y}}", "unknown-word", "untl"),
            ("at_most: 0.2", "action: {archive: {to: visits.parquet}}", "retention-archive", "parquet"),
            ("at_most: 0.2", "action: {archive: {to: out, expires_after: P0D}}", "retention-period", "P0D"),
            ("at_most: 0.2", "action: {anonymize: {columns: {}}}", "too-short", "columns"),
            ("at_most: 0.2", "action: {anonymize: {columns: {customer: shred}}}", "unknown-word", "shred"),
            ("grace: P7D", "after_releases: [vists], at_the_latest: P4Y", "retention-release", "vists"),
            ("grace: P7D", "after_releases: [visits]", "retention-limit", "[visits]"),
            ("grace: P7D", "at_the_latest: P4Y", "retention-limit", "P4Y"),
            ("grace: P7D", WAITS.replace("P4Y", "P3Y"), "retention-limit", "P3Y, at_most"),
            ("grace: P7D", f"grace: P1Y1D, {WAITS}", "retention-limit", "P4Y"),
            ("grace: P7D", "gracious: P7D", "unknown-word", "gracious"),
            ("grace: P7D", "backups_expire_after: P0D", "retention-period", "P0D"),
        ],
    )
    def test_each_mistake_where_it_stands(
        self, tmp_path: Path, old: str, new: str, rule: str, word: str
    ) -> None:
        """One finding, on the line of the word, with a fix."""
        text = GOOD.replace(old, new)

        (found,) = findings(tmp_path, text)

        assert found.rule == rule
        assert found.line == 8
        assert found.path.startswith("datasets.visits.retention")
        assert found.fix
        assert word in text

    @pytest.mark.parametrize("period", ["P0D", "P9999Y"])
    def test_how_long_staging_may_lie(self, tmp_path: Path, period: str) -> None:
        """For some time: what one task has staged for the next must not go under it."""
        text = GOOD.replace("destination: out", f"destination: out, staging_expires_after: {period}")

        (found,) = findings(tmp_path, text)

        assert (found.rule, found.path) == ("staging-period", "release.staging_expires_after")
        assert period in found.message

    def test_text_of_a_csv_file(self, tmp_path: Path) -> None:
        """A column without a type is text there."""
        text = GOOD.replace("type: timestamp, ", "").replace("visits.parquet", "visits.csv.gz")

        (found,) = findings(tmp_path, text)

        assert found.rule == "retention-type"

    def test_a_limit_that_is_longer_on_some_days_only(self, tmp_path: Path) -> None:
        """A month has 28 days at least: what counts is the shortest."""
        text = GOOD.replace("after: P3Y", "after: P30D").replace("grace: P7D", WAITS.replace("P4Y", "P1M"))

        assert [found.rule for found in findings(tmp_path, text)] == ["retention-limit"]
