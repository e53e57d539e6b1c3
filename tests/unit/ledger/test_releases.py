"""Releases."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from airflow_veil.privacy.errors import LedgerError, ReleaseError
from airflow_veil.privacy.ledger.canonical import canonical_json, sha256_of
from airflow_veil.privacy.ledger.database import writing
from airflow_veil.privacy.ledger.evidence import Note
from airflow_veil.privacy.ledger.ledger import Ledger
from airflow_veil.privacy.ledger.record import ReleaseRecord, ReleaseState

PAST = datetime(2020, 1, 1, tzinfo=UTC)
FUTURE = datetime(2999, 1, 1, tzinfo=UTC)


def record(name: str, **changed: Any) -> ReleaseRecord:
    """The release of a run of its own."""
    fields: dict[str, Any] = {
        "release_id": name,
        "policy": "retail",
        "dataset": "customers",
        "destination": "file:///releases",
        "run_key": f"run-{name}",
        "policy_digest": "a" * 64,
        "plan_digest": "b" * 64,
    }
    return ReleaseRecord(**fields | changed)


def manifest(name: str) -> dict[str, Any]:
    return {"name": name, "source_schema": {"id": "int64", name: "string"}}


def published(
    ledger: Ledger, name: str, *, expires_at: datetime | None = None, **changed: Any
) -> ReleaseRecord:
    """A release that went all the way."""
    begun = ledger.begin_release(record(name, **changed), actor="test")
    return ledger.publish(begun.release_id, manifest(name), rows_out=3, expires_at=expires_at, actor="test")


def rolled_back(ledger: Ledger, **to: Any) -> str:
    """Roll back, and give the release that is current then."""
    return ledger.rollback("retail", "customers", reason="test", actor="test", **to).release_id


def states(ledger: Ledger) -> dict[str, str]:
    return {release.release_id: release.state.value for release in ledger.list()}


def kinds(ledger: Ledger) -> list[str]:
    return [entry.kind for entry in ledger.evidence()]


class TestBegin:
    """`Ledger.begin_release`."""

    def test_stages_a_release(self, ledger: Ledger) -> None:
        """A new run's release is stored as it is given."""
        begun = record("r1", interval_start=PAST, interval_end=FUTURE)

        assert begun == ledger.begin_release(begun, actor="test")
        assert begun == ledger.release("r1")
        assert ledger.current("retail", "customers") is None

    def test_gives_a_run_one_release(self, ledger: Ledger) -> None:
        """A second try of a run goes on with the release of the first, under its id."""
        ledger.begin_release(record("r1"), actor="test")
        again = ledger.begin_release(record("r2", run_key="run-r1", plan_digest="c" * 64), actor="test")

        assert again.release_id == "r1"
        assert again.plan_digest == "c" * 64
        assert (again,) == ledger.list()

    def test_leaves_evidence(self, ledger: Ledger) -> None:
        """That a release is begun is told once; by another plan it is begun again."""
        for _ in range(2):
            ledger.begin_release(record("r1"), actor="test")
        ledger.begin_release(record("r1", plan_digest="c" * 64), actor="other")
        begun, again = ledger.evidence()

        assert (begun.kind, begun.subject, begun.actor) == ("release.begun", "retail/customers/r1", "test")
        assert begun.content == {
            "destination": "file:///releases",
            "run_key": "run-r1",
            "policy_digest": "a" * 64,
            "plan_digest": "b" * 64,
        }
        assert (again.kind, again.actor) == ("release.begun_again", "other")
        assert (again.content["was"], again.content["plan_digest"]) == ("staged", "c" * 64)

    def test_keeps_what_the_same_run_has_drafted(self, ledger: Ledger) -> None:
        """A run that is begun twice at once does not lose what one of the two has done."""
        ledger.begin_release(record("r1"), actor="test")
        ledger.draft("r1", {"rows": 1})
        again = ledger.begin_release(record("r2", run_key="run-r1"), actor="test")

        assert again == ledger.release("r1")
        assert again.manifest == {"rows": 1}

    def test_drops_the_draft_of_another_plan(self, ledger: Ledger) -> None:
        """What was done by a plan that has changed since does not count."""
        ledger.begin_release(record("r1"), actor="test")
        ledger.draft("r1", {"rows": 1})
        again = ledger.begin_release(record("r1", plan_digest="c" * 64), actor="test")

        assert again == ledger.release("r1")
        assert again.manifest is None

    def test_refuses_what_is_not_staged(self, ledger: Ledger) -> None:
        """No release begins its life as published."""
        with pytest.raises(ReleaseError, match="begins as staged"):
            ledger.begin_release(record("r1", state=ReleaseState.CURRENT), actor="test")

    @pytest.mark.parametrize("later", [False, True], ids=["current", "superseded"])
    def test_leaves_a_published_release_alone(self, ledger: Ledger, later: bool) -> None:
        """A run that was published is done, even if the plan has changed since."""
        published(ledger, "r1")
        if later:
            published(ledger, "r2")
        before = ledger.release("r1")

        assert before == ledger.begin_release(record("r1", plan_digest="c" * 64), actor="test")
        assert before == ledger.release("r1")

    @pytest.mark.parametrize(
        ("end", "was"),
        [
            (lambda ledger: ledger.expire("r2", actor="test"), "expired"),
            (rolled_back, "rolled_back"),
        ],
        ids=["expired", "rolled back"],
    )
    def test_begins_a_bad_release_again(
        self, ledger: Ledger, end: Callable[[Ledger], object], was: str
    ) -> None:
        """Who runs an interval again after its release was taken back gets a new one, and it shows."""
        published(ledger, "r1")
        published(ledger, "r2", expires_at=FUTURE)
        end(ledger)
        assert states(ledger)["r2"] == was
        again = ledger.begin_release(record("r2"), actor="test")

        assert again.state is ReleaseState.STAGED
        assert (again.manifest, again.published_seq, again.expires_at) == (None, None, None)
        assert again == ledger.release("r2")
        assert ledger.evidence()[-1].kind == "release.begun_again"
        assert ledger.evidence()[-1].content["was"] == was
        assert published(ledger, "r2").state is ReleaseState.CURRENT

    def test_begins_a_discarded_release_again(self, ledger: Ledger) -> None:
        """A run whose release failed its checks can be tried again."""
        ledger.begin_release(record("r1"), actor="test")
        ledger.discard("r1", reason="test", actor="test")

        assert published(ledger, "r1").state is ReleaseState.CURRENT

    def test_refuses_another_destination(self, ledger: Ledger) -> None:
        """One run cannot be published in two places under one name."""
        ledger.begin_release(record("r1"), actor="test")

        with pytest.raises(ReleaseError, match="another destination"):
            ledger.begin_release(record("r1", destination="file:///elsewhere"), actor="test")

    def test_refuses_an_id_that_is_taken(self, ledger: Ledger) -> None:
        """An id names one release."""
        ledger.begin_release(record("r1"), actor="test")

        with pytest.raises(ReleaseError, match="taken by another run"):
            ledger.begin_release(record("r1", run_key="other"), actor="test")

    @pytest.mark.parametrize(
        "changed",
        [
            {"release_id": ""},
            {"release_id": "x" * 129},
            {"policy": "x" * 129},
            {"run_key": ""},
            {"interval_start": datetime(2026, 1, 1)},
            {"expires_at": datetime(2026, 1, 1)},
        ],
        ids=lambda changed: f"{next(iter(changed))}",
    )
    def test_refuses_what_is_no_record(self, changed: dict[str, Any]) -> None:
        """Names have their lengths, and times their zones."""
        with pytest.raises(ReleaseError):
            record("r1", **changed)


