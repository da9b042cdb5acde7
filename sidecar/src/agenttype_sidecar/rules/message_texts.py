r"""The texts of a message, in which a rule's pattern is searched. Pure.

In parsed JSON these are all strings. Where a sender chooses the names (a tool's arguments, a schema's properties),
names and numbers are texts too. The names of the protocols are not, or a rule about "content" would match every
message. A string may itself be JSON and hide letters as `\u0041`. So a string with backslashes is searched again with
its escapes decoded, down to `ESCAPES` levels.
"""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

import orjson
from agenttype_runtime import json_guard

#: How many times a text is unescaped at most: JSON in a string of JSON in a string of JSON.
ESCAPES: Final = 3
#: Members whose value, if it is an object, has names that the sender chose.
_OPEN: Final = frozenset({"arguments", "input", "metadata", "properties", "structuredContent"})
#: Members of stream events that repeat in each event, or repeat another member.
_CONSTANT: Final = frozenset(
    {"id", "object", "model", "type", "created", "logprobs", "usage", "index", "finish_reason", "system_fingerprint"}
)
#: Levels of a delta that have channels. Deeper values are searched one by one; no answer has its text there.
_DEEPEST: Final = 50
_ESCAPE: Final = re.compile(r"((?:\\u[0-9a-fA-F]{4})+)|\\(.)", re.DOTALL)
_PLAIN: Final = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}
#: An escape that the next fragment of a stream may complete: a part of \uXXXX, or half of a surrogate pair.
_BEGUN: Final = re.compile(r"\\(?:u[0-9a-fA-F]{0,3}|u[dD][89abAB][0-9a-fA-F]{2}(?:\\(?:u[0-9a-fA-F]{0,3})?)?)?\Z")


class TextFragment(NamedTuple):
    """A part of a stream's text; all fragments of one channel are one text. Without a channel it is a whole text."""

    channel: tuple[str | int, ...] | None
    text: str


def of_body(raw: bytes) -> Iterator[str]:
    """Yield the texts of a whole body; a body that is not JSON is one text."""
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


def of_event(data: bytes) -> Iterator[TextFragment]:
    """Yield the text fragments that a server-sent event of an LLM's answer carries."""
    found, event = _parsed(data)
    if not found:
        yield TextFragment(None, data.decode(errors="replace"))
    elif not isinstance(event, dict):
        yield from _whole(event)
    elif isinstance(event.get("choices"), list):
        yield from _choices(event)
    elif isinstance(event.get("delta"), dict | str):
        yield from _delta(event)
    else:
        yield from _whole(event)


def unescaped(text: str) -> str:
    """Return a text with JSON escapes decoded, whether or not it is JSON."""
    return _ESCAPE.sub(_undone, text)


def split_escape(text: str) -> tuple[str, str]:
    """Return the part that can be unescaped now, and the end of the text that may begin an escape."""
    if "\\" not in text[-12:]:
        return text, ""
    begun = _BEGUN.search(text, max(0, len(text) - 12))
    while begun is not None:
        # An escaped backslash begins no escape.
        before = len(text[: begun.start()]) - len(text[: begun.start()].rstrip("\\"))
        if before % 2 == 0:
            return text[: begun.start()], text[begun.start() :]
        begun = _BEGUN.search(text, begun.start() + 1)
    return text, ""


def _choices(event: dict[str, Any]) -> Iterator[TextFragment]:
    """Yield the fragments of a chunk of chat completions or completions."""
    for at, choice in enumerate(event["choices"]):
        if isinstance(choice, dict):
            yield from _fragments(choice, (_place(choice, at),))
        else:
            yield from _whole(choice)
    yield from _whole({name: value for name, value in event.items() if name not in _CONSTANT and name != "choices"})


def _delta(event: dict[str, Any]) -> Iterator[TextFragment]:
    """Yield the fragments of a delta of Messages or Responses."""
    kind, output, part = event.get("type"), event.get("output_index"), event.get("content_index")
    channel = tuple(each for each in (kind, output, part, event.get("index")) if isinstance(each, str | int))
    yield from _fragments(event["delta"], channel)
    yield from _whole({name: value for name, value in event.items() if name not in _CONSTANT and name != "delta"})


def _fragments(value: Any, channel: tuple[str | int, ...]) -> Iterator[TextFragment]:
    """Yield the strings of a delta, each in the channel of its place; the index counts, not the order."""
    if isinstance(value, str):
        yield TextFragment(channel, value)
    elif len(channel) > _DEEPEST:
        yield from _whole(value)
    elif isinstance(value, dict):
        for name, child in value.items():
            if name not in _CONSTANT:
                yield from _fragments(child, (*channel, name))
    elif isinstance(value, list):
        for at, child in enumerate(value):
            yield from _fragments(child, (*channel, _place(child, at)))


def _place(value: Any, at: int) -> int:
    index = value.get("index") if isinstance(value, dict) else None
    return index if isinstance(index, int) else at


def _whole(value: Any) -> Iterator[TextFragment]:
    return (TextFragment(None, text) for text in of_value(value))


def _parsed(raw: bytes) -> tuple[bool, Any]:
    """Return whether the bytes are JSON that can be read, and its value."""
    if json_guard.has_too_many_parts(raw):
        return False, None
    try:
        return True, orjson.loads(raw)
    except orjson.JSONDecodeError:
        pass
    try:  # half a surrogate pair, or a huge number: orjson refuses these, other readers do not
        return True, json.loads(raw)
    except (ValueError, RecursionError):
        return False, None


def _undone(found: re.Match[str]) -> str:
    numbers, plain = found.groups()
    if numbers is None:
        return _PLAIN.get(plain, plain)
    units = b"".join(int(number, 16).to_bytes(2, "big") for number in numbers.split("\\u")[1:])
    return units.decode("utf-16-be", errors="replace")
