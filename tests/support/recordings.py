"""What the real engine answered: one file for each group of exchanges, written by `record_engine`."""

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parents[1] / "contract" / "recordings"


def recorded(group: str) -> dict[str, Any]:
    """The recorded exchanges of a group by name."""
    return {one["name"]: one for one in json.loads((FOLDER / f"{group}.json").read_text())}


def write(group: str, results: list[dict[str, Any]]) -> None:
    """Replace the recording of a group."""
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{group}.json").write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
