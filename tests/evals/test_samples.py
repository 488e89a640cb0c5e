"""Lists of samples: what a filter finds, in which order, and what a page costs."""

from __future__ import annotations

import pytest
from django.core.paginator import Paginator
from django.db import connection
from django.test.utils import CaptureQueriesContext

from evals.models import Candidate, Part, Sample
from evals.samples import SampleList
from portal.accounts.models import Project
from tests.evals.making import answer, choice, make_candidate, make_run, make_suite
from workers.models import JobState

pytestmark = pytest.mark.django_db


@pytest.fixture
def candidate(project: Project) -> Candidate:
    return make_candidate(project)


def test_a_list_of_samples_pages_over_parts_in_their_order(
    candidate: Candidate, project: Project
) -> None:
    values = {"colours": [1.0, 0.0, None, 1.0], "words": [0.0, 0.0, 1.0, None, 1.0]}
    run = make_run(candidate, make_suite(project, choice(), answer()), values)

    def shown(kind: str, size: int = 2) -> list[tuple[str, int]]:
        pages = Paginator(SampleList(run.parts.select_related("benchmark"), kind), size)
        return [(s.part.benchmark.name, s.doc_id) for page in pages for s in page.object_list]

    every = [(name, doc) for name, mine in values.items() for doc in range(len(mine))]
    wrong = [("colours", 1), ("words", 0), ("words", 1)]
    for state in (JobState.DONE, JobState.RUNNING):  # from the row of the part, from the samples
        Part.objects.filter(run=run).update(state=state)
        assert shown("") == shown("", 7) == every
        assert shown("wrong") == wrong
        assert shown("correct") == [("colours", 0), ("colours", 3), *every[6:9:2]]
        assert shown("error") == [("colours", 2), ("words", 3)]


def test_a_part_that_stopped_half_way_shows_what_is_stored(
    candidate: Candidate, project: Project
) -> None:
    run = make_run(candidate, make_suite(project, choice()), {"colours": [1.0, 0.0, None] * 3})
    Sample.objects.exclude(doc_id__in=[2, 4, 7]).delete()
    Part.objects.update(state=JobState.CANCELLED, values=None, done=2, errors=1)
    found = run.parts.get()
    assert [sample.doc_id for sample in SampleList([found])[0:50]] == [2, 4, 7]
    assert [sample.doc_id for sample in SampleList([found], "wrong")[0:50]] == [4, 7]


@pytest.mark.parametrize("kind", ["", "wrong", "error"])
def test_a_page_of_samples_costs_the_same_however_many_there_are(
    candidate: Candidate, project: Project, kind: str
) -> None:
    def cost(samples: int, slug: str) -> int:
        values = [1.0, 0.0, None] * samples
        suite = make_suite(project, choice(), answer(), slug=slug)
        run = make_run(candidate, suite, {"colours": values, "words": values})
        parts = list(run.parts.select_related("benchmark"))
        with CaptureQueriesContext(connection) as counted:
            page = Paginator(SampleList(parts, kind), 2).get_page(2)
            assert len(page.object_list) == 2
        return len(counted)

    assert cost(3, "short") == cost(30, "long") <= 2
