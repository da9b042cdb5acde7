"""Turn a GGUF model into the safetensors folder that vLLM serves: `convert.py MODEL.gguf FOLDER`.

Run with the engine's own Python. The weights are de-quantised and kept as float32, as they are served; the folder
gets the configuration, the weights, the tokenizer and the chat template.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

# They describe the file that was read, not the model that is written.
NOT_CARRIED = ("architectures", "dtype", "model_type", "quantization_config")


def convert(source: Path, folder: Path) -> int:
    """Write the model in `source` into `folder`; return its number of parameters."""
    where = {"pretrained_model_name_or_path": source.parent, "gguf_file": source.name}
    read = AutoModelForCausalLM.from_pretrained(**where, dtype=torch.float32)
    config = {key: value for key, value in read.config.to_dict().items() if key not in NOT_CARRIED}
    # transformers refuses to save what it read from GGUF: the same weights go into a fresh model.
    model = LlamaForCausalLM(LlamaConfig(**config)).to(torch.float32)
    model.load_state_dict(read.state_dict(), strict=True)
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(**where).save_pretrained(folder)
    return model.num_parameters()


if __name__ == "__main__":
    gguf, target = map(Path, sys.argv[1:])
    print(f"{convert(gguf, target)} parameters in {target}")
