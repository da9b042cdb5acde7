"""Makes virtual environments that hold a client library from its registry, at the versions of sdks/*.txt.

They are kept in the user's cache, one per list and Python, so that only the first run downloads.
"""

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

LISTS = Path(__file__).parent / "sdks"


def python_with(sdk: str, interpreter: str) -> str:
    """Return an interpreter that can import what sdks/<sdk>.txt lists."""
    uv = shutil.which("uv") or pytest.fail("uv is missing; install it with: pip install uv")
    wanted = LISTS / f"{sdk}.txt"
    digest = hashlib.sha256(wanted.read_bytes() + interpreter.encode()).hexdigest()[:12]
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"), "agenttype", "sdks")
    place = cache / f"{sdk}-{digest}"
    if not place.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as unfinished:
            _run(uv, "venv", "--quiet", "--python", interpreter, f"{unfinished}/venv")
            _run(uv, "pip", "sync", "--quiet", "--python", f"{unfinished}/venv/bin/python", str(wanted))
            Path(unfinished, "venv").rename(place)
    return str(place / "bin" / "python")


def _run(*command: str) -> None:
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        pytest.fail(f"{' '.join(command)} failed:\n{ended.stderr}")
