"""The keeper as a process: loaded adapters become equal to wanted ones, whatever happens in between."""

import json
import os
import stat
import threading
import urllib.request
from contextlib import ExitStack

import pytest
from support.builders.lora_files import HIDDEN, an_adapter
from support.programs.gates import a_gate_policy, caller, gate, wanted, write_policy
from support.programs.simulators import simulator
from support.servers.token_reviews import token_reviews
from support.waiting import until

CHAT = "/v1/chat/completions"
LOAD = "/v1/load_lora_adapter"
UNLOAD = "/v1/unload_lora_adapter"
PROBE = "/v1/completions"
MODELS = "/v1/models"
LOOKS_UNTIL_REST = 3  # before loading, after it, and the one that finds nothing left to do


def chat(model):
    return {"model": model, "messages": [{"role": "user", "content": "hello"}], "max_tokens": 4}


@pytest.fixture
def source(tmp_path):
    (tmp_path / "source").mkdir()
    return tmp_path / "source"


@pytest.fixture
def volume(tmp_path):
    (tmp_path / "adapters").mkdir()
    return tmp_path / "adapters"


@pytest.fixture
def vllm():
    with simulator(max_lora_rank=8) as running:
        yield running


@pytest.fixture(scope="module")
def api(tmp_path_factory):
    with token_reviews(tmp_path_factory.mktemp("api")) as running:
        yield running


@pytest.fixture
def document(tmp_path):
    return tmp_path / "policy" / "gate.json"


@pytest.fixture
def start(document, vllm, source, volume, api):
    def starting(engine=vllm.url, **options):
        return gate(document, engine, source, volume, **api.options() | options)

    return starting


@pytest.fixture
def green(source):
    return wanted(an_adapter(source / "green"))


@pytest.fixture
def red(source):
    return wanted(an_adapter(source / "red", rank=8))


def folder_of(volume, adapter):
    return volume / adapter.served_name.replace("@", "/")


def loaded(vllm):
    return {request["body"]["lora_name"] for request in vllm.arrived(LOAD)}


def forget(vllm, served_name):
    headers = {"content-type": "application/json"}
    body = json.dumps({"lora_name": served_name}).encode()
    urllib.request.urlopen(urllib.request.Request(vllm.url + UNLOAD, body, headers), timeout=60).close()


def order(vllm, *paths):
    return [request["path"] for request in vllm.arrived() if request["path"] in paths]


