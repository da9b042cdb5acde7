"""The books: what sidecars and keepers metered, against what the engine itself counted."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from prometheus_client.parser import text_string_to_metric_families

from examples.demo.kubectl import Kubectl

CONTROL_PORT = 15090
AGENT_LABEL = "agenttype.dev/agent-type"
BACKEND_LABEL = "agenttype.dev/model-backend"

Samples = list[tuple[str, dict[str, str], float]]


def scrape(kubectl: Kubectl, pod: str, path: str = "/metrics") -> Samples:
    """Return every sample of a pod's metrics page."""
    text = kubectl.pod_text(pod, CONTROL_PORT, path)
    return [(s.name, s.labels, s.value) for family in text_string_to_metric_families(text) for s in family.samples]


def total(samples: Samples, name: str, **labels: str) -> int:
    """Add up the samples of a name that carry these labels."""
    return round(sum(value for found, has, value in samples if found == name and labels.items() <= has.items()))


@dataclass
class Account:
    """What one side of the books says."""

    tokens_in: int = 0
    tokens_out: int = 0

    def add(self, samples: Samples, name: str) -> None:
        """Add the samples of a token counter with a `direction`."""
        self.tokens_in += total(samples, name, direction="input")
        self.tokens_out += total(samples, name, direction="output")


@dataclass
class Books:
    """Both sides."""

    metered: Account = field(default_factory=Account)
    probes: Account = field(default_factory=Account)
    engine: Account = field(default_factory=Account)

    @property
    def balanced(self) -> bool:
        """Whether every token that the engine counted was metered by a sidecar, and none twice."""
        return (self.metered.tokens_in + self.probes.tokens_in, self.metered.tokens_out + self.probes.tokens_out) == (
            self.engine.tokens_in,
            self.engine.tokens_out,
        )

    def lines(self) -> Iterable[str]:
        """Return the books as text."""
        yield f"sidecars metered  {self.metered.tokens_in:>7} in  {self.metered.tokens_out:>7} out"
        yield f"keeper's probes   {self.probes.tokens_in:>7} in  {self.probes.tokens_out:>7} out"
        yield f"vLLM counted      {self.engine.tokens_in:>7} in  {self.engine.tokens_out:>7} out"
        yield "the books balance" if self.balanced else "THE BOOKS DO NOT BALANCE"


def read(kubectl: Kubectl) -> Books:
    """Read both sides from the running pods."""
    books = Books()
    for pod in kubectl.pods(AGENT_LABEL):
        books.metered.add(scrape(kubectl, pod), "agenttype_llm_tokens_total")
    for pod in kubectl.pods(BACKEND_LABEL):
        books.probes.add(scrape(kubectl, pod), "agenttype_gate_probe_tokens_total")
        engine = scrape(kubectl, pod, "/engine/metrics")
        books.engine.tokens_in += total(engine, "vllm:prompt_tokens_total")
        books.engine.tokens_out += total(engine, "vllm:generation_tokens_total")
    return books


def engine_requests(kubectl: Kubectl) -> int:
    """Return how many requests the engine has finished."""
    return sum(
        total(scrape(kubectl, pod, "/engine/metrics"), "vllm:request_success_total")
        for pod in kubectl.pods(BACKEND_LABEL)
    )
