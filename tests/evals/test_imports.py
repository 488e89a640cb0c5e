"""Results of others: previewed, kept apart, with their source."""

from __future__ import annotations

import io
import json
from datetime import date, timedelta
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from evals import imports
from evals.models import ExternalResult, Import
from portal.accounts.models import AuditEntry, Project, User
from tests.evals.test_external_files import NEW

pytestmark = pytest.mark.django_db
BOARD = b"Model,Elo,Size\nA,1287,7B\nB,1106,x\nC,oops,3B\n"


def upload(client: Client, content: bytes, name: str = "file.csv") -> Import:
    file = io.BytesIO(content)
    file.name = name
    response = client.post(reverse("evals:import_new"), {"file": file})
    assert response.status_code == 302, response.text
    return Import.objects.get(pk=int(response["Location"].rstrip("/").rsplit("/")[-1]))


def keep(client: Client, found: Import, **data: object) -> int:
    said = {"source": "Arena", "url": "https://board.example", "dated": "2026-01-02"} | data
    return client.post(reverse("evals:import_confirm", args=[found.pk]), said).status_code


def test_nothing_is_kept_before_it_is_confirmed(as_erik: Client) -> None:
    found = upload(as_erik, BOARD)
    page = as_erik.get(found.get_absolute_url()).text
    assert "oops" in page and "A preview" in page
    assert not ExternalResult.objects.exists()
    assert keep(as_erik, found) == 302
    kept = ExternalResult.objects.order_by("pk")
    assert [(row.model, row.benchmark, row.value) for row in kept] == [
        ("A", "Elo", 1287.0), ("B", "Elo", 1106.0),
    ]  # fmt: skip
    found.refresh_from_db()
    assert (found.source, found.dated, found.faults) == ("Arena", date(2026, 1, 2), 1)
    entry = AuditEntry.objects.get(action="result.import")
    assert (entry.actor_name, entry.details["results"]) == ("erik", 2)


def test_a_board_needs_its_source_and_date(as_erik: Client) -> None:
    found = upload(as_erik, BOARD)
    assert keep(as_erik, found, source="") == 422
    assert keep(as_erik, found, dated="") == 422
    assert not ExternalResult.objects.exists()


def test_the_form_says_what_a_board_needs_before_it_is_sent(as_erik: Client) -> None:
    board = upload(as_erik, BOARD)
    page = as_erik.get(board.get_absolute_url()).text
    assert page.count("(optional)") == 1  # the address alone
    assert "Who publishes the board" in page and "the day on which it was fetched" in page
    url = reverse("evals:import_confirm", args=[board.pk])
    refused = as_erik.post(url, {"source": "Arena", "url": "", "dated": ""})
    assert refused.status_code == 422 and "Write of which day this board is." in refused.text
    again = as_erik.post(url, {"source": "", "url": "https://a.example", "preview": "1"})
    assert again.status_code == 200 and "https://a.example" in again.text
    assert "Write who publishes" not in again.text  # looking again at columns judges no field
    tool = upload(as_erik, json.dumps(NEW).encode(), "euroeval_benchmark_results.jsonl")
    assert as_erik.get(tool.get_absolute_url()).text.count("(optional)") == 3


def test_columns_can_be_chosen_and_looked_at_again(as_erik: Client) -> None:
    found = upload(as_erik, BOARD)
    chosen = {"column": ["Model", "Elo", "Size"], "role": ["ignore", "score", "model"]}
    url = reverse("evals:import_confirm", args=[found.pk])
    page = as_erik.post(url, chosen | {"preview": "1"}).text
    assert "7B" in page and not ExternalResult.objects.exists()
    assert keep(as_erik, found, **(chosen | {"role": ["score", "score", "nonsense"]})) == 422
    assert keep(as_erik, found, **chosen) == 302
    assert set(ExternalResult.objects.values_list("model", flat=True)) == {"7B", "x"}


def test_euroeval_shows_its_totals_and_what_the_half_width_is(as_erik: Client) -> None:
    found = upload(as_erik, json.dumps(NEW).encode(), "euroeval_benchmark_results.jsonl")
    assert keep(as_erik, found, source="", dated="", url="") == 302
    page = as_erik.get(reverse("evals:external")).text
    assert "55" in page and "± 0.98" in page and "half-width of the mean of resamplings" in page


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b'{"results": {"arc": {"acc,none": 0.5}', "This is no JSON"),
        (b'{"results": [], "versions": {}}', "no results with their versions"),
        (b"[1]", "no results with their versions"),
        (b'{"a": 1, "a": 2}', "stands there twice"),
    ],
)
def test_a_broken_file_of_lm_eval_is_called_one(as_erik: Client, content: bytes, why: str) -> None:
    file = io.BytesIO(content)
    file.name = "results_2026-01-01T00-00-00.json"
    refused = as_erik.post(reverse("evals:import_new"), {"file": file})
    assert refused.status_code == 422 and not Import.objects.exists()
    said = refused.context["form"].errors["file"][0]
    assert said.startswith(f"{file.name} looks like lm-eval's results, but") and why in said