class TestDraft:
    """`Ledger.draft`."""

    def test_gathers_facts(self, ledger: Ledger) -> None:
        """Facts add up; one that is told again is replaced."""
        ledger.begin_release(record("r1"), actor="test")
        ledger.draft("r1", {"a": 1, "b": 1})
        ledger.draft("r1", {"b": 2, "c": {"rows": 3}})

        assert ledger.release("r1").manifest == {"a": 1, "b": 2, "c": {"rows": 3}}
        assert ledger.release("r1").state is ReleaseState.STAGED

    def test_leaves_the_evidence_that_it_is_given(self, ledger: Ledger) -> None:
        """In the same transaction: what cannot be told is not drafted."""
        ledger.begin_release(record("r1"), actor="test")
        ledger.draft("r1", {"a": 1}, Note(kind="release.step", payload={"step": "mask"}, actor="test"))
        with pytest.raises(LedgerError, match="not plain JSON"):
            ledger.draft("r1", {"a": 2}, Note(kind="release.step", payload={"step": {1}}, actor="test"))

        assert kinds(ledger) == ["release.begun", "release.step"]
        assert ledger.evidence()[-1].content == {"destination": "file:///releases", "step": "mask"}
        assert ledger.release("r1").manifest == {"a": 1}

    def test_refuses_a_published_release(self, ledger: Ledger) -> None:
        """What is published stays as it is."""
        before = published(ledger, "r1")

        with pytest.raises(ReleaseError, match="is current"):
            ledger.draft("r1", {"a": 1})
        assert before == ledger.release("r1")


