"""Requests: whom they name, and that nobody else gets to know."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.unit.erasure.asking import POLICY, installed, workspace

from airflow_veil.privacy.erasure.requests import opened, place, sealed_again
from airflow_veil.privacy.errors import ErasureError, KeyRingError, TamperedError, VeilError
from airflow_veil.privacy.keys.file import KeyFile
from airflow_veil.privacy.ledger.erasures import RequestState
from airflow_veil.privacy.release.workspace import Workspace

WHY = "ticket 4711 says so"
CANARY = "canary-one@example.com"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    installed(tmp_path)
    return tmp_path


@pytest.fixture
def shop(folder: Path) -> Workspace:
    return workspace(folder)


def asked(shop: Workspace, **named: Any) -> Any:
    return place(shop, named, actor="test")


class TestPlace:
    def test_names(self, shop: Workspace) -> None:
        """Full names, or columns; the policy's order; values open again with the key ring alone."""
        request = place(shop, {"customers.email": CANARY, "number": "4711"}, actor="test")

        assert request.identifiers == ("customers.number", "customers.email")
        assert opened(request, shop.keys) == {"customers.number": ("4711",), "customers.email": (CANARY,)}
        assert (request.state, request.requested_by) == (RequestState.WAITING, "test")
        assert request.time_zone == "Europe/Vienna"
        assert len(request.subject) == 64

    @pytest.mark.parametrize(
        ("name", "given", "spelled"),
        [
            ("number", "4711", "4711"),
            ("email", " Canary@Example.COM ", " Canary@Example.COM "),
            ("born", "1970-01-02", "1970-01-02"),
        ],
    )
    def test_spelling(self, shop: Workspace, name: str, given: str, spelled: str) -> None:
        """As the source's type spells it; text as it is."""
        assert opened(asked(shop, **{name: given}), shop.keys) == {f"customers.{name}": (spelled,)}

    def test_several_values(self, shop: Workspace) -> None:
        """An old address and a new one, each once, in whatever order."""
        one = place(shop, {"email": ["b@x", "a@x", "b@x"]}, actor="test")
        two = place(shop, {"customers.email": ["a@x"], "email": "b@x"}, actor="test")
        assert opened(one, shop.keys) == {"customers.email": ("a@x", "b@x")}
        assert two == one

    def test_same_person(self, shop: Workspace, folder: Path) -> None:
        """By the same values: one request, also after the keys were rotated; by others: another."""
        first = asked(shop, number="4711")
        assert asked(shop, number="4711") == first
        assert asked(shop, number="4712") != first
        assert asked(shop, number="4711", email=CANARY) != first
        KeyFile(folder / "home" / "keys.json").rotate()
        later = workspace(folder)
        assert asked(later, number="4711") == first
        assert asked(later, born="1970-01-02").key_version == 2
        assert opened(first, later.keys) == {"customers.number": ("4711",)}

    def test_deadline(self, shop: Workspace) -> None:
        """From the day it came, in the policy's zone."""
        request = place(
            shop, {"number": "4711"}, actor="test", received_at=datetime(2026, 1, 30, 23, 30, tzinfo=UTC)
        )
        assert request.requested_at == datetime(2026, 1, 30, 23, 30, tzinfo=UTC)
        assert request.due_at == datetime(2026, 2, 28, 22, 59, 59, tzinfo=UTC)

    @pytest.mark.parametrize(
        "named",
        [
            {"canary": "x"},
            {"canary-one@example.com": ""},
            {"customers.plan": "canary"},
            {"number": "canary"},
            {"number": "47.5"},
            {"number": ""},
            {"number": "canary99999999999999999999"},
            {"born": "canary-1970"},
            {"email": ""},
            {"email": ["canary", ""]},
            {"email": []},
            {},
        ],
    )
    def test_refuses_without_telling(self, shop: Workspace, named: dict[str, Any]) -> None:
        """What was given is in no message, be it value or name."""
        with pytest.raises(ErasureError) as caught:
            place(shop, named, actor="test")
        told = str(caught.value) + repr(caught.value.__dict__) + repr(caught.value.__context__)
        assert "canary" not in told
        assert shop.ledger.erasures.listed() == ()

    def test_refuses_times(self, shop: Workspace) -> None:
        for wrong in (datetime(2026, 1, 1), datetime.now(UTC) + timedelta(hours=1)):
            with pytest.raises(ErasureError):
                place(shop, {"number": "4711"}, actor="test", received_at=wrong)

    def test_columns_that_are_two(self, folder: Path) -> None:
        """A column that two identifiers have has to be told by its data set."""
        text = POLICY.replace(
            "release:", "  old:\n" + _customers().replace("  customers:\n", "") + "release:"
        )
        text = text.replace("customers.born]", "customers.born, old.email]")
        (folder / "shop.yaml").write_text(text)
        shop = workspace(folder)
        with pytest.raises(ErasureError, match="several") as caught:
            asked(shop, email=CANARY)
        assert "customers.email or old.email" in str(caught.value)
        assert place(shop, {"old.email": CANARY}, actor="test").identifiers == ("old.email",)

    def test_without_erasure(self, folder: Path) -> None:
        text = POLICY[: POLICY.index("erasure:\n  identifiers")].replace("    erasure: delete\n", "")
        (folder / "shop.yaml").write_text(text)
        with pytest.raises(ErasureError, match="says nothing of erasure"):
            asked(workspace(folder), number="4711")


