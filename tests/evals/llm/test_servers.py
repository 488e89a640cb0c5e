"""For each kind of server: what the check says of it, and what may be sent to it."""

from __future__ import annotations

import pytest
from aiohttp import web

from evals.llm import Client, LLMError, ProbeReport, check
from evals.llm.dialects import DIALECTS

from .servers import SERVERS, LightLLM
from .stub import Stub, expected, serving

# What is tried and true (+), tried and false (-), or says nothing (·), in this order.
ASKED = (
    "health", "model_listed", "chat", "echo_logprobs", "native_logprobs", "tokenize",
    "token_ids", "batch_prompts", "top_logprobs", "chat_top_logprobs", "structured_output",
    "tools", "stream", "context", "unknown_fields", "metrics",
)  # fmt: skip
TABLE = {
    "generic":          "· + + - · · · - + + + + + · + ·",
    "vllm":             "+ + + + + + + + + + + + + + + +",
    "nim":              "+ + + + + + + + + + + + + + + +",
    "tgi":              "+ + + - + + + - - + + + + + + +",
    "llama.cpp":        "+ + + - · · · - + + + + + + + -",
    "llama-cpp-python": "· + + - · · · - + + + + · · + ·",
    "ollama":           "+ + + - · · · - + + + + + - + ·",
    "tabbyapi":         "+ + + - · · · - + + + + + · + ·",
    "lightllm":         "+ + + - - · · - + + + + · · + +",
    "openai_trtllm":    "+ · - - · · · - - - · · · · + ·",
    "trtllm-serve":     "+ + + - · · · - + + + + + + · +",
    "mlx_lm":           "+ + + - · · · - + + · + · · + ·",
    "transformers":     "· · + - · · · - - - · · · · + ·",
}  # fmt: skip
DECLARED = {"ollama": 1024}  # entered by a person, as the server does not tell
SAYS = {
    "vllm": "vllm", "nim": "nim", "tgi": "tgi", "llama.cpp": "llama.cpp", "ollama": "ollama",
    "tabbyapi": "tabbyapi", "lightllm": "lightllm", "trtllm-serve": "trtllm-serve",
}  # fmt: skip
SIGNS = {True: "+", False: "-", None: "·"}


async def checked(server: Stub, dialect: str) -> ProbeReport:
    async with serving(server):
        return await check(server.spec(dialect=dialect), DECLARED.get(dialect))


@pytest.mark.parametrize("name", SERVERS)
async def test_the_check_says_what_is_known_of_this_server(name: str) -> None:
    report = await checked(SERVERS[name](), name)
    found = {verdict.name: verdict for verdict in report.verdicts}
    said = {probe: SIGNS[found[probe].ok] for probe in ASKED}
    assert said == dict(zip(ASKED, TABLE[name].split(), strict=True)), [
        (verdict.name, verdict.summary) for verdict in report.verdicts
    ]
    assert report.capabilities["loglikelihood"] is (
        "+" in (said["echo_logprobs"], said["native_logprobs"])
    )


@pytest.mark.parametrize("name", SERVERS)
async def test_only_fields_of_its_dialect_are_sent(name: str) -> None:
    server, dialect = SERVERS[name](), DIALECTS[name]
    await checked(server, name)
    for path, known in (("completions", dialect.completions), ("chat/completions", dialect.chat)):
        sent: set[str] = set().union(*(body for body in server.posted(f"/v1/{path}")))
        if known is not None:
            assert sent - {"pruefstand_unknown"} <= known


@pytest.mark.parametrize("name", SERVERS)
async def test_the_software_is_proposed_by_what_the_server_says(name: str) -> None:
    report = await checked(SERVERS[name](), "generic")
    software = next(verdict for verdict in report.verdicts if verdict.name == "software")
    assert software.values.get("dialect") == SAYS.get(name)


@pytest.mark.parametrize(
    ("name", "server", "route"),
    [
        ("vllm", SERVERS["vllm"](), "prompt_logprobs"),
        ("tgi", SERVERS["tgi"](), "prefill"),
        ("lightllm", LightLLM(flag=True), "lightllm"),
    ],
)
async def test_the_own_way_of_a_server_gives_true_log_likelihoods(
    name: str, server: Stub, route: str
) -> None:
    report = await checked(server, name)
    assert report.capabilities["native_logprobs"]
    context, parts = "Frage: Wie groß ist der Mond?\nAntwort:", (" sehr groß", " klein")
    async with serving(server), Client(server.spec(dialect=name, route=route)) as client:
        found = await client.loglikelihoods(context, parts)
    for option, part in zip(found.options, parts, strict=True):
        value, greedy = expected(context, part)
        assert option.loglikelihood == pytest.approx(value)
        assert option.is_greedy == (greedy if name == "vllm" else None)


async def test_a_silent_cut_of_ollama_is_found() -> None:
    report = await checked(SERVERS["ollama"](), "ollama")
    context = next(verdict for verdict in report.verdicts if verdict.name == "context")
    assert context.code == "context_cut"
    assert int(context.values["read"]) < int(context.values["sent"]) / 4


async def test_the_loaded_model_of_tabbyapi_is_not_taken_for_another() -> None:
    async with serving(SERVERS["tabbyapi"]()) as server:
        spec = server.spec(dialect="tabbyapi")
        report = await check(type(spec)(spec.base_url, "other", spec.policy, dialect="tabbyapi"))
    listed = next(verdict for verdict in report.verdicts if verdict.name == "model_listed")
    assert (listed.ok, listed.code, listed.values) == (False, "other_model", {"models": "tiny"})


async def test_a_full_queue_of_lightllm_is_asked_again() -> None:
    async def busy(request: web.Request) -> web.Response:
        return web.json_response({"message": "service is busy"}, status=417)

    async with serving(LightLLM()) as server:
        server.once = [busy]
        async with Client(server.spec(dialect="lightllm")) as client:
            said = await client.complete("Hello", max_tokens=1)
    assert said.attempts == 2
    async with serving(SERVERS["vllm"]()) as server, Client(server.spec(dialect="vllm")) as client:
        server.once = [busy]
        with pytest.raises(LLMError):
            await client.complete("Hello", max_tokens=1)


async def test_more_stop_texts_than_tgi_takes_still_stop() -> None:
    stops = ["§", "$", "%", "&", "o"]
    async with serving(SERVERS["tgi"]()) as server:
        async with Client(server.spec(dialect="tgi")) as client:
            said = await client.complete("The", max_tokens=1, stop=stops)
        (sent,) = server.posted("/v1/completions")
    assert sent["stop"] == stops[:4]
    assert "o" not in said.text