class TestPublish:
    """`Ledger.publish`."""

    def test_makes_a_release_current(self, ledger: Ledger) -> None:
        """What is published is found as the current release, with its manifest and its digest."""
        release = published(ledger, "r1", expires_at=FUTURE)

        assert release == ledger.current("retail", "customers") == ledger.release("r1")
        assert (release.state, release.rows_out, release.expires_at) == ("current", 3, FUTURE)
        assert release.manifest == manifest("r1")
        assert release.manifest_digest == sha256_of(canonical_json(manifest("r1")))

    def test_supersedes_the_one_before(self, ledger: Ledger) -> None:
        """There is one current release; the other can still be found."""
        published(ledger, "r1")
        published(ledger, "r2")

        assert states(ledger) == {"r1": "superseded", "r2": "current"}

    def test_leaves_evidence(self, ledger: Ledger) -> None:
        """The entry names the release, what it was made from, and what it replaced."""
        published(ledger, "r1")
        release = published(ledger, "r2")
        entry = ledger.evidence()[-1]

        assert (entry.kind, entry.subject, entry.actor) == (
            "release.published",
            "retail/customers/r2",
            "test",
        )
        assert entry.seq == release.published_seq
        assert entry.content == {
            "destination": "file:///releases",
            "run_key": "run-r2",
            "policy_digest": "a" * 64,
            "plan_digest": "b" * 64,
            "manifest_digest": release.manifest_digest,
            "rows_out": 3,
            "supersedes": "r1",
        }

    @pytest.mark.parametrize("later", [False, True], ids=["current", "superseded"])
    def test_is_idempotent(self, ledger: Ledger, later: bool) -> None:
        """A late second try changes nothing: neither the manifest nor which release is current."""
        published(ledger, "r1")
        if later:
            published(ledger, "r2")
        before = ledger.list(), ledger.evidence()

        assert ledger.publish("r1", {"other": 1}, rows_out=9, actor="test") == ledger.release("r1")
        assert before == (ledger.list(), ledger.evidence())

    def test_keeps_destinations_apart(self, ledger: Ledger) -> None:
        """Each destination, data set and policy has a current release of its own."""
        published(ledger, "r1")
        published(ledger, "r2", destination="file:///elsewhere")
        published(ledger, "r3", dataset="orders")
        published(ledger, "r4", policy="other")

        assert set(states(ledger).values()) == {"current"}
        with pytest.raises(ReleaseError, match="name the destination"):
            ledger.current("retail", "customers")
        current = ledger.current("retail", "customers", destination="file:///elsewhere")
        assert current is not None
        assert current.release_id == "r2"

    @pytest.mark.parametrize(
        "end",
        [
            lambda ledger: ledger.expire("r2", actor="test"),
            rolled_back,
        ],
        ids=["expired", "rolled back"],
    )
    def test_refuses_a_release_that_was_taken_back(
        self, ledger: Ledger, end: Callable[[Ledger], object]
    ) -> None:
        """A publishing task that is tried again after a rollback does not undo it."""
        published(ledger, "r1")
        published(ledger, "r2")
        end(ledger)

        with pytest.raises(ReleaseError, match="so it cannot be published"):
            ledger.publish("r2", manifest("r2"), rows_out=3, actor="test")

    def test_refuses_a_discarded_release(self, ledger: Ledger) -> None:
        """What failed its checks is not published."""
        ledger.begin_release(record("r1"), actor="test")
        ledger.discard("r1", reason="test", actor="test")

        with pytest.raises(ReleaseError, match="is discarded, so it cannot be published"):
            ledger.publish("r1", {}, rows_out=0, actor="test")

    def test_refuses_an_unknown_release(self, ledger: Ledger) -> None:
        """What was never begun is not published."""
        with pytest.raises(ReleaseError, match=r"release r9: there is no such release.*veil releases list"):
            ledger.publish("r9", {}, rows_out=0, actor="test")

    def test_changes_nothing_if_it_fails(self, ledger: Ledger) -> None:
        """A manifest that is no JSON leaves the release before in place."""
        published(ledger, "r1")
        ledger.begin_release(record("r2"), actor="test")

        with pytest.raises(LedgerError, match="not plain JSON"):
            ledger.publish("r2", {"rows": {1, 2}}, rows_out=3, actor="test")
        assert states(ledger) == {"r1": "current", "r2": "staged"}
        assert kinds(ledger) == ["release.begun", "release.published", "release.begun"]

    def test_the_database_allows_one_current_release(self, ledger: Ledger) -> None:
        """Even a program that does not ask the ledger cannot make two."""
        published(ledger, "r1")
        published(ledger, "r2")

        with pytest.raises(LedgerError, match="a rule of the ledger"), writing(ledger._engine) as connection:
            connection.execute(text("UPDATE releases SET state = 'current'"))

    @pytest.mark.parametrize("state", ["current", "unknown"])
    def test_the_database_allows_no_half_release(self, ledger: Ledger, state: str) -> None:
        """A release without manifest and evidence cannot be current."""
        ledger.begin_release(record("r1"), actor="test")

        with pytest.raises(LedgerError, match="a rule of the ledger"), writing(ledger._engine) as connection:
            connection.execute(text(f"UPDATE releases SET state = '{state}'"))


