"""Reads the header of a safetensors file: which tensors it holds, without reading them. Pure.

The format: eight bytes of length, little-endian; that many bytes of JSON; then the tensors' bytes, back to back.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from agenttype_gate.errors import Rejected

LENGTH_BYTES: Final = 8
#: The largest accepted header: ten thousand tensors take about one megabyte.
MAX_HEADER: Final = 16 * 1024 * 1024

_DTYPES: Final = frozenset({"F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2"})


@dataclass(frozen=True)
class Tensor:
    """A tensor's type and shape."""

    dtype: str
    shape: tuple[int, ...]


def header_length(first: bytes, size: int) -> int:
    """Return how many bytes of JSON follow the first eight of a file of `size` bytes.

    Raises:
        Rejected: The file is too short for its header, or the header is too long.
    """
    length = int.from_bytes(first, "little")
    if len(first) < LENGTH_BYTES or length > MAX_HEADER or LENGTH_BYTES + length > size:
        raise Rejected("adapter_model.safetensors is truncated or not a safetensors file; upload it again")
    return length


def tensors(header: bytes, data_bytes: int) -> Mapping[str, Tensor]:
    """Return the tensors by name.

    Args:
        header: the JSON part.
        data_bytes: how many bytes follow it in the file.

    Raises:
        Rejected: It is not a valid header, or its tensors do not fill the file exactly.
    """
    try:
        entries = json.loads(header)
        entries.pop("__metadata__", None)
        spans = sorted(tuple(entry["data_offsets"]) for entry in entries.values())
        found = {name: _tensor(entry) for name, entry in entries.items()}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise Rejected("adapter_model.safetensors has no readable header; upload it again") from error
    end = 0
    for span in spans:
        if len(span) != 2 or span[0] != end or span[1] < span[0]:  # noqa: PLR2004 — begin and end
            raise Rejected("adapter_model.safetensors has gaps or overlaps between its tensors; save it again")
        end = span[1]
    if end != data_bytes:
        raise Rejected(f"adapter_model.safetensors should hold {end} bytes of tensors but holds {data_bytes}")
    return found


def _tensor(entry: Mapping[str, Any]) -> Tensor:
    dtype, shape = entry["dtype"], entry["shape"]
    begin, end = entry["data_offsets"]
    if not isinstance(dtype, str) or not all(type(number) is int and number >= 0 for number in (*shape, begin, end)):
        raise TypeError("a tensor's dtype, shape or offsets have the wrong type")
    return Tensor(dtype, tuple(shape))


def is_weight(tensor: Tensor) -> bool:
    """Return whether a tensor is a matrix of floating-point numbers."""
    return tensor.dtype in _DTYPES and len(tensor.shape) == 2  # noqa: PLR2004 — rows and columns
