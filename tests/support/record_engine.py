"""Record what the real engine answers to `exchanges`; run it after the engine's version changed.

    uv run --no-sync python tests/support/record_engine.py               # starts the engine, records, ends it
    uv run --no-sync python tests/support/record_engine.py --url URL     # records one that runs

The files under tests/contract/recordings/ are written whole; read their diff before committing it.
"""

import argparse
import contextlib
import tempfile
from pathlib import Path

import recordings
from exchanges import GROUPS
from lora_files import a_shelf_of_adapters
from replay import Replay


def record(url: str) -> None:
    """Replay every group against the engine at `url` and write one file for each."""
    with tempfile.TemporaryDirectory() as folder:
        replay = Replay(url, a_shelf_of_adapters(Path(folder) / "adapters"))
        for group, exchanges in GROUPS.items():
            recordings.write(group, replay.group(exchanges))
            print(f"{group}: {len(exchanges)} exchanges")  # noqa: T201 — a command line tool


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", help="an engine that runs already, with no adapter loaded")
    with contextlib.ExitStack() as stack:
        url = parser.parse_args().url
        if url is None:
            from engines import real_engine  # noqa: PLC0415 — only here is a real engine needed

            url = stack.enter_context(real_engine()).url
        record(url)


if __name__ == "__main__":
    main()
