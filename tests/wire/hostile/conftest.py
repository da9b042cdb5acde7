"""What the hostile tests share; slow callers take their time all at once, in a thread and against one sidecar."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator

import pytest
from agenttype_api import policy as api
from support.callers.raw_caller import Heard, converse
from support.hostile.slowness import SLOW, SlowCase, not_reading
from support.programs.sidecars import a_policy, sidecar
from support.servers.recording_upstream import recording


@pytest.fixture(scope="module")
def upstream():
    with recording() as running:
        yield running


class SlowCallers:
    """The conversations that are going on, by the name of their case; and what the sidecar and its upstream show."""

    def __init__(self, loop, car, upstream):
        self.car = car
        self.upstream = upstream
        self._futures = {}
        self._loop = loop

    def begin(self, case: SlowCase):
        conversation = converse(self.car.data_port, case.said, within=case.seconds + 40)
        self._futures[case.name] = asyncio.run_coroutine_threadsafe(conversation, self._loop)

    def begin_not_reading(self, name: str):
        self._futures[name] = asyncio.run_coroutine_threadsafe(not_reading(self.car, self.upstream), self._loop)

    def outcome(self, name: str) -> Heard:
        return self._futures[name].result(timeout=150)

    def end(self):
        asyncio.run_coroutine_threadsafe(_end_all(), self._loop).result(timeout=60)


async def _end_all():
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


@pytest.fixture(scope="module")
def slow_callers() -> Iterator[SlowCallers]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    with contextlib.ExitStack() as stack:
        stack.callback(loop.close)
        stack.callback(thread.join)
        stack.callback(lambda: loop.call_soon_threadsafe(loop.stop))
        upstream = stack.enter_context(recording())
        tools = (api.Tool(name="crm", url=f"{upstream.url}/mcp", allow=("*",)),)
        car = stack.enter_context(sidecar(policy=a_policy(upstream.url, 10**9, tools=tools)))
        callers = SlowCallers(loop, car, upstream)
        stack.callback(callers.end)
        callers.begin_not_reading("a caller that never reads")
        for case in SLOW:
            callers.begin(case)
        yield callers
