"""``manage.py`` in a bare folder: real processes, real environments, wheels made here."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import pty
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal import environments

ROOT = Path(__file__).resolve().parent.parent.parent
HOST = Path(sys._base_executable)
DJANGO = """
import sys
def execute_from_command_line(argv):
    print("prefix", sys.prefix)
    print("arguments", *argv[1:])
"""


def make_wheel(folder: Path, name: str, version: str, files: dict[str, str]) -> str:
    """A wheel in ``folder``; gives its line for a lock."""
    info = f"{name}-{version}.dist-info"
    files = files | {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = ""
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=")
        record += f"{path},sha256={digest.decode()},{len(text.encode())}\n"
    files[f"{info}/RECORD"] = record + f"{info}/RECORD,,\n"
    wheel = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return f"{name}=={version} --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n"


class Clone:
    """The start of a checkout, with a Django of three lines as its only dependency."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "clone with space"
        self.wheels = folder / "wheels"
        (self.folder / "portal").mkdir(parents=True)
        self.wheels.mkdir()
        shutil.copy(ROOT / "manage.py", self.folder)
        for name in ("environment.py", "__init__.py", "bootstrap.py", "environments.py"):
            shutil.copy(ROOT / "portal" / name, self.folder / "portal")
        shutil.copy(ROOT / "requirements-uv.lock", self.folder)
        main = {"django/core/management/__init__.py": DJANGO}
        self.lock = self.folder / "requirements.lock"
        self.lock.write_text(make_wheel(self.wheels, "django", "5.0", main))
        (self.folder / "requirements-test.lock").write_text(self.lock.read_text())

    @property
    def stamp(self) -> Path:
        return self.folder / ".venv" / "portal-lock.json"

    @property
    def main(self) -> Path:
        (path,) = self.folder.glob(".venv/lib/*/site-packages/django/core/management/__init__.py")
        return path

    def environment(self, **extra: str) -> dict[str, str]:
        kept = ("PATH", "HOME", "LANG", "TMPDIR")
        base = {key: os.environ[key] for key in kept if key in os.environ}
        where = {"PIP_FIND_LINKS": str(self.wheels).replace(" ", "%20"), "PIP_NO_INDEX": "1"}
        # A setting that only pip knows: uv, which is not among the wheels, is not looked for.
        pip = {"PIP_CONFIG_FILE": os.devnull, "PIP_KEYRING_PROVIDER": "disabled"}
        return {name: value for name, value in (base | pip | where | extra).items() if value}

    def start(self, *arguments: str, **extra: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [str(HOST), "manage.py", *arguments],
            cwd=self.folder,
            env=self.environment(**extra),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, **extra: str) -> subprocess.CompletedProcess[str]:
        process = self.start(*arguments, **extra)
        out, err = process.communicate(timeout=120)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone(tmp_path)


def test_it_makes_the_environment_and_goes_on_in_it(clone: Clone) -> None:
    done = clone.run("up", "--port", "8001")
    assert done.returncode == 0, done.stderr
    assert f"prefix {clone.folder / '.venv'}" in done.stdout
    assert "arguments up --port 8001" in done.stdout
    assert "Installed .venv: 1 packages" in done.stderr


def test_pip_does_the_work_where_uv_cannot_be_had(clone: Clone) -> None:
    done = clone.run("up", PIP_KEYRING_PROVIDER="")
    assert done.returncode == 0, done.stderr
    log = (clone.folder / ".envs" / "logs" / "venv.log").read_text()
    assert "No matching distribution found for uv" in log
    assert "Successfully installed django-5.0" in log


def test_a_second_start_installs_nothing_and_takes_no_time(clone: Clone) -> None:
    clone.run("up")
    stamped = clone.stamp.stat().st_mtime_ns
    began = time.monotonic()
    done = clone.run("up", PIP_FIND_LINKS="/nowhere")
    taken = time.monotonic() - began
    assert (done.returncode, done.stderr) == (0, "")
    assert clone.stamp.stat().st_mtime_ns == stamped
    print(f"second start: {taken * 1000:.0f} ms")
    assert taken < 2


