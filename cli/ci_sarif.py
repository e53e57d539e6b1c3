"""The report as SARIF 2.1.0 (OASIS), as GitHub's code scanning and other viewers read it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Any

from airflow_veil.cli.ci_report import Item, Report

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
"""The name of the schema; nothing is fetched from it."""
FINGERPRINT = "veilFinding/v1"
"""What the same finding is known by in another run, though lines moved: file, rule and place in the policy."""
_ROOT = "%SRCROOT%"
_STEPS = {
    "check": "The policy has a mistake",
    "plan": "The plan is not the committed one",
    "risk": "Risk of what would leave of a sample",
}


def sarif(report: Report, *, version: str) -> bytes:
    """The report as a SARIF log with one run.

    Args:
        report: What was found.
        version: The version of this tool.
    """
    items = [item for item in report.items if not item.broken]
    rules = sorted({item.rule for item in items})
    driver = {
        "name": "veil ci",
        "organization": "airflow-veil",
        "version": version,
        "rules": [_rule(rule) for rule in rules],
    }
    run = {
        "tool": {"driver": driver},
        "automationDetails": {"id": "veil-ci/"},
        "invocations": [_invocation(report)],
        "originalUriBaseIds": {_ROOT: {"description": {"text": "The root of the repository"}}},
        "columnKind": "unicodeCodePoints",
        "results": list(_results(report, items, rules)),
    }
    log = {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}
    return (json.dumps(log, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode(errors="replace")


def _rule(rule: str) -> dict[str, Any]:
    step, _, name = rule.partition("/")
    words = name.replace("-", " ").replace("_", " ").replace(".", ": ")
    text = f"{_STEPS.get(step, step)}: {words}"
    return {"id": rule, "shortDescription": {"text": text}, "properties": {"tags": ["privacy", step]}}


def _invocation(report: Report) -> dict[str, Any]:
    broken = [item for item in report.items if item.broken]
    told: dict[str, Any] = {"executionSuccessful": not broken, "exitCode": report.exit_code}
    if broken:
        told["toolExecutionNotifications"] = [
            {"level": "error", "message": _message(item), "locations": [_location(report, item)]}
            for item in broken
        ]
    return told


def _results(report: Report, items: Iterable[Item], rules: list[str]) -> Iterable[dict[str, Any]]:
    seen: dict[tuple[str, str, str], int] = {}
    for item in items:
        same = (report.place_of(item.file), item.rule, item.place)
        seen[same] = seen.get(same, 0) + 1
        result: dict[str, Any] = {
            "ruleId": item.rule,
            "ruleIndex": rules.index(item.rule),
            "level": item.level.value,
            "message": _message(item),
            "locations": [_location(report, item)],
            "partialFingerprints": {FINGERPRINT: _fingerprint((*same, str(seen[same])))},
        }
        if item.strength:
            result["properties"] = {"strength": item.strength}
        yield result


def _fingerprint(parts: tuple[str, ...]) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _message(item: Item) -> dict[str, str]:
    fix = f" Fix: {item.fix}." if item.fix else ""
    return {"text": f"{item.message[:1].upper()}{item.message[1:]}.{fix}"}


def _location(report: Report, item: Item) -> dict[str, Any]:
    place = report.uri_of(item.file)
    artifact = {"uri": place, "uriBaseId": _ROOT} if not place.startswith("../") else {"uri": place}
    physical = {
        "artifactLocation": artifact,
        "region": {"startLine": item.line, "startColumn": item.column},
    }
    location: dict[str, Any] = {"physicalLocation": physical}
    if item.place:
        location["logicalLocations"] = [{"fullyQualifiedName": item.place}]
    return location
