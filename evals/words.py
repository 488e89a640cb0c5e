"""Words that stand as data, in English, and are shown in the reader's language."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.utils.formats import number_format
from django.utils.translation import (
    get_language_info,
    gettext,
    gettext_lazy,
    gettext_noop,
)

from evals.costs import Budget
from evals.sentences import Told

# Texts of the shipped suites (evals/data/suites). Those of other suites are shown as they are.
SHIPPED = frozenset(
    {
        gettext_noop("Demo suite"),
        gettext_noop("Multiple choice, as taught"),
        gettext_noop("Multiple choice, reworded"),
        gettext_noop("Short answer, as taught"),
        gettext_noop("Short answer, reworded"),
        gettext_noop(
            "What the two demo models were taught: capitals, colours, opposites, sums and days, "
            "in four languages. Once in the wordings of the training text, once in wordings the "
            "models never saw; once as a choice among four answers scored by log-likelihood, once "
            "as a short generated answer scored by exact match."
        ),
        gettext_noop("Starter suite"),
        gettext_noop("Starter suite, as chat"),
        gettext_noop("Knowledge"),
        gettext_noop("Reading comprehension"),
        gettext_noop("Sentiment"),
        gettext_noop("Linguistic acceptability"),
        gettext_noop("Common-sense completion"),
        gettext_noop("EuroEval-style suite"),
        gettext_noop("EuroEval-style suite, as chat"),
        gettext_noop("Named entities"),
        gettext_noop("Answers from a text"),
        gettext_noop("Summarising"),
        gettext_noop(
            "Seven abilities asked and scored as EuroEval does, with questions written for this "
            "portal. Scores are not comparable with EuroEval's own boards, and with twenty to "
            "thirty questions a column differences of many points are noise."
        ),
        gettext_noop(
            "Five abilities in ten European languages, written for this portal. Good enough to "
            "tell models of 1 to 70 billion parameters apart coarsely; not meant for more: with "
            "about thirty questions a column, differences of a few points are noise."
        ),
    }
)

# How ranks are corrected for the number of pairs (evals.stats.ranks).
CORRECTIONS = {
    "holm": gettext_lazy("Holm (default)"),
    "bh": gettext_lazy("Benjamini–Hochberg"),
}

# What became of a model's score after its serving changed (evals.stats.margins).
VERDICTS = {
    "worse": gettext_lazy("worse"),
    "not_worse": gettext_lazy("not worse by more than the margin"),
    "unsure": gettext_lazy("cannot tell"),
}

# Codes that rows hold: capabilities, kinds of errors, sides of an exchange, methods.
CODES = {
    "chat": gettext_lazy("Chat"),
    "completions": gettext_lazy("Completions"),
    "loglikelihood": gettext_lazy("Log-probabilities of a given text"),
    "top_logprobs": gettext_lazy("Most likely first tokens"),
    "chat_top_logprobs": gettext_lazy("Most likely first tokens of a chat answer"),
    "refused by policy": gettext_lazy("refused by policy"),
    "connection": gettext_lazy("connection"),
    "timeout": gettext_lazy("time-out"),
    "rate limited": gettext_lazy("overload"),
    "server error": gettext_lazy("server error"),
    "bad request": gettext_lazy("bad request"),
    "not found": gettext_lazy("not found"),
    "unauthorised": gettext_lazy("unauthorised"),
    "malformed reply": gettext_lazy("malformed reply"),
    "too large": gettext_lazy("too large"),
    "scoring": gettext_lazy("scoring"),
    "request": gettext_lazy("Request"),
    "response": gettext_lazy("Reply"),
    # use cases of suites and benchmarks
    "starter": gettext_lazy("starter"),
    "multilingual": gettext_lazy("multilingual"),
    "knowledge": gettext_lazy("knowledge"),
    "question-answering": gettext_lazy("question answering"),
    "reading": gettext_lazy("reading"),
    "rag": gettext_lazy("RAG"),
    "classification": gettext_lazy("classification"),
    "language": gettext_lazy("language"),
    "reasoning": gettext_lazy("reasoning"),
    "extraction": gettext_lazy("extraction"),
    "summarisation": gettext_lazy("summarising"),
    "euroeval-style": gettext_lazy("EuroEval-style"),
    "wilson": gettext_lazy("Wilson interval"),
    "bootstrap": gettext_lazy("bootstrap"),
    "clustered bootstrap": gettext_lazy("bootstrap of whole texts"),
    "thinking rule": gettext_lazy("thinking rule"),
    "monte carlo": gettext_lazy("Monte-Carlo half-width of the mean, not a sampling interval"),
}

# Families of the shipped suites, for axes and heads.
ABILITIES = {
    "knowledge": gettext_lazy("Knowledge"),
    "reading": gettext_lazy("Reading comprehension"),
    "sentiment": gettext_lazy("Sentiment"),
    "acceptability": gettext_lazy("Linguistic acceptability"),
    "commonsense": gettext_lazy("Common-sense completion"),
    "entities": gettext_lazy("Named entities"),
    "summary": gettext_lazy("Summarising"),
}

# What the families of the European task set ask (evals.euro).
TASK_ABILITIES = {
    "arc": gettext_lazy("Science questions of school exams"),
    "hellaswag": gettext_lazy("How an everyday scene goes on"),
    "mmlu": gettext_lazy("Knowledge of 57 subjects"),
    "truthfulqa_mc1": gettext_lazy("Whether the true answer beats common misbeliefs"),
    "truthfulqa_mc2": gettext_lazy("How much probability goes to true answers"),
    "belebele": gettext_lazy("Reading comprehension of a short passage"),
    "leolm_arc": gettext_lazy("Science questions of school exams, another translation"),
    "mgsm_direct": gettext_lazy("Arithmetic word problems, answer alone"),
    "mgsm_native_cot": gettext_lazy("Arithmetic word problems with the way to the answer"),
    "gsm8k": gettext_lazy("Arithmetic word problems with the way to the answer"),
    "xnli": gettext_lazy("Whether one sentence follows from another"),
    "paws": gettext_lazy("Whether two sentences mean the same"),
    "xcopa": gettext_lazy("Cause or effect of an event"),
    "xstorycloze": gettext_lazy("The right end of a short story"),
    "xwinograd": gettext_lazy("Whom a pronoun means"),
    "lambada": gettext_lazy("The last word of a passage"),
}
# Prompt variants of the set, and where the rows of a task would come from.
WORDINGS = {
    "fork": gettext_lazy("fork: as euro-lm-eval asks"),
    "upstream": gettext_lazy("upstream: as lm-eval asks"),
    "native": gettext_lazy("native: with words of the language"),
}
ORIGINS = {
    "project": gettext_lazy("this project has them"),
    "folder": gettext_lazy("the folder of data sets"),
    "hub": gettext_lazy("the hub"),
    "pack": gettext_lazy("a data pack: the hub is switched off"),
    "lm_eval": gettext_lazy("only lm-eval’s own command"),
}
# Languages whose names Django has in English only.
LANGUAGES = {"nb": gettext_lazy("Norwegian (Bokmål)")}

# Why a data set is missing from a rank score (evals.rank_boards).
MISSING_RANKS = {
    "not_run": gettext_lazy("not run"),
    "not_valid": gettext_lazy("not valid"),
    "no_replicates": gettext_lazy("without the scores of its resamples"),
}

# Why a cost is unknown (evals.costs.REASONS).
UNKNOWN_COSTS = {
    "no_price": gettext_lazy("no price was set when it started"),
    "no_tokens": gettext_lazy("the server told no token counts"),
    "no_time": gettext_lazy("no time is known yet"),
}


# Why a run stopped before its end (evals.costs.exhausted).
STOPPED = {
    "tokens": gettext_lazy(
        "Stopped at its budget of %(tokens)s. Raise it and resume; what is answered is kept."
    ),
    "money": gettext_lazy(
        "Stopped at its budget of %(money)s. Raise it and resume; what is answered is kept."
    ),
    "uncounted": gettext_lazy(
        "Stopped because the server gave answers without token counts: whether the budget is "
        "kept cannot be told. Resume without a budget; what is answered is kept."
    ),
}


def stopped(reason: str, budget: Budget, currency: str) -> str:
    """Why a run stopped before its end, in the reader's language."""
    amounts = {"tokens": tokens(budget.tokens or 0), "money": money(budget.money, currency)}
    return str(STOPPED[reason]) % amounts