def test_a_changed_lock_is_installed_at_the_next_start(clone: Clone) -> None:
    clone.run("up")
    newer = {"django/core/management/__init__.py": DJANGO.replace('"prefix"', '"newer"')}
    clone.lock.write_text(make_wheel(clone.wheels, "django", "5.1", newer))
    assert "newer" in clone.run("up").stdout


def test_an_interrupted_install_is_repaired(clone: Clone) -> None:
    clone.run("up")
    clone.stamp.unlink()  # the last thing that an install writes
    clone.main.write_text("half a fi")
    done = clone.run("up")
    assert done.returncode == 0, done.stderr
    assert "arguments up" in done.stdout


def test_it_survives_kill_9_in_the_middle_of_an_install(clone: Clone) -> None:
    for patience in (0.3, 0.9, 1.6):
        process = clone.start("up")
        time.sleep(patience)
        process.kill()
        process.communicate()
    assert "arguments up" in clone.run("up").stdout


def test_two_starts_at_once_install_once(clone: Clone) -> None:
    started = [clone.start("up"), clone.start("up")]
    ended = [process.communicate(timeout=120) for process in started]
    assert [process.returncode for process in started] == [0, 0], ended
    assert all("arguments up" in out for out, _ in ended)
    assert sum("packages" in err for _, err in ended) == 1


def test_a_file_that_is_not_the_locked_one_is_refused_with_the_log(clone: Clone) -> None:
    lock = clone.lock.read_text()
    clone.lock.write_text(lock.replace(lock[-6:-1], "00000"))
    done = clone.run("up")
    log = clone.folder / ".envs" / "logs" / "venv.log"
    assert done.returncode == 1
    assert "DO NOT MATCH THE HASHES" in done.stderr
    assert str(log) in done.stderr and "DO NOT MATCH" in log.read_text()
    assert not clone.stamp.exists()


def test_an_older_python_is_told_what_is_needed(clone: Clone) -> None:
    path = clone.folder / "portal" / "bootstrap.py"
    path.write_text(path.read_text().replace("OLDEST = (3, 11)", "OLDEST = (3, 99)"))
    done = clone.run("up")
    assert done.returncode == 1
    assert done.stderr.startswith("Prüfstand needs Python 3.11 or newer; this is 3.")


def test_in_a_container_it_uses_the_python_it_gets(clone: Clone) -> None:
    done = clone.run("up", PORTAL_BOOTSTRAP="off")
    assert "No module named 'django'" in done.stderr
    assert not (clone.folder / ".venv").exists()


def test_on_a_terminal_one_line_is_rewritten(clone: Clone) -> None:
    ours, theirs = pty.openpty()
    command, environment = [str(HOST), "manage.py", "up"], clone.environment()
    subprocess.run(command, cwd=clone.folder, env=environment, stdout=theirs, stderr=theirs)
    shown = os.read(ours, 65536).decode()
    assert shown.count("\rInstalling .venv:") > 1
    assert shown.split("Installed .venv:")[0].count("\n") == 1


