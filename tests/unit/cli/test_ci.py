"""`veil ci`: which policies are looked at, what is found, and what the exit code says."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml
from tests.unit.cli.conftest import Installation
from tests.unit.cli.test_check import spoil

ROOT = Path(__file__).resolve().parents[3]
MASK = "treat: {mask: {keep_last: 2, length: 8}}"
GATE = """\
  gate:
    deny: {k: %d}
    approve: {k: %d}
"""


@pytest.fixture(autouse=True)
def _here(bare: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands run in the installation's folder, as in a checkout."""
    (bare.root / ".git").mkdir()
    monkeypatch.chdir(bare.root)


def found(installation: Installation, *args: str | Path) -> tuple[int, list[dict[str, Any]]]:
    """The exit code and all findings."""
    result = installation.veil("ci", *args, "--json")
    told = json.loads(result.stdout)
    assert told["exit_code"] == result.exit_code
    return result.exit_code, [item for case in told["cases"] for item in case["findings"]]


def rules(items: list[dict[str, Any]]) -> list[str]:
    return [item["rule"] for item in items]


class TestFind:
    def test_below_the_working_folder(self, bare: Installation) -> None:
        """Without a word, all policies below this folder are looked at, and nothing else that is YAML."""
        (bare.root / ".github").mkdir()
        (bare.root / ".github" / "policy.yaml").write_text("version: 1\ndatasets: {}\n")
        (bare.root / "compose.yaml").write_text("version: 3\nservices: {}\n")
        (bare.root / "models.yml").write_text("datasets: [a]\n")
        told = json.loads(bare.ok("ci", "--json"))

        assert told["policies"] == [
            f"configs/{path.name}" for path in sorted((bare.root / "configs").glob("*.yaml"))
        ]

    def test_a_broken_policy_is_found(self, bare: Installation) -> None:
        """What is no YAML any more, and what has a plan file though its words are wrong, is not passed over."""
        bare.policy.write_text(bare.policy.read_text() + "\n  : [\n")
        spoil(bare.policy.with_name("userdata.yaml"), "datasets:", "data_sets:")
        code, items = found(bare)

        assert code == 1
        assert {(item["file"], item["rule"]) for item in items} >= {
            ("configs/retail.yaml", "check/yaml"),
            ("configs/userdata.yaml", "check/unknown-word"),
        }

    def test_excluded(self, bare: Installation) -> None:
        """Patterns name files or folders."""
        shutil.copytree(bare.root / "configs", bare.root / "old" / "configs")
        told = json.loads(bare.ok("ci", "--json", "--exclude", "old", "--exclude", "configs/chinook.yaml"))

        assert len(told["policies"]) == 7

    def test_named_twice_is_looked_at_once(self, bare: Installation) -> None:
        """A file and its folder."""
        told = json.loads(bare.ok("ci", "configs", bare.policy, "--json"))

        assert len(told["policies"]) == 8

    @pytest.mark.parametrize(
        ("arguments", "told"),
        [
            (("nowhere.yaml",), "there is no nowhere.yaml"),
            (("data",), "there is no policy below data"),
            (("--rows", "3"), "--against-source"),
            (("--json", "--github"), "either"),
            (("--update", "--no-plan"), "--update"),
            (("--sample", "customers"), "DATASET=URI"),
            (("--sample", "nobody=x.parquet"), "no policy has the data set nobody"),
            (("--sample", "customers=x.parquet"), "may be"),
            (("--samples", "nowhere"), "there is no folder"),
        ],
    )
    def test_misunderstood(self, bare: Installation, arguments: tuple[str, ...], told: str) -> None:
        """The exit code is 2; a job that looks at nothing does not pass."""
        result = bare.veil("ci", *arguments)

        assert result.exit_code == 2
        assert told in " ".join(result.output.replace("│", " ").split())

    def test_two_policies_with_one_plan_file(self, bare: Installation) -> None:
        """Neither could keep its own."""
        shutil.copy(bare.policy, bare.policy.with_suffix(".yml"))

        assert bare.veil("ci").exit_code == 2

    def test_a_plan_without_its_policy(self, bare: Installation) -> None:
        """It is a warning; with --strict it counts."""
        bare.policy.unlink()
        code, items = found(bare)

        assert (code, rules(items)) == (0, ["plan/orphan"])
        assert bare.veil("ci", "--strict").exit_code == 1

    def test_a_policy_that_cannot_be_read(self, bare: Installation) -> None:
        """Nothing is known of it: 2, and the others are looked at all the same."""
        (bare.root / "configs" / "loop.yaml").symlink_to("loop.yaml")
        spoil(bare.policy.with_name("userdata.yaml"), "free_text, treat: drop}", "free_text, treat: keep}")
        code, items = found(bare)

        assert code == 2
        assert [(item["rule"], item["could_not_be_looked_at"]) for item in items] == [
            ("check/file", True),
            ("check/kept-in-clear", False),
        ]


