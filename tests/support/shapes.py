"""What two engines must have in common: the shape of a reply, the order of its events, and how it is counted.

Text, ids, times and amounts differ from engine to engine, and with the CPU that one runs on; key sets, types, the
words of the protocol (`object`, `finish_reason`, …), error bodies and the relation between usage and the counters may
not. Nor may what a model says where the request scripts it.
"""

import re
from typing import Any

from support import scripted_words

# Values of these keys are words of the protocol, not of the model.
PROTOCOL = {
    *("object", "type", "role", "finish_reason", "stop_reason", "stop_sequence", "status", "reason", "model"),
    *("parent", "owned_by", "index", "id", "item_id", "service_tier", "tool_choice", "truncation", "code", "param"),
    *("max_model_len", "output_index", "content_index"),
}
HEX = re.compile(r"[0-9a-f]{16}")
A_SET = re.compile(r"\{('\w+'(?:, '\w+')+)\}")


def comparable(result: dict[str, Any]) -> dict[str, Any]:
    """Reduce a replayed or recorded exchange to what must be equal."""
    reply = dict(result["reply"])
    if "json" in reply:
        reply["json"] = _shape("", reply["json"])
    if "events" in reply:
        reply["events"] = _runs([(event["event"], _shape("", event["data"])) for event in _by_choice(reply["events"])])
    return {"reply": reply, "books": _books(result), "said": scripted_words.said(result)}


def _by_choice(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Answers of one call run side by side; only the order within each is promised."""
    single = [event for event in events if _choice(event) is not None]
    rest = [event for event in events if _choice(event) is None]
    return sorted(single, key=_choice) + rest


def _choice(event: dict[str, Any]) -> int | None:
    choices = event["data"].get("choices") if isinstance(event["data"], dict) else None
    return choices[0]["index"] if choices else None


def _shape(key: str, value: Any) -> Any:
    if isinstance(value, dict):
        if key in ("error", "detail"):
            return {name: _sorted_sets(part) for name, part in value.items()}
        if key == "top_logprobs" and "token" not in value:
            return {"a token": "number"}
        return {name: _shape(name, part) for name, part in value.items()}
    if isinstance(value, list):
        return _runs([_shape(key, part) for part in value])
    if key in PROTOCOL or value == "[DONE]":
        return HEX.sub("HEX", value) if isinstance(value, str) else value
    return {bool: "boolean", int: "integer", float: "number", str: "string", type(None): "null"}[type(value)]


def _runs(items: list[Any]) -> list[Any]:
    """Equal neighbours become one: how many tokens an answer has is the model's affair."""
    return [item for place, item in enumerate(items) if place == 0 or item != items[place - 1]]


def _sorted_sets(value: Any) -> Any:
    """The engine prints Python sets, whose order changes from run to run."""
    if not isinstance(value, str):
        return value
    return A_SET.sub(lambda found: "{" + ", ".join(sorted(found[1].split(", "))) + "}", value)


def _books(result: dict[str, Any]) -> dict[str, Any]:
    """How the counters moved in relation to the usage that the caller was told."""
    books = dict(result["books"])
    prompt, generation = books.pop("prompt", 0), books.pop("generation", 0)
    usage = _usage(result["reply"])
    if usage is None:
        return books | {"prompt": prompt > 0, "generation": generation > 0}
    told_prompt = usage.get("prompt_tokens", usage.get("input_tokens"))
    told_generation = usage.get("completion_tokens", usage.get("output_tokens"))
    return books | {"prompt per told": prompt / told_prompt, "generation per told": _ratio(generation, told_generation)}


def _ratio(counted: float, told: int) -> float:
    """Nothing told of nothing counted is as it should be."""
    return counted / told if told else 1.0 + counted


def _usage(reply: dict[str, Any]) -> dict[str, Any] | None:
    """The last usage in a reply."""
    found = reply.get("json", {}).get("usage") if isinstance(reply.get("json"), dict) else None
    for event in reply.get("events", []):
        data = event["data"]
        if isinstance(data, dict):
            found = data.get("usage") or data.get("response", {}).get("usage") or found
    return found
