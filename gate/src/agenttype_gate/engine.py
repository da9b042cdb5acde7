"""The controller's client for the engine: what it serves, and the three calls that load, unload and probe."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson
from agenttype_proxy.client import Client
from agenttype_proxy.errors import UpstreamError
from agenttype_proxy.messages import Deadlines, Headers, Origin, Request

from agenttype_gate.error_responses import JSON
from agenttype_gate.errors import EngineAway, EngineLost, Rejected

_QUICK: Final = Deadlines(connect=1.0, first_byte=5.0, idle=5.0, total=10.0)
_SLOW: Final = Deadlines(connect=2.0, first_byte=120.0, idle=30.0, total=180.0)
_LIMIT: Final = 16 * 1024 * 1024
_OK: Final = 200
_BAD_REQUEST: Final = 400
_ERRORS: Final = 500
_NOT_NOW: Final = (429, 503)
_LONGEST: Final = 300


@dataclass(frozen=True)
class Served:
    """What the engine reports that it serves.

    Attributes:
        cards: Every entry of `/v1/models`, by served name.
        base: Names of the base model.
        adapters: Adapters by served name, with the path each was loaded from.
    """

    cards: Mapping[str, Mapping[str, Any]]
    base: frozenset[str]
    adapters: Mapping[str, str]


@dataclass(frozen=True)
class Answer:
    """A whole answer of the engine."""

    status: int
    headers: Headers
    body: bytes


class Engine:
    """A client with its own connections, so that agents' calls cannot delay the controller."""

    def __init__(self, client: Client, origin: Origin) -> None:
        self._client = client
        self._origin = origin

    async def get(self, path: bytes) -> Answer:
        """Return the answer to a GET, with any status.

        Raises:
            EngineAway: There is no answer.
        """
        return await self._ask(Request(b"GET", self._origin.target(path), [], b""), _QUICK)

    async def served(self) -> Served:
        """Return what is served now.

        Raises:
            EngineAway: The engine is not reachable.
            EngineLost: It is reachable, but gives no list.
        """
        answer = await self.get(b"/v1/models")
        if answer.status != _OK:
            raise EngineLost(f"the engine answers its list of models with status {answer.status}")
        try:
            cards = {str(card["id"]): card for card in orjson.loads(answer.body)["data"]}
        except (ValueError, TypeError, KeyError) as error:
            raise EngineLost("the engine's list of models cannot be read") from error
        adapters = {name: str(card.get("root")) for name, card in cards.items() if card.get("parent") is not None}
        return Served(cards, frozenset(cards.keys() - adapters.keys()), adapters)

    async def load(self, name: str, path: str) -> None:
        """Load an adapter; "already loaded" is not an error here, because only `root` tells from which path.

        Raises:
            Rejected: The engine refuses it permanently.
            EngineAway: The engine does not answer, or refuses for now.
        """
        answer = await self._post(b"/v1/load_lora_adapter", {"lora_name": name, "lora_path": path})
        if answer.status == _OK or (answer.status == _BAD_REQUEST and b"already" in answer.body):
            return
        raise Rejected(f"the engine refuses it: {_message(answer)}")

    async def unload(self, name: str) -> None:
        """Ask the engine to unload an adapter; only its list of models shows whether it did.

        Raises:
            EngineAway: The engine does not answer.
        """
        await self._post(b"/v1/unload_lora_adapter", {"lora_name": name})

    async def probe(self, name: str) -> tuple[int, int]:
        """Make the engine compute one token with an adapter; return prompt and completion tokens.

        Raises:
            Rejected: The engine cannot answer with it.
            EngineAway: The engine does not answer, or refuses for now.
        """
        question = {"model": name, "prompt": "1", "max_tokens": 1, "temperature": 0}
        answer = await self._post(b"/v1/completions", question)
        if answer.status != _OK:
            raise Rejected(f"the engine cannot answer with it: {_message(answer)}")
        try:
            usage = orjson.loads(answer.body)["usage"]
            return int(usage["prompt_tokens"]), int(usage["completion_tokens"])
        except (ValueError, TypeError, KeyError) as error:
            raise Rejected("the engine's answer with it cannot be read") from error

    async def _post(self, path: bytes, body: Mapping[str, object]) -> Answer:
        request = Request(b"POST", self._origin.target(path), [JSON], orjson.dumps(body))
        answer = await self._ask(request, _SLOW)
        if answer.status in _NOT_NOW:
            raise EngineAway(f"the engine cannot take the call now: {_message(answer)}")
        if answer.status >= _ERRORS and await self._is_dead():
            raise EngineLost(f"the engine died of it: {_message(answer)}")
        return answer

    async def _is_dead(self) -> bool:
        # An engine whose core has died answers every call with 500 until its container restarts.
        try:
            return (await self.get(b"/health")).status != _OK
        except EngineAway:
            return True

    async def _ask(self, request: Request, deadlines: Deadlines) -> Answer:
        try:
            async with await self._client.send(self._origin, request, deadlines) as response:
                return Answer(response.status, response.headers, await response.read(_LIMIT))
        except UpstreamError as error:
            kind = EngineLost if error.dispatched else EngineAway
            raise kind(f"the engine does not answer: {error}") from error


def _message(answer: Answer) -> str:
    text = answer.body.decode(errors="replace")
    with contextlib.suppress(ValueError, TypeError, KeyError):  # otherwise it is plain text
        text = str(orjson.loads(answer.body)["error"]["message"])
    text = " ".join(text.split())
    return f"status {answer.status}: {text if len(text) <= _LONGEST else text[:_LONGEST] + '…'}"
