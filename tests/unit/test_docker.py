"""The image and the compose file: no engine runs here, so what can be read off them is checked."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
DOCKER = ROOT / "docker"
COMPOSE: dict[str, Any] = yaml.safe_load((DOCKER / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
ONE_SHOT = {"init"}
SECRET_WORDS = ("PASSWORD", "SECRET", "FERNET", "TOKEN")


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions and their arguments, continued lines joined."""
    text = re.sub(r"^\s*#.*\n", "", (DOCKER / "Dockerfile").read_text(), flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", " ", text).splitlines()
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines if line.strip())]


def of(word: str) -> list[str]:
    return [rest for instruction, rest in instructions() if instruction == word]


def example_env() -> dict[str, str]:
    """What docker/.env.example sets."""
    lines = (DOCKER / ".env.example").read_text().splitlines()
    return dict(line.partition("=")[::2] for line in lines if line and not line.startswith("#"))


def used_variables() -> set[str]:
    """The variables that compose.yaml takes from the environment; `$$` is a dollar sign for the container."""
    return set(re.findall(r"(?<!\$)\$\{(\w+)", (DOCKER / "compose.yaml").read_text()))


class TestDockerfile:
    def test_bases_are_pinned(self) -> None:
        """Every stage starts from an image with a full version, the same one, so that the wheel fits."""
        bases = [base.split(" ")[0] for base in of("FROM")]

        assert len(bases) == 2
        assert set(bases) == {bases[0]}
        assert re.fullmatch(r"python:3\.11\.\d+-slim-bookworm", bases[0])

    def test_runs_as_a_number_other_than_root(self) -> None:
        """The last user is a number, which Kubernetes can check, and not 0."""
        user = of("USER")[-1]

        assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)
        assert [word for word, _ in instructions()].index("USER") > max(
            place for place, (word, _) in enumerate(instructions()) if word in ("RUN", "COPY")
        )

    def test_installs_what_was_tested(self) -> None:
        """The wheel is installed with the constraints, from the stage before, without a cache."""
        install = next(run for run in of("RUN") if "airflow-veil[postgres]" in run)

        assert "--constraint" in install
        assert "COPY --from=build" in (DOCKER / "Dockerfile").read_text()
        assert all("--no-cache-dir" in run for run in of("RUN") if "pip install" in run)

    def test_tells_its_health(self) -> None:
        """There is a health check in exec form."""
        (check,) = of("HEALTHCHECK")

        assert re.search(r'CMD \["', check)

    @pytest.mark.parametrize("word", ["ADD", "SHELL", "VOLUME", "MAINTAINER"])
    def test_needless_instructions_are_absent(self, word: str) -> None:
        """ADD fetches and unpacks unseen, the others surprise who builds on the image."""
        assert of(word) == []

    def test_holds_no_secret(self) -> None:
        """No ENV or ARG bears the name of a secret: layers keep what was set once."""
        names = re.findall(r"(\w+)=", " ".join(of("ENV") + of("ARG")))

        assert names
        assert not [name for name in names if any(secret in name for secret in SECRET_WORDS)]

    def test_copies_only_what_the_ignore_file_lets_through(self) -> None:
        """The build context is closed by default, and everything that is copied is in it."""
        rules = (DOCKER / "Dockerfile.dockerignore").read_text().splitlines()
        allowed = {rule[1:] for rule in rules if rule.startswith("!")}
        copies = [shlex.split(copy) for copy in of("COPY") if "--from" not in copy]
        copied = {source for copy in copies for source in copy[:-1] if not source.startswith("--")}

        assert next(rule for rule in rules if rule and not rule.startswith("#")) == "*"
        assert copied == allowed

    def test_copies_every_package(self) -> None:
        """A package folder that is not copied would be missing from the wheel."""
        import tomllib

        project = tomllib.loads((ROOT / "pyproject.toml").read_text())
        folders = {folder.split("/")[0] for folder in project["tool"]["setuptools"]["package-dir"].values()}

        assert folders <= set(" ".join(of("COPY")).split())


