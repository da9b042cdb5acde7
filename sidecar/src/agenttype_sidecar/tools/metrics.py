"""The metrics of tool calls.

Labels come from closed lists: servers of the policy, their tools up to a bound, outcomes of ours.
"""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram

OTHER: Final = "other"
_DURATIONS: Final = (0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class ToolMetrics:
    """The families `agenttype_tool_*`; metrics never make a call fail."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._calls = Counter(
            "agenttype_tool_calls",
            "Tool calls of the agent by outcome.",
            ("server", "tool", "outcome"),
            registry=registry,
        )
        self._seconds = Counter(
            "agenttype_tool_time_seconds", "Seconds that tool calls took.", ("server", "tool"), registry=registry
        )
        self._durations = Histogram(
            "agenttype_tool_duration_seconds", "Duration of tool calls.", ("server",), buckets=_DURATIONS,
            registry=registry,
        )  # fmt: skip
        self._changes = Counter(
            "agenttype_tool_changes",
            "Tools whose description or schema changed between two listings of /mcp.",
            ("server",),
            registry=registry,
        )
        self._failures = Counter(
            "agenttype_tool_listing_failures",
            "Tool servers that were left out of a listing of /mcp because they did not answer.",
            ("server",),
            registry=registry,
        )

    def called(self, server: str, tool: str, outcome: str, seconds: float) -> None:
        """Count a call that was sent."""
        self._calls.labels(server, tool, outcome).inc()
        self._seconds.labels(server, tool).inc(seconds)
        self._durations.labels(server).observe(seconds)

    def refused(self, server: str, tool: str) -> None:
        """Count a call that policy refused."""
        self._calls.labels(server, tool, "refused").inc()

    def changed(self, server: str, tools: int) -> None:
        """Count tools that have changed."""
        self._changes.labels(server).inc(tools)

    def not_listed(self, server: str) -> None:
        """Count a server that was left out of a listing."""
        self._failures.labels(server).inc()
