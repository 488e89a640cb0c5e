"""The documents do not lie: their links lead somewhere and their snippets do what they say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from evals import packs
from evals.models import Candidate, Endpoint
from portal import secrets
from portal.accounts.models import Membership, Project, Role, User
from tests.conventions.tree import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
LINK = re.compile(r"\]\((?!https?://)([^)#]*)(?:#([^)]*))?\)")
OLD, NEW = "an old passphrase of good length", "a new passphrase of good length"


def snippets(page: str) -> list[str]:
    """The Python in a document, in order."""
    return re.findall(r"^```python\n(.*?)^```", (ROOT / "docs" / page).read_text(), re.S | re.M)


def anchors(page: Path) -> set[str]:
    """What can follow a # in a link to ``page``: its headings, lower case, with hyphens."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.M)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target, anchor in LINK.findall(page.read_text()):
        path = (page.parent / target) if target else page
        assert path.exists(), target
        assert not anchor or anchor in anchors(path), f"{target}#{anchor}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_named_modules_and_files_exist(page: Path) -> None:
    text = page.read_text()
    named = re.findall(r"`((?:portal|workers|evals|tests|docs|\.ci)/[\w./-]+)`", text)
    assert [name for name in named if not (ROOT / name).exists()] == []


@pytest.mark.django_db
def test_the_first_administrator_can_sign_in_with_the_printed_password(
    capsys: pytest.CaptureFixture[str],
) -> None:
    exec(snippets("operations.md")[0], {})
    password = capsys.readouterr().out.strip()
    admin = User.objects.get(username="admin")
    assert admin.check_password(password)
    assert Membership.objects.get(user=admin).role == Role.ADMIN


@pytest.mark.django_db
def test_stored_keys_open_without_the_old_passphrase_after_the_rotation(
    project: Project, settings: pytest.FixtureRequest
) -> None:
    settings.ENCRYPTION_KEYS = [OLD]
    candidate = Candidate.objects.create(project=project, name="Alder-7B")
    endpoint = Endpoint.objects.create(
        candidate=candidate, key_encrypted=secrets.encrypt("sk-CANARY-1234")
    )
    packs.own_key()
    settings.ENCRYPTION_KEYS = [NEW, OLD]
    exec(snippets("operations.md")[1], {})
    settings.ENCRYPTION_KEYS = [NEW]
    endpoint.refresh_from_db()
    assert secrets.decrypt(endpoint.key_encrypted) == "sk-CANARY-1234"
    assert secrets.decrypt(packs.own_key().secret_encrypted)
