import asyncio

import pytest
from agenttype_sidecar.admission.cancellation import Cancellation
from agenttype_sidecar.errors import AgentStopped, BudgetSpent


def stopped():
    return AgentStopped("enough")


async def begun(cancellation, work):
    """A task whose block is waiting by now."""

    async def block():
        with cancellation.cancellable():
            await work()

    task = asyncio.create_task(block())
    await asyncio.sleep(0)
    return task


async def test_all_that_is_running_is_cut_at_once_and_told_why():
    cancellation = Cancellation()
    tasks = [await begun(cancellation, asyncio.Event().wait) for _ in range(3)]
    assert cancellation.cut(stopped) == 3
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(result) for result in results] == [AgentStopped] * 3
    assert cancellation.cut(stopped) == 0


async def test_the_first_reason_counts():
    cancellation = Cancellation()
    task = await begun(cancellation, asyncio.Event().wait)
    cancellation.cut(lambda: BudgetSpent("gone", "run", 0))
    cancellation.cut(stopped)
    with pytest.raises(BudgetSpent):
        await task


async def test_a_block_that_cuts_all_is_not_cut_itself_and_may_go_on():
    cancellation = Cancellation()
    with cancellation.cancellable():
        cancellation.cut(stopped)
        await asyncio.sleep(0)
    assert asyncio.current_task().cancelling() == 0


async def test_a_task_that_is_cancelled_by_others_is_not_told_that_it_was_cut():
    task = await begun(Cancellation(), asyncio.Event().wait)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_what_ends_by_itself_is_no_longer_running():
    cancellation = Cancellation()
    await (await begun(cancellation, lambda: asyncio.sleep(0)))
    assert cancellation.cut(stopped) == 0
