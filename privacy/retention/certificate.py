"""The certificate of a run of retention, made of what the ledger has of it: whoever asks again gets the same facts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from airflow_veil.privacy.audit.certificate import Certificate, issue, write
from airflow_veil.privacy.audit.facts import Asked, Backups, Check, Evidence, Kept, Store
from airflow_veil.privacy.errors import RetentionError
from airflow_veil.privacy.ledger.evidence import Entry
from airflow_veil.privacy.period import after, in_words
from airflow_veil.privacy.retention.verify import UNVERIFIED, VERIFIED

if TYPE_CHECKING:
    from airflow_veil.privacy.ledger.ledger import Ledger
    from airflow_veil.privacy.ledger.retention import RetentionRun

_KINDS = ("retention.planned", "retention.held", "retention.enforced", VERIFIED, UNVERIFIED)
_WHY = {
    "held": "A legal hold keeps them; they go when it is lifted.",
    "waiting": "They wait for a release that has to cover them first.",
    "null": "They have no time, so nobody can tell whether it is over. Somebody has to look at them.",
    "before_1970": "Their time is one that a clock shows which was never set. Somebody has to look at them.",
    "future": "Their time is yet to come. Somebody has to look at them.",
}


def file_run(ledger: Ledger, run_id: str, folder: Path, *, actor: str) -> tuple[Certificate, Path]:
    """Issue the certificate of a run and file it; the same run has one certificate.

    Returns:
        The certificate, and its JSON file.

    Raises:
        RetentionError: There is no such run, or it is not through.
        StorageError: It cannot be written.
        LedgerError: The ledger cannot be used.
    """
    certificate = issue(ledger, of_run(ledger, run_id), actor=actor)
    return certificate, write(certificate, folder)


def of_run(ledger: Ledger, run_id: str) -> Certificate:
    """The facts of a run; they are the same whenever they are asked for.

    Raises:
        RetentionError: There is no such run, or it is not through.
        LedgerError: The ledger cannot be used.
    """
    run = ledger.retention.find(run_id)
    if run is None:
        raise RetentionError(
            "there is no such run of retention", where=run_id, fix="look at `veil retention runs`"
        )
    if run.done is None or run.finished_at is None or "rule" not in run.planned:
        raise RetentionError(
            "the run is not through, so there is nothing to certify"
            if run.done is None
            else "the run is from before there were certificates",
            where=run_id,
            fix="certify the run that did the rest",
        )
    entries = _entries(ledger, run)
    zone = ZoneInfo(run.planned["rule"]["time_zone"])
    return Certificate(
        kind="retention",
        title=f"Rows of {run.dataset} whose time was over",
        name=f"retention-{run.policy}-{run.dataset}-{run.run_id[:16]}",
        asked=_asked(run, zone),
        done=(_store(run.dataset, run.planned, run.done),),
        kept=tuple(_kept(run.dataset, run.done)),
        verification=_verification(entries),
        backups=_backups(run.planned["rule"], run.finished_at.astimezone(zone)),
        evidence=tuple(Evidence(seq=entry.seq, kind=entry.kind) for entry in entries),
    )


def _entries(ledger: Ledger, run: RetentionRun) -> list[Entry]:
    """The entries of a run; one whose payload was erased no longer tells of which run it is."""
    found = ledger.evidence_of(f"{run.policy}/{run.dataset}", *_KINDS)
    return [each for each in found if each.payload is not None and each.content.get("run") == run.run_id]


def _asked(run: RetentionRun, zone: ZoneInfo) -> Asked:
    rule = run.planned["rule"]
    start = run.cut_off.astimezone(zone).date()
    return Asked(
        what=_what(rule, run.dataset, _day(start)),
        by=run.actor,
        at=_second(run.at),
        policy=run.policy,
        policy_digest=run.planned["policy_digest"],
        rule=_rule(rule),
        reference=f"run {run.run_id}",
        approved_by=run.approved_by or "",
        approval=run.approval or "",
    )


def _what(rule: Mapping[str, Any], dataset: str, day: str) -> str:
    """What was to be done, in a sentence."""
    rows = f"all rows of data set {dataset} whose time, “{rule['from']}”, was before {day}"
    if treated := _treated(rule):
        return f"To anonymize {rows}, by treating {', '.join(treated)}."
    if _archived(rule) is not None:
        return f"To archive {rows}: to copy them into the archive, and delete them from the source."
    return f"To delete {rows}."


def _treated(rule: Mapping[str, Any]) -> list[str]:
    """The columns whose cells were treated; none where rows went."""
    action = rule.get("action")
    return (
        sorted(action["anonymize"]["columns"])
        if isinstance(action, Mapping) and "anonymize" in action
        else []
    )


def _archived(rule: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The archive that rows went into; None where they did not."""
    action = rule.get("action")
    return action["archive"] if isinstance(action, Mapping) and "archive" in action else None


