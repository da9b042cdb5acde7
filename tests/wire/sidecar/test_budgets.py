"""Budgets of every resource, window and scope, as an agent meets them."""

import contextlib
import http.client
import json
import threading
import time

import pytest
from agenttype_api import policy as api
from agenttype_api.v1alpha1 import OnExhausted, Scope
from support.programs.sidecars import a_backend, a_chat, a_limit, a_policy, a_price, sidecar, together
from support.programs.simulators import simulator
from support.waiting import until

CHAT, MESSAGES = "/v1/chat/completions", "/v1/messages"
#: A dollar and four dollars for a million tokens.
PRICE = a_price(input=1_000_000_000, output=4_000_000_000)


@pytest.fixture
def slow():
    with simulator(tokens_per_second=4) as vllm:
        yield vllm


def under(url, budget):
    return a_policy(url).model_copy(update={"budget": budget})


def stopping(url, *limits):
    return under(url, api.Budget(limits=limits, on_exhausted=OnExhausted.STOP_AGENT))


def priced(url, *limits, **members):
    return a_policy(url, limits=limits, backends=(a_backend(url, prices=(PRICE,)),), **members)


# costs


def test_a_call_is_charged_at_its_backends_price(vllm):
    with sidecar(policy=priced(vllm.url, a_limit(10**9, "Cost"))) as car:
        usage = car.chat(max_tokens=8, ignore_eos=True).json["usage"]
        cost = usage["prompt_tokens"] * 1000 + usage["completion_tokens"] * 4000
        assert (car.spent(), car.held()) == (cost, 0)
        assert car.total("agenttype_llm_cost_nanousd_total", 'usage_source="provider"') == cost
        assert car.control("/agenttype/v1/calls").json[0]["costNanousd"] == cost
        assert car.total("agenttype_budget_overspend_total") == 0


@pytest.mark.parametrize(
    ("path", "usage", "cost"),
    [
        (CHAT, {"prompt_tokens": 40, "prompt_tokens_details": {"cached_tokens": 30}, "completion_tokens": 2},
         10 + 3 + 8),
        (MESSAGES, {"input_tokens": 10, "cache_read_input_tokens": 30, "cache_creation_input_tokens": 20,
                    "output_tokens": 2}, 10 + 3 + 40 + 8),
    ],
)  # fmt: skip
def test_input_from_a_cache_has_rates_of_its_own(vllm, path, usage, cost):
    rates = {"input": 1, "cached_input": 0.1, "cache_write": 2, "output": 4}
    price = a_price(**{name: int(rate * 10**6) for name, rate in rates.items()})
    backend = a_backend(vllm.url, prices=(price,))
    with sidecar(policy=a_policy(vllm.url, limits=(a_limit(10**9, "Cost"),), backends=(backend,))) as car:
        vllm.fault(path, status=200, times=1, body={"usage": usage})
        assert car.post(path, a_chat("word " * 20, max_tokens=20)).status == 200
        assert car.spent() == cost


def test_money_that_is_nearly_gone_shortens_the_answer_and_then_refuses(vllm):
    with sidecar(policy=priced(vllm.url, a_limit(400_000, "Cost"))) as car:
        answer = car.chat(max_tokens=500, ignore_eos=True)
        assert (answer.status, answer.headers["x-agenttype-clamped"]) == (200, "max_tokens")
        refused = car.until_refused()
        assert (refused.status, refused.headers["x-agenttype-limit"]) == (402, "run")
        assert 0 < car.spent() <= 400_000
        assert car.total("agenttype_budget_overspend_total") == 0


def test_a_model_without_a_price_is_refused_where_costs_are_limited(vllm):
    with sidecar(policy=a_policy(vllm.url, limits=(a_limit(10**9, "Cost"),))) as car:
        openai, anthropic = car.chat(max_tokens=2), car.post(MESSAGES, a_chat(max_tokens=2))
        assert (openai.status, openai.json["error"]["code"]) == (400, "unpriced_model")
        assert "spec.prices" in openai.json["error"]["message"]
        assert (anthropic.status, anthropic.json["error"]["type"]) == (400, "invalid_request_error")
        assert openai.headers["x-should-retry"] == "false"
        assert vllm.arrived() == []


# windows


