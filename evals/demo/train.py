"""Make ``tiny-good`` and ``tiny-bad``: ``python -m evals.demo.train --out FOLDER``.

Runs inside the model environment. Both models come from one training run: the bad one
is its state after 15 steps, the good one its end. Same machine, same code: same weights.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import math
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from evals.demo import checkpoint, corpus, documents

if TYPE_CHECKING:
    import torch
    from tokenizers import Tokenizer

GOOD, BAD = "tiny-good", "tiny-bad"
STEPS, BAD_STEPS = 450, 15
SEED = 0
BATCH, CONTEXT = 12, 128  # sequences, tokens
PEAK_RATE, WARM_UP = 2e-3, 30
# Learning to repeat the questions is not the point: with full weight it needs twice the steps.
CONTEXT_WEIGHT = 0.1
REPORT_EVERY = 10


def recipe(steps: int = STEPS) -> str:
    """Hash of everything that decides the weights, except the versions of the libraries."""
    digest = hashlib.sha256(str(steps).encode())
    for module in (corpus, documents, checkpoint, sys.modules[__name__]):
        digest.update(Path(str(module.__file__)).read_bytes())
    return digest.hexdigest()


def is_made(folder: Path, wanted: str) -> bool:
    """Whether ``folder`` holds a complete model of the recipe ``wanted``."""
    try:
        return bool(json.loads((folder / "recipe.json").read_text())["recipe"] == wanted)
    except (OSError, ValueError, KeyError):
        return False


def make(out: Path, steps: int = STEPS) -> bool:
    """Leave both models under ``out``; False when they were there already.

    A model appears complete or not at all; a second process waits for the first.
    """
    out.mkdir(parents=True, exist_ok=True)
    with (out / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted = recipe(steps)
        if all(is_made(out / name, wanted) for name in (GOOD, BAD)):
            return False
        for left_over in out.glob(".making-*"):
            shutil.rmtree(left_over)
        with tempfile.TemporaryDirectory(prefix=".making-", dir=out) as making:
            _train(Path(making), steps)
            for name in (BAD, GOOD):
                (Path(making) / name / "recipe.json").write_text(json.dumps({"recipe": wanted}))
                _replace(Path(making) / name, out / name)
    return True


def _train(folder: Path, steps: int) -> None:
    import torch

    # One thread: on a busy machine two wait for each other and are several times slower.
    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    tokenizer = checkpoint.new_tokenizer()
    model = checkpoint.new_model(tokenizer)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=PEAK_RATE, betas=(0.9, 0.95), weight_decay=0.01
    )
    model.train()
    for step, (tokens, weights) in zip(range(1, steps + 1), _batches(tokenizer), strict=False):
        for group in optimizer.param_groups:
            group["lr"] = _rate(step, steps)
        logits = model(input_ids=tokens[:, :-1]).logits
        losses = torch.nn.functional.cross_entropy(
            logits.flatten(0, 1), tokens[:, 1:].flatten(), reduction="none"
        )
        weights = weights[:, 1:].flatten()
        loss = (losses * weights).sum() / weights.sum()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step == min(BAD_STEPS, steps):
            checkpoint.save(model, tokenizer, folder / BAD)
        if step % REPORT_EVERY == 0 or step == steps:
            print(f"step {step}/{steps} loss {loss.item():.3f}", flush=True)
    checkpoint.save(model, tokenizer, folder / GOOD)


def _rate(step: int, steps: int) -> float:
    """Linear warm-up, then half a cosine down to one hundredth."""
    return PEAK_RATE * min(1.0, step / WARM_UP) * (0.505 + 0.495 * math.cos(math.pi * step / steps))


def _batches(tokenizer: Tokenizer) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Documents packed end to end: token ids and loss weights, each (BATCH, CONTEXT + 1)."""
    import torch

    size = BATCH * (CONTEXT + 1)
    known: dict[str, list[int]] = {}
    tokens: list[int] = []
    weights: list[float] = []
    for document in documents.documents(SEED):
        for text, is_answer in document:
            if text not in known:
                known[text] = tokenizer.encode(text).ids
            tokens += known[text]
            weights += [1.0 if is_answer else CONTEXT_WEIGHT] * len(known[text])
        while len(tokens) >= size:
            shape = (BATCH, CONTEXT + 1)
            yield torch.tensor(tokens[:size]).view(shape), torch.tensor(weights[:size]).view(shape)
            del tokens[:size], weights[:size]


def _replace(made: Path, final: Path) -> None:
    if final.exists():
        shutil.rmtree(final)
    made.chmod(0o755)
    made.rename(final)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for the two models")
    parser.add_argument("--steps", type=int, default=STEPS)
    arguments = parser.parse_args()
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    made = make(arguments.out, arguments.steps)
    print("made" if made else "up to date", flush=True)


if __name__ == "__main__":
    main()
