"""Read a page as a browser would, and say what in it is not ours."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import NamedTuple
from urllib.parse import urlsplit

from django.urls import reverse

from evals.euro.entries import card
from evals.euro.write import everything
from evals.models import Run, Sample
from portal.accounts.models import Project
from tests.conventions.test_addresses import ADDRESSES, Address
from tests.conventions.things import Things, make_things

ADDRESS_ATTRIBUTES = {
    "href", "src", "action", "formaction", "poster", "data", "srcset", "xlink:href", "hx-get",
    "hx-post", "hx-push-url", "hx-replace-url", "cite", "background", "ping", "manifest",
}  # fmt: skip
NEVER = {
    "iframe", "object", "embed", "base", "applet", "frame", "video", "audio", "math", "noscript",
    "animate", "style", "img", "x", "foreignobject",
}  # fmt: skip
CARDS = {card(task.repo) for task in everything()}
OUR_STYLE = re.compile(r"--[a-z]+:\s*-?[\d.]+%?;?(\s*--[a-z]+:\s*-?[\d.]+%?;?)*")


class Field(NamedTuple):
    name: str
    kind: str
    value: str


class Form(NamedTuple):
    action: str
    method: str
    fields: list[Field]


class Reader(HTMLParser):
    """Collects the forms of a page, its text, and what must not stand in it."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.faults: list[str] = []
        self.forms: list[Form] = []
        self.text: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)
        given = {name: value or "" for name, value in attrs}
        self.text += given.values()
        self.faults += _faults(tag, given)
        if tag == "form":
            self.forms.append(Form(given.get("action", ""), given.get("method", "get").lower(), []))
        elif tag in {"input", "select", "textarea", "button"} and self.forms and "name" in given:
            self.forms[-1].fields.append(
                Field(given["name"], given.get("type", tag), given.get("value", ""))
            )

    def handle_endtag(self, tag: str) -> None:
        self.open = self.open[:-1]

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script" and data.strip():
            self.faults.append(f"script in the page: {data[:60]}")
        self.text.append(data)


def _faults(tag: str, given: dict[str, str]) -> Iterator[str]:
    if tag in NEVER:
        yield f"<{tag}> {given}"
    if tag == "script" and not given.get("src", "").startswith("/static/"):
        yield f"<script> {given}"
    if tag == "link" and given.get("rel") not in {"stylesheet", "icon", "search", "manifest"}:
        yield f"<link> {given}"
    if tag == "meta" and "http-equiv" in given:
        yield f"<meta> {given}"
    for name, value in given.items():
        drawn = name == "x" and re.fullmatch(r"-?[\d.]+%?", value)  # of an SVG
        if name.startswith(("on", "hx-on", "data-hx-")) or (name == "x" and not drawn):
            yield f"<{tag} {name}={value!r}>"
        if name in ADDRESS_ATTRIBUTES and not is_ours(value):
            yield f"<{tag} {name}={value!r}>"
        if name == "style" and not OUR_STYLE.fullmatch(value.strip()):
            yield f"<{tag} style={value!r}>"


def is_ours(address: str) -> bool:
    """Whether ``address`` stays on this site, in every browser's reading, or stands in our code."""
    if address in {"", "true", "false", "data:,"} or address in CARDS:
        return True
    parts = urlsplit(address)
    return not parts.scheme and not parts.netloc and not re.match(r"[/\\\s]*[/\\]{2}", address)


def read(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    reader.close()
    return reader


def things_of(project: Project, run: Run) -> Things:
    """What the addresses name, so that they show ``run``; the rest is harmless."""
    sample = Sample.objects.filter(part__run=run, error="").first()
    assert sample is not None
    return make_things(project)._replace(
        candidate=run.candidate_id, suite=run.suite_id, slug=run.suite.slug, run=run.pk,
        sample=sample.pk, benchmark=sample.part.benchmark_id,
    )  # fmt: skip


def url_of(name: str, things: Things) -> str:
    address: Address = ADDRESSES[name]
    if name == "robots.txt":
        return "/robots.txt"
    return reverse(name, args=[getattr(things, argument) for argument in address.names])


def shown(method: str = "get") -> list[str]:
    """The names of all addresses that answer ``method``."""
    return [
        name for name, entry in ADDRESSES.items() if method in entry.methods and name != "metrics"
    ]