class TestCheck:
    def test_findings_are_of_their_data_set(self, bare: Installation) -> None:
        """A mistake in a data set is in that one's case; plan and risk of the policy are left out."""
        line = spoil(bare.policy, "treat: {redact: {names_from: [first_name, last_name]}}", "treat: keep")
        result = bare.veil("ci", bare.policy, "--json", "--samples", "data")
        told = json.loads(result.stdout)
        cases = {(case["step"], case["dataset"]): case for case in told["cases"]}
        (item,) = cases["check", "customers"]["findings"]

        assert result.exit_code == 1
        assert (item["rule"], item["line"], item["level"]) == ("check/kept-in-clear", line, "error")
        assert cases["check", "orders"]["findings"] == []
        assert cases["plan", None]["skipped"] == cases["risk", None]["skipped"] == "the policy does not check"

    def test_against_the_source(self, bare: Installation) -> None:
        """A column that the source has lost is found."""
        file = bare.root / "data" / "retail" / "customers.parquet"
        pq.write_table(pq.read_table(file).drop_columns(["phone"]), file)
        code, items = found(bare, bare.policy, "--against-source")

        assert (code, rules(items)) == (1, ["check/source"])

    def test_a_source_that_is_not_there(self, bare: Installation) -> None:
        """It could not be looked at: 2; the other data sets were."""
        (bare.root / "data" / "retail" / "orders.parquet").unlink()
        code, items = found(bare, bare.policy, "--against-source")

        assert code == 2
        assert [(item["rule"], item["path"], item["could_not_be_looked_at"]) for item in items] == [
            ("check/could-not-run", "datasets.orders", True)
        ]


