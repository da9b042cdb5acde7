"""Read an engine's /metrics: what it counted, whether it is at work, and what it counts at all."""

import http.client
import re
from dataclasses import dataclass
from typing import Any

COUNTED = {"vllm:prompt_tokens_total": "prompt", "vllm:generation_tokens_total": "generation"}
AT_WORK = ("vllm:num_requests_running", "vllm:num_requests_waiting")
LABEL = re.compile(r'(\w+)="([^"]*)"')


@dataclass(frozen=True)
class Look:
    """One look at the books."""

    counters: dict[str, float]
    busy: bool


def look(host: str) -> Look:
    """Look once."""
    counters: dict[str, float] = {}
    busy = False
    for line in _text(host).splitlines():
        name = line.split("{")[0]
        if name in AT_WORK:
            busy = busy or float(line.rsplit(" ", 1)[1]) > 0
        elif name in COUNTED:
            counters[COUNTED[name]] = float(line.rsplit(" ", 1)[1])
        elif name == "vllm:request_success_total":
            reason = dict(LABEL.findall(line))["finished_reason"]
            counters[f"finished {reason}"] = float(line.rsplit(" ", 1)[1])
    return Look(counters, busy)


def _text(host: str) -> str:
    connection = http.client.HTTPConnection(host, timeout=30)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    return text


def families(text: str) -> dict[str, Any]:
    """What each metric of the engine is: type, help, label names, and the bounds of a histogram."""
    families: dict[str, Any] = {}
    for line in text.splitlines():
        _, mark, rest = line.partition("# HELP vllm:")
        if mark:
            name, says = rest.split(" ", 1)
            families[name] = {"help": says, "labels": [], "bounds": []}
        elif line.startswith("# TYPE vllm:"):
            name, kind = line.split("vllm:")[1].split()
            families[name]["type"] = kind
        elif line.startswith("vllm:"):
            labels = dict(LABEL.findall(line))
            owner = families[max((name for name in families if line.startswith(f"vllm:{name}")), key=len)]
            owner["labels"] = sorted({*owner["labels"], *labels})
            owner["bounds"] += [labels["le"]] if "le" in labels else []
    return {name: family for name, family in families.items() if not name.endswith("_created")}
