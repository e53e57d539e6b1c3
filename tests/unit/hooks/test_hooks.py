"""The hooks: connections open what they name, and the test button tells what is wrong without secrets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from airflow_veil.hooks.audit_key import AuditKeyHook
from airflow_veil.hooks.connection import MissingConnectionError, fetch
from airflow_veil.hooks.keys import KeyRingHook
from airflow_veil.hooks.ledger import LedgerHook
from airflow_veil.hooks.workspace import database_url
from airflow_veil.privacy.audit import keyfile
from airflow_veil.privacy.audit.note import SigningKey
from airflow_veil.privacy.errors import KeyRingError
from airflow_veil.privacy.keys.file import KeyFile
from airflow_veil.privacy.keys.ring import KeyRing


def _connection(monkeypatch: pytest.MonkeyPatch, name: str, **parts: object) -> None:
    monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(parts))


class TestKeyRingHook:
    def test_the_password_holds_the_ring(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The ring itself is the connection's password, which Airflow encrypts and masks."""
        ring = KeyRing.generate().rotate()
        _connection(monkeypatch, "veil_keys", conn_type="veil_keys", password=ring.to_json())

        assert KeyRingHook().get_conn() == ring
        assert KeyRingHook().test_connection() == (True, "Key ring with current version 2")

    def test_the_extra_names_a_file(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        """A key file is named in the field `file`."""
        ring = KeyFile(tmp_path / "keys.json").create()
        extra = {"file": str(tmp_path / "keys.json")}
        _connection(monkeypatch, "veil_keys", conn_type="veil_keys", extra=extra)

        assert KeyRingHook().get_conn() == ring

    def test_a_connection_without_a_ring_says_so(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """An empty connection is an error that tells what belongs there."""
        _connection(monkeypatch, "veil_keys", conn_type="veil_keys")

        with pytest.raises(KeyRingError, match="veil keys init"):
            KeyRingHook().get_conn()
        good, message = KeyRingHook().test_connection()
        assert not good
        assert "no key ring" in message

    def test_a_bad_ring_is_not_shown(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """What is no ring is refused without being quoted: it may be half a secret."""
        _connection(monkeypatch, "veil_keys", conn_type="veil_keys", password="half-a-secret")

        good, message = KeyRingHook().test_connection()

        assert not good
        assert "half-a-secret" not in message


class TestAuditKeyHook:
    KEY = SigningKey.generate("example.com/veil")

    def test_the_password_holds_the_key(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The key itself is the connection's password; the test button tells its public half."""
        _connection(
            monkeypatch, "veil_audit_key", conn_type="veil_audit_key", password=self.KEY.secret_text()
        )

        assert AuditKeyHook("veil_audit_key").get_conn() == self.KEY
        assert AuditKeyHook("veil_audit_key").test_connection() == (
            True,
            f"Signing key of {self.KEY.verifier}",
        )

    def test_the_extra_names_a_file(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        """A key file is named in the field `file`; without a connection it is the installation's own."""
        keyfile.create(tmp_path / "audit.key", self.KEY)
        extra = {"file": str(tmp_path / "audit.key")}
        _connection(monkeypatch, "veil_audit_key", conn_type="veil_audit_key", extra=extra)
        monkeypatch.setenv("VEIL_AUDIT_KEY", extra["file"])

        assert AuditKeyHook("veil_audit_key").get_conn() == AuditKeyHook().get_conn() == self.KEY

    def test_a_connection_without_a_key_says_so(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """An empty connection tells what belongs there; what is no key is not quoted."""
        _connection(monkeypatch, "veil_audit_key", conn_type="veil_audit_key")
        _connection(monkeypatch, "bad", conn_type="veil_audit_key", password="half-a-secret")

        with pytest.raises(KeyRingError, match="veil audit keygen"):
            AuditKeyHook("veil_audit_key").get_conn()
        good, message = AuditKeyHook("bad").test_connection()
        assert not good
        assert "half-a-secret" not in message


class TestLedgerHook:
    def test_without_a_connection_it_is_the_installations_own(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        """The default is SQLite in the home folder."""
        monkeypatch.setenv("VEIL_HOME", str(tmp_path / "veil"))

        assert LedgerHook().test_connection() == (True, "Ledger with 0 releases")
        assert (tmp_path / "veil" / "ledger.db").exists()

    def test_a_connection_names_postgresql(self, monkeypatch: pytest.MonkeyPatch, postgres: str) -> None:
        """A team's ledger is on PostgreSQL, behind a connection."""
        from sqlalchemy import make_url

        url = make_url(postgres)
        _connection(
            monkeypatch,
            "veil_ledger",
            conn_type="veil_ledger",
            host=url.host,
            port=url.port,
            login=url.username,
            password=url.password,
            schema=url.database,
        )

        assert LedgerHook("veil_ledger").test_connection() == (True, "Ledger with 0 releases")

    def test_an_unreachable_database_does_not_show_its_password(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The test button tells what is wrong, never the password."""
        parts = {"host": "127.0.0.1", "port": 1, "login": "veil", "password": "very-secret", "schema": "veil"}
        _connection(monkeypatch, "veil_ledger", conn_type="veil_ledger", **parts)

        good, message = LedgerHook("veil_ledger").test_connection()

        assert not good
        assert "very-secret" not in message


class TestConnection:
    def test_a_missing_connection_says_how_to_add_it(self) -> None:
        """The error names the variable that would define it."""
        with pytest.raises(MissingConnectionError, match="AIRFLOW_CONN_NOT_THERE"):
            fetch("not_there", types=("sqlite",))

    def test_another_type_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A connection of another type is not guessed at."""
        _connection(monkeypatch, "crm", conn_type="http", host="crm.example.com")

        with pytest.raises(MissingConnectionError, match="of type http"):
            database_url("crm")

    @pytest.mark.parametrize(
        ("parts", "url"),
        [
            ({"conn_type": "sqlite", "host": "/data/crm.db"}, "sqlite:////data/crm.db"),
            ({"conn_type": "sqlite", "schema": "/data/crm.db"}, "sqlite:////data/crm.db"),
            (
                {
                    "conn_type": "postgres",
                    "host": "db",
                    "port": 5432,
                    "login": "u",
                    "password": "p@ss",
                    "schema": "crm",
                },
                "postgresql://u:p%40ss@db:5432/crm",
            ),
        ],
        ids=["sqlite", "sqlite URI", "postgres"],
    )
    def test_a_database_url_is_built(
        self, monkeypatch: pytest.MonkeyPatch, parts: dict[str, object], url: str
    ) -> None:
        """SQLite and PostgreSQL connections become URLs, with their parts quoted."""
        _connection(monkeypatch, "crm", **parts)

        assert database_url("crm") == url
