"""The files of an adapter, and what vLLM refuses in them."""

import json
from http import HTTPStatus
from pathlib import Path
from typing import Any

from agenttype_simulator.errors import Refusal

_OTHER_WEIGHTS = ("adapter_model.bin", "adapter_model.pt")
_MODULES = {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj", "embed_tokens", "lm_head"}
_PLAIN_INITS = ("gaussian", "eva", "orthogonal", "mica", "lora_ga")


def check(name: str, path: str, max_rank: int) -> None:
    """Read the folder at `path` as the engine does and refuse what it refuses, in its words."""
    folder = Path(path)
    try:
        config = json.loads((folder / "adapter_config.json").read_bytes())
        mistakes = _mistakes(config, max_rank)
        if mistakes:
            raise _failed(" ".join(mistakes))
        weights = folder / "adapter_model.safetensors"
        if weights.is_file():
            _check_tensors(folder, weights.read_bytes())
        elif not any((folder / other).is_file() for other in _OTHER_WEIGHTS):
            raise _failed(f"{path} doesn't contain tensors")
    except OSError as error:
        raise Refusal(f"Loading lora {name} failed: No adapter found for {path}", HTTPStatus.NOT_FOUND) from error
    except ValueError as error:
        raise _failed(str(error)) from error


def _check_tensors(folder: Path, data: bytes) -> None:
    """Read the header of a safetensors file and refuse modules that the base model lacks."""
    size = int.from_bytes(data[:8], "little")
    if len(data) < size + 8:
        raise _failed("Error while deserializing header: invalid header length")
    names = [name.removeprefix("base_model.model.") for name in json.loads(data[8 : 8 + size])]
    modules = [name.split(".lora_")[0] for name in names if ".lora_" in name]
    unknown = [module for module in modules if module.rsplit(".", 1)[-1] not in _MODULES]
    if unknown:
        raise _failed(
            f"While loading {folder}, expected target modules in {_MODULES} but received {unknown}. "
            "Please verify that the loaded LoRA module is correct"
        )


def _failed(why: str) -> Refusal:
    """The engine's refusal. It is a 500 although it is permanent: asking again does not help."""
    return Refusal(
        f"Call to add_lora method failed: Worker failed with error '{why}', please check the stack trace above "
        "for the root cause",
        HTTPStatus.INTERNAL_SERVER_ERROR,
    )


def _mistakes(config: dict[str, Any], max_rank: int) -> list[str]:
    """What vLLM refuses in an `adapter_config.json`, in its words and order."""
    found = []
    if config.get("use_dora"):
        found.append("vLLM does not yet support DoRA.")
    if config.get("lora_bias"):
        found.append("vLLM does not support LoRA bias (lora_bias).")
    init = config.get("init_lora_weights", True)
    if isinstance(init, str) and init.lower() not in _PLAIN_INITS:
        found.append(
            f"vLLM does not support init_lora_weights={init!r}. Inits such as PiSSA, OLoRA, CorDA and LoftQ modify "
            "the base model weights when PEFT loads the adapter. Convert it to a regular LoRA adapter with PEFT's "
            "path_initial_model_for_weight_conversion, or set init_lora_weights to true if the served base model "
            "already contains the modified weights."
        )
    rank = max([int(config.get("r", 0)), *(config.get("rank_pattern") or {}).values()])
    if rank > max_rank:
        found.append(f"LoRA rank {rank} is greater than max_lora_rank {max_rank}.")
    if config.get("bias", "none") != "none":
        found.append("Adapter bias is not supported.")
    return found
