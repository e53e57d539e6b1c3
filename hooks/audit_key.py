"""The key that checkpoints are signed with, behind an Airflow connection or in a file of its owner alone."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseHook

from airflow_veil.hooks import connection
from airflow_veil.hooks.settings import settings
from airflow_veil.privacy.errors import KeyRingError, VeilError

if TYPE_CHECKING:
    from airflow_veil.privacy.audit.note import SigningKey, VerifierKey


class AuditKeyHook(BaseHook):
    """Opens the signing key.

    The connection holds the key itself in its password, the line that `veil audit keygen` writes to its file (a secrets
    backend then keeps it), or the path of that file in its extra field `file`.

    Args:
        audit_key_conn_id: The id of the connection; the installation's own key file if None.
    """

    conn_name_attr = "audit_key_conn_id"
    default_conn_name = "veil_audit_key"
    conn_type = "veil_audit_key"
    hook_name = "Veil audit key"

    def __init__(self, audit_key_conn_id: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.audit_key_conn_id = audit_key_conn_id

    def get_conn(self) -> SigningKey:
        """Open the key; from then on Airflow masks it in logs.

        Raises:
            MissingConnectionError: The connection is missing or of another type.
            KeyRingError: There is no key, or its file is not readable by its owner alone.
            AuditError: What is there is no signing key.
        """
        from airflow.sdk.log import mask_secret

        from airflow_veil.privacy.audit import keyfile
        from airflow_veil.privacy.audit.note import SigningKey

        if self.audit_key_conn_id is None:
            return keyfile.load(settings().audit_key)
        where = f"connection {self.audit_key_conn_id}"
        found = connection.fetch(self.audit_key_conn_id, types=(self.conn_type,))
        file = found.extra_dejson.get("file")
        if found.password:
            mask_secret(found.password)
            return SigningKey.parse(found.password, where=where)
        if file:
            return keyfile.load(Path(file))
        raise KeyRingError(
            "The connection holds no signing key",
            where=where,
            expected="the key in its password, or the path of its file in its field `file`",
            fix="run `veil audit keygen` and put the key or its path there",
        )

    def trusted(self, others: Iterable[str] = ()) -> tuple[VerifierKey, ...]:
        """The key's public half, and other verifier keys of the same log.

        Raises:
            MissingConnectionError: The connection is missing or of another type.
            KeyRingError: There is no key, or its file is not readable by its owner alone.
            AuditError: One of them is no key.
        """
        from airflow_veil.privacy.audit.note import VerifierKey

        return (self.get_conn().verifier, *(VerifierKey.parse(text) for text in others))

    def test_connection(self) -> tuple[bool, str]:
        """Open the key and tell its public half; what the connection form's test button runs."""
        try:
            key = self.get_conn()
        except VeilError as error:
            return False, str(error)
        return True, f"Signing key of {key.verifier}"
