"""What tests of the sidecar begin with: one simulated engine for a file, which each test finds as new."""

import pytest
from support.programs.simulators import simulator


@pytest.fixture(scope="module")
def engine():
    with simulator() as vllm:
        yield vllm


@pytest.fixture
def vllm(engine):
    engine.heal()
    engine.forget()
    return engine
