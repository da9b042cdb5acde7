"""Who runs next when more calls come than the engine takes at once."""

import asyncio

from agenttype_gate.fair_queue import FairQueue


class Bench:
    """Calls that run until they are told to end."""

    def __init__(self, slots):
        self.shares = FairQueue(slots)
        self.running = []
        self.tasks = {}

    async def begin(self, *calls):
        for call in calls:
            self.tasks[call] = asyncio.create_task(self._run(call))
        await self.settle()

    async def end(self, call):
        self.tasks[call].cancel()
        await self.settle()

    async def settle(self):
        for _ in range(5):
            await asyncio.sleep(0)

    async def _run(self, call):
        async with self.shares.slot(call[0]):
            self.running.append(call)
            try:
                await asyncio.Event().wait()
            finally:
                self.running.remove(call)


async def test_one_agent_may_have_everything_while_nobody_else_wants_it():
    bench = Bench(3)
    await bench.begin("a1", "a2", "a3", "a4")
    assert bench.running == ["a1", "a2", "a3"]


async def test_a_free_place_goes_to_the_agent_with_the_fewest_running():
    bench = Bench(3)
    await bench.begin("a1", "a2", "a3", "a4", "a5", "b1")
    await bench.end("a1")
    assert bench.running == ["a2", "a3", "b1"]


async def test_agents_of_equal_use_take_turns():
    bench = Bench(1)
    await bench.begin("a1", "a2", "b1", "b2", "c1")
    order = [bench.running[0]]
    for _ in range(4):
        await bench.end(bench.running[0])
        order += bench.running
    assert order == ["a1", "a2", "b1", "c1", "b2"]


async def test_within_an_agent_the_first_come_is_the_first_served():
    bench = Bench(1)
    await bench.begin("a1", "a2", "a3")
    await bench.end("a1")
    assert bench.running == ["a2"]


async def test_a_call_that_leaves_the_queue_takes_no_place_with_it():
    bench = Bench(1)
    await bench.begin("a1", "b1", "c1")
    await bench.end("b1")
    await bench.end("a1")
    assert bench.running == ["c1"]
    await bench.end("c1")
    await bench.begin("d1")
    assert bench.running == ["d1"]


async def test_a_call_that_leaves_in_the_moment_it_is_granted_passes_its_place_on():
    bench = Bench(1)
    await bench.begin("a1", "b1", "c1")
    bench.tasks["a1"].cancel()
    await asyncio.sleep(0)
    bench.tasks["b1"].cancel()
    await bench.settle()
    assert bench.running == ["c1"]
