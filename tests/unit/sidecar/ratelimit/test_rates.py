import asyncio
from math import inf

import pytest
from agenttype_api.policy import RateLimits, WireProtocol
from agenttype_sidecar.errors import RateLimited
from agenttype_sidecar.ratelimit.concurrency import MAX_WAITING, ConcurrencyLimit
from agenttype_sidecar.ratelimit.rates import Rates, TokenEstimate
from agenttype_sidecar.ratelimit.token_bucket import TokenBucket
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

CALL = TokenEstimate(400, 100)
"""A hundred tokens in, a hundred out."""


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


def rates(max_wait=0.05):
    clock = Clock()
    return Rates(CollectorRegistry(), clock, max_wait), clock


async def refusal(of, limits, ask=CALL):
    with pytest.raises(RateLimited) as refused:
        await of.admit(limits, ask)
    return refused.value


# buckets


def test_a_bucket_holds_a_minutes_worth_and_is_filled_evenly():
    bucket = TokenBucket(60, 0)
    bucket.take(60, 0)
    assert [bucket.wait(1, 0), bucket.wait(30, 0), bucket.wait(61, 0), bucket.wait(1, 1)] == [1, 30, inf, 0]
    assert [bucket.level(1), bucket.level(30), bucket.level(3600)] == [1, 30, 60]


def test_a_correction_may_leave_less_than_nothing_and_gives_back_no_more_than_fits():
    bucket = TokenBucket(60, 0)
    bucket.take(90, 0)
    assert (bucket.level(0), bucket.wait(1, 0)) == (-30, 31)
    bucket.take(-500, 0)
    assert bucket.level(0) == 60


def test_another_size_keeps_what_was_taken_in_proportion():
    bucket = TokenBucket(60, 0)
    bucket.take(45, 0)
    bucket.resize(600, 0)
    assert (bucket.size, bucket.level(0)) == (600, 150)


@given(st.integers(1, 1000), st.lists(st.tuples(st.floats(0, 30), st.integers(1, 50)), max_size=100))
def test_no_bucket_lets_more_through_than_a_burst_and_its_rate(size, calls):
    bucket, now, taken = TokenBucket(size, 0), 0.0, 0.0
    for pause, amount in calls:
        now += pause
        if bucket.wait(amount, now) == 0:
            bucket.take(amount, now)
            taken += amount
        assert taken <= size + now * size / 60 + 1e-6


# rates


async def test_requests_beyond_the_minute_are_refused_until_they_are_earned():
    of, clock = rates()
    limits = RateLimits(requests_per_minute=3)
    for _ in range(3):
        (await of.admit(limits, CALL)).end(200, 100)
    refused = await refusal(of, limits)
    assert (refused.kinds, refused.retry_after, refused.milliseconds) == (("requests", "rate_limit_error"), 20, 20_000)
    clock.now += 19.9
    assert (await refusal(of, limits)).retry_after == 1
    clock.now += 0.1
    assert await of.admit(limits, CALL)


async def test_tokens_beyond_the_minute_are_refused_until_they_are_earned():
    of, _ = rates()
    limits = RateLimits(tokens_per_minute=600)
    for _ in range(3):
        (await of.admit(limits, CALL)).end(200, 100)
    refused = await refusal(of, limits)
    assert (refused.kinds[0], refused.retry_after) == ("tokens", 20)


async def test_what_a_call_took_counts_not_what_it_asked_for():
    of, _ = rates()
    limits = RateLimits(tokens_per_minute=600)
    (await of.admit(limits, CALL)).end(1200, 100)
    assert (await refusal(of, limits)).retry_after == 60
    of, _ = rates()
    for _ in range(14):
        (await of.admit(limits, CALL)).end(30, 10)


async def test_a_call_that_asks_for_more_than_a_minute_holds_waits_for_a_full_minute():
    of, clock = rates()
    limits = RateLimits(tokens_per_minute=600)
    (await of.admit(limits, TokenEstimate(4_000_000, 4096))).end(100, 100)
    assert (await refusal(of, limits, TokenEstimate(4_000_000, 4096))).retry_after == 10
    clock.now += 10
    assert await of.admit(limits, TokenEstimate(4_000_000, 4096))


async def test_an_answer_that_nobody_bounds_is_as_long_as_the_last_ones():
    of, _ = rates()
    limits = RateLimits(tokens_per_minute=100_000)
    for _ in range(90):
        (await of.admit(limits, TokenEstimate(4, None))).end(1000, 1000)
    assert 999 < of._estimate(TokenEstimate(0, None)) < 1000


