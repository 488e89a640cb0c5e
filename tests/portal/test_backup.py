"""The drill: back up, lose everything, restore, on either database; and what is refused."""

from __future__ import annotations

import json
import subprocess
import zipfile
from pathlib import Path

import pytest

from tests.conventions.tree import python

pytestmark = pytest.mark.services
FILL = """
from evals import candidates, imports, suites
from evals.models import Part, Sample
from portal.accounts.people import create_admin, default_project
create_admin(username="admin")
project = default_project()
candidates.register(project, name="M 7B äöü", base_url="http://127.0.0.1:9/v1",
                    served_model="m", api_key="sk-CANARY-1234567890")
suites.install(project, "demo")
imports.receive(project, [imports.File("board.csv", "model,Elo\\nÄ,1\\n".encode())])
"""
LOOK = """
import json
from django.apps import apps
from evals import candidates
from evals.models import Endpoint, ImportedFile, Suite
from portal.accounts.models import Project
LEFT_OUT = {"sessions", "axes"}
models = [m for m in apps.get_models() if m._meta.app_label not in LEFT_OUT]
counts = {m._meta.label_lower: m._base_manager.count() for m in models}
key = candidates.spec(Endpoint.objects.get()).api_key
made = Suite.objects.get().created_at.isoformat()
given = ImportedFile.objects.get().open().read().decode()
found = {"counts": counts, "key": key, "made": made, "given": given}
print(json.dumps(found))
"""
MORE = """
found["new"] = Project.objects.create(name="Made after the restore").pk
print(json.dumps(found))
"""


class Site:
    """An installation with a data folder and a database of its own."""

    def __init__(self, data: Path, url: str = "") -> None:
        self.data, self.env = (
            data,
            {"PORTAL_BOOTSTRAP": "off"} | ({"DATABASE_URL": url} if url else {}),
        )

    def manage(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return python("manage.py", *arguments, data=self.data, **self.env)

    def shell(self, code: str) -> str:
        done = self.manage("shell", "--no-imports", "-c", code)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def take_keys_of(self, other: Site) -> None:
        folder = self.data / "keys"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "encryption.key").write_bytes(
            (other.data / "keys" / "encryption.key").read_bytes()
        )


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Site:
    site = Site(tmp_path_factory.mktemp("filled"))
    assert site.manage("migrate", "-v0").returncode == 0
    site.shell(FILL)
    return site


@pytest.fixture(scope="module")
def file(filled: Site, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("backup") / "portal.zip"
    done = filled.manage("backup", str(path))
    assert done.returncode == 0, done.stderr
    return path


@pytest.mark.parametrize("database", ["SQLite", "PostgreSQL"])
def test_the_drill(
    database: str, filled: Site, file: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue("postgresql_url") if database == "PostgreSQL" else ""
    site = Site(tmp_path, url)
    site.take_keys_of(filled)
    done = site.manage("restore", str(file))
    assert done.returncode == 0, done.stderr
    before, after = (
        json.loads(filled.shell(LOOK)),
        json.loads(site.shell(LOOK + MORE).splitlines()[-1]),
    )
    assert after["counts"] == before["counts"] and after["made"] == before["made"]
    assert after["new"] > 1  # the counter of new rows goes on
    assert after["key"] == "sk-CANARY-1234567890"
    assert after["counts"]["evals.benchmark"] == 16
    assert after["given"] == before["given"] == "model,Elo\nÄ,1\n"
    refused = site.manage("restore", str(file))
    assert refused.returncode and "--replace" in refused.stderr
    assert site.manage("restore", str(file), "--replace").returncode == 0


def test_it_holds_no_key_in_clear_and_is_not_for_everybody(file: Path) -> None:
    with zipfile.ZipFile(file) as inside:
        assert all(b"sk-CANARY" not in inside.read(name) for name in inside.namelist())
        assert "sessions.session.jsonl" not in inside.namelist()
    assert file.stat().st_mode & 0o077 == 0


def test_without_the_keys_of_that_time_it_stops_before_it_writes(
    file: Path, tmp_path: Path
) -> None:
    site = Site(tmp_path)
    refused = site.manage("restore", str(file))
    assert refused.returncode and "--forget-keys" in refused.stderr
    assert "no such table" in site.manage("shell", "--no-imports", "-c", LOOK).stderr


def test_a_damaged_file_is_refused(file: Path, filled: Site, tmp_path: Path) -> None:
    spoilt = tmp_path / "spoilt.zip"
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(spoilt, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            new.writestr(name, content[:-20] if name == "evals.benchmark.jsonl" else content)
    site = Site(tmp_path / "site")
    site.take_keys_of(filled)
    refused = site.manage("restore", str(spoilt))
    assert refused.returncode and "damaged: evals.benchmark" in refused.stderr
    refused = site.manage("restore", __file__)
    assert refused.returncode and "not a backup" in refused.stderr


def test_an_existing_file_is_not_overwritten(file: Path, filled: Site) -> None:
    refused = filled.manage("backup", str(file))
    assert refused.returncode and "exists already" in refused.stderr


def test_a_backup_of_an_older_version_is_brought_up_to_date(filled: Site, tmp_path: Path) -> None:
    """Rows are read into the tables as they were, and migrated afterwards."""
    file = tmp_path / "new.zip"
    assert filled.manage("backup", str(file)).returncode == 0
    old = tmp_path / "old.zip"
    then = {"accounts.0001_initial", "evals.0001_start"}
    with zipfile.ZipFile(file) as source, zipfile.ZipFile(old, "w") as target:
        manifest = json.loads(source.read("manifest.json"))
        manifest["migrations"] = [
            [app, name]
            for app, name in manifest["migrations"]
            if app not in {"accounts", "evals"} or f"{app}.{name}" in then
        ]
        kept = {"accounts.user", "accounts.project", "accounts.membership", "evals.questionset"}
        manifest["tables"] = {k: v for k, v in manifest["tables"].items() if k in kept}
        for name in kept:
            target.writestr(f"{name}.jsonl", source.read(f"{name}.jsonl"))
        target.writestr("manifest.json", json.dumps(manifest))
    site = Site(tmp_path / "site")
    site.take_keys_of(filled)
    done = site.manage("restore", str(old))
    assert done.returncode == 0, done.stderr
    assert site.manage("migrate", "--check").returncode == 0
    assert "16" in site.shell("from evals.models import *; print(QuestionSet.objects.count())")
