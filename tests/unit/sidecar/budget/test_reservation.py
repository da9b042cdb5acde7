import pytest
from agenttype_api.v1alpha1 import OnLimit, Resource
from agenttype_sidecar.budget import reservation
from agenttype_sidecar.budget.amounts import NOTHING, Amounts
from agenttype_sidecar.budget.prices import Rate
from agenttype_sidecar.budget.reservation import BudgetLine, Claim, Denial, Grant, decide, decide_tool
from hypothesis import given
from hypothesis import strategies as st
from support.programs.sidecars import a_limit

CLAMP, REJECT = OnLimit.CLAMP, OnLimit.REJECT


def lines(limits, used=NOTHING):
    """What is left of limits of which so much is spent."""
    return tuple(BudgetLine(limit, used.of(limit.resource), 0) for limit in limits)


amounts = st.builds(
    Amounts, st.integers(0, 5000), st.integers(0, 5000), st.integers(0, 50), *[st.integers(0, 9000)] * 3
)
asks = st.builds(
    Claim,
    prompt=st.integers(1, 4000),
    output=st.none() | st.integers(0, 4000),
    answers=st.integers(1, 8),
    context=st.none() | st.integers(1, 4096),
    rate=st.builds(Rate, st.integers(0, 10**7), st.integers(0, 10**7)),
)
limits = st.lists(
    st.builds(a_limit, st.integers(0, 20_000), st.sampled_from([str(resource.value) for resource in Resource])),
    max_size=4,
).map(tuple)


@given(limits, amounts, asks, st.sampled_from(OnLimit))
def test_a_granted_call_fits_into_every_limit(limits, used, ask, on_limit):
    decision = decide(lines(limits, used), ask, on_limit)
    taken = decision.amounts if isinstance(decision, Grant) else NOTHING
    passed = [line for line in lines(limits, used) if 0 < taken.of(line.limit.resource) > line.room]
    assert passed == []


@given(limits, amounts, asks, st.sampled_from(OnLimit))
def test_a_granted_answer_never_exceeds_what_was_asked_or_held(limits, used, ask, on_limit):
    decision = decide(lines(limits, used), ask, on_limit)
    output = decision.output if isinstance(decision, Grant) and decision.output is not None else 0
    held = decision.amounts.output if isinstance(decision, Grant) else 0
    assert ask.output is None or output <= ask.output
    assert min(output, ask.context or output) * ask.answers <= held or output == 0


@given(limits, amounts, asks)
def test_a_limit_that_rejects_never_clamps(limits, used, ask):
    decision = decide(lines(limits, used), ask, REJECT)
    assert isinstance(decision, Denial) or not decision.clamped


def test_a_call_that_fits_is_granted_as_it_was_asked():
    grant = decide(lines((a_limit(1000),)), Claim(prompt=100, output=50), CLAMP)
    assert grant == Grant(Amounts(100, 50, 1), 50, clamped=False)


def test_an_answer_is_clamped_to_what_is_left():
    grant = decide(lines((a_limit(1000),), Amounts(input=800)), Claim(prompt=100, output=500), CLAMP)
    assert grant == Grant(Amounts(100, 100, 1), 100, clamped=True)


def test_an_answer_is_clamped_to_its_share_when_several_are_asked_for():
    grant = decide(lines((a_limit(1000),), Amounts(input=800)), Claim(prompt=100, output=500, answers=4), CLAMP)
    assert grant == Grant(Amounts(100, 100, 1), 25, clamped=True)


def test_too_little_for_an_answer_is_denied_instead_of_clamped():
    used = Amounts(input=1000 - 100 - reservation.MIN_OUTPUT + 1)
    denial = decide(lines((a_limit(1000),), used), Claim(prompt=100, output=500), CLAMP)
    assert denial == Denial(a_limit(1000), 115, never=False)


def test_a_short_answer_that_the_caller_wanted_short_is_granted():
    grant = decide(lines((a_limit(1000),), Amounts(input=895)), Claim(prompt=100, output=5), CLAMP)
    assert grant == Grant(Amounts(100, 5, 1), 5, clamped=False)


def test_a_call_larger_than_the_whole_limit_never_fits():
    denial = decide(lines((a_limit(100),)), Claim(prompt=100, output=50), CLAMP)
    assert denial == Denial(a_limit(100), 100, never=True)


def test_a_call_that_rejects_never_fits_when_its_full_answer_exceeds_the_limit():
    denial = decide(lines((a_limit(120),)), Claim(prompt=100, output=50), REJECT)
    assert denial == Denial(a_limit(120), 120, never=True)


def test_a_limit_of_zero_holds_nothing_and_no_limit_holds_everything():
    assert isinstance(decide(lines((a_limit(0, "Requests"),)), Claim(1, 1), CLAMP), Denial)
    assert decide(lines(()), Claim(10**9, 10**9), CLAMP) == Grant(Amounts(requests=1), None, clamped=False)


def test_a_limit_on_calls_alone_leaves_the_body_as_it_is():
    assert decide(lines((a_limit(1, "Requests"),)), Claim(10, None), CLAMP).output is None


