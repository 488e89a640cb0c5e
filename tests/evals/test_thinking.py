"""Thinking is left out before an answer is scored, kept with the sample and counted."""

from __future__ import annotations

import pytest
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from evals import runs
from evals.llm import thinking
from evals.models import Sample
from portal.accounts.models import Project
from tests.evals.engines.specs import outcomes, spec_of
from tests.evals.making import answer, answer_rows, carry_out, make_candidate, make_suite
from tests.evals.stub_server import StubServer

TEXTS = st.text().filter(lambda text: thinking.CLOSED not in text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Berlin", ("Berlin", "", False)),
        (" Berlin\n", (" Berlin\n", "", False)),
        ("<think>\nA city.\n</think>\n\nBerlin", ("Berlin", "A city.", False)),
        ("A city.\n</think>\nBerlin", ("Berlin", "A city.", False)),
        ("<think>\nA city, a", ("", "A city, a", True)),
        ("Say <think> aloud", ("Say <think> aloud", "", False)),
        ("<think></think>Berlin", ("Berlin", "", False)),
    ],
)
def test_it_splits_thinking_from_the_answer(text: str, expected: tuple[str, str, bool]) -> None:
    assert thinking.split(text) == expected


@given(TEXTS.filter(str.strip), TEXTS.filter(str.strip))
def test_what_a_server_gives_apart_is_split_again(reasoning: str, said: str) -> None:
    found = thinking.split(thinking.joined(said, reasoning, "stop"))
    assert found == (said.lstrip(), reasoning.strip(), False)


@given(st.text())
def test_text_without_marks_is_never_touched(text: str) -> None:
    if thinking.OPENED not in text and thinking.CLOSED not in text:
        assert thinking.split(thinking.joined(text, "", "length")) == (text, "", False)


@pytest.mark.parametrize("apart", [True, False], ids=["reasoning_content", "inline"])
async def test_only_the_answer_is_scored(stub: StubServer, apart: bool) -> None:
    inline = "<think>A tree?\nYes.</think>\n\ntree"
    stub.reset(**({"say": "tree", "think": "A tree?\nYes."} if apart else {"say": inline}))
    found = await outcomes(stub, spec_of(answer(rows=answer_rows(3))))
    for outcome in found.values():
        assert (outcome.answer, outcome.value) == ("tree", 1.0)
        assert outcome.metrics["thinking"] == 1.0
        assert outcome.metrics["thinking_cut"] == 0.0
        assert thinking.split(outcome.raw).thinking == "A tree?\nYes."


@pytest.mark.django_db(transaction=True)
def test_the_run_says_in_how_many_answers_thinking_was_cut_off(
    project: Project, as_erik: Client, stub: StubServer
) -> None:
    stub.reset(say="<think>A tree? Or is it")
    candidate = make_candidate(project, "Thinker", stub.base_url)
    run = carry_out(runs.start(candidate, make_suite(project, answer(rows=answer_rows(5)))))
    assert run.software["thinking rule"] == str(thinking.RULE)
    (part,) = run.parts.all()
    assert part.scores.get(metric="exact_match").value == 0.0
    cut = part.scores.get(metric="thinking_cut")
    assert (cut.value, cut.answered) == (1.0, 5)
    page = as_erik.get(run.get_absolute_url()).content.decode()
    assert "Thinking cut off" in page
    assert "of 5 answers with thinking" in page
    sample = Sample.objects.first()
    assert sample is not None
    page = as_erik.get(sample.get_absolute_url()).content.decode()
    assert "A tree? Or is it</pre>" in page
    assert "cut off" in page