def tokens(count: int) -> str:
    """ "2,000,000 tokens" in the reader's notation."""
    number = number_format(count, decimal_pos=0, use_l10n=True, force_grouping=True)
    return gettext("%(number)s tokens") % {"number": number}


def amount(value: Decimal) -> str:
    """Money with two decimals, small sums with two figures: 12.40, 0.0031."""
    digits = 2
    while 0 < value < Decimal(1).scaleb(1 - digits) and digits < 8:
        digits += 1
    return number_format(round(value, digits), decimal_pos=digits, use_l10n=True)


def money(value: Decimal | None, currency: str) -> str:
    """ "12.40 EUR" in the reader's notation; 0 where there is none."""
    return f"{amount(value or Decimal(0))} {currency}"


def titled(text: str) -> str:
    """A name or description of a suite or benchmark."""
    return gettext(text) if text in SHIPPED else text


def word(code: str) -> str:
    """A stored code in words; the code itself when it is not known."""
    return str(CODES.get(code, code))


def language_name(code: str) -> str:
    """A language in the reader's language, or its code when unknown."""
    if code in LANGUAGES:
        return str(LANGUAGES[code])
    try:
        return str(get_language_info(code)["name_translated"])
    except KeyError:
        return code


def ability(family: str) -> str:
    """What the benchmarks of a family measure; the family's own name when it is not known."""
    return str(ABILITIES.get(family) or family.replace("_", " ").replace("-", " "))


