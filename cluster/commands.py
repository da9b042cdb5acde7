"""Run short commands of the system, found on the superuser's path too."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

from cluster.errors import BrokenError

if TYPE_CHECKING:
    from collections.abc import Mapping

_ADMIN = "/usr/local/sbin:/usr/sbin:/sbin"


def environment() -> dict[str, str]:
    """Our environment with the administrator's programs on PATH, which a plain `su` leaves out."""
    return {**os.environ, "PATH": f"{os.environ.get('PATH', '/usr/bin:/bin')}:{_ADMIN}"}


def find(name: str) -> str | None:
    """The path of a program, or None."""
    return shutil.which(name, path=environment()["PATH"])


def output(*command: str, given: str | None = None) -> str:
    """Run a command and return its standard output; its error becomes ours."""
    done = subprocess.run(
        command, input=given, capture_output=True, text=True, check=False, env=environment(), timeout=60
    )
    if done.returncode:
        said = " ".join(done.stderr.split()) or f"exit code {done.returncode}"
        raise BrokenError(f"{' '.join(command[:3])} failed: {said[-300:]}")
    return done.stdout


def succeeds(*command: str, env: Mapping[str, str] | None = None) -> bool:
    """Run a command whose failure is an answer."""
    done = subprocess.run(command, capture_output=True, check=False, env=env or environment(), timeout=60)
    return done.returncode == 0
