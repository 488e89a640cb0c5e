"""A tiny model that fills in forms: ``python -m tests.evals.formed --out FOLDER``.

Runs inside the model environment. Nothing is trained and its layers do nothing: the last sign
alone decides what comes next. Left to itself it writes one name after the other; held to a JSON
schema it closes what it has opened, so that each list holds that name and the answer ends.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from evals.demo import checkpoint
from evals.demo.documents import END, ROLES, SPECIALS

if TYPE_CHECKING:
    from tokenizers import Tokenizer

NAME = "Abc"
# What comes after a sign, the likeliest first; a form allows only some of it.
AFTER = {
    ROLES[2]: "{A", "{": '"', '"': f"{NAME[0]}]:", NAME[0]: NAME[1], NAME[1]: NAME[2],
    NAME[2]: '"', ":": '["', "[": '"', "]": ",}", ",": '"',
}  # fmt: skip
LIKELY = 20.0  # ahead of what is not named; the second is one less ahead, and so on


def new_tokenizer() -> Tokenizer:
    """Bytes, and the signs of a conversation."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    vocabulary = [*SPECIALS, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    numbers = {token: number for number, token in enumerate(vocabulary)}
    tokenizer = Tokenizer(models.BPE(vocab=numbers, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(list(SPECIALS))
    return tokenizer


def make(folder: Path) -> None:
    """Leave the model in ``folder``."""
    import torch
    from transformers import LlamaForCausalLM

    tokenizer = new_tokenizer()
    config = checkpoint.new_model(tokenizer).config
    signs = config.vocab_size
    # A unit of the hidden state for each sign, and a multiple of the width of a head.
    config.hidden_size = -(-signs // config.head_dim) * config.head_dim
    config.tie_word_embeddings = False
    model = LlamaForCausalLM(config)
    scale = config.hidden_size**-0.5  # what the last norm makes of a single unit of 1, inverted
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() == 2:
                weight.zero_()
        read, written = model.get_input_embeddings().weight, model.get_output_embeddings().weight
        read[range(signs), range(signs)] = 1.0
        for sign, following in (AFTER | {"}": [END]}).items():
            for place, after in enumerate(following):
                row, unit = tokenizer.token_to_id(after), tokenizer.token_to_id(sign)
                written[row, unit] = (LIKELY - place) * scale
    checkpoint.save(model, tokenizer, folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for the model")
    make(parser.parse_args().out)


if __name__ == "__main__":
    main()
