"""The made-up engine: admits, paces and counts the answers that `text` makes up.

Like vLLM it runs at most `max_num_seqs` sequences at once and at most `max_loras` different adapters among them;
the rest waits. An answer that nobody reads any more ends at once and stays counted as far as it came.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from agenttype_simulator.metrics import Metrics
from agenttype_simulator.options import Options
from agenttype_simulator.text import Token


@dataclass(frozen=True)
class Job:
    """A prompt and the answers to it, already made up; `adapter` is None on the base model."""

    adapter: str | None
    prompt_tokens: int
    answers: tuple[tuple[Token, ...], ...]


class Engine:
    """Where jobs run; one per process."""

    def __init__(self, options: Options, metrics: Metrics) -> None:
        self.metrics = metrics
        self._options = options
        self._active: Counter[str] = Counter()
        self._freed = asyncio.Condition()

    async def run(self, job: Job) -> AsyncGenerator[tuple[int, Token], None]:
        """Yield (choice, token) step by step; closing the generator aborts the job."""
        await self._admit(job)
        open_answers = set(range(len(job.answers)))
        try:
            steps = 0
            async for step in self._steps(max(len(answer) for answer in job.answers)):
                if step == 0:
                    self.metrics.prompt_tokens += job.prompt_tokens * len(job.answers)
                for index in sorted(open_answers):
                    token = job.answers[index][step]
                    self.metrics.generation_tokens += 1
                    if token.finish:
                        open_answers.discard(index)
                        self.metrics.finished[token.finish] += 1
                    yield index, token
                steps += 1
        finally:
            self.metrics.finished["abort"] += len(open_answers)
            await asyncio.shield(self._release(job))

    async def _steps(self, length: int) -> AsyncGenerator[int, None]:
        loop = asyncio.get_running_loop()
        pace = 1 / self._options.tokens_per_second if self._options.tokens_per_second else 0.0
        first = loop.time() + self._options.first_token_delay
        for step in range(length):
            await asyncio.sleep(max(0.0, first + step * pace - loop.time()))
            yield step

    async def _admit(self, job: Job) -> None:
        amount = len(job.answers)
        if self._has_room(amount) and self._has_slot(job.adapter):
            self._enter(job)
            return
        deferred = self._has_room(amount)
        self._wait(deferred=deferred, amount=amount)
        try:
            async with self._freed:
                await self._freed.wait_for(lambda: self._has_room(amount) and self._has_slot(job.adapter))
                self._enter(job)
        except asyncio.CancelledError:
            self.metrics.finished["abort"] += amount
            raise
        finally:
            self._wait(deferred=deferred, amount=-amount)

    def _wait(self, *, deferred: bool, amount: int) -> None:
        if deferred:
            self.metrics.waiting_for_adapter += amount
        else:
            self.metrics.waiting_for_room += amount

    def _has_room(self, amount: int) -> bool:
        return self.metrics.running == 0 or self.metrics.running + amount <= self._options.max_num_seqs

    def _has_slot(self, adapter: str | None) -> bool:
        return adapter is None or adapter in self._active or len(self._active) < self._options.max_loras

    def _enter(self, job: Job) -> None:
        self.metrics.running += len(job.answers)
        if job.adapter is not None:
            self._active[job.adapter] += 1

    async def _release(self, job: Job) -> None:
        self.metrics.running -= len(job.answers)
        if job.adapter is not None:
            self._active[job.adapter] -= 1
            self._active += Counter()  # drops what reached zero
        async with self._freed:
            self._freed.notify_all()
