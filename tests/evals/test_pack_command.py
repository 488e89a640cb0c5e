"""``manage.py pack``: what an operator sees and how it ends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from evals.models import Suite, TrustedKey
from portal.accounts.models import AuditEntry, Project
from tests.evals.making import choice, make_suite
from tests.evals.packing import packed
from tests.evals.test_packs import FINGERPRINT, PUBLIC

pytestmark = pytest.mark.django_db


@pytest.fixture
def theirs(tmp_path: Path) -> str:
    path = tmp_path / "theirs.zip"
    path.write_bytes(packed())
    return str(path)


def said(capsys: pytest.CaptureFixture[str], *arguments: Any) -> str:
    call_command("pack", *map(str, arguments))
    return "".join(capsys.readouterr())


def test_a_pack_is_written_shown_and_read(
    project: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    suite, path = make_suite(project, choice(), licence="CC0-1.0"), tmp_path / "small.zip"
    assert suite.sha256 in said(capsys, "export", "small", path)
    told = said(capsys, "show", path)
    for words in ("Small suite v1", "CC0-1.0", "this installation", "colours: en, 8 questions",
                  "The same as Small suite v1"):  # fmt: skip
        assert words in told
    assert "Small suite v1 is in" in said(capsys, "import", path)
    assert AuditEntry.objects.get(action="pack.export").actor_name == "command"


def test_an_older_version_can_be_written(
    project: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for version in (1, 2):
        make_suite(project, choice(title=f"Of version {version}"), version=version)
    said(capsys, "export", "small", tmp_path / "old.zip", "--version", 1)
    assert "Small suite v1" in said(capsys, "show", tmp_path / "old.zip")
    with pytest.raises(CommandError, match="There are: 2, 1"):
        call_command("pack", "export", "small", str(tmp_path / "x.zip"), "--version", "3")


@pytest.mark.parametrize(
    ("licence", "words"),
    [("", "not stated"), ("CC-BY-NC-4.0", "conditions"), ("All rights reserved", "forbids")],
)
def test_it_warns_where_the_licence_does_not_allow_to_pass_on(
    project: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str], licence: str, words: str
) -> None:
    make_suite(project, choice(), licence=licence)
    assert words in said(capsys, "export", "small", tmp_path / "a.zip")


def test_nothing_is_overwritten(project: Project, tmp_path: Path) -> None:
    make_suite(project, choice())
    with pytest.raises(CommandError, match="exists already"):
        call_command("pack", "export", "small", str(tmp_path))
    with pytest.raises(CommandError, match="cannot be written"):
        call_command("pack", "export", "small", str(tmp_path / "no" / "a.zip"))


def test_an_unknown_signer_needs_a_word(
    project: Project, theirs: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "not known here" in said(capsys, "show", theirs)
    with pytest.raises(CommandError, match=FINGERPRINT):
        call_command("pack", "import", theirs)
    said(capsys, "import", theirs, "--fingerprint", FINGERPRINT)
    assert Suite.objects.get().slug == "small"


def test_keys_are_shown_trusted_and_dropped(
    project: Project, theirs: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = said(capsys, "keys")
    told = said(capsys, "keys", "--trust", "Munich", PUBLIC)
    assert told.startswith(before) and FINGERPRINT in told and "Munich" in told
    assert "(Munich)" in said(capsys, "show", theirs)
    assert "Munich" not in said(capsys, "keys", "--distrust", "Munich")
    assert not TrustedKey.objects.exists()
    assert said(capsys, "keys", "--new") != before
    with pytest.raises(CommandError, match="44"):
        call_command("pack", "keys", "--trust", "Bonn", "nonsense")
    with pytest.raises(CommandError, match="No key called 'Bonn'"):
        call_command("pack", "keys", "--distrust", "Bonn")


def test_a_lost_encryption_key_is_told_with_the_way_out(
    project: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str], settings: Any
) -> None:
    make_suite(project, choice())
    said(capsys, "keys")
    settings.ENCRYPTION_KEYS = ["another passphrase of good length"]
    with pytest.raises(CommandError, match="pack keys --new"):
        call_command("pack", "export", "small", str(tmp_path / "a.zip"))
    assert list(tmp_path.iterdir()) == []
    said(capsys, "keys", "--new")
    said(capsys, "export", "small", tmp_path / "a.zip")


@pytest.mark.parametrize("content", [None, b"", b"no zip"])
def test_what_is_no_pack_is_told_in_a_sentence(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "a.zip"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CommandError):
        call_command("pack", "show", str(path))
