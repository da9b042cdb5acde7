"""The guard against JSON that two readers could read differently, and against JSON that takes our memory. Pure."""

import json
import re
from math import isinf
from typing import Any, Final, NoReturn

MOST_PARTS: Final = 300_000
"""Members, elements and containers of one message. Parsed they take some 30 MB and a quarter of a second at most;
8 MB of ``{},{},`` would take 500 MB and four seconds, in which no other call is answered."""

_TEXT: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_SIGNS: Final = (b",", b":", b"{", b"[")


class RepeatedMember(ValueError):  # noqa: N818 — says what is wrong
    """An object has the same member twice; which one counts would be a guess."""


def has_too_many_parts(raw: bytes) -> bool:
    """Return whether a JSON text has more parts than ``MOST_PARTS``; what stands in its strings does not count."""
    if len(raw) <= MOST_PARTS or _signs(raw) <= MOST_PARTS:  # every part has a sign of its own
        return False
    return _signs(_TEXT.sub(b"", raw)) > MOST_PARTS


def unique_members(members: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object of these members.

    Raises:
        RepeatedMember: One stands twice.
    """
    found = dict(members)
    if len(found) != len(members):
        raise RepeatedMember("the same member twice")
    return found


def no_constant(name: str) -> NoReturn:
    """Refuse what Python reads and JSON does not have: NaN and the infinities."""
    raise ValueError(f"{name} is not JSON")


def finite(text: str) -> float:
    """Return a number.

    Raises:
        ValueError: No double can hold it: written again, it would be no JSON.
    """
    value = float(text)
    if isinf(value):
        raise ValueError("a number that no double can hold")
    return value


def strict_decoder() -> json.JSONDecoder:
    """Return a decoder that refuses, with a ValueError, what two readers could read differently, at any depth."""
    return json.JSONDecoder(object_pairs_hook=unique_members, parse_constant=no_constant, parse_float=finite)


def _signs(raw: bytes) -> int:
    return sum(map(raw.count, _SIGNS))
