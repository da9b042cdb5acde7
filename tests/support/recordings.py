"""What the real engine answered: one file for each group of exchanges, written by `record_engine`.

Each says what it was taken with: engine, dtype, and the CPU's model and flags, because these decide how it rounds.
"""

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parents[1] / "contract" / "recordings"


def recorded(group: str) -> dict[str, Any]:
    """The recorded exchanges of a group by name."""
    return {one["name"]: one for one in _read(group)["exchanges"]}


def taken_with(group: str) -> dict[str, Any]:
    """What a group was recorded with: `engine`, `dtype` and `cpu`."""
    found: dict[str, Any] = _read(group)["taken_with"]
    return found


def write(group: str, results: list[dict[str, Any]], taken_with: dict[str, Any]) -> None:
    """Replace the recording of a group."""
    FOLDER.mkdir(exist_ok=True)
    text = json.dumps({"taken_with": taken_with, "exchanges": results}, indent=1, ensure_ascii=False)
    (FOLDER / f"{group}.json").write_text(text + "\n")


def _read(group: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FOLDER / f"{group}.json").read_text())
    return found
