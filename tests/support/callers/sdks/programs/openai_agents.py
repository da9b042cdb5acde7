import asyncio

import driven
from agents import Agent, Runner

AGENT, LOOP = Agent(name="a", model="gpt-4o"), asyncio.new_event_loop()


async def _plain():
    return (await Runner.run(AGENT, "[[say=one two three]]")).final_output


async def _stream():
    result = Runner.run_streamed(AGENT, "[[say=one two three]]")
    async for _ in result.stream_events():
        pass
    return result.final_output


driven.run(
    {
        "plain": lambda: LOOP.run_until_complete(_plain()),
        "stream": lambda: LOOP.run_until_complete(_stream()),
    }
)