class TestCompose:
    def test_the_services_of_airflow_are_there(self) -> None:
        """Airflow's parts, and a database for it and one for the ledger."""
        assert set(SERVICES) == {
            "api-server",
            "scheduler",
            "dag-processor",
            "airflow-db",
            "ledger-db",
            *ONE_SHOT,
        }

    @pytest.mark.parametrize("name", sorted(SERVICES))
    def test_image_is_pinned(self, name: str) -> None:
        """Each image has a version with digits, never `latest`."""
        tag = SERVICES[name]["image"].rpartition(":")[2]

        assert re.match(r"\d+\.\d+", tag)

    def test_suite_image_has_the_suites_version(self) -> None:
        """The tag is the version that pyproject.toml says."""
        import tomllib

        version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]

        assert SERVICES["scheduler"]["image"] == f"airflow-veil:{version}"

    @pytest.mark.parametrize("name", sorted(SERVICES))
    def test_services_stay_up_and_tell_their_health(self, name: str) -> None:
        """What runs on restarts and has a health check; what runs once does neither."""
        service = SERVICES[name]
        once = name in ONE_SHOT

        assert service["restart"] == ("no" if once else "unless-stopped")
        assert service["healthcheck"].get("disable", False) is once

    @pytest.mark.parametrize("name", sorted(SERVICES))
    def test_dependencies_are_there_and_can_be_met(self, name: str) -> None:
        """A service waits for one that exists: for its end if it runs once, for its health if it runs on."""
        for other, wait in SERVICES[name].get("depends_on", {}).items():
            expected = "service_completed_successfully" if other in ONE_SHOT else "service_healthy"

            assert wait["condition"] == expected

    def test_every_variable_is_in_the_example(self) -> None:
        """Whoever fills in the example has filled in everything, and nothing in it is idle."""
        assert used_variables() == set(example_env())

    def test_the_example_holds_no_secret(self) -> None:
        """Secrets are empty in the example, so that nobody runs with a published one, and required."""
        text = (DOCKER / "compose.yaml").read_text()
        secrets = {name for name in example_env() if any(word in name for word in SECRET_WORDS)}

        assert len(secrets) >= 5
        assert {example_env()[name] for name in secrets} == {""}
        assert all(f"${{{name}:?" in text and f"${{{name}}}" not in text for name in secrets)

    def test_named_volumes_and_networks_are_declared(self) -> None:
        """A volume without a declaration is an error when it is too late."""
        mounts = [str(mount).split(":")[0] for service in SERVICES.values() for mount in service["volumes"]]
        named = {mount for mount in mounts if re.fullmatch(r"[a-z-]+", mount)}
        networks = {network for service in SERVICES.values() for network in service["networks"]}

        assert named == set(COMPOSE["volumes"])
        assert networks == set(COMPOSE["networks"])

    def test_ledger_is_apart(self) -> None:
        """The two databases share no network, volume or password."""
        airflow, ledger = SERVICES["airflow-db"], SERVICES["ledger-db"]

        assert not set(airflow["networks"]) & set(ledger["networks"])
        assert not set(airflow["volumes"]) & set(ledger["volumes"])
        assert airflow["environment"]["POSTGRES_PASSWORD"] != ledger["environment"]["POSTGRES_PASSWORD"]

    def test_only_this_machine_is_served(self) -> None:
        """The one open port listens on the loopback interface."""
        ports = [port for service in SERVICES.values() for port in service.get("ports", [])]

        assert len(ports) == 1
        assert ports[0].startswith("127.0.0.1:")

    def test_nobody_gains_rights(self) -> None:
        """No container can gain privileges, and none overrides the image's user."""
        assert all("no-new-privileges:true" in service["security_opt"] for service in SERVICES.values())
        assert [name for name, service in SERVICES.items() if "user" in service] == []

    def test_volumes_begin_with_their_owner(self) -> None:
        """An empty volume takes over the owner of the image's folder, so each mount point must be one."""
        mounts = [
            mount.split(":")[1] for mount in SERVICES["scheduler"]["volumes"] if re.match(r"[a-z-]+:", mount)
        ]
        (install,) = [run for run in of("RUN") if "install --directory" in run]

        assert mounts
        assert set(mounts) <= set(install.split())

    def test_compose_accepts_it(self, tmp_path: Path) -> None:
        """`docker compose config` resolves the file with a filled-in example."""
        docker = shutil.which("docker")
        if (
            docker is None
            or subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode
        ):
            pytest.skip(
                "NO DOCKER COMPOSE: the plugin is not installed; the file is checked by its content only"
            )
        env = tmp_path / "env"
        env.write_text("".join(f"{name}={value or 'x'}\n" for name, value in example_env().items()))
        command = [
            docker,
            "compose",
            "--file",
            DOCKER / "compose.yaml",
            "--env-file",
            env,
            "config",
            "--quiet",
        ]
        found = subprocess.run(command, capture_output=True, text=True, check=False)

        assert (found.returncode, found.stderr) == (0, "")
