"""A benchmark says where its questions come from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from evals import suites
from evals.models import Suite
from portal.accounts.models import Project
from tests.evals.making import choice, make_suite, write_suite

pytestmark = pytest.mark.django_db

SOURCE = {
    "repo": "town/colours",
    "config": "de",
    "split": "test",
    "revision": "4f1c0de",
    "licence": "CC-BY-4.0",
    "url": "https://data.example/colours",
}


def test_it_keeps_the_source_as_the_file_states_it(project: Project) -> None:
    suite = make_suite(project, choice(source=SOURCE), choice("other"))
    first, second = suite.benchmarks.all()
    assert first.source == SOURCE and second.source == {}


def test_another_source_is_another_version(project: Project, tmp_path: Path) -> None:
    suites.load(project, write_suite(tmp_path, [choice(source=SOURCE)]))
    write_suite(tmp_path, [choice(source=SOURCE | {"revision": "0ther"})])
    with pytest.raises(suites.SuiteInvalid, match="higher version"):
        suites.load(project, tmp_path)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("town/colours", "benchmarks[0].source is not a mapping"),
        (None, "benchmarks[0].source is not a mapping"),
        ({"author": "x"}, "benchmarks[0].source has a field 'author'; write only repo, config"),
        ({"revision": 1}, "benchmarks[0].source.revision is '1'; write text in quotes"),
        ({"repo": " "}, "benchmarks[0].source.repo is ' '"),
        ({"repo": "x" * 301}, "benchmarks[0].source.repo has 301 characters"),
        ({"url": "javascript:alert(1)"}, "benchmarks[0].source.url is 'javascript:alert(1)'"),
    ],
)
def test_it_names_what_is_wrong_with_a_source(
    project: Project, tmp_path: Path, source: Any, words: str
) -> None:
    with pytest.raises(suites.SuiteInvalid) as refused:
        suites.load(project, write_suite(tmp_path, [choice(source=source)]))
    assert words in str(refused.value) and not Suite.objects.exists()


def test_the_page_shows_where_the_questions_come_from(as_erik: Client, project: Project) -> None:
    benchmark = make_suite(project, choice(source=SOURCE)).benchmarks.get()
    page = as_erik.get(reverse("evals:benchmark", args=[benchmark.pk])).content.decode()
    assert all(value in page for value in SOURCE.values())
    assert 'href="https://data.example/colours"' in page
