"""Checks whether an adapter fits this base model and this engine. Pure, without torch, and stricter than the engine.

The engine refuses a rank that is too high and modules that it does not know, but it serves wrong shapes and layers that
do not exist without an error. What it refuses is refused here too, before it has to read the file.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from agenttype_gate import safetensors
from agenttype_gate.adapter_shapes import Base
from agenttype_gate.errors import Rejected
from agenttype_gate.safetensors import Tensor

CONFIG: Final = "adapter_config.json"
WEIGHTS: Final = "adapter_model.safetensors"

_NAME: Final = re.compile(r"(?P<module>.+)\.lora_(?:embedding_)?(?P<side>[AB])(?:\.weight)?")
_LAYER: Final = re.compile(r"\.layers\.(\d+)\.")
#: Members of adapter_config.json that change the meaning of the numbers in ways the engine cannot compute, with the
#: accepted values of each. A missing member is accepted too.
_PLAIN: Final[tuple[tuple[str, tuple[Any, ...], str], ...]] = (
    ("use_dora", (False, None), "it is a DoRA adapter"),
    ("lora_bias", (False, None), "its LoRA layers have biases"),
    ("bias", ("none", None), "it trains biases"),
    ("modules_to_save", ([], None), "it replaces whole modules (modules_to_save)"),
    ("alora_invocation_tokens", ([], None), "it is an activated LoRA"),
    ("trainable_token_indices", ([], {}, None), "it trains single tokens"),
    ("target_parameters", ([], None), "it targets bare parameters"),
)


@dataclass(frozen=True)
class Limits:
    """What an adapter has to fit: the highest rank, and the base model if its config could be read."""

    max_rank: int
    base: Base | None = None


def check(config: bytes, tensors: Mapping[str, Tensor], limits: Limits) -> None:
    """Return if the adapter fits; otherwise say what does not fit and what to do.

    Args:
        config: the bytes of adapter_config.json.
        tensors: the tensors of adapter_model.safetensors.
        limits: what it has to fit.

    Raises:
        Rejected: It does not fit.
    """
    adapter = _config(config)
    rank = _rank(adapter, limits.max_rank)
    pairs = _pairs(tensors)
    for module, sides in pairs.items():
        down, up = sides.get("A"), sides.get("B")
        if down is None or up is None:
            raise Rejected(f"{module} has only one of lora_A and lora_B; save the adapter again")
        _check_ranks(module, down, up, limits.max_rank if adapter.get("rank_pattern") else rank)
        if limits.base is not None:
            _check_base(module, (down.shape[1], up.shape[0]), limits.base)


def _config(raw: bytes) -> Mapping[str, Any]:
    try:
        adapter = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise Rejected(f"{CONFIG} is not valid JSON") from error
    if not isinstance(adapter, dict):
        raise Rejected(f"{CONFIG} must hold an object")
    if adapter.get("peft_type") != "LORA":
        raise Rejected(f"{CONFIG} has peft_type {_shown(adapter.get('peft_type'))}; only LORA is served")
    for member, right, says in _PLAIN:
        if adapter.get(member) not in right:
            raise Rejected(f"{says}, which the engine does not serve; train a plain LoRA ({member} in {CONFIG})")
    return adapter


def _rank(adapter: Mapping[str, Any], max_rank: int) -> int:
    rank, patterns = adapter.get("r"), adapter.get("rank_pattern") or {}
    if not isinstance(patterns, dict):
        raise Rejected(f"rank_pattern in {CONFIG} must be an object")
    for number in (rank, *patterns.values()):
        if type(number) is not int or number < 1:
            raise Rejected(f"a rank in {CONFIG} is {_shown(number)}; it must be a whole number from 1")
        if number > max_rank:
            raise Rejected(f"rank {number} is higher than the backend's lora.maxRank {max_rank}; raise that or retrain")
    assert isinstance(rank, int)  # noqa: S101 — the loop above has seen it
    return rank


def _pairs(tensors: Mapping[str, Tensor]) -> Mapping[str, dict[str, Tensor]]:
    pairs: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        match = _NAME.fullmatch(name)
        if match is None:
            raise Rejected(f"{WEIGHTS} holds {_shown(name)}, which is neither a lora_A nor a lora_B")
        if not safetensors.is_weight(tensor):
            raise Rejected(f"{_shown(name)} is not a matrix of floating-point numbers")
        pairs.setdefault(_shown(match["module"]), {})[match["side"]] = tensor
    if not pairs:
        raise Rejected(f"{WEIGHTS} holds no tensors")
    return pairs


def _check_ranks(module: str, down: Tensor, up: Tensor, rank: int) -> None:
    if down.shape[0] != up.shape[1]:
        raise Rejected(f"{module}: lora_A is {down.shape} and lora_B is {up.shape}; they share no rank")
    if down.shape[0] > rank:
        raise Rejected(f"{module} has rank {down.shape[0]}, more than {CONFIG} says or the backend takes ({rank})")


def _check_base(module: str, shape: tuple[int, int], base: Base) -> None:
    layer = _LAYER.search(f".{module}.")
    if layer is not None and base.layers is not None and int(layer[1]) >= base.layers:
        raise Rejected(f"{module} is beyond the base model's {base.layers} layers; it was trained on another model")
    expected = base.projections.get(module.rpartition(".")[2])
    if layer is not None and expected is not None and shape != expected:
        raise Rejected(f"{module} maps {shape}, the base model {expected}; it was trained on another model")


def _shown(value: object) -> str:
    text = str(value)
    longest = 120
    return text if len(text) <= longest else text[:longest] + "…"
