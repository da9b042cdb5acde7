"""Record what the real engine answers to `exchanges`; run it after the engine's version changed.

    PYTHONPATH=tests uv run --no-sync python -m support.record_engine [GROUP…]     # all: eight minutes

The files under tests/contract/recordings/ are written whole; read their diff before committing it.
"""

import sys
import tempfile
from pathlib import Path

from support import recordings
from support.builders.lora_files import a_shelf_of_adapters
from support.engines import real_engine
from support.exchanges import SETUPS, Exchange
from support.replay import Replay


def record(url: str, groups: dict[str, list[Exchange]]) -> None:
    """Replay `groups` against the engine at `url` and write one file for each."""
    with tempfile.TemporaryDirectory() as folder:
        replay = Replay(url, a_shelf_of_adapters(Path(folder) / "adapters"))
        for group, exchanges in groups.items():
            recordings.write(group, replay.group(exchanges))
            print(f"{group}: {len(exchanges)} exchanges")  # noqa: T201 — a command line tool


def main(wanted: list[str]) -> None:
    """Record the groups that are named, all where none is; the engine starts as each group needs it."""
    for groups, flags, environment in SETUPS:
        chosen = {name: exchanges for name, exchanges in groups.items() if not wanted or name in wanted}
        if chosen:
            with real_engine(*flags, **environment) as engine:
                record(engine.url, chosen)


if __name__ == "__main__":
    main(sys.argv[1:])
