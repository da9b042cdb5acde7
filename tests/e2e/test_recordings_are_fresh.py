"""The recordings that the stand-in is held to are what the real engine says today.

After the engine's version changed, record it again (tests/support/record_engine.py) and read the difference.
Each exchange is sent by its own test, so what fails there fails alone.
"""

import json

import pytest
from support import differences, evictions
from support.builders.lora_files import a_shelf_of_adapters
from support.exchanges import (
    EMBEDDING_FLAGS,
    EMBEDDING_GROUPS,
    GROUPS,
    STORE_ENVIRONMENT,
    STORE_GROUPS,
    TOOL_FLAGS,
    TOOL_GROUPS,
)
from support.replay import InOrder, Replay

pytestmark = pytest.mark.timeout(1200)  # the engine starts in the first test

NAMES = [(group, exchange.name) for group in GROUPS if group != "metrics" for exchange in GROUPS[group]]
TOOL_NAMES = [(group, exchange.name) for group in TOOL_GROUPS for exchange in TOOL_GROUPS[group]]
STORE_NAMES = [(group, exchange.name) for group in STORE_GROUPS for exchange in STORE_GROUPS[group]]
EMBEDDING_NAMES = [(group, exchange.name) for group in EMBEDDING_GROUPS for exchange in EMBEDDING_GROUPS[group]]


@pytest.fixture(scope="module")
def replayed(one_engine, tmp_path_factory):
    adapters = a_shelf_of_adapters(tmp_path_factory.mktemp("lora") / "adapters")
    return InOrder(Replay(one_engine.engine().url, adapters), GROUPS)


@pytest.fixture(scope="module")
def engine_with_more(one_engine):
    """One engine for all that does not show in each other's exchanges; the last test here that uses it kills it."""
    return one_engine.engine(*TOOL_FLAGS, *evictions.FLAGS, **STORE_ENVIRONMENT)


@pytest.fixture(scope="module")
def replayed_with_tools(engine_with_more, tmp_path_factory):
    return InOrder(Replay(engine_with_more.url, tmp_path_factory.mktemp("lora")), TOOL_GROUPS)


@pytest.fixture(scope="module")
def replayed_with_a_store(engine_with_more, tmp_path_factory):
    return InOrder(Replay(engine_with_more.url, tmp_path_factory.mktemp("lora")), STORE_GROUPS)


@pytest.fixture(scope="module")
def replayed_embeddings(one_engine, tmp_path_factory):
    engine = one_engine.engine(*EMBEDDING_FLAGS)
    return InOrder(Replay(engine.url, tmp_path_factory.mktemp("lora")), EMBEDDING_GROUPS)


@pytest.mark.parametrize(("group", "name"), NAMES)
def test_the_engine_answers_as_it_was_recorded(replayed, group, name):
    differences.check_engine(group, replayed.result(group, name))


def test_the_engine_counts_what_it_was_recorded_to_count(replayed):
    differences.check_engine("metrics", replayed.result("metrics", "metrics"))


@pytest.mark.parametrize(("group", "name"), TOOL_NAMES)
def test_an_engine_with_tools_answers_as_it_was_recorded(replayed_with_tools, group, name):
    differences.check_engine(group, replayed_with_tools.result(group, name))


@pytest.mark.parametrize(("group", "name"), STORE_NAMES)
def test_an_engine_that_keeps_responses_answers_as_it_was_recorded(replayed_with_a_store, group, name):
    differences.check_engine(group, replayed_with_a_store.result(group, name))


def test_a_call_for_an_adapter_whose_files_are_gone_kills_the_engine(engine_with_more, tmp_path):
    evictions.load_two(engine_with_more.url, tmp_path)
    assert evictions.say(engine_with_more.url, "first")[0] == 200  # read again from its files; now `second` is out
    evictions.delete(tmp_path, "second")
    status, body = evictions.say(engine_with_more.url, "second")
    assert (status, json.loads(body)) == (500, evictions.DEATH)
    assert not engine_with_more.lives()


@pytest.mark.parametrize(("group", "name"), EMBEDDING_NAMES)
def test_an_engine_that_embeds_answers_as_it_was_recorded(replayed_embeddings, group, name):
    differences.check_engine(group, replayed_embeddings.result(group, name))
