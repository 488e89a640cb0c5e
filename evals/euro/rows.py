"""Rows of the data sets on the hub, made alike: question, choices, answer (an index).

Written beside the task files as ``utils.py``; it imports nothing of the portal.
"""

import math
import re
from functools import cache


def _arc(row):
    if "choices" in row:  # the English original
        return {
            "question": row["question"],
            "choices": list(row["choices"]["text"]),
            "answer": list(row["choices"]["label"]).index(row["answerKey"]),
        }
    options = [row.get(f"option_{letter}") for letter in "abcde"]
    choices = [option for option in options if option]
    return {
        "question": row["instruction"],
        "choices": choices,
        "answer": "ABCDE".index(row["answer"]),
    }


def _mmlu(row):
    return {
        "question": row["instruction"].strip(),
        "choices": [row[f"option_{letter}"] for letter in "abcd"],
        "answer": "ABCD".index(row["answer"]),
    }


def _belebele(row):
    return {
        "text": row["flores_passage"],
        "question": row["question"].strip(),
        "choices": [row[f"mc_answer{number}"] for number in (1, 2, 3, 4)],
        "answer": int(row["correct_answer_num"]) - 1,
    }


def _clean(text):
    """Without the marks of WikiHow, from which half of the rows come."""
    text = re.sub(r"\[.*?\]", "", text.strip().replace(" [title]", ". "))
    return text.replace("  ", " ")


def _hellaswag(row):
    start = f"{row['activity_label']}: {row['ctx_a']} {row['ctx_b'].capitalize()}"
    return {
        "question": _clean(start),
        "choices": [_clean(ending) for ending in row["endings"]],
        "answer": int(row["label"]),
    }


def _arc_clean(row):
    """As lm-eval has it: questions and choices cleaned like those of HellaSwag."""
    found = _arc(row)
    choices = [_clean(choice) for choice in found["choices"]]
    return {**found, "question": _clean(found["question"]), "choices": choices}


def _leolm_arc(row):
    choices = row["choices_de"]
    return {
        "question": row["question_de"],
        "choices": list(choices["text"]),
        "answer": list(choices["label"]).index(row["answerKey"]),
    }


@cache
def _primer():
    """Six English questions and answers before each question, out of lm-eval's own files."""
    from lm_eval.tasks.okapi.truthfulqa_multilingual.utils import QA_PROMPT

    return QA_PROMPT


def _truthfulqa(row, kind):
    """``labels`` tells for each choice whether it is true."""
    nested = row.get(f"{kind}_targets")  # the English original
    choices = nested["choices"] if nested else row[f"{kind}_targets_choices"]
    labels = [int(label) for label in (nested or {}).get("labels", ())]
    labels = labels or [int(label) for label in row[f"{kind}_targets_labels"]]
    # The translations have marks like those of WikiHow taken out by lm-eval; the original not.
    question = row["question"] if nested else _clean(row["question"])
    return {
        "question": question,
        "choices": list(choices),
        "answer": labels.index(1),
        "labels": labels,
        "primer": _primer(),
    }


def _truthfulqa_mc1(row):
    return _truthfulqa(row, "mc1")


def _truthfulqa_mc2(row):
    return _truthfulqa(row, "mc2")


def _bare(convert):
    """Without the primer."""

    def converted(row):
        found = convert(row)
        return {name: value for name, value in found.items() if name != "primer"}

    return converted


def _rows(convert):
    def process(dataset):
        return dataset.map(convert, remove_columns=dataset.column_names)

    return process


arc, mmlu, belebele = _rows(_arc), _rows(_mmlu), _rows(_belebele)
hellaswag, leolm_arc, arc_clean = _rows(_hellaswag), _rows(_leolm_arc), _rows(_arc_clean)
truthfulqa_mc1, truthfulqa_mc2 = _rows(_truthfulqa_mc1), _rows(_truthfulqa_mc2)
truthfulqa_mc1_bare = _rows(_bare(_truthfulqa_mc1))
truthfulqa_mc2_bare = _rows(_bare(_truthfulqa_mc2))


def true_mass(loglikelihoods, labels):
    """The share of the true answers in the probability of all answers, 0 to 1.

    Relative to the most likely answer, so that long answers do not all become 0.
    """
    top = max(loglikelihoods)
    weights = [math.exp(value - top) if value > top - 700 else 0.0 for value in loglikelihoods]
    true = [weight for weight, label in zip(weights, labels, strict=True) if label]
    return sum(true) / sum(weights)


def _scored(doc, results, metric, letters):
    """lm-eval's accuracies, and as ``score`` the one that counts: groups need one name."""
    logs = [float(log) for log, _ in results]
    lengths = [1 if letters else len(choice) for choice in doc["choices"]]
    best = max(range(len(logs)), key=logs.__getitem__)
    norms = [log / length for log, length in zip(logs, lengths, strict=True)]
    best_norm = max(range(len(norms)), key=norms.__getitem__)
    found = {"acc": float(best == doc["answer"]), "acc_norm": float(best_norm == doc["answer"])}
    return {**found, "score": found[metric]}


def results_acc(doc, results):
    return _scored(doc, results, "acc", letters=False)


def results_acc_norm(doc, results):
    return _scored(doc, results, "acc_norm", letters=False)


def results_letters(doc, results):
    return _scored(doc, results, "acc", letters=True)


def results_mc2(doc, results):
    mass = true_mass([float(log) for log, _ in results], doc["labels"])
    return {"mc2": mass, "score": mass}