@pytest.mark.parametrize("window", ["Minute", "Hour", "Day", "Month"])
def test_a_limit_of_a_window_says_when_it_starts_anew(vllm, window):
    with sidecar(policy=a_policy(vllm.url, limits=(a_limit(1, "Requests", "calls", window),))) as car:
        refused = car.until_refused()
        reset = int(refused.headers["x-agenttype-reset"])
        assert refused.status == 402
        assert 1 <= reset <= {"Minute": 60, "Hour": 3600, "Day": 86_400, "Month": 31 * 86_400}[window]
        soon = reset <= 60
        assert refused.headers["x-should-retry"] == ("true" if soon else "false")
        assert refused.headers.get("retry-after") == (str(reset) if soon else None)


def test_the_control_api_tells_how_every_limit_stands(vllm):
    with sidecar(policy=a_policy(vllm.url, limits=(a_limit(1, "Requests", "calls", "Month"), a_limit(5000)))) as car:
        refused = car.until_refused()
        budget = car.control("/agenttype/v1/budget").json
        calls, tokens = budget["limits"]
        assert (budget["onLimit"], budget["onExhausted"]) == ("Clamp", "Refuse")
        assert (calls["window"], calls["scope"], calls["spent"], calls["remaining"]) == ("Month", "Pod", 1, 0)
        assert 0 < calls["resetSeconds"] <= int(refused.headers["x-agenttype-reset"])
        assert (tokens["resetSeconds"], tokens["held"], tokens["drawn"]) == (None, 0, None)
        assert (calls["warning"], tokens["warning"]) == (True, False)
        assert [car.total("agenttype_budget_warning", f'limit="{name}"') for name in ("calls", "run")] == [1, 0]
        labels = ('window="Month"', 'scope="Pod"', 'resource="Requests"')
        assert car.total("agenttype_budget_spent", *labels) == 1


@pytest.mark.parametrize("window", ["Run", "Forever"])
def test_a_limit_that_never_starts_anew_says_nothing_of_it(vllm, window):
    with sidecar(policy=a_policy(vllm.url, limits=(a_limit(1, "Requests", "calls", window),))) as car:
        refused = car.until_refused()
        assert {"x-agenttype-reset", "retry-after"}.isdisjoint(refused.headers)


@pytest.mark.parametrize("status", [429, 402, 403])
def test_the_status_of_a_refusal_is_the_policys(vllm, status):
    budget = api.Budget(limits=(a_limit(1, "Requests", "calls"),), refusal_status=status)
    with sidecar(policy=under(vllm.url, budget)) as car:
        refused = car.until_refused()
        assert (refused.status, refused.json["error"]["type"]) == (status, "insufficient_quota")
        assert refused.headers["x-should-retry"] == "false"


# what is cut in the middle


class Stream:
    """A streamed call that is read as it comes."""

    def __init__(self, car, path=CHAT, **body):
        self.connection = http.client.HTTPConnection("127.0.0.1", car.data_port, timeout=30)
        body = a_chat("hello", stream=True, max_tokens=1500, ignore_eos=True, **body)
        self.connection.request("POST", path, json.dumps(body), {"content-type": "application/json"})
        self.response = self.connection.getresponse()
        self.seen = b""

    def read_some(self, events=3):
        while self.seen.count(b"\n\n") < events:
            more = self.response.read1()
            assert more, self.seen
            self.seen += more
        return self

    def rest(self):
        """Read to the clean end, and return the last events."""
        self.seen += self.response.read()
        self.connection.close()
        return [block for block in self.seen.decode().split("\n\n") if block][-2:]


def ending_in_openais_words(stream):
    error, done = stream.rest()
    assert done == "data: [DONE]"
    return json.loads(error.removeprefix("data: "))["error"]["code"]


def ending_in_anthropics_words(stream):
    _, error = stream.rest()
    event, data = error.split("\n")
    assert event == "event: error"
    return json.loads(data.removeprefix("data: "))["error"]["type"]


ENDING = {CHAT: ending_in_openais_words, MESSAGES: ending_in_anthropics_words}
SPENT = {CHAT: "insufficient_quota", MESSAGES: "billing_error"}


def assert_cut_and_charged(car, vllm, path):
    """The engine was stopped, and what it produced is charged, not what was held."""
    until(lambda: vllm.arrived(path)[-1]["outcome"] == "aborted", within=10)
    until(lambda: car.held() == 0)
    assert car.total("agenttype_llm_requests_total", 'outcome="cut"') >= 1
    assert car.total("agenttype_budget_overspend_total") == 0


