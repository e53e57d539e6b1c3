"""A policy with the outside systems that it names, each opened when first used."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Self

from airflow_veil.privacy.errors import KeyRingError, PolicyError, ReleaseError, SchemaError, StorageError
from airflow_veil.privacy.policy.check import check
from airflow_veil.privacy.policy.load import LoadedPolicy, load
from airflow_veil.privacy.policy.models import FileDestination, FileSource, TableDestination, TableSource
from airflow_veil.privacy.settings import Settings
from airflow_veil.privacy.storage.open import local_path

if TYPE_CHECKING:
    from airflow_veil.privacy.keys.ring import KeyRing
    from airflow_veil.privacy.ledger.ledger import Ledger
    from airflow_veil.privacy.storage.base import Destination, Source
    from airflow_veil.privacy.storage.scratch import Scratch


def no_connection(conn_id: str) -> str:
    """What stands where connections cannot be resolved.

    Raises:
        StorageError: Always.
    """
    raise StorageError(
        "Connections are resolved by Airflow, which is not at hand here",
        where=f"connection {conn_id}",
        fix="run through Airflow, or give a file",
    )


def no_key_ring(conn_id: str) -> KeyRing:
    """What stands where the connection of a key ring cannot be resolved.

    Raises:
        KeyRingError: Always.
    """
    raise KeyRingError(
        "The key ring is behind a connection, which Airflow resolves",
        where=f"connection {conn_id}",
        fix="run through Airflow, or name a key `file` in the policy",
    )


@dataclass(frozen=True, kw_only=True)
class Workspace:
    """A policy that checks, and what it works with.

    Attributes:
        loaded: The policy.
        settings: The places of this installation.
        source_uri: URI to read instead of the policy's source.
        destination_uri: URI to release to instead of the policy's destination.
        connect: Turns the id of a connection into a database URL.
        key_ring: Opens the key ring behind a connection, by the connection's id.
        open_ledger: Opens the ledger.
    """

    loaded: LoadedPolicy
    settings: Settings
    source_uri: str | None = None
    destination_uri: str | None = None
    connect: Callable[[str], str] = field(default=no_connection, repr=False)
    key_ring: Callable[[str], KeyRing] = field(default=no_key_ring, repr=False)
    open_ledger: Callable[[Settings], Ledger] | None = field(default=None, repr=False)

    @property
    def root(self) -> Path:
        """Where relative URIs start."""
        return self.settings.root_for(self.loaded.path)

    @cached_property
    def keys(self) -> KeyRing:
        """The key ring that the policy names; the installation's own key file where it names none.

        Raises:
            KeyRingError: It cannot be opened.
        """
        from airflow_veil.privacy.keys.file import KeyFile

        source = self.loaded.policy.keys
        if source is not None and source.connection is not None:
            return self.key_ring(source.connection)
        if source is not None and source.file is not None:
            return KeyFile(self.loaded.path.resolve().parent / Path(source.file).expanduser()).load()
        return KeyFile(self.settings.key_file).load()

    @cached_property
    def ledger(self) -> Ledger:
        """The ledger.

        Raises:
            LedgerError: It cannot be opened.
        """
        return (self.open_ledger or own_ledger)(self.settings)

    @cached_property
    def scratch(self) -> Scratch:
        """Where stepwise releases stage rows between tasks."""
        from airflow_veil.privacy.storage.scratch import Scratch

        return Scratch(self.settings.staging)

    def source(self, dataset: str) -> Source:
        """Where a data set's rows come from.

        Raises:
            SchemaError: The policy has no such data set.
            StorageError: It cannot be opened.
        """
        from airflow_veil.privacy.storage.open import open_source

        if dataset not in self.loaded.policy.datasets:
            raise SchemaError(f"the policy {self.loaded.policy.name} has no data set {dataset}")
        data = self.loaded.policy.datasets[dataset]
        source = data.source
        if self.source_uri is not None:
            source = (
                FileSource(uri=self.source_uri)
                if isinstance(source, TableSource)
                else source.model_copy(update={"uri": self.source_uri, "format": None})
            )
        declared = {name: column.arrow_type for name, column in data.columns.items()}
        types = {name: arrow_type for name, arrow_type in declared.items() if arrow_type is not None}
        if isinstance(source, TableSource):
            from airflow_veil.privacy.storage.sql import SqlSource

            return SqlSource(self.connect(source.connection), source.table, types)
        return open_source(source, root=self.root, types=types)

    @cached_property
    def destination(self) -> Destination:
        """Where releases go.

        Raises:
            ReleaseError: Neither the policy nor the caller says where.
            StorageError: It cannot be opened.
        """
        target = _destination(self.loaded, self.destination_uri)
        if isinstance(target, TableDestination):
            from airflow_veil.privacy.storage.sql import SqlDestination

            return SqlDestination(self.connect(target.connection), schema=target.db_schema)
        from airflow_veil.privacy.storage.folder import FolderDestination

        return FolderDestination(local_path(target.uri, root=self.root), format=target.format)

    def destination_of(self, dataset: str) -> Destination:
        """Where releases of a name go: a model may have a folder of its own.

        Raises:
            ReleaseError: Neither the policy nor the caller says where.
            StorageError: It cannot be opened.
        """
        model = self.loaded.policy.models.get(dataset)
        if model is None or model.destination is None or self.destination_uri is not None:
            return self.destination
        from airflow_veil.privacy.storage.folder import FolderDestination

        return FolderDestination(local_path(model.destination, root=self.root))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Let go of what was opened; what is staged stays for the next task."""
        opened = self.__dict__.get("ledger")
        if opened is not None:
            opened.close()


def checked(policy: Path | str) -> LoadedPolicy:
    """Load a policy that checks.

    Raises:
        PolicyError: It does not; the error holds every mistake.
    """
    loaded = load(policy)
    findings = check(loaded)
    if findings:
        raise PolicyError(findings)
    return loaded


def release_uri(
    loaded: LoadedPolicy, dataset: str, *, settings: Settings, destination: str | None = None
) -> str:
    """The URI of the releases of a data set or a model: its Asset, and its name in lineage. Nothing is opened.

    Raises:
        ReleaseError: Neither the policy nor the caller says where releases go.
    """
    model = loaded.policy.models.get(dataset)
    target = _destination(loaded, destination or (model.destination if model else None))
    if isinstance(target, TableDestination):
        return f"veil://{target.connection}/{target.db_schema or ''}/{dataset}"
    return (local_path(target.uri, root=settings.root_for(loaded.path)).absolute() / dataset).as_uri()


def _destination(loaded: LoadedPolicy, uri: str | None) -> FileDestination | TableDestination:
    release = loaded.policy.release
    if uri is not None:
        known = release.destination if release else None
        return FileDestination(
            uri=uri, format=known.format if isinstance(known, FileDestination) else "parquet"
        )
    if release is None:
        raise ReleaseError(
            "The policy does not say where releases go",
            where=loaded.path.name,
            fix="add `release: {destination: …}`, or name a destination",
        )
    return release.destination


def own_ledger(settings: Settings) -> Ledger:
    """Open the installation's own ledger; the home folder is made, for its owner alone, where it is missing.

    Raises:
        LedgerError: It cannot be opened.
    """
    from airflow_veil.privacy.ledger.ledger import Ledger

    with suppress(OSError):
        # What cannot be made is told by the ledger, with its own name for the place.
        settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    return Ledger.open(settings.ledger)
