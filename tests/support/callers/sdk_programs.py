"""Run an unmodified SDK's program as a pod would: its environment is ours, and holds no other key or address.

with driven("openai", "openai_chat.py", car) as program:
    assert program.ask("plain")["text"] == "one two three"
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from agenttype_api import environment

from support.callers.sdk_environments import PROGRAMS, node, node_programs, python_with
from support.kinds import an_agent_type
from support.programs.sidecars import Sidecar


class Program:
    """A running program that makes one call for each line that it is told."""

    def __init__(self, process: subprocess.Popen, said: IO[bytes]) -> None:
        self._process = process
        self._said = said

    def ask(self, call: str) -> dict[str, Any]:
        """Have it make a call; the answer holds `text`, or `error` and its `status`."""
        self._process.stdin.write(call + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            self._said.seek(0)
            raise AssertionError(f"the program ended:\n{self._said.read().decode()}")
        return json.loads(line)


@contextmanager
def driven(sdk: str, program: str, car: Sidecar) -> Iterator[Program]:
    """Start a program of sdks/programs in the environment of `sdk`; end it by its own id."""
    endpoints = environment.Endpoints(data=car.data_port, control=car.control_port)
    env = {entry["name"]: entry["value"] for entry in environment.merge([], an_agent_type(), endpoints)}
    del env["PYTHONPATH"]
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            _command(sdk, program),
            env={"PATH": os.environ["PATH"], **env},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
        )
        try:
            yield Program(process, said)
        finally:
            process.kill()
            process.communicate()


def _command(sdk: str, program: str) -> list[str]:
    if Path(program).suffix == ".mjs":
        return [node()[0], str(node_programs() / program)]
    return [python_with(sdk, sys.executable), str(PROGRAMS / program)]
