"""The main job, from signing in to a leaderboard, in Chromium on a real installation.

The portal is ``manage.py up`` with its worker; the models are the demo's behind real vLLM,
or the stub server where there is no vLLM.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests import real
from tests.browser.console import complaints_of
from tests.evals.stub_server import MODEL, StubServer
from tests.services import free_port, wait_until
from workers import processes
from workers.supervisor import dies_with

pytestmark = [pytest.mark.browser, pytest.mark.services, pytest.mark.vllm]
SHOTS = os.environ.get("PORTAL_SHOTS")  # a folder to look at the pages afterwards


class Portal(NamedTuple):
    url: str
    password: str


class Server(NamedTuple):
    name: str
    base_url: str
    model: str


@pytest.fixture(scope="module")
def portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    """A fresh installation, started as people start it."""
    folder = tmp_path_factory.mktemp("installation")
    port = free_port()
    environment = {k: v for k, v in os.environ.items() if k != "DATABASE_URL"}
    log = folder / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "up", "--port", str(port)],
            cwd=real.ROOT,
            env=environment | {"PORTAL_DATA_DIR": str(folder), "PORTAL_BOOTSTRAP": "off"},
            stdout=out,
            stderr=out,
            preexec_fn=dies_with(os.getpid()),
        )
    try:
        wait_until(lambda: processes.answers("127.0.0.1", port), "the portal answers", 120)
        found = re.search(r"password (\S+)", log.read_text())
        assert found, log.read_text()
        yield Portal(f"http://127.0.0.1:{port}", found[1])
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=60)


@pytest.fixture(scope="module")
def servers(request: pytest.FixtureRequest) -> Iterator[list[Server]]:
    if real.PYTHON.exists() or os.environ.get("PORTAL_TEST_SERVERS"):
        found = request.getfixturevalue("vllm")
        yield [Server(name, served.base_url, name) for name, served in found.items()]
        return
    with ExitStack() as stack:
        stubs = [stack.enter_context(StubServer()) for _ in real.NAMES]
        yield [
            Server(name, stub.base_url, MODEL) for name, stub in zip(real.NAMES, stubs, strict=True)
        ]


def look(page: Page, name: str) -> None:
    """Check the page as it is now for everybody: axe, no sideways scrolling; keep a picture."""
    found = Axe().run(page)
    assert found.violations_count == 0, f"{name}: {found.generate_report()}"
    widths = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert widths[0] <= widths[1], f"{name} is {widths[0]} px wide in a window of {widths[1]}"
    if SHOTS:
        page.screenshot(path=Path(SHOTS) / f"{name}.png", full_page=True)


def test_from_signing_in_to_a_leaderboard(
    browser: Browser, portal: Portal, servers: list[Server]
) -> None:
    context = browser.new_context(base_url=portal.url, locale="en-GB", reduced_motion="reduce")
    context.set_default_timeout(20_000)
    page = context.new_page()
    complaints = complaints_of(page)

    page.goto("/")
    page.get_by_label("Name").fill("admin")
    page.get_by_label("Password").fill(portal.password)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/")

    page.goto("/suites/")
    look(page, "suites-empty")
    page.get_by_role("button", name="Install Demo suite").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Demo suite")

    for server in servers:
        page.goto("/models/new/")
        page.get_by_label("Name", exact=True).fill(server.name)
        page.get_by_label("Base URL").fill(server.base_url)
        page.get_by_label("Served model name").fill(server.model)
        page.get_by_role("button", name="Register and check").click()
        expect(page.locator("#check .badge").first).to_have_text("everything works", timeout=60_000)
        expect(page.locator("#check")).to_contain_text("Echoed log-probabilities are true")

    page.goto("/runs/new/")
    page.get_by_label("Suite").select_option(label="Demo suite v1")
    page.get_by_label(servers[1].name).check()
    page.get_by_role("button", name="Start").click()
    page.wait_for_url(re.compile(r"/runs/\d+/$"))
    # Progress comes by itself, without a reload.
    expect(page.locator("#progress progress")).to_be_visible()
    expect(page.locator("#progress .badge.done").first).to_be_visible(timeout=120_000)
    look(page, "run-underway")
    page.goto("/runs/new/")
    page.get_by_label("Suite").select_option(label="Demo suite v1")
    page.get_by_label(servers[0].name).check()
    page.get_by_role("button", name="Start").click()
    page.wait_for_url(re.compile(r"/runs/\d+/$"))
    run = page.url
    for address in (run.replace("/2/", "/1/"), run):
        page.goto(address)
        expect(page.locator("#progress .card .badge").first).to_have_text("Done", timeout=300_000)
    page.reload()

    page.locator("#samples tbody a").first.click()
    page.wait_for_url(re.compile(r"/samples/\d+/$"))
    expect(page.get_by_role("heading", name="Choices")).to_be_visible()
    expect(page.get_by_role("heading", name="The same question, other models")).to_be_visible()
    sample = page.url

    page.goto("/leaderboard/")
    rows = page.locator("table.board tbody tr")
    expect(rows).to_have_count(2)
    if servers[0].model != MODEL:
        expect(rows.first).to_contain_text(servers[0].name)
        expect(rows.last).to_contain_text("real")
    page.locator("form.filters select[name=language]").select_option("de")
    page.wait_for_url(re.compile("language=de"))  # the filter is in the address
    expect(page.locator("table.board thead")).not_to_contain_text("Danish")
    page.locator("table.board tbody .heat a").first.click()
    page.wait_for_url(re.compile(r"/runs/\d+/\?benchmark="))

    addresses = {
        "home": "/",
        "models": "/models/",
        "model": "/models/1/",
        "model-form": "/models/1/edit/",
        "suites": "/suites/",
        "suite": "/suites/1/",
        "runs": "/runs/",
        "run-new": "/runs/new/",
        "run": run,
        "sample": sample,
        "leaderboard": "/leaderboard/demo/",
        "activity": "/activity/",
        "methods": "/methods/",
    }
    for language in ("EN", "DE"):
        page.goto("/")
        page.get_by_role("button", name=language, exact=True).click()
        expect(page.locator("html")).to_have_attribute("lang", language.lower())
        for theme in ("light", "dark"):
            page.emulate_media(color_scheme=theme)
            for width in (1280, 360):
                page.set_viewport_size({"width": width, "height": 900})
                for name, address in addresses.items():
                    page.goto(address)
                    look(page, f"{name}-{language}-{theme}-{width}")
    context.close()
    assert complaints == []


def test_the_board_works_without_javascript(browser: Browser, portal: Portal) -> None:
    context = browser.new_context(base_url=portal.url, java_script_enabled=False, locale="en-GB")
    page = context.new_page()
    page.goto("/leaderboard/demo/")
    page.get_by_label("Name").fill("admin")
    page.get_by_label("Password").fill(portal.password)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name="EN", exact=True).click()
    page.goto("/leaderboard/demo/")
    page.locator("form.filters select[name=language]").select_option("sv")
    page.get_by_role("button", name="Apply").click()
    page.wait_for_url(re.compile("language=sv"))
    page.get_by_role("link", name="Model", exact=True).click()
    page.wait_for_url(re.compile("sort="))
    expect(page.locator("table.board thead")).to_contain_text("Swedish")
    context.close()
