"""Copy the adapters into a folder: `copy_to.py FOLDER` makes FOLDER/green and FOLDER/red.

Each appears whole or not at all, under its checked digest; a second run leaves what is right as it is.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import digests


def copy(name: str, digest: str, folder: Path) -> str:
    """Make `folder/name` the adapter of that digest; return what was done."""
    target, partial = folder / name, folder / f".{name}.partial"
    if target.is_dir() and digests.digest(target) == digest:
        return "already there"
    shutil.rmtree(partial, ignore_errors=True)
    shutil.copytree(digests.HERE / name, partial)
    if digests.digest(partial) != digest:
        raise SystemExit(f"{name} differs from digests.json; nothing was put in place")
    shutil.rmtree(target, ignore_errors=True)
    partial.rename(target)
    return "copied"


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, digest in json.loads((digests.HERE / "digests.json").read_text()).items():
        print(f"{name} {digest} {copy(name, digest, folder)}", flush=True)


if __name__ == "__main__":
    main()