def test_a_limit_that_was_lowered_below_what_is_spent_denies():
    denial = decide(lines((a_limit(100),), Amounts(input=500)), Claim(10, 20), CLAMP)
    assert denial == Denial(a_limit(100), 0, never=False)


def test_an_answer_without_bound_may_use_the_rest_of_the_context():
    grant = decide(lines((a_limit(10_000),)), Claim(prompt=100, output=None, context=2048), CLAMP)
    assert grant == Grant(Amounts(100, 1948, 1), 1948, clamped=False)


def test_an_answer_without_any_bound_gets_the_default():
    grant = decide(lines((a_limit(10_000),)), Claim(prompt=100, output=None), CLAMP)
    assert grant.output == reservation.DEFAULT_OUTPUT


@pytest.mark.parametrize(
    ("resource", "expected"),
    [
        (Resource.TOKENS, 5),
        (Resource.INPUT_TOKENS, 2),
        (Resource.OUTPUT_TOKENS, 3),
        (Resource.REQUESTS, 7),
        (Resource.COST, 11),
        (Resource.TOOL_CALLS, 13),
        (Resource.TOOL_TIME, 17),
        (Resource.WALL_CLOCK, 0),
    ],
)
def test_every_resource_has_its_amount(resource, expected):
    assert Amounts(2, 3, 7, 11, 13, 17).of(resource) == expected


@given(st.text())
def test_bytes_bound_the_tokens_of_a_prompt_even_of_single_byte_tokens(text):
    assert reservation.prompt_bound(len(text.encode()), None) > len(text.encode())


def test_the_context_bounds_each_prompt():
    assert reservation.prompt_bound(10_000, 2048, prompts=2) == 4096


PRICED = Rate(input=2_000_000, output=8_000_000)  # nano-dollars per million tokens: 2 and 8 a token


def test_an_answer_is_clamped_to_what_the_money_pays_for():
    grant = decide(lines((a_limit(1000, "Cost"),)), Claim(prompt=100, output=500, rate=PRICED), CLAMP)
    assert grant == Grant(Amounts(100, 100, 1, 1000), 100, clamped=True)


def test_a_prompt_that_the_money_does_not_pay_for_is_denied():
    denial = decide(lines((a_limit(199, "Cost"),)), Claim(prompt=100, output=500, rate=PRICED), CLAMP)
    assert denial == Denial(a_limit(199, "Cost"), 199, never=True)


def test_answers_that_cost_nothing_are_not_clamped_by_money():
    free = Rate(input=2_000_000, output=0)
    assert not decide(lines((a_limit(200, "Cost"),)), Claim(prompt=100, output=500, rate=free), CLAMP).clamped


@given(asks, st.integers(0, 10**6))
def test_what_is_held_of_money_never_exceeds_what_is_left(ask, money):
    decision = decide(lines((a_limit(money, "Cost"),)), ask, CLAMP)
    assert isinstance(decision, Denial) or decision.amounts.cost <= money


def test_a_shared_limit_has_room_for_what_was_drawn_of_it():
    line = BudgetLine(a_limit(1000), spent=100, held=50, drawn=300)
    assert decide((line,), Claim(prompt=100, output=50), CLAMP) == Grant(Amounts(100, 50, 1), 50, clamped=False)
    assert decide((line,), Claim(prompt=140, output=50), CLAMP) == Denial(a_limit(1000), 150, never=False)


def test_the_time_of_a_run_denies_calls_only_once_it_is_over():
    limit = a_limit(1000, "WallClock")
    assert isinstance(decide((BudgetLine(limit, 999, 0),), Claim(10, 10), CLAMP), Grant)
    assert isinstance(decide((BudgetLine(limit, 1000, 0),), Claim(10, 10), CLAMP), Denial)


def test_limits_on_tools_do_not_concern_models_nor_the_other_way_round():
    spent = Amounts(input=10, tool_calls=10)
    tools, tokens = lines((a_limit(10, "ToolCalls"),), spent), lines((a_limit(10),), spent)
    assert isinstance(decide(tools, Claim(10, 10), CLAMP), Grant)
    assert isinstance(decide(tokens, Claim(10, 10), CLAMP), Denial)
    assert isinstance(decide_tool(tools, 1000, 100), Denial)
    assert isinstance(decide_tool(tokens, 1000, 100), Grant)


@pytest.mark.parametrize(
    ("left", "expected"),
    [(5000, 3000), (3000, 3000), (2000, 2000), (100, 100), (99, None), (0, None), (-50, None)],
)
def test_a_tool_gets_the_time_that_is_left_unless_that_is_none(left, expected):
    limit = a_limit(10_000, "ToolTime")
    decision = decide_tool((BudgetLine(limit, 10_000 - left, 0),), 3000, 100)
    assert (decision.amounts.tool_ms if isinstance(decision, Grant) else None) == expected


@pytest.mark.parametrize("kind", Amounts._fields)
def test_amounts_exceed_others_where_there_is_more_of_anything(kind):
    same = Amounts(1, 2, 3, 4, 5, 6)
    assert not same.exceed(same)
    assert same._replace(**{kind: 7}).exceed(same)
    assert not same.exceed(same._replace(**{kind: 7}))