def test_a_file_of_euroeval_is_taken_by_whatever_name(as_erik: Client) -> None:
    found = upload(as_erik, json.dumps(NEW).encode(), "results_of_july.json")
    assert found.kind == "euroeval" and keep(as_erik, found) == 302


def test_nothing_usable_cannot_be_kept_but_columns_can_be_chosen(as_erik: Client) -> None:
    board = upload(as_erik, b"model,Elo,Size\nA,x,y\nB,x,7\nC,x,z\n")
    url = reverse("evals:import_confirm", args=[board.pk])
    page = as_erik.get(board.get_absolute_url()).text
    assert "Keep these results" not in page and "Show again with these columns" in page
    assert "the rest can be kept" not in page and "Nothing in the file could be used" in page
    roles = {"column": ["model", "Elo", "Size"], "role": ["model", "ignore", "score"]}
    assert "Keep these results" in as_erik.post(url, roles | {"preview": "1"}).text
    tool = upload(as_erik, b'{"model": 1}\n', "records.jsonl")
    page = as_erik.get(tool.get_absolute_url()).text
    assert "Keep these results" not in page and 'name="source"' not in page and "Discard" in page


def test_the_file_comes_back_byte_for_byte(as_erik: Client) -> None:
    found = upload(as_erik, BOARD, "../../etc/p\u202e\x00asswd.csv")
    assert found.files.get().name == "passwd.csv"
    response = as_erik.get(reverse("evals:import_file", args=[found.pk]))
    assert response.getvalue() == BOARD
    assert response["Content-Type"] == "application/octet-stream"


def test_the_same_file_is_kept_once(as_erik: Client) -> None:
    found = upload(as_erik, BOARD)
    keep(as_erik, found)
    assert upload(as_erik, BOARD) == found
    assert keep(as_erik, found) == 302
    assert ExternalResult.objects.count() == 2


def test_a_preview_is_seen_by_engineers_only_and_forgotten_after_a_day(
    as_erik: Client, vera: User
) -> None:
    found = upload(as_erik, BOARD)
    viewer = Client()
    viewer.force_login(vera)
    assert viewer.get(found.get_absolute_url()).status_code == 404
    Import.objects.update(created_at=timezone.now() - timedelta(days=2))
    upload(as_erik, BOARD + b"D,1,1\n")
    assert not Import.objects.filter(pk=found.pk).exists()


def test_formulas_of_others_run_in_no_spreadsheet(as_erik: Client) -> None:
    keep(as_erik, upload(as_erik, b'model,Elo\n"=HYPERLINK(1)",5\n'))
    text = as_erik.get(reverse("evals:external"), {"format": "csv"}).getvalue().decode()
    assert "'=HYPERLINK(1)" in text
    (row,) = json.loads(as_erik.get(reverse("evals:external"), {"format": "json"}).getvalue())
    assert (row["value"], row["source"], row["low"]) == (5.0, "Arena", None)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"model\nA\n", b'a,"b\n', b"a,a\n1,2\n"])
def test_what_is_no_board_is_refused_with_a_reason(as_erik: Client, content: bytes) -> None:
    file = io.BytesIO(content)
    file.name = "x.csv"
    response = as_erik.post(reverse("evals:import_new"), {"file": file}, follow=True)
    assert response.status_code in (200, 422)
    found = Import.objects.first()
    assert found is None or keep(as_erik, found) == 422
    assert not ExternalResult.objects.exists()


def test_a_file_that_is_too_large_is_refused(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imports, "MOST_BYTES", 10)
    with pytest.raises(imports.ImportRefused, match=r"x\.csv"):
        imports.receive(project, [imports.File("x.csv", b"a" * 11)])


def test_the_command_imports_and_names_lines(
    project: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "board.csv"
    path.write_bytes(BOARD)
    call_command("results", "import", str(path), "--look")
    told = capsys.readouterr()
    assert "2 results of 2 models" in told.out and "line 4" in told.err
    assert not Import.objects.exists()
    with pytest.raises(CommandError, match="source"):
        call_command("results", "import", str(path))
    call_command("results", "import", str(path), "--source", "Arena", "--date", "2026-01-02")
    assert ExternalResult.objects.count() == 2


def test_it_can_be_deleted_again(as_erik: Client) -> None:
    found = upload(as_erik, BOARD)
    keep(as_erik, found)
    as_erik.post(reverse("evals:import_remove", args=[found.pk]))
    assert not ExternalResult.objects.exists() and not Import.objects.exists()
    assert AuditEntry.objects.filter(action="result.remove").count() == 1
