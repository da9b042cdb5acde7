"""Adapters loaded at run time: the replies of vLLM's two endpoints, from the files that they name.

As in vLLM, unloading forgets the name and nothing else; what is loaded here is gone after a restart.
"""

import json
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any

from agenttype_simulator.errors import Refusal

_WEIGHTS = ("adapter_model.safetensors", "adapter_model.bin", "adapter_model.pt")
_PLAIN_INITS = ("gaussian", "eva", "orthogonal", "mica", "lora_ga")


@dataclass
class Adapters:
    """Loaded adapters by name, in the order of loading; `base_names` are taken by the base model."""

    base_names: tuple[str, ...]
    max_rank: int
    paths: dict[str, str] = field(default_factory=dict)

    def load(self, name: str, path: str, *, in_place: bool = False) -> str:
        """Check the files at `path` and serve them as `name`; the reply is vLLM's plain text."""
        if not name or not path:
            raise _invalid("Both 'lora_name' and 'lora_path' must be provided.")
        if name in self.base_names:
            raise _invalid(f"The lora adapter '{name}' conflicts with a served base model.")
        if name in self.paths and not in_place:
            raise _invalid(
                f"The lora adapter '{name}' has already been loaded. If you want to load the adapter in place, "
                "set 'load_inplace' to True."
            )
        _check_files(name, path, self.max_rank)
        self.paths[name] = path
        return f"Success: LoRA adapter '{name}' added successfully."

    def unload(self, name: str) -> str:
        """Forget `name`; calls in flight on it finish."""
        if not name:
            raise _invalid("'lora_name' needs to be provided to unload a LoRA adapter.")
        if name not in self.paths:
            raise Refusal(f"The lora adapter '{name}' cannot be found.", HTTPStatus.NOT_FOUND)
        del self.paths[name]
        return f"Success: LoRA adapter '{name}' removed successfully."


def _invalid(message: str) -> Refusal:
    return Refusal(message, HTTPStatus.BAD_REQUEST, "InvalidUserInput")


def _check_files(name: str, path: str, max_rank: int) -> None:
    folder = Path(path)
    try:
        config = json.loads((folder / "adapter_config.json").read_bytes())
    except OSError as error:
        raise Refusal(f"Loading lora {name} failed: No adapter found for {path}", HTTPStatus.NOT_FOUND) from error
    except ValueError as error:
        raise _failed(f"Call to add_lora method failed: {error}") from error
    mistakes = _mistakes(config, max_rank)
    if mistakes:
        raise _failed(f"Call to add_lora method failed: {' '.join(mistakes)}")
    if not any((folder / weights).is_file() for weights in _WEIGHTS):
        raise _failed(f"Call to add_lora method failed: {path} doesn't contain tensors")


def _failed(message: str) -> Refusal:
    return Refusal(message, HTTPStatus.INTERNAL_SERVER_ERROR)


def _mistakes(config: dict[str, Any], max_rank: int) -> list[str]:
    """What vLLM refuses in an `adapter_config.json`, in its words and order."""
    found = []
    if config.get("use_dora"):
        found.append("vLLM does not yet support DoRA.")
    if config.get("lora_bias"):
        found.append("vLLM does not support LoRA bias (lora_bias).")
    init = config.get("init_lora_weights", True)
    if isinstance(init, str) and init.lower() not in _PLAIN_INITS:
        found.append(f"vLLM does not support init_lora_weights={init!r}.")
    rank = max([int(config.get("r", 0)), *(config.get("rank_pattern") or {}).values()])
    if rank > max_rank:
        found.append(f"LoRA rank {rank} is greater than max_lora_rank {max_rank}.")
    if config.get("bias", "none") != "none":
        found.append("Adapter bias is not supported.")
    return found
