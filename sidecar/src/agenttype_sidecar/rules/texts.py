r"""The texts of a message: what a rule's pattern is searched in. Pure.

Of parsed JSON these are all strings. Where a sender chooses the names (a tool's arguments, a schema's properties),
names and numbers are texts as well; the names of the protocols are not, or a rule about "content" would hit every
message. A string may be JSON itself and hide letters as `\u0041`, so a string with backslashes is searched once more
with its escapes undone, down to `ESCAPES` levels.
"""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

import orjson
from agenttype_runtime import json_guard

#: How many times a text is unescaped at most: JSON in a string of JSON in a string of JSON.
ESCAPES: Final = 3
#: Members whose value, where it is an object, has names of the sender's own choice.
_OPEN: Final = frozenset({"arguments", "input", "metadata", "properties", "structuredContent"})
#: Members of stream events that repeat in each, or spell out what another member says as well.
_CONSTANT: Final = frozenset(
    {"id", "object", "model", "type", "created", "logprobs", "usage", "index", "finish_reason", "system_fingerprint"}
)
#: Levels of a delta that have channels; what lies deeper, as no answer's text does, is searched piece by piece.
_DEEPEST: Final = 50
_ESCAPE: Final = re.compile(r"((?:\\u[0-9a-fA-F]{4})+)|\\(.)", re.DOTALL)
_PLAIN: Final = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}
#: An escape that the next piece of a stream may complete: half a \uXXXX, or half a pair of them.
_BEGUN: Final = re.compile(r"\\(?:u[0-9a-fA-F]{0,3}|u[dD][89abAB][0-9a-fA-F]{2}(?:\\(?:u[0-9a-fA-F]{0,3})?)?)?\Z")


class Piece(NamedTuple):
    """A piece of text of a stream; pieces of one channel, in order, are one text. Without a channel: whole."""

    channel: tuple[str | int, ...] | None
    text: str


def of_body(raw: bytes) -> Iterator[str]:
    """Yield the texts of a whole body; one that is not JSON is a text itself."""
    found, value = _parsed(raw)
    if found:
        yield from of_value(value)
    else:
        yield raw.decode(errors="replace")


def of_value(value: Any, *, open_names: bool = False) -> list[str]:
    """Return the texts of parsed JSON, in no order.

    Args:
        value: what a JSON parser returned, nested no deeper than a parser allows.
        open_names: whether the sender chose the names of the members.
    """
    found: list[str] = []
    waiting: list[tuple[Iterable[Any], bool]] = [((value,), open_names)]
    while waiting:
        nodes, is_open = waiting.pop()
        for node in nodes:
            if isinstance(node, str):
                found.append(node)
            elif isinstance(node, dict):
                if is_open:
                    found += node
                elif not _OPEN.isdisjoint(node):
                    waiting += [((child,), name in _OPEN and isinstance(child, dict)) for name, child in node.items()]
                    continue
                waiting.append((node.values(), is_open))
            elif isinstance(node, list):
                waiting.append((node, is_open))
            elif is_open and isinstance(node, int | float) and not isinstance(node, bool):
                found.append(repr(node))
    return found


def of_event(data: bytes) -> Iterator[Piece]:
    """Yield the pieces of text that a server-sent event of an LLM's answer carries."""
    found, event = _parsed(data)
    if not found:
        yield Piece(None, data.decode(errors="replace"))
    elif not isinstance(event, dict):
        yield from _whole(event)
    elif isinstance(event.get("choices"), list):
        yield from _choices(event)
    elif isinstance(event.get("delta"), dict | str):
        yield from _delta(event)
    else:
        yield from _whole(event)


def unescaped(text: str) -> str:
    """Return a text with the escapes of JSON undone, whether or not it is JSON."""
    return _ESCAPE.sub(_undone, text)


def split_escape(text: str) -> tuple[str, str]:
    """Return what can be unescaped now, and the end of a text that may be the beginning of an escape."""
    if "\\" not in text[-12:]:
        return text, ""
    begun = _BEGUN.search(text, max(0, len(text) - 12))
    while begun is not None:
        # A backslash that is escaped itself begins nothing.
        before = len(text[: begun.start()]) - len(text[: begun.start()].rstrip("\\"))
        if before % 2 == 0:
            return text[: begun.start()], text[begun.start() :]
        begun = _BEGUN.search(text, begun.start() + 1)
    return text, ""


def _choices(event: dict[str, Any]) -> Iterator[Piece]:
    """Yield the pieces of a chunk of chat completions or completions."""
    for at, choice in enumerate(event["choices"]):
        if isinstance(choice, dict):
            yield from _pieces(choice, (_place(choice, at),))
        else:
            yield from _whole(choice)
    yield from _whole({name: value for name, value in event.items() if name not in _CONSTANT and name != "choices"})


def _delta(event: dict[str, Any]) -> Iterator[Piece]:
    """Yield the pieces of a delta of Messages or Responses."""
    kind, output, part = event.get("type"), event.get("output_index"), event.get("content_index")
    channel = tuple(each for each in (kind, output, part, event.get("index")) if isinstance(each, str | int))
    yield from _pieces(event["delta"], channel)
    yield from _whole({name: value for name, value in event.items() if name not in _CONSTANT and name != "delta"})


def _pieces(value: Any, channel: tuple[str | int, ...]) -> Iterator[Piece]:
    """Yield the strings of a delta, each in the channel of its place; an index counts, not the order."""
    if isinstance(value, str):
        yield Piece(channel, value)
    elif len(channel) > _DEEPEST:
        yield from _whole(value)
    elif isinstance(value, dict):
        for name, child in value.items():
            if name not in _CONSTANT:
                yield from _pieces(child, (*channel, name))
    elif isinstance(value, list):
        for at, child in enumerate(value):
            yield from _pieces(child, (*channel, _place(child, at)))


def _place(value: Any, at: int) -> int:
    index = value.get("index") if isinstance(value, dict) else None
    return index if isinstance(index, int) else at


def _whole(value: Any) -> Iterator[Piece]:
    return (Piece(None, text) for text in of_value(value))


def _parsed(raw: bytes) -> tuple[bool, Any]:
    """Return whether the bytes are JSON that can be read, and its value."""
    if json_guard.has_too_many_parts(raw):
        return False, None
    try:
        return True, orjson.loads(raw)
    except orjson.JSONDecodeError:
        pass
    try:  # half a surrogate pair, or a huge number: nothing to orjson, something to others
        return True, json.loads(raw)
    except (ValueError, RecursionError):
        return False, None


def _undone(found: re.Match[str]) -> str:
    numbers, plain = found.groups()
    if numbers is None:
        return _PLAIN.get(plain, plain)
    units = b"".join(int(number, 16).to_bytes(2, "big") for number in numbers.split("\\u")[1:])
    return units.decode("utf-16-be", errors="replace")
