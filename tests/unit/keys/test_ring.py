"""The key ring."""

from __future__ import annotations

import copy
import dataclasses
import itertools
import json
import logging
import pickle
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_veil.privacy.errors import KeyRingError
from airflow_veil.privacy.keys.ring import KeyRing
from airflow_veil.privacy.keys.version import KeyState, KeyVersion, fingerprint_of

SECRET = bytes(range(32))


@pytest.fixture
def ring() -> KeyRing:
    """Version 1 destroyed, 2 retired, 3 active."""
    return KeyRing.generate().rotate().rotate().destroy(1)


def fixed_ring() -> KeyRing:
    """One version whose secret is known."""
    version = KeyVersion(
        number=1,
        state=KeyState.ACTIVE,
        created=datetime(2026, 1, 31, 23, 59, 59, tzinfo=UTC),
        fingerprint=fingerprint_of(SECRET),
    )
    return KeyRing([version], {1: SECRET})


def secrets_of(ring: KeyRing) -> list[str]:
    """The ring's secrets as its JSON writes them."""
    return [entry["secret"] for entry in json.loads(ring.to_json())["versions"] if entry["secret"]]


class TestSubkey:
    """`KeyRing.subkey`."""

    @pytest.mark.parametrize(
        ("length", "expected"),
        [
            (16, "c116061c1153c38c423cecf6cecc6a93"),
            (32, "2516d40e5290541f8eb5490a0c70a61db2646e4e64901291824ce6f42517e7fb"),
            (
                64,
                "d7102188b49643b8de711efea6abaf7e4fb099b5313fb0d07b72cc18718d93d7ac97020ea74e79199b2ef1ca51d5fe75888d395cef534f40a679c8f59b7eff57",
            ),
        ],
        ids=["16 bytes", "32 bytes", "64 bytes"],
    )
    def test_never_changes(self, length: int, expected: str) -> None:
        """The derivation is part of the format: another one would orphan every token ever made."""
        assert expected == fixed_ring().subkey("token", "customer", length=length).hex()

    def test_differs_by_everything_it_is_asked_for(self, ring: KeyRing) -> None:
        """Purpose, domain, version and length each give an unrelated key."""
        keys = [
            ring.subkey(purpose, domain, version=version, length=length)[:16]
            for purpose, domain, version, length in itertools.product(
                ["token", "fpe"], ["a", "b"], [2, 3], [16, 32]
            )
        ]

        assert len(keys) == len(set(keys))

    def test_keeps_purpose_and_domain_apart(self, ring: KeyRing) -> None:
        """A letter that moves from the purpose to the domain makes another key."""
        assert ring.subkey("ab", "c") != ring.subkey("a", "bc")

    def test_is_of_the_active_version_by_default(self, ring: KeyRing) -> None:
        """Without a version, the current one is meant."""
        assert ring.subkey("token", "a", version=ring.current) == ring.subkey("token", "a")

    def test_outlives_rotation(self, ring: KeyRing) -> None:
        """A retired version gives the keys that it gave as the active one."""
        assert ring.subkey("token", "a") == ring.rotate().subkey("token", "a", version=ring.current)

    def test_refuses_a_destroyed_version(self, ring: KeyRing) -> None:
        """What a destroyed version made stays unreadable."""
        with pytest.raises(KeyRingError, match=r"version 1 of the key ring is destroyed.*Fix: "):
            ring.subkey("token", "a", version=1)

    @pytest.mark.parametrize("version", [-1, 0, 4], ids=str)
    def test_refuses_an_unknown_version(self, ring: KeyRing, version: int) -> None:
        """A version that is not there is an error that says which are."""
        with pytest.raises(KeyRingError, match=rf"no version {version}.*Expected: 1 to 3"):
            ring.subkey("token", "a", version=version)

    @pytest.mark.parametrize(
        "asked",
        [
            {"purpose": "", "domain": "a"},
            {"purpose": "token", "domain": ""},
            {"purpose": "token", "domain": "a", "length": 0},
            {"purpose": "token", "domain": "a", "length": 8161},
        ],
        ids=["no purpose", "no domain", "no bytes", "too many bytes"],
    )
    def test_refuses_what_cannot_be_derived(self, ring: KeyRing, asked: dict[str, Any]) -> None:
        """Names must be given, and the length must be one that HKDF can give."""
        with pytest.raises(KeyRingError):
            ring.subkey(**asked)


