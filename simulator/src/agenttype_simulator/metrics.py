"""The counters that vLLM shows at `/metrics`, in its names, labels and text format.

A gauge tells now, a counter only grows. As in vLLM every sequence counts on its own: a call with `n: 2` counts its
prompt twice, and an aborted call counts what it had generated.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

FINISHED_REASONS = ("stop", "length", "abort", "error", "repetition")


@dataclass
class Metrics:
    """One engine's books; `model` is the base model's served name on every line, whichever adapter answered."""

    model: str
    max_loras: int
    prompt_tokens: int = 0
    generation_tokens: int = 0
    running: int = 0
    waiting_for_room: int = 0
    waiting_for_adapter: int = 0
    finished: Counter[str] = field(default_factory=Counter)

    def text(self) -> str:
        """The Prometheus text format, one family after another."""
        return "\n".join(self._lines()) + "\n"

    def _lines(self) -> Iterator[str]:
        waiting = {"capacity": self.waiting_for_room, "deferred": self.waiting_for_adapter}
        yield from self._gauge("num_requests_running", "Number of requests in model execution batches.", self.running)
        yield from self._gauge(
            "num_requests_waiting", "Number of requests waiting to be processed.", sum(waiting.values())
        )
        yield from _head("num_requests_waiting_by_reason", "Number of waiting requests by reason.", "gauge")
        for reason, amount in waiting.items():
            yield self._sample("num_requests_waiting_by_reason", amount, reason=reason)
        yield from self._gauge("kv_cache_usage_perc", "KV-cache usage. 1 means 100 percent usage.", 0)
        yield from self._counter("prompt_tokens", "Number of prefill tokens processed.", self.prompt_tokens)
        yield from self._counter("generation_tokens", "Number of generation tokens processed.", self.generation_tokens)
        yield from _head("request_success_total", "Count of successfully processed requests.", "counter")
        for reason in FINISHED_REASONS:
            yield self._sample("request_success_total", self.finished[reason], finished_reason=reason)

    def _gauge(self, name: str, says: str, value: float) -> Iterator[str]:
        yield from _head(name, says, "gauge")
        yield self._sample(name, value)

    def _counter(self, name: str, says: str, value: float) -> Iterator[str]:
        yield from _head(f"{name}_total", says, "counter")
        yield self._sample(f"{name}_total", value)

    def _sample(self, name: str, value: float, **labels: str) -> str:
        labels = {"engine": "0", "model_name": self.model} | labels
        inside = ",".join(f'{key}="{_escaped(labels[key])}"' for key in sorted(labels))
        return f"vllm:{name}{{{inside}}} {float(value)}"


def _head(name: str, says: str, kind: str) -> Iterator[str]:
    yield f"# HELP vllm:{name} {says}"
    yield f"# TYPE vllm:{name} {kind}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
