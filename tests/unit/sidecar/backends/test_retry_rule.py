import pytest
from agenttype_api.policy import Fallback, WireProtocol
from agenttype_api.v1alpha1 import FallbackReason
from agenttype_sidecar.backends.retry_budget import RetryBudget
from agenttype_sidecar.backends.retry_rule import Attempts, Failure, NextAttempt
from agenttype_sidecar.errors import PolicyError
from agenttype_sidecar.routing.routes import Routes
from support.programs.sidecars import a_backend, a_policy, a_route

OPENAI = WireProtocol.OPENAI
URL = "http://shared.test"
AWAY = ["connect", "warming"]
BROKEN = ["connect", "certificate", "warming", "circuit_open", "unavailable", "server_error", "timeout", "reset"]


def a_fallback(backend, *on, **says):
    return Fallback(backend=backend, when=tuple(map(FallbackReason, on or ("Unavailable",))), **says)


def a_target(*fallback):
    backends = [a_backend(URL, name) for name in ("first", "second", "third")]
    backends.append(a_backend(URL, "claude", protocols=(WireProtocol.ANTHROPIC,)))
    route = a_route(backend="first").model_copy(update={"fallback": fallback})
    return Routes(a_policy(URL, backends=tuple(backends), routes=(route,))).find("gpt-4o", OPENAI)


def attempts(*fallback, until=0.0, is_low=False, budget=None):
    return Attempts(a_target(*fallback), OPENAI, budget or RetryBudget(), until=until, is_low=is_low)


def way(of, *failures):
    """Where the call goes first and after each failure; None where it ends."""
    names = [of.target.backend.name]
    for failure in failures:
        step = of.after(Failure(failure), 0.0)
        names.append(step.target.backend.name if step else None)
    return names


def test_a_fallback_has_its_own_model_and_adapter():
    target = a_target(a_fallback("second", model="mini"), a_fallback("third", adapter="green"))
    found = [(link.target.name, link.target.route.model, link.target.model) for link in target.fallback]
    assert (target.name, found) == ("first", [("second", "mini", "mini"), ("third/green", None, "third")])
    assert [link.target.fallback for link in target.fallback] == [(), ()]


def test_a_fallback_to_a_backend_that_is_not_described_makes_the_policy_unusable():
    with pytest.raises(PolicyError, match="nowhere"):
        a_target(a_fallback("nowhere"))


@pytest.mark.parametrize("failure", BROKEN)
def test_whatever_keeps_a_backend_from_answering_leads_on_without_a_pause(failure):
    of = attempts(a_fallback("second"), a_fallback("third"), until=30.0)
    steps = [of.after(Failure(failure), 0.0), of.after(Failure(failure), 0.0)]
    assert [(step.target.backend.name, step.pause) for step in steps] == [("second", 0), ("third", 0)]


@pytest.mark.parametrize(
    ("failure", "there"), [("rate_limited", "second"), ("unavailable", "third"), ("connect", "third")]
)
def test_a_fallback_answers_only_for_what_it_is_there_for(failure, there):
    fallbacks = (a_fallback("second", "RateLimited"), a_fallback("third", "Unavailable"))
    assert way(attempts(*fallbacks), failure) == ["first", there]


def test_nothing_goes_back_to_a_backend_that_has_failed():
    fallbacks = (a_fallback("second", "RateLimited"), a_fallback("third", "Unavailable", "RateLimited"))
    assert way(attempts(*fallbacks), "reset", "rate_limited") == ["first", "third", None]


@pytest.mark.parametrize("failure", ["server_error", "timeout", "reset", "certificate", "circuit_open"])
def test_what_may_have_cost_something_or_will_not_change_is_not_repeated(failure):
    assert attempts(until=30.0).after(Failure(failure), 0.0, b"1") is None


@pytest.mark.parametrize("failure", AWAY)
def test_a_backend_that_is_not_there_is_asked_until_the_patience_ends(failure):
    of = attempts(until=30.0)
    pauses, now = [], 0.0
    while (step := of.after(Failure(failure), now)) is not None:
        pauses.append(step.pause)
        now += step.pause
    assert pauses[:6] == [0.05, 0.1, 0.2, 0.4, 0.8, 1.0]
    assert 29.0 < now <= 30.0


def test_where_all_are_away_the_first_is_asked_again():
    of = attempts(a_fallback("second"), until=30.0)
    assert way(of, "connect", "connect", "warming", "circuit_open") == ["first", "second", "first", "second", "first"]


def test_a_backend_that_is_left_alone_is_not_waited_for():
    assert way(attempts(a_fallback("second"), until=30.0), "circuit_open", "circuit_open") == ["first", "second", None]


@pytest.mark.parametrize("failure", ["rate_limited", "unavailable"])
def test_a_short_pause_that_a_backend_asks_for_is_kept_twice(failure):
    of = attempts()
    assert [of.after(Failure(failure), 0.0, b"2") for _ in range(3)] == [
        NextAttempt(of.target, 2),
        NextAttempt(of.target, 2),
        None,
    ]


@pytest.mark.parametrize("header", [None, b"60", b"soon"])
def test_a_backend_that_asks_for_no_short_pause_is_not_asked_again(header):
    assert attempts().after(Failure.RATE_LIMITED, 0.0, header) is None


def test_retries_end_with_their_budget():
    budget = RetryBudget()
    made = [attempts(budget=budget).after(Failure.RATE_LIMITED, 0.0, b"1") is not None for _ in range(20)]
    assert made == [True] * 11 + [False] * 9


def test_somewhere_else_to_go_is_better_than_a_pause():
    of = attempts(a_fallback("second", "RateLimited"))
    assert of.after(Failure.RATE_LIMITED, 0.0, b"1") == NextAttempt(of.target, 0.0)


def test_a_low_budget_begins_with_what_is_cheap_and_may_still_use_the_rest():
    fallbacks = (a_fallback("second"), a_fallback("third", "BudgetLow"))
    of = attempts(*fallbacks, is_low=True)
    assert of.reason is FallbackReason.BUDGET_LOW
    assert way(of, "connect", "connect", "reset") == ["third", "first", "second", None]


def test_what_is_there_for_a_low_budget_answers_for_nothing_else():
    of = attempts(a_fallback("third", "BudgetLow"))
    assert (of.reason, way(of, "reset")) == (None, ["first", None])


def test_a_fallback_that_does_not_speak_the_callers_protocol_is_left_out():
    of = attempts(a_fallback("claude"), a_fallback("second"))
    assert ([target.name for target in of.incompatible], way(of, "reset")) == (["claude"], ["first", "second"])
