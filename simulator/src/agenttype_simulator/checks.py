"""Does a body fit its route? Values are read as leniently as pydantic reads them, mistakes worded as it words them."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from agenttype_simulator.errors import InvalidRequest

_SHOWN = 200
_REPORTED = 10
_TRUTHS = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}


class Mistake(Exception):  # noqa: N818 — a finding about a value, collected into one refusal
    """One value does not fit; `kind` is pydantic's name for how."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


@dataclass(frozen=True)
class Field:
    """How a field is read; a nullable one may be null, which then means its default."""

    read: Callable[[Any], Any]
    required: bool = False
    nullable: bool = True


Schema = Mapping[str, Field]


def integer(value: Any) -> int:
    """Read a whole number, also from text or a float without fraction."""
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        if not value.is_integer():
            raise Mistake("int_from_float", "Input should be a valid integer, got a number with a fractional part")
        return int(value)
    if isinstance(value, str):
        try:
            return int(value)
        except ValueError:
            raise Mistake(
                "int_parsing", "Input should be a valid integer, unable to parse string as an integer"
            ) from None
    raise Mistake("int_type", "Input should be a valid integer")


def number(value: Any) -> float:
    """Read a number, also from text."""
    if isinstance(value, int | float):
        return float(value)
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            raise Mistake(
                "float_parsing", "Input should be a valid number, unable to parse string as a number"
            ) from None
    raise Mistake("float_type", "Input should be a valid number")


def boolean(value: Any) -> bool:
    """Read a truth value, also from 0, 1 and words."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int | str):
        found = _TRUTHS.get(str(value).lower())
        if found is None:
            raise Mistake("bool_parsing", "Input should be a valid boolean, unable to interpret input")
        return found
    raise Mistake("bool_type", "Input should be a valid boolean")


def string(value: Any) -> str:
    """Read text."""
    if isinstance(value, str):
        return value
    raise Mistake("string_type", "Input should be a valid string")


def array(value: Any) -> list[Any]:
    """Read a list."""
    if isinstance(value, list):
        return value
    raise Mistake("list_type", "Input should be a valid list")


def structure(value: Any) -> dict[str, Any]:
    """Read an object."""
    if isinstance(value, dict):
        return value
    raise Mistake("model_attributes_type", "Input should be a valid dictionary or object to extract fields from")


def body_of(raw: bytes, content_type: str, schema: Schema) -> dict[str, Any]:
    """The JSON object of a request with its fields read, or the refusal that vLLM gives."""
    if content_type.lower().split(";", 1)[0] != "application/json":
        raise InvalidRequest("1 validation error:\n  Unsupported Media Type: Only 'application/json' is allowed")
    if not raw:
        raise refusal([described("missing", "body", "Field required", None)], "body")
    try:
        body = structure(_parsed(raw))
    except Mistake as mistake:
        shown = described(mistake.kind, "body", str(mistake), orjson.loads(raw))
        raise refusal([shown], "body") from mistake
    found = {}
    for name, field in schema.items():
        try:
            _read(body, name, field)
        except Mistake as mistake:
            value = body if mistake.kind == "missing" else body[name]
            found[name] = described(mistake.kind, f"body.{name}", str(mistake), value)
    if found:
        raise refusal(list(found.values()), f"body.{next(iter(found))}")
    return body


def _read(body: dict[str, Any], name: str, field: Field) -> None:
    if name not in body:
        if field.required:
            raise Mistake("missing", "Field required")
    elif body[name] is not None or not field.nullable:
        body[name] = field.read(body[name])


def value_refusal(name: str, message: str, value: Any) -> InvalidRequest:
    """The refusal of a value that a route's own validator rejects."""
    shown = described("value_error", f"body.{name}", f"Value error, {message}", value)
    return refusal([f"{shown[:-1]}, 'ctx': {{'error': ValueError({message!r})}}}}"], f"body.{name}")


def _parsed(raw: bytes) -> Any:
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        pass
    try:  # the standard library's wording is what vLLM passes on
        return json.loads(raw)
    except ValueError as error:
        place, reason = getattr(error, "pos", 0), getattr(error, "msg", str(error))
        shown = described("json_invalid", f"body.{place}", "JSON decode error", {})
        raise refusal([f"{shown[:-1]}, 'ctx': {{'error': {reason!r}}}}}"], f"body.{place}") from error


def described(kind: str, place: str, message: str, value: Any) -> str:
    """One mistake as vLLM prints it."""
    return str({"type": kind, "loc": place, "msg": message, "input": _summary(value)})


def _summary(value: Any) -> Any:
    if isinstance(value, list | dict):
        return f"<{type(value).__name__} of {len(value)} items>"
    text = value if isinstance(value, str) else str(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "...[truncated]"


def refusal(mistakes: list[str], param: str) -> InvalidRequest:
    """All mistakes of a body in one message, the first ten in full."""
    label = "error" if len(mistakes) == 1 else "errors"
    lines = [f"  {mistake}" for mistake in mistakes[:_REPORTED]]
    if len(mistakes) > _REPORTED:
        lines.append(f"  ...and {len(mistakes) - _REPORTED} more {label}")
    return InvalidRequest(f"{len(mistakes)} validation {label}:\n" + "\n".join(lines), param)
