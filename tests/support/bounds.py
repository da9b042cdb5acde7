"""How long an engine may work on an exchange, and whether the end of its answer is the model's choice.

Both are read from the request alone: an exchange that asks for too much is found before it is sent.
"""

import json
from typing import Any

from support.exchanges import A_CALL, CHAT, MESSAGES, RESPONSES, TEXT, Exchange

#: The members of a body that bound its answer, the strongest first.
MEMBERS = {
    CHAT: ("max_completion_tokens", "max_tokens"),
    TEXT: ("max_tokens",),
    MESSAGES: ("max_tokens",),
    RESPONSES: ("max_output_tokens",),
}
#: What a text gets whose caller names no bound, as in OpenAI's protocol.
OF_TEXT = 16
#: An answer may take so many tokens; one that the caller leaves before its end, this many.
MOST, MOST_WHEN_LEFT = 100, 500
#: So few tokens that no model ends before them: it has just begun.
FIRST_WORDS = 3


def bound(exchange: Exchange) -> int | None:
    """The most tokens that an engine makes for it; None where that is more than `MOST`, or not said."""
    body = _body(exchange)
    if body is None:
        return 0
    asked = [_whole(body[name]) for name in MEMBERS[exchange.path] if name in body]
    if not asked and exchange.path == TEXT:
        asked = [OF_TEXT]
    found = [number for number in (*asked[:1], _script(body)) if number is not None]
    most = MOST if exchange.leave_after is None else MOST_WHEN_LEFT
    return min(found) if found and min(found) <= most else None


def end_is_forced(exchange: Exchange) -> bool:
    """Whether every model ends its answer alike: at the bound, after the given words, or with the caller's leave."""
    body = _body(exchange)
    if body is None or exchange.leave_after is not None or body.get("ignore_eos"):
        return True
    return _script(body) is not None or (bound(exchange) or MOST) <= FIRST_WORDS


def is_scripted(body: dict[str, Any]) -> bool:
    """Whether a request leaves the model nothing to say but what it is given."""
    return _script(body) is not None


def _body(exchange: Exchange) -> dict[str, Any] | None:
    """The body of a request that may start an answer."""
    body = exchange.body if exchange.raw is None else _read(exchange.raw)
    generates = exchange.method == "POST" and exchange.path in MEMBERS and isinstance(body, dict)
    return body if generates else None


def _read(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        return None


def _whole(value: Any) -> int | None:
    """A bound as an engine reads it, from text too; None where it is no whole number."""
    try:
        return None if isinstance(value, float) else int(value)
    except (TypeError, ValueError):
        return None


def _script(body: dict[str, Any]) -> int | None:
    """The most tokens of what the model must say, one for each letter and the end; None where it has no script."""
    scripts = list(body.get("structured_outputs", {}).get("choice", []))
    if "output_config" in body:
        scripts += map(json.dumps, body["output_config"]["format"]["schema"]["enum"])
    if body.get("tool_choice", "none") not in ("none", "auto"):
        scripts += [A_CALL for tool in body.get("tools", []) if tool.get("function", tool).get("strict")]
    return max(map(len, scripts)) + 1 if scripts else None
