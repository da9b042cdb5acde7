"""The dispatcher: one table of routes, faults before them, refusals after them."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

import orjson

from agenttype_simulator import anthropic, chat, completions, embeddings, models, responses, tokens
from agenttype_simulator.errors import NoRoute, Refusal
from agenttype_simulator.exchange import Exchange, Message, Receive, Send
from agenttype_simulator.faults import Fault
from agenttype_simulator.service import VERSION, Service

Route = Callable[[Service, Exchange, bytes], Awaitable[None]]
CONTROL = "/simulator/"


async def _health(service: Service, exchange: Exchange, _raw: bytes) -> None:
    alive = service.dead_since is None
    await exchange.reply(b"", HTTPStatus.OK if alive else HTTPStatus.SERVICE_UNAVAILABLE)


async def _version(_service: Service, exchange: Exchange, _raw: bytes) -> None:
    await exchange.json({"version": VERSION})


async def _metrics(service: Service, exchange: Exchange, _raw: bytes) -> None:
    kind = {"content-type": "text/plain; version=1.0.0; charset=utf-8"}
    await exchange.reply(service.metrics.text().encode(), headers=kind)


ROUTES: dict[str, dict[str, Route]] = {
    "/health": {"GET": _health},
    "/version": {"GET": _version},
    "/metrics": {"GET": _metrics},
    "/v1/models": {"GET": models.listed},
    "/v1/chat/completions": {"POST": chat.complete},
    "/v1/completions": {"POST": completions.complete},
    "/v1/responses": {"POST": responses.create},
    "/v1/messages": {"POST": anthropic.messages},
    "/v1/messages/count_tokens": {"POST": anthropic.count_tokens},
    "/v1/load_lora_adapter": {"POST": models.load},
    "/v1/unload_lora_adapter": {"POST": models.unload},
    "/tokenize": {"POST": tokens.tokenize},
}
#: Paths that hold a response's name.
RESPONSES: dict[str, dict[str, Route]] = {
    "": {"GET": responses.retrieve},
    "/cancel": {"POST": responses.cancel},
}
#: An engine that embeds answers nothing and has these instead.
EMBEDDING: dict[str, dict[str, Route]] = {"/v1/embeddings": {"POST": embeddings.embed}}
ANSWERING = ("/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages", "/v1/messages/count_tokens")
_RESPONSE = re.compile(r"/v1/responses/[^/]+(.*)")


class App:
    """The ASGI application."""

    def __init__(self, service: Service) -> None:
        self.service = service

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one exchange."""
        exchange = Exchange(scope, receive, send)
        try:
            raw = await exchange.read()
        except ConnectionResetError:
            return
        if exchange.path.startswith(CONTROL):
            await self._control(exchange, raw)
            return
        exchange.arrival.body = _shown(raw)
        self.service.script.arrivals.append(exchange.arrival)
        exchange.fault = self.service.script.next_for(exchange.path)
        await exchange.unless_left(self._answer(exchange, raw))

    async def _answer(self, exchange: Exchange, raw: bytes) -> None:
        if exchange.fault is not None:
            exchange.arrival.outcome = "faulted"
            if await _faulted(exchange, exchange.fault):
                return
        try:
            await _route(self.service, exchange)(self.service, exchange, raw)
        except Refusal as refusal:
            await exchange.json(refusal.body(), refusal.status, refusal.headers)
        if exchange.arrival.outcome == "running":
            exchange.arrival.outcome = "answered"

    async def _control(self, exchange: Exchange, raw: bytes) -> None:
        script = self.service.script
        match exchange.method, exchange.path.removeprefix(CONTROL):
            case "POST", "faults":
                try:
                    script.add(orjson.loads(raw))
                except Refusal as refusal:
                    await exchange.json(refusal.body(), refusal.status)
                    return
                await exchange.json({"faults": len(script.faults)})
            case "DELETE", "faults":
                script.faults.clear()
                await exchange.json({"faults": 0})
            case "GET", "requests":
                await exchange.json(script.listed())
            case "DELETE", "requests":
                script.arrivals.clear()
                await exchange.json({"requests": []})
            case _:
                await exchange.json({"error": "no such control route"}, HTTPStatus.NOT_FOUND)


def _methods(service: Service, path: str) -> dict[str, Route] | None:
    if service.options.embeds and path in EMBEDDING:
        return EMBEDDING[path]
    if service.options.embeds and path.startswith(ANSWERING):
        return None
    found = _RESPONSE.fullmatch(path)
    return RESPONSES.get(found[1]) if found else ROUTES.get(path)


def _route(service: Service, exchange: Exchange) -> Route:
    methods = _methods(service, exchange.path)
    if methods is None and exchange.path.endswith("/") and exchange.path.rstrip("/") in ROUTES:
        return _redirected
    if methods is None:
        raise NoRoute(HTTPStatus.NOT_FOUND)
    if exchange.method not in methods:
        raise NoRoute(HTTPStatus.METHOD_NOT_ALLOWED, ", ".join(methods))
    return methods[exchange.method]


async def _redirected(_service: Service, exchange: Exchange, _raw: bytes) -> None:
    where = f"http://{exchange.headers.get('host', '')}{exchange.path.rstrip('/')}"
    await exchange.reply(b"", HTTPStatus.TEMPORARY_REDIRECT, {"location": where})


async def _faulted(exchange: Exchange, fault: Fault) -> bool:
    """Act out a fault that replaces the reply; false when the reply itself is to be disturbed or delayed."""
    if fault.status is not None:
        body = fault.body if fault.body is not None else Refusal("scripted", fault.status, "Scripted").body()
        await exchange.json(body, fault.status, fault.headers)
        return True
    if fault.hang:
        await asyncio.Event().wait()
    await asyncio.sleep(fault.delay)
    return False


def _shown(raw: bytes) -> Any:
    """A body as a test wants to read it: JSON where it is JSON, else text."""
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        return raw.decode(errors="replace")
