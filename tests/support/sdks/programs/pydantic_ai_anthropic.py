import asyncio

import driven
from pydantic_ai import Agent

AGENT, LOOP = Agent("anthropic:claude-x"), asyncio.new_event_loop()


async def _plain():
    return (await AGENT.run("[[say=one two three]]")).output


async def _stream():
    async with AGENT.run_stream("[[say=one two three]]") as result:
        return "".join([part async for part in result.stream_text(delta=True)])


driven.run(
    {
        "plain": lambda: LOOP.run_until_complete(_plain()),
        "stream": lambda: LOOP.run_until_complete(_stream()),
    }
)