def _rule(rule: Mapping[str, Any]) -> str:
    """What the policy says, in a sentence."""
    margin = (
        "" if in_words(rule["grace"]) == "0 days" else f", and {in_words(rule['grace'])} more as a margin"
    )
    kept = (
        f"Rows are kept for {in_words(rule['after'])} from the day of “{rule['from']}”{margin}."
        f" Days are those of {rule['time_zone']}."
    )
    waits = rule.get("after_releases")
    if not waits:
        return kept
    return (
        f"{kept} They wait for releases of {', '.join(waits)}, for {in_words(rule['at_the_latest'])} at most."
    )


def _store(dataset: str, planned: Mapping[str, Any], done: Mapping[str, Any]) -> Store:
    source = planned["source"]
    return Store(
        store=dataset,
        place=source["name"] if source["namespace"] == "file" else f"{source['namespace']}/{source['name']}",
        rows_deleted=done["delete"] + done.get("archive", 0),
        rows_masked=done.get("anonymize", 0),
        files_dropped=done["files"]["dropped"],
        files_rewritten=done["files"]["rewritten"],
        said=_said(planned["rule"], done),
    )


def _said(rule: Mapping[str, Any], done: Mapping[str, Any]) -> str:
    """What else was done, in a sentence."""
    if treated := _treated(rule):
        before = done["anonymized"]
        return f"Cells of {', '.join(treated)} were treated; of {before:,} rows they were before."
    archive = _archived(rule)
    if archive is None:
        return ""
    period = archive.get("expires_after")
    kept = "without an end" if period is None else f"for {in_words(period)}"
    told = done["archived"]
    dropped = (
        f" {told['expired']:,} of its files, whose time was over, were dropped." if told["expired"] else ""
    )
    held = f" {told['held']:,} stay beyond it, for a legal hold keeps them." if told["held"] else ""
    return f"Rows that left were copied into the archive before, which keeps them {kept}.{dropped}{held}"


def _kept(dataset: str, done: Mapping[str, Any]) -> Iterator[Kept]:
    counts = {name: done[name] for name in ("held", "waiting")} | done["quarantined"]
    for word, rows in counts.items():
        if rows:
            yield Kept(store=dataset, rows=rows, word=word, why=_WHY[word])


def _verification(entries: list[Entry]) -> tuple[Check, ...]:
    found = [each for each in entries if each.kind in (VERIFIED, UNVERIFIED)]
    return tuple(Check(**check) for check in found[-1].content["checks"]) if found else ()


def _backups(rule: Mapping[str, Any], finished: datetime) -> Backups:
    period = rule.get("backups_expire_after")
    made = "Backups that were made before the deletion may still hold these rows."
    if period is None:
        return Backups(said=f"{made} The policy does not say how long they are kept.")
    said = f"{made} By the policy they are kept for {in_words(period)}."
    return Backups(said=said, until=after(finished, period).date())


def _second(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(microsecond=0)


def _day(day: date) -> str:
    return f"{day.day} {day:%B %Y}"