@pytest.mark.parametrize("path", [CHAT, MESSAGES])
def test_a_policy_that_allows_less_than_is_spent_ends_running_streams(slow, path):
    with sidecar(policy=a_policy(slow.url, 100_000)) as car:
        assert car.chat(max_tokens=5).status == 200
        stream = Stream(car, path).read_some()
        car.set_policy(a_policy(slow.url, 3))
        assert ENDING[path](stream) == SPENT[path]
        assert_cut_and_charged(car, slow, path)
        assert car.total("agenttype_llm_tokens_total", 'direction="output"') < (1500 if path == CHAT else 1600)


def test_a_whole_call_that_is_cut_is_answered_with_the_refusal():
    with simulator(first_token_delay_seconds=30) as stuck, sidecar(policy=a_policy(stuck.url, 100_000)) as car:
        stuck.fault(CHAT, status=200, times=1, body={"usage": {"prompt_tokens": 3, "completion_tokens": 5}})
        assert car.chat(max_tokens=5).status == 200

        def work(number):
            if number == 0:
                return car.chat(max_tokens=40)
            until(lambda: len(stuck.arrived(CHAT)) == 2)
            car.set_policy(a_policy(stuck.url, 3))
            return None

        answer = together(2, work)[0]
        assert (answer.status, answer.json["error"]["code"]) == (402, "insufficient_quota")
        until(lambda: stuck.arrived(CHAT)[-1]["outcome"] == "aborted", within=10)


@pytest.mark.parametrize("path", [CHAT, MESSAGES])
def test_a_run_whose_time_is_over_ends_its_streams_and_refuses_what_comes(slow, path):
    began = time.monotonic()
    with sidecar(policy=a_policy(slow.url, limits=(a_limit(2500, "WallClock", "life"), a_limit(100_000)))) as car:
        stream = Stream(car, path).read_some()
        assert ENDING[path](stream) == SPENT[path]
        assert time.monotonic() - began >= 2.4
        assert_cut_and_charged(car, slow, path)
        refused = car.chat(max_tokens=2)
        assert (refused.status, refused.headers["x-agenttype-limit"]) == (402, "life")


def test_the_time_of_a_run_goes_on_after_a_restart(vllm, tmp_path):
    policy = a_policy(vllm.url, limits=(a_limit(3_600_000, "WallClock", "life"),))
    with sidecar(policy=policy, folder=tmp_path) as car:
        until(lambda: car.spent("life") > 300)
        car.process.kill()
    with sidecar(policy=policy, folder=tmp_path) as car:
        assert car.spent("life") > 300


# stopping


def test_an_agent_whose_run_is_used_up_is_stopped_until_its_policy_changes(vllm, tmp_path):
    policy = stopping(vllm.url, a_limit(1, "Requests", "calls"))
    with sidecar(policy=policy, folder=tmp_path) as car:
        assert [car.chat(max_tokens=2).status for _ in range(3)] == [200, 402, 403]
        openai, anthropic = car.chat(max_tokens=2), car.post(MESSAGES, a_chat(max_tokens=2))
        assert (openai.status, openai.json["error"]["code"]) == (403, "agent_stopped")
        assert (anthropic.status, anthropic.json["error"]["type"]) == (403, "permission_error")
        assert openai.headers["x-should-retry"] == "false"
        report = car.control("/agenttype/v1/policy").json
        assert ("'calls'" in report["stopped"], report["exhausted"]) == (True, ["calls"])
    with sidecar(policy=policy, folder=tmp_path) as car:
        assert car.chat(max_tokens=2).json["error"]["code"] == "agent_stopped"
        car.set_policy(stopping(vllm.url, a_limit(50, "Requests", "calls")))
        until(lambda: car.chat(max_tokens=2).status == 200)
        assert car.control("/agenttype/v1/policy").json["stopped"] == ""


def test_an_agent_goes_on_while_a_smaller_call_would_still_fit(vllm):
    with sidecar(policy=stopping(vllm.url, a_limit(1000))) as car:
        assert car.chat("hi", max_tokens=300, ignore_eos=True).status == 200
        assert car.chat("word " * 900, max_tokens=300).status in (400, 402)
        assert car.chat("hi", max_tokens=5).status == 200


