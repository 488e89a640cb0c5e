"""Chromium opens the pages with hostile text: nothing runs, nothing is loaded from elsewhere."""

from __future__ import annotations

import pytest
from django.test import Client
from playwright.sync_api import Error, Page, Request

from evals.models import Candidate
from portal.accounts.models import Membership, Project, Role, User
from tests.conventions.test_addresses import ADDRESSES
from tests.security.foreign import make_foreign
from tests.security.pages import things_of, url_of

pytestmark = pytest.mark.django_db(transaction=True)


def test_no_dialog_no_request_elsewhere_no_complaint(page: Page, live_server: object) -> None:
    project = Project.objects.create(name="<img src=x onerror=alert(1)>")
    alice = User.objects.create_user("alice", is_superuser=True)
    Membership.objects.create(project=project, user=alice, role=Role.ADMIN)
    things = things_of(project, make_foreign(project))
    client = Client()
    client.force_login(alice, backend="django.contrib.auth.backends.ModelBackend")
    session = client.cookies["sessionid"].value
    page.context.add_cookies([{"name": "sessionid", "value": session, "url": live_server.url}])
    dialogs: list[str] = []
    elsewhere: list[str] = []

    def note(request: Request) -> None:
        if not request.url.startswith((live_server.url, "data:")):
            elsewhere.append(request.url)

    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    page.on("request", note)
    models = list(Candidate.objects.filter(runs__isnull=False).values_list("pk", flat=True))
    compared = "&".join(f"m={pk}" for pk in models[:4])
    opened = 0
    for name, address in ADDRESSES.items():
        if "get" not in address.methods or address.needs is None:
            continue
        url = url_of(name, things)
        try:
            page.goto(f"{url}?{compared}" if "compare" in name else url)
        except Error as error:
            assert "Download is starting" in str(error)  # a file is no page
            continue
        assert not page.evaluate("document.querySelector('main script, main iframe, main base')")
        opened += 1
    assert opened > 20
    assert dialogs == []
    assert elsewhere == []
