"""What every route needs: which model is meant, and the run of a call with its books."""

import hashlib
import secrets
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, NamedTuple

from agenttype_simulator import text
from agenttype_simulator.engine import Engine, Job
from agenttype_simulator.errors import EngineDead, Refusal
from agenttype_simulator.exchange import Exchange
from agenttype_simulator.faults import Arrival, Script
from agenttype_simulator.loras import Adapters
from agenttype_simulator.metrics import Metrics
from agenttype_simulator.options import Options
from agenttype_simulator.sampling import Sampling

VERSION = "0.32.0"


@dataclass(frozen=True)
class Target:
    """The model that a call means; `adapter` is None on the base model."""

    served: str
    adapter: str | None


@dataclass(frozen=True)
class Call:
    """One accepted generation: what was asked and the job that answers it."""

    number: str
    created: int
    model: str
    prompts: tuple[str, ...]
    sampling: Sampling
    job: Job
    arrival: Arrival

    @property
    def prompt_tokens(self) -> int:
        """The length of all prompts, as usage reports it: each counts once, however many answers it gets."""
        return sum(self.job.prompts)


class Kept(NamedTuple):
    """A response that is kept: the turns that it ends, and its object."""

    turns: list[dict[str, Any]]
    response: dict[str, Any]


class Service:
    """One process's state, handed to every route."""

    def __init__(self, options: Options) -> None:
        self.dead_since: float | None = None
        self.options = options
        self.metrics = Metrics(options.base, options.max_loras)
        self.engine = Engine(options, self.metrics)
        self.adapters = Adapters(options.served_model_names, options.max_lora_rank, options.max_cpu_loras)
        self.script = Script()
        self.kept: dict[str, Kept] = {}
        self.started = int(time.time())
        digest = hashlib.blake2b(options.model.encode(), digest_size=4).hexdigest()
        self.fingerprint = f"vllm-{VERSION}-{digest}"

    def target(self, name: str | None) -> Target:
        """Find the model of a call; an empty name means the base model, a trap that vLLM has too."""
        if not name or name in self.options.served_model_names:
            return Target(self.options.base, None)
        if name in self.adapters.paths:
            return Target(name, name)
        aliases = ", ".join(self.options.served_model_names)
        raise Refusal(
            f"The model `{name}` does not exist. Valid aliases: {aliases}.",
            HTTPStatus.NOT_FOUND,
            param="model",
        )

    def call(self, exchange: Exchange, prefix: str, target: Target, prompts: Sequence[str], sampling: Sampling) -> Call:
        """Make up the answers of one call and give it an id, the caller's own where it sent one."""
        name, wish = target.served, sampling.wish
        self._ready(target)
        return Call(
            number=f"{prefix}{exchange.headers.get('x-request-id') or secrets.token_hex(8)}",
            created=int(time.time()),
            model=name,
            prompts=tuple(prompts),
            sampling=sampling,
            job=Job(
                adapter=target.adapter,
                prompts=tuple(map(text.count, prompts)),
                answers=tuple(text.answer(name, prompt, wish, n) for prompt in prompts for n in range(sampling.n)),
            ),
            arrival=exchange.arrival,
        )

    def _ready(self, target: Target) -> None:
        if self.dead_since is not None:
            raise EngineDead
        try:
            if target.adapter is not None:
                self.adapters.recall(target.adapter)
        except EngineDead:
            self.dead_since = time.monotonic()
            raise

    async def tokens(self, call: Call) -> AsyncGenerator[tuple[int, text.Token], None]:
        """Run the call and write down in its arrival what it took so far."""
        call.arrival.prompt_tokens = call.prompt_tokens
        async with aclosing(self.engine.run(call.job)) as steps:
            async for step in steps:
                call.arrival.completion_tokens += 1
                yield step

    async def answers(self, call: Call) -> tuple[tuple[text.Token, ...], ...]:
        """Run the call to its end."""
        async with aclosing(self.tokens(call)) as steps:
            async for _ in steps:
                pass
        return call.job.answers


def usage(prompt: int, completion: int) -> dict[str, Any]:
    """The token counts of an OpenAI reply, in vLLM's order."""
    return {"prompt_tokens": prompt, "total_tokens": prompt + completion, "completion_tokens": completion}
