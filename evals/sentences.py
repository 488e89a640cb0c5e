"""Errors whose sentence can be told in another language. No Django.

Who raises one writes it in English; `evals.words.told` tells it in the reader's language.
"""

from __future__ import annotations


def gettext_noop(sentence: str) -> str:
    """Mark ``sentence`` for the catalogues; whoever shows it translates it."""
    return sentence


class Told(ValueError):
    """An error that says ``sentence``, its ``{names}`` filled by ``values``.

    A value that is itself an error is told in the same language.
    """

    def __init__(self, sentence: str, /, **values: object) -> None:
        super().__init__(sentence.format(**values) if values else sentence)
        self.sentence, self.values = sentence, values
