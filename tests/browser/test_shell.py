"""The frame in a real browser: sign-in, navigation, themes, keys, narrow screens."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from portal.accounts.models import Role
from tests.portal.people import make_person

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
SHOTS = os.environ.get("PORTAL_SHOTS")  # a folder to look at the pages afterwards


def sign_in(page: Page, name: str = "alice", role: str | None = Role.ADMIN) -> None:
    make_person(name, role)
    page.goto("/")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(name)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/")


def look(page: Page, name: str) -> None:
    if SHOTS:
        page.screenshot(path=Path(SHOTS) / f"{name}.png", full_page=True)


def assert_accessible(page: Page) -> None:
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


def assert_reflows(page: Page) -> None:
    widths = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert widths[0] <= widths[1], f"the page is {widths[0]} px wide in a window of {widths[1]}"


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 320])
def test_every_page_is_accessible_and_fits(page: Page, theme: str, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.emulate_media(color_scheme=theme)
    page.goto("/")
    pages = {"login": None, "home": "/", "parts": "/-/ui", "missing": "/no/such/page/"}
    for name, address in pages.items():
        if name == "home":
            sign_in(page)
        elif address:
            page.goto(address)
        look(page, f"{name}-{theme}-{width}")
        assert_accessible(page)
        assert_reflows(page)


def test_a_wrong_password_is_told_beside_the_form(page: Page) -> None:
    page.goto("/")
    expect(page.get_by_label("Name")).to_be_focused()
    page.get_by_label("Name").fill("nobody")
    page.get_by_label("Password").fill("guess")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("password is wrong")
    look(page, "login-refused")
    assert_accessible(page)


def test_language_and_theme_stay_with_the_person(page: Page) -> None:
    sign_in(page)
    page.get_by_role("button", name="DE", exact=True).click()
    expect(page.locator("html")).to_have_attribute("lang", "de")
    expect(page.get_by_role("button", name="DE", exact=True)).to_have_attribute(
        "aria-pressed", "true"
    )
    page.locator("details.menu summary").click()
    look(page, "menu")
    assert_accessible(page)
    page.locator("button[name=theme][value=dark]").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    assert page.evaluate(ground) != "oklch(0.985 0.003 95)"


def test_everything_works_without_a_script(page: Page, browser: object) -> None:
    sign_in(page)
    context = browser.new_context(
        base_url=page.url,
        java_script_enabled=False,
        locale="en-GB",
        storage_state=page.context.storage_state(),
        viewport={"width": 360, "height": 740},
    )
    plain = context.new_page()
    plain.goto("/")
    plain.get_by_role("button", name="Menu").click()
    expect(plain.get_by_role("link", name="Suites").first).to_be_visible()
    plain.keyboard.press("Escape")
    plain.locator("details.menu summary").click()
    plain.get_by_role("button", name="Dark").click()
    expect(plain.locator("html")).to_have_attribute("data-theme", "dark")
    plain.locator("details.menu summary").click()
    plain.get_by_role("button", name="Sign out").click()
    expect(plain.get_by_role("heading", name="Sign in")).to_be_visible()
    context.close()


def test_the_navigation_opens_and_closes_on_a_phone(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    sign_in(page)
    runs = page.locator("#nav").get_by_role("link", name="Runs")
    expect(runs).to_be_hidden()
    page.get_by_role("button", name="Menu").click()
    expect(runs).to_be_visible()
    look(page, "nav-phone")
    assert_accessible(page)
    page.keyboard.press("Escape")
    expect(runs).to_be_hidden()
    expect(page.get_by_role("button", name="Menu")).to_be_focused()
    page.get_by_role("button", name="Menu").click()
    page.locator("#nav").get_by_role("button", name="Close").click()
    expect(runs).to_be_hidden()


def test_the_skip_link_leads_to_the_content(page: Page) -> None:
    sign_in(page)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


def test_a_chart_tells_its_numbers_on_hover_and_on_focus(page: Page) -> None:
    sign_in(page)
    page.goto("/-/ui")
    tip = page.locator("#tip")
    page.locator(".forest .mark").nth(1).hover()
    expect(tip).to_contain_text("Rowan-24B-instruct-2026-03-AWQ-int4")
    page.mouse.move(0, 0)
    expect(tip).to_be_hidden()
    page.locator(".forest .mark").nth(2).focus()
    expect(tip).to_contain_text("55.2%")
    page.keyboard.press("Escape")
    expect(tip).to_be_hidden()


def test_names_stand_beside_the_whiskers_or_above_them_where_it_is_narrow(page: Page) -> None:
    sign_in(page)
    page.goto("/-/ui")

    def boxes() -> tuple[dict[str, float], dict[str, float], dict[str, float]]:
        line = page.locator(".forest .mark").nth(1)
        return tuple(
            part.bounding_box()
            for part in (line.locator(".name"), line.locator("circle"), page.locator(".forest"))
        )

    page.set_viewport_size({"width": 1600, "height": 900})
    name, dot, chart = boxes()
    assert name["x"] + name["width"] < dot["x"]
    assert abs(name["y"] + name["height"] / 2 - dot["y"] - dot["height"] / 2) < 4
    page.set_viewport_size({"width": 360, "height": 900})
    name, dot, chart = boxes()
    assert name["y"] + name["height"] <= dot["y"] + 1
    assert chart["x"] <= dot["x"] <= chart["x"] + chart["width"]


def test_a_dialog_opens_takes_the_keys_and_gives_the_focus_back(page: Page) -> None:
    sign_in(page)
    page.goto("/-/ui")
    opener = page.get_by_role("button", name="Open a dialog")
    opener.click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    note = "document.querySelector('[data-key=x]').onclick = () => { document.title = 'hit'; }"
    page.evaluate(f"() => {{ {note} }}")
    page.keyboard.press("x")
    assert page.title() != "hit"  # not while a dialog is open
    look(page, "dialog")
    assert_accessible(page)
    page.get_by_role("button", name="Keep running").click()
    expect(dialog).to_be_hidden()
    expect(opener).to_be_focused()
    page.get_by_label("Find a model").press("x")
    assert page.title() != "hit"  # not while typing
    opener.focus()
    page.keyboard.press("Control+x")
    assert page.title() != "hit"  # not with a modifier
    page.keyboard.press("x")
    assert page.title() == "hit"


def test_a_part_that_does_not_load_is_told_until_one_loads_again(page: Page) -> None:
    sign_in(page)
    page.goto("/-/ui")
    answers = [503, 204]
    page.route("**/part/", lambda route: route.fulfill(status=answers.pop(0)))
    ask = "() => htmx.ajax('GET', '/part/', '#progress').catch(() => null)"
    page.evaluate(ask)
    told = page.get_by_text("The portal did not answer.")
    expect(told).to_be_visible()
    page.evaluate(ask)
    expect(told).to_be_hidden()


def test_progress_is_read_aloud_and_its_end_at_once(page: Page) -> None:
    sign_in(page)
    page.goto("/-/ui")
    steps = [
        ('data-announce="7 of 40"', "7 of 40"),
        ('data-announce="8 of 40"', "7 of 40"),  # within ten seconds
        ('data-announce="Done" data-announce-now', "Done"),
    ]
    parts = [f'<section id="progress" {attributes}></section>' for attributes, _ in steps]
    page.route("**/part/", lambda route: route.fulfill(body=parts.pop(0)))
    for _, said in steps:
        page.evaluate("() => htmx.ajax('GET', '/part/', {target: '#progress', swap: 'outerHTML'})")
        expect(page.locator("#announce")).to_have_text(said)
    assert parts == []


def test_a_message_can_be_dismissed(page: Page) -> None:
    sign_in(page)
    page.goto("/-/ui")
    message = page.get_by_text("Nothing has changed.")
    page.get_by_role("button", name="Dismiss").click()
    expect(message).to_be_hidden()


def test_a_person_without_a_project_can_leave(page: Page) -> None:
    make_person("mallory", None)
    page.goto("/")
    page.get_by_label("Name").fill("mallory")
    page.get_by_label("Password").fill("mallory")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("not a member of a project")
    look(page, "no-project")
    assert_accessible(page)
    page.get_by_role("main").get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
