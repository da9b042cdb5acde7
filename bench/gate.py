"""What the gate adds to a call: token, policy, share and bytes; the engine asked directly against through the gate.

`uv run python bench/gate.py [--rounds 5] [--seconds 2]` prints a table and writes bench/results/gate.json.

Measured like bench/proxy.py, whose figures for a hop without any policy are the floor for these. The token's review is
remembered, as it is for all but one call a minute.
"""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import proxy

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))

from support.programs.gates import a_gate_policy, caller, gate, write_policy  # noqa: E402 — the path above leads to it
from support.servers.token_reviews import token_reviews  # noqa: E402

RESULT = HERE / "results" / "gate.json"
LOADS = [
    proxy.Load("json_1", 1, "/v1/chat/completions"),
    proxy.Load("json_32", 32, "/v1/chat/completions"),
    proxy.Load("burst_32", 32, "/v1/completions"),
]


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2)
    options = parser.parse_args()
    before = proxy.steal()
    with tempfile.TemporaryDirectory() as folder, proxy.served("gate_engine.py") as (engine, _):
        figures, resident_mib = measured(Path(folder), engine, options)
    report = {
        "what": "calls through the gate, against the same engine asked directly",
        "command": f"uv run python bench/gate.py --rounds {options.rounds} --seconds {options.seconds}",
        "machine": proxy.machine() | {"load_average_at_end": os.getloadavg()[0], "stolen_percent": proxy.steal(before)},
        "versions": proxy.versions(),
        "resident_mib": resident_mib,
        "figures": figures,
    }
    RESULT.write_text(json.dumps(report, indent=2) + "\n")
    print(proxy.table(figures))
    print(f"\nresident {resident_mib:.0f} MiB, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


def measured(folder: Path, engine: int, options: argparse.Namespace) -> tuple[dict[str, Any], float]:
    """Return the figures, and the gate's memory at the end in MiB."""
    file = write_policy(folder / "policy" / "gate.json", a_gate_policy(callers=(caller("team-a/green", "base"),)))
    with (
        token_reviews(folder / "api") as api,
        gate(file, proxy.origin(engine), folder, folder, **api.options()) as door,
    ):
        door.until_ready()
        proxy.SCRIPT = script(api.token("team-a/green"))
        ports = {"direct": engine, "proxied": door.ports["gate"]}
        rounds = [one_round(ports, door.process.pid, options.seconds) for _ in range(options.rounds)]
        pages = int(Path(f"/proc/{door.process.pid}/statm").read_text().split()[1])
    return summary(rounds), round(pages * os.sysconf("SC_PAGE_SIZE") / 2**20, 1)


def script(token: str) -> str:
    """Return wrk's script: 1 KB of chat for the base model, with a token."""
    return f"""
wrk.method = "POST"
wrk.headers["content-type"] = "application/json"
wrk.headers["authorization"] = "Bearer {token}"
wrk.body = '{{"model":"base","messages":[{{"role":"user","content":"' .. string.rep("word ", 200) .. '"}}]}}'
"""


def one_round(ports: dict[str, int], pid: int, seconds: int) -> dict[str, float]:
    """Measure every variant once."""
    figures: dict[str, float] = {}
    for load in LOADS:
        for side, port in ports.items():
            used = proxy.processor_seconds(pid)
            requests, rate, p50, p99 = proxy.wrk(load, port, seconds)
            used = proxy.processor_seconds(pid) - used
            figures |= {
                f"{load.name}.{side}.rate": rate,
                f"{load.name}.{side}.p50_us": p50,
                f"{load.name}.{side}.p99_us": p99,
            }
            if side == "proxied":
                figures[f"{load.name}.processor_us"] = used / requests * 1e6
    return figures


def summary(rounds: list[dict[str, float]]) -> dict[str, Any]:
    """Return medians and spreads, and what follows from them."""
    columns = {name: [figures[name] for figures in rounds] for name in rounds[0]}
    for load in LOADS:
        pairs = zip(columns[f"{load.name}.proxied.p50_us"], columns[f"{load.name}.direct.p50_us"], strict=True)
        columns[f"{load.name}.added_p50_us"] = [proxied - direct for proxied, direct in pairs]
        columns[f"{load.name}.requests_per_core"] = [1e6 / cost for cost in columns[f"{load.name}.processor_us"]]
    return {name: proxy.spread(values) for name, values in sorted(columns.items())}


if __name__ == "__main__":
    main()
