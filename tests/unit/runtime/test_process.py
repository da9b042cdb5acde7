import asyncio
import json
import os
import signal

import pytest
from agenttype_runtime import process


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_to_end_sets_the_event(number):
    stop = process.stop_event()
    os.kill(os.getpid(), number)
    async with asyncio.timeout(30):
        await stop.wait()
    asyncio.get_running_loop().remove_signal_handler(number)


def test_the_ready_line_is_one_json_object(capsys):
    process.say_ready(data=1, health=2)
    assert json.loads(capsys.readouterr().out) == {"data": 1, "health": 2}


async def test_a_chore_is_done_until_it_raises():
    done = []

    def chore():
        done.append(len(done))
        if len(done) == 3:
            raise RuntimeError("enough")

    with pytest.raises(RuntimeError):
        await process.every(0, chore)
    assert done == [0, 1, 2]


async def test_draining_ends_when_nothing_is_busy():
    left = [3]

    def is_busy():
        left[0] -= 1
        return left[0] > 0

    assert await process.drained(is_busy, within=30, look=0)


async def test_draining_gives_up_after_its_time():
    assert not await process.drained(lambda: True, within=0.01, look=0)
