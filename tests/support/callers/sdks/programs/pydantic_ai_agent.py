"""What every pydantic-ai program does, whatever its model speaks."""

import asyncio

import driven
from pydantic_ai import Agent


def run(model):
    agent, loop = Agent(model), asyncio.new_event_loop()

    async def plain():
        return (await agent.run("[[say=one two three]]")).output

    async def stream():
        async with agent.run_stream("[[say=one two three]]") as result:
            return "".join([part async for part in result.stream_text(delta=True)])

    driven.run(
        {
            "plain": lambda: loop.run_until_complete(plain()),
            "stream": lambda: loop.run_until_complete(stream()),
        }
    )
