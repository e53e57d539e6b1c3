"""The reports of `veil ci`: JUnit XML and SARIF 2.1.0."""

from __future__ import annotations

import json
import os
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import jsonschema
import pytest

from airflow_veil.cli.ci_junit import junit
from airflow_veil.cli.ci_report import Case, Item, Level, Report, Step
from airflow_veil.cli.ci_sarif import FINGERPRINT, sarif

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
NASTY = "a <b> & \"c\" 'd' ]]> \x00\x1b[31m é \ud800"
ROOT = Path("/repositories/shop")
POLICY = ROOT / "a folder" / "shop.yaml"


def item(level: Level = Level.ERROR, **more: Any) -> Item:
    facts = {"rule": "plan/treatment", "message": "it is weaker", "fix": "look at it", "file": POLICY}
    return Item(level=level, **{**facts, "line": 3, "column": 7, "place": "datasets.people", **more})


def report(*cases: Case, strict: bool = False) -> Report:
    return Report(root=ROOT, policies=(POLICY,), cases=cases, strict=strict, seconds=1.25)


def case(*items: Item, step: Step = Step.PLAN, dataset: str = "people", skipped: str = "") -> Case:
    return Case(policy=POLICY, step=step, dataset=dataset, items=items, skipped=skipped, seconds=0.5)


MIXED = (
    case(step=Step.CHECK),
    case(item(strength="weaker"), item(Level.WARNING, rule="plan/stale"), item(Level.NOTE)),
    case(item(broken=True, rule="check/could-not-run"), step=Step.CHECK, dataset="orders"),
    case(step=Step.RISK, skipped="there is no sample of it"),
    case(item(Level.WARNING, rule="risk/approve.k"), step=Step.RISK, dataset="orders"),
)


class TestExitCode:
    @pytest.mark.parametrize(
        ("items", "strict", "code"),
        [
            ((), False, 0),
            ((item(Level.NOTE),), True, 0),
            ((item(Level.WARNING),), False, 0),
            ((item(Level.WARNING),), True, 1),
            ((item(),), False, 1),
            ((item(), item(broken=True)), False, 2),
        ],
    )
    def test_is_the_worst(self, items: tuple[Item, ...], strict: bool, code: int) -> None:
        """What could not be looked at weighs most: nothing is known of it."""
        assert report(case(*items), strict=strict).exit_code == code


class TestJUnit:
    def test_a_case_a_step_and_data_set(self) -> None:
        """Errors fail a case, what could not be looked at is an error of it, what was left out is skipped."""
        root = ET.fromstring(junit(report(*MIXED), AT))
        (suite,) = root
        children = [(each.get("name"), [part.tag for part in each]) for each in suite]

        assert children == [
            ("check: people", []),
            ("plan: people", ["failure", "system-out"]),
            ("check: orders", ["error"]),
            ("risk: people", ["skipped"]),
            ("risk: orders", ["system-out"]),
        ]
        for element in (root, suite):
            counts = [element.get(word) for word in ("tests", "failures", "errors", "skipped")]
            assert counts == ["5", "1", "1", "1"]
        assert suite.get("timestamp") == "2026-03-01T12:00:00+00:00"
        assert {each.get("file") for each in suite} == {"a folder/shop.yaml"}

    def test_strict(self) -> None:
        """Warnings then fail their case, all of a case in one failure, as readers take one."""
        (suite,) = ET.fromstring(junit(report(*MIXED, strict=True), AT))
        failures = suite.findall("testcase/failure")

        assert suite.get("failures") == "2"
        assert [len((each.text or "").splitlines()) for each in failures] == [2, 1]
        assert failures[0].get("message") == "it is weaker (and 1 more)"
        assert "[plan/treatment, weaker]" in (failures[0].text or "")
        assert "a folder/shop.yaml:3:7: error" in (failures[0].text or "")

    def test_whatever_stands_in_a_message(self) -> None:
        """Markup is escaped, and what XML cannot hold is replaced; a reader gets the rest as it was."""
        raw = junit(report(case(item(message=NASTY), dataset="people")), AT)
        text = ET.fromstring(raw).findtext("testsuite/testcase/failure") or ""

        assert "a <b> & \"c\" 'd' ]]> \ufffd\ufffd[31m é \ufffd" in text
        assert raw.startswith(b"<?xml version='1.0' encoding='utf-8'?>")

    def test_structure_of_the_schema(self) -> None:
        """Elements and attributes are those that pytest writes (JUnit 10), with `file`, which GitLab reads, besides."""
        allowed = {
            "testsuites": {"name", "tests", "failures", "errors", "skipped", "time"},
            "testsuite": {"name", "tests", "failures", "errors", "skipped", "time", "timestamp"},
            "testcase": {"name", "classname", "file", "time"},
            "failure": {"type", "message"},
            "error": {"type", "message"},
            "skipped": {"message"},
            "system-out": set(),
        }
        root = ET.fromstring(junit(report(*MIXED), AT))

        for element in root.iter():
            assert set(element.keys()) <= allowed[element.tag]
            assert re.fullmatch(r"\d+\.\d{3}", element.get("time", "0.000"))


def schema() -> Any:
    """The schema that OASIS publishes, where a copy is at hand."""
    named = os.environ.get("VEIL_SARIF_SCHEMA")
    if not named:
        pytest.skip("NO SARIF SCHEMA: set VEIL_SARIF_SCHEMA to a copy of sarif-schema-2.1.0.json")
    return json.loads(Path(named).read_text())


