"""The rules of `release: {classify: true}`."""

from __future__ import annotations

from pathlib import Path

from airflow_veil.privacy.policy.check import check
from airflow_veil.privacy.policy.finding import Finding
from airflow_veil.privacy.policy.load import load

POLICY = """\
version: 1
name: shop
owner: shop@example.com
datasets:
  people:
    source: people.parquet
    subject: id
    columns:
      id: {class: direct_identifier, treat: drop}
      site: {class: none, treat: keep, unsafe_reason: the mailboxes of shops and of nobody else}
release: {destination: releases, classify: true}
"""


def findings(folder: Path, text: str) -> tuple[Finding, ...]:
    (folder / "shop.yaml").write_text(text)
    return check(load(folder / "shop.yaml"))


class TestClassify:
    def test_a_reason_may_be_needed(self, tmp_path: Path) -> None:
        """What a release is going to find in a column is not known before: a reason is no mistake."""
        assert findings(tmp_path, POLICY) == ()

    def test_without_the_word_it_is_not(self, tmp_path: Path) -> None:
        """An excuse without a check that fails hides the next mistake."""
        (found,) = findings(tmp_path, POLICY.replace(", classify: true", ""))

        assert found.rule == "unneeded-unsafe-reason"

    def test_nothing_to_look_at(self, tmp_path: Path) -> None:
        """Where no row leaves, the word would promise what nobody does."""
        text = POLICY.replace(
            "treat: keep, unsafe_reason: the mailboxes of shops and of nobody else", "treat: drop"
        )
        (found,) = findings(tmp_path, text)

        assert (found.rule, found.path, found.line) == ("classify-nothing", "release.classify", 11)
