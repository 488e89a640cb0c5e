"""The main job by keys alone, wide and on a phone: no test here touches a mouse."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.making import Team, make_team

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
PASSWORD = "alice"
MOST = 90  # stops on the way to a thing; more are too many for a person
# The thing with the focus is on the screen, and something about it shows that it has it.
SHOWN = """() => {
  const here = document.activeElement, box = here.getBoundingClientRect();
  if (here === document.body) return ""; // round the end: the browser's own controls
  const mark = getComputedStyle(here).outlineStyle !== "none" || here.matches(".mark");
  const seen = box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth;
  return mark && seen ? "" : here.outerHTML.slice(0, 200);
}"""
# The stops in reading order: each below or right of the one before.
JUMPS = """(selector) => {
  const control = ":is(a, button, input, select, textarea, summary)";
  const stops = [...document.querySelectorAll(`${selector} ${control}`)]
    .map((stop) => [stop, stop.getBoundingClientRect()]).filter(([, box]) => box.width);
  return stops.slice(1).filter(([, box], at) => {
    const before = stops[at][1];
    return box.bottom <= before.top || (box.top < before.bottom && box.right <= before.left);
  }).map(([stop]) => stop.outerHTML.slice(0, 120));
}"""


@pytest.fixture
def team(settings: Any, live_server: Any) -> Team:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    return make_team()


def to(page: Page, target: Locator, key: str = "Tab") -> None:
    """Press ``key`` until ``target`` has the focus, which can be seen at every stop."""
    for _stop in range(MOST):
        if target.evaluate("element => element === document.activeElement"):
            return
        page.keyboard.press(key)
        assert page.evaluate(SHOWN) == ""
    raise AssertionError(f"{target} is not reached by {key}")


def press(page: Page, target: Locator, key: str = "Enter") -> None:
    to(page, target)
    page.keyboard.press(key)


def follow(page: Page, target: Locator, address: str) -> None:
    press(page, target)
    page.wait_for_url(re.compile(address))
    page.wait_for_load_state()


def write(page: Page, label: str, text: str) -> None:
    to(page, page.get_by_label(label, exact=True))
    page.keyboard.type(text)


def go(page: Page, name: str, address: str) -> None:
    """To a page by the navigation, which on a phone stands behind a button."""
    menu = page.get_by_role("button", name="Menu")
    if menu.is_visible():
        press(page, menu)
        expect(page.locator("#nav")).to_be_visible()
    follow(page, page.locator("#nav").get_by_role("link", name=name), address)


@pytest.mark.parametrize("width", [1280, 360])
def test_from_signing_in_to_a_comparison_by_keys(page: Page, team: Team, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.goto("/")
    expect(page.get_by_label("Name")).to_be_focused()
    page.keyboard.type("alice")
    write(page, "Password", PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Claims assistant")

    go(page, "Models", r"/models/$")
    follow(page, page.get_by_role("link", name="Register a model"), "/models/new/")
    assert page.evaluate(JUMPS, "main form") == []
    write(page, "Name", "Willow-9B")
    write(page, "Base URL", "http://127.0.0.1:9/v1")
    write(page, "Served model name", "willow")
    follow(page, page.get_by_role("button", name="Register and check"), r"/models/\d+/$")
    expect(page.get_by_role("heading", level=1)).to_have_text("Willow-9B")

    follow(page, page.get_by_role("link", name="New run").first, "/runs/new/")
    alder = page.get_by_label("Alder-7B")
    press(page, alder, "Space")
    expect(alder).to_be_checked()
    expect(page.locator("#estimate tbody th").first).to_contain_text("Alder-7B")
    expect(alder).to_be_focused()  # the estimate takes nothing away from who goes on choosing
    assert page.evaluate(JUMPS, "main form") == []
    to(page, page.get_by_role("button", name="Start"))

    go(page, "Leaderboard", "/leaderboard/abilities/")
    assert page.evaluate(JUMPS, "form.filters") == []
    language = page.locator("form.filters select[name=language]")
    press(page, language, "ArrowDown")
    page.wait_for_url(re.compile("language=de"))
    expect(page.locator("table.board thead")).not_to_contain_text("Polish")
    expect(language).to_be_focused()
    follow(page, page.locator("table.board tbody tr").nth(1).get_by_role("link").first, "/compare/")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Compare")
    follow(page, page.locator("#samples tbody a").first, "/compare/samples/")
    page.keyboard.press("ArrowRight")
    page.wait_for_url(re.compile(r"/compare/samples/\d+/\d+/"))


def enter(page: Page, team: Team, address: str) -> None:
    page.goto(address)
    page.get_by_label("Name").fill("alice")
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(f"**{address}")


@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize(
    ("address", "opener", "keep"),
    [
        ("/settings/keys/", "Revoke", "Keep"),
        ("/settings/project/", "Remove (erik)", "Keep"),
        ("/playground/kept/", "Delete", "Keep it"),
    ],
)
def test_a_dialog_gives_the_focus_back(
    page: Page, team: Team, width: int, address: str, opener: str, keep: str
) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    enter(page, team, address)
    button = page.locator("main").get_by_role("button", name=opener).first
    dialog = page.get_by_role("dialog")
    press(page, button)
    expect(dialog).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(button).to_be_focused()
    page.keyboard.press("Enter")
    expect(dialog).to_be_visible()
    stay = dialog.get_by_role("button", name=keep, exact=True)
    for _stop in range(3):  # the dialog comes next, not the rest of the page
        if stay.evaluate("element => element === document.activeElement"):
            break
        page.keyboard.press("Tab")
    expect(stay).to_be_focused()
    page.keyboard.press("Enter")
    expect(dialog).to_be_hidden()
    expect(button).to_be_focused()


def test_the_menu_of_a_phone_leads_back_to_its_button(page: Page, team: Team) -> None:
    page.set_viewport_size({"width": 360, "height": 800})
    enter(page, team, "/runs/")
    menu = page.get_by_role("button", name="Menu")
    press(page, menu)
    close = page.locator("#nav").get_by_role("button", name="Close")
    page.keyboard.press("Tab")
    expect(close).to_be_focused()
    page.keyboard.press("Enter")
    expect(menu).to_be_focused()
    summary = page.locator("details.menu summary")
    press(page, summary)
    to(page, page.locator("details.menu").get_by_role("button", name="Sign out"))
    page.keyboard.press("Escape")
    expect(summary).to_be_focused()
