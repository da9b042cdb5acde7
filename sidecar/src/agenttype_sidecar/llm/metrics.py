"""The metrics of LLM calls.

Labels come from closed lists: models and adapters of the policy, outcomes and sources of ours.
"""

from typing import Final, NamedTuple

from agenttype_api.policy import WireProtocol
from prometheus_client import CollectorRegistry

from agenttype_sidecar.llm.usage import Cost
from agenttype_sidecar.telemetry.counters import PlainCounter, PlainHistogram
from agenttype_sidecar.telemetry.metrics import OTHER

_DURATIONS: Final = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800)
_FIRST_TOKENS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class CallLabels(NamedTuple):
    """The labels of a call: served model, adapter and protocol, all from the policy."""

    model: str = OTHER
    adapter: str = ""
    protocol: WireProtocol = WireProtocol.OPENAI


class LlmMetrics:
    """Counts LLM calls, what they cost and how long they take."""

    def __init__(self, registry: CollectorRegistry) -> None:
        labels = ("model", "adapter", "protocol")
        self._requests = PlainCounter(
            "agenttype_llm_requests",
            "LLM calls of the agent by outcome.",
            (*labels, "outcome", "code"),
            registry=registry,
        )
        self._tokens = PlainCounter(
            "agenttype_llm_tokens",
            "Tokens charged, by direction and by how well the number is known.",
            ("model", "adapter", "direction", "usage_source"),
            registry=registry,
        )
        self._costs = PlainCounter(
            "agenttype_llm_cost_nanousd",
            "What was charged at the backends' prices, in nano-dollars, by how well it is known.",
            ("model", "adapter", "usage_source"),
            registry=registry,
        )
        self._durations = PlainHistogram(
            "agenttype_llm_duration_seconds",
            "From a call's arrival to its last byte.",
            labels,
            bounds=_DURATIONS,
            registry=registry,
        )
        self._first_tokens = PlainHistogram(
            "agenttype_llm_ttft_seconds",
            "From a call's arrival to the first byte of its answer.",
            labels,
            bounds=_FIRST_TOKENS,
            registry=registry,
        )

    def answered(self, labels: CallLabels, outcome: str, code: int) -> None:
        """Count a call."""
        self._requests.add((*labels, outcome, str(code)))

    def timed(self, labels: CallLabels, seconds: float, first_byte: float | None) -> None:
        """Observe how long a call that went upstream took, and the time to its first byte if there was one."""
        self._durations.observe(labels, seconds)
        if first_byte is not None:
            self._first_tokens.observe(labels, first_byte)

    def charged(self, labels: CallLabels, cost: Cost) -> None:
        """Count the tokens of a settled call, and their cost."""
        model, adapter, _ = labels
        self._tokens.add((model, adapter, "input", cost.source), cost.amounts.input)
        self._tokens.add((model, adapter, "output", cost.source), cost.amounts.output)
        self._costs.add((model, adapter, cost.source), cost.amounts.cost)
