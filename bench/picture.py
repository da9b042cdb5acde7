"""Draws bench/results/sidecar.json as one SVG: a panel per figure, a bar per peer.

`uv run python bench/picture.py` draws it again from the file.
"""

import json
import math
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
LEFT, BAR, GAP, PANEL_GAP, WIDTH, BARS = 170, 16, 6, 56, 860, 520
OURS, OTHER, INK, FAINT = "#0f766e", "#94a3b8", "#1f2937", "#6b7280"
FONT = f'font-family="sans-serif" font-size="13" fill="{INK}"'
TITLE = "The sidecar with all its policy, beside other proxies"
ROLE = f'role="img" aria-label="{TITLE}"'


class Panel(NamedTuple):
    """One figure of all peers.

    Attributes:
        figure: Its name in the results.
        title: Above the bars, with which end is good.
        unit: Behind each number.
    """

    figure: str
    title: str
    unit: str


PANELS = (
    Panel("requests_per_core", "Requests a second per core, 1 KB JSON, 32 connections (more is better)", ""),
    Panel("json_1.added_p50_us", "Added to a call's latency, median, one connection (less is better)", " µs"),
    Panel("added_us_per_event", "Added to each event of a stream, median, 8 streams (less is better)", " µs"),
    Panel("rss_mib_with_500_streams", "Resident memory with 500 open streams (less is better)", " MiB"),
)


def drawn(report: dict[str, Any]) -> str:
    """Return the picture; bars are on a logarithmic scale, for the peers lie orders of magnitude apart."""
    names = list(report["figures"])
    panel_height = 28 + len(names) * (BAR + GAP) + PANEL_GAP - 28
    height = 60 + len(PANELS) * panel_height + 30
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" {FONT} {ROLE}>',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="20" y="30" font-size="17" font-weight="bold">{TITLE}</text>',
    ]
    for number, panel in enumerate(PANELS):
        parts += _panel(report, panel, 62 + number * panel_height)
    machine = report["machine"]
    note = (
        f"Logarithmic bars. One run on {machine['cores']} cores of {machine['processor']}, each peer alone on one. "
        "Peers do no policy work unless they say so."
    )
    parts.append(f'<text x="20" y="{height - 14}" font-size="11" fill="{FAINT}">{escape(note)}</text>')
    return "\n".join([*parts, "</svg>", ""])


def _panel(report: dict[str, Any], panel: Panel, top: int) -> list[str]:
    values = {name: max(0.1, figures[panel.figure]["median"]) for name, figures in report["figures"].items()}
    floor = min(values.values()) / 2
    scale = BARS / math.log(max(values.values()) / floor)
    parts = [f'<text x="20" y="{top}" font-weight="bold">{escape(panel.title)}</text>']
    for row, (name, value) in enumerate(values.items()):
        y = top + 10 + row * (BAR + GAP)
        width = round(math.log(value / floor) * scale, 1)
        colour = OURS if name == "ours" else OTHER
        title = escape(report["peers"][name]["title"])
        parts += [
            f'<text x="{LEFT - 8}" y="{y + 12}" text-anchor="end">{title}</text>',
            f'<rect x="{LEFT}" y="{y}" width="{width}" height="{BAR}" rx="2" fill="{colour}"/>',
            f'<text x="{LEFT + width + 6}" y="{y + 12}">{value:,.0f}{panel.unit}</text>',
        ]
    return parts


def main() -> None:
    """Draw again."""
    report = json.loads((ROOT / "bench" / "results" / "sidecar.json").read_text())
    (ROOT / "docs" / "images" / "sidecar-bench.svg").write_text(drawn(report))


if __name__ == "__main__":
    main()