class TestRollback:
    """`Ledger.rollback`."""

    def test_goes_back_one_release(self, ledger: Ledger) -> None:
        """The release before is current again, and the bad one is marked as such."""
        published(ledger, "r1")
        published(ledger, "r2")

        assert rolled_back(ledger) == "r1"
        assert states(ledger) == {"r1": "current", "r2": "rolled_back"}

    def test_leaves_evidence(self, ledger: Ledger) -> None:
        """The entry has both releases and the reason."""
        first = published(ledger, "r1")
        published(ledger, "r2")
        ledger.rollback("retail", "customers", reason="doubled rows", actor="alice")
        entry = ledger.evidence()[-1]

        assert (entry.kind, entry.subject, entry.actor) == (
            "release.rolled_back",
            "retail/customers/r1",
            "alice",
        )
        assert entry.content == {
            "destination": "file:///releases",
            "reason": "doubled rows",
            "replaces": "r2",
            "manifest_digest": first.manifest_digest,
        }

    def test_goes_back_to_a_named_release(self, ledger: Ledger) -> None:
        """Any superseded release can be named, and doing it again does nothing."""
        for name in ("r1", "r2", "r3"):
            published(ledger, name)

        assert rolled_back(ledger, to="r1") == "r1"
        before = kinds(ledger)
        assert rolled_back(ledger, to="r1") == "r1"
        assert before == kinds(ledger)
        assert states(ledger) == {"r1": "current", "r2": "superseded", "r3": "rolled_back"}

    def test_never_goes_forward(self, ledger: Ledger) -> None:
        """From the first release there is none to go back to, though younger ones exist."""
        for name in ("r1", "r2", "r3"):
            published(ledger, name)
        rolled_back(ledger, to="r1")

        with pytest.raises(ReleaseError, match="no good release before this one"):
            rolled_back(ledger)

    def test_passes_over_bad_releases(self, ledger: Ledger) -> None:
        """A release that was rolled back is no good one to go back to, unless it is named."""
        published(ledger, "r1")
        published(ledger, "r2")
        rolled_back(ledger)
        published(ledger, "r3")

        assert rolled_back(ledger) == "r1"
        assert rolled_back(ledger, to="r2") == "r2"

    def test_passes_over_releases_past_their_time(self, ledger: Ledger) -> None:
        """A release past its expiry is not used again, even before it is marked as expired."""
        published(ledger, "r1")
        published(ledger, "r2", expires_at=PAST)
        published(ledger, "r3")

        with pytest.raises(ReleaseError, match="past its expiry, so it cannot be made current"):
            rolled_back(ledger, to="r2")
        assert rolled_back(ledger) == "r1"

    @pytest.mark.parametrize("state", ["expired", "discarded", "staged"])
    def test_refuses_what_cannot_be_used(self, ledger: Ledger, state: str) -> None:
        """Only what was published and is still there can be made current."""
        if state == "expired":
            published(ledger, "r1")
            ledger.expire("r1", actor="test")
        else:
            ledger.begin_release(record("r1"), actor="test")
        if state == "discarded":
            ledger.discard("r1", reason="test", actor="test")
        published(ledger, "r2")

        with pytest.raises(ReleaseError, match=f"is {state}, so it cannot be made current"):
            rolled_back(ledger, to="r1")
        assert states(ledger) == {"r1": state, "r2": "current"}

    @pytest.mark.parametrize("to", ["r1", "r2"], ids=["superseded", "current"])
    def test_refuses_another_data_sets_release(self, ledger: Ledger, to: str) -> None:
        """A release is made current for its own data set only."""
        published(ledger, "r1", dataset="orders")
        published(ledger, "r2", dataset="orders")
        published(ledger, "r3")

        with pytest.raises(ReleaseError, match="another data set's"):
            rolled_back(ledger, to=to)
        assert states(ledger) == {"r1": "superseded", "r2": "current", "r3": "current"}

    @pytest.mark.parametrize("publish", [False, True], ids=["nothing current", "nothing before"])
    def test_refuses_where_there_is_nothing(self, ledger: Ledger, publish: bool) -> None:
        """With no release before, the current one stays."""
        if publish:
            published(ledger, "r1")

        with pytest.raises(ReleaseError):
            rolled_back(ledger)
        assert set(states(ledger).values()) <= {"current"}

    @pytest.mark.parametrize(
        "to", [None, "r1", "r3"], ids=["the one before", "a named one", "the current one"]
    )
    def test_does_what_its_target_says(self, ledger: Ledger, to: str | None) -> None:
        """`rollback_target` names the release that becomes current, and changes nothing."""
        for name in ("r1", "r2", "r3"):
            published(ledger, name)
        before = ledger.list(), ledger.evidence()
        target = ledger.rollback_target("retail", "customers", to)

        assert before == (ledger.list(), ledger.evidence())
        assert target.release_id == rolled_back(ledger, to=to)

    @pytest.mark.parametrize(
        "to", [None, "r1", "r2"], ids=["nothing before", "expired", "another data set's"]
    )
    def test_is_refused_as_its_target_is(self, ledger: Ledger, to: str | None) -> None:
        """What `rollback` refuses, `rollback_target` refuses."""
        published(ledger, "r1")
        ledger.expire("r1", actor="test")
        published(ledger, "r2", dataset="orders")
        published(ledger, "r3")

        with pytest.raises(ReleaseError) as caught:
            ledger.rollback_target("retail", "customers", to)
        with pytest.raises(ReleaseError) as again:
            rolled_back(ledger, to=to)
        assert str(caught.value) == str(again.value)

    def test_goes_back_once_when_it_is_told_what_to_replace(self, ledger: Ledger) -> None:
        """A repeated call that names the bad release does not go back a step further."""
        for name in ("r1", "r2", "r3"):
            published(ledger, name)

        assert rolled_back(ledger, replacing="r3") == "r2"
        assert rolled_back(ledger, replacing="r3") == "r2"
        assert kinds(ledger).count("release.rolled_back") == 1

    def test_refuses_to_replace_what_is_not_current(self, ledger: Ledger) -> None:
        """A newer release that nobody called bad is not rolled back by mistake."""
        published(ledger, "r1")
        published(ledger, "r2")

        with pytest.raises(ReleaseError, match="is superseded, not current"):
            rolled_back(ledger, replacing="r1")

    def test_brings_a_release_back_where_none_is_current(self, ledger: Ledger) -> None:
        """After the current release has expired, an older one can be named."""
        published(ledger, "r1")
        published(ledger, "r2")
        ledger.expire("r2", actor="test")

        assert rolled_back(ledger, to="r1") == "r1"

    def test_stays_at_its_destination(self, ledger: Ledger) -> None:
        """The releases of another destination are left alone."""
        elsewhere = "file:///elsewhere"
        for name, destination in (("r1", None), ("r2", elsewhere), ("r3", None), ("r4", elsewhere)):
            published(ledger, name, **({"destination": destination} if destination else {}))

        with pytest.raises(ReleaseError, match="at another destination"):
            rolled_back(ledger, to="r1", destination=elsewhere)
        assert rolled_back(ledger, destination=elsewhere) == "r2"
        assert rolled_back(ledger, to="r1") == "r1"
        assert states(ledger) == {
            "r1": "current",
            "r2": "current",
            "r3": "rolled_back",
            "r4": "rolled_back",
        }


