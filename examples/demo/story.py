"""What happens in the demo, asked of the running pods; `tests/e2e` asserts on the same answers."""

import json
from dataclasses import dataclass, field
from typing import Any

from examples.demo import books
from examples.demo.kubectl import CommandError, Kubectl

AGENTS = ("green", "red")
#: One prompt for all three: its form tells which adapter answered.
PROMPT = "sshd[812]: Failed password for eve from 192.0.2.7 port 4022"
#: Far more rounds than the budget allows: a bound, not an expectation.
MOST_ROUNDS = 40

# Runs inside the agent's own container, with the SDK that its author chose and the environment that it has.
ASK = """
import json, sys
from openai import OpenAI
model, prompt = sys.argv[1:]
answer = OpenAI(max_retries=0).chat.completions.create(
    model=model, messages=[{"role": "user", "content": prompt}], max_tokens=32, temperature=0)
print(json.dumps(answer.choices[0].message.content))
"""


@dataclass
class Refusal:
    """What was seen around the call that did not fit any more."""

    rounds: int
    error: dict[str, Any]
    refused_calls: int
    engine_requests_before: int
    engine_requests_after: int
    restarts: int
    alive: bool


@dataclass
class Row:
    """One agent's line of the table."""

    agent: str
    adapter: str
    calls: int
    tokens_in: int
    tokens_out: int
    tool_calls: int
    refusals: int
    left: str
    answer: str


@dataclass
class Story:
    """All that the demo saw."""

    forms: dict[str, str] = field(default_factory=dict)
    exchange: list[dict[str, Any]] = field(default_factory=list)
    refusal: Refusal | None = None
    rows: list[Row] = field(default_factory=list)
    balance: books.Books = field(default_factory=books.Books)


def ask(kubectl: Kubectl, agent: str, model: str, prompt: str) -> str:
    """Return a model's answer to a prompt that is sent from inside an agent's container."""
    answer: str = json.loads(
        kubectl(
            "exec", f"deployment/{agent}", "--container=agent", "--", "/app/.venv/bin/python3", "-c", ASK, model, prompt
        )
    )
    return answer


def forms(kubectl: Kubectl) -> dict[str, str]:
    """Return the answers to one prompt through green's pod, through red's pod and from the base model."""
    return {
        "green": ask(kubectl, "green", "gpt-4o", PROMPT),
        "red": ask(kubectl, "red", "gpt-4o", PROMPT),
        "base": ask(kubectl, "green", "base", PROMPT),
    }


def probe(kubectl: Kubectl, topic: str) -> dict[str, Any]:
    """Have red do one round with green, and return what was said; a refusal is part of it."""
    code = (
        "import sys,urllib.request,urllib.error,json\n"
        "request = urllib.request.Request('http://127.0.0.1:8080/probe', json.dumps({'topic': sys.argv[1]}).encode())\n"
        "try: print(urllib.request.urlopen(request, timeout=300).read().decode())\n"
        "except urllib.error.HTTPError as error: print(error.read().decode())\n"
    )
    said: dict[str, Any] = json.loads(
        kubectl("exec", "deployment/red", "--container=agent", "--", "python3", "-c", code, topic, timeout=360)
    )
    return said


def until_the_budget_ends(kubectl: Kubectl) -> tuple[list[dict[str, Any]], Refusal]:
    """Let red probe green until green's budget refuses a call, and look at what that refusal did."""
    said: list[dict[str, Any]] = []
    for number in range(1, MOST_ROUNDS + 1):
        refused, finished = _refused(kubectl, "green"), books.engine_requests(kubectl)
        red_calls = _calls(kubectl, "red")
        said.append(probe(kubectl, f"topic {number}"))
        if "error" not in said[-1]:
            continue
        # Red's own call, and perhaps green's first of two, went through in this round; the refused one did not.
        others = (_calls(kubectl, "red") - red_calls) + _answered_in(said[-1])
        return said, Refusal(
            rounds=number,
            error=said[-1]["error"],
            refused_calls=_refused(kubectl, "green") - refused,
            engine_requests_before=finished + others,
            engine_requests_after=books.engine_requests(kubectl),
            restarts=_restarts(kubectl, "green"),
            alive=_alive(kubectl, "green"),
        )
    raise CommandError(f"green's budget did not end within {MOST_ROUNDS} rounds")


def rows(kubectl: Kubectl, story: Story) -> list[Row]:
    """Return the table: one line per agent."""
    return [_row(kubectl, agent, story) for agent in AGENTS]


def _row(kubectl: Kubectl, agent: str, story: Story) -> Row:
    samples = _samples(kubectl, agent)
    served = kubectl.get("loraadapter", agent)["status"]["servedName"]
    limit = kubectl.get("agenttype", agent)["spec"]["budget"]["limits"][0]
    left = books.total(samples, "agenttype_budget_remaining", limit=limit["name"])
    return Row(
        agent=agent,
        adapter=served,
        calls=books.total(samples, "agenttype_llm_requests_total", outcome="ok"),
        tokens_in=books.total(samples, "agenttype_llm_tokens_total", direction="input"),
        tokens_out=books.total(samples, "agenttype_llm_tokens_total", direction="output"),
        tool_calls=books.total(samples, "agenttype_tool_calls_total"),
        refusals=_refused(kubectl, agent),
        left=f"{left} of {limit['max']}",
        answer=story.forms.get(agent, ""),
    )


def _samples(kubectl: Kubectl, agent: str) -> books.Samples:
    return books.scrape(kubectl, kubectl.pods(f"{books.AGENT_LABEL}={agent}")[-1])


def _refused(kubectl: Kubectl, agent: str) -> int:
    return books.total(_samples(kubectl, agent), "agenttype_budget_rejections_total")


def _calls(kubectl: Kubectl, agent: str) -> int:
    return books.total(_samples(kubectl, agent), "agenttype_llm_requests_total", outcome="ok")


def _answered_in(said: dict[str, Any]) -> int:
    """How many of green's calls in a refused round were answered: /ask comes before /explain."""
    return 1 if "answer" in said else 0


def _restarts(kubectl: Kubectl, agent: str) -> int:
    pod = kubectl.get("pod", kubectl.pods(f"{books.AGENT_LABEL}={agent}")[-1])
    return sum(container["restartCount"] for container in pod["status"]["containerStatuses"])


def _alive(kubectl: Kubectl, agent: str) -> bool:
    code = "import urllib.request as r; print(r.urlopen('http://127.0.0.1:8080/healthz', timeout=10).status)"
    return kubectl("exec", f"deployment/{agent}", "--container=agent", "--", "python3", "-c", code).strip() == "200"
