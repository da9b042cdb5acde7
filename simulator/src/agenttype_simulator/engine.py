"""The made-up engine: admits, paces and counts the answers that `text` makes up.

Like vLLM it runs at most `max_num_seqs` sequences at once and at most `max_loras` different adapters among them;
the rest waits. An answer whose caller has left ends at once; it stays counted as far as it came, and in
`request_success` not at all.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from agenttype_simulator.metrics import Metrics
from agenttype_simulator.options import Options
from agenttype_simulator.text import Token

STRIDE = 32  # tokens that an unpaced answer says before it lets other calls have a turn


@dataclass(frozen=True)
class Job:
    """Prompts and the answers to them, already made up; `adapter` is None on the base model.

    Each prompt has equally many answers, and each answer is a sequence of its own in the engine.
    """

    adapter: str | None
    prompts: tuple[int, ...]
    answers: tuple[tuple[Token, ...], ...]

    @property
    def prefilled(self) -> int:
        """The prompt tokens that the engine reads: each sequence reads its own prompt."""
        return sum(self.prompts) * len(self.answers) // len(self.prompts)


class Engine:
    """Where jobs run; one per process."""

    def __init__(self, options: Options, metrics: Metrics) -> None:
        self.metrics = metrics
        self._options = options
        self._active: Counter[str] = Counter()
        self._deferred: Counter[str] = Counter()
        self._freed = asyncio.Condition()

    async def run(self, job: Job) -> AsyncGenerator[tuple[int, Token], None]:
        """Yield (choice, token) step by step; closing the generator aborts the job."""
        began = asyncio.get_running_loop().time()
        await self._admit(job)
        try:
            async for step in self._steps(max(map(len, job.answers))):
                if step == 0:
                    self.metrics.prompt_tokens += job.prefilled
                for index, answer in enumerate(job.answers):
                    if step < len(answer):
                        self._count(answer[step], step, began)
                        yield index, answer[step]
        finally:
            await asyncio.shield(self._release(job))

    def _count(self, token: Token, step: int, began: float) -> None:
        took = asyncio.get_running_loop().time() - began
        self.metrics.generation_tokens += 1
        if step == 0:
            self.metrics.first_token.observe(took)
        if token.finish:
            self.metrics.finished[token.finish] += 1
            self.metrics.latency.observe(took)

    async def _steps(self, length: int) -> AsyncGenerator[int, None]:
        loop = asyncio.get_running_loop()
        pace = 1 / self._options.tokens_per_second if self._options.tokens_per_second else 0.0
        first = loop.time() + self._options.first_token_delay_seconds
        for step in range(length):
            wait = first + step * pace - loop.time()
            if wait > 0 or step % STRIDE == 0:
                await asyncio.sleep(max(0.0, wait))
            yield step

    async def _admit(self, job: Job) -> None:
        if not self._fits(job):
            await self._queue(job)
        self.metrics.running += len(job.answers)
        if job.adapter is not None:
            self._active[job.adapter] += 1
            self.metrics.adapters_now(self._active, self._deferred)

    async def _queue(self, job: Job) -> None:
        deferred = self._has_room(job)
        self._wait(job, len(job.answers), deferred=deferred)
        try:
            async with self._freed:
                await self._freed.wait_for(lambda: self._fits(job))
        finally:
            self._wait(job, -len(job.answers), deferred=deferred)

    def _wait(self, job: Job, amount: int, *, deferred: bool) -> None:
        if deferred and job.adapter is not None:
            self.metrics.waiting_for_adapter += amount
            self._deferred[job.adapter] += amount
            self._deferred += Counter()  # drops what reached zero
            self.metrics.adapters_now(self._active, self._deferred)
        else:
            self.metrics.waiting_for_room += amount

    def _fits(self, job: Job) -> bool:
        has_slot = job.adapter in self._active or len(self._active) < self._options.max_loras
        return self._has_room(job) and (job.adapter is None or has_slot)

    def _has_room(self, job: Job) -> bool:
        """A job larger than the whole engine runs alone."""
        running = self.metrics.running
        return running == 0 or running + len(job.answers) <= self._options.max_num_seqs

    async def _release(self, job: Job) -> None:
        self.metrics.running -= len(job.answers)
        if job.adapter is not None:
            self._active[job.adapter] -= 1
            self._active += Counter()
            self.metrics.adapters_now(self._active, self._deferred)
        async with self._freed:
            self._freed.notify_all()
