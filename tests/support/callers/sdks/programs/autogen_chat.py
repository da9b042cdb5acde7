import asyncio

import driven
from autogen_agentchat.agents import AssistantAgent
from autogen_ext.models.openai import OpenAIChatCompletionClient

ASKED = "[[say=one two three]]"


def an_agent(**options):
    return AssistantAgent("agent", OpenAIChatCompletionClient(model="gpt-4o"), **options)


async def plain():
    return (await an_agent().run(task=ASKED)).messages[-1].content


async def stream():
    async for told in an_agent(model_client_stream=True).run_stream(task=ASKED):
        last = told
    return last.messages[-1].content


driven.run({"plain": lambda: asyncio.run(plain()), "stream": lambda: asyncio.run(stream())})
