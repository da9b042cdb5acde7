"""What kind of CPU this is, as far as it decides how an engine rounds."""

import platform
from pathlib import Path
from typing import Any

#: Instructions for which PyTorch and oneDNN have kernels of their own.
DECISIVE = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_tile", "amx_bf16", "amx_int8")


def this_one(cpuinfo: Path = Path("/proc/cpuinfo")) -> dict[str, Any]:
    """The model's name and the decisive flags that it has."""
    lines = (line.partition(":") for line in cpuinfo.read_text().splitlines())
    fields = {name.strip(): value.strip() for name, _, value in lines}
    flags = fields.get("flags", "").split()
    return {
        "model": fields.get("model name", platform.machine()),
        "flags": [flag for flag in DECISIVE if flag in flags],
    }
