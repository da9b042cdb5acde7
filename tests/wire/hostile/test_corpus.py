"""What the fuzzer has found worth keeping, read once more: every promise still holds for it."""

import base64
from pathlib import Path

import pytest
from support.fuzz_targets import TARGETS

CORPUS = Path(__file__).parents[2] / "fuzz" / "corpus"


@pytest.mark.parametrize("name", TARGETS)
def test_no_kept_input_breaks_a_promise(name):
    inputs = [base64.b64decode(line) for line in (CORPUS / f"{name}.txt").read_text().split()]
    assert inputs
    for data in inputs:
        TARGETS[name](data)
