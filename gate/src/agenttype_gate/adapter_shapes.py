"""The shapes of a base model's projections, from its config.json. Pure.

An engine serves an adapter of half the width without an error, and its answers are noise. So shapes are checked before
the engine sees the files, for the families with the same names and forms of projections.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

#: Families with separate q, k, v, o, gate, up and down projections of the usual widths.
_FAMILIES: Final = frozenset({"llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "smollm3"})


@dataclass(frozen=True)
class Base:
    """What is known of a base model.

    Attributes:
        layers: How many layers it has; None if the config does not say.
        projections: Input and output width by projection, for known families; empty for others.
    """

    layers: int | None
    projections: Mapping[str, tuple[int, int]]


def read(config: bytes) -> Base:
    """Read a config.json.

    Raises:
        ValueError: It is not a JSON object.
    """
    found = json.loads(config)
    if not isinstance(found, dict):
        raise ValueError("config.json must hold an object")  # noqa: TRY004 — callers know one error: unreadable
    layers = found.get("num_hidden_layers")
    return Base(layers if isinstance(layers, int) else None, _projections(found))


def _projections(config: Mapping[str, Any]) -> dict[str, tuple[int, int]]:
    if config.get("model_type") not in _FAMILIES:
        return {}
    hidden, heads, inner = (config.get(key) for key in ("hidden_size", "num_attention_heads", "intermediate_size"))
    if not (isinstance(hidden, int) and isinstance(heads, int) and isinstance(inner, int) and heads > 0):
        return {}
    head = config.get("head_dim") or hidden // heads
    queries, keys = heads * head, (config.get("num_key_value_heads") or heads) * head
    return {
        "q_proj": (hidden, queries),
        "k_proj": (hidden, keys),
        "v_proj": (hidden, keys),
        "o_proj": (queries, hidden),
        "gate_proj": (hidden, inner),
        "up_proj": (hidden, inner),
        "down_proj": (inner, hidden),
    }
