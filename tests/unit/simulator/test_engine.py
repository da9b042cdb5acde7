"""Who runs and who waits."""

import asyncio
from contextlib import aclosing

import pytest
from agenttype_simulator import options
from agenttype_simulator.engine import Engine, Job
from agenttype_simulator.metrics import Metrics
from agenttype_simulator.text import Token

WORDS = (Token("a", 1), Token(" b", 2), Token("", 3, "stop"))


def an_engine(*arguments: str) -> Engine:
    chosen = options.parse(["--served-model-name", "base", *arguments])
    return Engine(chosen, Metrics("base", chosen.max_loras))


def a_job(adapter: str | None = None, answers: int = 1) -> Job:
    return Job(adapter, (5,), (WORDS,) * answers)


async def finished(engine: Engine, job: Job) -> int:
    async with aclosing(engine.run(job)) as steps:
        return len([step async for step in steps])


async def begun(engine: Engine, job: Job):
    steps = engine.run(job)
    await anext(steps)
    return steps


async def test_answers_of_one_call_are_told_side_by_side():
    engine = an_engine()
    async with aclosing(engine.run(a_job(answers=2))) as steps:
        assert [index async for index, _ in steps] == [0, 1, 0, 1, 0, 1]


async def test_every_sequence_reads_its_prompt_and_counts_on_its_own():
    engine = an_engine()
    await finished(engine, a_job(answers=2))
    assert (engine.metrics.prompt_tokens, engine.metrics.generation_tokens) == (10, 6)
    assert engine.metrics.finished == {"stop": 2}


async def test_a_full_engine_makes_the_next_call_wait():
    engine = an_engine("--max-num-seqs", "1")
    first = await begun(engine, a_job())
    second = asyncio.create_task(finished(engine, a_job()))
    await asyncio.sleep(0)
    assert (engine.metrics.running, engine.metrics.waiting_for_room) == (1, 1)
    await first.aclose()
    assert await second == 3
    assert (engine.metrics.running, engine.metrics.waiting_for_room) == (0, 0)


async def test_one_adapter_too_many_waits_while_the_base_runs():
    engine = an_engine("--max-loras", "1")
    green = await begun(engine, a_job("green"))
    red = asyncio.create_task(finished(engine, a_job("red")))
    await asyncio.sleep(0)
    assert engine.metrics.waiting_for_adapter == 1
    assert await finished(engine, a_job()) == 3
    assert await finished(engine, a_job("green")) == 3
    assert not red.done()
    await green.aclose()
    assert await red == 3


async def test_a_waiting_call_that_is_given_up_leaves_no_trace():
    engine = an_engine("--max-num-seqs", "1")
    first = await begun(engine, a_job())
    second = asyncio.create_task(finished(engine, a_job()))
    await asyncio.sleep(0)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    assert (engine.metrics.waiting_for_room, engine.metrics.prompt_tokens) == (0, 5)
    await first.aclose()


async def test_a_call_larger_than_the_engine_runs_alone():
    engine = an_engine("--max-num-seqs", "2")
    assert await finished(engine, a_job(answers=3)) == 9


async def test_an_aborted_call_counts_as_far_as_it_came_and_as_no_success():
    engine = an_engine()
    steps = await begun(engine, a_job())
    await steps.aclose()
    assert (engine.metrics.generation_tokens, engine.metrics.running) == (1, 0)
    assert engine.metrics.finished == {}
