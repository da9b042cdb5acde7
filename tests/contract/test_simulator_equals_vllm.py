"""The stand-in answers as the recorded engine did, exchange by exchange."""

import pytest
from support import differences
from support.builders.lora_files import a_shelf_of_adapters
from support.exchanges import EMBEDDING_FLAGS, EMBEDDING_GROUPS, GROUPS, STORE_GROUPS, TOOL_FLAGS, TOOL_GROUPS
from support.programs.simulators import simulator
from support.recordings import recorded
from support.replay import Replay

ALL = GROUPS | TOOL_GROUPS | STORE_GROUPS | EMBEDDING_GROUPS
NAMES = [(group, exchange.name) for group in ALL if group != "metrics" for exchange in ALL[group]]
SETUPS = [
    (GROUPS, ()),
    (TOOL_GROUPS, TOOL_FLAGS),
    (STORE_GROUPS, ("--store-responses",)),
    (EMBEDDING_GROUPS, EMBEDDING_FLAGS),
]
LIKE_THE_ENGINE = {"max_model_len": 2048, "max_lora_rank": 8, "max_loras": 4, "tokens_per_second": 400}


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    adapters = a_shelf_of_adapters(tmp_path_factory.mktemp("lora") / "adapters")
    results = {}
    for groups, flags in SETUPS:
        with simulator(*flags, **LIKE_THE_ENGINE) as engine:
            results |= Replay(engine.url, adapters).groups(groups)
    return results


@pytest.mark.parametrize(("group", "name"), NAMES)
def test_the_simulator_answers_as_the_recorded_engine_did(simulated, group, name):
    differences.check_simulator(group, simulated[group][name])


@pytest.mark.parametrize("group", ALL)
def test_every_exchange_is_recorded(group):
    assert list(recorded(group)) == [exchange.name for exchange in ALL[group]]


def test_every_metric_of_the_simulator_is_one_of_the_engine(simulated):
    ours = simulated["metrics"]["metrics"]["reply"]["families"]
    theirs = recorded("metrics")["metrics"]["reply"]["families"]
    assert ours == {name: theirs.get(name) for name in ours}
