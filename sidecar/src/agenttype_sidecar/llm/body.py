"""A caller's JSON body: read once, changed by splicing, all other bytes untouched.

One scan yields both the values that policy reads and the places where they stand, so what was judged is what is sent.
A body that two readers could understand differently is refused: duplicate members at any depth, a member that differs
from one of ours only in case (some servers ignore case), numbers that are no JSON or that no double can hold.
"""

import json
import re
from collections.abc import Iterable, Mapping
from math import isinf
from typing import Any, Final, NamedTuple

from agenttype_sidecar.errors import MalformedBody

MAX_DEPTH: Final = 100
#: Members that policy reads or writes.
GOVERNED: Final = frozenset({
    "model", "max_tokens", "max_completion_tokens", "max_output_tokens", "n", "best_of", "stream", "stream_options",
    "prompt", "messages", "input", "tools", "system", "instructions", "chat_template", "web_search_options",
    "mcp_servers", "background", "store", "previous_response_id", "conversation", "request_id",
    "previous_input_messages", "include_reasoning",
})  # fmt: skip

_BLANKS: Final = re.compile(r"[ \t\n\r]*")
_OPENING: Final = re.compile(r"[ \t\n\r]*(\{)[ \t\n\r]*")
_KEY: Final = re.compile(r'[ \t\n\r]*("(?:[^"\\\x00-\x1f]|\\.)*+")[ \t\n\r]*:[ \t\n\r]*')
_SIGN: Final = re.compile(r"[ \t\n\r]*([,}])")
_TWICE: Final = "the body has the same member twice; which one counts would be a guess"
_Members = dict[str, "Member"]


class Member(NamedTuple):
    """One member of the top-level object: its value, and where the value's text starts and ends."""

    value: Any
    start: int
    end: int


def _not_json(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    value = float(text)
    if isinf(value):  # written again, it would be no JSON
        raise ValueError("a number that no double can hold")
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise MalformedBody(_TWICE)
    return found


_scan: Final = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_not_json, parse_float=_finite).raw_decode
#: Writes whatever the scanner reads, huge numbers and lone surrogates too; in ASCII.
written: Final = json.JSONEncoder(separators=(",", ":")).encode


class Body:
    """A parsed body. `members` maps the top-level names to their values and places."""

    __slots__ = ("_first", "_text", "members", "size")

    def __init__(self, raw: bytes) -> None:
        """Parse `raw`.

        Raises:
            MalformedBody: It is not one JSON object, is nested too deep, or is ambiguous.
        """
        self.size = len(raw)
        try:
            self._text = raw.decode()
            self._first, self.members = _members(self._text)
        except ValueError as error:
            raise MalformedBody("the body is not valid JSON") from error
        except RecursionError as error:
            raise MalformedBody(f"the body is nested deeper than {MAX_DEPTH} levels") from error
        if raw.count(b"{") + raw.count(b"[") > MAX_DEPTH:
            _check_depth(self.members)

    def get(self, name: str) -> Any:
        """Return the value of a top-level member, None where there is none."""
        member = self.members.get(name)
        return None if member is None else member.value

    def spliced(self, changes: Mapping[str, Any]) -> bytes:
        """Return the body with the members of `changes` set; every byte of other members stays as it came."""
        text = self._text
        if not changes:
            return text.encode()
        parts: list[str] = []
        done = self._first
        added = [name for name in changes if name not in self.members]
        for name in sorted(
            (name for name in changes if name in self.members), key=lambda name: self.members[name].start
        ):
            member = self.members[name]
            parts += (text[done : member.start], written(changes[name]))
            done = member.end
        parts.append(text[done:])
        inserted = ",".join(f"{written(name)}:{written(changes[name])}" for name in added)
        comma = "," if added and self.members else ""
        return "".join((text[: self._first], inserted, comma, *parts)).encode()


def _members(text: str) -> tuple[int, _Members]:
    """Return the place after the opening brace, and the members in their order."""
    opening = _OPENING.match(text)
    if opening is None:
        raise MalformedBody("the body must be a JSON object")
    found: _Members = {}
    at = opening.end()
    closed = text[at : at + 1] == "}"
    at += closed
    while not closed:
        key = _KEY.match(text, at)
        if key is None:
            raise MalformedBody("the body is not valid JSON")
        quoted = key[1]
        name = json.loads(quoted) if "\\" in quoted else quoted[1:-1]
        start = key.end()
        value, end = _scan(text, start)
        if name in found or name not in GOVERNED:
            _check_name(name, found)
        found[name] = Member(value, start, end)
        sign = _SIGN.match(text, end)
        if sign is None:
            raise MalformedBody("the body is not valid JSON")
        at, closed = sign.end(), sign[1] == "}"
    if not _BLANKS.fullmatch(text, at):
        raise MalformedBody("the body must be one JSON object")
    return opening.end(1), found


def _check_name(name: str, found: _Members) -> None:
    """Refuse a name that is there twice, and one that is not ours but might be read as if it were."""
    if name in found:
        raise MalformedBody(_TWICE)
    if name.casefold() in GOVERNED:
        raise MalformedBody(f"write the member {name.casefold()} in lower case; other spellings are ambiguous")


def _check_depth(members: _Members) -> None:
    """Refuse deep nesting: not every reader that comes after us is as careful with its stack."""
    level = [member.value for member in members.values() if isinstance(member.value, dict | list)]
    for _ in range(MAX_DEPTH - 1):
        if not level:
            return
        level = [child for node in level for child in _children(node) if isinstance(child, dict | list)]
    if level:
        raise MalformedBody(f"the body is nested deeper than {MAX_DEPTH} levels")


def _children(node: dict[str, Any] | list[Any]) -> Iterable[Any]:
    return node.values() if isinstance(node, dict) else node
