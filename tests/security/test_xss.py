"""Foreign text stays text: on every page, in every field, in files and in answers to forms."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Sequence

import pytest
from django.http import HttpResponse
from django.test import Client

from evals.models import Candidate, Run
from portal.accounts.models import Project, User
from portal.tables import FORMULA_STARTS
from tests.conventions.things import Things, make_things
from tests.security.foreign import PAYLOADS, make_foreign
from tests.security.pages import is_ours, read, shown, things_of, url_of

pytestmark = pytest.mark.django_db
# Every parameter that some page reads from its address.
PARAMETERS = (
    "q", "sort", "page", "show", "benchmark", "language", "scoring", "version", "v", "suite", "m",
    "model", "next", "tag", "size", "licence", "quantisation", "action", "actor", "cursor", "kind",
)  # fmt: skip


TURNS = range(0, len(PAYLOADS), 5)


def filled(names: Sequence[str], turn: int) -> dict[str, str]:
    """Another payload for each of ``names``; over all turns every field gets several."""
    return {name: PAYLOADS[(turn + at) % len(PAYLOADS)] for at, name in enumerate(names)}


@pytest.fixture
def run(project: Project) -> Run:
    return make_foreign(project)


@pytest.fixture
def things(project: Project, run: Run) -> Things:
    return things_of(project, run)


@pytest.fixture
def as_alice(client: Client, alice: User) -> Client:
    client.force_login(alice)
    return client


def faults(answer: HttpResponse) -> list[str]:
    """What stands in ``answer`` that a browser would run, load or obey."""
    assert answer.status_code < 500
    assert answer.get("X-Content-Type-Options") == "nosniff"
    if not answer.get("Content-Type", "").startswith("text/html"):
        return []
    csp = answer["Content-Security-Policy"]
    assert "default-src 'self'" in csp
    assert "script-src" not in csp or "unsafe" not in csp
    return read(answer.content.decode()).faults


def test_no_page_obeys_what_models_and_people_wrote(things: Things, as_alice: Client) -> None:
    found = {}
    for name in shown():
        url = url_of(name, things)
        found[name] = faults(as_alice.get(url))
        found[f"part of {name}"] = faults(as_alice.get(url, headers={"HX-Request": "true"}))
    assert {name: fault for name, fault in found.items() if fault} == {}


def test_the_payloads_really_stand_in_the_pages(things: Things, as_alice: Client) -> None:
    """What is nowhere shown would prove nothing."""
    found = {}
    for name in ("evals:candidate", "evals:suite", "evals:run", "evals:sample", "evals:board"):
        text = "".join(read(as_alice.get(url_of(name, things)).content.decode()).text)
        squeezed = " ".join(text.split())
        found[name] = sum(" ".join(payload.split()) in squeezed for payload in PAYLOADS)
    assert found["evals:candidate"] == len(PAYLOADS)
    assert found["evals:suite"] == len(PAYLOADS)
    assert min(found.values()) > 1


def test_every_sample_of_a_run_is_shown_as_text(things: Things, run: Run, as_alice: Client) -> None:
    seen = 0
    for part in run.parts.all():
        for sample in part.samples.all():
            assert faults(as_alice.get(sample.get_absolute_url())) == []
            seen += 1
    assert seen == 2 * len(PAYLOADS)


def test_comparisons_and_models_with_any_name_are_text(
    things: Things, project: Project, as_alice: Client
) -> None:
    pks = [c.pk for c in Candidate.objects.filter(runs__isnull=False).distinct()][:4]
    query = {"m": pks}
    for path in (url_of("evals:compare", things), url_of("evals:compare_sample", things)):
        assert faults(as_alice.get(path, query)) == []
    for candidate in Candidate.objects.filter(project=project):
        assert faults(as_alice.get(candidate.get_absolute_url())) == []


def test_no_page_obeys_its_own_address(project: Project, as_alice: Client) -> None:
    things = make_things(project)
    found = {}
    for name in shown():
        for turn in TURNS:
            answer = as_alice.get(url_of(name, things), filled(PARAMETERS, turn))
            found[name, turn] = faults(answer)
    assert {place: fault for place, fault in found.items() if fault} == {}


def test_no_form_obeys_what_was_typed(project: Project, as_alice: Client) -> None:
    things = make_things(project)
    found = {}
    for name in set(shown("post")) - {"accounts:logout"}:
        url = url_of(name, things)
        page = as_alice.get(url)
        named = {field.name for form in read(page.content.decode()).forms for field in form.fields}
        for turn in TURNS:
            answer = as_alice.post(url, filled(sorted(named | set(PARAMETERS)), turn))
            found[name, turn] = faults(answer)
            if answer.status_code == 302 and not is_ours(answer["Location"]):
                found[name, turn].append(answer["Location"])
    assert {place: fault for place, fault in found.items() if fault} == {}


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_files_carry_foreign_text_as_data(kind: str, things: Things, as_alice: Client) -> None:
    pks = list(Candidate.objects.filter(runs__isnull=False).values_list("pk", flat=True))
    for name, query in (("evals:board", {}), ("evals:compare", {"m": pks[:4]}), ("evals:runs", {})):
        answer = as_alice.get(url_of(name, things), query | {"format": kind})
        assert answer.status_code == 200
        assert answer["Content-Disposition"].startswith("attachment")
        assert answer["X-Content-Type-Options"] == "nosniff"
        assert not answer["Content-Type"].startswith("text/html")
        if kind == "json":
            assert PAYLOADS[0] in json.dumps(json.loads(answer.getvalue()))
            continue
        rows = list(csv.reader(io.StringIO(answer.getvalue().decode("utf-8-sig"))))
        assert len(rows) > 1
        assert [c for row in rows[1:] for c in row if _is_formula(c)] == []


def _is_formula(cell: str) -> bool:
    return cell.startswith(FORMULA_STARTS) and not re.fullmatch(r"-?[\d.e-]+", cell)