async def test_a_wait_is_never_told_as_longer_than_a_minute():
    of, _ = rates()
    limits = RateLimits(tokens_per_minute=60)
    (await of.admit(limits, CALL)).end(100_000, 100)
    refused = await refusal(of, limits)
    assert (refused.retry_after, refused.milliseconds) == (60, 60_000)


async def test_a_turn_ends_once():
    of, _ = rates()
    limits = RateLimits(tokens_per_minute=600, max_concurrent=1)
    turn = await of.admit(limits, CALL)
    turn.end(100, 50)
    turn.end(100, 50)
    assert (of._concurrency.inside, of._tokens.level(1000.0)) == (0, 500)


async def test_who_waits_in_vain_for_a_place_has_taken_nothing():
    of, _ = rates()
    limits = RateLimits(requests_per_minute=2, max_concurrent=1)
    first = await of.admit(limits, CALL)
    refused = await refusal(of, limits)
    assert (refused.retry_after, of._throttled.labels("concurrency")._value.get()) == (1, 1)
    first.end(1, 1)
    (await of.admit(limits, CALL)).end(1, 1)


async def test_limits_that_are_taken_back_hold_nobody_up():
    of, _ = rates(max_wait=30)
    first = await of.admit(RateLimits(max_concurrent=1, requests_per_minute=2), CALL)
    second = asyncio.create_task(of.admit(RateLimits(max_concurrent=1, requests_per_minute=2), CALL))
    await asyncio.sleep(0)
    third = await of.admit(RateLimits(), CALL)
    for turn in (first, await second, third):
        turn.end(1, 1)
    assert of._concurrency.inside == 0


async def test_what_is_left_is_told_in_the_callers_words():
    of, clock = rates()
    await of.admit(RateLimits(requests_per_minute=60, tokens_per_minute=6000), CALL)
    openai = dict(of.headers(WireProtocol.OPENAI))
    assert openai == {
        b"x-ratelimit-limit-requests": b"60",
        b"x-ratelimit-remaining-requests": b"59",
        b"x-ratelimit-reset-requests": b"1s",
        b"x-ratelimit-limit-tokens": b"6000",
        b"x-ratelimit-remaining-tokens": b"5800",
        b"x-ratelimit-reset-tokens": b"2s",
    }
    clock.now += 0.88
    assert dict(of.headers(WireProtocol.OPENAI))[b"x-ratelimit-reset-requests"] == b"120ms"
    anthropic = dict(of.headers(WireProtocol.ANTHROPIC))
    assert anthropic[b"anthropic-ratelimit-tokens-limit"] == b"6000"
    assert anthropic[b"anthropic-ratelimit-requests-remaining"] == b"59"
    assert anthropic[b"anthropic-ratelimit-tokens-reset"].endswith(b"Z")
    assert rates()[0].headers(WireProtocol.OPENAI) == []


# turnstile


async def test_places_are_given_in_the_order_of_arrival():
    gate, order = ConcurrencyLimit(), []
    gate.resize(1)
    assert await gate.enter(1)

    async def visitor(number):
        assert await gate.enter(10)
        order.append(number)
        gate.leave()

    visitors = [asyncio.create_task(visitor(number)) for number in range(5)]
    await asyncio.sleep(0)
    late = asyncio.create_task(visitor(5))
    gate.leave()
    await asyncio.gather(*visitors, late)
    assert (order, gate.inside) == ([0, 1, 2, 3, 4, 5], 0)


async def test_the_queue_has_an_end():
    gate = ConcurrencyLimit()
    gate.resize(1)
    await gate.enter(1)
    waiting = [asyncio.create_task(gate.enter(30)) for _ in range(MAX_WAITING)]
    await asyncio.sleep(0)
    assert await gate.enter(30) is False
    gate.resize(None)
    assert await asyncio.gather(*waiting) == [True] * MAX_WAITING


async def test_who_leaves_the_queue_takes_no_place():
    gate = ConcurrencyLimit()
    gate.resize(1)
    await gate.enter(1)
    gone, next_one = asyncio.create_task(gate.enter(30)), asyncio.create_task(gate.enter(30))
    await asyncio.sleep(0)
    gone.cancel()
    gate.leave()
    assert await next_one is True
    assert gone.cancelled()
    assert gate.inside == 1


async def test_who_leaves_in_the_moment_of_its_turn_gives_the_place_on():
    gate = ConcurrencyLimit()
    gate.resize(1)
    await gate.enter(1)
    gone, next_one = asyncio.create_task(gate.enter(30)), asyncio.create_task(gate.enter(30))
    await asyncio.sleep(0)
    gate.leave()
    gone.cancel()
    assert await next_one is True
    assert gate.inside == 1