class TestRotate:
    """`KeyRing.rotate`."""

    def test_retires_the_active_version(self, ring: KeyRing) -> None:
        """The new version is the active one, and the only one."""
        rotated = ring.rotate()

        assert [item.state for item in rotated.versions] == ["destroyed", "retired", "retired", "active"]
        assert rotated.current == 4

    def test_leaves_the_ring_alone(self, ring: KeyRing) -> None:
        """A ring is a value."""
        before = ring.to_json()
        ring.rotate()

        assert before == ring.to_json()

    def test_makes_a_secret_of_its_own(self, ring: KeyRing) -> None:
        """Two rotations of one ring never agree."""
        assert ring.rotate().fingerprint(4) != ring.rotate().fingerprint(4)


class TestDestroy:
    """`KeyRing.destroy`."""

    def test_removes_the_secret(self) -> None:
        """Nothing of the secret is in the new ring's JSON, and the version stays listed."""
        ring = KeyRing.generate().rotate()
        destroyed = ring.destroy(1)

        assert secrets_of(ring)[0] not in destroyed.to_json()
        assert destroyed.version(1).state is KeyState.DESTROYED
        assert destroyed.version(1).destroyed is not None

    def test_refuses_the_active_version(self, ring: KeyRing) -> None:
        """There must always be a version for new values."""
        with pytest.raises(KeyRingError, match=r"is active.*Fix: rotate first"):
            ring.destroy(3)

    def test_is_idempotent(self, ring: KeyRing) -> None:
        """Destroying again changes nothing, not even the time."""
        assert ring == ring.destroy(1)

    def test_keeps_the_fingerprint(self) -> None:
        """A destroyed version can still be told apart."""
        ring = KeyRing.generate().rotate()

        assert ring.fingerprint(1) == ring.destroy(1).fingerprint(1)


class TestSecrecy:
    """A ring does not show its secrets."""

    @pytest.mark.parametrize("show", [repr, str, "{}".format, "%s".__mod__, ascii], ids=lambda f: str(f)[:30])
    def test_text_holds_versions_and_states_only(self, ring: KeyRing, show: Callable[[object], str]) -> None:
        """Any text of the ring is the same short one."""
        assert show(ring) == "KeyRing(1 destroyed, 2 retired, 3 active)"

    def test_logs_show_nothing(self, ring: KeyRing, caplog: pytest.LogCaptureFixture) -> None:
        """A logged ring, or its versions, hold no secret."""
        logging.getLogger(__name__).warning("%s %r", ring, ring.versions)

        assert not any(secret in caplog.text for secret in secrets_of(ring))

    @pytest.mark.parametrize(
        "travel",
        [pickle.dumps, copy.copy, copy.deepcopy],
        ids=["pickle", "copy", "deepcopy"],
    )
    def test_is_not_pickled_or_copied(self, ring: KeyRing, travel: Callable[[object], object]) -> None:
        """A ring does not travel between processes."""
        with pytest.raises(KeyRingError, match="not pickled"):
            travel(ring)

    @pytest.mark.parametrize("unfold", [json.dumps, vars, dataclasses.asdict], ids=["json", "vars", "asdict"])
    def test_does_not_unfold(self, ring: KeyRing, unfold: Callable[[Any], object]) -> None:
        """Generic serializers find no fields."""
        with pytest.raises(TypeError):
            unfold(ring)

    def test_does_not_go_to_xcom(self, ring: KeyRing) -> None:
        """Airflow's serializer, which unfolds dataclasses, refuses a ring."""
        serde = pytest.importorskip("airflow.sdk.serde")

        with pytest.raises((TypeError, KeyRingError)):
            serde.serialize(ring)

    def test_fingerprint_is_no_part_of_a_secret(self) -> None:
        """The fingerprint is derived, neither a cut of the secret nor a hash of it."""
        import hashlib

        fingerprint = fixed_ring().fingerprint(1)

        assert fingerprint == "abf0fa33ca8fd8f6"
        assert fingerprint not in SECRET.hex() + hashlib.sha256(SECRET).hexdigest()


