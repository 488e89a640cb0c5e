"""Every language's words: complete, unambiguous, and rendered without a trace of a template."""

from __future__ import annotations

import copy
import json

import pytest
import yaml

from evals.styles import answers, prompts, templates
from evals.styles.tasks import TASKS

EUROPEAN = {"da", "de", "en", "es", "fi", "fr", "it", "nb", "nl", "pl", "sv"}

ROWS = {
    "sentiment": {"text": "A {text} with braces.", "answer": 2},
    "acceptability": {"text": "It is so.", "answer": 1},
    "entities": {"tokens": ["Ada", "came", "."], "tags": ["B-PER", "O", "O"]},
    "reading": {"text": "It rains.", "question": "What falls?", "answers": ["rain"]},
    "summary": {"text": "A long text.", "summary": "A short one."},
    "knowledge": {"question": "Which?", "choices": ["this", "that"], "answer": 0},
    "commonsense": {"context": "He ran,", "choices": ["on.", "off."], "answer": 1},
}


@pytest.mark.parametrize("code", templates.languages())
def test_it_has_every_task_in_every_language(code):
    assert list(templates.language(code).templates) == list(TASKS)


def test_it_speaks_eleven_languages():
    assert set(templates.languages()) >= EUROPEAN


def test_no_language_borrows_the_sentences_of_another():
    said = {}
    for code in templates.languages():
        for task, template in templates.language(code).templates.items():
            for text in (template.prefix, template.instruct):
                assert said.setdefault(text, code) == code, f"{code} has {task} from {said[text]}"


@pytest.mark.parametrize("task", [task for task in TASKS if TASKS[task].labels])
@pytest.mark.parametrize("code", templates.languages())
def test_its_words_are_read_back_as_themselves(code, task):
    words = list(templates.template(code, task).labels.values())
    if task == "entities":
        said = json.dumps({word: [word] for word in words}, ensure_ascii=False)
        labels = templates.template(code, task).labels
        assert answers.names(said, labels) == {kind: [word] for kind, word in labels.items()}
    else:
        for place, word in enumerate(words):
            for said in (word, f"{word.capitalize()}.", f"{word}, {words[place - 1]}"):
                assert answers.label(said, words) == place


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("code", templates.languages())
def test_it_renders_a_text_that_ends_where_the_answer_goes(code, task):
    language, template = templates.language(code), templates.template(code, task)
    asked = prompts.item(task, template, ROWS[task])
    text = prompts.base(language, template, [asked], asked)
    _heading, shot, question = text.split("\n\n")
    assert shot == f"{question} {asked.right}"
    assert not question.endswith(" ")
    for value in asked.values.values():
        assert value in question
    left = text.replace(ROWS["sentiment"]["text"], "")
    assert not templates.PLACEHOLDER.search(left), "a placeholder was left"


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("code", templates.languages())
def test_it_shows_examples_as_turns_of_a_conversation(code, task):
    language, template = templates.language(code), templates.template(code, task)
    asked = prompts.item(task, template, ROWS[task])
    said = prompts.turns(language, template, [asked], asked)
    assert [each["role"] for each in said] == ["user", "assistant", "user"]
    assert said[0] == said[2]
    assert said[1]["content"] == asked.right
    for word in asked.words or template.labels.values():
        assert f"'{word}'" in said[2]["content"], "the model is not told its labels"


def test_it_lists_the_options_with_their_letters():
    template = templates.template("en", "knowledge")
    asked = prompts.item("knowledge", template, ROWS["knowledge"])
    said = prompts.turns(templates.language("en"), template, [], asked)[0]["content"]
    assert said.startswith("Question: Which?\na. this\nb. that\n\n")
    assert said.endswith("Answer with 'a' or 'b' only.")


def test_it_shows_names_by_the_words_of_the_language():
    template = templates.template("de", "entities")
    asked = prompts.item("entities", template, ROWS["entities"])
    assert asked.right == '{"person": ["Ada"], "ort": [], "organisation": [], "sonstiges": []}'


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t["sentiment"].pop("prefix"), "tasks.sentiment.prefix is missing."),
        (lambda t: t["sentiment"].update(base="{text}"), "base must end in {answer}"),
        (lambda t: t["reading"].update(instruct="{text}"), "instruct lacks {question}."),
        (lambda t: t["reading"].update(prefix="{text}"), "prefix may not hold {text}."),
        (lambda t: t["sentiment"]["labels"].pop("neutral"), "labels must name positive"),
        (lambda t: t["acceptability"]["labels"].update(correct=True), "quote those that YAML"),
        (lambda t: t["acceptability"]["labels"].update(correct="ne"), "begins another label"),
        (lambda t: t.update(haiku={}), "tasks.haiku is no task"),
    ],
)
def test_it_says_what_is_wrong_with_a_file(change, said):
    entry = yaml.safe_load((templates.FOLDER / "de.yaml").read_text(encoding="utf-8"))
    broken = copy.deepcopy(entry)
    change(broken["tasks"])
    assert any(said in fault for fault in templates.faults(broken, "de"))


def test_it_names_the_languages_there_are():
    with pytest.raises(templates.TemplateInvalid, match=r"'xx', only for .*de, .*en"):
        templates.language("xx")


@pytest.mark.parametrize(
    ("task", "change", "said"),
    [
        ("sentiment", {"answer": 3}, "answer is 3; write a whole number from 0 to 2"),
        ("sentiment", {"answer": True}, "answer is True"),
        ("entities", {"tags": ["O"]}, "tags has 1 entries for 3 tokens"),
        ("entities", {"tags": ["B-DOG", "O", "O"]}, "tags holds 'b-dog'"),
        ("knowledge", {"choices": ["one"]}, "choices must be a list of 2 to 15 texts"),
        ("summary", {"summary": " "}, "summary must be a text"),
    ],
)
def test_it_says_what_is_wrong_with_a_row(task, change, said):
    with pytest.raises(prompts.RowInvalid, match=said):
        prompts.item(task, templates.template("en", task), ROWS[task] | change)
