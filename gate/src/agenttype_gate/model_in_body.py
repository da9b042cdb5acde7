"""Reads the model that a body asks for, the only member that the gate reads. Pure.

The engine reads the same bytes with the same rules, so the checked model is the model that answers. The body itself is
never rewritten.
"""

import json
from typing import Any, Final

from agenttype_runtime import json_guard

from agenttype_gate.errors import BadBody


class _Ambiguous(dict[str, Any]):
    """An object with a duplicate member."""


def _object(members: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(members)
    return found if len(found) == len(members) else _Ambiguous(found)


_decoder: Final = json.JSONDecoder(object_pairs_hook=_object, parse_constant=json_guard.no_constant)


def model(raw: bytes) -> str:
    """Return the top-level member `model`.

    Raises:
        BadBody: It is not one UTF-8 JSON object, has too many parts or a duplicate top-level member, or its `model` is
            not a string.
    """
    if json_guard.has_too_many_parts(raw):
        raise BadBody(f"the body has more than {json_guard.MOST_PARTS} members, elements, objects and arrays")
    try:
        body = _decoder.decode(raw.decode())
    except (ValueError, RecursionError) as error:
        raise BadBody("the body is not valid JSON") from error
    if not isinstance(body, dict):
        raise BadBody("the body must be a JSON object")
    if isinstance(body, _Ambiguous):
        raise BadBody("the body has the same member twice; which one counts would be a guess")
    name = body.get("model")
    if not isinstance(name, str) or not name:
        raise BadBody("the body needs a member 'model' that is a string")
    return name