class TestDiscardAndExpire:
    """`Ledger.discard`, `Ledger.expire` and `Ledger.due`."""

    def test_discard_ends_a_staged_release(self, ledger: Ledger) -> None:
        """Discarding leaves one entry, however often it is done."""
        ledger.begin_release(record("r1"), actor="test")
        for _ in range(2):
            ledger.discard("r1", reason="expectations failed", actor="test")

        assert states(ledger) == {"r1": "discarded"}
        assert kinds(ledger) == ["release.begun", "release.discarded"]

    def test_discard_refuses_a_published_release(self, ledger: Ledger) -> None:
        """A clean-up that comes too late does not take a release away."""
        published(ledger, "r1")

        with pytest.raises(ReleaseError, match=r"is current, so it cannot be discarded.*roll it back"):
            ledger.discard("r1", reason="test", actor="test")

    def test_due_lists_releases_past_their_time(self, ledger: Ledger) -> None:
        """What is due is listed until it is marked as expired."""
        published(ledger, "r1", expires_at=PAST)
        published(ledger, "r2", expires_at=PAST + timedelta(days=1))
        published(ledger, "r3", expires_at=FUTURE)
        published(ledger, "r4")

        assert [release.release_id for release in ledger.due()] == ["r2", "r1"]
        assert [release.release_id for release in ledger.due(PAST)] == ["r1"]
        for _ in range(2):
            ledger.expire("r1", actor="test")
        assert [release.release_id for release in ledger.due()] == ["r2"]
        assert kinds(ledger).count("release.expired") == 1

    def test_expire_refuses_an_unpublished_release(self, ledger: Ledger) -> None:
        """What was never published does not expire."""
        ledger.begin_release(record("r1"), actor="test")

        with pytest.raises(ReleaseError, match="is staged, so it cannot expire"):
            ledger.expire("r1", actor="test")


