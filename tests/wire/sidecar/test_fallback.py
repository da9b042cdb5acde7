"""Who answers when the first backend does not, what that costs, and who is told."""

import http.client
import json
import socket
import time

import pytest
from agenttype_api import policy as api
from agenttype_api.v1alpha1 import FallbackReason
from support.programs.sidecars import a_backend, a_chat, a_limit, a_policy, a_route, sidecar, together
from support.servers.recording_upstream import chunked, recording, whole
from support.servers.scripted_upstream import Close, Say
from support.waiting import until

CHAT, MESSAGES, RESPONSES = "/v1/chat/completions", "/v1/messages", "/v1/responses"
QUICK = {"first_byte_ms": 1000, "idle_ms": 5000, "warm_up_ms": 500, "connect_ms": 1000}
ERROR = b'{"error":{"message":"no"}}'


@pytest.fixture(scope="module")
def recorders():
    with recording() as one, recording() as two:
        yield one, two


@pytest.fixture
def first(recorders):
    recorders[0].forget()
    return recorders[0]


@pytest.fixture
def second(recorders):
    recorders[1].forget()
    return recorders[1]


@pytest.fixture
def nowhere():
    """The URL of a port that refuses connections."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


def a_fallback(*on, backend="second", **says):
    return api.Fallback(backend=backend, when=tuple(map(FallbackReason, on or ("Unavailable",))), **says)


def a_car(first, second, *fallback, budget=100_000, **members):
    """Every name goes to `first`, and from there to `second` unless other fallbacks are given."""
    steps = fallback or (a_fallback(model="mini", adapter="green"),)
    backends = (a_backend(first, "first"), a_backend(second, "second"))
    route = a_route(backend="first").model_copy(update={"fallback": steps})
    document = {"backends": backends, "routes": (route,), "timeouts": QUICK} | members
    return sidecar(policy=a_policy(first, budget, **document))


def fallbacks(car, reason):
    return car.total("agenttype_fallbacks_total", 'from="first"', 'to="second"', f'reason="{reason}"')


def circuit(car, backend="first"):
    return car.total("agenttype_upstream_circuit_state", f'backend="{backend}"')


def refusing(status, *fields):
    return [Say(whole(ERROR, *fields, status=status))]


def test_a_backend_that_refuses_connections_is_passed_over(nowhere, second):
    with a_car(nowhere, second.url) as car:
        answer = car.chat(max_tokens=5)
        assert (answer.status, answer.headers["x-agenttype-route"]) == (200, "second/green")
        assert second.arrivals[0].json["model"] == "mini"
        assert (fallbacks(car, "Unavailable"), car.spent(), car.held()) == (1, 5, 0)
        assert car.total("agenttype_llm_requests_total", 'model="mini"', 'adapter="green"', 'outcome="ok"') == 1


def test_the_route_that_answered_is_named_where_nothing_failed_too(first, second):
    with a_car(first.url, second.url) as car:
        assert car.chat().headers["x-agenttype-route"] == "first"
        assert second.arrivals == []


@pytest.mark.parametrize(
    ("script", "charged"),
    [
        (refusing(b"503 Service Unavailable"), False),
        (refusing(b"503 Service Unavailable", b"x-agenttype-reason: warming"), False),
        (refusing(b"500 Internal Server Error"), True),
        (refusing(b"504 Gateway Timeout"), True),
        ([Close()], True),
        ([], True),
    ],
    ids=["503", "warming", "500", "504", "hangs-up", "is-silent"],
)
def test_a_backend_that_breaks_before_it_answers_is_passed_over_and_paid_for_what_it_may_have_done(
    first, second, script, charged
):
    first.answers(script)
    with a_car(first.url, second.url) as car:
        answer = car.chat(max_tokens=5)
        assert (answer.status, answer.headers["x-agenttype-route"]) == (200, "second/green")
        assert (car.spent() > 5, car.held()) == (charged, 0)
        assert car.control("/agenttype/v1/calls").json[-1]["attempts"] == 2


@pytest.mark.parametrize("stream", [False, True])
def test_a_stream_is_taken_over_as_well_before_its_first_byte(first, second, stream):
    first.answers(refusing(b"502 Bad Gateway"))
    with a_car(first.url, second.url) as car:
        assert car.chat(stream=stream).status == 200
        assert len(second.arrivals) == 1


@pytest.mark.parametrize("answer", [whole(b'{"id":')[:-3], chunked(b"", end=b""), chunked(b"data: {", end=b"")])
def test_an_answer_of_which_the_caller_has_nothing_yet_is_taken_over(first, second, answer):
    first.answers([Say(answer), Close()])
    with a_car(first.url, second.url) as car:
        taken = car.chat(max_tokens=5)
        assert (taken.status, taken.headers["x-agenttype-route"], len(second.arrivals)) == (200, "second/green", 1)
        assert (car.spent() > 5, car.held()) == (True, 0)


def test_an_answer_that_has_begun_is_never_taken_over(first, second):
    event = b'data: {"id":"c","choices":[{"index":0,"delta":{"content":"x"}}]}\n\n'
    first.answers([Say(chunked(event, end=b"")), Close()])
    with a_car(first.url, second.url) as car:
        with pytest.raises((http.client.IncompleteRead, ConnectionError)):
            car.chat(stream=True)
        assert second.arrivals == []


@pytest.mark.parametrize(("on", "status", "there"), [("RateLimited", 200, "second"), ("Unavailable", 429, "first")])
def test_a_backend_that_limits_rates_is_passed_over_only_where_the_policy_says_so(first, second, on, status, there):
    first.answers(refusing(b"429 Too Many Requests", b"retry-after: 30"))
    with a_car(first.url, second.url, a_fallback(on)) as car:
        answer = car.chat(max_tokens=5)
        assert (answer.status, answer.headers["x-agenttype-route"]) == (status, there)
        assert (fallbacks(car, "RateLimited"), car.held()) == (status == 200, 0)


@pytest.mark.parametrize("status", [b"400 Bad Request", b"401 Unauthorized", b"404 Not Found", b"422 Unprocessable"])
def test_a_call_that_is_turned_down_is_not_taken_elsewhere(first, second, status):
    first.answers(refusing(status))
    with a_car(first.url, second.url) as car:
        assert (car.chat().status, second.arrivals, car.spent()) == (int(status[:3]), [], 0)


def test_where_nobody_answers_the_last_answer_is_passed_on(first, second):
    first.answers(refusing(b"500 Internal Server Error"))
    second.answers(refusing(b"503 Service Unavailable", b"retry-after: 30"))
    with a_car(first.url, second.url) as car:
        answer = car.chat()
        assert (answer.status, answer.headers["x-agenttype-route"]) == (503, "second/green")


def test_a_chain_is_followed_to_its_end(nowhere, first, second):
    steps = (a_fallback(backend="second", model="mini"), a_fallback(backend="third", model="last"))
    backends = (a_backend(nowhere, "first"), a_backend(first.url, "second"), a_backend(second.url, "third"))
    first.answers(refusing(b"500 Internal Server Error"))
    with a_car(nowhere, nowhere, *steps, backends=backends) as car:
        assert car.chat().headers["x-agenttype-route"] == "third"
        assert (first.arrivals[0].json["model"], second.arrivals[0].json["model"]) == ("mini", "last")


def test_a_fallback_that_does_not_speak_the_callers_protocol_is_left_out(nowhere, second):
    backends = (
        a_backend(nowhere, "first"),
        a_backend(second.url, "second", protocols=(api.WireProtocol.OPENAI,)),
    )
    with a_car(nowhere, second.url, backends=backends) as car:
        assert car.post(MESSAGES, a_chat(max_tokens=5)).status == 503
        assert fallbacks(car, "WrongProtocol") == 1
        assert car.post(CHAT, a_chat(max_tokens=5)).status == 200


def test_what_a_response_builds_on_is_asked_for_where_it_is_kept(first, second):
    kept = {"id": "resp_kept", "object": "response", "output": [], "usage": {"input_tokens": 1, "output_tokens": 1}}
    first.answers(refusing(b"500 Internal Server Error"))
    second.answers([Say(whole(json.dumps(kept).encode()))], refusing(b"503 Service Unavailable"))
    with a_car(first.url, second.url, budget=None) as car:
        asked = {"model": "gpt-4o", "input": "hello"}
        assert car.post(RESPONSES, asked).headers["x-agenttype-route"] == "second/green"
        again = car.post(RESPONSES, asked | {"previous_response_id": "resp_kept"})
        assert (again.status, again.headers["x-agenttype-route"]) == (503, "second/green")
        assert (len(first.arrivals), len(second.arrivals)) == (1, 2)


# a low budget


def test_a_low_budget_is_saved_by_the_cheaper_model(first, second):
    limits = (a_limit(100, "Requests"),)
    step = a_fallback("BudgetLow", model="mini")
    with a_car(first.url, second.url, step, limits=limits) as car:
        routes = [car.chat(max_tokens=1).headers["x-agenttype-route"] for _ in range(82)]
        assert routes == ["first"] * 80 + ["second"] * 2
        assert fallbacks(car, "BudgetLow") == 2


def test_a_fallback_for_a_low_budget_is_none_for_a_broken_backend(first, second):
    first.answers(refusing(b"500 Internal Server Error"))
    with a_car(first.url, second.url, a_fallback("BudgetLow")) as car:
        assert (car.chat().status, second.arrivals) == (500, [])


# again


@pytest.mark.parametrize("status", [b"429 Too Many Requests", b"503 Service Unavailable"])
def test_a_short_pause_is_kept_for_a_backend_that_asks_for_it(first, second, status):
    first.answers(refusing(status, b"retry-after: 1"), refusing(status, b"retry-after: 0"))
    with a_car(first.url, second.url, a_fallback("BudgetLow")) as car:
        began = time.monotonic()
        answer = car.chat(max_tokens=5)
        assert (answer.status, answer.headers["x-agenttype-route"]) == (200, "first")
        assert time.monotonic() - began >= 1
        assert (car.spent(), car.held(), len(first.arrivals)) == (5, 0, 3)
        assert car.total("agenttype_retries_total", 'backend="first"') == 2


def test_a_backend_that_is_starting_is_asked_until_it_answers(first, second):
    warming = refusing(b"503 Service Unavailable", b"x-agenttype-reason: warming")
    first.answers(warming, warming)
    with a_car(first.url, second.url, a_fallback("BudgetLow")) as car:
        assert car.chat(max_tokens=5).status == 200
        assert car.total("agenttype_retries_total", 'backend="first"', 'reason="warming"') == 2
        assert car.spent() == 5


def test_retries_are_few_among_many_calls(first, second):
    first.answers(*[refusing(b"429 Too Many Requests", b"retry-after: 0")] * 100)
    with a_car(first.url, second.url, a_fallback("BudgetLow")) as car:
        statuses = {car.chat().status for _ in range(40)}
        assert statuses == {429}
        assert car.total("agenttype_retries_total") <= 10 + 4


# the breaker


def test_a_backend_that_fails_again_and_again_is_left_alone_and_tried_again_later(first, second):
    first.answers(*[refusing(b"500 Internal Server Error")] * 5)
    with a_car(first.url, second.url) as car:
        for _ in range(5):
            car.chat()
        assert circuit(car) == 2
        before = len(first.arrivals)
        assert car.chat().headers["x-agenttype-route"] == "second/green"
        assert len(first.arrivals) == before
        until(lambda: circuit(car) == 1)
        assert car.chat().headers["x-agenttype-route"] == "first"
        assert circuit(car) == 0


def test_a_backend_without_a_fallback_that_is_left_alone_is_a_503_that_costs_nothing(first, second):
    first.answers(*[refusing(b"500 Internal Server Error")] * 5)
    with a_car(first.url, second.url, a_fallback("BudgetLow")) as car:
        for _ in range(5):
            car.chat()
        spent = car.spent()
        answer = car.chat()
        assert (answer.status, answer.headers["x-agenttype-reason"]) == (503, "circuit_open")
        assert 1 <= int(answer.headers["retry-after"]) <= 5
        assert (len(first.arrivals), car.spent(), car.held()) == (5, spent, 0)


def test_calls_that_are_turned_down_open_no_breaker(first, second):
    first.answers(*[refusing(b"400 Bad Request")] * 4, *[refusing(b"429 Too Many Requests")] * 4)
    with a_car(first.url, second.url) as car:
        for _ in range(8):
            car.chat()
        assert circuit(car) == 0


# money


def test_many_calls_at_once_overspend_nothing_while_their_backend_breaks(first, second):
    first.answers(*([[Close()], refusing(b"500 Internal Server Error"), []] * 8))
    with a_car(first.url, second.url, budget=3000) as car:
        together(24, lambda _: car.chat(max_tokens=40).status)
        assert car.held() == 0
        assert car.spent() <= 3000
        assert car.total("agenttype_budget_overspend_total") == 0
