"""A suite is data: nothing in it runs code, reads files, or takes the worker for ever."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from evals import suites
from evals.engines import BenchmarkSpec, TaskInvalid, _bounds, lm_eval
from evals.models import Suite
from portal.accounts.models import Project
from tests.evals.making import answer, answer_rows, choice, choice_rows, write_suite


def spec(made: dict, **task: object) -> BenchmarkSpec:
    rows = made["rows"]
    return BenchmarkSpec(
        name=made["name"], scoring=made["scoring"], metric=made["metric"], rows=rows,
        task=made["task"] | task, options=made["options"],
    )  # fmt: skip


CODE = [
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ question.__init__.__globals__ }}",
    "{{ self._TemplateReference__context }}{{ self.__init__.__globals__.__builtins__ }}",
    "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
    "{{ lipsum.__globals__['os'].popen('id').read() }}",
    "{{ ''|attr('__class__') }}",
    "{% include '/etc/passwd' %}",
    "{% import 'os' as os %}{{ os }}",
    "{% extends '/etc/passwd' %}",
    "{{ get_flashed_messages.__globals__ }}",
    "{{ ''['__class__'] }}",
    "{{ '{0.__class__}'.format(question) }}",
]
ENDLESS = [
    "{% for i in range(10**9) %}x{% endfor %}",
    "{% for i in range(1000000000) %}x{% endfor %}",
    "{% for a in range(999) %}{% for b in range(999) %}{% for c in range(999) %}{% endfor %}"
    "{% endfor %}{% endfor %}",
    "{{ 'x' * 10000000000 }}",
    "{{ ('x' * 100000) * 100000 }}",
    "{{ [1] * 10000000000 }}",
    "{{ 10 ** 10 ** 10 }}",
    "{{ '%9999999999d' % 1 }}",
    "{{ 'x'.center(9999999999) }}",
    "{{ 'x'.ljust(9999999999) }}",
    "{{ '{:9999999999}'.format('x') }}",
    "{{ 'x'|center(9999999999) }}",
    "{{ 'x\ny'|indent(9999999999) }}",
    "{{ lipsum(n=100000000) }}",
    "{% macro f(n) %}{{ f(n) }}{{ f(n) }}{% endmacro %}{{ f(1) }}",
    "{% for x in [[[]]] recursive %}{{ loop(x) }}{{ loop(x) }}{% endfor %}",
    "{% set a = 'x' * 1000 %}" + "{% set a = a ~ a %}" * 60,
    "{% set n = namespace(a='xx') %}{% for i in range(100) %}{% set n.a = n.a + n.a %}{% endfor %}",
    "{{ question|regex_replace('(x+)+y', '') }}",
    "{{ question|regex_replace(question, '') }}",
]


@pytest.mark.parametrize("template", [*CODE, *ENDLESS])
@pytest.mark.parametrize("field", ["doc_to_text", "doc_to_target", "description"])
def test_no_template_runs_code_or_goes_on_for_ever(template: str, field: str) -> None:
    hostile = spec(answer(rows=answer_rows(2)), **{field: template + "{{question}}"})
    lm_eval.prepare(spec(answer(rows=answer_rows(2))))  # imports lm-eval
    began = time.monotonic()
    with pytest.raises(TaskInvalid):
        lm_eval.ENGINE.validate(hostile)
        lm_eval.prepare(hostile)
    assert time.monotonic() - began < 10


def first_prompt(given: BenchmarkSpec) -> str:
    document = next(iter(lm_eval.prepare(given).documents()))
    prompt: str = document.requests[0].args[0]
    return prompt


def test_templates_that_teams_write_go_on_working() -> None:
    text = (
        "{% set letters = ['A', 'B', 'C', 'D'] %}{{ question.strip() }}\n"
        "{% for choice in choices %}{{ letters[loop.index0] }}. {{ choice }}\n{% endfor %}"
        "{% for i in range(3) %}{{ i + 1 }} {% endfor %}{{ '-' * 10 }} {{ 7 * 7 }} {{ 7 % 4 }}"
        "{{ question|regex_replace('[0-9]+', 'n')|upper }}\nAnswer:"
    )
    asked = first_prompt(spec(choice(rows=choice_rows(2)), doc_to_text=text))
    assert "A. " in asked and "D. " in asked and "1 2 3 ---------- 49 3" in asked


def test_what_stands_in_a_question_is_not_a_template() -> None:
    rows = [{"question": "{{7*7}} {% for i in range(9) %}", "target": "{{7*7}}"}] * 2
    asked = first_prompt(spec(answer(rows=rows, options={"num_fewshot": 0})))
    assert "{{7*7}} {% for i in range(9) %}" in asked


SLOW = [
    "(a+)+$",
    "(a*)*b",
    "(a|a)*b",
    "(a|ab)*c",
    r"(\w+\s?)*$",
    "((x{1,5000})+)y",
    "(.*)*",
    "(?:a+){2,}",
    "(?=(a+)+b)c",
    ".*.*.*.*x",
    "(",
    "[",
    "(?P<x>",
    "a" * 10 + "{99999999999}",
]


@pytest.mark.parametrize("pattern", SLOW)
def test_patterns_that_could_take_years_are_refused(pattern: str) -> None:
    for task in (
        {"filter_list": [{"name": "x", "filter": [
            {"function": "regex", "regex_pattern": pattern}, {"function": "take_first"}]}]},
        {"metric_list": [{"metric": "exact_match", "aggregation": "mean",
                          "higher_is_better": True, "regexes_to_ignore": ["ok", pattern]}]},
    ):  # fmt: skip
        with pytest.raises(TaskInvalid, match=r"pattern|repeats|read"):
            lm_eval.ENGINE.validate(spec(answer(), **task))


@pytest.mark.parametrize(
    "pattern",
    [
        r"\b(A|B|C|D)\b",
        r"#### (\-?[0-9\.\,]+)",
        r"(?i)answer\s*:\s*(.+)",
        r"^\s*([A-E])",
        r"[0-9]{1,3}",
        r"(?i)\b(ja|nein)\b",
        r"(?:the|a) (\w+)",
    ],
)
def test_ordinary_patterns_are_taken(pattern: str) -> None:
    assert _bounds.endless_pattern(pattern) is None


@pytest.mark.parametrize("shots", ["5", -1, 10**9, 1.5, None, [1]])
def test_the_number_of_examples_is_a_number(shots: object) -> None:
    made = spec(answer())
    made.options["num_fewshot"] = shots
    with pytest.raises(TaskInvalid, match="num_fewshot"):
        lm_eval.ENGINE.validate(made)


def test_every_suite_that_ships_is_within_the_bounds() -> None:
    import yaml

    for entry in suites.shipped():
        for item in yaml.safe_load(entry.path.read_text(encoding="utf-8"))["benchmarks"]:
            assert list(_bounds.faults(item["task"])) == [], (entry.slug, item["name"])


BILLIONS = "x0: &a [1]\n" + "".join(
    f"x{n + 1}: &{chr(98 + n)} [{f'*{chr(97 + n)}, ' * 10}]\n" for n in range(9)
)


@pytest.mark.django_db
@pytest.mark.parametrize("line", [
    "description: !!python/object/apply:os.system ['touch /tmp/owned']",
    "description: !!python/object/new:subprocess.Popen [['id']]",
    "description: !!python/name:os.system",
    "description: !function utils.steal",
    "description: !include /etc/passwd",
    "description: " + "[" * 5000,
    "description: &a [*a]",
    BILLIONS,
])  # fmt: skip
def test_yaml_makes_no_objects(line: str, project: Project, tmp_path: Path) -> None:
    folder = write_suite(tmp_path, [answer()])
    path = folder / "suite.yaml"
    path.write_text(path.read_text(encoding="utf-8") + line + "\n", encoding="utf-8")
    with pytest.raises(suites.SuiteInvalid):
        suites.load(project, folder)
    assert not Suite.objects.exists()
    assert not Path("/tmp/owned").exists()


@pytest.mark.django_db
@pytest.mark.parametrize(
    "name",
    ["../suite.yaml", "/etc/passwd", "..", "a/../../x", "x\\..\\..\\y", "\x00", "C:x", "./x", ""],
)
def test_question_files_lie_beside_the_suite(name: str, project: Project, tmp_path: Path) -> None:
    folder = write_suite(tmp_path, [answer()])
    path = folder / "suite.yaml"
    text = path.read_text(encoding="utf-8")
    import json

    path.write_text(text.replace("questions: words.jsonl", f"questions: {json.dumps(name)}"))
    with pytest.raises(suites.SuiteInvalid):
        suites.load(project, folder)


@pytest.mark.django_db
@pytest.mark.parametrize("line", ["[" * 100_000, '{"a":' * 100_000, "1" * 5000, "\ud800", "null"])
def test_questions_of_any_depth_are_refused_in_words(
    line: str, project: Project, tmp_path: Path
) -> None:
    folder = write_suite(tmp_path, [answer()])
    (folder / "words.jsonl").write_bytes(line.encode("utf-8", "surrogatepass"))
    with pytest.raises(suites.SuiteInvalid):
        suites.load(project, folder)
