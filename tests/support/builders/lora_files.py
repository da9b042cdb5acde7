"""Write LoRA adapters by hand, without torch: a PEFT config and a safetensors file of zeros with true shapes."""

import json
import struct
from pathlib import Path

HIDDEN = 576  # of the example model; its q_proj maps hidden to hidden


def an_adapter(folder: Path, *, rank: int = 4, module: str = "q_proj", **config: object) -> Path:
    """Make `folder` hold an adapter; `config` adds to its adapter_config.json."""
    folder.mkdir(parents=True)
    peft = {"peft_type": "LORA", "r": rank, "lora_alpha": rank, "target_modules": [module], "bias": "none"}
    (folder / "adapter_config.json").write_text(json.dumps(peft | config))
    (folder / "adapter_model.safetensors").write_bytes(_weights(rank, module))
    return folder


def _weights(rank: int, module: str) -> bytes:
    stem = f"base_model.model.model.layers.0.self_attn.{module}"
    shapes = {f"{stem}.lora_A.weight": [rank, HIDDEN], f"{stem}.lora_B.weight": [HIDDEN, rank]}
    size = rank * HIDDEN * 2
    header = {
        name: {"dtype": "BF16", "shape": shape, "data_offsets": [place * size, (place + 1) * size]}
        for place, (name, shape) in enumerate(shapes.items())
    }
    head = json.dumps(header).encode()
    return struct.pack("<Q", len(head)) + head + bytes(2 * size)


def a_shelf_of_adapters(folder: Path) -> Path:
    """Make the adapters that the recorded exchanges load: one good, one for each way to be refused."""
    an_adapter(folder / "green")
    an_adapter(folder / "rank-too-big", rank=64)
    an_adapter(folder / "dora", use_dora=True)
    an_adapter(folder / "pissa", init_lora_weights="pissa")
    an_adapter(folder / "with-bias", bias="all")
    an_adapter(folder / "unknown-module", module="nope_proj")
    (an_adapter(folder / "without-config") / "adapter_config.json").unlink()
    (an_adapter(folder / "without-weights") / "adapter_model.safetensors").unlink()
    (an_adapter(folder / "truncated") / "adapter_model.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{}")
    (an_adapter(folder / "bad-config") / "adapter_config.json").write_text("{")
    return folder