class TestSarif:
    def test_follows_the_published_schema(self) -> None:
        """A log with everything in it, and one with nothing, are valid SARIF 2.1.0."""
        validator = jsonschema.Draft7Validator(schema(), format_checker=jsonschema.FormatChecker())
        for each in (
            report(*MIXED),
            report(),
            report(case(item(message=NASTY))),
        ):
            validator.validate(json.loads(sarif(each, version="0.1.0")))
        broken = json.loads(sarif(report(*MIXED), version="0.1.0"))
        broken["runs"][0]["results"][0]["level"] = "fatal"
        assert list(validator.iter_errors(broken))

    def test_what_readers_need(self) -> None:
        """Rules that results point to, levels, places relative to the root with line and column, fingerprints."""
        log = json.loads(sarif(report(*MIXED), version="0.1.0"))
        (run,) = log["runs"]
        rules = run["tool"]["driver"]["rules"]

        assert log["version"] == "2.1.0"
        assert log["$schema"].endswith("sarif-schema-2.1.0.json")
        assert [each["ruleId"] for each in run["results"]] == [
            "plan/treatment", "plan/stale", "plan/treatment", "risk/approve.k",
        ]  # fmt: skip
        assert len({rule["id"] for rule in rules}) == len(rules) == 3
        for each in run["results"]:
            assert rules[each["ruleIndex"]]["id"] == each["ruleId"]
            assert each["level"] in ("error", "warning", "note")
            assert each["message"]["text"] == "It is weaker. Fix: look at it."
            (location,) = each["locations"]
            physical = location["physicalLocation"]
            assert physical["artifactLocation"] == {"uri": "a%20folder/shop.yaml", "uriBaseId": "%SRCROOT%"}
            assert physical["region"] == {"startLine": 3, "startColumn": 7}
            assert re.fullmatch("[0-9a-f]{64}", each["partialFingerprints"][FINGERPRINT])
        assert str(ROOT) not in json.dumps(log)

    def test_whatever_stands_in_a_message(self) -> None:
        """What has no place in UTF-8 is replaced, in messages and in names of files."""
        odd = item(message=NASTY, file=ROOT / "\udcff.yaml")
        (result,) = json.loads(sarif(report(case(odd)), version="1"))["runs"][0]["results"]

        assert "<b> & \"c\" 'd' ]]> \x00\x1b[31m é ?" in result["message"]["text"]
        assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "%3F.yaml"

    def test_what_could_not_be_looked_at_is_no_result(self) -> None:
        """It is a notification of a run that did not succeed."""
        (run,) = json.loads(sarif(report(*MIXED), version="0.1.0"))["runs"]
        (invocation,) = run["invocations"]
        (good,) = json.loads(sarif(report(), version="0.1.0"))["runs"][0]["invocations"]

        assert invocation["executionSuccessful"] is False
        assert invocation["exitCode"] == 2
        assert len(invocation["toolExecutionNotifications"]) == 1
        assert good == {"executionSuccessful": True, "exitCode": 0}

    def test_fingerprints_stay_when_lines_move(self) -> None:
        """The same finding two lines below is the same one; another place, rule or a second one of a kind is not."""

        def prints(*items: Item) -> list[str]:
            (run,) = json.loads(sarif(report(case(*items)), version="0.1.0"))["runs"]
            return [each["partialFingerprints"][FINGERPRINT] for each in run["results"]]

        assert prints(item()) == prints(item(line=5, column=1, message="said otherwise"))
        others = [item(place="datasets.orders"), item(rule="plan/leaves"), item(file=ROOT / "b.yaml")]
        assert len(set(prints(item(), item(), *others))) == 5

    def test_is_the_same_for_the_same_findings(self) -> None:
        """Nothing of the machine or the time is in it."""
        assert sarif(report(*MIXED), version="1") == sarif(report(*MIXED), version="1")

    def test_a_file_outside_of_the_repository(self) -> None:
        """Its place is told as it is, and not as if it were below the root."""
        outside = report(case(item(file=Path("/repositories/other/p.yaml"))))
        (run,) = json.loads(sarif(outside, version="1"))["runs"]
        artifact = run["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]

        assert artifact == {"uri": "../other/p.yaml"}


class TestFiles:
    def test_are_written_in_each_case(self, tmp_path: Path) -> None:
        """Also when something is found, in folders that are made for them, over older reports, without leavings."""
        from typer.testing import CliRunner

        from airflow_veil.cli.main import app

        policy = tmp_path / "p.yaml"
        policy.write_text("version: 1\ndatasets: 3\n")
        out = tmp_path / "reports" / "deep"
        files = ["--junit", str(out / "j.xml"), "--sarif", str(out / "s.sarif")]
        for _ in range(2):
            result = CliRunner().invoke(app, ["ci", str(policy), *files])
            assert result.exit_code == 1

        assert sorted(path.name for path in out.iterdir()) == ["j.xml", "s.sarif"]
        assert ET.fromstring((out / "j.xml").read_bytes()).get("failures") == "1"
        assert json.loads((out / "s.sarif").read_text())["runs"][0]["results"]

    def test_that_cannot_be_written_are_told(self, tmp_path: Path) -> None:
        """The exit code is 2, and the other report is written."""
        from typer.testing import CliRunner

        from airflow_veil.cli.main import app

        policy = tmp_path / "p.yaml"
        policy.write_text("version: 1\ndatasets: 3\n")
        args = ["--junit", str(policy / "j.xml"), "--sarif", str(tmp_path / "s.sarif")]
        result = CliRunner().invoke(app, ["ci", str(policy), *args])

        assert result.exit_code == 2
        assert "cannot be written" in result.stderr
        assert (tmp_path / "s.sarif").exists()
