"""What a caller asks of an answer, read from an OpenAI body and checked as vLLM checks it."""

from dataclasses import dataclass
from typing import Any

from agenttype_simulator import checks
from agenttype_simulator.errors import InvalidRequest, Refusal
from agenttype_simulator.text import Wish

FIELDS = {
    "model": checks.STRING,
    "max_tokens": checks.INTEGER,
    "n": checks.INTEGER,
    "temperature": checks.NUMBER,
    "top_p": checks.NUMBER,
    "top_k": checks.INTEGER,
    "seed": checks.INTEGER,
    "stream": checks.BOOLEAN,
    "stream_options": checks.OBJECT,
    "ignore_eos": checks.BOOLEAN,
    "min_tokens": checks.INTEGER,
    "return_token_ids": checks.BOOLEAN,
}


@dataclass(frozen=True)
class Sampling:
    """One call's choices; `continuous_usage` holds only together with `include_usage`, as in vLLM."""

    wish: Wish
    n: int
    stream: bool
    include_usage: bool
    continuous_usage: bool
    token_ids: bool


@dataclass(frozen=True)
class Budget:
    """How many tokens a call may take: `asked` by the caller in field `param`, or what the context leaves."""

    prompt: int
    context: int
    asked: int | None
    param: str

    def allowed(self) -> int:
        """The output bound, or the refusal when prompt and output do not fit the context."""
        if self.asked is not None and self.asked > self.context:
            raise Refusal(
                f"{self.param}={self.asked} cannot be greater than max_model_len={self.context}. "
                "Please request fewer output tokens.",
                param=self.param,
            )
        if self.prompt + (self.asked or 0) > self.context or self.prompt >= self.context:
            raise Refusal(_too_long(self), param="input_tokens")
        left = self.context - self.prompt
        return left if self.asked is None else min(left, self.asked)


def sampling(body: dict[str, Any], budget: Budget) -> Sampling:
    """Read and check one body; raises the refusal that vLLM gives."""
    options = body.get("stream_options") or {}
    stream = bool(body.get("stream"))
    if options and not stream:
        raise InvalidRequest(
            _value_error("Stream options can only be defined when `stream=True`.", body), "stream_options"
        )
    allowed = budget.allowed()
    _check(body, allowed)
    stop = body.get("stop") or []
    include_usage = bool(options.get("include_usage"))
    return Sampling(
        wish=Wish(
            max_tokens=allowed,
            min_tokens=body.get("min_tokens") or 0,
            ignore_end=bool(body.get("ignore_eos")),
            stop=(stop,) if isinstance(stop, str) else tuple(stop),
            keep_stop=bool(body.get("include_stop_str_in_output")),
        ),
        n=body.get("n") or 1,
        stream=stream,
        include_usage=include_usage,
        continuous_usage=include_usage and bool(options.get("continuous_usage_stats")),
        token_ids=bool(body.get("return_token_ids")),
    )


def _check(body: dict[str, Any], allowed: int) -> None:
    n = body.get("n")
    if n is not None and n < 1:
        raise Refusal(f"n must be at least 1, got {n}.", param="n")
    temperature = body.get("temperature")
    if temperature is not None and temperature < 0:
        raise Refusal(f"temperature must be non-negative, got {float(temperature)}.", param="temperature")
    if temperature is not None and temperature > 2.0:  # noqa: PLR2004 — the API's own bound
        raise Refusal(f"temperature must be in [0, 2], got {float(temperature)}.", param="temperature")
    top_p = body.get("top_p")
    if top_p is not None and not 0 < top_p <= 1:
        raise Refusal(f"top_p must be in (0, 1], got {float(top_p)}.", param="top_p")
    if allowed < 1:
        raise Refusal(f"max_tokens must be at least 1, got {allowed}.", param="max_tokens")
    least = body.get("min_tokens") or 0
    if least > allowed:
        raise Refusal(f"min_tokens must be less than or equal to max_tokens={allowed}, got {least}.")


def _too_long(budget: Budget) -> str:
    if budget.asked is None or budget.prompt >= budget.context:
        return (
            f"This model's maximum context length is {budget.context} tokens. However, your prompt contains "
            f"{budget.prompt} input tokens, which exceeds this limit even without any output tokens. "
            "Please reduce the length of the input prompt."
        )
    return (
        f"This model's maximum context length is {budget.context} tokens. However, you requested {budget.asked} "
        f"output tokens and your prompt contains {budget.prompt} input tokens, for a total of "
        f"{budget.prompt + budget.asked} tokens. Please reduce the length of the input prompt or the number of "
        "requested output tokens."
    )


def _value_error(message: str, body: dict[str, Any]) -> str:
    return (
        "1 validation error:\n  "
        f"{{'type': 'value_error', 'loc': 'body', 'msg': 'Value error, {message}', "
        f"'input': '<dict of {len(body)} items>', 'ctx': {{'error': ValueError('{message}')}}}}"
    )