# What in a file of others cannot be used (evals.formats.given.Fault).
FAULTS = {
    "encoding": gettext_lazy("The file is not UTF-8. Save it as UTF-8."),
    "empty": gettext_lazy("The file is empty."),
    "too_long": gettext_lazy("The line is longer than %(value)s bytes."),
    "too_deep": gettext_lazy("The JSON is nested too deeply."),
    "too_many": gettext_lazy("There are more than %(value)s results. Split the file."),
    "too_many_columns": gettext_lazy("There are more than %(value)s columns."),
    "not_json": gettext_lazy("This is no JSON: %(value)s"),
    "not_object": gettext_lazy("This is no JSON object."),
    "not_csv": gettext_lazy("This is no CSV, from line %(value)s"),
    "not_parquet": gettext_lazy("This is no Parquet that can be read: %(value)s"),
    "twice": gettext_lazy("“%(value)s” stands there twice."),
    "missing": gettext_lazy("%(field)s is missing."),
    "wrong": gettext_lazy("%(field)s cannot be used: %(value)s"),
    "no_number": gettext_lazy("%(field)s is %(value)s, which is no finite number."),
    "two_ways": gettext_lazy(
        "%(field)s is %(value)s, which can be read in two ways. Write it with a point."
    ),
    "turned": gettext_lazy("The lower end of the interval %(value)s is above the upper one."),
    "outside": gettext_lazy(
        "The score %(field)s is outside its interval %(value)s. Low and high are the ends of the "
        "interval, not their distances from the score."
    ),
    "again": gettext_lazy(
        "Line %(value)s has a score of the same model on %(field)s, with the same metric and "
        "language; that one counts. Keep one of the two lines."
    ),
    "cells": gettext_lazy("The row has %(value)s cells, the head another number."),
    "head": gettext_lazy("Each column needs a name in the first line, of 300 characters at most."),
    "role": gettext_lazy("A column cannot be “%(value)s”."),
    "role_twice": gettext_lazy("Only one column can be “%(value)s”."),
    "role_missing": gettext_lazy("No column is “%(value)s”."),
    "role_alone": gettext_lazy("With several score columns none can be “%(value)s”."),
}
# Why an imported result does not stand in the column of a benchmark of its name.
DIFFERENCES = {
    "version": gettext_lazy("the version of the task differs"),
    "shots": gettext_lazy("the number of examples differs"),
    "scoring": gettext_lazy("it is asked in another way"),
    "metric": gettext_lazy("the metric or its filter differs, or is not told"),
    "generation": gettext_lazy("the settings of generation differ"),
    "questions": gettext_lazy("not the same questions, or not all of them"),
    "prompt": gettext_lazy("the prompt differs"),
    "target": gettext_lazy("the right answer differs"),
    "options": gettext_lazy("the options differ"),
    "total": gettext_lazy("the total is not the mean of its samples"),
}
# What stands beside a value of others (evals.formats.given.SPREADS).
SPREADS = {
    "resampling": gettext_lazy(
        "95 % half-width of the mean of resamplings of the same questions; narrower than the "
        "sampling error"
    ),
    "stderr": gettext_lazy("standard error"),
    "told": gettext_lazy("interval as the source tells it"),
}


