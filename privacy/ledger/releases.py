"""Releases and what becomes of them.

```
begin ──► staged ──publish──► current ──the next one──► superseded
            │                    │ rollback                 │
            ▼                    ▼                          ▼
        discarded           rolled_back ──────expire──► expired
```

At most one release of a data set is current at a destination; the database itself enforces it. Superseded and
rolled back releases can be made current again; discarded, rolled back and expired ones can be begun again by
a new run of their interval. Every function here runs in a transaction that holds the writer's lock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, case, func, insert, select, update

from airflow_veil.privacy.errors import ReleaseError
from airflow_veil.privacy.ledger import evidence
from airflow_veil.privacy.ledger.canonical import canonical_json, read_canonical, sha256_of
from airflow_veil.privacy.ledger.record import ReleaseRecord, ReleaseState, utc_now
from airflow_veil.privacy.ledger.tables import releases


def begin(connection: Connection, record: ReleaseRecord, *, actor: str) -> ReleaseRecord:
    """The release of a run. See `Ledger.begin_release`."""
    if record.state is not ReleaseState.STAGED:
        raise ReleaseError("a release begins as staged", where=record.where)
    row = releases.c
    same_run = and_(row.policy == record.policy, row.dataset == record.dataset, row.run_key == record.run_key)
    found = _select(connection, same_run)
    return _begin_again(connection, found[0], record, actor) if found else _insert(connection, record, actor)


def _begin_again(
    connection: Connection, existing: ReleaseRecord, record: ReleaseRecord, actor: str
) -> ReleaseRecord:
    """The run's release as it is, if it goes on from there; otherwise staged anew."""
    if existing.destination != record.destination:
        raise ReleaseError(
            "the run was begun for another destination",
            where=existing.where,
            fix="give the run another key, or the policy its former destination",
        )
    if existing.state in (ReleaseState.CURRENT, ReleaseState.SUPERSEDED):
        return existing
    same = (existing.policy_digest, existing.plan_digest) == (record.policy_digest, record.plan_digest)
    if existing.state is ReleaseState.STAGED and same:
        # The same run twice at once: what the other has drafted stays.
        return existing
    again = replace(record, release_id=existing.release_id)
    _record(connection, "release.begun_again", again, {"was": existing.state, **_digests(record)}, actor)
    return _store(connection, again)


def _insert(connection: Connection, record: ReleaseRecord, actor: str) -> ReleaseRecord:
    if _select(connection, releases.c.release_id == record.release_id):
        raise ReleaseError("the release's id is taken by another run", where=record.where)
    connection.execute(insert(releases), _row(record))
    _record(connection, "release.begun", record, {"run_key": record.run_key, **_digests(record)}, actor)
    return record


def publish(
    connection: Connection,
    release_id: str,
    manifest: Mapping[str, Any],
    *,
    rows_out: int,
    expires_at: datetime | None,
    actor: str,
) -> ReleaseRecord:
    """Make a staged release the current one. See `Ledger.publish`."""
    record = find(connection, release_id)
    if record.state in (ReleaseState.CURRENT, ReleaseState.SUPERSEDED):
        return record
    _expect(record, ReleaseState.STAGED, to="published", fix="begin the run again")
    previous = _current_at(connection, record)
    if previous:
        _store(connection, replace(previous, state=ReleaseState.SUPERSEDED))
    text = canonical_json(manifest)
    published = replace(
        record,
        state=ReleaseState.CURRENT,
        manifest=read_canonical(text),
        manifest_digest=sha256_of(text),
        rows_out=rows_out,
        published_at=utc_now(),
        expires_at=expires_at,
    )
    told = {
        "run_key": published.run_key,
        **_digests(published),
        "manifest_digest": published.manifest_digest,
        "rows_out": rows_out,
        "supersedes": previous and previous.release_id,
    }
    if "suppressed_rows" in manifest:
        told["suppressed_rows"] = manifest["suppressed_rows"]
    entry = _record(connection, "release.published", published, told, actor)
    return _store(connection, replace(published, published_seq=entry.seq))


def roll_back(
    connection: Connection,
    policy: str,
    dataset: str,
    *,
    to: str | None,
    replacing: str | None,
    destination: str | None,
    reason: str,
    actor: str,
) -> ReleaseRecord:
    """Make an earlier release current again. See `Ledger.rollback`."""
    named = _named_target(connection, policy, dataset, to, destination) if to else None
    bad = (
        _current_at(connection, named)
        if named
        else current(connection, policy, dataset, destination=destination)
    )
    if replacing is not None and (bad is None or bad.release_id != replacing):
        return _rolled_back_already(connection, replacing, bad)
    good = named or _before(connection, bad, policy, dataset)
    if good == bad:
        return good
    _check_usable(good)
    if bad:
        _store(connection, replace(bad, state=ReleaseState.ROLLED_BACK))
    told = {"reason": reason, "replaces": bad and bad.release_id, "manifest_digest": good.manifest_digest}
    _record(connection, "release.rolled_back", good, told, actor)
    return _store(connection, replace(good, state=ReleaseState.CURRENT))


