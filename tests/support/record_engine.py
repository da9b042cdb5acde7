"""Record what the real engine answers to `exchanges`; run it after the engine's version changed.

    uv run --no-sync python tests/support/record_engine.py     # starts the engine twice, about four minutes

The files under tests/contract/recordings/ are written whole; read their diff before committing it.
"""

import tempfile
from pathlib import Path

import recordings
from engines import real_engine
from exchanges import GROUPS, TOOL_FLAGS, TOOL_GROUPS, Exchange
from lora_files import a_shelf_of_adapters
from replay import Replay


def record(url: str, groups: dict[str, list[Exchange]]) -> None:
    """Replay `groups` against the engine at `url` and write one file for each."""
    with tempfile.TemporaryDirectory() as folder:
        replay = Replay(url, a_shelf_of_adapters(Path(folder) / "adapters"))
        for group, exchanges in groups.items():
            recordings.write(group, replay.group(exchanges))
            print(f"{group}: {len(exchanges)} exchanges")  # noqa: T201 — a command line tool


if __name__ == "__main__":
    with real_engine() as engine:
        record(engine.url, GROUPS)
    with real_engine(*TOOL_FLAGS) as engine:
        record(engine.url, TOOL_GROUPS)