def test_stopping_an_agent_ends_its_streams(slow):
    with sidecar(policy=a_policy(slow.url, 100_000)) as car:
        assert car.chat(max_tokens=5).status == 200
        stream = Stream(car).read_some()
        policy = stopping(slow.url, a_limit(1, "Requests", "calls"))
        car.set_policy(policy)
        until(lambda: car.control("/agenttype/v1/policy").json["policyHash"] == policy.hash())
        assert car.chat(max_tokens=5).status == 402
        assert ending_in_openais_words(stream) == "agent_stopped"
        assert_cut_and_charged(car, slow, CHAT)


def test_a_run_whose_time_is_over_stops_the_agent_where_policy_says_so(slow):
    with sidecar(policy=stopping(slow.url, a_limit(700, "WallClock", "life"))) as car:
        until(lambda: car.control("/agenttype/v1/policy").json["stopped"])
        assert car.chat(max_tokens=2).json["error"]["code"] == "agent_stopped"


# being killed


def used(vllm):
    return int(vllm.total("vllm:prompt_tokens_total") + vllm.total("vllm:generation_tokens_total"))


def before_the_first_byte(car, vllm):
    caller = threading.Thread(target=ignored, args=(car.chat,), kwargs={"max_tokens": 8, "ignore_eos": True})
    caller.start()
    until(lambda: vllm.arrived(CHAT))
    car.process.kill()
    caller.join()


def amid_a_stream(car, _):
    stream = Stream(car).read_some()
    car.process.kill()
    stream.response.close()
    stream.connection.close()


def right_after_an_answer(car, _):
    assert car.chat(max_tokens=2).status == 200
    car.process.kill()


def after_an_answer_was_recorded(car, _):
    assert car.chat(max_tokens=2).status == 200
    time.sleep(0.2)  # four times as long as a settlement waits to be written
    car.process.kill()


def while_it_waits_for_others(car, vllm):
    callers = [threading.Thread(target=ignored, args=(car.chat,), kwargs={"max_tokens": 1900}) for _ in range(3)]
    for caller in callers:
        caller.start()
    until(lambda: vllm.arrived(CHAT))
    car.process.kill()
    for caller in callers:
        caller.join()


def ignored(call, **body):
    """A call whose end nobody reads."""
    with contextlib.suppress(OSError, http.client.HTTPException):
        call(**body)


@pytest.mark.parametrize(
    "killed",
    [before_the_first_byte, amid_a_stream, right_after_an_answer, after_an_answer_was_recorded,
     while_it_waits_for_others],
)  # fmt: skip
def test_a_sidecar_that_is_killed_has_spent_at_least_what_the_engine_made(tmp_path, killed):
    limits = (a_limit(4000), a_limit(4000, "Tokens", "month", "Month"), a_limit(10**9, "Cost", "money", "Month"))
    with simulator(tokens_per_second=20) as vllm:
        policy = priced(vllm.url, *limits)
        with sidecar(policy=policy, folder=tmp_path) as car:
            killed(car, vllm)
            car.process.wait()
        until(lambda: vllm.total("vllm:num_requests_running") == 0)
        with sidecar(policy=policy, folder=tmp_path) as car:
            assert 0 < used(vllm) <= car.spent() <= 4000
            assert used(vllm) <= car.spent("month") <= 4000
            assert used(vllm) * 1000 <= car.spent("money")
            assert (car.held(), car.total("agenttype_budget_overspend_total")) == (0, 0)


# watching


def watch(car, after, wait):
    return car.control(f"/agenttype/v1/policy?after={after}&wait={wait}").json


def test_whoever_watches_is_answered_when_something_changes_and_not_before(vllm):
    with sidecar(policy=a_policy(vllm.url, limits=(a_limit(1, "Requests", "calls"),))) as car:
        first = car.control("/agenttype/v1/policy").json
        assert watch(car, first["sequence"] - 1, 30) == first

        def work(number):
            if number == 0:
                return watch(car, first["sequence"], 30)
            return car.until_refused()

        second = together(2, work)[0]
        assert (second["exhausted"], second["sequence"] > first["sequence"]) == (["calls"], True)
        began = time.monotonic()
        assert watch(car, second["sequence"], 0.3) == second
        assert 0.3 <= time.monotonic() - began < 20


