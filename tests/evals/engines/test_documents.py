"""Documents are read when they are needed, and are those that lm-eval would hold."""

from __future__ import annotations

import random
import weakref
from typing import Any

import pyarrow as pa
import pytest
from datasets import Dataset
from hypothesis import given
from hypothesis import strategies as st
from lm_eval.api.samplers import ContextSampler, FirstNSampler

from evals.engines import _documents, lm_eval
from evals.engines._documents import Drawn, First, Typed
from evals.engines.lm_eval import prepare
from tests.evals.engines.specs import outcomes, spec_of
from tests.evals.making import choice, choice_rows
from tests.evals.stub_server import StubServer

whole = st.integers(-(2**53), 2**53)
words = st.none() | st.text(max_size=4)
numbers = words | whole | st.floats(allow_nan=False)
truths = words | st.booleans()  # a field with both is refused, see Typed


def rows_of(plain: st.SearchStrategy[Any]) -> st.SearchStrategy[list[dict[str, Any]]]:
    values = st.recursive(
        plain,
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from("abc"), inner, min_size=1, max_size=3)
        ),
        max_leaves=5,
    )
    return st.lists(st.dictionaries(st.sampled_from("xyz"), values, min_size=1), min_size=1)


def from_list(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    names = dict.fromkeys(name for row in rows for name in row)
    return list(Dataset.from_list([{name: row.get(name) for name in names} for row in rows]))


@given(rows_of(numbers) | rows_of(truths))
def test_rows_have_the_types_that_a_data_set_of_all_of_them_has(rows):
    try:
        expected = from_list(rows)
    except Exception:  # no common type; what is raised then is pyarrow's own
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_documents, "AT_ONCE", 2)
        found = Typed(rows)
    assert list(found) == [found[place] for place in range(len(rows))] == expected
    assert list(map(list, found)) == list(map(list, expected))  # the order of the fields


@pytest.mark.parametrize(("one", "other"), [(1, "a"), (True, 1), ([1], ["a"]), ("a", {"b": 1})])
def test_rows_without_a_common_type_are_refused(one: Any, other: Any) -> None:
    many = [{"x": one}] * _documents.AT_ONCE + [{"x": other}]
    for make in (Typed, from_list):
        with pytest.raises((pa.ArrowException, TypeError)):
            make(many)


@given(st.integers(0, 2**31), st.integers(1, 4), st.integers(6, 30), st.integers(2, 30))
def test_examples_are_those_that_lm_eval_draws(seed, shots, count, different):
    rng = random.Random(seed)
    rows = [{"x": rng.randrange(different)} for _ in range(count)]
    theirs, ours = ContextSampler(rows), Drawn(Typed(rows))
    for sampler in (theirs, ours):
        sampler.set_rnd(seed)
    for row in rows:
        try:
            expected = theirs.sample(n=shots, eval_doc=row)
        except ValueError:  # too few rows that differ
            with pytest.raises(ValueError, match="arger"):
                ours.sample(n=shots, eval_doc=row)
            return
        assert ours.sample(n=shots, eval_doc=row) == expected


@given(st.integers(1, 5), st.lists(st.integers(0, 3), min_size=1, max_size=9))
def test_the_first_examples_are_those_that_lm_eval_takes(shots, numbers):
    rows = [{"x": number} for number in numbers]
    for row in rows:
        try:
            expected = FirstNSampler(rows).sample(shots, row)
        except AssertionError:
            with pytest.raises(ValueError, match="only"):
                First(Typed(rows)).sample(shots, row)
        else:
            assert First(Typed(rows)).sample(shots, row) == expected


@pytest.mark.parametrize("shots", [0, 3])
def test_what_is_skipped_does_not_change_the_prompts_of_the_rest(shots: int) -> None:
    made = prepare(spec_of(choice(rows=choice_rows(150), options={"num_fewshot": shots})))
    every = {document.doc_id: document.requests[0].args for document in made.documents()}
    skip = {*range(70), 80, 149}
    rest = {document.doc_id: document.requests[0].args for document in made.documents(skip)}
    assert list(every) == list(range(150))
    assert rest == {place: every[place] for place in range(150) if place not in skip}


async def test_no_more_documents_are_held_than_are_asked(
    stub: StubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    alive: list[weakref.ref[Any]] = []
    most = 0
    usual = lm_eval.build

    def build(*args: Any, **kwargs: Any) -> Any:
        nonlocal alive, most
        document = usual(*args, **kwargs)
        alive = [each for each in (*alive, weakref.ref(document.requests[0])) if each()]
        most = max(most, len(alive))
        return document

    monkeypatch.setattr(lm_eval, "build", build)
    found = await outcomes(stub, spec_of(choice(rows=choice_rows(120))), concurrency=4)
    assert len(found) == 120
    # The batch that is being stored, those asked, and the first one looked at.
    assert most <= 3 * 4
