"""The plan as a file: the same bytes anywhere, no place of a machine, and nothing but what the policy says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from airflow_veil.privacy.errors import SchemaError
from airflow_veil.privacy.plan.written import plan_file, read_plan, written
from airflow_veil.privacy.policy.load import load

POLICY = """\
version: 1
name: shop
owner: data@example.com
datasets:
  people:
    source: people.parquet
    subject: id
    where: "country in ['GB', 'FR']"
    anonymize: {k: 5, quasi_identifiers: {country: country.csv}}
    columns:
      id: {class: direct_identifier, type: int64, treat: {token: {domain: person}}}
      email: {class: direct_identifier, treat: {fpe: {domain: mail}}}
      born: {class: quasi_identifier, type: date, treat: {generalize: {to: year}}}
      country: {class: quasi_identifier, type: string, treat: keep}
      city: {class: quasi_identifier, treat: {generalize: {hierarchy: {file: city.csv, level: 1}}}}
      name: {class: direct_identifier, treat: drop}
  visits:
    source: visits.csv
    subject: {none: "counters of a door, nobody's"}
    columns:
      door: {class: none, treat: keep}
release:
  destination: releases
  gate: {deny: {k: 2}, approve: {k: 5}}
"""


def policy(folder: Path, text: str = POLICY) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "city.csv").write_text("Wien;AT\n")
    (folder / "country.csv").write_text("GB;*\nFR;*\n")
    path = folder / "shop.yaml"
    path.write_text(text)
    return path


class TestWritten:
    def test_is_read_back(self, tmp_path: Path) -> None:
        """A plan that is written and read is the same plan, and the same bytes."""
        plan = written(load(policy(tmp_path)))
        again = read_plan(plan.to_text())

        assert again == plan
        assert again.to_text() == plan.to_text()

    def test_same_bytes_elsewhere(self, tmp_path: Path) -> None:
        """Another folder, another process with other hashes, another comment: the same bytes, and no place in them."""
        here = written(load(policy(tmp_path / "here"))).to_text()
        other = policy(tmp_path / "other" / "deep", "# a comment\n" + POLICY)
        script = (
            "import sys; from airflow_veil.privacy.plan.written import written;"
            "from airflow_veil.privacy.policy.load import load;"
            "sys.stdout.write(written(load(sys.argv[1])).to_text())"
        )
        environment = {**os.environ, "PYTHONHASHSEED": "7", "PYTHONUTF8": "1"}
        there = subprocess.run(
            [sys.executable, "-c", script, str(other)], capture_output=True, check=True, env=environment
        ).stdout.decode()

        assert there == here
        assert str(tmp_path) not in here

    def test_a_line_a_column(self, tmp_path: Path) -> None:
        """A reviewer sees each column on a line of its own: a change of one is a diff of one line."""
        plan = written(load(policy(tmp_path))).to_text()
        changed = POLICY.replace("{to: year}", "{to: decade}")
        other = written(load(policy(tmp_path, changed))).to_text()
        lines = [(a, b) for a, b in zip(plan.splitlines(), other.splitlines(), strict=True) if a != b]

        assert len(lines) == 1
        assert all('"born": ' in line for line in lines[0])

    def test_types(self, tmp_path: Path) -> None:
        """Declared types, text where a CSV declares none, null where nothing is known; or those of the source."""
        loaded = load(policy(tmp_path))
        columns = written(loaded).datasets["people"].columns
        doors = written(loaded).datasets["visits"].columns
        schemas = {
            "people": pa.schema(
                {
                    "id": pa.int64(), "email": pa.string(), "born": pa.date32(), "country": pa.string(),
                    "city": pa.string(), "name": pa.string(), "zip": pa.string(), "age": pa.int8(),
                }
            ),
            "visits": pa.schema({"door": pa.string()}),
        }  # fmt: skip
        bound = written(loaded, schemas)

        assert (columns["born"].source_type, columns["born"].output_type) == ("date32[day]", "int32")
        assert (columns["email"].source_type, columns["email"].output_type, columns["email"].leaves) == (
            None,
            None,
            True,
        )
        assert doors["door"].source_type == "string"
        assert bound.types_of == "source"
        assert bound.datasets["people"].columns["email"].output_type == "string"
        assert bound.datasets["people"].unnamed == ("age", "zip")
        assert written(loaded).datasets["people"].unnamed is None
        assert read_plan(bound.to_text()) == bound

    def test_files_by_content(self, tmp_path: Path) -> None:
        """Hierarchies are in the plan by digest, under the names of the policy; one that is not there as null."""
        path = policy(tmp_path)
        before = written(load(path))
        (tmp_path / "city.csv").write_text("Wien;EU\n")
        (tmp_path / "country.csv").unlink()
        after = written(load(path))

        assert set(before.files) == {"city.csv", "country.csv"}
        assert before.files["city.csv"] != after.files["city.csv"]
        assert after.files["country.csv"] is None

    def test_no_digest_of_the_policy_and_no_key_version(self, tmp_path: Path) -> None:
        """What changes without a change of the plan is not in it."""
        text = written(load(policy(tmp_path))).to_text()

        assert "digest" not in text
        assert "version" not in text
        assert load(policy(tmp_path)).digest not in text

    @pytest.mark.parametrize(
        "spoil",
        [
            pytest.param(lambda told: told | {"format": 2}, id="another version"),
            pytest.param(lambda told: told | {"more": 1}, id="an unknown word"),
            pytest.param(lambda told: {"datasets": []}, id="another form"),
            pytest.param(lambda told: [told], id="a list"),
        ],
    )
    def test_what_is_none_is_refused(self, tmp_path: Path, spoil: object) -> None:
        """A file that is no plan is told, and not taken for an empty one."""
        told = json.loads(written(load(policy(tmp_path))).to_text())

        with pytest.raises(SchemaError, match="it is no plan"):
            read_plan(json.dumps(spoil(told)))  # type: ignore[operator]
        with pytest.raises(SchemaError, match="it is no plan"):
            read_plan("<<<<<<< HEAD\n" + written(load(policy(tmp_path))).to_text())

    def test_stands_beside_the_policy(self) -> None:
        """The name is the policy's, with another end."""
        assert plan_file(Path("a/shop.v2.yaml")) == Path("a/shop.v2.plan.json")
