"""An object store for tests: a server of its own that speaks S3's protocol, gone when the tests end."""

from __future__ import annotations

import logging
import os
from typing import Self
from unittest import mock

from moto.server import ThreadedMotoServer
from pyarrow import fs

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "veil-tests",
    "AWS_SECRET_ACCESS_KEY": "not a secret",
    "AWS_EC2_METADATA_DISABLED": "true",
}


class ObjectStore:
    """A server on 127.0.0.1; use as a context manager, within which this process has its credentials."""

    def __init__(self) -> None:
        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        self._environment = mock.patch.dict(os.environ, CREDENTIALS)
        self._buckets = 0

    def __enter__(self) -> Self:
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._environment.start()
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop()
        self._environment.stop()

    @property
    def endpoint(self) -> str:
        """Host and port."""
        host, port = self._server.get_host_and_port()
        return f"{host}:{port}"

    @property
    def files(self) -> fs.S3FileSystem:
        """All that is there, by bucket and key."""
        return fs.S3FileSystem(
            endpoint_override=self.endpoint, scheme="http", region="us-east-1", allow_bucket_creation=True
        )

    def bucket(self) -> str:
        """The name of a new bucket."""
        self._buckets += 1
        name = f"bucket-{self._buckets}"
        self.files.create_dir(name)
        return name

    def address(self, path: str) -> str:
        """The address of a bucket and a prefix in it."""
        return f"s3://{path}?endpoint_override={self.endpoint}&scheme=http&region=us-east-1"
