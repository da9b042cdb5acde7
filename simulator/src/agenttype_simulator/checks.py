"""Does a body fit its route? The mistakes are worded as vLLM's validation words them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from agenttype_simulator.errors import InvalidRequest

_SHOWN = 200


@dataclass(frozen=True)
class Kind:
    """What a field may hold, and how pydantic names the mistake."""

    types: tuple[type, ...]
    mistake: str
    message: str


INTEGER = Kind((int,), "int_type", "Input should be a valid integer")
NUMBER = Kind((int, float), "float_type", "Input should be a valid number")
STRING = Kind((str,), "string_type", "Input should be a valid string")
BOOLEAN = Kind((bool,), "bool_type", "Input should be a valid boolean")
LIST = Kind((list,), "list_type", "Input should be a valid list")
OBJECT = Kind((dict,), "dict_type", "Input should be a valid dictionary")
ANY = Kind((object,), "", "")


@dataclass(frozen=True)
class Schema:
    """The fields of a route that vLLM checks before its own code runs."""

    required: Mapping[str, Kind]
    optional: Mapping[str, Kind]


def body_of(raw: bytes, content_type: str, schema: Schema) -> dict[str, Any]:
    """The JSON object of a request, or the refusal that vLLM gives."""
    if content_type.lower().split(";", 1)[0] != "application/json":
        raise InvalidRequest(
            "1 validation error:\n  Unsupported Media Type: Only 'application/json' is allowed", param=None
        )
    if not raw:
        raise _refusal([_mistake("missing", "body", "Field required", None)], "body")
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError:
        body = _strict(raw)
    if not isinstance(body, dict):
        message = "Input should be a valid dictionary or object to extract fields from"
        raise _refusal([_mistake("model_attributes_type", "body", message, body)], "body")
    mistakes = [(f"body.{name}", _mistake_of(body, name, kind)) for name, kind in schema.required.items()]
    mistakes += [
        (f"body.{name}", _mistake_of(body, name, kind))
        for name, kind in schema.optional.items()
        if body.get(name) is not None
    ]
    found = [(name, mistake) for name, mistake in mistakes if mistake]
    if found:
        raise _refusal([mistake for _, mistake in found], found[0][0])
    return body


def _strict(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except ValueError as error:
        place = getattr(error, "pos", 0)
        reason = getattr(error, "msg", str(error))
        shown = (
            "{'type': 'json_invalid', 'loc': 'body.%d', 'msg': 'JSON decode error', 'input': %r, 'ctx': {'error': %r}}"
        )
        raise _refusal([shown % (place, "<dict of 0 items>", reason)], f"body.{place}") from error


def _mistake_of(body: dict[str, Any], name: str, kind: Kind) -> str:
    if name not in body:
        return _mistake("missing", f"body.{name}", "Field required", body)
    value = body[name]
    if isinstance(value, kind.types) and (kind is BOOLEAN or kind is ANY or not isinstance(value, bool)):
        return ""
    return _mistake(kind.mistake, f"body.{name}", kind.message, value)


def _mistake(kind: str, place: str, message: str, value: Any) -> str:
    return str({"type": kind, "loc": place, "msg": message, "input": _summary(value)})


def _summary(value: Any) -> Any:
    if isinstance(value, list | dict):
        return f"<{type(value).__name__} of {len(value)} items>"
    if isinstance(value, str):
        return value if len(value) <= _SHOWN else value[:_SHOWN] + "...[truncated]"
    return str(value)


def _refusal(mistakes: list[str], param: str | None) -> InvalidRequest:
    label = "error" if len(mistakes) == 1 else "errors"
    lines = "\n".join(f"  {mistake}" for mistake in mistakes)
    return InvalidRequest(f"{len(mistakes)} validation {label}:\n{lines}", param)
