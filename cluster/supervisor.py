"""Start components detached from us, and wait until they do their work."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from cluster import paths, processes, progress
from cluster.errors import BrokenError

if TYPE_CHECKING:
    from collections.abc import Callable

    from cluster.components import Component
    from cluster.paths import Home

_POLL_SECONDS = 0.05


class Supervisor:
    """Starts the components of one cluster; `lock` is the descriptor of the cluster's held lock."""

    def __init__(self, home: Home, mark: str, lock: int) -> None:
        self._home = home
        self._mark = mark
        self._lock = lock
        self._children: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, component: Component) -> None:
        """Start a component in a session of its own; its launcher records it before its program runs."""
        log = self._home.log(component.name)
        launcher = [
            sys.executable, str(paths.SOURCE / "launcher.py"), str(self._home.journal), component.name,
            str(self._lock), *component.command,
        ]  # fmt: skip
        with log.open("wb") as output:
            self._children[component.name] = subprocess.Popen(
                launcher,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self._home.root,
                env={**os.environ, processes.MARK: self._mark},
                pass_fds=(self._lock,),
                start_new_session=True,
            )

    def wait(self, text: str, done: Callable[[], bool], seconds: float) -> None:
        """Wait until `done`, watching that no component dies meanwhile."""
        with progress.step(text) as shown:
            while not done():
                for name, child in self._children.items():
                    if child.poll() is not None:
                        log = self._home.log(name)
                        raise BrokenError(f"{name} ended with {child.returncode}: {progress.last_line(log)}")
                if shown.elapsed > seconds:
                    raise BrokenError(f"{text}: not within {seconds:.0f} s", f"read {self._home / 'log'}")
                shown.tick()
                time.sleep(_POLL_SECONDS)
