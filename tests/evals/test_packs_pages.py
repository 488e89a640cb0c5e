"""Packs in the browser: a suite leaves by a button and enters after a look."""

from __future__ import annotations

import html
import io
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from evals import packs
from evals.formats import packs as files
from evals.models import Suite, TrustedKey, WaitingPack
from portal.accounts.models import AuditEntry, Project, User
from tests.evals import packing
from tests.evals.making import choice, make_suite
from tests.evals.packing import members, packed, zipped
from tests.evals.test_packs import FINGERPRINT, PUBLIC

pytestmark = pytest.mark.django_db


def upload(client: Client, data: bytes, name: str = "small.pack.zip") -> Any:
    return client.post(reverse("evals:packs"), {"file": SimpleUploadedFile(name, data)})


def waiting() -> str:
    return WaitingPack.objects.get().get_absolute_url()


@pytest.fixture
def as_alice(alice: User) -> Client:
    client = Client()
    client.force_login(alice)
    return client


def test_a_suite_is_downloaded_and_comes_in_elsewhere(
    project: Project, as_erik: Client, mallory: User
) -> None:
    suite = make_suite(project, choice(), licence="CC0-1.0")
    page = as_erik.get(suite.get_absolute_url()).content.decode()
    address = reverse("evals:suite_pack", args=[suite.pk])
    assert f'href="{address}"' in page and "export-pack" not in page
    answer = as_erik.get(address)
    assert 'filename="small-v1.pack.zip"' in answer["Content-Disposition"]
    assert AuditEntry.objects.get(action="pack.export").actor_name == "erik"

    other = Client()
    other.force_login(mallory)
    preview = upload(other, answer.getvalue())
    shown = other.get(preview["Location"]).content.decode()
    for words in ("Small suite", "This portal itself", "CC0-1.0", "Choice colours", suite.sha256):
        assert words in shown
    assert not Suite.objects.exclude(project=project).exists()
    arrived = other.post(preview["Location"])
    copy = Suite.objects.exclude(project=project).get()
    assert arrived["Location"] == copy.get_absolute_url() and copy.sha256 == suite.sha256
    assert not WaitingPack.objects.exists()


@pytest.mark.parametrize(
    ("licence", "words"),
    [("", "No licence is stated"), ("CC-BY-NC-4.0", "sets conditions"),
     ("proprietary", "seems to forbid"), ("odd", "is not known here")],
)  # fmt: skip
def test_export_asks_where_the_licence_is_not_free(
    project: Project, as_erik: Client, licence: str, words: str
) -> None:
    page = as_erik.get(make_suite(project, choice(), licence=licence).get_absolute_url())
    assert words in page.content.decode() and "export-pack" in page.content.decode()


def test_an_engineer_cannot_take_the_pack_of_an_unknown_signer(
    project: Project, as_erik: Client
) -> None:
    upload(as_erik, packed())
    shown = as_erik.get(waiting()).content.decode()
    assert FINGERPRINT in shown and "Only an administrator" in shown
    for form in ({}, {"fingerprint": FINGERPRINT}):
        as_erik.post(waiting(), form)
    assert not Suite.objects.exists() and WaitingPack.objects.exists()


def test_an_administrator_takes_it_after_comparing(
    project: Project, as_erik: Client, as_alice: Client
) -> None:
    upload(as_erik, packed())
    assert waiting() in as_alice.get(reverse("evals:packs")).content.decode()
    as_alice.post(waiting())
    as_alice.post(waiting(), {"fingerprint": "0000"})
    assert not Suite.objects.exists()
    as_alice.post(waiting(), {"fingerprint": FINGERPRINT})
    assert Suite.objects.get().slug == "small"
    written = AuditEntry.objects.get(action="pack.import")
    assert (written.actor_name, written.details["known"]) == ("alice", False)


