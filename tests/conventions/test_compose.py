"""docker-compose.yml, as far as it can be tested without a container engine."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import get_commands

from portal import settings as portal_settings
from tests.conventions.tree import ROOT
from workers import processes

FILE = ROOT / "docker-compose.yml"
COMPOSE: dict[str, Any] = yaml.safe_load(FILE.read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = ("migrate", "web", "worker", "beat")
SECRETS = ("POSTGRES_PASSWORD", "PORTAL_SECRET_KEY", "PORTAL_ENCRYPTION_KEYS")
# The processes of `manage.py up`, which differ in the Python and in what the settings decide.
SAME_AS_UP = {
    "web": processes.web("0.0.0.0", 8000),
    "worker": processes.worker(2),
}


def dockerfile() -> list[tuple[str, str]]:
    """Instructions and their arguments, continued lines joined."""
    text = COMPOSE["x-portal"]["build"]["dockerfile_inline"].replace("\\\n", " ")
    lines = [re.sub(r"\s+", " ", line) for line in text.splitlines() if line.strip()]
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines)]


def test_it_has_what_a_team_needs() -> None:
    assert set(SERVICES) == {*OURS, "postgres", "valkey", "vllm"}
    assert SERVICES["vllm"]["profiles"] == ["gpu"]
    assert all("profiles" not in SERVICES[name] for name in SERVICES if name != "vllm")


@pytest.mark.parametrize("name", SERVICES)
def test_images_are_pinned_by_tag(name: str) -> None:
    _, _, tag = SERVICES[name]["image"].rpartition(":")
    assert re.match(r"v?\d+\.\d+\.\d+", tag) or re.match(r"\d+\.\d+-", tag), tag


def test_the_base_image_is_pinned_and_a_python_that_the_project_supports() -> None:
    base = dict(dockerfile())["FROM"]
    found = re.fullmatch(r"python:3\.(\d+)\.\d+-slim-\w+", base)
    assert found and int(found[1]) >= 11


@pytest.mark.parametrize("name", [name for name in SERVICES if name != "migrate"])
def test_what_keeps_running_is_watched(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"][0] == "CMD"
    assert SERVICES[name]["restart"] == "unless-stopped"


@pytest.mark.parametrize("secret", SECRETS)
def test_no_secret_has_a_default(secret: str) -> None:
    uses = re.findall(rf"\$\{{{secret}(.)(.)", FILE.read_text())
    assert uses
    assert set(uses) == {(":", "?")}


@pytest.mark.parametrize("name", OURS)
def test_commands_name_what_exists(name: str) -> None:
    command = SERVICES[name]["command"]
    assert command[0] == "python"
    if command[1] == "manage.py":
        assert command[2] in get_commands()
        return
    assert command[1] == "-m"
    assert find_spec(command[2])
    modules = [word for word in command if re.fullmatch(r"(?:portal|workers)\.[\w.:]+", word)]
    assert modules
    assert all(find_spec(module.partition(":")[0]) for module in modules)


@pytest.mark.parametrize("name", SAME_AS_UP)
def test_containers_run_what_up_runs(name: str) -> None:
    written = [re.sub(r"\$\{\w+:-(.*)\}", r"\1", word) for word in SERVICES[name]["command"]]
    assert written[1:] == SAME_AS_UP[name][1:]


def test_beat_runs_as_in_up_with_its_schedule_in_the_volume(tmp_path: Path) -> None:
    written = SERVICES["beat"]["command"]
    as_in_up = processes.beat(tmp_path / "schedule")
    differing = [pair for pair in zip(written, as_in_up, strict=True) if pair[0] != pair[1]]
    assert differing[1:] == [("/data/schedule", str(tmp_path / "schedule"))]
    assert "data:/data" in SERVICES["beat"]["volumes"]


def test_the_image_runs_as_nobody_special_and_installs_nothing_by_itself() -> None:
    steps = dockerfile()
    words = [word for word, _ in steps]
    environment = dict(steps)["ENV"]
    assert "PORTAL_BOOTSTRAP=off" in environment and "PORTAL_DATA_DIR=/data" in environment
    user = dict(steps)["USER"]
    assert user not in {"root", "0"}
    assert "RUN" not in words[words.index("USER") :]
    assert all(service["cap_drop"] == ["ALL"] for service in map(SERVICES.get, OURS))


def test_the_image_holds_every_package_and_the_static_files() -> None:
    steps = dockerfile()
    copied = {word for name, rest in steps if name == "COPY" for word in rest.split()[:-1]}
    assert {"manage.py", "portal", "workers", "evals", "feedback", "templates"} <= copied
    assert all((ROOT / name).exists() for name in copied)
    installs = next(rest for name, rest in steps if name == "RUN" and "pip install" in rest)
    assert "--no-deps --require-hashes -r requirements.lock" in installs
    assert any("collectstatic" in rest for name, rest in steps if name == "RUN")
    # Collected as root into the image: never into a volume that hides them.
    assert not str(portal_settings.STATIC_ROOT).startswith("/data")


def test_the_settings_of_the_containers_are_consistent() -> None:
    settings = COMPOSE["x-portal"]["environment"]
    assert settings["PORTAL_BROKER_URL"] == "redis://valkey:6379/0"
    assert settings["DATABASE_URL"].endswith("@postgres:5432/portal")
    assert "vllm" in settings["PORTAL_OUTBOUND_ALLOW"]
    assert "localhost" in settings["PORTAL_ALLOWED_HOSTS"]  # the health check asks for it


def has_compose() -> bool:
    if not shutil.which("docker"):
        return False
    return subprocess.run(["docker", "compose", "version"], capture_output=True).returncode == 0


@pytest.mark.skipif(not has_compose(), reason="docker compose is not installed")
def test_docker_can_read_it() -> None:
    needed = dict.fromkeys((*SECRETS, "PORTAL_ALLOWED_HOSTS"), "x")
    read = subprocess.run(
        ["docker", "compose", "config", "--quiet"],
        cwd=ROOT, env=os.environ | needed, capture_output=True, text=True,
    )  # fmt: skip
    assert read.returncode == 0, read.stderr
