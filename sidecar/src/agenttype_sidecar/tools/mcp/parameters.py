"""Arguments that also travel as header fields (`Mcp-Param-…`), as a tool's schema asks with `x-mcp-header`. Pure.

The body decides: the fields for the server are made from it, and a caller whose fields disagree is refused, so that no
proxy between us and the server routes by a value that the server does not read.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

from agenttype_proxy.messages import Headers

from agenttype_sidecar.tools.mcp import messages
from agenttype_sidecar.tools.mcp.protocol import PARAMETER

_MARK: Final = "x-mcp-header"
_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_NUMBER: Final = re.compile(r"-?[0-9]{1,300}(?:\.0+)?")
#: How deep the objects of a schema are searched.
_DEPTH: Final = 16


def fields(schema: Any, arguments: Any) -> Headers:
    """Return the header fields that a call's arguments ask for under a tool's schema."""
    return [(name, messages.header_value(text)) for name, text in _expected(schema, arguments)]


def agrees(schema: Any, arguments: Any, incoming: Headers) -> bool:
    """Return whether a caller's fields agree with the arguments.

    Fields that the schema does not ask for are ignored; a caller may leave fields out.
    """
    expected = dict(_expected(schema, arguments))
    known = {PARAMETER + name.lower().encode() for name, _, _ in _marked(schema, arguments)}
    seen: set[bytes] = set()
    for name, value in incoming:
        if name not in known:
            continue
        if name in seen or not _same(messages.decoded(value), expected.get(name)):
            return False
        seen.add(name)
    return True


def _same(said: str | None, meant: str | None) -> bool:
    if said is None or meant is None:
        return False
    if said != meant and _NUMBER.fullmatch(said) and _NUMBER.fullmatch(meant):
        return said.partition(".")[0] == meant.partition(".")[0]
    return said == meant


def _expected(schema: Any, arguments: Any) -> Iterator[tuple[bytes, str]]:
    for name, _, value in _marked(schema, arguments):
        if isinstance(value, bool):
            yield PARAMETER + name.lower().encode(), "true" if value else "false"
        elif isinstance(value, str | int | float):
            yield PARAMETER + name.lower().encode(), str(value)


def _marked(schema: Any, value: Any, depth: int = _DEPTH) -> Iterator[tuple[str, Any, Any]]:
    """Yield field name, schema and value of every property that has a field."""
    properties = schema.get("properties") if isinstance(schema, dict) else None
    if not isinstance(properties, dict) or not depth:
        return
    for key, inner in properties.items():
        part = value.get(key) if isinstance(value, dict) else None
        name = inner.get(_MARK) if isinstance(inner, dict) else None
        if isinstance(name, str) and _TOKEN.fullmatch(name):
            yield name, inner, part
        yield from _marked(inner, part, depth - 1)
