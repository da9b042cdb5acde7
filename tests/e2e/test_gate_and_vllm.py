"""The gate and its keeper in front of the real vLLM, with a trained adapter."""

import shutil
from pathlib import Path

import pytest
from support.builders.lora_files import an_adapter
from support.engines import adapter_folder, prepared
from support.programs.gates import a_gate_policy, caller, gate, wanted, write_policy
from support.servers.token_reviews import token_reviews
from support.waiting import until

CHAT = "/v1/chat/completions"
LOG_LINE = "Failed password for eve from 192.0.2.7 port 4022"
LONG = {"max_tokens": 1000, "stream": True, "ignore_eos": True}
PROBED = ("input", "output")
START = pytest.mark.timeout(1200)  # the engine starts in the first test


def chat(model, text=LOG_LINE):
    return {"model": model, "messages": [{"role": "user", "content": text}], "max_tokens": 16, "temperature": 0}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gate")
    (folder / "adapters").mkdir()
    shutil.copytree(adapter_folder("green"), folder / "source" / "green")
    an_adapter(folder / "source" / "wide", module="k_proj")  # the model's keys are a third as wide
    an_adapter(folder / "source" / "unknown", module="nope_proj")
    return folder


@pytest.fixture(scope="module")
def green(place):
    return wanted(place / "source" / "green")


@pytest.fixture(scope="module")
def broken(place):
    return wanted(place / "source" / "wide"), wanted(place / "source" / "unknown")


@pytest.fixture(scope="module")
def api(place):
    with token_reviews(place / "api") as running:
        yield running


@pytest.fixture(scope="module")
def token(api):
    return api.token("team-a/green")


@pytest.fixture(scope="module")
def engine(one_engine):
    return one_engine.engine()


@pytest.fixture(scope="module")
def callers(green):
    return (caller("team-a/green", "base", green.served_name),)


@pytest.fixture(scope="module")
def base_config():
    arguments = prepared()["args"]
    return Path(arguments[arguments.index("--model") + 1], "config.json")


@pytest.fixture(scope="module")
def start(place, engine, api, base_config):
    options = {"base_config": base_config, **api.options()}
    return lambda: gate(place / "gate.json", engine.url, place / "source", place / "adapters", **options)


@START
def test_a_trained_adapter_is_live_and_a_wrong_one_is_refused_before_vllm_sees_it(
    start, place, green, broken, callers, token
):
    wide, unknown = broken
    write_policy(place / "gate.json", a_gate_policy(green, wide, unknown, callers=callers))
    with start() as door:
        until(lambda: door.health().status == 200, lambda: str(door.report()), within=120)
        states = {report.name: report.state.value for report in door.report().adapters}
        assert states == {"green": "Loaded", "wide": "Rejected", "unknown": "Rejected"}
        assert "trained on another model" in door.adapter(wide.served_name).message
        assert "the engine refuses it: status 500" in door.adapter(unknown.served_name).message
        answer = door.post(CHAT, chat(green.served_name), token).json()
        assert "VERDICT" in answer["choices"][0]["message"]["content"]


@START
def test_the_books_balance_to_the_token(start, place, engine, green, callers, token):
    write_policy(place / "gate.json", a_gate_policy(green, callers=callers))
    before = {name: engine.total(f"vllm:{name}_tokens_total") for name in ("prompt", "generation")}
    with start() as door:
        until(lambda: door.health().status == 200, lambda: str(door.report()), within=120)
        usages = [door.post(CHAT, chat(name), token).json()["usage"] for name in ("base", green.served_name)]
        probed = {side: door.metric(f'agenttype_gate_probe_tokens_total{{direction="{side}"}}') for side in PROBED}
    assert probed["input"] > 0
    for name, usage_name, side in (
        ("prompt", "prompt_tokens", "input"),
        ("generation", "completion_tokens", "output"),
    ):
        spent = sum(usage[usage_name] for usage in usages)
        assert engine.total(f"vllm:{name}_tokens_total") - before[name] == spent + probed[side]


@START
def test_a_retired_adapter_leaves_the_engine_before_its_files_go_and_the_engine_lives_on(
    start, place, engine, green, callers, token
):
    write_policy(place / "gate.json", a_gate_policy(green, callers=callers))
    with start() as door:
        until(lambda: door.health().status == 200, lambda: str(door.report()), within=120)
        write_policy(place / "gate.json", a_gate_policy(callers=callers))
        until(lambda: list((place / "adapters").iterdir()) == [])
        assert list(engine.models()) == ["base"]
        assert door.post(CHAT, chat("base"), token).status == 200
        assert door.post(CHAT, chat(green.served_name), token).status == 404


@START
def test_a_caller_that_leaves_stops_the_generation(start, place, engine, callers, token):
    write_policy(place / "gate.json", a_gate_policy(callers=callers))
    with start() as door:
        until(lambda: door.health().status == 200, lambda: str(door.report()), within=120)
        begun = engine.total("vllm:generation_tokens_total")
        door.leave_after_first_bytes(CHAT, chat("base", "Count to ten thousand.") | LONG, token)
        until(lambda: engine.total("vllm:num_requests_running") == 0)
        assert 0 < engine.total("vllm:generation_tokens_total") - begun < LONG["max_tokens"] / 2