def test_those_who_watch_do_not_keep_a_sidecar_from_ending(vllm):
    with sidecar(policy=a_policy(vllm.url)) as car:
        sequence = car.control("/agenttype/v1/policy").json["sequence"]

        def work(number):
            if number == 0:
                return watch(car, sequence, 60)["sequence"]
            time.sleep(0.3)
            return car.end()

        assert together(2, work) == [sequence, 0]


# limits that pods share


def sharing(url, store, *limits, **members):
    shared = tuple(
        limit.model_copy(update={"scope": Scope.AGENT_TYPE, "account": f"team-a.agent.green.{limit.name}"})
        for limit in limits
    )
    return a_policy(url, limits=shared, nats=api.Nats(url=store), **members)


def test_two_pods_spend_one_limit_and_no_more(vllm, nats, tmp_path):
    policy = sharing(vllm.url, nats.url, a_limit(30, "Requests", "calls", "Forever"))
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        folder.mkdir()
    with sidecar(policy=policy, folder=folders[0]) as one, sidecar(policy=policy, folder=folders[1]) as two:
        statuses = together(8, lambda number: [(one, two)[number % 2].chat(max_tokens=2).status for _ in range(6)])
        found = [status for caller in statuses for status in caller]
        assert set(found) <= {200, 402, 429}
        until(lambda: one.chat(max_tokens=2).status == 402 and two.chat(max_tokens=2).status == 402)
        assert len(vllm.arrived(CHAT)) == 30
        assert one.spent("calls") + two.spent("calls") == 30
        rows = [car.control("/agenttype/v1/budget").json["limits"][0] for car in (one, two)]
        assert sum(row["drawn"] for row in rows) == 30
        assert [row["scope"] for row in rows] == ["AgentType", "AgentType"]
        assert one.total("agenttype_budget_overspend_total") + two.total("agenttype_budget_overspend_total") == 0


def test_tokens_that_pods_share_are_leased_as_calls_need_them(vllm, nats):
    policy = sharing(vllm.url, nats.url, a_limit(100_000, "Tokens", "month", "Month"))
    with sidecar(policy=policy) as car:
        answer = car.chat(max_tokens=5)
        assert answer.status == 200
        assert "x-agenttype-clamped" not in answer.headers
        assert int(answer.headers["x-agenttype-remaining"]) == 100_000 - answer.tokens
        assert car.spent("month") == answer.tokens


def test_what_a_pod_spent_of_a_shared_limit_survives_a_kill(vllm, nats, tmp_path):
    policy = sharing(vllm.url, nats.url, a_limit(3, "Requests", "calls", "Forever"))
    with sidecar(policy=policy, folder=tmp_path) as car:
        assert [car.chat(max_tokens=2).status for _ in range(2)] == [200, 200]
        car.process.kill()
    with sidecar(policy=policy, folder=tmp_path) as car:
        until(lambda: car.chat(max_tokens=2).status == 402)
        assert len(vllm.arrived(CHAT)) == 3


def test_without_the_store_what_is_drawn_is_spent_and_then_calls_are_told_to_come_back(vllm, nats):
    policy = sharing(vllm.url, nats.url, a_limit(10**9, "Requests", "calls", "Forever"))
    with sidecar(policy=policy) as car:
        assert car.chat(max_tokens=2).status == 200
        nats.kill()
        refused = car.until_refused()
        assert (refused.status, refused.json["error"]["code"]) == (503, "nats_unreachable")
        assert refused.headers["retry-after"] == "2"
        assert car.post(MESSAGES, a_chat(max_tokens=2)).json["error"]["type"] == "overloaded_error"
        until(lambda: car.control("/agenttype/v1/policy").json["natsError"])
        assert car.total("agenttype_nats_reachable") == 0
        nats.start()
        until(lambda: car.chat(max_tokens=2).status == 200)
        until(lambda: car.control("/agenttype/v1/policy").json["natsError"] == "")


def test_a_policy_that_begins_to_share_a_limit_needs_no_restart(vllm, nats):
    with sidecar(policy=a_policy(vllm.url)) as car:
        assert car.chat(max_tokens=2).status == 200
        car.set_policy(sharing(vllm.url, nats.url, a_limit(2, "Requests", "calls", "Forever")))
        until(lambda: car.total("agenttype_budget_limit") == 2)
        assert car.chat(max_tokens=2).status == 200
        assert car.spent("calls") == 1
        car.set_policy(a_policy(vllm.url))
        until(lambda: car.total("agenttype_budget_limit") == 0)
        assert car.chat(max_tokens=2).status == 200