class TestPlan:
    def test_a_weaker_treatment(self, bare: Installation) -> None:
        """It is told in plain words at its line, with what to do; JSON and text say that it is weaker."""
        line = spoil(bare.policy, MASK, "treat: {mask: {keep_last: 4, length: 8}}")
        result = bare.veil("ci")

        assert result.exit_code == 1
        assert f"configs/retail.yaml:{line}:" in result.stdout
        assert "customers.phone is treated weaker" in result.stdout
        assert "[plan/treatment, weaker]" in result.stdout
        assert "1 of them show more of people than before" in result.stdout

    def test_update_writes_it(self, bare: Installation) -> None:
        """Afterwards nothing is found, and the diff of the plan file is the line of the column."""
        spoil(bare.policy, MASK, "treat: {mask: {keep_last: 4, length: 8}}")
        file = bare.policy.with_name("retail.plan.json")
        before = file.read_text().splitlines()
        code, items = found(bare, "--update")
        after = file.read_text().splitlines()

        assert code == 0
        assert [(item["rule"], item["level"]) for item in items] == [
            ("plan/written", "note"),
            ("plan/treatment", "note"),
        ]
        assert len([1 for a, b in zip(before, after, strict=True) if a != b]) == 1
        assert found(bare) == (0, [])

    def test_missing_unless_update(self, bare: Installation) -> None:
        """A policy without a plan file is an error; --no-plan leaves plans out."""
        file = bare.policy.with_name("retail.plan.json")
        before = file.read_bytes()
        file.unlink()
        code, items = found(bare)

        assert (code, rules(items)) == (1, ["plan/missing"])
        assert found(bare, "--no-plan") == (0, [])
        assert found(bare, "--update")[0] == 0
        assert file.read_bytes() == before

    @pytest.mark.parametrize("text", ["", "{}", "<<<<<<< HEAD\n{}", "[1]", "\ufffd"])
    def test_what_is_no_plan(self, bare: Installation, text: str) -> None:
        """It is told, and not taken for an empty plan."""
        bare.policy.with_name("retail.plan.json").write_text(text)
        code, items = found(bare)

        assert (code, rules(items)) == (1, ["plan/unreadable"])

    def test_written_otherwise(self, bare: Installation) -> None:
        """The same plan in another form is a warning; ends of lines of a checkout are none."""
        file = bare.policy.with_name("retail.plan.json")
        text = file.read_text()
        file.write_bytes(text.replace("\n", "\r\n").encode())
        assert found(bare) == (0, [])
        file.write_text(json.dumps(json.loads(text)))
        code, items = found(bare)

        assert (code, rules(items)) == (0, ["plan/stale"])
        assert found(bare, "--update")[0] == 0
        assert file.read_text() == text

    def test_of_the_source(self, bare: Installation) -> None:
        """A plan of the source is compared without it as far as both know, and not written poorer for nothing."""
        file = bare.policy.with_name("retail.plan.json")
        bare.ok("ci", bare.policy, "--against-source", "--update")
        assert '"types_of": "policy"' in file.read_text()  # nothing changed, so nothing is written
        file.unlink()
        bare.ok("ci", bare.policy, "--against-source", "--update")
        of_source = file.read_text()

        assert '"types_of": "source"' in of_source
        assert found(bare, bare.policy) == found(bare, bare.policy, "--against-source") == (0, [])
        assert found(bare, bare.policy, "--update") == (0, [])
        assert file.read_text() == of_source

        spoil(bare.policy, MASK, "treat: {mask: {keep_last: 1, length: 8}}")
        _, items = found(bare, bare.policy, "--update")
        assert "by the declared types" in items[0]["message"]

    def test_a_folder_that_cannot_be_written(
        self, bare: Installation, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It is told, with 2, and the old file stays whole."""
        file = bare.policy.with_name("retail.plan.json")
        before = file.read_bytes()
        spoil(bare.policy, MASK, "treat: {mask: {keep_last: 4, length: 8}}")

        def full(*_: object, **__: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("airflow_veil.privacy.storage.durable.write_whole", full)
        code, items = found(bare, "--update")

        assert code == 2
        assert "plan/could-not-run" in rules(items)
        assert file.read_bytes() == before


class TestRisk:
    @pytest.mark.parametrize(
        ("deny", "approve", "strict", "code", "level"),
        [
            pytest.param(2, 5, False, 1, "error", id="denied"),
            pytest.param(1, 2, False, 0, "warning", id="asked"),
            pytest.param(1, 2, True, 1, "warning", id="asked, strictly"),
        ],
    )
    def test_the_gate_decides(
        self, bare: Installation, deny: int, approve: int, strict: bool, code: int, level: str
    ) -> None:
        """What the gate denies is an error, what it would ask people about a warning; figures are notes."""
        text = bare.policy.read_text().replace(
            "  run: stepwise", (GATE % (deny, approve)).strip("\n") + "\n  run: stepwise"
        )
        bare.policy.write_text(text)
        bare.ok("ci", "--update")
        flags = ("--strict",) if strict else ()
        ended, items = found(bare, bare.policy, "--samples", "data", *flags)
        of_customers = [item for item in items if item["path"] == "datasets.customers"]

        assert ended == code
        assert level in {item["level"] for item in of_customers}
        assert of_customers[-1]["rule"] == "risk/figures"
        assert "k 1" in of_customers[-1]["message"]
        assert not [
            item for item in items if item["path"] == "datasets.order_lines" and item["level"] != "note"
        ]

    def test_without_a_gate_figures_are_notes(self, bare: Installation) -> None:
        """Nothing is decided; without keys and without a ledger."""
        code, items = found(bare, bare.policy, "--samples", "data")

        assert (code, set(rules(items))) == (0, {"risk/figures"})
        assert len(items) == 3
        assert not (bare.root / "home").exists()

    def test_one_sample(self, bare: Installation) -> None:
        """Data sets without one are told to be left out."""
        told = json.loads(
            bare.ok("ci", bare.policy, "--sample", "customers=data/retail/customers.parquet", "--json")
        )
        risk = {case["dataset"]: case["skipped"] for case in told["cases"] if case["step"] == "risk"}

        assert risk == {
            "customers": None,
            "orders": "there is no sample of it",
            "order_lines": "there is no sample of it",
        }

    def test_of_several_policies_by_its_qualified_name(self, bare: Installation) -> None:
        """A name that several policies have is written with the policy's."""
        sample = "retail.customers=data/retail/customers.parquet"
        told = json.loads(bare.ok("ci", "--sample", sample, "--json"))
        measured = [
            (case["policy"], case["dataset"])
            for case in told["cases"]
            if case["step"] == "risk" and not case["skipped"]
        ]

        assert measured == [("configs/retail.yaml", "customers")]

    def test_rows_of_the_source(self, bare: Installation) -> None:
        """So many rows of each source."""
        code, items = found(bare, bare.policy, "--against-source", "--rows", "50")

        assert code == 0
        assert all("50 rows in" in item["message"] for item in items)

    @pytest.mark.parametrize("mistake", ["schema", "missing"])
    def test_a_sample_that_cannot_be_used(self, bare: Installation, mistake: str) -> None:
        """One that does not fit is found; one that is not there could not be looked at."""
        file = bare.root / "data" / "retail" / "customers.parquet"
        if mistake == "schema":
            pq.write_table(pq.read_table(file).drop_columns(["phone"]), file)
        else:
            file.unlink()
        code, items = found(bare, bare.policy, "--sample", f"customers={file}")

        assert (code, rules(items)) == (
            (1, ["risk/schema"]) if mistake == "schema" else (2, ["risk/could-not-run"])
        )

    def test_two_samples_of_one_data_set(self, bare: Installation) -> None:
        """Nobody knows which is meant."""
        folder = bare.root / "data" / "retail"
        (folder / "customers.csv").write_text("a\n")

        assert bare.veil("ci", bare.policy, "--samples", "data").exit_code == 2

    def test_no_value_is_shown(self, bare: Installation) -> None:
        """Neither of the sample nor of what would leave: no e-mail, name or date stands in any report."""
        table = pq.read_table(bare.root / "data" / "retail" / "customers.parquet")
        spoil(bare.policy, MASK, "treat: {mask: {keep_last: 4, length: 8}}")
        result = bare.veil("ci", "configs", "--samples", "data", "--junit", "j.xml", "--sarif", "s.json")
        said = result.output + Path("j.xml").read_text() + Path("s.json").read_text()
        values = {
            str(value)
            for name in ("email", "phone", "first_name", "last_name", "card", "street", "birth_date")
            for value in table[name].to_pylist()
            if value is not None and len(str(value)) > 5
        }

        assert len(values) > 1000
        assert not [value for value in values if value in said]


class TestOutput:
    def test_github(self, bare: Installation) -> None:
        """One annotation a line, relative to the repository's root; nothing in a message can begin another."""
        line = spoil(bare.policy, MASK, 'treat: {mask: {keep_last: 4, length: 8, with: "%"}}')
        out = bare.veil("ci", "--github").stdout.splitlines()

        assert out[0].startswith(f"::error file=configs/retail.yaml,line={line},col=")
        assert ",title=plan/treatment (weaker)::customers.phone" in out[0]
        assert "with: %25" in out[0]
        assert len(out) == 2

    def test_places_from_a_subfolder(self, bare: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
        """Reports count from the root of the repository, the terminal from where the command runs."""
        monkeypatch.chdir(bare.root / "configs")
        spoil(bare.policy, MASK, "treat: {mask: {keep_last: 4, length: 8}}")

        assert bare.veil("ci").stdout.startswith("retail.yaml:")
        assert found(bare)[1][0]["file"] == "configs/retail.yaml"

    def test_nothing_found(self, bare: Installation) -> None:
        """One line, and 0."""
        assert bare.ok("ci") == "8 policies: no errors, no warnings, no notes\n"


class TestHooks:
    def test_pre_commit(self) -> None:
        """The hooks run a command that there is, on all policies."""
        hooks = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())

        assert [hook["id"] for hook in hooks] == ["veil-ci", "veil-ci-system"]
        assert {hook["entry"] for hook in hooks} == {"veil ci"}
        assert not any(hook["pass_filenames"] for hook in hooks)