def test_where_no_pip_is_the_environment_gets_its_own(
    clone: Clone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = tmp_path / "bare"
    subprocess.run([str(HOST), "-m", "venv", "--without-pip", str(bare)], check=True)
    python = str(bare / "bin" / "python")
    monkeypatch.setenv("PORTAL_HOST_PYTHON", python)
    monkeypatch.setattr(sys, "executable", python)
    monkeypatch.setattr(sys, "_base_executable", python)
    found = environments._pip(Path(python), tmp_path / "log")
    assert found == [python, "-m", "pip"]
    assert environments._pip_version(python) > (20, 0)


def test_where_neither_pip_nor_ensurepip_is_it_names_the_debian_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = tmp_path / "bare"
    subprocess.run([str(HOST), "-m", "venv", "--without-pip", str(bare)], check=True)
    python = bare / "bin" / "python"
    (site,) = bare.glob("lib/*/site-packages")
    # As in Debian without python3-venv: the module is there and refuses.
    blocked = "import sys; sys.modules['ensurepip'] = None\n"
    (site / "debian.pth").write_text(blocked)
    monkeypatch.setenv("PORTAL_HOST_PYTHON", str(python))
    monkeypatch.setattr(sys, "executable", str(python))
    monkeypatch.setattr(sys, "_base_executable", str(python))
    with pytest.raises(environments.InstallFailed, match="apt-get install python3-pip"):
        environments._pip(python, tmp_path / "log")


def test_uv_installs_when_pip_can_provide_it(
    clone: Clone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uv = ROOT / ".envs" / "uv"
    if not (uv / "bin" / "uv").exists():
        pytest.skip("uv has not been installed in this checkout")
    monkeypatch.setattr(environments, "ROOT", clone.folder)
    (clone.folder / ".envs").mkdir()
    (clone.folder / ".envs" / "uv").symlink_to(uv)
    for name, value in clone.environment(
        PIP_KEYRING_PROVIDER="", UV_CACHE_DIR=str(tmp_path / "cache")
    ).items():
        monkeypatch.setenv(name, value)
    python = environments.ensure(clone.folder / ".venv", "requirements.lock", report=print)
    asked = [str(python), "-c", "import django.core.management as m; print(m.__file__)"]
    assert subprocess.run(asked, capture_output=True, text=True).stdout
    log = (clone.folder / ".envs" / "logs" / "venv.log").read_text()
    assert "Prepared 1 package" in log and "uv failed" not in log


def test_a_variable_replaces_what_the_files_of_pip_say() -> None:
    listed = (
        ":env:.index-url='https://b.example/packages'\n"
        "global.extra-index-url='\\nhttps://c.example\\nhttps://d.example'\n"
        "global.index-url='https://a.example/packages'\n"
        "install.no-compile='true'\n"
        "list.format='columns'\n"
    )
    found = environments.parse_settings(listed)
    assert found == {
        "index-url": ["https://b.example/packages"],
        "extra-index-url": ["https://c.example", "https://d.example"],
        "no-compile": ["true"],
    }
    environment = environments.uv_environment(found)
    assert environment and environment["UV_DEFAULT_INDEX"] == "https://b.example/packages"
    assert environment["UV_INDEX"] == "https://c.example https://d.example"


def test_uv_is_left_out_when_pip_has_a_setting_it_may_not_know() -> None:
    assert environments.uv_environment({"keyring-provider": ["subprocess"]}) is None
    assert environments.uv_environment({"quiet": ["1"]}) is not None


@given(st.dictionaries(st.sampled_from(["find-links", "cert", "index-url"]), st.text(min_size=1)))
def test_what_pip_lists_is_read_back(settings: dict[str, str]) -> None:
    listed = "\n".join(f"global.{name}={value!r}" for name, value in settings.items())
    expected = {name: value.split() for name, value in settings.items()}
    assert environments.parse_settings(listed) == expected


def pins(name: str) -> set[str]:
    return {line.split(" ")[0] for line in (ROOT / name).read_text().splitlines() if "==" in line}


def test_the_test_lock_includes_the_runtime_and_the_small_one_is_part_of_vllms() -> None:
    assert pins("requirements.lock") <= pins("requirements-test.lock")
    assert pins("requirements-models.lock") <= pins("requirements-vllm.lock")


def test_a_stamp_names_every_lock_that_it_covers(clone: Clone) -> None:
    (clone.folder / "tests").mkdir()
    (clone.folder / "tests" / "__main__.py").write_text("def main(arguments): return 0\n")
    assert clone.run("test").returncode == 0
    assert {"requirements.lock", "requirements-test.lock"} <= json.loads(
        clone.stamp.read_text()
    ).keys()
    assert clone.run("up").stderr == ""
