"""A model's results as the head of its card, read with the hub's own classes."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from evals.models import Candidate, Score
from portal.accounts.models import Project
from tests.evals.making import make_candidate, make_run, make_suite

pytestmark = pytest.mark.django_db
COLOURS = [1.0, 0.0, 1.0, 1.0]


@pytest.fixture
def candidate(project: Project) -> Candidate:
    return make_candidate(project, "Alder: 7B – “größer”")


def card(client: Client, candidate: Candidate) -> str:
    return client.get(reverse("evals:candidate_card", args=[candidate.pk])).content.decode()


def test_the_hub_reads_each_result_with_every_digit(
    as_erik: Client, candidate: Candidate, project: Project
) -> None:
    from huggingface_hub import ModelCard

    run = make_run(candidate, make_suite(project), {"colours": COLOURS, "words": [1.0, 0.0, 1.0]})
    data = ModelCard(card(as_erik, candidate), ignore_metadata_errors=False).data
    assert data.model_name == candidate.name
    found = {each.dataset_name: each for each in data.eval_results}
    assert len(found) == 2
    score = run.parts.get(benchmark__name="words").scores.first()
    words = found[score.part.benchmark.title]
    assert (words.metric_type, words.metric_value) == (score.metric, score.value)
    assert (words.metric_args["low"], words.metric_args["high"]) == (score.low, score.high)
    assert words.dataset_args["sha256"] == score.part.benchmark.questions.sha256


def test_what_is_not_valid_or_of_an_older_endpoint_is_left_out(
    as_erik: Client, candidate: Candidate, project: Project
) -> None:
    run = make_run(candidate, make_suite(project), {"colours": COLOURS, "words": [1.0, 0.0]})
    Score.objects.filter(part__benchmark__name="colours").update(valid=False)
    assert "/words" in card(as_erik, candidate) and "/colours" not in card(as_erik, candidate)
    type(run).objects.update(endpoint_revision=9)
    assert "results: []" in card(as_erik, candidate)