def test_a_trusted_signer_needs_no_further_word(
    project: Project, as_erik: Client, as_alice: Client
) -> None:
    as_alice.post(reverse("evals:pack_key_trust"), {"name": "Munich", "key": PUBLIC})
    assert FINGERPRINT in as_erik.get(reverse("evals:pack_keys")).content.decode()
    upload(as_erik, packed())
    assert "Munich" in as_erik.get(waiting()).content.decode()
    as_erik.post(waiting())
    assert Suite.objects.get().slug == "small"
    key = TrustedKey.objects.get()
    as_alice.post(reverse("evals:pack_key_distrust", args=[key.pk]))
    assert not TrustedKey.objects.exists()


def test_the_page_of_keys_shows_what_others_need(project: Project, as_erik: Client) -> None:
    page = as_erik.get(reverse("evals:pack_keys")).content.decode()
    own = packs.own_key()
    assert own.public_key in page and own.fingerprint in page
    assert own.secret_encrypted not in page and "Trust another portal" not in page


def test_a_wrong_key_is_told(project: Project, as_alice: Client) -> None:
    answer = as_alice.post(reverse("evals:pack_key_trust"), {"name": "Bonn", "key": "nonsense"})
    assert answer.status_code == 422 and "44 signs" in answer.content.decode()


def test_a_tampered_pack_does_not_even_wait(project: Project, as_alice: Client) -> None:
    content = members(packed())
    path = next(name for name in content if name.startswith("rows/"))
    content[path] = content[path].replace(b"No 1", b"No 2")
    answer = upload(as_alice, zipped(content))
    assert answer.status_code == 422 and "rows were changed" in answer.content.decode()
    assert not WaitingPack.objects.exists()


@pytest.mark.parametrize("data", [b"x", b"PK\5\6", b"x" * 1000])
def test_what_is_no_pack_is_told(project: Project, as_erik: Client, data: bytes) -> None:
    answer = upload(as_erik, data)
    assert answer.status_code == 422 and "no data pack" in answer.content.decode()


def test_too_large_a_pack_is_left_to_the_command(
    project: Project, as_erik: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packs, "MOST_UPLOADED", 10)
    answer = upload(as_erik, packed())
    assert answer.status_code == 422 and "by a command" in answer.content.decode()


def test_names_in_a_pack_are_only_text(project: Project, as_erik: Client) -> None:
    upload(as_erik, packed(name="<script>alert(1)</script>", licence='"><img src=x>'))
    shown = as_erik.get(waiting()).content.decode()
    assert "<script>alert" not in shown and "<img src=x>" not in shown
    assert "&lt;script&gt;alert" in shown


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "soon"])
def test_a_time_that_is_none_is_shown_as_it_stands(
    project: Project, as_erik: Client, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    monkeypatch.setattr(packing, "MADE", files.Made(at, "erik", "0.1.0"))
    page = as_erik.get(upload(as_erik, packed())["Location"])
    assert page.status_code == 200 and at in html.unescape(page.text)


def test_it_shows_what_is_different_and_why_it_cannot_come_in(
    project: Project, as_alice: Client
) -> None:
    make_suite(project, choice("other"))
    upload(as_alice, packed())
    shown = as_alice.get(waiting()).content.decode()
    assert "the same version but other content" in shown and 'name="fingerprint"' not in shown
    answer = as_alice.post(waiting(), {"fingerprint": FINGERPRINT}, follow=True)
    assert "Give it a higher version" in answer.content.decode()


def test_a_pack_can_be_discarded(project: Project, as_erik: Client) -> None:
    upload(as_erik, packed())
    as_erik.post(reverse("evals:pack_discard", args=[WaitingPack.objects.get().pk]))
    assert not WaitingPack.objects.exists()


def test_a_lost_key_is_told_instead_of_an_error(
    project: Project, as_erik: Client, settings: Any
) -> None:
    suite = make_suite(project, choice())
    packs.own_key()
    settings.ENCRYPTION_KEYS = ["another passphrase of good length"]
    answer = as_erik.get(reverse("evals:suite_pack", args=[suite.pk]), follow=True)
    assert "Ask the operators" in answer.content.decode()


def test_the_download_is_the_pack_of_the_command(project: Project, as_erik: Client) -> None:
    suite = make_suite(project, choice())
    data = as_erik.get(reverse("evals:suite_pack", args=[suite.pk])).getvalue()
    assert files.read(io.BytesIO(data)).sha256 == suite.sha256
