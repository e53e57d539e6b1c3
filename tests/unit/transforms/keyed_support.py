"""What the tests of keyed treatments share: a key ring whose secrets are known, and a short way to treat."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest

from airflow_veil.privacy.errors import VeilError
from airflow_veil.privacy.keys.ring import KeyRing
from airflow_veil.privacy.keys.version import KeyState, KeyVersion, fingerprint_of
from airflow_veil.privacy.transforms.base import Binding, Transform

SENTINEL = "Zaphod-4711-Canary"


def ring(versions: int = 1, *, label: bytes = b"test") -> KeyRing:
    """A key ring that is the same in every run; the last of its versions is active."""
    secrets = {number: (label + bytes([number])).ljust(32, b"\0") for number in range(1, versions + 1)}
    states = dict.fromkeys(secrets, KeyState.RETIRED) | {versions: KeyState.ACTIVE}
    return KeyRing(
        [
            KeyVersion(
                number=number,
                state=states[number],
                created=datetime(2026, 1, 1, tzinfo=UTC),
                fingerprint=fingerprint_of(secret),
            )
            for number, secret in secrets.items()
        ],
        secrets,
    )


def bound(
    transform: Transform,
    source: pa.DataType | None = None,
    *,
    column: str = "orders.column",
    root: str = "customers.id",
    subject: str | None = "who",
    keys: KeyRing | None = None,
    version: int = 0,
) -> Binding:
    """Where a treatment stands, as the plan would say."""
    dataset, _, name = column.partition(".")
    return Binding(
        dataset=dataset,
        column=name,
        type=source or pa.string(),
        subject=subject,
        domain=transform.key_domain(column=column, subject=root if subject else ""),
        key_version=version,
        keys=keys or ring(),
    )


def treat(transform: Transform, values: pa.Array, who: pa.Array | None = None, **where: Any) -> pa.Array:
    """Treat one column; `who` is the subject column."""
    kernel = transform.prepare(bound(transform, values.type, **where))
    return kernel(values, {} if who is None else {"who": who})


def slices(values: pa.Array) -> list[pa.Array]:
    """The column in parts that do not begin where their buffers do."""
    third = len(values) // 3
    return [values.slice(0, 1), values.slice(1, third), values.slice(1 + third)]


def assert_storage_does_not_matter(
    transform: Transform, values: pa.Array, who: pa.Array | None = None
) -> None:
    """In parts, dictionary-encoded or with 64-bit offsets, a column gives what it gives as a plain one."""
    expected = treat(transform, values, who)
    assert expected.type == transform.output_type(values.type)
    parts = zip(slices(values), [None] * 3 if who is None else slices(who), strict=True)
    in_parts = pa.concat_arrays([treat(transform, part, names) for part, names in parts])
    assert in_parts.equals(expected), "sliced"
    encoded = values.dictionary_encode()
    assert transform.accepts(encoded.type)
    assert treat(transform, encoded, who).equals(expected), "dictionary-encoded"
    if pa.types.is_string(values.type):
        for wide in (pa.large_string(), pa.string_view()):
            assert transform.accepts(wide)
            assert treat(transform, values.cast(wide), who).equals(expected), wide
    empty, nulls = values.slice(0, 0), pa.nulls(3, values.type)
    nobody = None if who is None else who.slice(0, 0)
    assert len(treat(transform, empty, nobody)) == 0
    assert treat(transform, nulls, None if who is None else who.slice(0, 3)).null_count == 3


def refusal(act: Callable[[], object], error: type[VeilError] = VeilError) -> str:
    """The text of the error that an act ends in, with all that a log would show of it."""
    with pytest.raises(error) as caught:
        act()
    shown = f"{caught.value} {caught.value!r} {caught.value.__cause__!r} {caught.value.args!r}"
    assert SENTINEL not in shown
    return str(caught.value)
