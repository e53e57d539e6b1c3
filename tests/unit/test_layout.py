"""The house rules that no linter knows: packages, the wall around `privacy/`, light imports, sizes."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CODE = ("cli", "hooks", "operators", "pipelines", "plugins", "privacy")
MODULES = sorted(path for folder in CODE for path in (ROOT / folder).rglob("*.py"))
ARROWS = {
    "privacy": set(),
    "hooks": {"privacy"},
    "operators": {"hooks", "privacy"},
    "pipelines": {"operators", "hooks", "privacy"},
    "plugins": {"hooks", "privacy"},
    "cli": {"hooks", "privacy"},
}
"""What each folder may import of the others."""


def _imports(path: Path) -> set[str]:
    """The folders of the suite that a module imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        found |= {name.split(".")[1] for name in names if name.startswith("airflow_veil.")}
    return found


class TestLayout:
    def test_packages_equal_the_tree(self) -> None:
        """A package that pyproject.toml forgets would be missing from the wheel without a word."""
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())
        named = set(project["tool"]["setuptools"]["packages"])

        tree = {
            "airflow_veil." + ".".join(path.parent.relative_to(ROOT).parts)
            for folder in CODE
            for path in (ROOT / folder).rglob("__init__.py")
        }

        assert tree == named

    def test_every_package_is_mapped_to_its_folder(self) -> None:
        """Each package is the folder that bears its name."""
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())
        mapped = project["tool"]["setuptools"]["package-dir"]

        assert mapped == {name: name.removeprefix("airflow_veil.").replace(".", "/") for name in mapped}
        assert set(mapped) == set(project["tool"]["setuptools"]["packages"])

    @pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
    def test_arrows_point_one_way(self, path: Path) -> None:
        """Dags → pipelines → operators → hooks → privacy; plugins and cli → hooks → privacy."""
        folder = path.relative_to(ROOT).parts[0]

        assert _imports(path) - {folder} <= ARROWS[folder]

    @pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
    def test_modules_stay_small(self, path: Path) -> None:
        """One concept a file: what does not fit in 400 lines holds more than one."""
        assert len(path.read_text().splitlines()) <= 400

    def test_privacy_imports_without_airflow(self) -> None:
        """Every module of `privacy/` imports where Airflow is blocked: the methods stand alone."""
        names = [
            "airflow_veil." + ".".join(path.relative_to(ROOT).with_suffix("").parts)
            for path in MODULES
            if path.relative_to(ROOT).parts[0] == "privacy" and "migrations" not in path.parts
        ]
        script = (
            "import sys, importlib\n"
            "class Wall:\n"
            "    def find_spec(self, name, path=None, target=None):\n"
            "        if name == 'airflow' or name.startswith('airflow.'):\n"
            "            raise ImportError(name)\n"
            "sys.meta_path.insert(0, Wall())\n"
            f"[importlib.import_module(name) for name in {names!r}]\n"
        )

        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)

        assert done.returncode == 0, done.stderr

    def test_operators_import_light(self) -> None:
        """Importing the operators and pipelines costs no heavy library beyond Airflow's SDK."""
        script = (
            "import sys, airflow.sdk\n"
            "before = set(sys.modules)\n"
            "import airflow_veil.pipelines.sanitized_release, airflow_veil.operators.detokenize\n"
            "import airflow_veil.operators.rollback\n"
            "heavy = {'pandas', 'great_expectations', 'faker', 'opendp', 'sdv', 'torch', 'polars', 'alembic'}\n"
            "print(sorted(heavy & (set(sys.modules) - before)))\n"
        )

        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

        assert done.stdout.splitlines()[-1] == "[]"

    def test_parsing_dags_imports_light(self, tmp_path: Path) -> None:
        """Parsing `dags/`, and checking each policy of `configs/`, costs no heavy library beyond Airflow's own.

        numpy and Arrow are the heaviest: what policies are checked by gets them from `privacy/lazy.py`.
        """
        script = (
            "import sys\n"
            "from pathlib import Path\n"
            "from airflow.dag_processing.dagbag import DagBag\n"
            f"DagBag({str(tmp_path)!r})\n"
            "before = set(sys.modules)\n"
            f"bag = DagBag({str(ROOT / 'dags')!r})\n"
            "from airflow_veil.privacy.policy.check import check\n"
            "from airflow_veil.privacy.policy.load import load\n"
            f"policies = sorted(Path({str(ROOT / 'configs')!r}).glob('*.yaml'))\n"
            "assert not bag.import_errors and len(bag.dags) > len(policies)\n"
            "assert policies and not any(check(load(policy)) for policy in policies)\n"
            "heavy = {'numpy', 'pyarrow', 'pandas', 'cryptography', 'great_expectations', 'faker', 'opendp'}\n"
            "print(sorted(heavy & (set(sys.modules) - before)))\n"
        )
        settings = {"VEIL_POLICIES": str(ROOT / "configs"), "VEIL_HOME": str(tmp_path / "veil")}
        settings |= {"AIRFLOW_HOME": str(tmp_path / "airflow"), "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}

        done = subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, **settings},
            capture_output=True,
            text=True,
            check=False,
        )

        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[-1] == "[]"

    def test_bare_folder_names_are_not_imported(self) -> None:
        """`import operators` would be a second copy of the same classes."""
        for path in [*MODULES, *(ROOT / "tests").rglob("*.py"), *(ROOT / "dags").glob("*.py")]:
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.ImportFrom):
                    assert (node.module or "").partition(".")[0] not in CODE, path
                if isinstance(node, ast.Import):
                    assert not {alias.name.partition(".")[0] for alias in node.names} & set(CODE), path
