"""Pages that cannot rot: what README and ARCHITECTURE name is there, and their examples work."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from airflow.sdk import DAG

from airflow_veil.privacy.policy.check import check
from airflow_veil.privacy.policy.load import load

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
ARCHITECTURE = (ROOT / "ARCHITECTURE.md").read_text()


def _block(page: str, language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", page, flags=re.DOTALL)
    assert found is not None
    return found[1]


class TestReadme:
    def test_its_policy_checks(self, tmp_path: Path) -> None:
        """The policy that newcomers copy has no mistakes."""
        path = tmp_path / "shop.yaml"
        path.write_text(_block(README, "yaml"))

        assert check(load(path)) == ()

    def test_its_dag_parses(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The DAG that newcomers copy makes a DAG of that policy."""
        (tmp_path / "policies").mkdir()
        (tmp_path / "policies" / "shop.yaml").write_text(_block(README, "yaml"))
        monkeypatch.chdir(tmp_path)
        names: dict[str, object] = {}

        exec(compile(_block(README, "python"), "README.md", "exec"), names)

        dag = names["dag"]
        assert isinstance(dag, DAG)
        assert dag.dag_id == "veil_shop"
        assert {"customers.sanitize", "customers.validate", "customers.publish"} <= set(dag.task_ids)

    @pytest.mark.parametrize("link", re.findall(r"\]\((?!http)([^)#]+)\)", README + ARCHITECTURE))
    def test_its_links_lead_somewhere(self, link: str) -> None:
        """Every page that is linked to is there."""
        assert (ROOT / link).exists()

    def test_its_make_targets_exist(self) -> None:
        """Every `make` that the pages name is a target."""
        targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
        named = {
            word for words in re.findall(r"make ((?:[a-z]+ )*[a-z]+)[`\s]", README) for word in words.split()
        }

        assert {"demo", "test", "bench", "lint", "types"} <= targets
        assert named & {"demo", "test", "bench", "lint", "types"} <= targets


class TestDifferentialPrivacy:
    PAGE = (ROOT / "docs" / "differential_privacy.md").read_text()

    def test_its_policy_checks(self, tmp_path: Path) -> None:
        """The policy of the page has no mistakes."""
        path = tmp_path / "shop_statistics.yaml"
        path.write_text(_block(self.PAGE, "yaml"))

        assert check(load(path)) == ()

    def test_every_word_of_the_section_is_on_it(self) -> None:
        """Budgets, queries, keys and measures: what can be written is explained."""
        from airflow_veil.privacy.policy import differential_privacy as words

        models = (
            words.Budget,
            words.Spend,
            words.Contribution,
            words.Query,
            words.Measure,
            words.Missing,
            words.Steps,
        )
        named = {
            name for model in (*models, words.ValueKeys, words.CalendarKeys) for name in model.model_fields
        }

        assert {word for word in named if not re.search(rf"\b{word}\b", self.PAGE)} == set()


class TestAnonymize:
    PAGE = (ROOT / "docs" / "anonymize.md").read_text()

    def test_its_policy_checks(self, tmp_path: Path) -> None:
        """The policy of the page has no mistakes, its hierarchies being there."""
        path = tmp_path / "census.yaml"
        path.write_text(_block(self.PAGE, "yaml"))
        (tmp_path / "hierarchies").mkdir()
        for name in ("age", "postcode", "sex"):
            (tmp_path / "hierarchies" / f"{name}.csv").write_text("1;*\n")

        assert check(load(path)) == ()

    def test_every_word_of_the_section_is_on_it(self) -> None:
        """What can be written is explained."""
        from typing import get_args

        from airflow_veil.privacy.anonymize.quality import Quality
        from airflow_veil.privacy.policy import anonymize as words

        models = (words.Anonymize, words.Hierarchy, words.Diversity, words.Closeness)
        named = {*get_args(Quality), *(name for model in models for name in model.model_fields)}

        assert {word for word in named if not re.search(rf"\b{word}\b", self.PAGE)} == set()


class TestRetention:
    PAGE = (ROOT / "docs" / "retention.md").read_text()

    def test_its_policy_checks(self, tmp_path: Path) -> None:
        """The policy of the page has no mistakes."""
        path = tmp_path / "shop.yaml"
        path.write_text(_block(self.PAGE, "yaml"))

        assert check(load(path)) == ()

    def test_every_word_of_the_section_is_on_it(self) -> None:
        """Whatever can be written is explained, and so is every count that can stay."""
        from airflow_veil.privacy.policy.retention import Retention
        from airflow_veil.privacy.retention.counts import Counts

        words = {field.alias or name for name, field in Retention.model_fields.items()}
        counts = set(Counts.__dataclass_fields__) - {"rows", "delete"}

        assert {word for word in words if not re.search(rf"\b{word}: ", self.PAGE)} == set()
        assert {count for count in counts if f"`{count}`" not in self.PAGE} == set()


class TestArchitecture:
    @pytest.mark.parametrize(
        ("package", "modules"),
        re.findall(r"^\| `(\w+)` \| [^|]+ \| ((?:`\w+\.py`(?:, )?)+) \|$", ARCHITECTURE, flags=re.MULTILINE),
        ids=lambda value: value if value.isalpha() else "",
    )
    def test_modules_to_read_first_exist(self, package: str, modules: str) -> None:
        """The map names files that are there."""
        for module in re.findall(r"`(\w+\.py)`", modules):
            assert (ROOT / "privacy" / package / module).is_file()

    def test_every_package_is_on_the_map(self) -> None:
        """No package of `privacy/` is missing from the map."""
        named = set(re.findall(r"^\| `(\w+)` \|", ARCHITECTURE, flags=re.MULTILINE))

        assert {path.parent.name for path in (ROOT / "privacy").glob("*/__init__.py")} <= named
