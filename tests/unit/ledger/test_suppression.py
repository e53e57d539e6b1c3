"""The suppression list in the ledger."""

from __future__ import annotations

import hashlib
import time

import pytest

from airflow_veil.privacy.errors import ErasureError
from airflow_veil.privacy.ledger.ledger import Ledger
from airflow_veil.privacy.ledger.suppression import Entry, Suppressed

ACTOR = "test:officer"
REASON = "ticket 4711: they signed up again"


def digest(number: int) -> str:
    return hashlib.sha256(f"{number}".encode()).hexdigest()


def entry(number: int, *, domain: str = "customers.id", version: int = 1, request: str = "r1") -> Entry:
    return domain, version, digest(number), request


def add(ledger: Ledger, *entries: Entry, policy: str = "shop", batch: str = "b1") -> int:
    return ledger.suppression.add(policy, entries, batch_id=batch, actor=ACTOR)


def told(ledger: Ledger) -> list[tuple[str, str, dict[str, object]]]:
    return [(one.kind, one.subject, dict(one.content)) for one in ledger.evidence()]


class TestAdd:
    def test_is_there_by_domain_and_version(self, ledger: Ledger) -> None:
        """Domain, key version, hash and request come back; another policy sees nothing of them."""
        new = add(
            ledger,
            entry(1),
            entry(2, request="r2"),
            entry(1, version=2),
            entry(1, domain="invoices.id"),
        )

        assert new == 4
        assert ledger.suppression.of("shop").domains == {
            "customers.id": {1: {digest(1): "r1", digest(2): "r2"}, 2: {digest(1): "r1"}},
            "invoices.id": {1: {digest(1): "r1"}},
        }
        assert ledger.suppression.versions("shop") == ledger.suppression.of("shop").versions == {1, 2}
        assert ledger.suppression.of("other") == Suppressed()
        assert ledger.suppression.versions("other") == frozenset()

    def test_again_changes_nothing(self, ledger: Ledger) -> None:
        """A retry finds its entries; one that two requests name stays the first one's, and evidence stands once."""
        add(ledger, entry(1), entry(2))
        before = ledger.suppression.of("shop"), told(ledger)

        assert add(ledger, entry(2), entry(1, request="r9"), batch="b2") == 0
        assert (ledger.suppression.of("shop"), told(ledger)) == before

    def test_goes_on_where_another_try_ended(self, ledger: Ledger) -> None:
        """Only what is new is added and counted."""
        add(ledger, entry(1), entry(2))

        assert add(ledger, entry(2), entry(3), batch="b2") == 1
        assert told(ledger)[-1][2]["domains"] == {"customers.id": 1}

    def test_is_evidence_in_counts(self, ledger: Ledger) -> None:
        """One entry a call: how many by domain, and under which keys; no hash."""
        add(ledger, *(entry(number) for number in range(7)), entry(1, domain="invoices.id", version=3))

        ((kind, subject, payload),) = told(ledger)
        assert (kind, subject) == ("suppression.added", "shop/b1")
        assert payload == {
            "entries": 8,
            "domains": {"customers.id": 7, "invoices.id": 1},
            "key_versions": [1, 3],
        }

    @pytest.mark.parametrize(
        "wrong", ["canary@example.org", "", "A" * 64, "a" * 63, "a" * 64 + "\n"], ids=repr
    )
    def test_a_value_gets_in_never(self, ledger: Ledger, wrong: str) -> None:
        """What is no hash is refused, without being shown, and with it all of the call."""
        with pytest.raises(ErasureError, match="no keyed hash") as refused:
            add(ledger, entry(1), ("customers.id", 1, wrong, "r1"))

        assert not wrong or wrong not in str(refused.value)
        assert not ledger.suppression.of("shop")
        assert not told(ledger)

    def test_many_at_once(self, ledger: Ledger) -> None:
        """Twenty thousand entries take a moment, the second time, too."""
        many = [entry(number, request=f"r{number % 100}") for number in range(20_000)]
        begun = time.monotonic()

        assert add(ledger, *many) == 20_000
        assert add(ledger, *many) == 0
        assert ledger.suppression.of("shop").entries == 20_000
        assert time.monotonic() - begun < 20


class TestRemove:
    def test_takes_out_what_the_request_put_in(self, ledger: Ledger) -> None:
        """In all domains and versions; others stay."""
        add(ledger, entry(1), entry(1, version=2), entry(5, domain="invoices.id"), entry(2, request="r2"))

        assert ledger.suppression.remove("shop", "r1", reason=REASON, actor=ACTOR) == 3
        assert ledger.suppression.of("shop").domains == {"customers.id": {1: {digest(2): "r2"}}}
        assert told(ledger)[-1] == (
            "suppression.removed",
            "shop/r1",
            {"reason": REASON, "entries": 3, "domains": {"customers.id": 2, "invoices.id": 1}},
        )

    def test_again_does_nothing(self, ledger: Ledger) -> None:
        """Neither a retry nor a request that nobody knows is noted; other policies are not touched."""
        add(ledger, entry(1))
        add(ledger, entry(1), policy="other")
        ledger.suppression.remove("shop", "r1", reason=REASON, actor=ACTOR)
        before = told(ledger)

        assert ledger.suppression.remove("shop", "r1", reason=REASON, actor=ACTOR) == 0
        assert ledger.suppression.remove("shop", "unknown", reason=REASON, actor=ACTOR) == 0
        assert told(ledger) == before
        assert ledger.suppression.of("other")

    def test_who_is_erased_once_more_is_suppressed_once_more(self, ledger: Ledger) -> None:
        """Added, removed, added again."""
        add(ledger, entry(1))
        ledger.suppression.remove("shop", "r1", reason=REASON, actor=ACTOR)

        assert add(ledger, entry(1, request="r2"), batch="b2") == 1
        assert ledger.suppression.of("shop").of("customers.id") == {1: {digest(1): "r2"}}

    @pytest.mark.parametrize("reason", ["", "  short  ", "x" * 1025], ids=len)
    def test_needs_a_reason(self, ledger: Ledger, reason: str) -> None:
        """Nobody is let in without one."""
        add(ledger, entry(1))

        with pytest.raises(ErasureError, match="characters"):
            ledger.suppression.remove("shop", "r1", reason=reason, actor=ACTOR)
        assert ledger.suppression.of("shop")


class TestSuppressed:
    def test_asking_for_a_domain_makes_none(self, ledger: Ledger) -> None:
        """The list is what it was, whatever is looked up."""
        add(ledger, entry(1))
        found = ledger.suppression.of("shop")

        assert found.of("unknown.column") == {}
        assert list(found.domains) == ["customers.id"]

    def test_shows_no_hash(self, ledger: Ledger) -> None:
        """Its text has counts."""
        add(ledger, entry(1))

        assert repr(ledger.suppression.of("shop")) == "Suppressed(1 entries in 1 domains)"
