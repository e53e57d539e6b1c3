"""The key ring behind an Airflow connection of type `veil_keys`, or in a file that only its owner can read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseHook

from airflow_veil.hooks import connection
from airflow_veil.privacy.errors import KeyRingError, VeilError

if TYPE_CHECKING:
    from airflow_veil.privacy.keys.ring import KeyRing


class KeyRingHook(BaseHook):
    """Opens the key ring.

    The connection holds the ring itself in its password, as `veil keys init --print` writes it (a secrets backend then
    keeps it), or the path of a key file in its extra field `file`.

    Args:
        keys_conn_id: The id of the connection.
    """

    conn_name_attr = "keys_conn_id"
    default_conn_name = "veil_keys"
    conn_type = "veil_keys"
    hook_name = "Veil key ring"

    def __init__(self, keys_conn_id: str = default_conn_name, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.keys_conn_id = keys_conn_id

    def get_conn(self) -> KeyRing:
        """Open the ring; from then on Airflow masks what it holds in logs.

        Raises:
            MissingConnectionError: The connection is missing or of another type.
            KeyRingError: It holds no ring, or the file is not readable by its owner alone.
        """
        from airflow.sdk.log import mask_secret

        from airflow_veil.privacy.keys.file import KeyFile
        from airflow_veil.privacy.keys.ring import KeyRing

        found = connection.fetch(self.keys_conn_id, types=(self.conn_type,))
        file = found.extra_dejson.get("file")
        if found.password:
            mask_secret(found.password)
            return KeyRing.from_json(found.password)
        if file:
            return KeyFile(Path(file)).load()
        raise KeyRingError(
            "The connection holds no key ring",
            where=f"connection {self.keys_conn_id}",
            expected="the ring in its password, or the path of a key file in its field `file`",
            fix="run `veil keys init` and put the ring or its path there",
        )

    def test_connection(self) -> tuple[bool, str]:
        """Open the ring and tell its versions; what the connection form's test button runs."""
        try:
            ring = self.get_conn()
        except VeilError as error:
            return False, str(error)
        return True, f"Key ring with current version {ring.current}"
