"""The page of the European task set: everything there is, before anything is loaded."""

from __future__ import annotations

import re
from pathlib import Path
from statistics import median
from time import process_time

import pytest
from django.test import Client

from evals import catalogue
from evals.euro.write import everything
from evals.models import Suite
from portal.accounts.models import Project, User
from tests.evals.making import choice, make_suite

pytestmark = pytest.mark.django_db
ADDRESS = "/suites/european/"
QUERIES = 5


def installed(project: Project, **fields: object) -> Suite:
    """A suite with one task of the set, as an install or a data pack leaves it."""
    source = {"repo": "alexandrainst/m_arc", "licence": "cc-by-nc-4.0"}
    task = choice("euro_arc_de_fork", family="arc", language="de", source=source)
    return make_suite(project, task, slug="euro-de", name="Euro: de", **fields)


def text_of(client: Client, query: str = "", **headers: str) -> str:
    return client.get(ADDRESS + query, headers=headers).content.decode()


def counted(page: str, language: str) -> str:
    return re.search(rf">{language} <span class=\"muted\">([^<]*)<", page)[1]


def test_it_lists_every_task_by_language_with_counts_and_loads_nothing(
    as_erik: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    import datasets

    def refuse(*_: object, **__: object) -> None:
        pytest.fail("the page loaded data")

    monkeypatch.setattr(datasets, "load_dataset", refuse)
    page = text_of(as_erik)
    tasks = everything()
    assert len(re.findall(r'<(?:span|a) class="tag"', page)) == len(tasks) == 310
    assert page.count('<th scope="rowgroup"') == len({task.language for task in tasks})
    german = sum(task.language == "de" for task in tasks)
    assert counted(page, "German") == f"{german} tasks"
    wanted = (
        "Knowledge of 57 subjects", "Choice by log-likelihood", "acc_norm",
        "facebook/belebele", "licence: see its card", "only lm-eval’s own command",
    )  # fmt: skip
    for words in wanted:
        assert words in page


def test_each_task_says_the_number_of_examples_of_the_preset(as_erik: Client) -> None:
    page = text_of(as_erik, "?language=de&family=arc")
    assert '<td class="num">25</td>' in page


def test_a_filter_narrows_it_and_htmx_gets_the_table_alone(as_erik: Client) -> None:
    page = text_of(as_erik, "?language=fr&family=mmlu&wording=native", **{"HX-Request": "true"})
    assert page.lstrip().startswith('<section id="tasks"') and "<h1>" not in page
    assert re.findall(r'class="tag">(\w+)<', page) == ["native"]
    assert counted(page, "French") == "1 task"
    assert "<h1>" in text_of(as_erik, "?language=fr")


def test_it_can_be_grouped_by_family(as_erik: Client) -> None:
    page = text_of(as_erik, "?by=family&wording=upstream")
    heads = re.findall(r'rowgroup" colspan="6">([^:<]*)', page)
    assert heads[:2] == ["ARC-Challenge", "HellaSwag"]
    assert "German" in page and "native</span>" not in page


def test_a_combination_that_there_is_not_says_so(as_erik: Client) -> None:
    assert "No task fits" in text_of(as_erik, "?language=bg&family=mmlu")


def test_unknown_values_of_the_address_ask_for_everything(as_erik: Client) -> None:
    assert "310" in text_of(as_erik, "?language=xx&family=%00&wording=best&by=luck")


def test_what_the_project_has_is_a_link_with_the_licence_it_came_with(
    as_erik: Client, project: Project
) -> None:
    suite = installed(project)
    page = text_of(as_erik, "?language=de&family=arc&wording=fork")
    benchmark = suite.benchmarks.get()
    assert f'href="/suites/benchmarks/{benchmark.pk}/"' in page
    assert "fork ✓" in page and "cc-by-nc-4.0" in page and "this project has them" in page
    assert "1 in this project" in counted(page, "German")


def test_what_another_project_has_does_not_count(as_erik: Client, mallory: User) -> None:
    installed(mallory.memberships.get().project)
    assert "✓" not in text_of(as_erik)


def test_it_says_where_the_rows_would_come_from(
    as_erik: Client, settings: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "a data pack: the hub is switched off" in text_of(as_erik)
    (tmp_path / "facebook" / "belebele").mkdir(parents=True)
    settings.HUB_MIRROR = str(tmp_path)
    assert "the folder of data sets" in text_of(as_erik, "?family=belebele")
    assert "the folder of data sets" not in text_of(as_erik, "?family=mmlu")
    for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"):
        monkeypatch.setenv(name, "0")
    assert ">the hub</td>" in text_of(as_erik, "?family=mmlu")


def test_workers_are_offline_where_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in catalogue.hub.SWITCHES:
        monkeypatch.delenv(name, raising=False)
    assert not catalogue.hub.switched_on()


def test_all_of_it_takes_few_queries_and_a_tenth_of_a_second_at_most(
    as_erik: Client, project: Project, django_assert_num_queries: object
) -> None:
    installed(project)
    text_of(as_erik)  # templates are read once
    with django_assert_num_queries(QUERIES):
        text_of(as_erik)
    times = []  # of this process alone: what else the machine does is no fault of the page
    for _ in range(5):
        start = process_time()
        text_of(as_erik)
        times.append(process_time() - start)
    print(f"the page of all tasks: {1000 * median(times):.0f} ms of processor time")
    assert median(times) < 0.1
