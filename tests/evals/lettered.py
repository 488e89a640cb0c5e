"""A tiny model whose letters are single tokens: ``python -m tests.evals.lettered --out FOLDER``.

Runs inside the model environment. Nothing is trained: one unit of the hidden state is the same
whatever was read, and adds the same to a letter each time. It lifts the letters so far that all
are among the twenty most likely tokens, and the digits only so far that some are missing now
and then. Random weights decide which letter is ahead.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from evals.demo import checkpoint
from evals.demo.documents import SPECIALS

if TYPE_CHECKING:
    import torch
    from tokenizers import Tokenizer

LETTERS, DIGITS = "ABCDE", "1234"
SEED = 3
SPREAD = 1.6  # standard deviation of the logits around what they are lifted by
MIXING = 0.3  # weights of the layers: with small ones the last token alone decides
WRITING = ("o_proj.weight", "down_proj.weight")
CONSTANT = 8.0  # in the unit that stays the same
SUNK, REPLACEMENT = -100.0, "\ufffd"
LIFTED = {**dict.fromkeys(LETTERS, 100.0), **dict.fromkeys(DIGITS, 6.0)}


def new_tokenizer() -> Tokenizer:
    """Bytes, and each letter and digit joined with the blank before it."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    vocabulary = [*SPECIALS, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    merges = [("Ġ", sign) for sign in LIFTED]
    vocabulary += [blank + sign for blank, sign in merges]
    numbers = {token: number for number, token in enumerate(vocabulary)}
    tokenizer = Tokenizer(models.BPE(vocab=numbers, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(list(SPECIALS))
    return tokenizer


def make(folder: Path) -> None:
    """Leave the model in ``folder``; the same weights every time."""
    import torch

    torch.manual_seed(SEED)
    tokenizer = new_tokenizer()
    model = checkpoint.new_model(tokenizer)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "layers" in name and weight.dim() == 2:
                weight.normal_(0.0, MIXING)
                # The layers neither read the constant unit nor write to it.
                weight[(0,) if name.endswith(WRITING) else (slice(None), 0)] = 0.0
        _lift(model.get_input_embeddings().weight, tokenizer)
    checkpoint.save(model, tokenizer, folder)


def _lift(rows: torch.Tensor, tokenizer: Tokenizer) -> None:
    """``rows`` are those of the tokens when they are read, and when they are written."""
    rows.normal_(0.0, SPREAD / rows.shape[1] ** 0.5)
    rows[:, 0] = CONSTANT
    for number in range(len(rows)):
        if REPLACEMENT in tokenizer.decode([number], skip_special_tokens=False):
            rows[number, 0] = CONSTANT + SUNK  # servers list all halves of a sign by one name
    for sign, lift in LIFTED.items():
        rows[tokenizer.token_to_id(f"Ġ{sign}"), 0] = CONSTANT + lift


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for the model")
    make(parser.parse_args().out)


if __name__ == "__main__":
    main()
