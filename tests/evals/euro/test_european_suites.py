"""``manage.py euro``: a suite out of the set, with rows from data laid out as on the hub."""

from __future__ import annotations

from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from evals import runs
from evals.models import Suite
from portal.accounts.models import Project
from tests.evals.euro.hub import LICENCE, ROWS
from tests.evals.making import carry_out, make_candidate
from tests.evals.stub_server import StubServer

pytestmark = pytest.mark.django_db


def said(capsys: pytest.CaptureFixture[str], *arguments: Any) -> str:
    call_command("euro", *map(str, arguments))
    return capsys.readouterr().out


def test_a_suite_has_the_rows_of_the_hub_and_says_where_they_are_from(
    project: Project, hub: Path, capsys: pytest.CaptureFixture[str], stub: StubServer
) -> None:
    told = said(capsys, "install", "--language", "de", "--mirror", hub)
    assert f"5 of 5: euro_belebele_de_fork, {ROWS} questions" in told
    suite = Suite.objects.get(slug="euro-de")
    assert suite.sha256 in told and suite.licence == LICENCE
    columns = list(suite.benchmarks.all())
    assert [(column.family, column.metric) for column in columns] == [
        ("arc", "acc_norm"), ("hellaswag", "acc_norm"), ("mmlu", "acc"),
        ("truthfulqa_mc2", "mc2"), ("belebele", "acc"),
    ]  # fmt: skip
    assert [column.options["num_fewshot"] for column in columns] == [25, 10, 5, 0, 5]
    source = columns[0].source
    assert source["repo"] == "alexandrainst/m_arc" and source["licence"] == LICENCE
    assert (source["config"], source["split"]) == ("de", "test")
    assert source["revision"].startswith("sha256:")

    run = carry_out(runs.start(make_candidate(project, base_url=stub.base_url), suite))
    assert (run.state, run.errors) == ("done", 0), run.message
    values = {part.benchmark.metric for part in run.parts.all() if part.scores.filter(valid=True)}
    assert values == {"acc_norm", "acc", "mc2"}


def test_other_families_and_wordings_can_be_chosen(
    project: Project, hub: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said(
        capsys, "install", "--language", "fr", "--family", "mgsm_direct", "xnli", "mmlu",
        "--wording", "native", "--preset", "zero-shot", "--slug", "french", "--mirror", hub,
    )  # fmt: skip
    suite = Suite.objects.get(slug="french")
    assert [column.name for column in suite.benchmarks.all()] == [
        "euro_mgsm_direct_fr_upstream", "euro_xnli_fr_upstream", "euro_mmlu_fr_native",
    ]  # fmt: skip


def test_changed_data_is_not_taken_for_the_same_suite(
    project: Project, hub: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import shutil

    mine = tmp_path / "mirror" / "facebook" / "belebele"
    shutil.copytree(hub / "facebook" / "belebele", mine)
    order = ("install", "--language", "pl", "--mirror", tmp_path / "mirror")
    said(capsys, *order)
    said(capsys, *order)
    (mine / "README.md").write_text((mine / "README.md").read_text() + "changed\n")
    with pytest.raises(CommandError, match="Give it a higher version"):
        said(capsys, *order)
    said(capsys, *order, "--version", 2)
    assert Suite.objects.filter(slug="euro-pl").count() == 2


def test_without_the_hub_it_says_at_once_what_was_tried_and_the_way_out(
    project: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    start = monotonic()
    with pytest.raises(CommandError) as refused:
        said(capsys, "install", "--language", "de", "--mirror", tmp_path)
    assert monotonic() - start < 10
    for words in ("alexandrainst/m_arc", f"the folder {tmp_path}", "HF_HUB_OFFLINE",
                  "the cache of the hub has no copy", "manage.py pack"):  # fmt: skip
        assert words in str(refused.value)
    assert not Suite.objects.exists()


def test_a_copy_in_the_cache_of_the_hub_is_taken(
    project: Project, hub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    import shutil

    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    cached = tmp_path / "cache" / "datasets--facebook--belebele"
    shutil.copytree(hub / "facebook" / "belebele", cached / "snapshots" / "abc123")
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text("abc123")
    said(capsys, "install", "--language", "fi")
    (column,) = Suite.objects.get().benchmarks.all()
    assert column.source["revision"] == "abc123"


def test_the_list_needs_no_data(capsys: pytest.CaptureFixture[str]) -> None:
    told = said(capsys, "list", "--language", "de", "--family", "truthfulqa_mc2")
    names = [line.split()[0] for line in told.splitlines()]
    assert names == [f"euro_truthfulqa_mc2_de_{word}" for word in ("fork", "upstream", "native")]


def test_it_names_the_languages_there_are(project: Project) -> None:
    with pytest.raises(CommandError, match=r"no language 'xx'.*There are: bg, ca"):
        call_command("euro", "install", "--language", "xx")
