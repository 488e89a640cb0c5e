"""Packs carry a suite from one project or portal to another, and only from whom one trusts."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evals import packs, suites
from evals.engines import BenchmarkSpec
from evals.formats import packs as files
from evals.models import Benchmark, PackKey, Suite, TrustedKey, WaitingPack
from portal import secrets
from portal.accounts.models import AuditEntry, Project, User
from tests.evals.making import answer, choice, choice_rows, make_suite, write_suite
from tests.evals.packing import SECRET, packed

pytestmark = pytest.mark.django_db
PUBLIC = packs._text(SECRET.public_key().public_bytes_raw())
FINGERPRINT = files.fingerprint(SECRET.public_key().public_bytes_raw())


def exported(suite: Suite) -> files.Pack:
    out = io.BytesIO()
    packs.export(suite, out)
    return files.read(out)


def foreign(**fields: Any) -> files.Pack:
    """A pack of a portal that is not known here."""
    return files.read(io.BytesIO(packed(**fields)))


def spec_of(benchmark: Benchmark) -> BenchmarkSpec:
    found = suites.spec(benchmark)
    return replace(found, rows=list(found.rows))


@pytest.fixture
def elsewhere(db: None) -> Project:
    return Project.objects.create(name="Elsewhere")


def test_a_suite_arrives_as_it_left(project: Project, elsewhere: Project, tmp_path: Path) -> None:
    shots = choice_rows(2, "Shown ")
    (tmp_path / "shots.jsonl").write_text("\n".join(map(json.dumps, shots)), encoding="utf-8")
    source = {"repo": "own/questions", "revision": "4f1c", "licence": "CC0-1.0"}
    options = {"num_fewshot": 2, "share": 1.0}
    first = choice(source=source, options=options, examples="shots.jsonl", cluster="answer")
    rows = [{"question": "Wie heißt das? \u2028 „Zeile“ 😀", "target": "tree"}]
    facts = {"licence": "CC0-1.0", "tags": ["own"], "description": "Ä"}
    suite = suites.load(project, write_suite(tmp_path, [first, answer(rows=rows)], **facts))
    arrived = packs.install(elsewhere, exported(suite))
    assert arrived.pk != suite.pk and arrived.sha256 == suite.sha256
    assert suites.describe(arrived) == suites.describe(suite)
    for one, other in zip(arrived.benchmarks.all(), suite.benchmarks.all(), strict=True):
        assert spec_of(one) == spec_of(other)
    assert arrived.benchmarks.first().source == source


def test_what_is_there_already_is_recognised(project: Project) -> None:
    suite = make_suite(project)
    assert packs.install(project, exported(suite)) == suite
    assert Suite.objects.count() == 1


def test_names_of_files_do_not_count(project: Project, elsewhere: Project) -> None:
    one = make_suite(project, choice(questions="colours.jsonl"))
    other = make_suite(elsewhere, choice(questions="farben.jsonl"))
    assert one.sha256 == other.sha256


@pytest.mark.parametrize(
    "change",
    [{"rows": choice_rows(9)}, {"title": "Other"}, {"options": {"num_fewshot": 1}},
     {"source": {"licence": "MIT"}}, {"tags": ["reading"]}],
)  # fmt: skip
def test_everything_else_counts(
    project: Project, elsewhere: Project, change: dict[str, Any]
) -> None:
    assert make_suite(project, choice()).sha256 != make_suite(elsewhere, choice(**change)).sha256


def test_every_shipped_suite_survives_the_journey(project: Project, elsewhere: Project) -> None:
    suite = suites.install(project, "demo")
    assert packs.install(elsewhere, exported(suite)).sha256 == suite.sha256


def test_other_content_under_an_installed_version_is_refused(
    project: Project, elsewhere: Project
) -> None:
    make_suite(elsewhere, choice(title="Other"))
    with pytest.raises(suites.SuiteInvalid, match="version 1 of small is installed with other"):
        packs.install(elsewhere, exported(make_suite(project, choice())))


def test_the_pack_of_an_unknown_portal_is_refused(project: Project) -> None:
    with pytest.raises(packs.UnknownSigner, match=FINGERPRINT):
        packs.install(project, foreign())
    with pytest.raises(packs.UnknownSigner, match="you gave is another"):
        packs.install(project, foreign(), accepted="0000 " * 8)
    assert not Suite.objects.exists()


def test_whoever_is_trusted_is_let_in_by_name(project: Project, erik: User) -> None:
    packs.trust(project, "Munich", PUBLIC, by=erik)
    signer = packs.signer(project, foreign())
    assert (signer.name, signer.known, signer.fingerprint) == ("Munich", True, FINGERPRINT)
    assert packs.install(project, foreign()).slug == "small"


def test_trust_is_for_one_project_and_can_end(project: Project, elsewhere: Project) -> None:
    key = packs.trust(project, "Munich", PUBLIC)
    assert packs.trust(project, "Again", f" {PUBLIC}\n") == key
    assert not packs.signer(elsewhere, foreign()).known
    packs.distrust(key)
    assert not packs.signer(project, foreign()).known


def test_a_compared_fingerprint_lets_in_this_one_pack(project: Project, alice: User) -> None:
    packs.install(project, foreign(), by=alice, accepted=FINGERPRINT.upper().replace(" ", ""))
    written = AuditEntry.objects.get(action="pack.import")
    assert written.details["signer"] == FINGERPRINT and written.details["known"] is False
    assert not TrustedKey.objects.exists()
    with pytest.raises(packs.UnknownSigner):
        packs.install(project, foreign(version=2))


def test_the_key_is_made_once_and_kept_encrypted(project: Project) -> None:
    key = packs.own_key()
    assert packs.own_key() == key and PackKey.objects.count() == 1
    secret = secrets.decrypt(key.secret_encrypted)
    assert secret not in key.secret_encrypted and len(secret) == 44
    assert key.public_key != packs.renew_key().public_key
    assert PackKey.objects.count() == 1


def test_a_replaced_key_is_no_longer_believed(project: Project) -> None:
    pack = exported(make_suite(project))
    packs.renew_key()
    assert not packs.signer(project, pack).known


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": "x" * 121}, "name"),
        ({"slug": "no slug!"}, "slug"),
        ({"name": "half \ud800"}, "half a character"),
        ({"description": "nul \0"}, "NUL"),
        ({"tags": [1]}, "tags"),
        ({"version": 10**40}, "version"),
        ({"description": ["x"]}, "description"),
        ({"text": "[1]\n"}, "a JSON object"),
        ({"text": "[" * 100_000 + "\n"}, "not JSON"),
    ],
)
def test_a_signature_excuses_nothing(project: Project, change: dict[str, Any], words: str) -> None:
    packs.trust(project, "Munich", PUBLIC)
    with pytest.raises(suites.SuiteInvalid, match=words):
        packs.install(project, foreign(**change))
    assert not Suite.objects.exists()


def test_it_tells_what_differs_from_what_is_installed(project: Project, elsewhere: Project) -> None:
    assert packs.differences(project, foreign()) is None
    mine = make_suite(project, choice("one"), choice("two"), answer())
    theirs = make_suite(elsewhere, choice("three"), choice("two", choice_rows(9)), answer())
    found = packs.differences(project, exported(theirs))
    assert found == packs.Difference(mine, False, ["three"], ["one"], ["two"])
    assert packs.differences(project, exported(mine)).same


def test_one_upload_waits_for_each_person(project: Project, erik: User, alice: User) -> None:
    packs.keep(project, "a.zip", b"1", by=erik)
    packs.keep(project, "b.zip", b"2", by=erik)
    packs.keep(project, "c.zip", b"3", by=alice)
    assert {each.name for each in WaitingPack.objects.all()} == {"b.zip", "c.zip"}
