"""The tokens that a call took, as its answer reports, and what it is charged if the answer does not. Pure."""

import re
from enum import StrEnum
from typing import Any, Final, NamedTuple

import orjson
from agenttype_api.policy import WireProtocol
from agenttype_runtime import json_guard

from agenttype_sidecar.budget.amounts import Amounts

#: Bytes of English or code per token, roughly; only for what is neither reported nor held.
_BYTES_PER_TOKEN: Final = 4
#: More than any call can take; a larger number is ignored.
_MOST: Final = 10**12
#: The most items of one response that are remembered by name.
_MOST_IDS: Final = 256
#: Tokens that an engine may have written but not sent when it was cut off.
UNSEEN: Final = 16
#: The most tokens that any engine writes per second for one answer.
FASTEST: Final = 1000
_NUMBERS: Final = re.compile(rb"\[[-+.0-9eE, \t\n\r]++\]")


class Source(StrEnum):
    """How well a number is known."""

    PROVIDER = "provider"
    """The backend's own total."""
    COUNTED = "counted"
    """The backend's running count when the call was cut, plus the most that it can have written since."""
    ESTIMATED = "estimated"
    """Estimated from sizes. If a token limit applies, an upper bound: every byte of text as a token."""
    RESERVED = "reserved"
    """Unknown: the whole hold."""


class Usage(NamedTuple):
    """Reported numbers; None means not reported, which is not the same as 0."""

    input: int | None = None
    """All of the prompt, including what was read from or written to a cache."""
    output: int | None = None
    cached_input: int | None = None
    """The part of the input that was read from a cache."""
    cache_write: int | None = None
    """The part of the input that was written to a cache."""

    def or_more(self, other: "Usage") -> "Usage":
        """Return the larger of each number."""
        return Usage(*map(_larger, self, other))


class Cost(NamedTuple):
    """What a call is charged."""

    amounts: Amounts
    source: Source


def of_body(body: bytes, protocol: WireProtocol) -> Usage:
    """Return what a whole answer reports."""
    return reported(loaded(body).get("usage"), protocol)


def ids_of_body(body: bytes) -> tuple[str, ...]:
    """Return the names under which a backend keeps a whole response and its items."""
    return ids(loaded(body))


def cost(usage: Usage, held: Amounts, *, final: bool, unseen: int | None = None, most: int | None = None) -> Cost:
    """Return what to charge for a dispatched call under a token limit: what is known, or else what was held.

    Args:
        usage: what was reported.
        held: what was held.
        final: whether the report is final.
        unseen: the most tokens that a cut answer can have beyond its running count; None if it has no count.
        most: the most tokens that a cut answer can have, if its text bounds them.
    """
    input_tokens = held.input if usage.input is None else usage.input
    if final and usage.output is not None:
        source = Source.PROVIDER if usage.input is not None else Source.RESERVED
        return Cost(Amounts(input_tokens, usage.output, 1), source)
    least = usage.output or 0  # it took at least this before it was cut, whatever was held
    if unseen is not None and usage.output is not None and usage.input is not None:
        return Cost(Amounts(input_tokens, max(least, min(least + unseen, held.output)), 1), Source.COUNTED)
    if most is not None and least <= most < held.output:
        return Cost(Amounts(input_tokens, most, 1), Source.ESTIMATED)
    return Cost(Amounts(input_tokens, max(least, held.output), 1), Source.RESERVED)


def estimate(usage: Usage, size: int, events: int, *, final: bool) -> Cost:
    """Return what to record for a dispatched call without a token limit.

    Args:
        usage: what was reported.
        size: bytes of the request's body.
        events: events of the answer.
        final: whether the report is final.
    """
    input_tokens = size // _BYTES_PER_TOKEN if usage.input is None else usage.input
    if usage.output is not None and usage.input is not None:
        return Cost(Amounts(input_tokens, usage.output, 1), Source.PROVIDER if final else Source.COUNTED)
    return Cost(Amounts(input_tokens, events if usage.output is None else usage.output, 1), Source.ESTIMATED)


def reported(usage: Any, protocol: WireProtocol) -> Usage:
    """Return the numbers of a `usage` object; empty if it is not an object."""
    if not isinstance(usage, dict):
        return Usage()
    if protocol is WireProtocol.ANTHROPIC:
        read, written = _count(usage, "cache_read_input_tokens"), _count(usage, "cache_creation_input_tokens")
        fresh = _count(usage, "input_tokens")
        total_input = None if fresh is None else fresh + (read or 0) + (written or 0)
        return Usage(total_input, _count(usage, "output_tokens"), read, written)
    # Chat, completions and embeddings use the first names, Responses the second.
    total_input = _first(usage, "prompt_tokens", "input_tokens")
    output = _first(usage, "completion_tokens", "output_tokens")
    total = _count(usage, "total_tokens")
    unsaid = "completion_tokens" not in usage and "output_tokens" not in usage
    if total_input is not None and total is not None and (unsaid or output is not None):
        # Embeddings have no output and do not report it; some providers count reasoning only in the total.
        output = max(output or 0, total - total_input)
    details = usage.get("prompt_tokens_details") or usage.get("input_tokens_details")
    if not isinstance(details, dict):
        return Usage(total_input, output)
    read = _at_most(total_input, _count(details, "cached_tokens"))
    written = _at_most(total_input, _first(details, "cache_write_tokens", "created_cache_tokens"))
    return Usage(total_input, output, read, written)


def loaded(data: bytes) -> dict[str, Any]:
    """Return a JSON object; empty if it cannot be read."""
    if json_guard.has_too_many_parts(data):
        data = _NUMBERS.sub(b"[]", data)  # embeddings consist of these
        if json_guard.has_too_many_parts(data):
            return {}
    try:
        found = orjson.loads(data)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def ids(response: dict[str, Any]) -> tuple[str, ...]:
    """Return the names of a response and of its items."""
    items = response.get("output")
    named = [response, *(items if isinstance(items, list) else ())]
    found = [each.get("id") for each in named if isinstance(each, dict)]
    return tuple(each for each in found if isinstance(each, str))[:_MOST_IDS]


def _first(usage: dict[str, Any], *names: str) -> int | None:
    for name in names:
        if (value := _count(usage, name)) is not None:
            return value
    return None


def _count(usage: dict[str, Any], name: str) -> int | None:
    value = usage.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST else None


def _at_most(total_input: int | None, part: int | None) -> int | None:
    """Bound a part by the whole: a part is cheaper than the rest, so a larger one would make the call too cheap."""
    return part if part is None or total_input is None else min(part, total_input)


def _larger(one: int | None, other: int | None) -> int | None:
    if one is None or other is None:
        return other if one is None else one
    return max(one, other)
