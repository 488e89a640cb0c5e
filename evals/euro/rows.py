"""Rows of the data sets on the hub, made alike: question, choices, answer (an index).

Written beside the task files as ``utils.py``; it imports nothing of the portal.
"""

import re


def _arc(row):
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


def _rows(convert):
    def process(dataset):
        return dataset.map(convert, remove_columns=dataset.column_names)

    return process


arc, mmlu, belebele = _rows(_arc), _rows(_mmlu), _rows(_belebele)
hellaswag, leolm_arc, arc_clean = _rows(_hellaswag), _rows(_leolm_arc), _rows(_arc_clean)
