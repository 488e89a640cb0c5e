from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.stats.spans import Span, micro_f1, spans

TAGS = st.lists(st.sampled_from(["O", "B-PER", "I-PER", "B-LOC", "I-LOC", "B-MISC"]), max_size=12)


def test_it_reads_entities_out_of_tags():
    tags = ["B-PER", "I-PER", "O", "B-LOC", "B-LOC", "I-PER"]

    assert spans(tags) == {
        Span("per", 0, 2),
        Span("loc", 3, 4),
        Span("loc", 4, 5),
        Span("per", 5, 6),
    }


@given(TAGS)
def test_it_never_lets_entities_overlap(tags):
    found = sorted(spans(tags), key=lambda span: span.start)

    assert sum(span.end - span.start for span in found) == sum(tag != "O" for tag in tags)
    assert all(one.end <= other.start for one, other in pairwise(found))


@given(TAGS)
def test_it_scores_the_right_answer_as_one(tags):
    assert micro_f1([(spans(tags), spans(tags))]) == 1


def test_it_counts_an_entity_only_with_type_and_both_ends():
    right = {Span("per", 0, 2), Span("loc", 3, 4)}

    assert micro_f1([(right, {Span("per", 0, 1), Span("loc", 3, 4)})]) == pytest.approx(0.5)
    assert micro_f1([(right, {Span("org", 0, 2)})]) == 0


def test_it_leaves_one_type_out_on_both_sides():
    right, answered = {Span("per", 0, 2), Span("misc", 3, 4)}, {Span("per", 0, 2)}

    assert micro_f1([(right, answered)]) == pytest.approx(2 / 3)
    assert micro_f1([(right, answered)], without="misc") == 1