class TestQueries:
    """`Ledger.list` and `Ledger.last_schema`."""

    def test_list_gives_the_newest_first(self, ledger: Ledger) -> None:
        """All releases, or those of a policy or data set."""
        for days, (name, changed) in enumerate(
            [("r1", {}), ("r2", {"dataset": "orders"}), ("r3", {"policy": "other"})]
        ):
            begun = replace(record(name, **changed), created_at=PAST + timedelta(days=days))
            ledger.begin_release(begun, actor="test")

        assert [release.release_id for release in ledger.list()] == ["r3", "r2", "r1"]
        assert [release.release_id for release in ledger.list("retail")] == ["r2", "r1"]
        assert [release.release_id for release in ledger.list("retail", "orders")] == ["r2"]
        assert ledger.list("none") == ()

    def test_last_schema_is_the_current_releases(self, ledger: Ledger) -> None:
        """After a rollback the schema is that of the release that is used."""
        assert ledger.last_schema("retail", "customers") is None
        published(ledger, "r1")
        published(ledger, "r2")
        assert ledger.last_schema("retail", "customers") == {"id": "int64", "r2": "string"}
        rolled_back(ledger)
        assert ledger.last_schema("retail", "customers") == {"id": "int64", "r1": "string"}

    def test_last_schema_outlives_the_release(self, ledger: Ledger) -> None:
        """With none current, the last published one still says what the source was like."""
        published(ledger, "r1")
        published(ledger, "r2")
        ledger.expire("r2", actor="test")

        assert ledger.last_schema("retail", "customers") == {"id": "int64", "r2": "string"}

    @pytest.mark.parametrize(
        "content", [{}, {"source_schema": ["id"]}, {"source_schema": {"id": 1}}], ids=str
    )
    def test_last_schema_refuses_a_manifest_without_one(
        self, ledger: Ledger, content: dict[str, Any]
    ) -> None:
        """A manifest that does not tell is an error, not an empty schema."""
        ledger.begin_release(record("r1"), actor="test")
        ledger.publish("r1", content, rows_out=0, actor="test")

        with pytest.raises(ReleaseError, match="no source schema"):
            ledger.last_schema("retail", "customers")

    def test_manifest_survives_changes_of_state(self, ledger: Ledger) -> None:
        """Numbers that JSON writes without a point are stored and read to the same digest."""
        ledger.begin_release(record("r1"), actor="test")
        content = {"large": 2.0**60, "whole": 1.0, "tiny": 5e-324, "text": "\u20ac\U0001f600"}
        before = ledger.publish("r1", content, rows_out=0, actor="test")
        published(ledger, "r2")
        after = ledger.release("r1")

        assert after.manifest == content
        assert before.manifest_digest == after.manifest_digest == sha256_of(canonical_json(after.manifest))