class TestJson:
    """`KeyRing.to_json` and `KeyRing.from_json`."""

    def test_round_trips(self, ring: KeyRing) -> None:
        """A ring that is read again gives the same keys and the same text."""
        again = KeyRing.from_json(ring.to_json())

        assert ring == again
        assert ring.to_json() == again.to_json()
        assert ring.subkey("token", "a", version=2) == again.subkey("token", "a", version=2)

    def test_reads_what_the_first_release_wrote(self) -> None:
        """The format is fixed."""
        text = (
            '{"format": 1, "versions": [{"version": 1, "state": "active", "created": "2026-01-31T23:59:59Z",'
            ' "destroyed": null, "fingerprint": "abf0fa33ca8fd8f6",'
            ' "secret": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="}]}'
        )

        assert fixed_ring() == KeyRing.from_json(text)

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "{",
            "[]",
            "null",
            '{"format": 1}',
            b"\xff\xfe\x00",
            '{"format": 1, "format": 1, "versions": []}',
            "[" * 100_000,
        ],
        ids=["empty", "cut", "list", "null", "no versions", "no text", "field twice", "deep"],
    )
    def test_refuses_what_is_no_ring(self, text: str | bytes) -> None:
        """Anything else is told to be none, with where it came from."""
        with pytest.raises(KeyRingError, match=r"^here: not a key ring.*veil keys init") as caught:
            KeyRing.from_json(text, where="here")

        assert caught.value.__cause__ is None

    @pytest.mark.parametrize("number", [0, 2, True, "1", None], ids=repr)
    def test_refuses_another_format(self, number: object) -> None:
        """A newer format is not guessed at."""
        with pytest.raises(KeyRingError, match="another format"):
            KeyRing.from_json(json.dumps({"format": number, "versions": []}))

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("version", "3"),
            ("version", True),
            ("version", 4),
            ("state", "broken"),
            ("state", ["active"]),
            ("state", "retired"),
            ("state", "destroyed"),
            ("created", "yesterday"),
            ("created", None),
            ("created", "2026-01-31T23:59:59+02:00"),
            ("destroyed", "2026-01-31T23:59:59Z"),
            ("fingerprint", "0" * 16),
            ("fingerprint", "short"),
            ("fingerprint", 1),
            ("secret", "c2VjcmV0IGluIGNsZWFy"),
            ("secret", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="),
            ("secret", "ünicode"),
            ("secret", "not base64!"),
            ("secret", 7),
            ("secret", None),
            ("surplus", 1),
        ],
        ids=lambda value: str(value)[:24],
    )
    def test_refuses_a_damaged_version(self, ring: KeyRing, field: str, value: object) -> None:
        """Each field is checked, and the message shows none of what the file holds."""
        content = json.loads(ring.to_json())
        content["versions"][2][field] = value

        with pytest.raises(KeyRingError, match=r"^keys\.json") as caught:
            KeyRing.from_json(json.dumps(content), where="keys.json")

        shown = str(caught.value) + repr(caught.value)
        assert not any(secret in shown for secret in secrets_of(ring))
        assert not (field == "secret" and isinstance(value, str) and value in shown)
        assert caught.value.__cause__ is None

    @pytest.mark.parametrize(
        "order", [[0, 2], [0, 1, 1], [1, 0, 2], []], ids=["gap", "twice", "out of order", "none"]
    )
    def test_refuses_missing_versions(self, ring: KeyRing, order: list[int]) -> None:
        """A version cannot vanish, or stand twice, without being noticed."""
        content = json.loads(ring.to_json())
        content["versions"] = [content["versions"][i] for i in order]

        with pytest.raises(KeyRingError):
            KeyRing.from_json(json.dumps(content))


class TestKeyVersion:
    """`KeyVersion`."""

    @pytest.mark.parametrize(
        "created",
        [datetime(2026, 1, 1), datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=2)))],
        ids=["naive", "elsewhere"],
    )
    def test_refuses_a_time_that_is_not_utc(self, created: datetime) -> None:
        """Times are aware and in UTC."""
        with pytest.raises(KeyRingError, match="not in UTC"):
            KeyVersion(number=1, state=KeyState.ACTIVE, created=created, fingerprint="0" * 16)

    def test_holds_no_secret(self, ring: KeyRing) -> None:
        """What may be known of a version can be written anywhere."""
        fields = dataclasses.asdict(ring.versions[2])

        assert {"number", "state", "created", "destroyed", "fingerprint"} == set(fields)