def draft(
    connection: Connection, release_id: str, facts: Mapping[str, Any], note: evidence.Note | None = None
) -> None:
    """Add to the draft of a manifest. See `Ledger.draft`."""
    record = find(connection, release_id)
    _expect(record, ReleaseState.STAGED, to="drafted", fix="begin a new release")
    text = canonical_json({**(record.manifest or {}), **facts})
    _store(connection, replace(record, manifest=read_canonical(text), manifest_digest=sha256_of(text)))
    if note is not None:
        _record(connection, note.kind, record, note.payload, note.actor)


def rollback_target(
    connection: Connection, policy: str, dataset: str, *, to: str | None, destination: str | None
) -> ReleaseRecord:
    """The release to go back to. See `Ledger.rollback_target`."""
    if to is None:
        bad = current(connection, policy, dataset, destination=destination)
        return _before(connection, bad, policy, dataset)
    good = _named_target(connection, policy, dataset, to, destination)
    if good.state is not ReleaseState.CURRENT:
        _check_usable(good)
    return good


def _named_target(
    connection: Connection, policy: str, dataset: str, release_id: str, destination: str | None
) -> ReleaseRecord:
    good = find(connection, release_id)
    if (good.policy, good.dataset) != (policy, dataset):
        raise ReleaseError(
            "the release is another data set's", where=good.where, expected=f"{policy}.{dataset}"
        )
    if destination not in (None, good.destination):
        raise ReleaseError("the release is at another destination", where=good.where)
    return good


def _rolled_back_already(
    connection: Connection, replacing: str, now_current: ReleaseRecord | None
) -> ReleaseRecord:
    """What a second try of the same rollback finds done; anything else is another release's business."""
    replaced = find(connection, replacing)
    if replaced.state is ReleaseState.ROLLED_BACK and now_current:
        return now_current
    raise ReleaseError(
        f"the release is {replaced.state}, not current, so it cannot be rolled back",
        where=replaced.where,
        fix="look at `veil releases list` and name the release that is current",
    )


def _before(connection: Connection, bad: ReleaseRecord | None, policy: str, dataset: str) -> ReleaseRecord:
    """The last good release that was published before this one, at the same destination."""
    if bad is None:
        raise ReleaseError(
            "no release is current, so there is none before it",
            where=f"{policy}.{dataset}",
            fix="name the release to go back to",
        )
    earlier = [
        record
        for record in _select(connection, _at(bad), releases.c.state == ReleaseState.SUPERSEDED)
        if _order(record) < _order(bad) and not _is_due(record)
    ]
    if not earlier:
        raise ReleaseError("there is no good release before this one", where=bad.where)
    return max(earlier, key=_order)


def _check_usable(good: ReleaseRecord) -> None:
    possible = (ReleaseState.SUPERSEDED, ReleaseState.ROLLED_BACK)
    if good.state not in possible or _is_due(good):
        raise ReleaseError(
            f"the release is {'past its expiry' if good.state in possible else good.state},"
            " so it cannot be made current",
            where=good.where,
            expected="one that is superseded or rolled back, before its expiry",
        )


def discard(connection: Connection, release_id: str, *, reason: str, actor: str) -> ReleaseRecord:
    """Give up a staged release. See `Ledger.discard`."""
    record = find(connection, release_id)
    if record.state is ReleaseState.DISCARDED:
        return record
    _expect(record, ReleaseState.STAGED, to="discarded", fix="roll it back instead")
    _record(connection, "release.discarded", record, {"reason": reason}, actor)
    return _store(connection, replace(record, state=ReleaseState.DISCARDED))


def expire(connection: Connection, release_id: str, *, actor: str, reason: str | None) -> ReleaseRecord:
    """End a published release's life. See `Ledger.expire`."""
    record = find(connection, release_id)
    if record.state is ReleaseState.EXPIRED:
        return record
    if record.published_seq is None:
        raise ReleaseError(f"the release is {record.state}, so it cannot expire", where=record.where)
    why = {"reason": reason} if reason is not None else {}
    _record(connection, "release.expired", record, {"was": record.state, **why}, actor)
    return _store(connection, replace(record, state=ReleaseState.EXPIRED))


def find(connection: Connection, release_id: str) -> ReleaseRecord:
    """The release of that id.

    Raises:
        ReleaseError: There is none.
    """
    found = _select(connection, releases.c.release_id == release_id)
    if not found:
        raise ReleaseError(
            "there is no such release", where=f"release {release_id}", fix="look at `veil releases list`"
        )
    return found[0]


def current(
    connection: Connection, policy: str, dataset: str, *, destination: str | None
) -> ReleaseRecord | None:
    """The current release of a data set, if there is one. See `Ledger.current`."""
    conditions = _named(policy, dataset, destination)
    found = _select(connection, *conditions, releases.c.state == ReleaseState.CURRENT)
    if len(found) > 1:
        raise ReleaseError(
            f"{len(found)} releases are current, at different destinations",
            where=f"{policy}.{dataset}",
            fix="name the destination",
        )
    return found[0] if found else None


