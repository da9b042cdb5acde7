"""What a caller asks of an answer, read from an OpenAI body and checked as vLLM checks it."""

from dataclasses import dataclass
from typing import Any

from agenttype_simulator import checks
from agenttype_simulator.checks import Field
from agenttype_simulator.errors import BadParameter, Refusal
from agenttype_simulator.text import Wish
from agenttype_simulator.toolcalls import Choice

FIELDS = {
    "model": Field(checks.string),
    "max_tokens": Field(checks.integer),
    "n": Field(checks.integer),
    "seed": Field(checks.integer),
    "stream": Field(checks.boolean),
    "stream_options": Field(checks.structure),
    "temperature": Field(checks.number),
    "top_p": Field(checks.number),
    "top_k": Field(checks.integer),
    "ignore_eos": Field(checks.boolean, nullable=False),
    "min_tokens": Field(checks.integer, nullable=False),
    "return_token_ids": Field(checks.boolean),
}
_GREEDY_BELOW = 1e-5
_HOTTEST = 2.0


@dataclass(frozen=True)
class Sampling:
    """One call's choices; `continuous_usage` holds only together with `include_usage`, as in vLLM."""

    wish: Wish
    n: int
    stream: bool
    include_usage: bool
    continuous_usage: bool
    token_ids: bool
    top_logprobs: int | None
    tools: Choice


@dataclass(frozen=True)
class Budget:
    """How many tokens a call may take: `asked` by the caller in field `param`, or what the context leaves."""

    prompt: int
    context: int
    asked: int | None
    param: str

    def allowed(self) -> int:
        """The output bound, cut to what the context leaves; refuses what could never fit."""
        if self.asked is not None and self.asked > self.context:
            raise BadParameter(
                f"{self.param}={self.asked} cannot be greater than max_model_len={self.context}. "
                "Please request fewer output tokens.",
                self.param,
                self.asked,
            )
        if self.prompt > self.context:
            # vLLM stops reading one token above its context, so it never tells how long the prompt really is.
            seen = self.context + 1
            raise BadParameter(
                f"This model's maximum context length is {self.context} tokens. However, your prompt contains at "
                f"least {seen} input tokens, which exceeds this limit even without any output tokens. "
                "Please reduce the length of the input prompt.",
                "input_tokens",
                seen,
            )
        left = self.context - self.prompt
        return left if self.asked is None else min(left, self.asked)


def sampling(body: dict[str, Any], budget: Budget) -> Sampling:
    """Read and check one body; raises the refusal that vLLM gives."""
    allowed = budget.allowed()
    _check(body, allowed)
    options = body.get("stream_options") or {}
    stop = body.get("stop") or []
    include_usage = bool(options.get("include_usage"))
    return Sampling(
        wish=Wish(
            max_tokens=allowed,
            min_tokens=body.get("min_tokens") or 0,
            ignore_end=bool(body.get("ignore_eos")),
            stop=(stop,) if isinstance(stop, str) else tuple(stop),
            keep_stop=bool(body.get("include_stop_str_in_output")),
            may_call=bool(body.get("tools")) and body.get("tool_choice") != "none",
        ),
        n=1 if body.get("n") is None else body["n"],
        stream=bool(body.get("stream")),
        include_usage=include_usage,
        continuous_usage=include_usage and bool(options.get("continuous_usage_stats")),
        token_ids=bool(body.get("return_token_ids")),
        tools=Choice(body),
        top_logprobs=(body.get("top_logprobs") or 0) if body.get("logprobs") else None,
    )


def check_stream(body: dict[str, Any]) -> None:
    """Refuse stream options without a stream; vLLM looks at this before it looks for the model."""
    if body.get("stream_options") and not body.get("stream"):
        raise BadParameter("Stream options can only be defined when `stream=True`.", "stream_options")


def _check(body: dict[str, Any], allowed: int) -> None:
    n = body.get("n")
    if n is not None and n < 1:
        raise Refusal(f"n must be at least 1, got {n}.")
    temperature = body.get("temperature")
    if temperature is not None and temperature < 0:
        raise BadParameter(f"temperature must be non-negative, got {temperature}.", "temperature", temperature)
    if temperature is not None and temperature > _HOTTEST:
        raise BadParameter(f"temperature must be in [0, 2], got {temperature}.", "temperature", temperature)
    top_p = body.get("top_p")
    if top_p is not None and not 0 < top_p <= 1:
        raise BadParameter(f"top_p must be in (0, 1], got {top_p}.", "top_p", top_p)
    if allowed < 1:
        raise BadParameter(f"max_tokens must be at least 1, got {allowed}.", "max_tokens", allowed)
    least = body.get("min_tokens") or 0
    if least > allowed:
        raise Refusal(f"min_tokens must be less than or equal to max_tokens={allowed}, got {least}.")
    if n is not None and n > 1 and temperature is not None and temperature < _GREEDY_BELOW:
        raise Refusal(f"n must be 1 when using greedy sampling, got {n}.")
