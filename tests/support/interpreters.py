"""Finds interpreters of other Python versions than the one the tests run on."""

import functools
import os
import shutil
import subprocess
from pathlib import Path

import pytest


@functools.cache  # each candidate must be asked for its version, and hundreds of tests ask
def find(version: str) -> str:
    """Return an interpreter of a minor version such as `3.8`; fails with the command that installs one."""
    for candidate in _candidates(version):
        asked = subprocess.run(
            [candidate, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
            capture_output=True,
            text=True,
            check=False,
        )
        if asked.stdout.strip() == version:
            return str(candidate)
    pytest.fail(f"Python {version} is missing; install it with: uv python install {version}")


def _candidates(version: str) -> list[Path]:
    name = f"python{version}"
    managed = subprocess.run(["uv", "python", "dir"], capture_output=True, text=True, check=True).stdout.strip()
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")
    found = [
        *Path(managed).glob(f"cpython-{version}.*/bin/{name}"),
        *pyenv.glob(f"{version}.*/bin/{name}"),
    ]
    on_path = shutil.which(name)
    return [*found, Path(on_path)] if on_path else found
