"""Who may do what: roles, projects, and people without one."""

from __future__ import annotations

import pytest
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.test import Client, RequestFactory
from django.urls import reverse

from portal.accounts.models import Membership, Project, Role, User
from portal.accounts.permissions import MEMBER, fetch, may, require, roles_at_least
from tests.portal.people import make_person, signed_in

pytestmark = pytest.mark.django_db


def request_of(role: str | None, project: Project | None = None) -> HttpRequest:
    request = RequestFactory().get("/")
    request.role, request.project = role, project
    return request


def test_each_role_may_do_what_it_includes() -> None:
    assert roles_at_least(Role.ADMIN) == ["admin"]
    assert roles_at_least(Role.RATER) == ["admin", "engineer", "rater"]
    allowed = {
        role: [need for need in [*Role.values, MEMBER] if may(request_of(role), need)]
        for role in [*Role.values, None]
    }
    assert allowed == {
        "admin": ["admin", "engineer", "rater", "viewer", "member"],
        "engineer": ["engineer", "rater", "viewer", "member"],
        "rater": ["rater", "member"],
        "viewer": ["viewer", "member"],
        None: [],
    }


def test_raters_see_their_work_and_nothing_of_the_results() -> None:
    client = signed_in(make_person("rita", Role.RATER))
    page = client.get("/")
    assert "<h1>My work</h1>" in page.content.decode()
    shown = [link.label for _group, links in page.context["navigation"] for link in links]
    assert shown == ["My work", "Help", "Settings"]
    for address in ("/leaderboard/", "/methods/", "/activity/"):
        assert client.get(address).status_code == 403


def test_a_view_that_requires_a_role_refuses_smaller_ones() -> None:
    @require(Role.ENGINEER)
    def view(request: HttpRequest) -> HttpResponse:
        return HttpResponse("done")

    assert view(request_of("admin")).content == b"done"
    with pytest.raises(PermissionDenied, match="Engineer"):
        view(request_of("viewer"))


def test_it_fetches_rows_of_the_own_project_only() -> None:
    ours, theirs = Project.objects.create(name="Ours"), Project.objects.create(name="Theirs")
    erik, mallory = make_person("erik", project=ours), make_person("mallory", project=theirs)
    request = request_of("viewer", ours)
    rows = Membership.objects
    assert fetch(request, rows, user=erik).project == ours
    with pytest.raises(Http404):
        fetch(request, rows, user=mallory)
    # 404 also for those whose role would be too small: they may not know that it exists.
    with pytest.raises(Http404):
        fetch(request, rows, Role.ADMIN, user=mallory)
    with pytest.raises(PermissionDenied):
        fetch(request, rows, Role.ADMIN, user=erik)
    found = fetch(request, User.objects, project="memberships__project", username="erik")
    assert found == erik


def test_it_tells_people_without_a_project_so_and_lets_them_out() -> None:
    client = signed_in(make_person("mallory", role=None))
    page = client.get("/")
    assert page.status_code == 403
    assert "not a member of a project yet" in page.content.decode()
    assert client.post(reverse("accounts:language"), {"language": "de"}).status_code == 302
    assert client.post(reverse("accounts:logout")).status_code == 302


def test_it_works_in_the_project_that_was_chosen_last() -> None:
    first, second = Project.objects.create(name="Alpha"), Project.objects.create(name="Beta")
    erik = make_person("erik", Role.VIEWER, first)
    Membership.objects.create(user=erik, project=second, role=Role.ADMIN)
    client = signed_in(erik)
    assert "<h1>Alpha</h1>" in client.get("/").content.decode()
    assert client.get(reverse("patterns")).status_code == 403
    client.post(reverse("accounts:project"), {"project": second.pk})
    assert "<h1>Beta</h1>" in client.get("/").content.decode()
    assert client.get(reverse("patterns")).status_code == 200


@pytest.mark.parametrize("asked", ["999999", "", "x"])
def test_it_does_not_enter_projects_of_others(asked: str) -> None:
    client = signed_in(make_person("erik"))
    assert client.post(reverse("accounts:project"), {"project": asked}).status_code == 404


def test_losing_membership_shows_at_the_next_page() -> None:
    erik = make_person("erik")
    client = signed_in(erik)
    assert client.get("/").status_code == 200
    Membership.objects.filter(user=erik).delete()
    assert client.get("/").status_code == 403


def test_an_ended_session_sends_the_page_not_the_part_to_sign_in(client: Client) -> None:
    answer = client.get(
        "/",
        headers={"HX-Request": "true", "HX-Current-URL": "http://testserver/runs/7/"},
    )
    assert answer.status_code == 200
    assert answer["HX-Redirect"] == "/accounts/login/?next=/runs/7/"
    assert answer.content == b""
