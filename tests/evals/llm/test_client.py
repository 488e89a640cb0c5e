"""The client against a server whose right answers can be computed."""

from __future__ import annotations

import asyncio
import json

import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st

from evals.llm import Client, Kind, LLMError, Retry

from . import stub
from .stub import answering, dropping, expected, hanging, serving

CONTEXT = "Frage: Wie heißt die Hauptstadt von Österreich?\nAntwort:"
OPTIONS = [" Wien", " Brüssel", " Rom und Wien!"]


class Clock:
    """Time that passes only while the client sleeps."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    def now(self) -> float:
        return sum(self.slept)


def patient(clock: Clock, **changes: float) -> Retry:
    return Retry(sleep=clock.sleep, random=lambda: 1.0, clock=clock.now, **changes)


async def failure(server: stub.Stub, **spec: object) -> LLMError:
    async with Client(server.spec(**spec), patient(Clock())) as client:
        with pytest.raises(LLMError) as error:
            await client.complete("Hello", max_tokens=4)
    return error.value


@pytest.mark.parametrize("quirk", ["vllm", "no-tokenize"])
@pytest.mark.parametrize("batch", [True, False])
async def test_it_scores_continuations_as_defined(quirk: str, batch: bool) -> None:
    async with serving(quirk) as server:
        async with Client(server.spec(batch_prompts=batch)) as client:
            found = await client.loglikelihoods(CONTEXT, OPTIONS)
        got = [(option.loglikelihood, option.is_greedy) for option in found.options]
        assert got == [pytest.approx(expected(CONTEXT, option)) for option in OPTIONS]
        assert [option.tokens for option in found.options] == [1, 1, 4]
        sent = server.posted("/v1/completions")
        assert len(sent) == found.attempts == (1 if batch else 3)
        assert found.prompt_tokens == sum(len(stub.tokenise(CONTEXT + o)) for o in OPTIONS)


async def test_it_sends_what_lm_eval_sends_and_no_more() -> None:
    async with serving() as server:
        async with Client(server.spec()) as client:
            await client.loglikelihoods("A b", [" c", " d"])
        assert server.posted("/v1/completions") == [
            {
                "model": "tiny",
                "prompt": ["A b c", "A b d"],
                "max_tokens": 1,
                "temperature": 0.0,
                "logprobs": 1,
                "echo": True,
                "seed": 1234,
            }
        ]


async def test_it_calls_a_continuation_greedy_only_if_every_token_is_likeliest() -> None:
    likely = stub.following("Answer")
    async with serving() as server, Client(server.spec()) as client:
        found = await client.loglikelihoods("Answer", [likely, likely + " piano"])
    assert [option.is_greedy for option in found.options] == [True, False]


@settings(max_examples=25, deadline=None)
@given(
    context=st.text("aø ü\n.", min_size=1, max_size=12).filter(str.strip),
    parts=st.lists(st.text("bæ .", min_size=1, max_size=6), min_size=1, max_size=3),
    quirk=st.sampled_from(["vllm", "no-tokenize", "bos"]),
)
def test_it_splits_where_the_context_alone_would_end(
    context: str, parts: list[str], quirk: str
) -> None:
    """Also when blanks end the context or a token reaches over the boundary."""

    async def run() -> None:
        async with serving(quirk) as server, Client(server.spec()) as client:
            for part in parts:
                whole, bare = context + part, context.rstrip()
                if len(stub.tokenise(whole)) <= len(stub.tokenise(bare)):
                    with pytest.raises(LLMError, match="no token of its own"):
                        await client.loglikelihoods(context, [part])
                else:
                    found = await client.loglikelihoods(context, [part])
                    assert found.options[0].loglikelihood == pytest.approx(
                        expected(context, part)[0]
                    )

    asyncio.run(run())


async def test_it_reads_the_length_of_a_context_off_the_echo() -> None:
    async with serving() as server, Client(server.spec()) as client:
        for part in (" a", " b", " c"):
            await client.loglikelihoods(CONTEXT, [part])
        assert not server.posted("/tokenize")


async def test_it_counts_a_context_once_where_the_echo_does_not_tell_its_length() -> None:
    # "Wien" and "er" are one token: the context ends inside of it.
    async with serving() as server, Client(server.spec()) as client:
        for _ in range(3):
            await client.loglikelihoods("In Wien", ["er Luft"])
        assert len(server.posted("/tokenize")) == 1
    async with serving("no-tokenize") as server, Client(server.spec()) as client:
        for context in ("In Wien", "Am Wien", "Um Wien"):
            await client.loglikelihoods(context, ["er Luft"])
        assert len(server.posted("/tokenize")) == 1


async def test_it_scores_an_empty_context_only_after_a_token_of_the_server() -> None:
    async with serving("bos") as server, Client(server.spec()) as client:
        found = await client.loglikelihoods("", ["Wien und"])
        assert found.options[0].tokens == 2
    async with serving() as server, Client(server.spec()) as client:
        with pytest.raises(ValueError, match="context is empty"):
            await client.loglikelihoods("", ["Wien und"])
        with pytest.raises(ValueError, match="empty continuation"):
            await client.loglikelihoods("A", ["b", ""])


@pytest.mark.parametrize("quirk", ["llama-cpp-python", "transformers-serve", "tabbyapi"])
async def test_it_makes_no_score_of_a_wrong_echo(quirk: str) -> None:
    async with serving(quirk) as server:
        async with Client(server.spec(batch_prompts=False)) as client:
            with pytest.raises(LLMError) as error:
                await client.loglikelihoods(CONTEXT, OPTIONS)
        assert error.value.kind == "malformed reply"
        assert not error.value.retryable


@pytest.mark.parametrize("value", [None, "NaN", "Infinity", "-Infinity", 0.5, True, '"-1"'])
async def test_it_makes_no_score_of_a_value_that_is_no_log_probability(value: object) -> None:
    text = json.dumps(value) if not isinstance(value, str) else value
    lists = f'"tokens": ["A", " b", "!"], "top_logprobs": [null, {{" b": {text}}}, {{"!": -1}}]'
    body = (
        '{"choices": [{"index": 0, "text": "A b!", "logprobs": {"token_logprobs": '
        f'[null, {text}, -1], {lists}}}}}], "usage": {{"prompt_tokens": 2}}}}'
    )
    async with serving("no-tokenize") as server, Client(server.spec()) as client:
        await client.tokens("not here")
        server.once = [answering(text=body)]
        with pytest.raises(LLMError) as error:
            await client.loglikelihoods("A", [" b"])
        assert error.value.kind == "malformed reply"


async def test_it_completes_and_chats() -> None:
    async with serving() as server, Client(server.spec()) as client:
        said = await client.complete("Die Stadt", max_tokens=3, stop=["\n"])
        assert (said.text, said.finish_reason) == (stub.following(" Stadt"), "length")
        assert (said.prompt_tokens, said.attempts) == (2, 1)
        assert said.latency_ms > 0
        answer = await client.chat([{"role": "user", "content": "?"}], max_tokens=3)
        assert (answer.text, answer.completion_tokens, answer.reasoning) == ("Berlin", 2, "")
        assert server.bodies[0][1] == {
            "model": "tiny",
            "prompt": "Die Stadt",
            "max_tokens": 3,
            "temperature": 0.0,
            "seed": 1234,
            "stop": ["\n"],
        }
        assert "stop" not in server.bodies[1][1]


async def test_it_keeps_thinking_apart_and_invents_no_token_counts() -> None:
    async with serving("thinking") as server, Client(server.spec()) as client:
        said = await client.chat([{"role": "user", "content": "?"}], max_tokens=3)
    assert (said.text, said.reasoning) == ("", "It is a city.")
    assert (said.prompt_tokens, said.completion_tokens) == (None, None)


async def test_it_names_models_version_and_token_counts() -> None:
    async with serving() as server, Client(server.spec()) as client:
        assert await client.models() == ["tiny"]
        assert await client.server_version() == "0.1"
        assert await client.tokens("Das ist gut.") == 4
    async with serving("no-tokenize") as server, Client(server.spec()) as client:
        assert await client.tokens("Das ist gut.") is None
        server.always = answering(404, '{"detail": "Not Found"}')
        assert await client.server_version() == ""


async def test_it_never_has_more_requests_in_flight_than_agreed() -> None:
    async with serving() as server:
        async with Client(server.spec(concurrency=3, batch_prompts=False)) as client:
            await asyncio.gather(*(client.loglikelihoods(f"Nr {i}", OPTIONS) for i in range(20)))
        assert server.most_busy <= 3
        assert len(server.posted("/v1/completions")) == 60


async def test_it_does_not_count_waiting_for_a_free_place_as_time_of_the_server() -> None:
    async def slow(request: web.Request) -> web.Response:
        await asyncio.sleep(0.4)
        return web.json_response({"choices": [{"text": "late"}]})

    async with serving() as server:
        server.always = slow
        async with Client(server.spec(concurrency=1, timeout=1.0)) as client:
            asked = (client.complete(str(i), max_tokens=1) for i in range(4))
            assert [said.attempts for said in await asyncio.gather(*asked)] == [1] * 4
        assert len(server.bodies) == 4


async def test_it_waits_as_long_as_a_busy_server_wishes() -> None:
    clock = Clock()
    async with serving() as server, Client(server.spec(), patient(clock)) as client:
        server.once = [answering(429, "{}", Retry_After="7"), answering(429, "{}")]
        said = await client.complete("Hello", max_tokens=4)
        assert said.attempts == 3
    assert clock.slept == [7.0, 1.0]


async def test_it_does_not_wait_for_ever_because_a_server_says_so() -> None:
    clock = Clock()
    async with serving() as server, Client(server.spec(), patient(clock)) as client:
        server.once = [answering(429, "{}", Retry_After="86400")]
        await client.complete("Hello", max_tokens=4)
    assert clock.slept == [60.0]


async def test_it_asks_again_after_a_server_error_a_lost_connection_and_half_an_answer() -> None:
    clock = Clock()
    async with serving() as server, Client(server.spec(), patient(clock)) as client:
        server.once = [
            answering(500, "oops"), dropping, answering(503, "loading"),
            answering(200, '{"choices": ['),
        ]  # fmt: skip
        said = await client.complete("Hello", max_tokens=4)
        assert said.attempts == 5
    assert clock.slept == [0.5, 1.0, 2.0, 4.0]


async def test_it_gives_up_after_five_attempts() -> None:
    async with serving() as server:
        server.always = answering(500, '{"error": {"message": "broken"}}')
        error = await failure(server)
        assert (error.kind, error.status, error.attempts) == ("server error", 500, 5)
        assert "broken" in str(error)
        assert len(server.bodies) == 5


async def test_it_gives_up_when_the_whole_time_is_over() -> None:
    clock = Clock()
    async with serving() as server:
        server.always = answering(503, "{}", Retry_After="40")
        async with Client(server.spec(), patient(clock, deadline=100.0)) as client:
            with pytest.raises(LLMError) as error:
                await client.complete("Hello", max_tokens=4)
    assert error.value.attempts == 3
    assert clock.slept == [40.0, 40.0]


NOT_AGAIN = [
    (answering(400, '{"error": {"message": "too long"}}'), "bad request", "too long"),
    (answering(404, '{"error": {"message": "no such model"}}'), "not found", "no such model"),
    (answering(401, '{"error": "Unauthorized"}'), "unauthorised", "Unauthorized"),
    (answering(403, "<html>no</html>", "text/html"), "unauthorised", "an HTML page"),
    (answering(405, '{"detail": "Method Not Allowed"}'), "bad request", "Method Not Allowed"),
    (answering(413, "{}"), "too large", "413"),
    (answering(417, '{"message": "max_tokens"}'), "bad request", "max_tokens"),
    (
        answering(422, '{"detail": [{"loc": ["body", "stop"], "msg": "not permitted"}]}'),
        "bad request",
        "body.stop: not permitted",
    ),
    (answering(501, "not here"), "server error", "not here"),
    (answering(505, "{}"), "server error", "505"),
    (answering(302, "", Location="http://127.0.0.1:1/"), "refused by policy", "redirect"),
    (answering(200, "<html>login</html>", "text/html"), "malformed reply", "an HTML page"),
    (answering(200, "[" * 100_000), "malformed reply", "no valid JSON"),
    (answering(200, '{"choices": []}'), "malformed reply", "0 choices"),
    (answering(200, "null"), "malformed reply", "not an object"),
    (answering(200, '{"choices": [{"text": 5}]}'), "malformed reply", "not a text"),
    (answering(200, '"' + "x" * 3_000_000 + '"'), "too large", "PORTAL_OUTBOUND_MAX_BYTES"),
]


@pytest.mark.parametrize(("handler", "kind", "text"), NOT_AGAIN)
async def test_it_does_not_ask_again_what_cannot_get_better(
    handler: stub.Handler, kind: str, text: str
) -> None:
    async with serving() as server:
        server.always = handler
        error = await failure(server)
        assert (error.kind, error.attempts) == (kind, 1)
        assert text in str(error)
        assert len(server.bodies) == 1


async def test_it_ends_a_request_that_hangs() -> None:
    async with serving() as server:
        server.always = hanging
        error = await failure(server, timeout=0.1)
    assert (error.kind, error.attempts) == ("timeout", 5)


async def test_it_says_when_nobody_listens() -> None:
    async with serving() as server:
        pass
    error = await failure(server)
    assert (error.kind, error.attempts) == ("connection", 5)


async def test_it_asks_no_host_that_is_not_allowed() -> None:
    async with serving() as server:
        base = server.base_url.replace("127.0.0.1", "[::1]")
        spec = server.spec()
        async with Client(type(spec)(base, "tiny", spec.policy)) as client:
            with pytest.raises(LLMError) as error:
                await client.models()
        assert error.value.kind == Kind.POLICY
        assert "PORTAL_OUTBOUND_ALLOW" in str(error.value)
        assert not server.bodies


async def test_it_stops_the_other_requests_when_one_fails() -> None:
    async with (
        serving("no-tokenize") as server,
        Client(server.spec(batch_prompts=False, timeout=30.0)) as client,
    ):
        await client.tokens("not here")
        server.once = [answering(400, "{}")]
        server.always = hanging
        with pytest.raises(LLMError):
            await asyncio.wait_for(client.loglikelihoods(CONTEXT, OPTIONS), 5)


KEY = 'sk-CANARY-"quoted"/1234'


async def garbled(request: web.Request) -> web.StreamResponse:
    """Says the key where the protocol wants a status line."""
    assert request.transport is not None
    request.transport.write(f"{KEY} {KEY}\r\n\r\n".encode())
    return await dropping(request)


@pytest.mark.parametrize(
    "reply",
    [
        answering(401, json.dumps({"error": {"message": f"Wrong key {KEY}"}})),
        answering(400, KEY),
        answering(400, f"{'x' * 395}{KEY}"),
        answering(400, json.dumps({"detail": KEY}).replace("/", "\\/")),
        garbled,
        answering(200, f"{'x' * 595}{KEY}"),
        answering(500, json.dumps([KEY])),
        answering(200, KEY),
        answering(200, json.dumps({"choices": KEY})),
        dropping,
    ],
)
async def test_it_sends_the_key_and_shows_it_nowhere(reply: stub.Handler) -> None:
    async with serving() as server:
        server.always = reply
        error = await failure(server, api_key=KEY)
        assert server.headers[0]["Authorization"] == f"Bearer {KEY}"
        assert KEY not in repr(server.spec(api_key=KEY))
    link: BaseException | None = error
    while link is not None:
        for shown in (str(link), repr(link), getattr(link, "reply", "")):
            assert "CANARY" not in shown
        link = link.__cause__ or link.__context__


def test_it_refuses_a_key_that_would_break_the_header() -> None:
    with pytest.raises(ValueError) as error:
        stub.Stub().spec(api_key="sk-1\r\nX-Evil: 1")
    assert "X-Evil" not in str(error.value)
