"""The report as JUnit XML, as pytest writes it and GitLab, Jenkins and Azure read it."""

from __future__ import annotations

import re
from datetime import datetime
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from airflow_veil.cli.ci_report import Case, Item, Report

_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot hold, escaped or not."""


def junit(report: Report, at: datetime) -> bytes:
    """The report as JUnit XML: a suite a policy, a case a step and data set.

    What counts fails a case; what could not be looked at is an error of it; all else stands in its output.

    Args:
        report: What was found.
        at: When, aware.
    """
    root = Element("testsuites", {"name": "veil ci", **_counts(report, report.cases)})
    root.set("time", f"{report.seconds:.3f}")
    for policy in dict.fromkeys(case.policy for case in report.cases):
        cases = [case for case in report.cases if case.policy == policy]
        suite = SubElement(root, "testsuite", {"name": _text(report.place_of(policy))})
        suite.attrib |= _counts(report, cases)
        suite.set("time", f"{sum(case.seconds for case in cases):.3f}")
        suite.set("timestamp", at.isoformat(timespec="seconds"))
        for case in cases:
            _case(suite, report, case)
    indent(root)
    text: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
    return text + b"\n"


def _case(suite: Element, report: Report, case: Case) -> None:
    place = _text(report.place_of(case.policy))
    name = f"{case.step}: {case.dataset}" if case.dataset else case.step.value
    element = SubElement(suite, "testcase", {"name": name, "classname": place, "file": place})
    element.set("time", f"{case.seconds:.3f}")
    broken = [item for item in case.items if item.broken]
    failing = [item for item in case.items if report.fails(item) and not item.broken]
    others = [item for item in case.items if item not in broken and item not in failing]
    if case.skipped:
        SubElement(element, "skipped", {"message": _text(case.skipped)})
    for word, items in (("failure", failing), ("error", broken)):
        if items:
            # Readers take one of a kind: all that was found is in it.
            said = SubElement(element, word, {"type": items[0].rule, "message": _summary(items)})
            said.text = _text("\n".join(_line(report, item) for item in items))
    if others:
        SubElement(element, "system-out").text = _text("\n".join(_line(report, item) for item in others))


def _counts(report: Report, cases: list[Case] | tuple[Case, ...]) -> dict[str, str]:
    failures = [any(report.fails(item) and not item.broken for item in case.items) for case in cases]
    errors = [any(item.broken for item in case.items) for case in cases]
    skipped = [bool(case.skipped) for case in cases]
    counts = {"tests": len(cases), "failures": sum(failures), "errors": sum(errors), "skipped": sum(skipped)}
    return {word: str(count) for word, count in counts.items()}


def _summary(items: list[Item]) -> str:
    more = f" (and {len(items) - 1} more)" if len(items) > 1 else ""
    return _text(f"{items[0].message}{more}")


def _line(report: Report, item: Item) -> str:
    fix = f" Fix: {item.fix}." if item.fix else ""
    place = f"{report.place_of(item.file)}:{item.line}:{item.column}"
    strength = f", {item.strength}" if item.strength else ""
    return f"{place}: {item.level}: {item.message}.{fix} [{item.rule}{strength}]"


def _text(text: str) -> str:
    return _FORBIDDEN.sub("\ufffd", text)
