"""How long the API server's word is taken, and who asks."""

import asyncio

import pytest
from agenttype_gate.errors import ReviewUnavailable, TokenRefused
from agenttype_gate.metrics import Metrics
from agenttype_gate.token_reviews import TokenReviews


class Desk:
    """An API server and a clock."""

    def __init__(self):
        self.now = 100.0
        self.asked = []
        self.known = {"good": "team-a/green"}
        self.available = True
        self.reviews = TokenReviews(self._review, lambda: self.now, Metrics())

    async def ask(self, token, later=0.0):
        self.now += later
        return await self.reviews.account(token)

    async def _review(self, token):
        self.asked.append(token)
        await asyncio.sleep(0)
        if not self.available:
            raise ReviewUnavailable("down")
        return self.known.get(token)


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
    with pytest.raises(TokenRefused):
        await desk.ask("good", later=60.1)


async def test_a_bad_token_is_reviewed_once_in_five_seconds(desk):
    for later in (0.0, 4.9, 0.2):
        with pytest.raises(TokenRefused):
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
        with pytest.raises(TokenRefused):
            await desk.ask(f"bad-{number}")
    await desk.ask("good")
    assert desk.asked.count("good") == 1
