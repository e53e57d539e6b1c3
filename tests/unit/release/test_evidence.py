"""What each task of a release leaves in the evidence: names, counts and digests, once for each time it is done."""

from __future__ import annotations

import pytest
from tests.unit.release.conftest import ACTOR, Shop, night

from airflow_veil.privacy.errors import ExpectationsFailedError
from airflow_veil.privacy.ledger.evidence import Entry
from airflow_veil.privacy.release import service


def kinds(shop: Shop, after: int = 0) -> list[str]:
    return [entry.kind for entry in shop.ledger.evidence(after)]


def steps(shop: Shop) -> list[Entry]:
    return [entry for entry in shop.ledger.evidence() if entry.kind == "release.step"]


class TestEvidence:
    def test_of_a_night_in_one_pass(self, shop: Shop) -> None:
        """An entry a task, about the release; what is published has the digest of what was staged."""
        published = shop.release(night(0))

        assert kinds(shop) == [
            "release.begun",
            "release.step",
            "release.validated",
            "release.published",
            "staging.scrubbed",
        ]
        (step,) = steps(shop)
        assert (step.subject, step.actor) == (f"shop/people/{published.release_id}", ACTOR)
        told = step.content
        assert (told["step"], told["rows_in"], told["rows_out"]) == ("fused", 50, 50)
        assert (told["columns_out"], told["plan_digest"]) == (5, published.plan_digest)
        assert len(told["output_digest"]) == 64

    def test_of_a_night_step_by_step(self, shop: Shop) -> None:
        """What is staged between two steps is personal data: nobody can test guesses by its digest."""
        shop.release(night(0), steps=True)

        told = [entry.content for entry in steps(shop)]
        assert [each["step"] for each in told] == ["minimize", "tokenize", "mask", "generalize"]
        assert ["output_digest" in each for each in told] == [False, False, False, True]

    def test_of_a_night_that_is_out_already(self, shop: Shop) -> None:
        """Nothing is done, and nothing told, but that there was nothing left to scrub."""
        shop.release(night(0))
        before = len(shop.ledger.evidence())
        shop.release(night(0))

        assert kinds(shop, before) == ["staging.scrubbed"]
        assert shop.ledger.evidence()[-1].content == {"interval": night(0).key, "own": 0, "orphans": 0}

    def test_of_expectations_that_hold_and_that_do_not(self, shop: Shop) -> None:
        """How many, and the digest of what was found; a release that is refused is evidence, too."""
        good = {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "id"}}
        bad = {"type": "expect_column_values_to_be_null", "kwargs": {"column": "id"}}
        for suite, kind, counts in (
            ([good], "release.validated", (1, 0)),
            ([good, bad], "release.refused", (1, 1)),
        ):
            shop.suite(*suite)
            staged = shop.stage(night(len(suite))).reference
            try:
                service.validate(shop.workspace(), staged, actor=ACTOR)
            except ExpectationsFailedError:
                assert kind == "release.refused"
            entry = shop.ledger.evidence()[-1]
            assert (entry.kind, entry.subject) == (kind, f"shop/people/{staged.release_id}")
            assert (entry.content["suite"], entry.content["held"], entry.content["failed"]) == (
                "people",
                *counts,
            )

    def test_holds_no_value(self, shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
        """Neither of what is released nor of what is not."""
        shop.release(night(0), steps=True)

        told = "".join(entry.payload or "" for entry in shop.ledger.evidence())
        assert not [word for word in ("Canary", "secret 1", "example.org", "7946") if word in told]
