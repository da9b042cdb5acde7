"""The counters that vLLM shows at `/metrics`, in its names, labels and text format.

A gauge tells now, a counter only grows. As in vLLM every sequence counts on its own: a call with `n: 2` counts its
prompt twice, and an aborted call counts what it had generated. Times are in seconds.
"""

import bisect
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

FINISHED_REASONS = ("stop", "length", "abort", "error", "repetition")
_FIRST_TOKEN = (
    *(0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0),
    *(80.0, 160.0, 640.0, 2560.0),
)
_LATENCY = (
    *(0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0, 120.0, 240.0, 480.0),
    *(960.0, 1920.0, 7680.0),
)


class Histogram:
    """How often a value fell below each bound."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect.bisect_left(self.bounds, value)] += 1
        self.sum += value


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
    first_token: Histogram = field(default_factory=lambda: Histogram(_FIRST_TOKEN))
    latency: Histogram = field(default_factory=lambda: Histogram(_LATENCY))
    adapters_seen: dict[tuple[str, str], float] = field(default_factory=dict)

    def adapters_now(self, running: Iterable[str], waiting: Iterable[str]) -> None:
        """Stamp which adapters have calls now; as in vLLM an old combination is never forgotten."""
        self.adapters_seen[",".join(sorted(running)), ",".join(sorted(waiting))] = time.time()

    def text(self) -> str:
        """The Prometheus text format, one family after another."""
        return "\n".join(self._lines()) + "\n"

    def _lines(self) -> Iterator[str]:
        waiting = {"capacity": self.waiting_for_room, "deferred": self.waiting_for_adapter}
        yield from self._one("num_requests_running", self.running)
        yield from self._one("num_requests_waiting", sum(waiting.values()))
        yield from _head("num_requests_waiting_by_reason")
        for reason, amount in waiting.items():
            yield self._sample("num_requests_waiting_by_reason", amount, reason=reason)
        yield from self._one("kv_cache_usage_perc", 0)
        yield from self._one("prefix_cache_queries_total", self.prompt_tokens)
        yield from self._one("prefix_cache_hits_total", 0)
        yield from self._one("num_preemptions_total", 0)
        yield from self._one("prompt_tokens_total", self.prompt_tokens)
        yield from self._one("generation_tokens_total", self.generation_tokens)
        yield from _head("request_success_total")
        for reason in FINISHED_REASONS:
            yield self._sample("request_success_total", self.finished[reason], finished_reason=reason)
        yield from self._histogram("time_to_first_token_seconds", self.first_token)
        yield from self._histogram("e2e_request_latency_seconds", self.latency)
        yield from _head("lora_requests_info")
        for (running, waits), stamp in self.adapters_seen.items():
            labels = f'max_lora="{self.max_loras}",running_lora_adapters="{_escaped(running)}"'
            yield f'vllm:lora_requests_info{{{labels},waiting_lora_adapters="{_escaped(waits)}"}} {stamp}'

    def _one(self, name: str, value: float) -> Iterator[str]:
        yield from _head(name)
        yield self._sample(name, value)

    def _histogram(self, name: str, values: Histogram) -> Iterator[str]:
        yield from _head(name)
        below = 0
        for bound, count in zip((*map(str, values.bounds), "+Inf"), values.counts, strict=True):
            below += count
            yield self._sample(f"{name}_bucket", below, le=bound)
        yield self._sample(f"{name}_count", below)
        yield self._sample(f"{name}_sum", values.sum)

    def _sample(self, name: str, value: float, **labels: str) -> str:
        labels = {"engine": "0", "model_name": self.model} | labels
        inside = ",".join(f'{key}="{_escaped(labels[key])}"' for key in sorted(labels))
        return f"vllm:{name}{{{inside}}} {float(value)}"


_FAMILIES = {
    "num_requests_running": ("gauge", "Number of requests in model execution batches."),
    "num_requests_waiting": ("gauge", "Number of requests waiting to be processed."),
    "num_requests_waiting_by_reason": (
        "gauge",
        (
            "Number of waiting requests by reason. Reason labels: 'capacity' = waiting for scheduling capacity; "
            "'deferred' = deferred by transient constraints (LoRA budget, KV transfer, blocked status). "
            "Sum of all reasons equals vllm:num_requests_waiting."
        ),
    ),
    "kv_cache_usage_perc": ("gauge", "KV-cache usage. 1 means 100 percent usage."),
    "prefix_cache_queries_total": ("counter", "Prefix cache queries, in terms of number of queried tokens."),
    "prefix_cache_hits_total": ("counter", "Prefix cache hits, in terms of number of cached tokens."),
    "num_preemptions_total": ("counter", "Cumulative number of preemption from the engine."),
    "prompt_tokens_total": ("counter", "Number of prefill tokens processed."),
    "generation_tokens_total": ("counter", "Number of generation tokens processed."),
    "request_success_total": ("counter", "Count of successfully processed requests."),
    "time_to_first_token_seconds": ("histogram", "Histogram of time to first token in seconds."),
    "e2e_request_latency_seconds": ("histogram", "Histogram of e2e request latency in seconds."),
    "lora_requests_info": ("gauge", "Running stats on lora requests."),
}


def _head(name: str) -> Iterator[str]:
    kind, says = _FAMILIES[name]
    yield f"# HELP vllm:{name} {says}"
    yield f"# TYPE vllm:{name} {kind}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
