"""What a run used, as a value, as JSON and as text. Pure."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from agenttype_api.v1alpha1 import Resource
from prometheus_client.samples import Sample

_NANO: Final = 1_000_000_000


@dataclass(frozen=True)
class Report:
    """One run.

    Attributes:
        agent: `<namespace>/<name>` of the AgentType.
        command: what was run; empty where the sidecar only served.
        exit_status: of the command; None without one.
        seconds: from the start of the command to its end.
        policy_hash: the policy in use.
        requests: calls to models by outcome.
        tokens: charged, by direction.
        estimated_tokens: of these, what no backend has confirmed.
        cost_dollars: what the calls cost at the backends' prices, as a decimal string.
        tool_calls: calls to tools by outcome.
        refusals: calls that policy refused, by reason.
        violations: times that a rule applied, by rule.
        budget: the limits, with what is spent and left of each.
        stopped: why the agent was stopped; empty if it was not.
    """

    agent: str
    command: list[str]
    exit_status: int | None
    seconds: float
    policy_hash: str
    requests: dict[str, int] = field(default_factory=dict)
    tokens: dict[str, int] = field(default_factory=dict)
    estimated_tokens: int = 0
    cost_dollars: str = "0"
    tool_calls: dict[str, int] = field(default_factory=dict)
    refusals: dict[str, int] = field(default_factory=dict)
    violations: dict[str, int] = field(default_factory=dict)
    budget: list[dict[str, Any]] = field(default_factory=list)
    stopped: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return the report with the names that JSON has."""
        return {_camel(name): value for name, value in asdict(self).items()}

    def as_text(self) -> str:
        """Return the report for people."""
        lines = [f"agenttype: {self.agent} ran {self.seconds:.1f} s under policy {self.policy_hash}"]
        if self.stopped:
            lines.append(f"  stopped: {self.stopped}")
        lines.append(f"  model calls   {_counts(self.requests)}")
        spent = f"{self.tokens.get('input', 0)} in, {self.tokens.get('output', 0)} out"
        guessed = f" ({self.estimated_tokens} of them estimated)" if self.estimated_tokens else ""
        lines.append(f"  tokens        {spent}{guessed}")
        if self.cost_dollars != "0":
            lines.append(f"  cost          ${self.cost_dollars}")
        for title, counts in (
            ("tool calls  ", self.tool_calls),
            ("refusals    ", self.refusals),
            ("violations  ", self.violations),
        ):
            if counts:
                lines.append(f"  {title}  {_counts(counts)}")
        lines += [
            f"  limit         {row['name']}: {_spent(row['spent'], row['limit'], row['resource'])} spent"
            for row in self.budget
        ]
        return "\n".join(lines) + "\n"


def usage(samples: Iterable[Sample]) -> dict[str, Any]:
    """Return the members of a report that metrics tell."""
    found = list(samples)
    tokens = _by(found, "agenttype_llm_tokens_total", lambda labels: labels["direction"])
    cost = sum(int(sample.value) for sample in found if sample.name == "agenttype_llm_cost_nanousd_total")
    return {
        "requests": _by(found, "agenttype_llm_requests_total", lambda labels: labels["outcome"]),
        "tokens": tokens,
        "estimated_tokens": sum(
            int(sample.value)
            for sample in found
            if sample.name == "agenttype_llm_tokens_total" and sample.labels.get("usage_source") != "provider"
        ),
        "cost_dollars": dollars(cost),
        "tool_calls": _by(found, "agenttype_tool_calls_total", lambda labels: labels["outcome"]),
        "refusals": _by(found, "agenttype_refusals_total", lambda labels: labels["reason"]),
        "violations": _by(found, "agenttype_violations_total", lambda labels: labels["rule"]),
    }


def dollars(nano: int) -> str:
    """Return nano-dollars as a decimal string without trailing zeros."""
    whole, rest = divmod(nano, _NANO)
    return f"{whole}.{rest:09}".rstrip("0").rstrip(".")


def _spent(spent: int, limit: int, resource: str) -> str:
    """Return amounts as people write them: dollars, seconds, or counts."""
    if resource == Resource.COST:
        return f"${dollars(spent)} of ${dollars(limit)}"
    if resource in (Resource.TOOL_TIME, Resource.WALL_CLOCK):
        return f"{spent / 1000:g} of {limit / 1000:g} s"
    return f"{spent} of {limit} {resource}"


def _by(samples: Iterable[Sample], family: str, label: Callable[[dict[str, str]], str]) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for sample in samples:
        if sample.name == family and sample.value:
            counts[label(sample.labels)] += int(sample.value)
    return dict(sorted(counts.items()))


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items()) or "none"


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)
