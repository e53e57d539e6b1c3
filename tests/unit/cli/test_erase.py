"""`veil erase` on a small installation: requests, their deadlines, and that nobody's name is shown."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.unit.cli.conftest import Installation
from tests.unit.erasure.asking import installed

from airflow_veil.privacy.erasure.requests import opened
from airflow_veil.privacy.keys.file import KeyFile
from airflow_veil.privacy.ledger.ledger import Ledger

WHY = ("--reason", "ticket 4711 says so")
CANARY = "canary-one@example.com"


@pytest.fixture
def shop(tmp_path: Path) -> Installation:
    installed(tmp_path)
    return Installation(tmp_path)


def asked(shop: Installation, *args: str | Path, stdin: str = "") -> list[dict[str, Any]]:
    """Take requests down."""
    result = shop.veil("erase", "request", shop.root / "shop.yaml", "--json", *args, stdin=stdin)
    assert result.exit_code == 0, result.output
    found: list[dict[str, Any]] = json.loads(result.stdout)
    return found


def named(shop: Installation, request: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    """By what a request names the person, opened with the key ring."""
    with Ledger.open(shop.root / "home" / "ledger.db") as ledger:
        found = ledger.erasures.find(request["request_id"])
    return opened(found, KeyFile(shop.root / "home" / "keys.json").load())


class TestRequest:
    def test_lines(self, shop: Installation) -> None:
        """From standard input: by a name that is given, or by lines with names."""
        (one,) = asked(shop, "--id", "email", stdin=f"{CANARY}\r\n")
        (two,) = asked(shop, stdin="number=4711\nemail=a=b@x\nemail=c@x\n\n")
        (three,) = asked(shop, "--id", "customers.number=4712", "--id", "email", stdin="d@x\n")

        assert named(shop, one) == {"customers.email": (CANARY,)}
        assert named(shop, two) == {"customers.number": ("4711",), "customers.email": ("a=b@x", "c@x")}
        assert named(shop, three) == {"customers.number": ("4712",), "customers.email": ("d@x",)}

    def test_file(self, shop: Installation) -> None:
        """A row a person; an empty cell names nobody."""
        people = shop.root / "people.csv"
        people.write_text('\ufeffnumber,email\n4711,\n,"a, b@x"\n4711,\n')
        first, second, third = asked(shop, "--batch", people, "--received", "2026-01-31")
        assert named(shop, first) == {"customers.number": ("4711",)}
        assert named(shop, second) == {"customers.email": ("a, b@x",)}
        assert third == first
        assert first["due_at"] == "2026-02-28T22:59:59+00:00"

    def test_tells_the_deadline(self, shop: Installation) -> None:
        """By the clocks of the policy."""
        said = shop.ok(
            *("erase", "request", shop.root / "shop.yaml", "--id", "number=4711", "--received", "2026-01-31")
        )
        assert "is due by 2026-02-28T23:59:59+01:00" in said

    @pytest.mark.parametrize(
        ("args", "stdin", "code"),
        [
            (("--id", "email"), "", 8),
            (("--id", "email"), "canary\ncanary\n", 8),
            ((), "canary\n", 8),
            ((), "=canary\n", 8),
            ((), "", 8),
            ((), "canary=canary\n", 8),
            ((), "number=canary\n", 8),
            (("--id", "canary=1"), "", 8),
            (("--batch", "people.csv", "--id", "email"), "", 2),
            (("--id", "number=4711", "--received", "2999-01-01"), "", 8),
        ],
    )
    def test_refuses_without_telling(
        self, shop: Installation, args: tuple[str, ...], stdin: str, code: int
    ) -> None:
        result = shop.veil("erase", "request", shop.root / "shop.yaml", *args, stdin=stdin)
        assert result.exit_code == code, result.output
        assert "canary" not in result.output

    @pytest.mark.parametrize(
        "text",
        [
            None,
            "",
            "email\n",
            "number,email\ncanary\n",
            "number\n4711\ncanary\n",
            "number,email\n,\n",
            'email\n"canary\n',
            "canary\nx\n",
        ],
    )
    def test_refuses_files(self, shop: Installation, text: str | None) -> None:
        people = shop.root / "people.csv"
        if text is not None:
            people.write_text(text)
        result = shop.veil("erase", "request", shop.root / "shop.yaml", "--batch", people)
        assert result.exit_code == 8, result.output
        assert "canary" not in result.output
        assert json.loads(shop.ok("erase", "list", "--json")) == []


class TestList:
    def test_due(self, shop: Installation) -> None:
        """Ends with 8 where something is due; what is paused or through is not."""
        long_ago = (datetime.now(UTC) - timedelta(days=90)).strftime("%Y-%m-%d")
        (over,) = asked(shop, "--id", "number=4711", "--received", long_ago)
        (far,) = asked(shop, "--id", "number=4712")

        due = shop.veil("erase", "list", "--due-within", "P7D", "--json")
        assert (due.exit_code, [each["request_id"] for each in json.loads(due.stdout)]) == (
            8,
            [over["request_id"]],
        )
        assert shop.veil("erase", "list", "--due-within", "P2M").stdout.count("erasure-") == 2
        assert shop.veil("erase", "list", "--due-within", "soon").exit_code == 8
        shop.ok("erase", "cancel", over["request_id"], *WHY)
        assert shop.veil("erase", "list", "--due-within", "P7D").exit_code == 0
        assert [each["request_id"] for each in json.loads(shop.ok("erase", "list", "--json"))] == [
            far["request_id"]
        ]
        assert shop.ok("erase", "list", "--all", "--policy", "shop").count("erasure-") == 2
        assert json.loads(shop.ok("erase", "list", "--policy", "bank", "--json")) == []

    def test_show(self, shop: Installation) -> None:
        (one,) = asked(shop, "--id", "email", stdin=CANARY)
        shown = json.loads(shop.ok("erase", "show", one["request_id"], "--json"))
        assert shown == one
        assert not {"sealed", "subject"} & set(shown)
        assert "customers.email" in shop.ok("erase", "show", one["request_id"])
        unknown = shop.veil("erase", "show", "erasure-0")
        assert unknown.exit_code == 8
        assert "there is no such request" in unknown.output


class TestChanges:
    def test_changes(self, shop: Installation) -> None:
        (one,) = asked(shop, "--id", "number=4711", "--received", "2026-01-31")
        name = one["request_id"]

        extended = json.loads(shop.ok("erase", "extend", name, "--by", "P2M", *WHY, "--json"))
        assert extended["due_at"] == "2026-04-28T21:59:59+00:00"
        assert "is due by 2026-04-28T23:59:59+02:00" in shop.ok("erase", "extend", name, "--by", "P2M", *WHY)
        assert shop.veil("erase", "extend", name, "--by", "P1M", *WHY).exit_code == 8
        assert "is paused" in shop.ok("erase", "pause", name, *WHY)
        assert json.loads(shop.ok("erase", "show", name, "--json"))["paused_reason"] == WHY[1]
        assert "is due by 2026-04-" in shop.ok("erase", "resume", name, *WHY)
        assert "is cancelled" in shop.ok("erase", "cancel", name, *WHY)
        assert json.loads(shop.ok("erase", "show", name, "--json"))["state"] == "cancelled"

    def test_nobody_is_shown(self, shop: Installation) -> None:
        """Whatever is done with it, on either output, and in the bytes of the ledger."""
        policy, seen = shop.root / "shop.yaml", ""
        result = shop.veil("erase", "request", policy, "--id", "email", stdin=CANARY)
        seen += result.output
        name = result.stdout.split()[0]
        for command in (
            ("list", "--json"),
            ("show", name),
            ("pause", name, *WHY),
            ("resume", name, *WHY, "--json"),
            ("extend", name, "--by", "P2M", *WHY, "--json"),
            ("extend", name, "--by", "P1D", *WHY),
            ("cancel", name, *WHY, "--json"),
            ("list", "--all"),
        ):
            seen += shop.veil("erase", *command).output
        assert name in seen
        assert "canary" not in seen
        assert b"canary" not in (shop.root / "home" / "ledger.db").read_bytes()
