"""A caller's JSON body: read once, changed by splicing, all other bytes unchanged.

One scan yields both the values that policy reads and their places in the text, so what was checked is what is sent. A
body that two readers could understand differently is refused: duplicate members at any depth, a member that differs
from one of ours only in case (some servers ignore case), numbers that are not JSON or that a double cannot hold.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from json.scanner import make_scanner
from typing import Any, Final

from agenttype_runtime import json_guard

from agenttype_sidecar.errors import MalformedBody

MAX_DEPTH: Final = 100
#: Members that policy reads or writes.
GOVERNED: Final = frozenset({
    "model", "max_tokens", "max_completion_tokens", "max_output_tokens", "n", "best_of", "stream", "stream_options",
    "prompt", "messages", "input", "tools", "system", "instructions", "chat_template", "web_search_options",
    "mcp_servers", "background", "store", "previous_response_id", "conversation", "request_id",
    "previous_input_messages", "include_reasoning", "prompt_embeds", "padding", "chat_template_kwargs", "container",
    "kv_transfer_params", "ec_transfer_params", "vllm_xargs", "priority", "service_tier", "speed", "inference_geo",
    "modalities", "audio", "context_management",
})  # fmt: skip

_NAME: Final = r'[ \t\n\r]*("(?:[^"\\\x00-\x1f]|\\.)*+")[ \t\n\r]*:[ \t\n\r]*'
_BLANKS: Final = re.compile(r"[ \t\n\r]*")
#: The opening brace, and the name of the first member if there is one.
_FIRST: Final = re.compile(rf"[ \t\n\r]*(?:\{{{_NAME}|\{{[ \t\n\r]*\}})")
#: What may follow a member: the name of another one, or the closing brace.
_NEXT: Final = re.compile(rf"[ \t\n\r]*(?:,{_NAME}|\}})")
_TWICE: Final = "the body has the same member twice; which one counts would be a guess"
_Place = tuple[int, int]


_scan: Final = make_scanner(json_guard.strict_decoder())  # type: ignore[arg-type]  # typeshed wants a scanner
#: Writes everything that the scanner reads, huge numbers and lone surrogates too; in ASCII.
written: Final = json.JSONEncoder(separators=(",", ":")).encode


class Body:
    """A parsed body.

    Attributes:
        size: Its bytes.
        members: The values of the top-level object by name, in order.
        places: Where the text of each value starts and ends.
        get: Returns the value of a member by its name, None if there is none.
    """

    __slots__ = ("_text", "get", "members", "places", "size")

    get: Callable[[str], Any]

    def __init__(self, raw: bytes) -> None:
        """Parse `raw`.

        Raises:
            MalformedBody: It is not one JSON object, is nested too deep, has too many parts, or is ambiguous.
        """
        self.size = len(raw)
        if json_guard.has_too_many_parts(raw):
            raise MalformedBody(f"the body has more than {json_guard.MOST_PARTS} members, elements, objects and arrays")
        try:
            self._text = raw.decode()
            self.members, self.places = _read(self._text)
        except json_guard.RepeatedMember as error:
            raise MalformedBody(_TWICE) from error
        except (ValueError, StopIteration) as error:  # StopIteration is the scanner's: there is no value
            raise MalformedBody("the body is not valid JSON") from error
        except RecursionError as error:
            raise MalformedBody(f"the body is nested deeper than {MAX_DEPTH} levels") from error
        if raw.count(b"{") + raw.count(b"[") > MAX_DEPTH:
            _check_depth(self.members)
        self.get = self.members.get

    def spliced(self, changes: Mapping[str, Any]) -> bytes:
        """Return the body with the members of `changes` set; all other members keep every byte."""
        text = self._text
        if not changes:
            return text.encode()
        parts: list[str] = []
        done = first = text.index("{") + 1
        added = [name for name in changes if name not in self.places]
        for (start, end), name in sorted((self.places[name], name) for name in changes if name in self.places):
            parts += (text[done:start], written(changes[name]))
            done = end
        parts.append(text[done:])
        inserted = ",".join(f"{written(name)}:{written(changes[name])}" for name in added)
        comma = "," if added and self.members else ""
        return "".join((text[:first], inserted, comma, *parts)).encode()


def _read(text: str) -> tuple[dict[str, Any], dict[str, _Place]]:
    """Return the members of a JSON object and the places of their values."""
    members: dict[str, Any] = {}
    places: dict[str, _Place] = {}
    found = _FIRST.match(text)
    if found is None:
        is_one = text.lstrip(" \t\n\r").startswith("{")
        raise MalformedBody("the body is not valid JSON" if is_one else "the body must be a JSON object")
    while quoted := found[1]:
        name = json.loads(quoted) if "\\" in quoted else quoted[1:-1]
        if name in places or name not in GOVERNED:
            _check_name(name, places)
        start = found.end()
        members[name], end = _scan(text, start)
        places[name] = start, end
        found = _NEXT.match(text, end)
        if found is None:
            raise MalformedBody("the body is not valid JSON")
    end = found.end()
    if end != len(text) and not _BLANKS.fullmatch(text, end):
        raise MalformedBody("the body must be one JSON object")
    return members, places


def _check_name(name: str, known: Mapping[str, _Place]) -> None:
    """Refuse a duplicate name, and one that differs from a governed name only in case."""
    if name in known:
        raise MalformedBody(_TWICE)
    if name.casefold() in GOVERNED:
        raise MalformedBody(f"write the member {name.casefold()} in lower case; other spellings are ambiguous")


def _check_depth(members: Mapping[str, Any]) -> None:
    """Refuse deep nesting, because later readers may be less careful with their stack."""
    level = [value for value in members.values() if isinstance(value, dict | list)]
    for _ in range(MAX_DEPTH - 1):
        if not level:
            return
        level = [child for node in level for child in _children(node) if isinstance(child, dict | list)]
    if level:
        raise MalformedBody(f"the body is nested deeper than {MAX_DEPTH} levels")


def _children(node: dict[str, Any] | list[Any]) -> Iterable[Any]:
    return node.values() if isinstance(node, dict) else node