def test_a_wanted_adapter_is_copied_loaded_and_proven(start, document, volume, vllm, green):
    write_policy(document, a_gate_policy(green))
    with start() as keeper:
        keeper.until_ready()
        assert keeper.state(green.served_name) == "Loaded"
        folder = folder_of(volume, green)
        assert [request["body"] for request in vllm.arrived(LOAD)] == [
            {"lora_name": green.served_name, "lora_path": str(folder)}
        ]
        assert order(vllm, LOAD, PROBE) == [LOAD, PROBE]
        modes = {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
        assert (modes, stat.S_IMODE(folder.stat().st_mode)) == ({0o644}, 0o755)


def test_the_tokens_of_probes_are_counted_so_that_the_books_balance(start, document, vllm, green, red):
    write_policy(document, a_gate_policy(green, red))
    with start() as keeper:
        keeper.until_ready()
        for direction, engine in (("input", "vllm:prompt_tokens_total"), ("output", "vllm:generation_tokens_total")):
            counted = keeper.metric(f'agenttype_gate_probe_tokens_total{{direction="{direction}"}}')
            assert counted == vllm.total(engine) > 0


def test_the_engines_metrics_pass_through(start, document, green):
    write_policy(document, a_gate_policy(green))
    with start() as keeper:
        keeper.until_ready()
        assert b"vllm:prompt_tokens_total" in keeper.control("/engine/metrics").body


def an_escape(source, name):
    outside = an_adapter(source.parent / "outside")
    (source / name).symlink_to(outside)
    return wanted(outside, name=name, path=name)


def a_link_inside(source, name):
    folder = an_adapter(source / name)
    adapter = wanted(folder)
    (folder / "passwd").symlink_to("/etc/passwd")
    return adapter


def a_fifo(source, name):
    folder = an_adapter(source / name)
    adapter = wanted(folder)
    os.mkfifo(folder / "pipe")
    return adapter


def without(source, name, file):
    folder = an_adapter(source / name)
    (folder / file).unlink()
    return wanted(folder)


NO_DIGEST = "sha256:" + "0" * 64
#: By name: how it is made, the state that it is in, and what is said of it.
BROKEN = {
    "absent": (
        lambda source, name: wanted(source, name=name, path="nowhere", digest=NO_DIGEST),
        "Missing",
        "nowhere",
    ),
    "other-files": (
        lambda source, name: wanted(an_adapter(source / name), digest=NO_DIGEST),
        "DigestMismatch",
        "have digest sha256:",
    ),
    "rank": (lambda source, name: wanted(an_adapter(source / name, rank=16)), "Rejected", "lora.maxRank 8"),
    "dora": (lambda source, name: wanted(an_adapter(source / name, use_dora=True)), "Rejected", "DoRA"),
    "no-config": (
        lambda source, name: without(source, name, "adapter_config.json"),
        "Rejected",
        "has no adapter_config.json",
    ),
    "no-weights": (
        lambda source, name: without(source, name, "adapter_model.safetensors"),
        "Rejected",
        "has no adapter_model",
    ),
    "leads-out": (an_escape, "Rejected", "out of the adapter volume"),
    "a-link-inside": (a_link_inside, "Rejected", "not an ordinary file"),
    "a-pipe-inside": (a_fifo, "Rejected", "not an ordinary file"),
}


def test_broken_adapters_are_reported_and_never_reach_the_engine(start, document, source, volume, vllm):
    adapters = {name: make(source, name) for name, (make, _, _) in BROKEN.items()}
    write_policy(document, a_gate_policy(*adapters.values(), max_adapters=len(adapters)))
    with start() as keeper:
        keeper.until_ready()
        told = {name: keeper.adapter(adapter.served_name) for name, adapter in adapters.items()}
        assert {name: report.state for name, report in told.items()} == {
            name: state for name, (_, state, _) in BROKEN.items()
        }
        assert [name for name, (_, _, message) in BROKEN.items() if message not in told[name].message] == []
        assert vllm.arrived(LOAD) == []
        assert list(volume.iterdir()) == []


def test_an_adapter_of_half_the_width_is_rejected_when_the_base_model_is_known(
    start, document, source, volume, vllm, green
):
    base = source / "config.json"
    base.write_text(json.dumps({
        "model_type": "llama", "hidden_size": 2 * HIDDEN, "num_attention_heads": 18, "num_key_value_heads": 6,
        "intermediate_size": 3072, "num_hidden_layers": 30,
    }))  # fmt: skip
    write_policy(document, a_gate_policy(green))
    with start(base_config=base) as keeper:
        keeper.until_ready()
        assert keeper.state(green.served_name) == "Rejected"
        assert "trained on another model" in keeper.adapter(green.served_name).message
        assert vllm.arrived(LOAD) == []
        assert list(volume.iterdir()) == []


def test_a_broken_adapter_does_not_take_the_backend_from_the_others(start, document, source, api, green):
    broken = wanted(source, name="broken", path="nowhere", digest="sha256:" + "0" * 64)
    callers = (caller("team-a/green", green.served_name, broken.served_name),)
    write_policy(document, a_gate_policy(broken, green, callers=callers))
    token = api.token("team-a/green")
    with start() as keeper:
        keeper.until_ready()
        assert keeper.post(CHAT, chat(green.served_name), token).status == 200
        answer = keeper.post(CHAT, chat(broken.served_name), token)
        assert (answer.status, answer.headers["x-agenttype-reason"]) == (503, "adapter_unusable")
        assert answer.headers["x-should-retry"] == "false"


def test_files_that_come_or_change_later_are_taken_then(start, document, source, green):
    late = wanted(an_adapter(source / "late", rank=2))
    (source / "late").rename(source / "elsewhere")
    an_adapter(source / "late", rank=4)
    write_policy(document, a_gate_policy(late, green))
    with start() as keeper:
        keeper.until_state(late.served_name, "DigestMismatch")
        (source / "late").rename(source / "wrong")
        keeper.until_state(late.served_name, "Missing")
        (source / "elsewhere").rename(source / "late")
        keeper.until_state(late.served_name, "Loaded")


def test_what_the_engine_refuses_is_reported_in_its_words(start, document, vllm, green):
    message = {"error": {"message": "Call to add_lora method failed: unknown module"}}
    vllm.fault(LOAD, status=500, body=message)
    write_policy(document, a_gate_policy(green))
    with start() as keeper:
        keeper.until_state(green.served_name, "Rejected")
        assert "unknown module" in keeper.adapter(green.served_name).message
        assert keeper.health().status == 200
        assert len(vllm.arrived(LOAD)) == 1


def test_an_adapter_that_loads_but_cannot_answer_is_unloaded_again(start, document, volume, vllm, green):
    vllm.fault(PROBE, status=500, body={"error": {"message": "boom"}}, times=1)
    write_policy(document, a_gate_policy(green))
    with start() as keeper:
        keeper.until_state(green.served_name, "Rejected")
        until(lambda: not folder_of(volume, green).exists())
        assert order(vllm, LOAD, PROBE, UNLOAD) == [LOAD, PROBE, UNLOAD]


def test_an_engine_that_says_not_now_is_asked_again(start, document, vllm, green):
    vllm.fault(LOAD, status=503, times=2)
    write_policy(document, a_gate_policy(green))
    with start() as keeper:
        keeper.until_state(green.served_name, "Loaded")
        assert keeper.metric("agenttype_gate_engine_ready") == 1


def test_an_adapter_that_breaks_three_engines_is_held_guilty(start, document, vllm, green, red):
    vllm.fault(PROBE, reset_after_bytes=0, times=3)
    write_policy(document, a_gate_policy(green, red))
    with start() as keeper:
        keeper.until_state(green.served_name, "Rejected").until_state(red.served_name, "Loaded")
        assert "3 times" in keeper.adapter(green.served_name).message


def test_an_adapter_that_is_loaded_already_from_the_right_path_is_kept(start, document, vllm, green):
    write_policy(document, a_gate_policy(green))
    with start() as keeper:
        keeper.until_ready()
        keeper.kill()
    vllm.forget()
    with start() as keeper:
        keeper.until_ready()
        assert order(vllm, LOAD, UNLOAD, PROBE) == [PROBE]


def test_an_adapter_that_is_loaded_from_another_path_is_loaded_anew(start, document, source, volume, green):
    write_policy(document, a_gate_policy(green))
    with (
        simulator(lora_modules=[f"{green.served_name}={source / 'green'}"]) as vllm,
        start(vllm.url) as keeper,
    ):
        keeper.until_ready()
        assert order(vllm, LOAD, UNLOAD) == [UNLOAD, LOAD]
        assert vllm.arrived(LOAD)[0]["body"]["lora_path"] == str(folder_of(volume, green))


def test_an_engine_that_restarts_gets_its_adapters_back(start, document, green, api):
    write_policy(document, a_gate_policy(green, callers=(caller("team-a/green", green.served_name),)))
    token = api.token("team-a/green")
    with ExitStack() as first:
        port = first.enter_context(simulator()).port
        with start(f"http://127.0.0.1:{port}", check_seconds=30) as door:
            door.until_ready()
            first.close()
            answer = door.post(CHAT, chat(green.served_name), token)
            assert (answer.status, answer.headers["x-agenttype-reason"]) == (503, "warming")
            assert answer.headers["retry-after"] == "1"
            until(lambda: door.health().status == 503)
            with simulator(port=port) as second:
                door.until_ready()
                assert loaded(second) == {green.served_name}
                assert door.post(CHAT, chat(green.served_name), token).status == 200


def test_an_adapter_lost_unseen_is_warming_not_unknown(start, document, vllm, green, api):
    write_policy(document, a_gate_policy(green, callers=(caller("team-a/green", green.served_name),)))
    token = api.token("team-a/green")
    with start(check_seconds=60) as door:
        door.until_ready()
        until(lambda: len(vllm.arrived(MODELS)) == LOOKS_UNTIL_REST)
        forget(vllm, green.served_name)
        answer = door.post(CHAT, chat(green.served_name), token)
        assert (answer.status, answer.headers["x-agenttype-reason"]) == (503, "warming")
        until(lambda: door.post(CHAT, chat(green.served_name), token).status == 200)


def test_an_engine_that_is_not_up_yet_is_warming(start, document, green, api):
    write_policy(document, a_gate_policy(green, callers=(caller("team-a/green", "base"),)))
    with start("http://127.0.0.1:1") as door:
        assert door.health().status == 503
        assert door.health("/engine-healthz").status == 503
        assert door.health("/healthz").status == 200
        answer = door.post(CHAT, chat("base"), api.token("team-a/green"))
        assert (answer.status, answer.headers["x-agenttype-reason"]) == (503, "warming")
        assert not door.report().engine_ready


def test_an_engine_that_is_slow_to_list_its_models_still_gets_calls(start, document, vllm, api):
    write_policy(document, a_gate_policy(callers=(caller("team-a/green", "base"),)))
    token = api.token("team-a/green")
    with start(check_seconds=0.1) as door:
        door.until_ready()
        vllm.fault(MODELS, status=500, times=2)
        vllm.forget()
        until(lambda: len(vllm.arrived(MODELS)) > 2)
        assert [request["status"] for request in vllm.arrived(MODELS)][:3] == [500, 500, 200]
        assert door.report().engine_ready
        assert door.post(CHAT, chat("base"), token).status == 200


def test_an_engine_that_does_not_list_its_models_any_more_is_away(start, document, vllm):
    write_policy(document, a_gate_policy())
    with start(check_seconds=0.1) as door:
        door.until_ready()
        vllm.fault(MODELS, status=500)
        until(lambda: door.health().status == 503)
        vllm.heal()
        door.until_ready()


def test_a_rejected_folder_is_looked_at_again_once_it_has_changed(start, document, source, green):
    weights = source / "green" / "adapter_model.safetensors"
    weights.rename(source / "weights")
    os.mkfifo(weights)
    write_policy(document, a_gate_policy(green))
    with start() as keeper:
        keeper.until_state(green.served_name, "Rejected")
        (source / "weights").replace(weights)
        keeper.until_state(green.served_name, "Loaded")


def test_more_adapters_than_the_engine_holds_are_reported(start, document, vllm, green, red):
    write_policy(document, a_gate_policy(green, red, max_adapters=1))
    with start() as keeper:
        keeper.until_ready()
        assert keeper.state(green.served_name) == "Loaded"
        assert keeper.state(red.served_name) == "CapacityExceeded"
        assert loaded(vllm) == {green.served_name}
        assert keeper.metric('agenttype_gate_adapters{state="CapacityExceeded"}') == 1


def test_a_new_version_replaces_the_old_one_even_without_a_free_place(start, document, source, volume, vllm, green):
    write_policy(document, a_gate_policy(green, max_adapters=1))
    with start() as keeper:
        keeper.until_ready()
        newer = wanted(an_adapter(source / "newer", rank=2), name="green", path="newer")
        write_policy(document, a_gate_policy(newer, max_adapters=1))
        keeper.until_state(newer.served_name, "Loaded")
        until(lambda: not folder_of(volume, green).exists())
        assert order(vllm, LOAD, UNLOAD) == [LOAD, UNLOAD, LOAD]
        assert keeper.health().status == 200


def test_a_replaced_version_is_served_on_for_a_while_to_those_who_had_it(start, document, source, vllm, green, api):
    newer = wanted(an_adapter(source / "newer", rank=2), name="green", path="newer")
    token, other = api.token("team-a/green"), api.token("team-a/other")
    others = caller("team-a/other", "base")
    write_policy(document, a_gate_policy(green, callers=(caller("team-a/green", green.served_name), others)))
    with start(linger_seconds=2) as door:
        door.until_ready()
        write_policy(document, a_gate_policy(newer, callers=(caller("team-a/green", newer.served_name), others)))
        door.until_state(newer.served_name, "Loaded")
        assert door.post(CHAT, chat(green.served_name), token).status == 200
        assert door.post(CHAT, chat(green.served_name), other).status == 404
        until(lambda: bool(vllm.arrived(UNLOAD)))
        answer = door.post(CHAT, chat(green.served_name), token)
        assert (answer.status, answer.headers["x-agenttype-reason"]) == (503, "warming")


def test_a_retired_adapter_finishes_its_calls_before_it_is_unloaded_and_its_files_go_last(
    start, document, volume, vllm, green, api
):
    callers = (caller("team-a/green", "base", green.served_name),)
    write_policy(document, a_gate_policy(green, callers=callers))
    token = api.token("team-a/green")
    vllm.fault(CHAT, delay=1.0, times=1)
    with start() as door:
        door.until_ready()
        answers = []
        slow = threading.Thread(target=lambda: answers.append(door.post(CHAT, chat(green.served_name), token).status))
        slow.start()
        until(lambda: bool(vllm.arrived(CHAT)))
        write_policy(document, a_gate_policy(callers=callers))
        until(lambda: door.report().adapters == ())
        assert door.post(CHAT, chat(green.served_name), token).status == 404
        assert folder_of(volume, green).exists()
        assert vllm.arrived(UNLOAD) == []
        slow.join()
        assert answers == [200]
        until(lambda: not folder_of(volume, green).exists())
        assert len(vllm.arrived(UNLOAD)) == 1


def test_a_keeper_killed_before_unloading_leaves_the_files_until_it_is_back(start, document, volume, vllm, green):
    write_policy(document, a_gate_policy(green))
    with start() as keeper:
        keeper.until_ready()
        vllm.fault(UNLOAD, hang=True, times=1)
        write_policy(document, a_gate_policy())
        until(lambda: bool(vllm.arrived(UNLOAD)))
        keeper.kill()
    assert folder_of(volume, green).exists()
    with start() as keeper:
        until(lambda: not folder_of(volume, green).exists())
        assert [request["status"] for request in vllm.arrived(UNLOAD)][-1] == 200


def test_files_stay_while_the_engine_still_lists_the_adapter(start, document, volume, vllm, green):
    write_policy(document, a_gate_policy(green))
    with start() as keeper:
        keeper.until_ready()
        vllm.fault(UNLOAD, status=500, body={"error": {"message": "boom"}}, times=2)
        write_policy(document, a_gate_policy())
        until(lambda: len(vllm.arrived(UNLOAD)) == 2)
        assert folder_of(volume, green).exists()
        until(lambda: not folder_of(volume, green).exists())
        assert len(vllm.arrived(UNLOAD)) == 3


def test_files_are_not_deleted_while_the_engine_does_not_answer(start, document, volume, green):
    write_policy(document, a_gate_policy(green))
    with start() as keeper:
        keeper.until_ready()
        keeper.kill()
    write_policy(document, a_gate_policy())
    with start("http://127.0.0.1:1", check_seconds=0.05) as keeper:
        until(lambda: keeper.report().policy_hash == a_gate_policy().hash())
        assert folder_of(volume, green).exists()


def test_a_volume_that_is_not_there_is_said_and_waited_for(start, document, volume, green):
    volume.rmdir()
    write_policy(document, a_gate_policy(green))
    with start() as keeper:
        until(lambda: "No such file" in str(keeper.report()), lambda: str(keeper.report()))
        assert keeper.state(green.served_name) == "Loading"
        volume.mkdir()
        keeper.until_state(green.served_name, "Loaded")
        assert keeper.adapter(green.served_name).message == ""


def test_an_adapter_that_the_volume_does_not_take_holds_up_no_other(start, document, volume, green, red):
    (volume / "green").write_text("in the way")
    write_policy(document, a_gate_policy(green, red))
    with start() as keeper:
        keeper.until_state(red.served_name, "Loaded").until_ready()
        assert "File exists" in keeper.adapter(green.served_name).message
        (volume / "green").unlink()
        keeper.until_state(green.served_name, "Loaded")


def test_what_a_crash_left_behind_is_cleaned_up(start, document, source, volume, green):
    (volume / ".incoming-abc" / "deep").mkdir(parents=True)
    (volume / ".outgoing-abc").mkdir()
    an_adapter(volume / "old" / "0123456789ab")
    write_policy(document, a_gate_policy(green))
    unknown = f"stranger@0123456789ab={an_adapter(source / 'stranger')}"
    with simulator(lora_modules=[unknown]) as vllm, start(vllm.url) as keeper:
        keeper.until_ready()
        until(lambda: list(volume.iterdir()) == [volume / "green"], lambda: str(list(volume.iterdir())))
        until(lambda: [request["body"]["lora_name"] for request in vllm.arrived(UNLOAD)] == ["stranger@0123456789ab"])


def test_a_copy_that_is_not_what_it_was_is_unloaded_and_replaced(start, document, volume, vllm, green):
    write_policy(document, a_gate_policy(green))
    with start() as keeper:
        keeper.until_ready()
        keeper.kill()
    (folder_of(volume, green) / "adapter_config.json").write_text("{}")
    with start() as keeper:
        keeper.until_state(green.served_name, "Loaded")
        assert wanted(folder_of(volume, green)).digest == green.digest
        assert order(vllm, LOAD, UNLOAD) == [LOAD, UNLOAD, LOAD]


def test_a_copy_that_is_gone_under_the_engine_is_unloaded_and_replaced(start, document, volume, vllm, green):
    write_policy(document, a_gate_policy(green))
    with start() as keeper:
        keeper.until_ready()
        keeper.kill()
    folder_of(volume, green).rename(volume / "green" / "gone")
    with start() as keeper:
        keeper.until_state(green.served_name, "Loaded")
        assert wanted(folder_of(volume, green)).digest == green.digest
        assert order(vllm, LOAD, UNLOAD) == [LOAD, UNLOAD, LOAD]


def test_a_document_that_does_not_parse_keeps_the_old_one_and_shows(start, document, green, api):
    good = a_gate_policy(green, callers=(caller("team-a/green", "base"),))
    write_policy(document, good)
    with start() as door:
        door.until_ready()
        write_policy(document, '{"version": 1, "surprise": true}')
        until(lambda: door.report().error != "")
        assert door.report().policy_hash == good.hash()
        assert door.metric("agenttype_gate_policy_refused") == 1
        assert door.post(CHAT, chat("base"), api.token("team-a/green")).status == 200
        write_policy(document, a_gate_policy(green))
        until(lambda: door.report().policy_hash == a_gate_policy(green).hash())
        assert (door.report().error, door.metric("agenttype_gate_policy_refused")) == ("", 0)


def test_a_gate_without_a_document_waits_for_one_and_lets_nobody_in(start, document, api):
    with start() as door:
        assert door.health().status == 503
        assert door.post(CHAT, chat("base"), api.token("team-a/green")).status == 503
        write_policy(document, a_gate_policy())
        door.until_ready()


def test_a_caller_who_is_taken_out_is_refused_at_once(start, document, api):
    write_policy(document, a_gate_policy(callers=(caller("team-a/green", "base"),)))
    token = api.token("team-a/green")
    with start() as door:
        door.until_ready()
        assert door.post(CHAT, chat("base"), token).status == 200
        write_policy(document, a_gate_policy())
        until(lambda: door.post(CHAT, chat("base"), token).status == 403)


def test_a_gate_that_is_told_to_leave_finishes_its_calls(start, document, vllm, api):
    write_policy(document, a_gate_policy(callers=(caller("team-a/green", "base"),)))
    token = api.token("team-a/green")
    vllm.fault(CHAT, delay=1.0, times=1)
    with start(lame_duck_seconds=0.3) as door:
        door.until_ready()
        answers = []
        slow = threading.Thread(target=lambda: answers.append(door.post(CHAT, chat("base"), token).status))
        slow.start()
        until(lambda: bool(vllm.arrived(CHAT)))
        door.terminate()
        until(lambda: door.health().status == 503)
        assert door.health("/healthz").status == 200
        slow.join()
        assert (answers, door.process.wait(60)) == ([200], 0)


def test_one_agent_cannot_take_the_whole_engine_while_another_waits(start, document, vllm, api):
    document_of_two = a_gate_policy(callers=(caller("team-a/greedy", "base"), caller("team-a/modest", "base")))
    write_policy(document, document_of_two)
    greedy, modest = api.token("team-a/greedy"), api.token("team-a/modest")
    vllm.fault(CHAT, delay=0.3)
    with start(max_concurrent=2) as door:
        door.until_ready()
        many = [threading.Thread(target=door.post, args=(CHAT, chat("base"), greedy)) for _ in range(10)]
        for thread in many:
            thread.start()
        until(lambda: len(vllm.arrived(CHAT)) >= 2)
        assert door.post(CHAT, chat("base"), modest).status == 200
        assert len(vllm.arrived(CHAT)) <= 6
        for thread in many:
            thread.join()
