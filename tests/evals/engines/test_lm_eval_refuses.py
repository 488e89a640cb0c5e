"""What the engine lm_eval refuses, before anything is asked, naming field and way out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from evals.engines import ENGINES, BenchmarkSpec, TaskInvalid
from evals.engines.lm_eval import prepare
from tests.evals.engines.specs import spec_of
from tests.evals.making import answer, choice, choice_rows

ENGINE = ENGINES["lm_eval"]


def refusal(spec: BenchmarkSpec) -> str:
    with pytest.raises(TaskInvalid) as caught:
        ENGINE.validate(spec)
    assert spec.name in str(caught.value)
    return str(caught.value)


def metric(name: str, **more: Any) -> list[dict[str, Any]]:
    return [{"metric": name, "aggregation": "mean", "higher_is_better": True, **more}]


def test_it_accepts_both_ways_of_asking() -> None:
    ENGINE.validate(spec_of(choice()))
    ENGINE.validate(spec_of(answer()))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("dataset_path", "someone/data"),
        ("dataset_name", "de"),
        ("dataset_kwargs", {"data_files": "/etc/passwd"}),
        ("custom_dataset", "x"),
        ("unsafe_code", True),
        ("include", "other.yaml"),
        ("task", "arc_easy"),
        ("group", "g"),
        ("use_prompt", "/etc/prompts.yaml:first"),
        ("process_docs", "x"),
        ("process_results", "x"),
        ("doc_to_image", "x"),
        ("repeats", 3),
        ("training_split", "train"),
        ("num_fewshot", 3),
        ("doc_to_txet", "a slip of the pen"),
    ],
)
def test_it_refuses_fields_that_reach_beyond_the_suite(field: str, value: Any) -> None:
    assert field in refusal(spec_of(choice(), **{field: value}))


@pytest.mark.parametrize(
    ("place", "task"),
    [
        ("task.doc_to_text", {"doc_to_text": "!function utils.text"}),
        ("task.fewshot_config.samples", {"fewshot_config": {"samples": "!function utils.more"}}),
        ("task.metric_list[0].metric", {"metric_list": [{"metric": "!function utils.m"}]}),
    ],
)
def test_it_refuses_code_wherever_it_hides(place: str, task: dict[str, Any]) -> None:
    text = refusal(spec_of(choice(), **task))
    assert f"{place} " in text and "!function" in text


def test_it_refuses_an_output_type_that_does_not_fit_the_scoring() -> None:
    text = refusal(spec_of(choice(), output_type="generate_until"))
    assert "output_type" in text and "multiple_choice" in text
    assert "output_type" in refusal(spec_of(choice(scoring="letters")))


def test_it_refuses_a_primary_metric_that_is_not_computed() -> None:
    assert "metric_list" in refusal(spec_of(choice(metric="f1")))
    assert "metric_list" in refusal(spec_of(choice(), metric_list=None))


@pytest.mark.parametrize("name", ["f1", "mcc", "brier_score", "likelihood", "acc_mutual_info"])
def test_it_refuses_metrics_without_a_number_for_each_sample(name: str) -> None:
    # Without an "aggregation" lm-eval would take the metric's own, which may not be the mean.
    text = refusal(spec_of(choice(metric=name), metric_list=[{"metric": name}]))
    assert name in text and "acc_norm" in text


def test_it_refuses_metrics_loaded_from_elsewhere(tmp_path: Path) -> None:
    path = str(tmp_path)
    assert path in refusal(spec_of(choice(), metric_list=[*metric("acc"), *metric(path)]))
    assert "exact_match" in refusal(
        spec_of(answer(), metric_list=metric("exact_match", hf_evaluate=True))
    )


def test_it_refuses_an_aggregation_other_than_the_mean() -> None:
    assert "median" in refusal(
        spec_of(choice(), metric_list=[{"metric": "acc", "aggregation": "median"}])
    )


def test_it_refuses_an_empty_question_file() -> None:
    assert "empty" in refusal(spec_of(choice(rows=[])))


def test_it_refuses_settings_of_the_generation_that_would_be_ignored() -> None:
    text = refusal(spec_of(answer(), generation_kwargs={"until": ["\n"], "top_p": 0.5}))
    assert "generation_kwargs" in text and "top_p" in text


def test_it_refuses_a_chat_template_for_log_likelihoods() -> None:
    assert "options.chat" in refusal(spec_of(choice(options={"chat": True})))


ESCAPES = [
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ cycler.__init__.__globals__.os.popen('touch PLACE').read() }}",
    "{{ self.__init__.__globals__.__builtins__.__import__('os').system('touch PLACE') }}",
    "{{ question.__class__.__base__ }}",
    "{% for x in ().__class__.__base__.__subclasses__() %}{{ x }}{% endfor %}",
]


@pytest.mark.parametrize("template", ESCAPES)
@pytest.mark.parametrize("field", ["doc_to_text", "doc_to_target", "doc_to_choice", "description"])
def test_it_lets_no_template_out_of_the_sandbox(template: str, field: str, tmp_path: Path) -> None:
    place = tmp_path / "escaped"
    spec = spec_of(choice(), **{field: template.replace("PLACE", str(place))})
    try:
        first = next(prepare(spec).documents())
    except TaskInvalid as refused:
        assert spec.name in str(refused)
    else:  # never rendered, or rendered to nothing
        prompt = first.requests[0].args[0]
        assert "<class" not in prompt
    assert not place.exists()


def test_it_refuses_a_template_that_does_not_fit_the_rows() -> None:
    with pytest.raises(TaskInvalid, match=r"colours.*'questoin' is undefined"):
        prepare(spec_of(choice(), doc_to_text="{{questoin}}"))


@pytest.mark.parametrize("wrong", [4, -1, None])
def test_it_refuses_a_right_answer_that_is_not_offered(wrong: Any) -> None:
    rows = choice_rows(3)
    rows[2]["answer"] = wrong
    with pytest.raises(TaskInvalid, match="row 2: doc_to_target"):
        prepare(spec_of(choice(rows=rows)))


def test_it_refuses_several_right_answers() -> None:
    rows = [row | {"answer": [0, 1]} for row in choice_rows(3)]
    with pytest.raises(TaskInvalid, match="row 0: doc_to_target"):
        prepare(spec_of(choice(rows=rows)))


def test_it_refuses_an_empty_choice() -> None:
    rows = choice_rows(2)
    rows[1]["choices"][0] = ""
    with pytest.raises(TaskInvalid, match=r"row 1: .*empty"):
        prepare(spec_of(choice(rows=rows)))


def test_it_refuses_tasks_with_a_context_for_each_choice() -> None:
    rows = [
        {"right": 0, "choices": ["The cat sat", "The dog sat"], "rest": "on the mat."}
        for _ in range(2)
    ]
    task = {"doc_to_text": "right", "doc_to_choice": "{{choices}}", "doc_to_target": "rest"}
    with pytest.raises(TaskInvalid, match="doc_to_text"):
        prepare(spec_of(choice(rows=rows), **task))


def test_it_leaves_the_definition_as_it_was() -> None:
    spec = spec_of(answer(), generation_kwargs={"max_gen_toks": 4})
    prepare(spec)
    assert spec.task["generation_kwargs"] == {"max_gen_toks": 4}
