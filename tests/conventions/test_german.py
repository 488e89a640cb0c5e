"""Every English sentence of the interface has a German one, and the compiled file is current."""

from __future__ import annotations

import shutil
import subprocess
from gettext import GNUTranslations
from io import BytesIO
from pathlib import Path

import pytest

from tests.conventions.tree import PACKAGES, ROOT, python

CATALOGUE = Path("portal/locale/de/LC_MESSAGES/django.po")
TOOLS = ("xgettext", "msgmerge", "msgcmp", "msgfmt")

pytestmark = pytest.mark.skipif(
    not all(shutil.which(tool) for tool in TOOLS),
    reason="gettext is not installed (apt-get install gettext)",
)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sentences as they stand in a copy of code and templates now (a .pot file)."""
    copy = tmp_path_factory.mktemp("sentences")
    ignored = shutil.ignore_patterns("__pycache__", "data", "static")
    for folder in (*PACKAGES, "templates"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=ignored)
    found = python(
        "-m", "django", "makemessages", "--locale", "de", "--keep-pot",
        cwd=copy, data=copy / "var", DJANGO_SETTINGS_MODULE="portal.settings",
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    return copy / "portal" / "locale" / "django.pot"


def test_every_sentence_has_a_german_one(template: Path) -> None:
    """``msgcmp`` names what is missing, empty or fuzzy, and what nobody uses any more."""
    compared = subprocess.run(
        ["msgcmp", str(ROOT / CATALOGUE), str(template)], capture_output=True, text=True
    )
    complaints = compared.stderr.splitlines()
    assert complaints == [], f"{len(complaints)} complaints:\n" + "\n".join(complaints[:20])


def test_placeholders_are_the_same_in_both_languages() -> None:
    checked = subprocess.run(
        ["msgfmt", "--check", "--output-file=-", str(ROOT / CATALOGUE)], capture_output=True
    )
    assert checked.returncode == 0, checked.stderr.decode()[-4000:]


def test_the_compiled_file_says_what_the_source_says() -> None:
    assert (ROOT / CATALOGUE).exists()
    made = subprocess.run(
        ["msgfmt", "--output-file=-", str(ROOT / CATALOGUE)], capture_output=True, check=True
    )
    compiled = (ROOT / CATALOGUE).with_suffix(".mo").read_bytes()
    assert entries(made.stdout) == entries(compiled), "run manage.py compilemessages"


def entries(compiled: bytes) -> dict[object, str]:
    """Every sentence and its translation in a compiled catalogue, without the header."""
    catalogue = GNUTranslations(BytesIO(compiled))._catalog
    return {key: text for key, text in catalogue.items() if key}
