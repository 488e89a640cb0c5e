"""Activity: what people see of the jobs of their project, and the button that stops one."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from portal.accounts.models import Project, User
from tests.workers.app.models import Errand
from tests.workers.errands import errand_tables, project  # noqa: F401
from workers.models import JobState

HTMX = {"HX-Request": "true"}


@pytest.fixture
def errand(project: Project) -> Errand:  # noqa: F811
    return Errand.objects.create(project=project, state=JobState.RUNNING, total=1400, done=350)


def address(view: str, job: Errand) -> str:
    return reverse(f"workers:{view}", args=["errands.errand", job.pk])


def test_it_shows_what_runs_and_what_ran(as_erik: Client, errand: Errand) -> None:
    Errand.objects.create(project=errand.project, state=JobState.FAILED, message="Shop <closed>")
    page = as_erik.get(reverse("workers:activity")).content.decode()
    assert "350 of 1,400" in page
    assert 'max="1400" value="350"' in page
    assert "Shop &lt;closed&gt;" in page


def test_it_says_so_when_nothing_happens(as_erik: Client) -> None:
    assert "Nothing is running or waiting." in as_erik.get("/activity/").content.decode()


def test_it_answers_204_until_something_changes(as_erik: Client, errand: Errand) -> None:
    version = as_erik.get("/activity/").context["version"]
    assert as_erik.get(f"/activity/?v={version}", headers=HTMX).status_code == 204
    Errand.objects.filter(pk=errand.pk).update(version=errand.version + 1, done=351)
    part = as_erik.get(f"/activity/?v={version}", headers=HTMX)
    assert part.status_code == 200
    assert "351 of" in part.content.decode() and "<html" not in part.content.decode()


def test_it_shows_the_page_to_who_opens_the_polled_address(as_erik: Client, errand: Errand) -> None:
    version = as_erik.get("/activity/").context["version"]
    assert "<html" in as_erik.get(f"/activity/?v={version}").content.decode()


def test_a_fragment_polls_while_its_job_runs_and_then_stops(
    as_erik: Client, errand: Errand
) -> None:
    url = address("progress", errand)
    running = as_erik.get(url).content.decode()
    assert 'hx-trigger="every 2s"' in running and f"{url}?v={errand.version}" in running
    assert as_erik.get(f"{url}?v={errand.version}").status_code == 204
    Errand.objects.filter(pk=errand.pk).update(state=JobState.DONE, version=errand.version + 1)
    ended = as_erik.get(f"{url}?v={errand.version}").content.decode()
    assert "hx-get" not in ended and "Cancel" not in ended


def test_an_engineer_cancels_with_and_without_javascript(as_erik: Client, errand: Errand) -> None:
    answer = as_erik.post(address("cancel", errand), headers=HTMX)
    assert answer.status_code == 200 and "Stopping" in answer.content.decode()
    plain = as_erik.post(address("cancel", errand))
    assert (plain.status_code, plain.url) == (302, errand.get_absolute_url())
    errand.refresh_from_db()
    assert errand.cancel_requested


def test_a_job_cancelled_in_the_list_stays_as_the_list_shows_it(
    as_erik: Client, errand: Errand
) -> None:
    answer = as_erik.post(address("cancel", errand), {"listed": "1"}, headers=HTMX)
    assert errand.title in answer.content.decode()
    assert "hx-get" not in answer.content.decode()


def test_a_viewer_sees_no_button_and_is_refused(client: Client, vera: User, errand: Errand) -> None:
    client.force_login(vera)
    assert "Cancel" not in client.get(address("progress", errand)).content.decode()
    assert client.post(address("cancel", errand)).status_code == 403
    errand.refresh_from_db()
    assert not errand.cancel_requested


def test_jobs_of_other_projects_do_not_exist(as_erik: Client, errand: Errand) -> None:
    other = Errand.objects.create(project=Project.objects.create(name="Other"), total=77)
    assert as_erik.get(address("progress", other)).status_code == 404
    assert as_erik.post(address("cancel", other)).status_code == 404
    assert "of 77" not in as_erik.get("/activity/").content.decode()


def test_unknown_kinds_of_jobs_do_not_exist(as_erik: Client) -> None:
    assert as_erik.get("/activity/accounts.user/1/progress/").status_code == 404


def test_cancelling_needs_a_post(as_erik: Client, errand: Errand) -> None:
    assert as_erik.get(address("cancel", errand)).status_code == 405
