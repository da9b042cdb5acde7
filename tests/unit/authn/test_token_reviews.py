"""How long the API server's word is taken, and who asks."""

import asyncio

import pytest
from agenttype_authn.errors import ReviewUnavailable, Unauthenticated
from agenttype_authn.token_reviews import ReviewLimits, TokenReviews

AUDIENCE = "agenttype.dev/gate"


class Desk:
    """An API server and a clock."""

    def __init__(self):
        self.now = 100.0
        self.asked = []
        self.known = {"good": "team-a/green"}
        self.available = True
        self.hold = asyncio.Event()
        self.hold.set()
        self.outcomes = []
        self.limits = ReviewLimits(at_once=2, seconds=0.05)
        self.reviews = TokenReviews(self, AUDIENCE, lambda: self.now, self.limits, self.outcomes.append)

    async def ask(self, token, later=0.0):
        self.now += later
        return str(await self.reviews.service_account(token))

    async def review(self, body):
        assert body["spec"]["audiences"] == [AUDIENCE]
        token = body["spec"]["token"]
        self.asked.append(token)
        await asyncio.sleep(0)
        await self.hold.wait()
        if not self.available:
            raise ReviewUnavailable("down")
        account = self.known.get(token)
        if account is None:
            return {"status": {"error": "token is not known"}}
        user = {"username": f"system:serviceaccount:{account.replace('/', ':')}"}
        return {"status": {"authenticated": True, "audiences": [AUDIENCE], "user": user}}


@pytest.fixture
def desk():
    return Desk()


async def test_a_good_token_is_reviewed_once_a_minute(desk):
    assert [await desk.ask("good"), await desk.ask("good", later=59.9)] == ["team-a/green"] * 2
    assert desk.asked == ["good"]
    await desk.ask("good", later=0.2)
    assert desk.asked == ["good", "good"]


async def test_a_revoked_token_is_refused_after_a_minute_at_the_latest(desk):
    await desk.ask("good")
    desk.known.clear()
    with pytest.raises(Unauthenticated):
        await desk.ask("good", later=60.1)


async def test_a_bad_token_is_reviewed_once_in_five_seconds(desk):
    for later in (0.0, 4.9, 0.2):
        with pytest.raises(Unauthenticated):
            await desk.ask("bad", later=later)
    assert desk.asked == ["bad", "bad"]


async def test_an_api_server_that_is_away_is_asked_again_at_once(desk):
    desk.available = False
    with pytest.raises(ReviewUnavailable):
        await desk.ask("good")
    desk.available = True
    assert await desk.ask("good") == "team-a/green"


async def test_many_calls_with_one_token_share_one_review(desk):
    assert await asyncio.gather(*(desk.ask("good") for _ in range(20))) == ["team-a/green"] * 20
    assert desk.asked == ["good"]


async def test_a_caller_that_leaves_takes_no_answer_from_the_others(desk):
    first, second = (asyncio.create_task(desk.ask("good")) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert await second == "team-a/green"
    assert desk.asked == ["good"]


async def test_a_flood_of_made_up_tokens_pushes_no_good_one_out(desk):
    await desk.ask("good")
    for number in range(5000):
        with pytest.raises(Unauthenticated):
            await desk.ask(f"bad-{number}")
    await desk.ask("good")
    assert desk.asked.count("good") == 1


async def test_no_token_is_refused_without_a_review(desk):
    with pytest.raises(Unauthenticated):
        await desk.ask("")
    assert desk.asked == []


async def test_the_reason_of_a_refusal_is_for_the_log_the_second_time_too(desk):
    for _ in range(2):
        with pytest.raises(Unauthenticated) as refused:
            await desk.ask("bad")
        assert refused.value.detail == "token is not known"
        assert "not known" not in str(refused.value)


async def test_reviews_beyond_the_limit_wait_for_their_turn_and_not_for_ever_fail_closed(desk):
    desk.hold.clear()
    answers = await asyncio.gather(*(desk.ask(f"token-{number}") for number in range(5)), return_exceptions=True)

    assert [type(answer) for answer in answers] == [ReviewUnavailable] * 5
    assert len(desk.asked) == 2


async def test_each_review_is_counted_by_how_it_ended_and_no_memory_is(desk):
    await desk.ask("good")
    await desk.ask("good")
    with pytest.raises(Unauthenticated):
        await desk.ask("bad")
    desk.available = False
    with pytest.raises(ReviewUnavailable):
        await desk.ask("other")

    assert desk.outcomes == ["accepted", "refused", "unavailable"]
