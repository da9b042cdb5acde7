"""The header of a safetensors file, read without trust."""

import contextlib
import json
import struct

import pytest
from agenttype_gate import safetensors
from agenttype_gate.errors import Rejected
from agenttype_gate.safetensors import Tensor
from hypothesis import given
from hypothesis import strategies as st


def header(**entries):
    return json.dumps(entries).encode()


def entry(begin, end, shape=(1, 1), dtype="F32"):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}


def test_tensors_are_read_with_their_types_and_shapes():
    raw = header(__metadata__={"format": "pt"}, b=entry(4, 12, (1, 2)), a=entry(0, 4))
    assert safetensors.tensors(raw, 12) == {"a": Tensor("F32", (1, 1)), "b": Tensor("F32", (1, 2))}


@pytest.mark.parametrize(
    ("raw", "size"),
    [
        (header(a=entry(0, 4)), 8),
        (header(a=entry(0, 4)), 2),
        (header(a=entry(2, 4)), 4),
        (header(a=entry(0, 4), b=entry(2, 6)), 6),
        (header(a=entry(0, 4, (-1, 1))), 4),
        (header(a=entry(0, 4, (1.5, 1))), 4),
        (header(a=entry(0, 4, ("1",))), 4),
        (header(a=entry(0, 4, dtype=3)), 4),
        (header(a=[0, 4]), 4),
        (header(a={"dtype": "F32", "shape": [1]}), 4),
        (b"[]", 0),
        (b"{", 0),
        (b"\xff", 0),
        (b"[" * 100_000, 0),
    ],
)
def test_a_header_that_does_not_fit_its_file_is_refused(raw, size):
    with pytest.raises(Rejected):
        safetensors.tensors(raw, size)


@pytest.mark.parametrize(
    ("first", "size"),
    [(b"", 0), (b"\x02", 1), (struct.pack("<Q", 3), 10), (struct.pack("<Q", 2**63), 100), (b"\xff" * 8, 2**40)],
)
def test_a_length_beyond_the_file_or_beyond_reason_is_refused(first, size):
    with pytest.raises(Rejected):
        safetensors.header_length(first, size)


def test_a_length_that_fills_the_file_exactly_is_read():
    assert safetensors.header_length(struct.pack("<Q", 3), 11) == 3


@given(st.binary(max_size=200), st.integers(0, 300))
def test_any_bytes_are_read_or_refused(raw, size):
    with contextlib.suppress(Rejected):
        safetensors.tensors(raw, size)
