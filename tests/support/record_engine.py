"""Record what the real engine answers to `exchanges`; run it after the engine's version changed.

    PYTHONPATH=tests uv run --no-sync python -m support.record_engine [GROUP…]     # all: ten minutes
    PYTHONPATH=tests uv run --no-sync python -m support.record_engine --compare --dtype bfloat16

The files under tests/contract/recordings/ are written whole; read their diff before committing it. `--compare` writes
nothing and tells what differs; with another dtype the engine rounds otherwise, as a CPU of another kind does, so this
shows on one machine whether the exchanges leave the model a choice. Do both after a change of the exchanges.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from support import differences, processors, recordings
from support.builders.lora_files import a_shelf_of_adapters
from support.engines import Engine, prepared, real_engine
from support.exchanges import SETUPS, Exchange
from support.replay import Replay

Results = list[dict[str, Any]]


def taken_with(engine: Engine, dtype: str) -> dict[str, Any]:
    """What this engine is, as far as it decides what it answers."""
    version = json.loads(engine.call("/version"))["version"]
    return {"engine": f"vLLM {version}", "dtype": dtype, "cpu": processors.this_one()}


def record(group: str, results: Results, taken: dict[str, Any]) -> bool:
    """Write a group whose exchanges were all answered; return whether they were."""
    failed = [f"{group}: {one['name']}\n  {one['failed']}" for one in results if "failed" in one]
    if failed:
        say("\n".join([*failed, f"{group} is not written"]))
        return False
    recordings.write(group, results, taken)
    say(f"{group}: {len(results)} exchanges")
    return True


def compare(group: str, results: Results, taken: dict[str, Any]) -> bool:
    """Tell what differs from the recording; return whether nothing does."""
    alike = 0
    for one in results:
        try:
            differences.check_engine(group, one)
        except AssertionError as error:
            say(str(error))
        else:
            alike += 1
    say(f"{group}: {alike} of {len(results)} exchanges as recorded, in {taken['dtype']}")
    return alike == len(results)


def run(wanted: list[str], dtype: str, each: Callable[[str, Results, dict[str, Any]], bool]) -> bool:
    """Send the groups that are named, all where none is; the engine starts as each group needs it."""
    well = True
    for groups, flags, environment in SETUPS:
        chosen: dict[str, list[Exchange]] = {name: groups[name] for name in groups if not wanted or name in wanted}
        if not chosen:
            continue
        with real_engine(*flags, "--dtype", dtype, **environment) as engine, tempfile.TemporaryDirectory() as folder:
            replay = Replay(engine.url, a_shelf_of_adapters(Path(folder) / "adapters"))
            taken = taken_with(engine, dtype)
            for group, exchanges in chosen.items():
                well = each(group, replay.group(exchanges), taken) and well
    return well


def say(text: str) -> None:
    """Print at once."""
    print(text, flush=True)  # noqa: T201 — a command line tool


def main() -> bool:
    """Record, or compare; return whether all is well."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("group", nargs="*", help="default: all")
    parser.add_argument("--compare", action="store_true", help="write nothing, tell what differs")
    parser.add_argument("--dtype", help="with --compare: in place of the engine's own")
    options = parser.parse_args()
    if options.dtype and not options.compare:
        parser.error("recordings are taken in the engine's own dtype; --dtype goes with --compare")
    return run(options.group, options.dtype or dtype_of(prepared()["args"]), compare if options.compare else record)


def dtype_of(arguments: list[str]) -> str:
    """The dtype that an engine's arguments name."""
    return arguments[arguments.index("--dtype") + 1]


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