def told(error: Exception) -> str:
    """``error`` in the reader's language, with the errors in it; its own words without a sentence.

    What a library says stays as it is.
    """
    if not isinstance(error, Told) or not error.sentence:
        return str(error)
    said = gettext(error.sentence)
    if not error.values:
        return said
    return said.format(**{
        name: told(value) if isinstance(value, Exception) else value
        for name, value in error.values.items()
    })  # fmt: skip


def fault(found: Any) -> str:
    """A fault in the reader's language."""
    return str(FAULTS[found.code]) % {"field": found.field, "value": found.value}


NO_ARCHIVE = gettext_lazy("%(name)s is no zip archive that can be read.")
SEVERAL = gettext_lazy("Several files belong together only when one is lm-eval's results_….json.")
LIKE_LM_EVAL = gettext_lazy("%(name)s looks like lm-eval's results, but cannot be used: %(why)s")
NO_RESULTS = gettext_lazy("It has no results with their versions or configuration.")
TOO_LARGE = gettext_lazy("%(name)s is larger than %(size)s MiB. Split it.")
SOURCE_NEEDED = gettext_lazy("A board needs its source and its date.")
IN_THE_FUTURE = gettext_lazy(
    "%(date)s is in the future; today is %(today)s. Write the day that the source states, or the "
    "one on which it was fetched."
)
KEPT_ALREADY = gettext_lazy(
    "This file is kept already, as import %(import)s with %(stored)s, and nothing was changed. "
    "Give the same, or delete that import on its page %(page)s and send the file again."
)
NO_MODEL_COLUMN = gettext_lazy(
    "There is no column “model”; the columns are %(columns)s. Rename one, or say what each column "
    "is."
)
NO_SUCH_COLUMN = gettext_lazy("There is no column “%(name)s”; the columns are %(columns)s.")
NOTHING_FOUND = gettext_lazy("Nothing in the file could be used as a result.")
# What a column of an imported board can be (evals.formats.boards.ROLES).
COLUMN_ROLES = {
    "model": gettext_lazy("the model"),
    "benchmark": gettext_lazy("the benchmark"),
    "metric": gettext_lazy("the metric"),
    "language": gettext_lazy("the language code"),
    "score": gettext_lazy("a score"),
    "low": gettext_lazy("the lower end of the interval"),
    "high": gettext_lazy("the upper end of the interval"),
    "samples": gettext_lazy("the number of samples"),
    "ignore": gettext_lazy("not needed"),
}