def _customers() -> str:
    return POLICY[POLICY.index("  customers:") : POLICY.index("release:")]


class TestOpened:
    def test_destroyed(self, shop: Workspace) -> None:
        request = asked(shop, number="4711")
        cancelled = shop.ledger.erasures.cancel(request.request_id, reason=WHY, actor="test")
        for look in (lambda: opened(cancelled, shop.keys), lambda: sealed_again(cancelled, {}, shop.keys)):
            with pytest.raises(ErasureError, match="destroyed"):
                look()

    def test_of_another_request(self, shop: Workspace) -> None:
        """What is sealed for one request opens under no other name."""
        from dataclasses import replace

        one, two = asked(shop, number="4711"), asked(shop, number="4712")
        with pytest.raises(TamperedError):
            opened(replace(one, sealed=two.sealed), shop.keys)

    def test_key_destroyed(self, shop: Workspace) -> None:
        request = asked(shop, number="4711")
        with pytest.raises(KeyRingError, match="destroyed"):
            opened(request, shop.keys.rotate().destroy(1))

    def test_sealed_again(self, shop: Workspace) -> None:
        """What was named stays, and what is known by now comes to it, under the same key."""
        from dataclasses import replace

        request = asked(shop, email=CANARY)
        known = {
            "customers.number": ["4711"],
            "customers.email": ["other@example.com"],
            "orders.id": ["2", "1"],
        }
        again = sealed_again(request, known, shop.keys.rotate())
        assert opened(replace(request, sealed=again), shop.keys) == {
            "customers.email": (CANARY, "other@example.com"),
            "customers.number": ("4711",),
            "orders.id": ("1", "2"),
        }


class TestCanary:
    """Nobody who reads the ledger's file, a log or a repr learns who asked."""

    def test_no_bytes(self, shop: Workspace, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.DEBUG):
            one = place(shop, {"email": CANARY, "born": "1970-01-02"}, actor="test")
            two = place(shop, {"email": "canary-two@example.com"}, actor="test")
            erasures = shop.ledger.erasures
            erasures.pause(one.request_id, reason=WHY, actor="test")
            erasures.resume(one.request_id, reason=WHY, actor="test")
            erasures.cancel(two.request_id, reason=WHY, actor="test")
            with pytest.raises(VeilError):
                place(shop, {"number": "canary"}, actor="test")
        shop.ledger.close()
        content = (folder / "home" / "ledger.db").read_bytes()

        assert one.request_id.encode() in content
        for value in (b"canary", b"1970-01-02", b"example.com"):
            assert value not in content
        assert "canary" not in caplog.text + repr(one) + str(one) + repr(erasures.listed())

    def test_no_seal_is_left(self, shop: Workspace, folder: Path) -> None:
        """What was sealed is gone from the file's bytes once the request is cancelled, however long it was."""
        named = [f"{number:05d}@example.com" for number in range(2_000)]
        request = place(shop, {"email": named}, actor="test")
        sealed, file = request.sealed, folder / "home" / "ledger.db"
        assert sealed is not None
        parts = [sealed[place : place + 16] for place in range(0, len(sealed) - 16, 16)]
        before = file.read_bytes()
        shop.ledger.erasures.cancel(request.request_id, reason=WHY, actor="test")
        after = file.read_bytes()

        assert sum(part in before for part in parts) > len(parts) * 0.9
        assert not any(part in after for part in parts)