def listed(connection: Connection, policy: str | None, dataset: str | None) -> tuple[ReleaseRecord, ...]:
    """Releases, the newest first."""
    return tuple(_select(connection, *_named(policy, dataset, None)))


def latest(connection: Connection) -> tuple[ReleaseRecord, ...]:
    """The current release of each data set and destination, or else the last that was published; by name."""
    row = releases.c
    place = (row.policy, row.dataset, row.destination)
    newest = case((row.state == ReleaseState.CURRENT, 0), else_=1), row.published_seq.desc()
    ranked = select(
        row.release_id, func.row_number().over(partition_by=place, order_by=newest).label("rank")
    ).where(row.published_seq.is_not(None))
    first = ranked.subquery()
    found = _select(connection, row.release_id.in_(select(first.c.release_id).where(first.c.rank == 1)))
    return tuple(sorted(found, key=lambda each: (each.policy, each.dataset, each.destination)))


def staged(connection: Connection) -> tuple[ReleaseRecord, ...]:
    """Releases that were begun and not published yet, the newest first."""
    return tuple(_select(connection, releases.c.state == ReleaseState.STAGED))


def due(connection: Connection, now: datetime) -> tuple[ReleaseRecord, ...]:
    """Published releases past their expiry that are not marked as expired yet, the newest first."""
    row = releases.c
    return tuple(
        _select(connection, row.expires_at <= now, row.state.in_(["current", "superseded", "rolled_back"]))
    )


def last_manifest(connection: Connection, policy: str, dataset: str) -> Mapping[str, Any] | None:
    """The manifest of the current release, else of the last published one that was not found bad."""
    row = releases.c
    good = row.state.in_([ReleaseState.CURRENT, ReleaseState.SUPERSEDED, ReleaseState.EXPIRED])
    newest = (
        select(row.manifest)
        .where(*_named(policy, dataset, None), good)
        .order_by(case((row.state == ReleaseState.CURRENT, 0), else_=1), row.published_seq.desc())
        .limit(1)
    )
    text = connection.scalar(newest)
    return None if text is None else read_canonical(text)


def _current_at(connection: Connection, record: ReleaseRecord) -> ReleaseRecord | None:
    """The current release where this one belongs."""
    found = _select(connection, _at(record), releases.c.state == ReleaseState.CURRENT)
    return found[0] if found else None


def _at(record: ReleaseRecord) -> ColumnElement[bool]:
    return and_(*_named(record.policy, record.dataset, record.destination))


def _named(policy: str | None, dataset: str | None, destination: str | None) -> list[ColumnElement[bool]]:
    wanted = {"policy": policy, "dataset": dataset, "destination": destination}
    return [releases.c[name] == value for name, value in wanted.items() if value is not None]


def _order(record: ReleaseRecord) -> int:
    return record.published_seq or 0


def _is_due(record: ReleaseRecord) -> bool:
    return record.expires_at is not None and record.expires_at <= utc_now()


def _expect(record: ReleaseRecord, state: ReleaseState, *, to: str, fix: str) -> None:
    if record.state is not state:
        raise ReleaseError(
            f"the release is {record.state}, so it cannot be {to}",
            where=record.where,
            expected=f"one that is {state}",
            fix=fix,
        )


def _record(
    connection: Connection, kind: str, record: ReleaseRecord, payload: Mapping[str, Any], actor: str
) -> evidence.Entry:
    payload = {"destination": record.destination, **payload}
    return evidence.append(connection, kind=kind, subject=record.subject, payload=payload, actor=actor)


def _digests(record: ReleaseRecord) -> dict[str, str]:
    """By which policy and plan."""
    return {"policy_digest": record.policy_digest, "plan_digest": record.plan_digest}


def _select(connection: Connection, *conditions: ColumnElement[bool]) -> list[ReleaseRecord]:
    newest_first = (releases.c.created_at.desc(), releases.c.release_id.desc())
    found = connection.execute(select(releases).where(*conditions).order_by(*newest_first))
    return [_from_row(dict(row)) for row in found.mappings()]


def _store(connection: Connection, record: ReleaseRecord) -> ReleaseRecord:
    connection.execute(
        update(releases).where(releases.c.release_id == record.release_id).values(_row(record))
    )
    return record


def _row(record: ReleaseRecord) -> dict[str, Any]:
    manifest = None if record.manifest is None else canonical_json(record.manifest)
    row = {item.name: getattr(record, item.name) for item in fields(record)}
    return row | {"state": record.state.value, "manifest": manifest}


def _from_row(row: dict[str, Any]) -> ReleaseRecord:
    manifest = None if row["manifest"] is None else read_canonical(row["manifest"])
    return ReleaseRecord(**row | {"state": ReleaseState(row["state"]), "manifest": manifest})
