"""How a sidecar starts, changes its policy, shows itself, and ends."""

import contextlib
import http.client
import signal
import threading

import pytest
from support.programs.sidecars import a_chat, a_limit, a_policy, a_route, call, sidecar
from support.programs.simulators import simulator
from support.waiting import until

CHAT = "/v1/chat/completions"


@pytest.fixture(scope="module")
def vllm():
    with simulator() as running:
        yield running


@pytest.fixture
def car(vllm):
    with sidecar(policy=a_policy(vllm.url, 1000)) as running:
        yield running


def test_a_sidecar_that_printed_its_ports_is_ready(car):
    assert [car.health(path).status for path in ("/started", "/readyz", "/healthz", "/nothing")] == [200, 200, 200, 404]


def test_drain_may_be_asked_again_and_calls_go_on(car):
    assert [car.health("/drain").status for _ in range(3)] == [200, 200, 200]
    assert [car.health(path).status for path in ("/readyz", "/healthz", "/started")] == [503, 200, 200]
    assert car.chat(max_tokens=2).status == 200


def test_a_changed_policy_is_in_use_without_a_restart(car, vllm):
    changed = a_policy(vllm.url, 500, routes=(a_route("only-this"),))
    car.set_policy(changed)
    until(lambda: car.control("/agenttype/v1/policy").json["policyHash"] == changed.hash())
    assert car.chat(max_tokens=2).status == 404
    assert car.total("agenttype_budget_limit", 'limit="run"') == 500


def test_what_was_spent_counts_against_a_limit_that_came_later(vllm):
    with sidecar(policy=a_policy(vllm.url)) as car:
        tokens = car.chat(max_tokens=5).tokens
        car.set_policy(a_policy(vllm.url, 1000))
        until(lambda: car.total("agenttype_budget_limit") == 1000)
        assert car.spent() == tokens


def test_a_policy_that_cannot_be_used_keeps_the_old_one_and_is_told(car):
    before = car.control("/agenttype/v1/policy").json["policyHash"]
    car.set_policy('{"version": 9}')
    until(lambda: car.total("agenttype_policy_reload_errors_total") == 1)
    report = car.control("/agenttype/v1/policy").json
    assert (report["policyHash"], bool(report["error"])) == (before, True)
    assert car.total("agenttype_policy_current") == 0
    assert car.chat(max_tokens=2).status == 200


def test_sighup_reads_the_policy_again(car):
    car.set_policy("{")
    until(lambda: car.total("agenttype_policy_reload_errors_total") == 1)
    car.process.send_signal(signal.SIGHUP)
    until(lambda: car.total("agenttype_policy_reload_errors_total") == 2)


def test_a_call_keeps_the_policy_it_began_with():
    with simulator(tokens_per_second=20) as slow, sidecar(policy=a_policy(slow.url, 1000)) as car:
        answers = []
        caller = threading.Thread(target=lambda: answers.append(car.chat(max_tokens=12, ignore_eos=True)))
        caller.start()
        until(lambda: slow.arrived(CHAT))
        car.set_policy(a_policy(slow.url, 1, routes=(a_route("other"),)))
        until(lambda: car.total("agenttype_budget_limit") == 1)
        caller.join()
        assert answers[0].status == 200
        assert car.spent() == answers[0].tokens


def test_sigterm_lets_a_running_stream_end_and_leaves_the_ledger_complete(tmp_path):
    with simulator(tokens_per_second=20) as slow:
        policy = a_policy(slow.url, 1000)
        with sidecar(policy=policy, folder=tmp_path) as car:
            answers = []
            caller = threading.Thread(
                target=lambda: answers.append(car.chat(stream=True, max_tokens=12, ignore_eos=True))
            )
            caller.start()
            until(lambda: slow.arrived(CHAT))
            assert car.end() == 0
            caller.join()
            assert answers[0].events[-1] == "[DONE]"
        used = slow.total("vllm:prompt_tokens_total") + slow.total("vllm:generation_tokens_total")
        with sidecar(policy=policy, folder=tmp_path) as car:
            assert car.spent() == used


def test_a_stream_that_outlasts_the_drain_is_cut_and_charged(tmp_path):
    with simulator(tokens_per_second=20) as slow:
        policy = a_policy(slow.url, 10_000)
        with sidecar(policy=policy, folder=tmp_path, drain_seconds=0.2) as car:
            caller = threading.Thread(target=_ignored, args=(car,))
            caller.start()
            until(lambda: slow.arrived(CHAT))
            assert car.end() == 0
            caller.join()
        until(lambda: slow.total("vllm:num_requests_running") == 0)
        with sidecar(policy=policy, folder=tmp_path) as car:
            assert car.spent() > 0
            assert car.held() == 0


def test_metrics_have_no_label_that_a_caller_chose(car):
    for number in range(20):
        car.chat(model=f"invented-{number}", max_tokens=1)
        car.get(f"/invented-{number}")
    text = car.control("/metrics").body.decode()
    assert "invented" not in text
    assert 'agenttype_refusals_total{reason="path_not_found"} 20.0' in text


def test_time_is_accounted_for():
    with simulator(first_token_delay_seconds=0.3) as slow, sidecar(policy=a_policy(slow.url)) as car:
        car.chat(max_tokens=2)
        assert 0 < car.total("agenttype_utilization_ratio") < 1
        assert car.total("agenttype_busy_seconds_total") >= 0.3
        assert car.total("agenttype_wall_clock_seconds_total") >= car.total("agenttype_busy_seconds_total")
        assert car.total("agenttype_llm_ttft_seconds_sum") >= 0.3


def test_a_sidecar_without_a_policy_does_not_start(vllm, tmp_path):
    with (
        pytest.raises(AssertionError, match="the policy document cannot be used"),
        sidecar(policy=a_policy(vllm.url, limits=(a_limit(1),)), folder=tmp_path, policy_text="{"),
    ):
        pass


def test_the_data_port_is_the_agents_alone(car):
    assert call(f"http://127.0.0.1:{car.health_port}", "POST", CHAT, b"{}").status == 404
    assert call(f"http://127.0.0.1:{car.control_port}", "POST", CHAT, b"{}").status == 404


def _ignored(car):
    """A call whose end nobody reads."""
    with contextlib.suppress(OSError, http.client.HTTPException):
        car.post(CHAT, a_chat(stream=True, max_tokens=2000, ignore_eos=True))
