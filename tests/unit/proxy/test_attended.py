"""Blocks that end when their caller leaves."""

import asyncio

import pytest
from agenttype_proxy import asgi
from agenttype_proxy.errors import CallerGone


class Caller:
    """A ``receive`` that knows itself when its caller is gone, as our server's does."""

    def __init__(self) -> None:
        self.left = asyncio.get_running_loop().create_future()

    def gone(self) -> asyncio.Future:
        return self.left

    def leave(self) -> None:
        self.left.set_result(None)


async def test_a_block_whose_caller_leaves_is_cancelled_and_says_so():
    caller = Caller()
    asyncio.get_running_loop().call_soon(caller.leave)
    with pytest.raises(CallerGone):
        async with asgi.cancel_on_disconnect(caller):
            await asyncio.Event().wait()
    assert asyncio.current_task().cancelling() == 0


async def test_a_caller_that_has_left_before_the_block_is_noticed_at_its_first_wait():
    caller = Caller()
    caller.leave()
    with pytest.raises(CallerGone):
        async with asgi.cancel_on_disconnect(caller):
            await asyncio.Event().wait()


async def test_what_follows_the_block_is_not_cancelled_when_the_caller_leaves_as_it_ends():
    caller = Caller()
    async with asgi.cancel_on_disconnect(caller):
        caller.leave()
    await asyncio.sleep(0)  # the settling of a call, which must not be cancelled
    await asyncio.sleep(0)
    assert asyncio.current_task().cancelling() == 0


async def test_what_follows_the_block_is_not_cancelled_when_the_caller_leaves_later():
    caller = Caller()
    async with asgi.cancel_on_disconnect(caller):
        await asyncio.sleep(0)
    assert caller.left.cancelled()


async def test_a_failure_of_the_block_is_not_hidden_by_a_caller_that_leaves():
    caller = Caller()
    attended = asgi.cancel_on_disconnect(caller)
    await attended.__aenter__()
    caller.leave()
    assert await attended.__aexit__(ValueError, ValueError("mine"), None) is None
    assert asyncio.current_task().cancelling() == 0


async def test_a_cancellation_from_outside_stays_a_cancellation():
    caller = Caller()

    async def block():
        async with asgi.cancel_on_disconnect(caller):
            await asyncio.Event().wait()

    task = asyncio.create_task(block())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