NAMES = ("r1", "r2", "r3")
ACTIONS: dict[str, Callable[[Ledger, str], object]] = {
    "publish": published,
    "begin": lambda ledger, name: ledger.begin_release(record(name), actor="test"),
    "discard": lambda ledger, name: ledger.discard(name, reason="test", actor="test"),
    "expire": lambda ledger, name: ledger.expire(name, actor="test"),
    "back": lambda ledger, _: rolled_back(ledger),
    "back to": lambda ledger, name: rolled_back(ledger, to=name),
    "replace": lambda ledger, name: rolled_back(ledger, replacing=name),
}


class TestAnyOrder:
    """Whatever is asked in whatever order, the ledger stays in order."""

    @settings(max_examples=40, deadline=None)
    @given(st.lists(st.tuples(st.sampled_from(sorted(ACTIONS)), st.sampled_from(NAMES)), max_size=12))
    def test_keeps_what_must_hold(self, tmp_path_factory: Any, actions: list[tuple[str, str]]) -> None:
        """At most one release is current, each change has its entry, and a refusal changes nothing."""
        folder: Path = tmp_path_factory.mktemp("ledger")
        with Ledger.open(folder / "ledger.db") as ledger:
            for action, name in actions:
                before = states(ledger), kinds(ledger)
                try:
                    ACTIONS[action](ledger, name)
                except ReleaseError:
                    assert before == (states(ledger), kinds(ledger))
                after = states(ledger)
                assert list(after.values()).count("current") <= 1
                known = before[0]
                changed = [name for name in after if name in known and known[name] != after[name]]
                assert len(kinds(ledger)) > len(before[1]) or not changed
            ledger.verify_chain()
