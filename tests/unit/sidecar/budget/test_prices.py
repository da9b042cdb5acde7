import pytest
from agenttype_api import policy as api
from agenttype_sidecar.budget import prices
from agenttype_sidecar.budget.price_lookup import PriceLookup
from agenttype_sidecar.budget.prices import Rate, Tokens
from agenttype_sidecar.errors import UnpricedModel
from agenttype_sidecar.routing.routes import Routes
from hypothesis import given
from hypothesis import strategies as st
from support.programs.sidecars import a_backend, a_limit, a_policy, a_price, a_route

rates = st.integers(0, 10**11)
any_price = st.builds(
    lambda *parts: api.Price(
        models=("*",), **dict(zip(("input", "cached_input", "cache_write", "output"), parts, strict=True))
    ),
    *[rates] * 4,
)
counts = st.integers(0, 10**7)


@given(any_price, st.builds(Tokens, counts, counts, counts, counts))
def test_no_call_costs_more_than_the_highest_rate_says(price, tokens):
    assert 0 <= prices.cost(price, tokens) <= prices.highest((price,)).of(tokens.input, tokens.output)


@given(st.builds(Rate, rates, rates), st.integers(0, 10**12), counts)
def test_what_the_money_affords_is_paid_for_and_one_more_is_not(rate, room, prompt):
    output = rate.affords(room, prompt)
    if output is None:
        assert rate.of(prompt, 10**9) <= room
    elif output >= 0:
        assert rate.of(prompt, output) <= room < rate.of(prompt, output + 1)
    else:
        assert rate.of(prompt, 0) > room


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        (Tokens(1_000_000, 0), 2_000),
        (Tokens(0, 1_000_000), 8_000),
        (Tokens(1_000_000, 0, cached=400_000), 1_200 + 200),
        (Tokens(1_000_000, 0, cached=400_000, written=100_000), 1_000 + 200 + 250),
        (Tokens(10, 0, cached=50, written=50), 1),
        (Tokens(1, 1), 1),
        (Tokens(0, 0), 0),
    ],
)
def test_every_kind_of_token_has_its_rate_and_the_sum_is_rounded_up(tokens, expected):
    price = a_price(input=2_000, cached_input=500, cache_write=2_500, output=8_000)
    assert prices.cost(price, tokens) == expected


def test_the_first_price_that_matches_a_served_name_or_an_alias_counts():
    listed = (a_price("green*", input=1), a_price("base", "gr*", input=2), a_price("*", input=3))
    backend = a_backend("http://shared.test", prices=listed)
    found = [prices.price_of(backend, *names).input for names in (("green@0123", ""), ("base", "green"), ("x", ""))]
    assert found == [1, 1, 3]
    assert prices.price_of(a_backend("http://shared.test"), "base", "") is None


def the_tariff(*limits, fallback=()):
    backends = (
        a_backend("http://shared.test", prices=(a_price("base", input=5, output=7),)),
        a_backend("http://other.test", "other", prices=(a_price("dear", input=3, output=70),)),
    )
    route = a_route(model="base").model_copy(update={"fallback": fallback})
    policy = a_policy("http://shared.test", limits=limits, backends=backends, routes=(route,))
    return PriceLookup(policy), policy


def target(policy):
    return Routes(policy).find("gpt-4o", api.WireProtocol.OPENAI)


def test_a_call_is_held_at_the_highest_price_of_all_that_may_answer_it():
    step = api.Fallback(backend="other", model="dear", when=())
    tariff, policy = the_tariff(a_limit(1, "Cost"), fallback=(step,))
    assert tariff.rate(target(policy), "gpt-4o") == Rate(5, 70)
    assert tariff.price(target(policy), "gpt-4o").output == 7


@pytest.fixture(params=["the route", "a fallback"])
def unpriced(request):
    """A tariff and a policy in which something that may answer has no price, with or without a limit."""

    def build(*limits):
        step = api.Fallback(backend="other", model="unknown", when=())
        tariff, policy = the_tariff(*limits, fallback=() if request.param == "the route" else (step,))
        route = policy.routes[0].model_copy(update={"model": "unknown" if request.param == "the route" else "base"})
        return tariff, policy.model_copy(update={"routes": (route,)})

    return build


def test_what_has_no_price_is_refused_where_costs_are_limited(unpriced):
    tariff, policy = unpriced(a_limit(1, "Cost"))
    with pytest.raises(UnpricedModel, match=r"spec\.prices"):
        tariff.rate(target(policy), "gpt-4o")


def test_what_has_no_price_may_go_where_costs_are_not_limited(unpriced):
    tariff, policy = unpriced()
    assert tariff.rate(target(policy), "gpt-4o").output <= 7
