"""The playground in Chromium on the real server: two models answer at once, as they write."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.browser.console import complaints_of
from tests.conventions.tree import ROOT, python
from tests.evals.stub_server import StubServer
from tests.services import free_port, wait_until
from workers import processes
from workers.supervisor import dies_with

pytestmark = [pytest.mark.browser, pytest.mark.services]
SHOTS = os.environ.get("PORTAL_SHOTS")  # a folder to look at the pages afterwards
PASSWORD = "long-enough-for-erik"
PAYLOAD = '<img src=x onerror="document.title=1"><script>document.title=2</script> *tea*'

# Other requests close their connections too, so that those that are open are the streams'.
SETTINGS = """
from portal.settings import *
DATABASES["default"]["CONN_MAX_AGE"] = 0
"""
SEED = """
import django, json, sys
django.setup()
from django.core.management import call_command
call_command("migrate", verbosity=0)
from portal.accounts.models import Membership, Project, Role, User
from tests.evals.making import make_candidate
project = Project.objects.create(name="Claims assistant")
erik = User.objects.create_user("erik", password=sys.argv[1])
Membership.objects.create(project=project, user=erik, role=Role.ENGINEER)
for name, url in json.loads(sys.argv[2]):
    make_candidate(project, name, url)
"""


class Site(NamedTuple):
    url: str
    pid: int
    log: Path


@pytest.fixture(scope="module")
def stubs() -> Iterator[list[StubServer]]:
    with StubServer() as first, StubServer() as second:
        yield [first, second]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, stubs: list[StubServer]) -> Iterator[Site]:
    """The site under uvicorn, as ``manage.py up`` starts it, with two models."""
    data, port = tmp_path_factory.mktemp("site"), free_port()
    environment = {
        "PORTAL_DATA_DIR": str(data),
        "DATABASE_URL": f"sqlite:///{data / 'portal.sqlite3'}",
        "PORTAL_DEBUG": "1",  # static files by their plain names
        "DJANGO_SETTINGS_MODULE": "site_settings",
        "PYTHONPATH": f"{data}:{ROOT}",
    }
    (data / "site_settings.py").write_text(SETTINGS)
    models = [("Alder-7B", stubs[0].base_url), ("Birch-70B", stubs[1].base_url)]
    made = python("-c", SEED, PASSWORD, json.dumps(models), data=data, **environment)
    assert made.returncode == 0, made.stderr
    log = data / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            processes.web("127.0.0.1", port), cwd=ROOT, env=os.environ | environment,
            stdout=out, stderr=out, preexec_fn=dies_with(os.getpid()),
        )  # fmt: skip
    try:
        wait_until(lambda: processes.answers("127.0.0.1", port), "the site answers")
        yield Site(f"http://127.0.0.1:{port}", process.pid, log)
    finally:
        process.terminate()
        process.wait(timeout=20)


@pytest.fixture
def page(browser: Browser, site: Site, stubs: list[StubServer]) -> Iterator[Page]:
    """Signed in and on the playground; complaints of the console fail the test."""
    for stub in stubs:
        stub.reset(say="Leaves in hot water.")
    context = browser.new_context(base_url=site.url, locale="en-GB", reduced_motion="reduce")
    context.set_default_timeout(10_000)
    page = context.new_page()
    complaints = complaints_of(page)
    page.goto("/playground/")
    page.get_by_label("Name").fill("erik")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/playground/")
    yield page
    context.close()
    assert complaints == []
    assert "Traceback" not in site.log.read_text()


def look(page: Page, name: str) -> None:
    found = Axe().run(page)
    assert found.violations_count == 0, f"{name}: {found.generate_report()}"
    widths = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert widths[0] <= widths[1], f"{name} is {widths[0]} px wide in a window of {widths[1]}"
    if SHOTS:
        page.screenshot(path=Path(SHOTS) / f"playground-{name}.png", full_page=True)


def look_everywhere(page: Page, name: str) -> None:
    """At both widths and in both themes."""
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        for width in (1280, 360):
            page.set_viewport_size({"width": width, "height": 900})
            look(page, f"{name}-{theme}-{width}")
    page.emulate_media(color_scheme="light")
    page.set_viewport_size({"width": 1280, "height": 900})


def send(page: Page, *names: str, prompt: str = "What is tea?") -> None:
    for at, name in enumerate(names or ("Alder-7B", "Birch-70B"), 1):
        page.get_by_label(f"Model {at}").select_option(label=name)
    page.get_by_label("Prompt", exact=True).fill(prompt)
    page.get_by_label("Prompt", exact=True).press("Control+Enter")


def test_two_models_answer_side_by_side_and_an_answer_is_kept(
    page: Page, stubs: list[StubServer]
) -> None:
    look_everywhere(page, "empty")
    stubs[0].reset(say="Leaves in hot water, and time. " * 12, think="Be short. ", pace=0.02)
    stubs[1].reset(say=PAYLOAD, pace=0.02)
    send(page)
    first, second = page.locator(".answer").nth(0), page.locator(".answer").nth(1)
    expect(first.get_by_text("answering")).to_be_visible()
    expect(first.locator("[data-text]")).to_contain_text("Leaves")  # long before it is complete
    expect(first.get_by_text("answering")).to_be_visible()
    expect(page.get_by_label("Prompt", exact=True)).to_be_focused()
    expect(page.locator("#announce")).to_have_text("The models are asked.")
    expect(second.get_by_text("complete")).to_be_visible()
    expect(second.locator("[data-text]")).to_have_text(PAYLOAD)
    expect(first.get_by_text("complete")).to_be_visible(timeout=20_000)
    expect(page.locator("#announce")).to_have_text("All answers have ended.")
    assert page.locator("#answers :is(img, script)").count() == 0
    assert page.title().startswith("Playground")
    boxes = [pane.bounding_box() for pane in (first, second)]
    assert boxes[0]["width"] == boxes[1]["width"]
    assert boxes[0]["y"] == boxes[1]["y"]
    first.get_by_text("Reasoning").click()
    expect(first.get_by_text("Be short.")).to_be_visible()
    expect(first.locator("[data-figures]")).to_contain_text("Tokens per second")
    look_everywhere(page, "answers")
    second.get_by_text("Keep as a sample question").click()
    second.get_by_label("Note").fill("Markup stays text")
    second.get_by_role("button", name="Keep", exact=True).click()
    expect(second.get_by_text("kept", exact=True)).to_be_visible()
    expect(first.locator("[data-text]")).to_contain_text("Leaves")  # the page stays
    second.get_by_role("link", name="Kept questions").click()
    page.locator("li.kept summary").click()
    expect(page.get_by_text(PAYLOAD).last).to_be_visible()
    expect(page.get_by_text("Markup stays text")).to_be_visible()
    look_everywhere(page, "kept")
    page.get_by_role("button", name="Delete").click()
    look(page, "delete")
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_role("heading", name="Nothing is kept yet")).to_be_visible()
    look(page, "kept-empty")


def test_stopping_and_leaving_end_the_work_of_the_server(
    page: Page, stubs: list[StubServer], site: Site
) -> None:
    def writing() -> int:
        return sum(stub.counts()["streams"] for stub in stubs)

    for stub in stubs:
        stub.reset(say="word " * 5000, pace=0.02)
    send(page)
    expect(page.locator(".answer [data-text]").nth(1)).to_contain_text("word")
    wait_until(lambda: writing() == 2, "both servers write")
    assert open_databases(site.pid) == 0  # nothing is held while they do
    page.get_by_role("button", name="Stop").click()
    expect(page.locator(".answer").nth(1).get_by_text("stopped")).to_be_visible()
    expect(page.locator("#announce")).to_have_text("Stopped.")
    expect(page.get_by_role("button", name="Stop")).to_be_hidden()
    expect(page.get_by_label("Prompt", exact=True)).to_be_focused()
    wait_until(lambda: writing() == 0, "no server writes on", 5)
    send(page)
    wait_until(lambda: writing() == 2, "both servers write")
    page.goto("/suites/")
    wait_until(lambda: writing() == 0, "no server writes on", 5)


def test_a_silent_server_is_hung_up_on_too(page: Page, stubs: list[StubServer]) -> None:
    stubs[0].reset(say="word " * 20, stream="stall")
    send(page, "Alder-7B")
    wait_until(lambda: stubs[0].counts()["streams"] == 1, "the server is asked")
    page.get_by_role("button", name="Stop").click()
    wait_until(lambda: stubs[0].counts()["streams"] == 0, "the server knows", 5)


def test_one_failing_model_disturbs_no_other(page: Page, stubs: list[StubServer]) -> None:
    stubs[0].reset(every=1, kind="500")
    send(page)
    first, second = page.locator(".answer").nth(0), page.locator(".answer").nth(1)
    expect(first.get_by_text("The server failed.")).to_be_visible()
    expect(first.get_by_text("HTTP 500: out of order")).to_be_visible()
    expect(second.get_by_text("Leaves in hot water.")).to_be_visible()
    expect(second.get_by_text("complete")).to_be_visible()
    look_everywhere(page, "failed")


def test_it_works_without_a_script(page: Page, browser: Browser) -> None:
    state = page.context.storage_state()
    context = browser.new_context(
        base_url=page.url, java_script_enabled=False, locale="en-GB", storage_state=state
    )
    plain = context.new_page()
    plain.goto("/playground/")
    plain.get_by_label("Model 1").select_option(label="Birch-70B")
    plain.get_by_label("Prompt", exact=True).fill("What is tea?")
    plain.get_by_role("button", name="Send").click()
    expect(plain.get_by_text("Leaves in hot water.")).to_be_visible()
    expect(plain.get_by_label("Prompt", exact=True)).to_have_value("What is tea?")
    plain.get_by_text("Keep as a sample question").click()
    plain.get_by_role("button", name="Keep", exact=True).click()
    expect(plain.get_by_role("heading", name="Kept questions")).to_be_visible()
    context.close()


def open_databases(pid: int) -> int:
    """How many files of the database the process holds open."""
    links = [link for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink()]
    return sum("portal.sqlite3" in os.readlink(link) for link in links)
