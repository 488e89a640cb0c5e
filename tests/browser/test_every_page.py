"""Every page of the portal in Chromium: in both languages and themes, wide and narrow.

A page without an entry in ``PAGES`` fails the first test, so nobody adds one unseen.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.conf import settings as django_settings
from django.test import Client
from django.urls import get_resolver, reverse
from playwright.sync_api import Page

from evals.views import methods
from portal.help.pages import pages as help_pages
from tests.browser.making import Team, make_team
from tests.conventions.test_addresses import ADDRESSES, walk

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
SHOTS = os.environ.get("PORTAL_SHOTS")  # a folder to look at the pages afterwards
WIDTHS = (1280, 320)
AXE = Axe()
# What can be told from a page without a picture. Every answer is a fault in words.
FAULTS = """() => {
  const found = [], all = (selector) => [...document.querySelectorAll(selector)];
  const [wide, window_] = [document.documentElement.scrollWidth, innerWidth];
  if (wide > window_) found.push(`${wide} px wide in a window of ${window_}`);
  if (all("h1").length !== 1) found.push(`${all("h1").length} headings h1`);
  if (!/^\\S.* · Prüfstand$/.test(document.title)) found.push(`titled "${document.title}"`);
  for (const table of all("table"))
    if (!(table.caption || table.closest(".prose")) || !table.tBodies[0]?.rows.length)
      found.push("a table without words");
  for (const list of all("main :is(ul, ol, dl, select, section:not([aria-label]))"))
    if (!list.textContent.trim()) found.push(`<${list.localName}> without words`);
  return found;
}"""


class Look(NamedTuple):
    """One page as one person sees it; ``act`` leads to what has no address of its own."""

    name: str
    address: str | Callable[[Team], str] = ""
    who: str = "alice"
    status: int = 200
    act: Callable[[Page], None] | None = None


def at(name: str, query: str = "", **arguments: Callable[[Team], Any]) -> Callable[[Team], str]:
    """The address of the URL ``name``; arguments and query are taken from the team."""

    def address(team: Team) -> str:
        kwargs = {key: value(team) for key, value in arguments.items()}
        return reverse(name, kwargs=kwargs) + query.format(
            m=[model.pk for model in team.models], suite=team.suite.pk, benchmark=team.benchmark
        )

    return address


def send(button: str, **fields: str) -> Callable[[Page], None]:
    """Fill the main form of the page by the names of its fields, and press its button."""

    def act(page: Page) -> None:
        for name, value in fields.items():
            page.locator(f"main [name={name}]").first.fill(value)
        page.evaluate("for (const form of document.forms) form.noValidate = true")
        with page.expect_navigation():
            page.locator(button).first.click()

    return act


def check_scope(page: Page) -> None:
    page.locator("[name=scopes]").first.check()
    send("main .form .main", name="nightly CI")(page)


def estimate(page: Page) -> None:
    with page.expect_response("**/runs/new/"):
        page.locator("[name=candidates]").nth(1).check()
    page.locator("#estimate td").first.wait_for()


def lock_out(page: Page) -> None:
    """Sign in wrongly until the portal has enough of it."""
    for _attempt in range(django_settings.AXES_FAILURE_LIMIT):
        send("main .main", username="erik", password="guess")(page)


def spoil_token(page: Page) -> None:
    page.evaluate("document.querySelector('main [name=csrfmiddlewaretoken]').value = 'x'")
    send("main .main", username="erik", password="guess")(page)


def click(selector: str) -> Callable[[Page], None]:
    return lambda page: page.locator(selector).first.click()


def open_all(page: Page) -> None:
    page.evaluate("for (const part of document.querySelectorAll('main details')) part.open = true")


RUN = {"pk": lambda team: team.run.pk}
MODEL = {"pk": lambda team: team.models[0].pk}
BOARD = {"slug": lambda team: team.suite.slug}
INVITE = "form[action$='invitations/'] .main"
NEW_PASSWORD = "form[action*=password] button"
UNCHECKED, MOVED = ({"pk": lambda team, at=at: team.models[at].pk} for at in (5, 3))
PAGES: dict[str, list[Look]] = {
    "home": [
        Look("home"),
        Look("home-new", "/", who="nina"),
        Look("my-work", "/", who="rosa"),
        Look("no-project", "/", who="mallory", status=403),
        Look("menu", "/", act=click("details.menu summary")),
    ],
    "help:page": [
        Look(f"help-{page.slug}", f"/help/{page.slug}/", who="erik") for page in help_pages("en")
    ],
    "patterns": [Look("patterns")],
    "api_docs": [Look("api"), Look("api-open", "/api/v1/docs", act=open_all)],
    "accounts:login": [
        Look("login", who=""),
        Look("login-refused", "/accounts/login/", who="", act=send("main .main", username="x")),
        Look("locked-out", "/accounts/login/", who="", act=lock_out),
        Look("form-too-old", "/accounts/login/", who="", act=spoil_token),
    ],
    "accounts:join": [
        Look("invitation", lambda team: f"/accounts/invitation/{team.invitation}/", who=""),
        Look("new-password", lambda team: f"/accounts/invitation/{team.password}/", who=""),
        Look("join-refused", lambda team: f"/accounts/invitation/{team.invitation}/", who="",
             act=send("main .main", username="Alice", password1="a", password2="b")),
        Look("join-signed-in", lambda team: f"/accounts/invitation/{team.invitation}/", who="nina"),
        Look("invitation-over", "/accounts/invitation/unknown/", who="", status=410),
    ],
    "accounts:too_often": [Look("too-often", who="", status=429)],
    "accounts:settings": [Look("settings"), Look("settings-rater", "/settings/", who="rosa")],
    "accounts:password": [
        Look("password"),
        Look("password-refused", "/settings/password/", act=send("main .form .main")),
    ],
    "accounts:project_settings": [
        Look("project"),
        Look("project-remove", "/settings/project/", act=click(".people .danger")),
    ],
    "accounts:link": [
        Look("project-new-link", "/settings/project/", act=send(INVITE)),
        Look("project-password-link", "/settings/project/", act=send(NEW_PASSWORD)),
    ],
    "accounts:project_new": [
        Look("project-new"),
        Look("project-new-refused", "/settings/project/new/", act=send("main .form .main")),
    ],
    "accounts:keys": [
        Look("keys"),
        Look("keys-empty", "/settings/keys/", who="nina"),
        Look("keys-refused", "/settings/keys/", act=send("main .form .main")),
        Look("keys-once", "/settings/keys/", act=check_scope),
        Look("keys-revoke", "/settings/keys/", act=click("td .danger")),
    ],
    "accounts:audit": [
        Look("audit"),
        Look("audit-nothing", "/settings/audit/?since=2001-01-01&until=2001-01-02"),
        Look("audit-empty", "/settings/audit/", who="nina"),
    ],
    "evals:candidates": [
        Look("models"),
        Look("models-viewer", "/models/?q=b&language=de", who="vera"),
        Look("models-none", "/models/?q=nothing"),
        Look("models-empty", "/models/", who="nina"),
    ],
    "evals:servers": [
        Look("servers"),
        Look("servers-empty", "/models/servers/", who="nina"),
    ],
    "evals:candidate_new": [
        Look("model-new"),
        Look("model-new-refused", "/models/new/",
             act=send("main .form .main", name="Alder-7B", base_url="http://10.0.0.1/v1")),
    ],
    "evals:candidate": [
        Look("model", at("evals:candidate", **MODEL)),
        Look("model-unchecked", at("evals:candidate", **UNCHECKED), who="erik"),
        Look("model-moved", at("evals:candidate", **MOVED), who="vera"),
        Look("model-price-refused", at("evals:candidate", **MODEL),
             act=lambda page: (click("#prices summary")(page), send("#prices .main")(page))),
    ],
    "evals:candidate_edit": [Look("model-edit", at("evals:candidate_edit", **MODEL))],
    "evals:euroeval_start": [
        Look("euroeval-off", at("evals:euroeval_start", **MODEL), who="erik"),
    ],
    "evals:euroeval": [
        Look("euroeval", lambda team: team.models[0].euroeval_runs.get().get_absolute_url(),
             who="erik"),
    ],
    "evals:suites": [Look("suites"), Look("suites-empty", "/suites/", who="nina")],
    "evals:european": [
        Look("european"),
        Look("european-family", "/suites/european/?by=family&wording=native", who="vera"),
        Look("european-none", "/suites/european/?language=bg&family=mmlu"),
    ],
    "evals:suite": [
        Look("suite", at("evals:suite", pk=lambda team: team.suite.pk)),
        Look("suite-export", at("evals:suite", pk=lambda team: team.suite.pk + 1),
             act=click("[popovertarget=export-pack]")),
    ],
    "evals:packs": [
        Look("packs"),
        Look("packs-refused", "/suites/packs/", act=send("main .form .main")),
        Look("packs-empty", "/suites/packs/", who="nina"),
    ],
    "evals:pack": [
        Look("pack", at("evals:pack", pk=lambda team: team.pack)),
        Look("pack-engineer", at("evals:pack", pk=lambda team: team.pack), who="erik"),
    ],
    "evals:pack_keys": [
        Look("pack-keys"),
        Look("pack-keys-engineer", "/suites/packs/keys/", who="erik"),
        Look("pack-keys-refused", "/suites/packs/keys/",
             act=send("main .form .main", name="Bonn", key="nonsense")),
    ],
    "evals:benchmark": [Look("benchmark", at("evals:benchmark", pk=lambda team: team.benchmark))],
    "evals:runs": [Look("runs"), Look("runs-empty", "/runs/", who="nina")],
    "evals:run_new": [
        Look("run-new"),
        Look("run-new-estimate", at("evals:run_new", "?suite={suite}&model={m[0]}"), act=estimate),
        Look("run-new-refused", at("evals:run_new", "?suite={suite}&model={m[4]}"),
             act=send("main .row .main")),
        Look("run-new-empty", "/runs/new/", who="nina"),
    ],
    "evals:run": [
        Look("run", at("evals:run", **RUN)),
        Look("run-wrong", at("evals:run", "?show=wrong&benchmark=words_de", **RUN), who="vera"),
        Look("run-nothing", at("evals:run", "?show=error&benchmark=words_de", **RUN)),
        Look("run-working", at("evals:run", pk=lambda team: team.working.pk)),
        Look("run-waiting", at("evals:run", pk=lambda team: team.waiting.pk)),
        Look("run-failed", at("evals:run", pk=lambda team: team.stopped.pk)),
        Look("run-budget", at("evals:run", pk=lambda team: team.spent.pk)),
    ],
    "evals:schedules": [
        Look("schedules"),
        Look("schedules-viewer", "/schedules/", who="vera"),
        Look("schedules-empty", "/schedules/", who="nina"),
    ],
    "evals:schedule_new": [
        Look("schedule-new", "/schedules/new/", who="erik"),
        Look("schedule-new-refused", "/schedules/new/", act=send("main .form .main", at="")),
        Look("schedule-new-empty", "/schedules/new/", who="nina"),
    ],
    "evals:schedule_edit": [
        Look("schedule-edit", at("evals:schedule_edit", pk=lambda team: team.schedule)),
    ],
    "evals:sample": [
        Look("sample", at("evals:sample", run_pk=lambda team: team.run.pk, pk=lambda t: t.sample)),
        Look("sample-failed", at("evals:sample", run_pk=lambda team: team.run.pk,
                                 pk=lambda team: team.sample + 40)),
    ],
    "evals:board": [
        Look("board", at("evals:board", **BOARD)),
        Look("board-benchmarks", at("evals:board", "?columns=benchmarks", **BOARD)),
        Look("board-filtered", at("evals:board", "?language=de&scoring=options&q=b", **BOARD),
             who="vera"),
        Look("board-none", at("evals:board", "?q=nothing", **BOARD)),
        Look("board-empty", "/leaderboard/small/"),
        Look("board-styles", "/leaderboard/euro-style-chat/"),
    ],
    "evals:rank_scores": [
        Look("ranks", "/leaderboard/euro-style-chat/rank-scores/"),
        Look("ranks-old", "/leaderboard/euro-style-chat/rank-scores/?formula=16.x", who="vera"),
        Look("ranks-none", "/leaderboard/abilities/rank-scores/"),
    ],
    "evals:imported_rank_scores": [
        Look("ranks-imported", "/external/rank-scores/"),
        Look("ranks-imported-empty", "/external/rank-scores/", who="nina"),
    ],
    "evals:leaderboard": [Look("leaderboard-empty", "/leaderboard/", who="nina")],
    "evals:compare": [
        Look("compare"),
        Look("compare-two", at("evals:compare", "?m={m[0]}&m={m[1]}")),
        Look("compare-four", at("evals:compare", "?m={m[1]}&m={m[0]}&m={m[2]}&m={m[4]}")),
        Look("compare-one-benchmark",
             at("evals:compare", "?m={m[0]}&m={m[1]}&benchmark=words_de&show=worse"), who="vera"),
        Look("compare-unmeasured", at("evals:compare", "?m={m[4]}&m={m[5]}")),
        Look("compare-empty", "/compare/", who="nina"),
    ],
    "evals:compare_sample": [
        Look("compare-sample", at("evals:compare_sample", "?m={m[0]}&m={m[1]}&m={m[2]}",
                                  pk=lambda team: team.benchmark, doc_id=lambda team: 1)),
    ],
    "evals:saved_boards": [
        Look("boards", "/boards/", who="vera"), Look("boards-empty", "/boards/", who="nina"),
    ],
    "evals:saved_board_new": [
        Look("board-new", "/boards/new/"),
        Look("board-new-wrong", "/boards/new/", act=send("main .form .main", slug="a b")),
    ],
    "evals:saved_board": [
        Look("board-saved", "/boards/europe/"),
        Look("board-saved-viewer", "/boards/europe/", who="vera"),
    ],
    "evals:saved_board_edit": [Look("board-edit", "/boards/europe/edit/")],
    "evals:shared_board": [Look("board-shared", "/shared/shared-secret/", who="")],
    "evals:trend": [
        Look("trend", at("evals:trend", **MODEL)),
        Look("trend-none", at("evals:trend", **UNCHECKED), who="vera"),
    ],
    "evals:regressions": [
        Look("servings-choose", "/servings/"),
        Look("servings-empty", "/servings/", who="nina"),
        Look("servings", at("evals:regressions", "?before=m{m[0]}&after=m{m[1]}"), who="vera"),
    ],
    "evals:playground": [
        Look("playground"),
        Look("playground-empty", "/playground/", who="nina"),
    ],
    "evals:questions": [
        Look("kept"),
        Look("kept-open", "/playground/kept/", act=click(".kept summary")),
        Look("kept-delete", "/playground/kept/", act=click(".kept .danger")),
        Look("kept-empty", "/playground/kept/", who="nina"),
    ],
    "evals:external": [Look("external"), Look("external-empty", "/external/", who="nina")],
    "evals:import_new": [Look("import")],
    "evals:import_samples": [
        Look("import-samples",
             at("evals:import_samples", "?task=knowledge_de", pk=lambda team: team.harness)),
    ],
    "evals:import": [
        Look("import-kept", at("evals:import", pk=lambda team: team.board)),
        Look("import-look", at("evals:import", pk=lambda team: team.preview)),
        Look("import-refused", at("evals:import", pk=lambda team: team.preview),
             act=send("main .main")),
        Look("import-harness", at("evals:import", pk=lambda team: team.harness), who="vera"),
    ],
    "evals:methods": [Look("methods")],
    "workers:activity": [Look("activity"), Look("activity-empty", "/activity/", who="nina")],
}  # fmt: skip
ERRORS = [
    Look("error-404", "/no/such/page/", status=404),
    Look("error-404-signed-out", "/no/such/page/", who="", status=404),
    Look("error-403", "/models/", who="rosa", status=403),
    Look("error-500", "/methods/", status=500),
]
# They answer with a file, a part of a page, one word, or lead on to a page that has an entry.
NO_PAGES = {
    "healthz", "readyz", "metrics", "robots.txt", "openid_connect_callback",
    "accounts:invitation", "accounts:audit_file", "help:index", "evals:run_progress",
    "evals:questions_file", "evals:run_files", "evals:import_file", "evals:candidate_card",
    "evals:suite_pack",
    "workers:progress",
}  # fmt: skip


def test_every_page_is_looked_at() -> None:
    names = [n for n in walk(get_resolver().url_patterns) if "get" in ADDRESSES[n].methods]
    assert sorted(names) == sorted([*PAGES, *NO_PAGES])


class Visitor:
    """Looks at pages in one browser context as several people, and notes what is wrong."""

    def __init__(self, page: Page, site: str, team: Team, language: str) -> None:
        self.page, self.site, self.team, self.language = page, site, team, language
        self.who: str | None = None
        self.faults: list[str] = []
        self.seen = 0

    def look(self, look: Look, address: str) -> None:
        self.become(look.who)
        answer = self.page.goto(address)
        if answer and answer.status != look.status:
            self.faults.append(f"{look.name}: answered {answer.status}")
        if look.act:
            look.act(self.page)
        language = self.page.locator("html").get_attribute("lang")
        if language != self.language:
            self.faults.append(f"{look.name}: is in {language!r}")
        self.page.evaluate(AXE.axe_script)
        for theme in ("light", "dark"):
            self.page.emulate_media(color_scheme=theme)
            # What is not colour is the same in both themes.
            options = {} if theme == "light" else {"runOnly": ["color-contrast"]}
            for width in WIDTHS:
                self.page.set_viewport_size({"width": width, "height": 800})
                self.check(f"{look.name}-{self.language}-{theme}-{width}", options)

    def check(self, name: str, options: dict[str, Any]) -> None:
        self.seen += 1
        self.faults += [f"{name}: {fault}" for fault in self.page.evaluate(FAULTS)]
        found = self.page.evaluate(
            "options => axe.run(options)", {"resultTypes": ["violations"], **options}
        )
        self.faults += [
            f"{name}: {violation['id']} {node['target']} {node['html'][:150]}"
            for violation in found["violations"]
            for node in violation["nodes"]
        ]
        if SHOTS:
            self.page.screenshot(path=Path(SHOTS) / f"{name}.png", full_page=True)

    def become(self, who: str) -> None:
        """Sign in without the form: it is looked at, not used."""
        if self.who == who and who:
            return
        self.who, context = who, self.page.context
        self.page.goto("about:blank")  # or what a page asks for meanwhile is sent to sign in
        context.clear_cookies()
        cookies = [{"name": "django_language", "value": self.language, "url": self.site}]
        if who:
            client = Client()
            client.force_login(self.team.people[who])
            value = client.cookies["sessionid"].value
            cookies.append({"name": "sessionid", "value": value, "url": self.site})
        context.add_cookies(cookies)


@pytest.fixture
def team(settings: Any, live_server: Any) -> Team:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    return make_team()


@pytest.mark.parametrize("language", ["en", "de"])
def test_every_page_reads_well(
    page: Page, team: Team, live_server: Any, language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    visitor = Visitor(page, live_server.url, team, language)
    for person in team.people.values():
        type(person).objects.filter(pk=person.pk).update(language=language)
    for name, looks in PAGES.items():
        for look in looks:
            address = look.address or reverse(name)
            visitor.look(look, address(team) if callable(address) else address)
    monkeypatch.setattr(methods, "render", None)
    for look in ERRORS:
        visitor.look(look, look.address)
    print(f"\n{visitor.seen // 4} pages, {visitor.seen} looks in {language!r}")
    assert not visitor.faults, "\n".join(visitor.faults)
