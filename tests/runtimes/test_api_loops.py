"""The loops on the official SDKs, against a provider of our own: what they send and what they make of what comes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app.config import Paths
from app.config.prices import load_prices
from app.domain.errors import RuntimeFailure
from app.domain.fleet import AgentSpec
from app.domain.loop_actions import loop_tools
from app.domain.loops import ContextOverflow, LoopCall, LoopItem, LoopOutcome, LoopReply, ModelAsk, ModelRefused, Told
from app.domain.ports import Brief, LoopRuntime, Said
from app.gateway.conversation import Toolbox
from app.gateway.dialects import CHAT, MESSAGES, RESPONSES, Dialect, Making
from app.gateway.listener import Listener
from app.gateway.rehearsal import Move, UseTool
from app.runtimes.anthropic_loop import AnthropicLoop
from app.runtimes.api_loop import PLACEHOLDER, ApiLoop
from app.runtimes.factory import make_runtime
from app.runtimes.openai_loop import OpenAILoop
from app.testing import FakeSandbox

Answer = Callable[[Request, Mapping[str, Any]], Response]
DIALECTS = {"openai": RESPONSES, "openai-chat": CHAT, "anthropic": MESSAGES}
every_api = pytest.mark.parametrize("api", DIALECTS)
NOTE = Move("I note it.", "Hm.", (UseTool("call_1", "memory_append", {"text": "It."}),))


class Provider:
    """Answers every request with ``answer`` and keeps what was asked."""

    def __init__(self, api: str, door: Path) -> None:
        self.api, self.door = api, door
        self.bodies: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.answer: Answer = self.moves(NOTE)
        kind = "anthropic" if api == "anthropic" else "openai"
        self.runtime = make_runtime(AgentSpec.model_validate({"id": "a", "type": kind}))

    @property
    def dialect(self) -> Dialect:
        return DIALECTS[self.api]

    def moves(self, move: Move) -> Answer:
        def answer(request: Request, body: Mapping[str, Any]) -> Response:
            whole = self.dialect.whole(move, Toolbox(), Making("m", 1, "seed", (90, 10, 0)))
            return Response(b"".join(self.dialect.events(whole, body)), media_type="text/event-stream")

        return answer

    async def serve(self, request: Request) -> Response:
        if request.method == "GET":
            models = [{"id": "little", "object": "model", "type": "model", "created": 1, "owned_by": "me"}]
            return JSONResponse({"object": "list", "data": models, "has_more": False})
        self.bodies.append(await request.json())
        self.keys.append(request.headers.get("x-api-key") or request.headers["authorization"])
        return self.answer(request, self.bodies[-1])

    async def ask(self, *items: LoopItem, model: str | None = "m", provider: str = "own", **more: Any) -> LoopReply:
        brief = Brief("alice", model, provider, "# You are alice\n", "http://unused", self.door, self.api)
        await self.runtime.prepare(FakeSandbox("alice"), brief)
        assert isinstance(self.runtime, LoopRuntime)
        self.said: list[Said] = []

        async def hear(said: Said) -> None:
            self.said.append(said)

        return await self.runtime.ask(ModelAsk("loop-r1-alice-1", items, loop_tools(), **more), hear)


@pytest.fixture
async def provider(api: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Provider]:
    monkeypatch.setattr(ApiLoop, "pause_seconds", 0.01)
    provider = Provider(api, tmp_path / "door")
    app = Starlette(routes=[Route("/{path:path}", provider.serve, methods=["GET", "POST"])])
    listener = await Listener.open(provider.door, app)
    yield provider
    await provider.runtime.close()
    await listener.close()


def status(code: int, body: Mapping[str, Any] | None = None) -> Answer:
    return lambda request, _: JSONResponse(body or {"error": {"message": "no", "type": "x"}}, status_code=code)


@every_api
async def test_an_answer_is_heard_and_understood(provider: Provider) -> None:
    reply = await provider.ask(Told(text="Note it."))
    assert (reply.stop, reply.input_tokens, reply.output_tokens) == ("tools", 90, 10)
    (call,) = reply.calls
    assert (call.id, call.name, call.arguments) == ("call_1", "memory_append", '{"text": "It."}')
    words = "".join(item.text for item in provider.said if not item.thought)
    assert words == reply.text and words.endswith("I note it.")
    assert provider.keys[0].endswith(PLACEHOLDER), "there is no key on this side"


@every_api
async def test_what_was_said_goes_back(provider: Provider) -> None:
    first = await provider.ask(Told(text="Note it."))
    done = LoopOutcome(id="call_1", name="memory_append", text="Not now.", ok=False)
    await provider.ask(Told(text="Note it."), first, done, Told(text="Well?"))
    body = provider.bodies[-1]
    asked = provider.dialect.read(body).conversation
    kinds = [type(item).__name__ for item in asked.items]
    assert kinds == ["Prompt", "Words", "Call", "Outcome", "Prompt"]


@every_api
async def test_a_reply_of_another_api_goes_along(provider: Provider) -> None:
    call = LoopCall(id="call_x", name="run_command", arguments="{no json")
    other = LoopReply(api="none of these", text="So.", calls=(call,), stop="tools", native=({"odd": True},))
    await provider.ask(Told(text="Go."), other, LoopOutcome(id="call_x", name="run_command", text="Wrong.", ok=False))
    asked = provider.dialect.read(provider.bodies[-1]).conversation
    assert [type(item).__name__ for item in asked.items] == ["Prompt", "Words", "Call", "Outcome"]
    assert "{no json" not in str(provider.bodies[-1]), "servers choke on arguments that are no JSON"


@every_api
async def test_every_call_has_an_id_of_its_own(provider: Provider) -> None:
    reply = await provider.ask(Told(text="Note it."), taken={"call_1"}, mark="t2s3")
    assert [call.id for call in reply.calls] == ["call_t2s3_1"]
    assert "call_1" not in str(reply.native)


@every_api
async def test_a_model_is_chosen(provider: Provider) -> None:
    await provider.ask(Told(text="Go."), model=None)
    assert provider.bodies[-1]["model"] == "little", "the first that the provider lists"
    await provider.runtime.close()
    vendor = "anthropic" if provider.api == "anthropic" else "openai"
    await provider.ask(Told(text="Go."), model=None, provider=vendor)
    assert provider.bodies[-1]["model"] == {"openai": "gpt-5.4", "anthropic": "claude-sonnet-5-5"}[vendor]


def test_default_models_have_a_price(paths: Paths) -> None:
    prices = load_prices(paths)
    for loop in (OpenAILoop, AnthropicLoop):
        assert prices.cost(loop.default_model, given=1, made=1, cached=0, written=0), "a budget in dollars holds"


@every_api
async def test_a_summary_may_call_nothing(provider: Provider) -> None:
    await provider.ask(Told(text="Sum up."), may_call=False)
    assert provider.bodies[-1]["tool_choice"] in ("none", {"type": "none"})
    assert len(provider.bodies[-1]["tools"]) == len(loop_tools())


@every_api
@pytest.mark.parametrize(
    ("code", "message", "error"),
    [
        (401, "no such key", ModelRefused),
        (404, "no such model", ModelRefused),
        (400, "This model's maximum context length is 8192 tokens", ContextOverflow),
        (400, "prompt is too long: 210000 tokens > 200000 maximum", ContextOverflow),
        (400, "tools: wrong", ModelRefused),
    ],
)
async def test_what_a_provider_says_is_understood(
    provider: Provider, code: int, message: str, error: type[RuntimeFailure]
) -> None:
    provider.answer = status(code, {"error": {"message": message, "type": "invalid_request_error"}})
    with pytest.raises(error, match=message[:20]):
        await provider.ask(Told(text="Go."))
    assert len(provider.bodies) == 1, "asked once"


@every_api
async def test_an_answer_without_an_end_is_asked_for_again(provider: Provider) -> None:
    def half(request: Request, body: Mapping[str, Any]) -> Response:
        whole = provider.moves(NOTE)(request, body).body
        return Response(bytes(whole)[: len(whole) // 2], media_type="text/event-stream")

    provider.answer = half
    with pytest.raises(RuntimeFailure) as caught:
        await provider.ask(Told(text="Go."))
    assert caught.value.retryable and len(provider.bodies) == 3


@every_api
async def test_a_door_that_is_closed_may_open_again(provider: Provider, tmp_path: Path) -> None:
    provider.door = tmp_path / "nothing"
    with pytest.raises(RuntimeFailure, match="could not be reached") as caught:
        await provider.ask(Told(text="Go."))
    assert caught.value.retryable


@pytest.mark.parametrize("api", ["anthropic"])
async def test_anthropic_keeps_what_it_has_read(provider: Provider) -> None:
    thinking = {"type": "thinking", "thinking": "Hm.", "signature": "s1"}
    reply = LoopReply(api="anthropic", text="So.", native=(thinking, {"type": "text", "text": "So."}))
    await provider.ask(Told(text="One."), reply, Told(text="Two."), Told(text="Three."))
    body = provider.bodies[-1]
    assert body["system"][0]["cache_control"] == {"type": "ephemeral"}
    assert [message["role"] for message in body["messages"]] == ["user", "assistant", "user"]
    assert body["messages"][1]["content"][0] == thinking, "signed thoughts go back as they came"
    marked = [block for message in body["messages"] for block in message["content"] if "cache_control" in block]
    assert [block["text"] for block in marked] == ["Three."]


@pytest.mark.parametrize("api", ["openai"])
async def test_openai_keeps_what_it_has_read(provider: Provider) -> None:
    reasoning = {"type": "reasoning", "summary": [], "encrypted_content": "e1"}
    reply = LoopReply(api="openai", native=(reasoning,))
    await provider.ask(Told(text="One."), reply, Told(text="Two."), model="gpt-5.1")
    body = provider.bodies[-1]
    assert body["prompt_cache_key"] == "loop-r1-alice-1" and body["store"] is False
    assert body["include"] == ["reasoning.encrypted_content"]
    assert body["input"][1] == reasoning
    await provider.runtime.close()
    await provider.ask(Told(text="One."), model="gpt-4.1")
    assert "include" not in provider.bodies[-1], "models without such thoughts refuse to be asked for them"
