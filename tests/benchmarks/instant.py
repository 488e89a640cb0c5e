"""A model server that answers at once: what is left of a run's time is the client's.

    python -m tests.benchmarks.instant --tokenizer tokenizer.json

A raw ``asyncio.Protocol`` in a process of its own, as a server framework would cost more than
the clients that are measured. Prints its port, then answers ``/v1/completions`` in vLLM's form,
for prompts as text and as token ids: how likely a token is follows from it and the one before,
so every client gets the same scores. Runs in the model environment (it needs ``tokenizers``).
"""

from __future__ import annotations

import argparse
import asyncio
import json
from functools import lru_cache
from itertools import pairwise
from typing import Any
from zlib import crc32

LETTERS = (" A", " B", " C", " D")
LISTED = 20


class Model:
    """Replies as JSON text, put together from pieces that are made once."""

    def __init__(self, tokenizer_file: str) -> None:
        from tokenizers import Tokenizer

        self.tokenizer = Tokenizer.from_file(tokenizer_file)
        self.piece = lru_cache(maxsize=None)(self._piece)
        self.place = lru_cache(maxsize=None)(self._place)

    def ids(self, prompt: str | list[int]) -> list[int]:
        if isinstance(prompt, list):
            return prompt
        return list(self.tokenizer.encode(prompt, add_special_tokens=False).ids)

    def _piece(self, token: int) -> str:
        return json.dumps(self.tokenizer.decode([token]))

    def _place(self, before: int, token: int) -> tuple[str, str]:
        """The log-probability of ``token`` after ``before``, and the list of that place."""
        value = -1 - crc32(f"{before}|{token}".encode()) % 99991 / 10007
        best = -0.01 - crc32(b"%d" % before) % 997 / 1009
        return f"{value}", f'{{{self.piece(token)}:{value},"~":{best}}}'

    def echo(self, index: int, prompt: str | list[int]) -> tuple[str, int]:
        """One choice, and how many tokens its prompt has."""
        ids = self.ids(prompt)
        places = [self.place(*pair) for pair in pairwise(ids)]
        pieces = [self.piece(token) for token in ids]
        text = json.dumps(prompt if isinstance(prompt, str) else self.tokenizer.decode(ids))
        offsets = ",".join(map(str, range(len(ids) + 1)))
        values = ",".join(["null", *(value for value, _ in places), "-0.5"])
        tops = ",".join(["null", *(top for _, top in places), '{"~":-0.5}'])
        return (
            f'{{"index":{index},"text":{text[:-1]}~","logprobs":{{"text_offset":[{offsets}],'
            f'"token_logprobs":[{values}],"tokens":[{",".join(pieces)},"~"],'
            f'"top_logprobs":[{tops}]}},"finish_reason":"length","stop_reason":null,'
            '"prompt_logprobs":null}',
            len(ids),
        )

    def first(self, index: int, prompt: str) -> tuple[str, int]:
        """The most likely first tokens, the four letters among them."""
        ids = self.ids(prompt)
        top = {letter: -1 - crc32(f"{letter}{prompt}".encode()) % 97 / 10 for letter in LETTERS} | {
            f" w{number}": -12.0 - number for number in range(LISTED - len(LETTERS))
        }
        listed = json.dumps(top)
        return (
            f'{{"index":{index},"text":" A","logprobs":{{"text_offset":[0],'
            f'"token_logprobs":[-1],"tokens":[" A"],"top_logprobs":[{listed}]}},'
            '"finish_reason":"length","stop_reason":null,"prompt_logprobs":null}',
            len(ids),
        )

    def completions(self, body: dict[str, Any]) -> str:
        prompts = body["prompt"]
        if isinstance(prompts, str) or (prompts and isinstance(prompts[0], int)):
            prompts = [prompts]
        make = self.echo if body.get("echo") else self.first
        made = [make(index, prompt) for index, prompt in enumerate(prompts)]
        read = sum(tokens for _, tokens in made)
        usage = (
            f'{{"prompt_tokens":{read},"completion_tokens":{len(made)},'
            f'"total_tokens":{read + len(made)},"prompt_tokens_details":null}}'
        )
        return (
            '{"id":"cmpl-1","object":"text_completion","created":1,"model":"instant",'
            f'"choices":[{",".join(choice for choice, _ in made)}],"usage":{usage}}}'
        )


class Connection(asyncio.Protocol):
    """One kept-alive connection; a request is a head with Content-Length and a JSON body."""

    asked = 0
    prompts = 0

    def __init__(self, model: Model) -> None:
        self.model = model
        self.waiting = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.waiting += data
        while (end := self.waiting.find(b"\r\n\r\n")) >= 0:
            head = self.waiting[:end].lower()
            _, _, after = head.partition(b"content-length:")
            length = int(after.split(b"\r\n", 1)[0]) if after else 0
            if len(self.waiting) < end + 4 + length:
                return
            body = self.waiting[end + 4 : end + 4 + length]
            self.waiting = self.waiting[end + 4 + length :]
            found = self.answer(head.split(b" ", 2)[1].decode(), body)
            text = (found or '{"detail":"Not Found"}').encode()
            self.transport.write(  # type: ignore[attr-defined]
                b"HTTP/1.1 %s\r\nserver: instant\r\ncontent-type: application/json\r\n"
                b"content-length: %d\r\n\r\n%s"
                % (b"200 OK" if found else b"404 Not Found", len(text), text)
            )

    def answer(self, path: str, body: bytes) -> str | None:
        """The reply as JSON; None for what is not there."""
        if path == "/asked":
            return json.dumps({"requests": Connection.asked, "prompts": Connection.prompts})
        if path not in ("/tokenize", "/v1/completions"):
            return None
        Connection.asked += 1
        given = json.loads(body)
        if path == "/tokenize":
            ids = self.model.ids(given["prompt"])
            return json.dumps({"count": len(ids), "max_model_len": 4096, "tokens": ids})
        prompt = given["prompt"]
        several = isinstance(prompt, list) and not isinstance(prompt[0], int)
        Connection.prompts += len(prompt) if several else 1
        return self.model.completions(given)


async def serve(tokenizer_file: str) -> None:
    model = Model(tokenizer_file)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(model), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--tokenizer", required=True)
    asyncio.run(serve(parser.parse_args().tokenizer))
